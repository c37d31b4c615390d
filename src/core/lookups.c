#include "lookups_internal.h"

#include "causeway/memory.h"

#include <stdlib.h>

struct lookups *lookups_create(struct catalogue *c, const struct lookups_settings *settings,
    const struct lookups_hooks *hooks, void *owner)
{
    struct lookups *l = xcalloc(1, sizeof *l);
    l->catalogue = catalogue_hold(c);
    l->settings = *settings;
    l->hooks = *hooks;
    l->owner = owner;
    l->answers = map_create();
    l->asked = map_create();
    l->changes = changes_create();
    l->live = metric_get(METRIC_LOOKUPS_LIVE);
    l->reused = metric_get(METRIC_LOOKUPS_REUSED);
    return l;
}

void lookups_destroy(struct lookups *l)
{
    if (!l)
        return;
    CHECK(map_count(l->answers) == 0 && !l->first);
    map_destroy(l->answers);
    map_destroy(l->asked);
    changes_destroy(l->changes);
    json_finish(&l->json);
    catalogue_release(l->catalogue);
    free(l);
}

size_t lookups_count(const struct lookups *l)
{
    return map_count(l->answers);
}

size_t lookups_doubted(const struct lookups *l)
{
    return l->doubted;
}

/* --- keys --- */

/* Size and bytes, so that no two lists of parameters have the same key; SIZE_MAX stands for NULL. */
void lookups_key(struct buffer *key, struct slice param)
{
    size_t size = param.data ? param.size : SIZE_MAX;
    buffer_add(key, &size, sizeof size);
    buffer_add_slice(key, param);
}

static struct slice key_of(const struct answer *a)
{
    size_t id = sizeof a->lookup->id;
    return (struct slice){a->name.data + id, a->name.size - id};
}

void lookups_key_read(struct slice key, struct slice *params, size_t count)
{
    const char *at = key.data;
    for (size_t i = 0; i < count; i++) {
        size_t size;
        memcpy(&size, at, sizeof size);
        at += sizeof size;
        params[i] = size == SIZE_MAX ? (struct slice){NULL, 0} : (struct slice){at, size};
        at += params[i].size;
    }
}

void answer_write_name(struct buffer *name, const struct lookup *lookup, struct slice key)
{
    buffer_add(name, &lookup->id, sizeof lookup->id);
    buffer_add_slice(name, key);
}

/* --- reviews --- */

void lookups_user_init(struct lookups_user *u, void (*review)(struct lookups_user *u))
{
    *u = (struct lookups_user){.review = review, .known_until = UINT64_MAX};
}

static void unqueue(struct lookups *l, struct lookups_user *u)
{
    if (!u->queued)
        return;
    u->queued = false;
    *(u->previous ? &u->previous->next : &l->first) = u->next;
    *(u->next ? &u->next->previous : &l->last) = u->previous;
    u->next = u->previous = NULL;
}

void lookups_user_finish(struct lookups *l, struct lookups_user *u)
{
    unqueue(l, u);
}

void lookups_user_queue(struct lookups *l, struct lookups_user *u)
{
    if (u->queued)
        return;
    u->queued = true;
    u->previous = l->last;
    *(l->last ? &l->last->next : &l->first) = u;
    l->last = u;
}

void lookups_review(struct lookups *l)
{
    if (l->reviewing)
        return;
    l->reviewing = true;
    while (l->first) {
        struct lookups_user *u = l->first;
        unqueue(l, u);
        u->review(u);
    }
    l->reviewing = false;
}

void answer_queue_users(struct lookups *l, const struct answer *a, uint64_t known_until)
{
    for (struct use *use = a->users; use; use = use->next) {
        if (known_until < use->user->known_until)
            use->user->known_until = known_until;
        lookups_user_queue(l, use->user);
    }
}

/* Those who have waited for the question that is decided now, and they only. */
static void queue_waiting(struct lookups *l, const struct answer *a, uint64_t answered_before)
{
    for (struct use *use = a->users; use; use = use->next)
        if (use->need > answered_before)
            lookups_user_queue(l, use->user);
}

/* --- asking --- */

static struct slice tag_name(const uint64_t *tag)
{
    return (struct slice){(const char *)tag, sizeof *tag};
}

/* What was under way was asked too early, and counts no more. */
static void forget_question(struct lookups *l, struct answer *a)
{
    if (a->tag)
        map_remove(l->asked, tag_name(&a->tag));
    a->tag = 0;
}

void answer_ask(struct lookups *l, struct answer *a, uint64_t now)
{
    forget_question(l, a);
    a->tag = ++l->last_tag;
    a->asked++;
    a->asked_ms = now;
    a->asked_epoch = l->pulse.epoch;
    map_set(l->asked, tag_name(&a->tag), a);
    size_t count = a->lookup->param_count;
    struct slice *params = xcalloc(count + 1, sizeof *params);
    lookups_key_read(key_of(a), params, count);
    l->hooks.ask(l->owner, a->lookup, params, count, l->last_number, a->tag);
    free(params);
}

/* No new right is granted on an answer that a change may have passed by. */
static bool is_fresh(const struct lookups *l, const struct answer *a, uint64_t now)
{
    return a->answered > 0 && answer_is_good(a) && a->epoch == l->pulse.epoch && lookups_are_heard(l, now) &&
           now < a->good_ms + REUSE_MS;
}

