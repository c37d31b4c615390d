/* Who a user is, its automatic rooms, and what a change means. */
#include "grants_internal.h"

#include "causeway/memory.h"
#include "causeway/metrics.h"

#include <stdlib.h>

static void review(struct lookups_user *u);

struct grants *grants_create(struct catalogue *c, const struct lane *lane, struct lookups *lookups,
    struct slice user, size_t rooms_max, const struct grants_hooks *hooks, void *owner)
{
    struct grants *g = xcalloc(1, sizeof *g);
    lookups_user_init(&g->in_lookups, review);
    g->lookups = lookups;
    g->catalogue = catalogue_hold(c);
    g->lane = lane->index;
    g->user = (struct slice){xstrndup(user.data, user.size), user.size};
    g->rooms_max = rooms_max;
    g->hooks = *hooks;
    g->owner = owner;
    g->rooms = &g->sets[0];
    g->rooms_before = &g->sets[1];
    return g;
}

static void forget_answers(struct grants *g)
{
    requests_forget(g);
    inquiry_finish(&g->who, g->lookups);
    inquiry_finish(&g->rules, g->lookups);
    rows_release(g->principal);
    g->principal = NULL;
}

void grants_destroy(struct grants *g)
{
    if (!g)
        return;
    forget_answers(g);
    lookups_user_finish(g->lookups, &g->in_lookups);
    nameset_finish(&g->sets[0]);
    nameset_finish(&g->sets[1]);
    catalogue_release(g->catalogue);
    free((char *)g->user.data);
    free(g);
}

struct rules_walk grants_walk(const struct grants *g, struct slice room)
{
    return (struct rules_walk){
        .catalogue = g->catalogue, .lane = g->lane, .user = g->user, .principal = g->principal, .room = room};
}

static void count_decision(struct slice pattern, const char *result, size_t by)
{
    struct buffer rule = {0};
    buffer_add_slice(&rule, pattern);
    metric_add(metric_labels(METRIC_DECISIONS, buffer_text(&rule), result), (int64_t)by);
    buffer_finish(&rule);
}

void grants_count_room(const struct grants *g, struct slice room, const char *result)
{
    struct rules_walk w = grants_walk(g, room);
    count_decision(rules_pattern_of(&w), result, 1);
}

/* --- asking --- */

static const struct slice NO_ROOM = {NULL, 0};

void grants_ask(struct grants *g, struct inquiry *q, const struct rules_walk *w, const struct lookup *lookup)
{
    struct buffer key = {0};
    rules_key(w, lookup, &key);
    inquiry_ask(q, g->lookups, &g->in_lookups, lookup, &key);
    buffer_finish(&key);
}

/* The rows of the rule's lookup; NULL when there are none to rely on. */
const struct rows *grants_answer(const struct inquiry *q, const struct rules_walk *w)
{
    struct buffer key = {0};
    rules_key(w, w->rule->lookup, &key);
    const struct use *found = inquiry_find(q, w->rule->lookup, &key);
    buffer_finish(&key);
    return found ? use_rows(found) : NULL;
}

static void ask_automatic(struct grants *g)
{
    struct rules_walk w = grants_walk(g, NO_ROOM);
    while (rules_next(&w)) {
        if (w.rule->lookup)
            grants_ask(g, &g->rules, &w, w.rule->lookup);
    }
}

/* --- the principal --- */

enum standing { STANDING_OPEN, STANDING_KNOWN, STANDING_LOST };

/* What rests on who it was is asked anew. The old questions are dropped last, so that an answer that is
   needed again is not asked for again. */
static void take_principal(struct grants *g, struct rows *rows)
{
    g->stale = false;
    rows_hold(rows);
    rows_release(g->principal);
    g->principal = rows;
    struct inquiry rules = g->rules;
    g->rules = (struct inquiry){0};
    ask_automatic(g);
    inquiry_finish(&rules, g->lookups);
    requests_ask_anew(g);
}

