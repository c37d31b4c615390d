#include "causeway/grants.h"

#include "causeway/memory.h"
#include "causeway/template.h"

#include "inquiry.h"
#include "nameset.h"

#include <stdlib.h>

enum { ROOM_NAME_MAX = 512 };

/* Attaching is IDLE -> PRINCIPAL -> RULES -> IDLE. */
enum phase { IDLE, PRINCIPAL, RULES };

struct request {
    struct request *next;
    uint64_t tag; /* the caller's */
    struct slice room;
    struct rows *principal; /* held: who asked, even when an attach looks that up anew meanwhile */
    struct inquiry inquiry;
};

struct grants {
    struct catalogue *catalogue;
    uint16_t lane;
    struct slice user;
    size_t rooms_max;
    struct grants_hooks hooks;
    void *owner;
    uint64_t last_tag;
    enum phase phase;
    struct inquiry attaching;
    struct rows *principal; /* held; NULL: not known */
    struct nameset rooms;
    struct request *requests;
};

struct grants *grants_create(struct catalogue *c, const struct lane *lane, struct slice user,
    size_t rooms_max, const struct grants_hooks *hooks, void *owner)
{
    struct grants *g = xcalloc(1, sizeof *g);
    g->catalogue = catalogue_hold(c);
    g->lane = lane->index;
    g->user = (struct slice){xstrndup(user.data, user.size), user.size};
    g->rooms_max = rooms_max;
    g->hooks = *hooks;
    g->owner = owner;
    return g;
}

static void request_destroy(struct request *request)
{
    inquiry_finish(&request->inquiry);
    rows_release(request->principal);
    free((char *)request->room.data);
    free(request);
}

void grants_destroy(struct grants *g)
{
    if (!g)
        return;
    for (struct request *request = g->requests, *next; request; request = next) {
        next = request->next;
        request_destroy(request);
    }
    inquiry_finish(&g->attaching);
    nameset_finish(&g->rooms);
    rows_release(g->principal);
    catalogue_release(g->catalogue);
    free((char *)g->user.data);
    free(g);
}

/* --- the rules that concern one principal, and one room when somebody asks for it --- */

struct walk {
    const struct grants *g;
    const struct rows *principal;
    struct slice room; /* NULL data: automatic rules of all rooms */
    size_t next_pattern, next_rule;
    const struct room_pattern *pattern;
    const struct room_rule *rule;
    struct slice captures[TEMPLATE_PLACEHOLDERS_MAX]; /* of `room` */
};

static bool accepts(const struct room_condition *condition, struct slice value)
{
    for (size_t i = 0; value.data && i < condition->value_count; i++) {
        if (slice_equal(condition->values[i], value))
            return true;
    }
    return false;
}

static bool conditions_hold(const struct room_rule *rule, const struct rows *principal)
{
    for (size_t i = 0; i < rule->condition_count; i++) {
        if (!accepts(&rule->conditions[i], rows_cell(principal, 0, rule->conditions[i].column)))
            return false;
    }
    return true;
}

static bool next_pattern(struct walk *w)
{
    const struct room_pattern *patterns;
    size_t count = catalogue_rooms(w->g->catalogue, &patterns);
    while (w->next_pattern < count) {
        w->pattern = &patterns[w->next_pattern++];
        w->next_rule = 0;
        if (room_pattern_on_lane(w->pattern, w->g->lane) &&
            (!w->room.data || template_match(w->pattern->name, w->room, w->captures)))
            return true;
    }
    w->pattern = NULL;
    return false;
}

static bool walk_next(struct walk *w)
{
    while (w->pattern || next_pattern(w)) {
        while (w->next_rule < w->pattern->rule_count) {
            w->rule = &w->pattern->rules[w->next_rule++];
            if ((w->room.data || w->rule->automatic) && conditions_hold(w->rule, w->principal))
                return true;
        }
        w->pattern = NULL;
    }
    return false;
}