static struct answer *make_answer(struct lookups *l, const struct lookup *lookup, const struct buffer *name)
{
    struct answer *a = xcalloc(1, sizeof *a);
    a->lookup = lookup;
    buffer_add_slice(&a->name, buffer_slice(name));
    a->doubt_ms = later(lookups_now(l), 1);
    map_set(l->answers, buffer_slice(name), a);
    metric_add(l->live, 1);
    return a;
}

static void free_answer(struct lookups *l, struct answer *a)
{
    forget_question(l, a);
    map_remove(l->answers, buffer_slice(&a->name));
    metric_add(l->live, -1);
    rows_release(a->rows);
    buffer_finish(&a->name);
    free(a);
}

struct use *lookups_use(
    struct lookups *l, struct lookups_user *u, const struct lookup *lookup, const struct buffer *key)
{
    struct buffer name = {0};
    answer_write_name(&name, lookup, buffer_slice(key));
    struct answer *a = map_find(l->answers, buffer_slice(&name));
    if (!a)
        a = make_answer(l, lookup, &name);
    buffer_finish(&name);

    struct use *use = xcalloc(1, sizeof *use);
    use->answer = a;
    use->user = u;
    use->next = a->users;
    if (a->users)
        a->users->previous = use;
    a->users = use;
    uint64_t now = lookups_now(l);
    bool stays = u->renewing && a->answered > 0 && answer_is_good(a);
    if (stays || is_fresh(l, a, now)) {
        use->need = a->answered;
        metric_add(l->reused, 1);
        return use;
    }
    if (!a->tag)
        answer_ask(l, a, now);
    else
        metric_add(l->reused, 1);
    use->need = a->asked;
    return use;
}

void lookups_drop(struct lookups *l, struct use *use)
{
    struct answer *a = use->answer;
    *(use->previous ? &use->previous->next : &a->users) = use->next;
    if (use->next)
        use->next->previous = use->previous;
    free(use);
    if (!a->users)
        free_answer(l, a);
}

enum use_state use_state(const struct use *use)
{
    const struct answer *a = use->answer;
    if (a->answered < use->need)
        return a->failed >= use->need ? USE_FAILED : USE_WAITS;
    if (a->gone)
        return USE_GONE;
    return answer_is_good(a) ? USE_GOOD : USE_DOUBTED;
}

struct rows *use_rows(const struct use *use)
{
    return use_state(use) == USE_GOOD ? use->answer->rows : NULL;
}

uint64_t use_changed_since(const struct lookups *l, const struct use *use, uint64_t since_ms)
{
    const struct answer *a = use->answer;
    struct slice lookup = {a->name.data, sizeof a->lookup->id};
    uint64_t of_key = changes_since(l->changes, buffer_slice(&a->name), since_ms);
    uint64_t of_all = changes_since(l->changes, lookup, since_ms);
    return of_key < of_all ? of_key : of_all;
}

bool use_is(const struct use *use, const struct lookup *lookup, const struct buffer *key)
{
    return use->answer->lookup == lookup && slice_equal(key_of(use->answer), buffer_slice(key));
}

/* --- another catalogue --- */

void lookups_adopt(struct lookups *l, struct catalogue *c)
{
    size_t cursor = 0;
    struct slice name;
    void *value;
    while (map_next(l->answers, &cursor, &name, &value)) {
        struct answer *a = value;
        const struct lookup *same = catalogue_find_lookup(c, a->lookup->name);
        if (same && same->id == a->lookup->id)
            a->lookup = same;
    }
    catalogue_replace(&l->catalogue, c);
}

/* --- answers --- */

static void take_answer(struct lookups *l, struct answer *a, struct rows *rows)
{
    uint64_t answered_before = a->answered;
    uint64_t known_until = a->doubt_ms ? a->doubt_ms : answer_known_until(l, a);
    bool same = a->rows && rows_equal(a->rows, rows), stayed = same && answer_is_good(a);
    if (!same) { /* else users may compare by address */
        rows_release(a->rows);
        a->rows = rows_hold(rows);
    }
    if (!same && answered_before > 0)
        changes_note(l->changes, buffer_slice(&a->name), known_until, lookups_now(l));
    a->answered = a->asked;
    a->epoch = a->asked_epoch;
    a->good_ms = a->asked_ms;
    a->doubt_ms = 0;
    a->expired = a->gone = false;
    if (stayed)
        queue_waiting(l, a, answered_before);
    else
        answer_queue_users(l, a, answered_before > 0 ? known_until : UINT64_MAX);
}

/* In doubt for too long: nobody can say that the right is still there. */
static void give_up(struct lookups *l, struct answer *a)
{
    rows_release(a->rows);
    a->rows = NULL;
    a->answered = a->asked;
    a->gone = true;
    answer_queue_users(l, a, UINT64_MAX);
}

static void take_failure(struct lookups *l, struct answer *a)
{
    uint64_t now = lookups_now(l);
    a->failed = a->asked;
    a->retry_ms = now + RETRY_MS;
    l->restless = true;
    bool too_long = a->doubt_ms > 0 && now - a->doubt_ms >= l->settings.patience_ms;
    if (too_long && !a->gone)
        give_up(l, a);
    else
        queue_waiting(l, a, a->answered);
}

void lookups_answer(struct lookups *l, uint64_t tag, enum lookup_status status, struct rows *rows)
{
    struct answer *a = map_remove(l->asked, tag_name(&tag));
    if (!a)
        return;
    a->tag = 0;
    if (status == LOOKUP_OK && rows)
        take_answer(l, a, rows);
    else
        take_failure(l, a);
    lookups_review(l);
}