static enum standing check_principal(struct grants *g, enum grants_outcome *why)
{
    const struct use *use = g->who.uses[0];
    enum use_state state = use_state(use);
    *why = GRANTS_UNAVAILABLE;
    if (state == USE_FAILED)
        return g->phase == ATTACHING ? STANDING_LOST : STANDING_OPEN;
    if (state != USE_GOOD)
        return state == USE_GONE ? STANDING_LOST : STANDING_OPEN;
    struct rows *rows = use_rows(use);
    *why = GRANTS_NO_USER;
    if (rows_count(rows) != 1)
        return STANDING_LOST;
    if (rows != g->principal || g->stale)
        take_principal(g, rows);
    return STANDING_KNOWN;
}

/* --- automatic rooms --- */

/* false: more than allowed. `count`: each room is a decision, not the answer to one that was made before. */
static bool collect_rooms(struct grants *g, bool count)
{
    struct nameset *before = g->rooms_before;
    g->rooms_before = g->rooms;
    g->rooms = before;
    nameset_clear(g->rooms);
    struct rules_walk w = grants_walk(g, NO_ROOM);
    while (rules_next(&w)) {
        const struct rows *rows = w.rule->lookup ? grants_answer(&g->rules, &w) : NULL;
        size_t had = g->rooms->count;
        if (!rules_add_rooms(&w, rows, g->rooms, g->rooms_max))
            return false;
        if (count)
            count_decision(w.pattern->text, "allowed", g->rooms->count - had);
    }
    return true;
}

/* Nothing of g may be touched afterwards: the owner may destroy it. */
static void attached(struct grants *g, enum grants_outcome outcome)
{
    bool allowed = outcome == GRANTS_ALLOWED;
    g->phase = allowed ? ATTACHED : IDLE;
    if (allowed)
        lookups_user_queue(g->lookups, &g->in_lookups); /* for what was requested meanwhile */
    else
        forget_answers(g);
    g->hooks.attached(
        g->owner, outcome, allowed ? nameset_names(g->rooms) : NULL, allowed ? g->rooms->count : 0);
}

static void attach_on(struct grants *g)
{
    enum grants_outcome why;
    enum standing standing = check_principal(g, &why);
    if (standing == STANDING_LOST)
        attached(g, why);
    else if (standing == STANDING_OPEN)
        return;
    else if (inquiry_any(&g->rules, USE_FAILED) || inquiry_any(&g->rules, USE_GONE))
        attached(g, GRANTS_UNAVAILABLE);
    else if (!inquiry_open(&g->rules))
        attached(g, collect_rooms(g, true) ? GRANTS_ALLOWED : GRANTS_TOO_MANY);
}

void grants_attach(struct grants *g)
{
    CHECK(g->phase != ATTACHING);
    forget_answers(g);
    g->phase = ATTACHING;
    g->in_lookups.known_until = UINT64_MAX;
    nameset_clear(g->rooms);
    struct rules_walk w = grants_walk(g, NO_ROOM);
    grants_ask(g, &g->who, &w, catalogue_principal(g->catalogue));
    if (use_state(g->who.uses[0]) != USE_WAITS) /* somebody else has the answer: decided later all the same */
        lookups_user_queue(g->lookups, &g->in_lookups);
}

/* --- changes --- */

static void set_doubt(struct grants *g, bool doubt)
{
    if (g->doubted == doubt)
        return;
    g->doubted = doubt;
    g->hooks.doubted(g->owner, doubt);
}

/* Nothing of g may be touched afterwards. */
static void end(struct grants *g, enum grants_outcome why)
{
    set_doubt(g, true);
    forget_answers(g);
    g->phase = IDLE;
    g->hooks.ended(g->owner, why);
}

static enum grants_outcome why_over(const struct inquiry *q)
{
    return inquiry_any(q, USE_GONE) ? GRANTS_UNAVAILABLE : GRANTS_FORBIDDEN;
}

