/* Two orders meet here. Each flight has its waiters in the order of arrival, and all waiters together hang in
   one chain; since patience is the same for all, that chain is sorted by deadline, and the first waiter of
   the chain is always the first of its flight. So expiry takes from two heads and needs no search. */
#include "causeway/inflight.h"

#include "causeway/check.h"
#include "causeway/map.h"
#include "causeway/memory.h"

#include <stdlib.h>

enum flight_place { FLIGHT_LOOSE, FLIGHT_QUEUED, FLIGHT_TAKEN };

struct waiter {
    flight_answer answer;
    void *context;
    int64_t deadline;
    struct flight *flight;
    struct waiter *next;            /* of the same flight */
    struct waiter *earlier, *later; /* of all flights */
};

struct flight {
    struct flight *before, *after;
    struct waiter *first, *last;
    enum flight_place place;
    uint64_t not_before; /* its query must not be sent before this serial ... */
    uint64_t sent;       /* ... and was sent at this one; of one that is taken */
    unsigned blamed;
    bool has_nul;
    bool listed; /* findable by later equal lookups */
    size_t param_count;
    const char **params;
    const char *sql;
    struct slice key; /* sizes, then NUL-terminated texts: equal keys are equal lookups */
};

struct inflight {
    struct map *listed;
    struct flight_list queue;
    struct waiter *earliest, *latest;
    size_t taken;
    int64_t patience;
};

static size_t pack_text(char *key, size_t at, struct slice text)
{
    if (text.data)
        memcpy(key + at, text.data, text.size);
    key[at + text.size] = '\0';
    return at + text.size + 1;
}

/* The sizes stand in front because texts alone would not do: ("a", "b\0c") must differ from ("a\0b", "c"). */
static void flight_pack(struct flight *f, struct slice sql, const struct slice *params)
{
    size_t at = (f->param_count + 1) * sizeof(size_t);
    size_t total = at + sql.size + 1;
    for (size_t i = 0; i < f->param_count; i++)
        total += params[i].size + 1;

    char *key = xmalloc(total);
    memcpy(key, &sql.size, sizeof(size_t));
    f->sql = key + at;
    at = pack_text(key, at, sql);
    for (size_t i = 0; i < f->param_count; i++) {
        size_t size =
            params[i].data ? params[i].size : SIZE_MAX; /* NULL is another key than the empty text */
        memcpy(key + (i + 1) * sizeof(size_t), &size, sizeof(size_t));
        f->params[i] = params[i].data ? key + at : NULL;
        f->has_nul |= params[i].data && memchr(params[i].data, '\0', params[i].size);
        at = pack_text(key, at, params[i]);
    }
    f->key = (struct slice){key, total};
}

struct flight *flight_create(struct slice sql, const struct slice *params, size_t count, uint64_t after,
    flight_answer answer, void *context)
{
    struct flight *f = xcalloc(1, sizeof *f);
    f->not_before = after;
    f->param_count = count;
    f->params = xcalloc(count + 1, sizeof *f->params);
    flight_pack(f, sql, params);

    struct waiter *w = xcalloc(1, sizeof *w);
    w->answer = answer;
    w->context = context;
    w->flight = f;
    f->first = f->last = w;
    return f;
}

static void flight_free(struct flight *f)
{
    CHECK(f->first == NULL);
    free((char *)f->key.data);
    free(f->params);
    free(f);
}

const char *flight_sql(const struct flight *f)
{
    return f->sql;
}

const char *const *flight_params(const struct flight *f)
{
    return f->params;
}

size_t flight_param_count(const struct flight *f)
{
    return f->param_count;
}

bool flight_has_nul(const struct flight *f)
{
    return f->has_nul;
}

unsigned flight_blame(struct flight *f)
{
    return ++f->blamed;
}

void flight_list_add(struct flight_list *list, struct flight *f)
{
    f->before = list->last;
    f->after = NULL;
    if (list->last)
        list->last->after = f;
    else
        list->first = f;
    list->last = f;
}

static void list_remove(struct flight_list *list, struct flight *f)
{
    if (f->before)
        f->before->after = f->after;
    else
        list->first = f->after;
    if (f->after)
        f->after->before = f->before;
    else
        list->last = f->before;
    f->before = f->after = NULL;
}

struct flight *flight_list_take(struct flight_list *list)
{
    struct flight *f = list->first;
    if (f)
        list_remove(list, f);
    return f;
}