/* --- templates over {token.user}, {user.*}, {room.*} --- */

static struct slice room_capture(const struct walk *w, struct slice name)
{
    for (size_t i = 0; w->room.data && i < template_placeholders(w->pattern->name); i++) {
        if (slice_equal(template_placeholder(w->pattern->name, i), name))
            return w->captures[i];
    }
    return (struct slice){NULL, 0};
}

static struct slice field_value(const struct walk *w, const struct template_field *field)
{
    struct slice root = field->steps[0].name, name = field->steps[1].name;
    if (slice_is(root, "token"))
        return w->g->user;
    if (slice_is(root, "room"))
        return room_capture(w, name);
    return w->principal ? rows_cell(w->principal, 0, name) : (struct slice){NULL, 0};
}

/* Appends the text; false, and nothing appended, when one of its values is NULL. */
static bool expand(const struct walk *w, const struct template *t, struct buffer *out)
{
    struct slice values[TEMPLATE_PLACEHOLDERS_MAX];
    for (size_t i = 0; i < template_placeholders(t); i++) {
        values[i] = field_value(w, template_field(t, i));
        if (!values[i].data)
            return false;
    }
    template_write(t, values, out);
    return true;
}

/* --- asking --- */

static void write_key(const struct walk *w, const struct lookup *lookup, struct buffer *key)
{
    struct buffer text = {0};
    for (size_t i = 0; i < lookup->param_count; i++) {
        buffer_clear(&text);
        bool known = expand(w, lookup->params[i], &text);
        inquiry_key(key, known ? (struct slice){buffer_text(&text), text.size} : (struct slice){NULL, 0});
    }
    buffer_finish(&text);
}

static void ask(struct grants *g, struct inquiry *q, const struct walk *w, const struct lookup *lookup)
{
    struct buffer key = {0};
    write_key(w, lookup, &key);
    if (!inquiry_find(q, lookup, &key)) {
        inquiry_add(q, lookup, &key, ++g->last_tag);
        struct slice *params = xcalloc(lookup->param_count + 1, sizeof *params);
        inquiry_params(&key, params, lookup->param_count);
        g->hooks.lookup(g->owner, lookup, params, lookup->param_count, g->last_tag);
        free(params);
    }
    buffer_finish(&key);
}

/* The rows of the rule's lookup; NULL when they have not come. */
static const struct rows *answer_of(const struct inquiry *q, const struct walk *w)
{
    struct buffer key = {0};
    write_key(w, w->rule->lookup, &key);
    const struct ask *found = inquiry_find(q, w->rule->lookup, &key);
    buffer_finish(&key);
    return found ? found->rows : NULL;
}

static const struct room_filling *find_filling(const struct room_rule *rule, size_t placeholder)
{
    for (size_t i = 0; i < rule->filling_count; i++) {
        if (rule->fillings[i].index == placeholder)
            return &rule->fillings[i];
    }
    return NULL;
}

/* --- automatic rooms --- */

/* The text of a placeholder, from `with` or from a row; false when there is none. */
static bool fill(const struct walk *w, size_t placeholder, const struct rows *rows, size_t row,
    struct buffer *scratch, struct slice *out)
{
    const struct room_filling *filling = find_filling(w->rule, placeholder);
    buffer_clear(scratch);
    if (filling && !expand(w, filling->value, scratch))
        return false;
    if (filling)
        *out = buffer_slice(scratch);
    else
        *out = rows ? rows_cell(rows, row, template_placeholder(w->pattern->name, placeholder))
                    : (struct slice){NULL, 0};
    return out->data != NULL;
}

/* A name that its pattern does not match, or not in one way only, is given to nobody, just as nobody can
   ask for it: a value is empty, or has characters that names cannot have. */
