/* Reads checkpoints for all who ask. A fetch brings thousands of them, so everything that comes by is kept,
   whoever asks meanwhile is served by the same fetch, and a fetch begins a little before what is asked for:
   cursors that come back together are of about the same age. */
#include "kafka_checkpoints_client.h"
#include "kafka_checkpoints_internal.h"

#include "causeway/lock.h"
#include "causeway/log.h"
#include "causeway/memory.h"

#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

enum {
    PATIENCE_MS = 8000,
    SILENCE_MS = 1500, /* of a fetch, before watermarks are asked for again */
    DOUBT_MS = 1000,   /* before an offset beyond the end is believed to be that */
    RETRY_MS = 100,
    IDLE_MS = 1000,
    NEIGHBOURS = 128,   /* read before the offset that was asked for */
    REACH = 4096,       /* what is asked for within this of the position is waited for, not sought */
    AT_HAND_MAX = 8192, /* records taken without waiting, after the last that was asked for */
    NEWEST_SPAN = 32,   /* how far before the end the newest is looked for at first, and then */
    NEWEST_GROWTH = 16, /* so many times as far */
};

struct question {
    struct question *next;
    int64_t offset;
    kafka_checkpoint_answer answer;
    void *context;
    uint64_t deadline;
    uint64_t not_before; /* a second look at an offset beyond the end */
    bool doubted;
};

struct learnt {
    struct learnt *next;
    int64_t offset;
    struct slice value; /* in `bytes` */
    char bytes[];
};

struct checkpoint_reader {
    struct checkpoint_client client;
    struct checkpoint_cache *cache;
    int64_t end;            /* of the topic, as far as was heard */
    uint64_t shrunk_since;  /* 0: it did not */
    struct question **open; /* not answered yet; by offset while fetching */
    size_t open_count, open_capacity;
    pthread_t thread;
    atomic_bool stopping;
    struct metric *fetches;

    struct lock lock;     /* what follows */
    pthread_cond_t asked; /* something was put in */
    struct question *first, **last;
    struct learnt *first_learnt, **last_learnt;
};

/* --- answers --- */

static void give(struct question *q, enum kafka_checkpoint_status status, int64_t offset,
    struct checkpoint *lent, const char *outcome)
{
    metric_add(metric_label(METRIC_CHECKPOINT_READS, outcome), 1);
    q->answer(q->context, status, offset == CHECKPOINT_LAST ? -1 : offset, lent);
    free(q);
}

static void give_gone(struct question *q)
{
    give(q, CHECKPOINT_GONE, q->offset, NULL, "gone");
}

/* false: nothing is kept for this question. */
static bool give_kept(struct checkpoint_reader *r, struct question *q, const char *outcome)
{
    struct checkpoint *found;
    if (q->offset < 0 || !checkpoint_cache_find(r->cache, q->offset, &found))
        return false;
    if (found)
        give(q, CHECKPOINT_FOUND, q->offset, found, outcome);
    else
        give_gone(q);
    return true;
}

/* Answered ones were set to NULL. */
static void close_gaps(struct checkpoint_reader *r)
{
    size_t kept = 0;
    for (size_t i = 0; i < r->open_count; i++)
        if (r->open[i])
            r->open[kept++] = r->open[i];
    r->open_count = kept;
}

/* --- what comes from other threads --- */

void checkpoint_reader_ask(
    struct checkpoint_reader *r, int64_t offset, kafka_checkpoint_answer answer, void *context)
{
    struct question *q = xcalloc(1, sizeof *q);
    q->offset = offset;
    q->answer = answer;
    q->context = context;
    q->deadline = clock_monotonic_ms() + PATIENCE_MS;
    lock_take(&r->lock);
    *r->last = q;
    r->last = &q->next;
    (void)pthread_cond_signal(&r->asked);
    lock_give(&r->lock);
}

void checkpoint_reader_learn(struct checkpoint_reader *r, int64_t offset, struct slice value)
{
    struct learnt *l = xcalloc(1, sizeof *l + value.size);
    memcpy(l->bytes, value.data, value.size);
    l->offset = offset;
    l->value = (struct slice){l->bytes, value.size};
    lock_take(&r->lock);
    *r->last_learnt = l;
    r->last_learnt = &l->next;
    (void)pthread_cond_signal(&r->asked);
    lock_give(&r->lock);
}

