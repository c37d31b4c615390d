/* What puts answers in doubt: a change of their key, and the end of their lease. */
#include "lookups_internal.h"

bool lookups_are_heard(const struct lookups *l, uint64_t now)
{
    return l->pulse.epoch > 0 && now < l->pulse.heard_ms + FRESH_MS;
}

uint64_t answer_good_until(const struct lookups *l, const struct answer *a)
{
    bool listened = a->epoch == l->pulse.epoch && a->epoch > 0;
    return listened ? later(a->good_ms, l->pulse.heard_ms) : a->good_ms;
}

/* Who has the answers polled has no notifications to rely on. */
uint64_t answer_known_until(const struct lookups *l, const struct answer *a)
{
    return l->settings.poll_ms > 0 ? a->good_ms : answer_good_until(l, a);
}

/* --- changes --- */

static void change(struct lookups *l, struct answer *a, uint64_t now)
{
    if (a->doubt_ms == 0)
        a->doubt_ms = later(now, 1);
    l->restless = true;
    answer_ask(l, a, now);
    answer_queue_users(l, a, UINT64_MAX);
}

/* The texts of a JSON array, as a key; false: it is none, or not of so many. */
static bool read_array(struct lookups *l, struct slice text, size_t count, struct buffer *key)
{
    if (!json_scan(&l->json, text.data, text.size) || json_type(&l->json, 0) != JSON_ARRAY ||
        l->json.nodes[0].count != count)
        return false;
    struct buffer scratch = {0};
    bool good = true;
    for (uint32_t n = json_first(&l->json, 0); n != JSON_NONE; n = json_after(&l->json, 0, n)) {
        enum json_type type = json_type(&l->json, n);
        struct slice null = {NULL, 0};
        lookups_key(key, type == JSON_STRING ? json_string(&l->json, n, &scratch)
                         : type == JSON_NULL ? null
                                             : json_raw(&l->json, n));
        good &= type != JSON_ARRAY && type != JSON_OBJECT;
    }
    buffer_finish(&scratch);
    return good;
}

static bool change_key(struct lookups *l, const struct lookup *lookup, struct slice text, uint64_t now)
{
    struct buffer key = {0}, name = {0};
    bool legible = true;
    if (lookup->param_count == 1)
        lookups_key(&key, text);
    else
        legible = read_array(l, text, lookup->param_count, &key);
    answer_write_name(&name, lookup, buffer_slice(&key));
    struct answer *a = legible ? map_find(l->answers, buffer_slice(&name)) : NULL;
    if (legible)
        changes_note(l->changes, buffer_slice(&name), now, now);
    if (a)
        change(l, a, now);
    buffer_finish(&key);
    buffer_finish(&name);
    return legible;
}

static void change_all(struct lookups *l, const struct lookup *lookup, uint64_t now)
{
    struct slice all = {(const char *)&lookup->id, sizeof lookup->id};
    changes_note(l->changes, all, now, now);
    size_t cursor = 0;
    struct slice name;
    void *value;
    while (map_next(l->answers, &cursor, &name, &value)) {
        struct answer *a = value;
        if (a->lookup == lookup)
            change(l, a, now);
    }
}

bool lookups_changed(struct lookups *l, struct slice what, uint64_t number)
{
    l->last_number = later(l->last_number, number);
    const char *colon = what.size > 0 ? memchr(what.data, ':', what.size) : NULL;
    struct slice name = {what.data, colon ? (size_t)(colon - what.data) : what.size};
    const struct lookup *lookup = catalogue_find_lookup(l->catalogue, name);
    if (!lookup)
        return false;
    bool legible = true;
    if (colon)
        legible = change_key(l, lookup, (struct slice){colon + 1, what.size - name.size - 1}, lookups_now(l));
    else
        change_all(l, lookup, lookups_now(l));
    lookups_review(l);
    return legible;
}

/* --- time --- */

/* What was changed while nobody listened was not heard of: every answer is to be looked up again, and what
   each is good for ends where that began. */
static void begin_epoch(struct lookups *l, const struct lookups_pulse *pulse)
{
    size_t cursor = 0;
    struct slice name;
    void *value;
    while (map_next(l->answers, &cursor, &name, &value)) {
        struct answer *a = value;
        a->good_ms = answer_known_until(l, a);
        a->retry_ms = 0;
    }
    l->last_number = later(l->last_number, pulse->mark);
    l->restless = true;
    if (l->pulse.epoch > 0)
        changes_note(l->changes, ANY_NAME, l->pulse.heard_ms, lookups_now(l));
}

static void note_deafness(struct lookups *l, uint64_t now)
{
    bool deaf = !lookups_are_heard(l, now) && now < l->pulse.answer_ms + FRESH_MS;
    l->deaf_ms = !deaf ? 0 : l->deaf_ms ? l->deaf_ms : now;
}

static bool wants_asking(const struct lookups *l, const struct answer *a, uint64_t now)
{
    if (a->tag)
        return a->asked_epoch != l->pulse.epoch;
    if (now < a->retry_ms)
        return false;
    return a->doubt_ms > 0 || a->epoch != l->pulse.epoch ||
           (l->settings.poll_ms > 0 && now >= a->asked_ms + l->settings.poll_ms) ||
           (l->deaf_ms > 0 && now >= l->deaf_ms + DEAF_MS &&
               now >= answer_good_until(l, a) + l->settings.lease_ms / 2);
}

static void attend_to(struct lookups *l, struct answer *a, uint64_t now)
{
    if (wants_asking(l, a, now))
        answer_ask(l, a, now);
    bool expired = a->answered > 0 && !a->gone && now >= answer_good_until(l, a) + l->settings.lease_ms;
    if (expired && !a->expired) {
        a->expired = true;
        answer_queue_users(l, a, UINT64_MAX);
    }
    l->restless |= !answer_is_good(a) || a->epoch != l->pulse.epoch;
    l->doubted += !answer_is_good(a);
}

void lookups_tick(struct lookups *l, const struct lookups_pulse *pulse)
{
    uint64_t now = lookups_now(l);
    if (pulse->epoch != l->pulse.epoch)
        begin_epoch(l, pulse);
    l->pulse = *pulse;
    note_deafness(l, now);
    if (lookups_are_heard(l, now) && l->settings.poll_ms == 0 && !l->restless)
        return;
    l->restless = false;
    l->doubted = 0;
    size_t cursor = 0;
    struct slice name;
    void *value;
    while (map_next(l->answers, &cursor, &name, &value))
        attend_to(l, value, now);
    lookups_review(l);
}