static void add_room(struct grants *g, const struct walk *w, const struct slice *values)
{
    struct slice captures[TEMPLATE_PLACEHOLDERS_MAX];
    size_t start = g->rooms.text.size;
    template_write(w->pattern->name, values, &g->rooms.text);
    struct slice name = {g->rooms.text.data + start, g->rooms.text.size - start};
    if (name.size <= ROOM_NAME_MAX && template_match(w->pattern->name, name, captures))
        nameset_add(&g->rooms, start);
    else
        g->rooms.text.size = start;
}

static void grant(struct grants *g, const struct walk *w, const struct rows *rows, size_t row)
{
    struct buffer scratch[TEMPLATE_PLACEHOLDERS_MAX] = {{0}};
    struct slice values[TEMPLATE_PLACEHOLDERS_MAX];
    size_t count = template_placeholders(w->pattern->name), filled = 0;
    while (filled < count && fill(w, filled, rows, row, &scratch[filled], &values[filled]))
        filled++;
    if (filled == count)
        add_room(g, w, values);
    for (size_t i = 0; i < count; i++)
        buffer_finish(&scratch[i]);
}

static enum grants_outcome grant_all(struct grants *g)
{
    nameset_clear(&g->rooms);
    struct walk w = {.g = g, .principal = g->principal};
    while (walk_next(&w)) {
        const struct rows *rows = w.rule->lookup ? answer_of(&g->attaching, &w) : NULL;
        size_t count = w.rule->lookup ? (rows ? rows_count(rows) : 0) : 1;
        for (size_t row = 0; row < count; row++) {
            grant(g, &w, rows, row);
            if (g->rooms.count > g->rooms_max)
                return GRANTS_TOO_MANY;
        }
    }
    return GRANTS_ALLOWED;
}

/* --- attaching --- */

/* Nothing of g may be touched afterwards: the owner may destroy it. */
static void attached(struct grants *g, enum grants_outcome outcome)
{
    inquiry_finish(&g->attaching);
    g->phase = IDLE;
    bool allowed = outcome == GRANTS_ALLOWED;
    g->hooks.attached(
        g->owner, outcome, allowed ? nameset_names(&g->rooms) : NULL, allowed ? g->rooms.count : 0);
}

static void set_principal(struct grants *g, struct rows *rows)
{
    rows_release(g->principal);
    g->principal = rows;
}

static void on_rules(struct grants *g)
{
    if (g->attaching.failed)
        attached(g, GRANTS_UNAVAILABLE);
    else if (g->attaching.pending == 0)
        attached(g, grant_all(g));
}

static void on_principal(struct grants *g)
{
    struct rows *rows = g->attaching.asks[0].rows;
    if (!rows) {
        attached(g, GRANTS_UNAVAILABLE);
        return;
    }
    bool found = rows_count(rows) == 1;
    set_principal(g, found ? rows_hold(rows) : NULL);
    inquiry_finish(&g->attaching);
    if (!found) {
        attached(g, GRANTS_NO_USER);
        return;
    }
    g->phase = RULES;
    struct walk w = {.g = g, .principal = g->principal};
    while (walk_next(&w)) {
        if (w.rule->lookup)
            ask(g, &g->attaching, &w, w.rule->lookup);
    }
    on_rules(g);
}

void grants_attach(struct grants *g)
{
    CHECK(g->phase == IDLE);
    g->phase = PRINCIPAL;
    struct walk w = {.g = g};
    ask(g, &g->attaching, &w, catalogue_principal(g->catalogue));
}

/* --- requests --- */

static bool has_column(const struct rows *rows, struct slice name)
{
    for (size_t i = 0; i < rows_columns(rows); i++) {
        if (slice_equal(rows_column(rows, i), name))
            return true;
    }
    return false;
}

/* Does what `with` says agree with the name? */
static bool fillings_agree(const struct walk *w)
{
    bool agree = true;
    struct buffer text = {0};
    for (size_t i = 0; agree && i < w->rule->filling_count; i++) {
        const struct room_filling *filling = &w->rule->fillings[i];
        buffer_clear(&text);
        agree =
            expand(w, filling->value, &text) && slice_equal(buffer_slice(&text), w->captures[filling->index]);
    }
    buffer_finish(&text);
    return agree;
}