static void forget(struct checkpoint_reader *r, int64_t end)
{
    log_warn("kafka", "topic %s was made again or truncated end=%" PRId64 " was=%" PRId64, r->client.topic,
        end, r->end);
    checkpoint_cache_clear(r->cache);
    r->end = end;
    r->shrunk_since = 0;
}

/* Offsets do not go back, unless the topic was made again; then what is kept belongs to another one. A leader
   that has just changed may say less than is there, for a moment. */
static void set_end(struct checkpoint_reader *r, int64_t end)
{
    uint64_t now = clock_monotonic_ms();
    if (end < r->end && r->shrunk_since && now - r->shrunk_since >= DOUBT_MS)
        forget(r, end);
    else if (end < r->end)
        r->shrunk_since = r->shrunk_since ? r->shrunk_since : now;
    else
        r->shrunk_since = 0;
    r->end = end > r->end ? end : r->end;
}

static bool contradicts(const struct checkpoint *kept, struct slice written)
{
    struct checkpoint *c = checkpoint_decode(written);
    bool differs = !c != !kept || (c && (c->nonce != kept->nonce || c->sequence != kept->sequence));
    checkpoint_release(c);
    return differs;
}

static void take_learnt(struct checkpoint_reader *r, struct learnt *l)
{
    while (l) {
        struct learnt *next = l->next;
        struct checkpoint *kept;
        if (checkpoint_cache_find(r->cache, l->offset, &kept) && contradicts(kept, l->value))
            forget(r, l->offset + 1);
        r->end = l->offset >= r->end ? l->offset + 1 : r->end;
        checkpoint_cache_put(r->cache, l->offset, l->value);
        free(l);
        l = next;
    }
}

static void take_asked(struct checkpoint_reader *r, struct question *q)
{
    while (q) {
        struct question *next = q->next;
        if (!give_kept(r, q, "cached")) {
            if (r->open_count == r->open_capacity) {
                r->open_capacity = r->open_capacity ? 2 * r->open_capacity : 64;
                r->open = xrealloc(r->open, r->open_capacity * sizeof *r->open);
            }
            r->open[r->open_count++] = q;
        }
        q = next;
    }
}

static void wait_until(struct checkpoint_reader *r, uint64_t when)
{
    struct timespec t = {(time_t)(when / 1000), (long)(when % 1000) * 1000000};
    lock_take(&r->lock);
    int expired = 0;
    while (!r->first && !r->first_learnt && !atomic_load(&r->stopping) && !expired)
        expired = pthread_cond_timedwait(&r->asked, &r->lock.mutex, &t);
    lock_give(&r->lock);
}

static void take_inbox(struct checkpoint_reader *r)
{
    lock_take(&r->lock);
    struct question *asked = r->first;
    struct learnt *learnt = r->first_learnt;
    r->first = NULL;
    r->last = &r->first;
    r->first_learnt = NULL;
    r->last_learnt = &r->first_learnt;
    lock_give(&r->lock);
    take_learnt(r, learnt);
    take_asked(r, asked);
}

static void give_up_overdue(struct checkpoint_reader *r, bool all)
{
    uint64_t now = clock_monotonic_ms();
    for (size_t i = 0; i < r->open_count; i++) {
        if (!all && now < r->open[i]->deadline)
            continue;
        give(r->open[i], CHECKPOINT_UNAVAILABLE, r->open[i]->offset, NULL, "unavailable");
        r->open[i] = NULL;
    }
    close_gaps(r);
}

/* --- fetching --- */

struct fetch {
    int64_t position;
    size_t turn; /* of the first open question that the position has not passed */
    bool ended;  /* the end of the topic was seen */
    bool to_end; /* go there, whatever was asked for */
    struct checkpoint *newest;
    int64_t newest_offset;
};

static int by_offset(const void *a, const void *b)
{
    const struct question *const *x = a, *const *y = b;
    return ((*x)->offset > (*y)->offset) - ((*x)->offset < (*y)->offset);
}