void grants_withdraw(struct grants *g, struct slice room, const struct inquiry *rests_on)
{
    enum grants_outcome why = why_over(rests_on);
    grants_count_room(g, room, why == GRANTS_UNAVAILABLE ? "unavailable" : "withdrawn");
    g->hooks.withdrawn(g->owner, room, why);
}

static void withdraw_automatic(struct grants *g)
{
    const struct slice *names = nameset_names(g->rooms_before);
    for (size_t i = 0; i < g->rooms_before->count; i++) {
        if (!nameset_has(g->rooms, names[i]) && !requests_have(g, names[i]))
            grants_withdraw(g, names[i], &g->rules);
    }
}

static void grant_further(struct grants *g)
{
    const struct slice *names = nameset_names(g->rooms);
    struct slice *further = xcalloc(g->rooms->count + 1, sizeof *further);
    size_t count = 0;
    for (size_t i = 0; i < g->rooms->count; i++) {
        if (!nameset_has(g->rooms_before, names[i]))
            grants_count_room(g, further[count++] = names[i], "allowed");
    }
    if (count > 0)
        g->hooks.granted(g->owner, further, count, g->in_lookups.known_until);
    free(further);
}

/* All answers are certain: what has changed by them? false: it is over, and nothing of g may be touched. */
static bool settle(struct grants *g)
{
    if (!collect_rooms(g, false)) {
        end(g, GRANTS_TOO_MANY);
        return false;
    }
    requests_withdraw(g);
    withdraw_automatic(g);
    grant_further(g);
    g->in_lookups.known_until = UINT64_MAX;
    set_doubt(g, false);
    return true;
}

/* --- another catalogue --- */

void grants_adopt(struct grants *g, struct catalogue *c, const struct lane *lane)
{
    catalogue_replace(&g->catalogue, c);
    g->lane = lane->index;
    if (g->phase == IDLE)
        return;
    struct inquiry who = g->who;
    g->who = (struct inquiry){0};
    struct rules_walk w = grants_walk(g, NO_ROOM);
    g->in_lookups.renewing = true;
    grants_ask(g, &g->who, &w, catalogue_principal(c));
    inquiry_finish(&who, g->lookups);
    g->stale = true;
    enum grants_outcome why;
    if (check_principal(g, &why) != STANDING_KNOWN) { /* asked when it is known */
        inquiry_finish(&g->rules, g->lookups);
        requests_drop_answers(g);
    }
    g->in_lookups.renewing = false;
    if (g->phase == ATTACHED)
        set_doubt(g, true);
    lookups_user_queue(g->lookups, &g->in_lookups);
}

void grants_give_up(struct grants *g, enum grants_outcome why)
{
    if (g->phase != IDLE)
        end(g, why);
}

/* --- answers --- */

static void review(struct lookups_user *u)
{
    struct grants *g = (struct grants *)u;
    enum grants_outcome why;
    if (g->phase == ATTACHING) {
        attach_on(g);
        return;
    }
    if (g->phase == IDLE)
        return;
    enum standing standing = check_principal(g, &why);
    if (standing == STANDING_LOST) {
        end(g, why);
        return;
    }
    if (standing == STANDING_OPEN || !inquiry_settled(&g->rules) || !requests_settled(g))
        set_doubt(g, true);
    else if (!settle(g))
        return;
    requests_decide_next(g);
}

bool grants_is_automatic(const struct grants *g, struct slice room)
{
    return nameset_has(g->rooms, room);
}

struct slice grants_user_column(const struct grants *g, struct slice column)
{
    return g->principal ? rows_cell(g->principal, 0, column) : (struct slice){NULL, 0};
}

uint64_t grants_changed_since(const struct grants *g, uint64_t since_ms)
{
    uint64_t of_user = inquiry_changed_since(&g->who, g->lookups, since_ms);
    uint64_t least = inquiry_changed_since(&g->rules, g->lookups, since_ms);
    least = of_user < least ? of_user : least;
    uint64_t of_requests = requests_changed_since(g, since_ms);
    return of_requests < least ? of_requests : least;
}