struct inflight *inflight_create(int64_t patience_ms)
{
    struct inflight *t = xcalloc(1, sizeof *t);
    t->listed = map_create();
    t->patience = patience_ms;
    return t;
}

void inflight_destroy(struct inflight *t)
{
    if (!t)
        return;
    CHECK(t->taken == 0);
    inflight_expire(t, INT64_MAX);
    CHECK(t->queue.first == NULL && map_count(t->listed) == 0);
    map_destroy(t->listed);
    free(t);
}

static void chain_waiter(struct inflight *t, struct waiter *w, int64_t now)
{
    w->deadline = now + t->patience;
    w->earlier = t->latest;
    w->later = NULL;
    if (t->latest)
        t->latest->later = w;
    else
        t->earliest = w;
    t->latest = w;
}

/* Takes the first waiter off its flight and out of the chain; NULL when nobody waits for the flight. */
static struct waiter *take_waiter(struct inflight *t, struct flight *f)
{
    struct waiter *w = f->first;
    if (!w)
        return NULL;
    f->first = w->next;
    if (!f->first)
        f->last = NULL;
    if (w->earlier)
        w->earlier->later = w->later;
    else
        t->earliest = w->later;
    if (w->later)
        w->later->earlier = w->earlier;
    else
        t->latest = w->earlier;
    return w;
}

static void answer_waiter(struct waiter *w, enum lookup_status status, struct rows *rows)
{
    w->answer(w->context, status, rows);
    free(w);
}

static void unlist(struct inflight *t, struct flight *f)
{
    if (f->listed)
        map_remove(t->listed, f->key);
    f->listed = false;
}

/* What was sent before the asker's serial may have seen what was before the change that he asks about. */
static bool is_late_enough(const struct flight *under_way, const struct flight *f)
{
    return under_way->place != FLIGHT_TAKEN || under_way->sent >= f->not_before;
}

bool inflight_post(struct inflight *t, struct flight *f, int64_t now)
{
    CHECK(f->place == FLIGHT_LOOSE && f->first);
    chain_waiter(t, f->first, now);

    struct flight *under_way = map_find(t->listed, f->key);
    if (!under_way || !is_late_enough(under_way, f)) {
        map_set(t->listed, f->key, f);
        if (under_way)
            under_way->listed = false;
        f->listed = true;
        f->place = FLIGHT_QUEUED;
        flight_list_add(&t->queue, f);
        return false;
    }
    f->first->flight = under_way;
    under_way->last->next = f->first;
    under_way->last = f->first;
    f->first = f->last = NULL;
    flight_free(f);
    return true;
}

struct flight *inflight_take(struct inflight *t, uint64_t serial)
{
    struct flight *f = flight_list_take(&t->queue);
    if (!f)
        return NULL;
    f->place = FLIGHT_TAKEN;
    f->sent = serial;
    t->taken++;
    return f;
}

void inflight_requeue(struct inflight *t, struct flight *f)
{
    CHECK(f->place == FLIGHT_TAKEN);
    t->taken--;
    if (!f->first) {
        unlist(t, f);
        flight_free(f);
        return;
    }
    f->place = FLIGHT_QUEUED;
    f->before = NULL;
    f->after = t->queue.first;
    if (f->after)
        f->after->before = f;
    else
        t->queue.last = f;
    t->queue.first = f;
}

void inflight_finish(struct inflight *t, struct flight *f, enum lookup_status status, struct rows *rows)
{
    CHECK(f->place == FLIGHT_TAKEN);
    CHECK((rows != NULL) == (status == LOOKUP_OK));
    t->taken--;
    unlist(t, f);
    for (struct waiter *w = take_waiter(t, f); w; w = take_waiter(t, f))
        answer_waiter(w, status, rows);
    flight_free(f);
}

void inflight_expire(struct inflight *t, int64_t now)
{
    while (t->earliest && t->earliest->deadline <= now) {
        struct flight *f = t->earliest->flight;
        struct waiter *w = take_waiter(t, f);
        CHECK(w && !w->earlier);
        answer_waiter(w, LOOKUP_UNAVAILABLE, NULL);
        if (f->first)
            continue;
        unlist(t, f);
        if (f->place == FLIGHT_QUEUED) {
            list_remove(&t->queue, f);
            flight_free(f);
        }
    }
}

int64_t inflight_deadline(const struct inflight *t)
{
    return t->earliest ? t->earliest->deadline : INT64_MAX;
}