/* Everything before `position` has come by. */
static void pass(struct checkpoint_reader *r, struct fetch *f, int64_t position)
{
    f->position = position > f->position ? position : f->position;
    for (; f->turn < r->open_count && r->open[f->turn]->offset < f->position; f->turn++) {
        struct question *q = r->open[f->turn];
        if (q->offset == CHECKPOINT_LAST)
            continue;
        if (!give_kept(r, q, "fetched"))
            give_gone(q); /* a place where there is no record */
        r->open[f->turn] = NULL;
    }
}

/* false: this fetch brings no more. */
static bool take(struct checkpoint_reader *r, struct fetch *f, const rd_kafka_message_t *m)
{
    if (m->err) {
        f->ended = m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF;
        if (f->ended)
            pass(r, f, m->offset);
        else
            log_debug("kafka", "reading checkpoints: %s", rd_kafka_message_errstr(m));
        return false;
    }
    struct slice value = {m->payload, m->len};
    checkpoint_cache_put(r->cache, m->offset, value);
    struct checkpoint *newest = f->to_end ? checkpoint_decode(value) : NULL;
    if (newest) {
        checkpoint_release(f->newest);
        f->newest = newest;
        f->newest_offset = m->offset;
    }
    pass(r, f, m->offset + 1);
    return true;
}

static bool awaits(const struct checkpoint_reader *r, const struct fetch *f, int64_t high)
{
    int64_t reach = f->position + REACH < high ? f->position + REACH : high;
    return f->to_end || (f->turn < r->open_count && r->open[f->turn]->offset < reach);
}

/* Reads from `start` to the last of what was asked for and is near, and takes along what is at hand beyond
 * it. */
static void fetch(struct checkpoint_reader *r, struct fetch *f, int64_t start, int64_t high)
{
    qsort(r->open, r->open_count, sizeof(struct question *), by_offset);
    pass(r, f, start);
    metric_add(r->fetches, 1);
    if (rd_kafka_consume_start_queue(r->client.partition, 0, start, r->client.queue) != 0)
        return;
    uint64_t heard = clock_monotonic_ms();
    size_t beyond = 0;
    bool more = true;
    while (more && beyond < AT_HAND_MAX && !atomic_load(&r->stopping)) {
        bool awaited = awaits(r, f, high);
        rd_kafka_message_t *m = rd_kafka_consume_queue(r->client.queue, awaited ? RETRY_MS : 0);
        beyond += !awaited;
        if (m) {
            more = take(r, f, m);
            rd_kafka_message_destroy(m);
            heard = awaited ? clock_monotonic_ms() : heard;
        } else {
            struct kafka_ends ends;
            more = awaited && clock_monotonic_ms() - heard < SILENCE_MS;
            if (more) /* librdkafka before 2.2 sleeps for a second when its queue was full; a question wakes
                         it */
                (void)checkpoint_client_ends(&r->client, &ends);
        }
    }
    (void)rd_kafka_consume_stop(r->client.partition, 0);
    close_gaps(r);
}