static bool row_agrees(const struct walk *w, const struct rows *rows, size_t row)
{
    for (size_t i = 0; i < template_placeholders(w->pattern->name); i++) {
        struct slice name = template_placeholder(w->pattern->name, i);
        if (find_filling(w->rule, i) || (!w->rule->automatic && !has_column(rows, name)))
            continue;
        struct slice cell = rows_cell(rows, row, name);
        if (!cell.data || !slice_equal(cell, w->captures[i]))
            return false;
    }
    return true;
}

static bool any_row_agrees(const struct walk *w, const struct rows *rows)
{
    for (size_t row = 0; rows && row < rows_count(rows); row++) {
        if (row_agrees(w, rows, row))
            return true;
    }
    return false;
}

/* Does a rule hold by what is known so far? */
static bool is_allowed(const struct grants *g, const struct request *request)
{
    struct walk w = {.g = g, .principal = request->principal, .room = request->room};
    while (walk_next(&w)) {
        if (!fillings_agree(&w))
            continue;
        if (!w.rule->lookup || any_row_agrees(&w, answer_of(&request->inquiry, &w)))
            return true;
    }
    return false;
}

/* `request` is in no list any more. Nothing of g may be touched afterwards: the owner may destroy it. */
static void decide(struct grants *g, struct request *request, enum grants_outcome outcome)
{
    g->hooks.decided(g->owner, request->room, outcome, request->tag);
    request_destroy(request);
}

/* Decides when it can; the request has been taken out of the list then. */
static bool try_decide(struct grants *g, struct request *request, struct request **place)
{
    bool allowed = is_allowed(g, request);
    if (!allowed && request->inquiry.pending > 0)
        return false;
    if (place)
        *place = request->next;
    decide(g, request,
        allowed                   ? GRANTS_ALLOWED
        : request->inquiry.failed ? GRANTS_UNAVAILABLE
                                  : GRANTS_FORBIDDEN);
    return true;
}

static void ask_rules(struct grants *g, struct request *request)
{
    struct walk w = {.g = g, .principal = request->principal, .room = request->room};
    while (walk_next(&w)) {
        if (w.rule->lookup && fillings_agree(&w))
            ask(g, &request->inquiry, &w, w.rule->lookup);
    }
}

void grants_request(struct grants *g, struct slice room, uint64_t tag)
{
    struct request *request = xcalloc(1, sizeof *request);
    request->tag = tag;
    request->room = (struct slice){xstrndup(room.data, room.size), room.size};
    if (!g->principal || room.size > ROOM_NAME_MAX) {
        decide(g, request, g->principal ? GRANTS_FORBIDDEN : GRANTS_UNAVAILABLE);
        return;
    }
    request->principal = rows_hold(g->principal);
    if (is_allowed(g, request)) { /* by a rule that needs no lookup */
        decide(g, request, GRANTS_ALLOWED);
        return;
    }
    ask_rules(g, request);
    if (try_decide(g, request, NULL))
        return;
    request->next = g->requests;
    g->requests = request;
}

/* --- answers --- */

static void answer_attach(struct grants *g)
{
    if (g->phase == PRINCIPAL)
        on_principal(g);
    else
        on_rules(g);
}

void grants_answer(struct grants *g, uint64_t tag, enum lookup_status status, struct rows *rows)
{
    CHECK(tag != 0);
    if (inquiry_answer(&g->attaching, tag, status, rows)) {
        answer_attach(g);
        return;
    }
    for (struct request **place = &g->requests; *place; place = &(*place)->next) {
        if (inquiry_answer(&(*place)->inquiry, tag, status, rows)) {
            try_decide(g, *place, place);
            return;
        }
    }
}

struct slice grants_user_column(const struct grants *g, struct slice column)
{
    return g->principal ? rows_cell(g->principal, 0, column) : (struct slice){NULL, 0};
}