static int64_t later_of(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static void give_newest(struct checkpoint_reader *r, const struct fetch *f)
{
    for (size_t i = 0; i < r->open_count; i++) {
        if (r->open[i]->offset != CHECKPOINT_LAST)
            continue;
        if (f->newest)
            give(r->open[i], CHECKPOINT_FOUND, f->newest_offset, f->newest, "fetched");
        else
            give_gone(r->open[i]);
        r->open[i] = NULL;
    }
    close_gaps(r);
}

/* The last record need not be a checkpoint: looks further and further back. */
static void fetch_newest(struct checkpoint_reader *r, const struct kafka_ends *ends)
{
    struct fetch f;
    int64_t span = NEWEST_SPAN, start;
    do {
        f = (struct fetch){.to_end = true};
        start = later_of(ends->low, ends->high - span);
        if (start < ends->high)
            fetch(r, &f, start, ends->high);
        else
            f.ended = true;
        span *= NEWEST_GROWTH;
    } while (f.ended && !f.newest && start > ends->low);
    if (f.ended)
        give_newest(r, &f);
    checkpoint_release(f.newest);
}

/* --- serving --- */

/* What the ends alone can tell. */
static void judge(struct checkpoint_reader *r, const struct kafka_ends *ends)
{
    uint64_t now = clock_monotonic_ms();
    for (size_t i = 0; i < r->open_count; i++) {
        struct question *q = r->open[i];
        bool beyond = q->offset >= ends->high;
        if (q->offset == CHECKPOINT_LAST || (!beyond && q->offset >= ends->low))
            continue;
        if (beyond && !q->doubted) {
            q->doubted = true;
            q->not_before = now + DOUBT_MS;
        } else if (!beyond || now >= q->not_before) {
            give_gone(q);
            r->open[i] = NULL;
        }
    }
    close_gaps(r);
}

static bool any_last(const struct checkpoint_reader *r)
{
    for (size_t i = 0; i < r->open_count; i++)
        if (r->open[i]->offset == CHECKPOINT_LAST)
            return true;
    return false;
}

/* The lowest offset that is asked for and there; -1: none. */
static int64_t find_target(const struct checkpoint_reader *r, const struct kafka_ends *ends)
{
    int64_t target = -1;
    for (size_t i = 0; i < r->open_count; i++) {
        int64_t offset = r->open[i]->offset; /* NOLINT(clang-analyzer-core.NullDereference): none is NULL */
        if (offset >= ends->low && offset < ends->high && (target < 0 || offset < target))
            target = offset;
    }
    return target;
}

static void serve(struct checkpoint_reader *r)
{
    struct kafka_ends ends;
    if (!checkpoint_client_open(&r->client))
        return;
    (void)rd_kafka_poll(r->client.handle, 0);
    if (!checkpoint_client_ends(&r->client, &ends))
        return;
    set_end(r, ends.high);
    judge(r, &ends);
    if (any_last(r))
        fetch_newest(r, &ends);
    int64_t before = -1, target;
    while ((target = find_target(r, &ends)) > before && !atomic_load(&r->stopping)) {
        struct fetch f = {0};
        fetch(r, &f, later_of(ends.low, target - NEIGHBOURS), ends.high);
        before = target;
    }
}

static bool any_due(const struct checkpoint_reader *r)
{
    uint64_t now = clock_monotonic_ms();
    for (size_t i = 0; i < r->open_count; i++)
        if (r->open[i]->not_before <= now)
            return true;
    return false;
}

static void *run(void *argument)
{
    struct checkpoint_reader *r = argument;
    while (!atomic_load(&r->stopping)) {
        wait_until(r, clock_monotonic_ms() + (r->open_count > 0 ? RETRY_MS : IDLE_MS));
        take_inbox(r);
        give_up_overdue(r, false);
        if (any_due(r))
            serve(r);
    }
    take_inbox(r);
    give_up_overdue(r, true);
    checkpoint_client_close(&r->client);
    return NULL;
}

/* --- life --- */

struct checkpoint_reader *checkpoint_reader_create(
    const struct kafka_settings *settings, const char *topic, size_t cache_bytes)
{
    struct checkpoint_reader *r = xcalloc(1, sizeof *r);
    checkpoint_client_init(&r->client, settings, topic);
    r->cache = checkpoint_cache_create(cache_bytes);
    r->fetches = metric_get(METRIC_CHECKPOINT_FETCHES);
    r->last = &r->first;
    r->last_learnt = &r->first_learnt;
    lock_init(&r->lock);
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&r->asked, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    kafka_thread_start(&r->thread, run, r, "checkpoints-in");
    return r;
}

void checkpoint_reader_destroy(struct checkpoint_reader *r)
{
    if (!r)
        return;
    lock_take(&r->lock);
    atomic_store(&r->stopping, true);
    (void)pthread_cond_signal(&r->asked);
    lock_give(&r->lock);
    (void)pthread_join(r->thread, NULL);
    checkpoint_cache_destroy(r->cache);
    checkpoint_client_finish(&r->client);
    (void)pthread_cond_destroy(&r->asked);
    lock_finish(&r->lock);
    free(r->open);
    free(r);
}
