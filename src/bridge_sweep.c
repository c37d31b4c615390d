/* What is older than the hot log: shared sweeps through Kafka's past. A sweep reads from the oldest place
   that somebody waits at into a window, and takes along all it passes; whoever falls out of the window waits
   for the next one. Each sweeper is one thread with one window, so that readers times window bytes is all the
   memory there is to it. */
#include "bridge_internal.h"

#include "causeway/kafka_replay.h"
#include "causeway/lock.h"
#include "causeway/log.h"
#include "causeway/memory.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    RECORDS_PER_STEP = 500,
    STEP_WAIT_MS = 50,
    PAUSE_US = 1000,
    BACKLOG_WAIT = 50,   /* percent of the window that may lie before the slowest session */
    STRAGGLER_MS = 2000, /* ... for so long without any progress; then it falls out */
    LEAVE_MS = 5000,     /* at the end, for the sessions to walk to it */
    FIRST_CHECKPOINT_MS =
        3000 /* for the start of a sweep to be acknowledged, so that its events can carry cursors */
};

/* A session that needs history. */
struct request {
    struct loop_task task;
    struct request *next;
    struct worker *worker;
    uint64_t client, session;
    struct origin *origin;
    uint64_t until;
    /* the answer */
    struct sweeper *sweeper;
    unsigned log;
    uint64_t position;
    struct gap *gaps;
    size_t gap_count;
};

struct sweeps {
    struct bridge *bridge;
    pthread_mutex_t lock;
    pthread_cond_t filled;
    struct request *waiting; /* newest first */
    atomic_bool stopping;
    struct sweeper *sweepers;
    unsigned count;
};

struct sweeper {
    struct sweeps *sweeps;
    struct bridge *bridge;
    unsigned log; /* number of its window */
    struct journal *journal;
    struct judge *judge;
    struct kafka_replay *replay;
    pthread_t thread;
    atomic_size_t entering; /* sessions that were told to enter, and have not yet */
    /* of the sweep at hand */
    struct kafka_replay_part *parts;
    uint32_t *numbers; /* of the parts */
    size_t part_count;
    int64_t *place; /* by partition number: where the sweep stands */
    int64_t *begin; /* ... began */
    uint32_t place_count;
    uint64_t target; /* position of the hot log that it leads to */
    uint64_t start;  /* its first sequence */
};

/* --- requests --- */

/* @thread loop */
static void enter(struct loop_task *task)
{
    struct request *r = (struct request *)task;
    struct client *c = roster_find(r->worker->roster, r->client);
    if (c)
        client_enter(c, r->session, r->log, r->position, r->origin, r->gaps, r->gap_count);
    fanout_report(r->worker->fanout); /* before it counts as entered: the window must not look deserted */
    if (r->sweeper)
        atomic_fetch_sub(&r->sweeper->entering, 1);
    origin_release(r->origin);
    free(r->gaps);
    free(r);
}

static void answer(struct request *r, struct sweeper *s, unsigned log, uint64_t position)
{
    r->sweeper = s;
    r->log = log;
    r->position = position;
    if (s)
        atomic_fetch_add(&s->entering, 1);
    loop_post(r->worker->loop, &r->task);
}

void sweeps_request(struct sweeps *s, struct worker *w, uint64_t client, uint64_t session,
    struct origin *origin, uint64_t until)
{
    struct request *r = xcalloc(1, sizeof *r);
    *r = (struct request){.task.run = enter,
        .worker = w,
        .client = client,
        .session = session,
        .origin = origin,
        .until = until};
    pthread_mutex_lock(&s->lock);
    r->next = s->waiting;
    s->waiting = r;
    pthread_cond_signal(&s->filled);
    pthread_mutex_unlock(&s->lock);
}

static struct request *take_all(struct sweeps *s, bool wait)
{
    pthread_mutex_lock(&s->lock);
    while (wait && !s->waiting && !atomic_load(&s->stopping))
        pthread_cond_wait(&s->filled, &s->lock);
    struct request *all = s->waiting;
    s->waiting = NULL;
    pthread_mutex_unlock(&s->lock);
    return all;
}

static void put_back(struct sweeps *s, struct request *r)
{
    pthread_mutex_lock(&s->lock);
    r->next = s->waiting;
    s->waiting = r;
    pthread_mutex_unlock(&s->lock);
}

static void wake_loops(struct bridge *b)
{
    for (unsigned i = 0; i < b->worker_count; i++)
        loop_wake(b->workers[i].loop);
}

/* --- planning a sweep --- */

/* Where the sweep begins: in each partition at the oldest place that anybody waits at. */
static void choose_begin(struct sweeper *s, const struct request *all)
{
    s->place_count = partitions_count(s->bridge->partitions);
    s->begin = xcalloc(s->place_count + 1, sizeof *s->begin);
    s->place = xcalloc(s->place_count + 1, sizeof *s->place);
    for (uint32_t p = 0; p < s->place_count; p++) {
        int64_t least = INT64_MAX;
        for (const struct request *r = all; r; r = r->next) {
            int64_t skip = origin_skip(r->origin, p);
            least = skip < least ? skip : least;
        }
        s->begin[p] = least;
    }
}

/* Where it leads to: a place of the hot log that is known exactly, near its head, and not behind what a side
 * walk stands before. */
static void choose_target(struct sweeper *s, const struct request *all, int64_t *target)
{
    struct hotlog *hot = journal_log(s->bridge->journals[0]);
    uint64_t limit = hotlog_head(hot);
    for (const struct request *r = all; r; r = r->next)
        if (r->until < limit)
            limit = r->until;
    s->target = hotlog_place_before(hot, limit, target, s->place_count);
    if (s->target <
        hotlog_tail(hot)) /* a side walk that was held for long: then what it brings twice is marked once */
        s->target = hotlog_place_before(hot, hotlog_head(hot), target, s->place_count);
}

static void choose_parts(struct sweeper *s, const int64_t *target)
{
    s->parts = xcalloc(s->place_count + 1, sizeof *s->parts);
    s->numbers = xcalloc(s->place_count + 1, sizeof *s->numbers);
    s->part_count = 0;
    for (uint32_t p = 0; p < s->place_count; p++) {
        struct partition_name name = partitions_name(s->bridge->partitions, p);
        if (s->begin[p] > target[p])
            s->begin[p] = target[p];
        if (!partitions_current(s->bridge->partitions, p) || s->begin[p] == target[p])
            continue;
        s->numbers[s->part_count] = p;
        s->parts[s->part_count++] = (struct kafka_replay_part){.topic = name.topic,
            .partition = name.number,
            .from = s->begin[p],
            .to = target[p],
            .anchor.offset = -1};
    }
}

/* The window begins where the sweep does; the first checkpoint says so, and is acknowledged before anything
 * is stamped. */
static void begin_window(struct sweeper *s)
{
    journal_restart(s->journal, random_nonce());
    for (uint32_t p = 0; p < s->place_count; p++) {
        s->place[p] = s->begin[p];
        journal_advance(s->journal, p, s->begin[p], NULL);
    }
    for (size_t i = 0; i < s->part_count; i++) {
        uint32_t p = s->numbers[i];
        s->place[p] = s->parts[i].low;
        journal_advance(s->journal, p, s->parts[i].low, NULL);
    }
    s->start = hotlog_next(journal_log(s->journal));
    history_checkpoint(s->bridge->history, s->log, true);
    uint64_t until = clock_monotonic_ms() + FIRST_CHECKPOINT_MS;
    while (!history_take_acknowledgements(s->bridge->history, s->log) && clock_monotonic_ms() < until &&
           !atomic_load(&s->sweeps->stopping))
        usleep(PAUSE_US);
    journal_publish(s->journal);
}

/* --- answering --- */

static void add_gap(struct request *r, const struct gap *gap)
{
    r->gaps = xrealloc(r->gaps, (r->gap_count + 1) * sizeof *r->gaps);
    r->gaps[r->gap_count++] = *gap;
}

/* What the session will not get: retention has passed it, or the topic is another one. */
static void declare_gaps(struct sweeper *s, struct request *r)
{
    for (size_t i = 0; i < s->part_count; i++) {
        const struct kafka_replay_part *part = &s->parts[i];
        int64_t skip = origin_skip(r->origin, s->numbers[i]);
        if (skip >= part->low)
            continue;
        enum gap_reason reason = part->replaced || part->missing ? GAP_RECREATED : GAP_RETENTION;
        add_gap(r, &(struct gap){{part->topic, part->partition, 0}, skip, part->low, reason});
    }
}

/* Lives that are over cannot be read any more: what of them lies before the target is lost. */
static void declare_past_lives(struct sweeper *s, struct request *r, const int64_t *target)
{
    for (uint32_t p = 0; p < s->place_count; p++) {
        int64_t skip = origin_skip(r->origin, p);
        if (!partitions_current(s->bridge->partitions, p) && skip < target[p])
            add_gap(
                r, &(struct gap){partitions_name(s->bridge->partitions, p), skip, target[p], GAP_RECREATED});
    }
}

static void admit(struct sweeper *s, struct request *all, const int64_t *target)
{
    while (all) {
        struct request *next = all->next;
        declare_gaps(s, all);
        declare_past_lives(s, all, target);
        answer(all, s, s->log, s->start);
        all = next;
    }
}

/* Is the sweep nowhere beyond where this session stands? Then it can come along. */
static bool can_join(const struct sweeper *s, const struct request *r)
{
    if (r->until < s->target)
        return false;
    for (size_t i = 0; i < s->part_count; i++)
        if (s->place[s->numbers[i]] > origin_skip(r->origin, s->numbers[i]) &&
            s->place[s->numbers[i]] > s->parts[i].low)
            return false;
    return true;
}

/* Those who came while the sweep is under way. */
static void take_along(struct sweeper *s, const int64_t *target)
{
    struct request *r = take_all(s->sweeps, false);
    while (r) {
        struct request *next = r->next;
        if (can_join(s, r)) {
            declare_gaps(s, r);
            declare_past_lives(s, r, target);
            answer(r, s, s->log, hotlog_next(journal_log(s->journal)));
        } else {
            put_back(s->sweeps, r);
        }
        r = next;
    }
}

/* --- sweeping --- */

static void on_record(void *owner, size_t part, const struct record *record)
{
    struct sweeper *s = owner;
    uint32_t number = s->numbers[part];
    judge_record(s->judge, s->journal, number, record, false);
    journal_advance(s->journal, number, record->offset + 1, record);
    s->place[number] = record->offset + 1;
}

static void on_lost(void *owner, size_t part, int64_t from, int64_t to)
{
    struct sweeper *s = owner;
    const struct kafka_replay_part *p = &s->parts[part];
    struct gap gap = {
        {p->topic, p->partition, 0}, from, to, p->replaced || p->missing ? GAP_RECREATED : GAP_RETENTION};
    journal_append_gap(s->journal, s->bridge->catalogue, s->numbers[part], &gap);
}

static const struct kafka_replay_hooks replay_hooks = {on_record, on_lost};

/* The window waits for those who walk it, as long as they get on. */
static void keep_pace(struct sweeper *s)
{
    struct hotlog *log = journal_log(s->journal);
    uint64_t since = clock_monotonic_ms();
    unsigned least = hotlog_backlog(log);
    while (!atomic_load(&s->sweeps->stopping) && clock_monotonic_ms() - since < STRAGGLER_MS) {
        bool entering = atomic_load(&s->entering) > 0 && hotlog_next(log) - s->start > 0 &&
                        hotlog_fill(log, s->start) > BACKLOG_WAIT;
        unsigned backlog = hotlog_backlog(log);
        if (backlog < BACKLOG_WAIT && !entering)
            return;
        if (backlog < least) {
            least = backlog;
            since = clock_monotonic_ms();
        }
        wake_loops(s->bridge);
        usleep(PAUSE_US);
    }
}

static bool anybody_left(struct sweeper *s)
{
    return atomic_load(&s->entering) > 0 || hotlog_walkers(journal_log(s->journal)) > 0;
}

/* false: given up, because nobody walks the window any more, or the program ends. */
static bool read_on(struct sweeper *s, const int64_t *target)
{
    enum kafka_replay_step step = REPLAY_MORE;
    uint64_t checkpoint_at = clock_monotonic_ms() + 1000, alone_since = 0;
    while (step != REPLAY_DONE && !atomic_load(&s->sweeps->stopping)) {
        step = kafka_replay_step(s->replay, RECORDS_PER_STEP, STEP_WAIT_MS);
        history_take_acknowledgements(s->bridge->history, s->log);
        journal_publish(s->journal);
        wake_loops(s->bridge);
        take_along(s, target);
        keep_pace(s);
        uint64_t now = clock_monotonic_ms();
        if (now >= checkpoint_at && history_checkpoint(s->bridge->history, s->log, false))
            checkpoint_at = now + 1000;
        if (anybody_left(s))
            alone_since = now;
        else if (now - alone_since > STRAGGLER_MS && alone_since > 0)
            return false;
        else if (alone_since == 0)
            alone_since = now;
    }
    return step == REPLAY_DONE;
}

/* Lets the sessions walk to the end, then makes sure that nobody is in the window any more. */
static void clear_window(struct sweeper *s)
{
    struct hotlog *log = journal_log(s->journal);
    uint64_t until = clock_monotonic_ms() + LEAVE_MS;
    while (anybody_left(s) && clock_monotonic_ms() < until && !atomic_load(&s->sweeps->stopping)) {
        wake_loops(s->bridge);
        usleep(PAUSE_US);
    }
    hotlog_evict_all(log);
    while (anybody_left(s) && !atomic_load(&s->sweeps->stopping)) {
        wake_loops(s->bridge);
        usleep(PAUSE_US);
    }
}

/* All of the past is in the window: from its end the sessions go on in the hot log. */
static void end_window(struct sweeper *s, const int64_t *target)
{
    for (uint32_t p = 0; p < s->place_count; p++)
        if (s->place[p] < target[p])
            journal_advance(s->journal, p, target[p], NULL);
    journal_publish(s->journal);
    hotlog_end(journal_log(s->journal), hotlog_head(journal_log(s->journal)), s->target);
    wake_loops(s->bridge);
}

static void sweep(struct sweeper *s, struct request *all)
{
    choose_begin(s, all);
    int64_t *target = xcalloc(s->place_count + 1, sizeof *target);
    choose_target(s, all, target);
    choose_parts(s, target);
    if (kafka_replay_begin(s->replay, s->parts, s->part_count)) {
        begin_window(s);
        admit(s, all, target);
        if (read_on(s, target))
            end_window(s, target);
        kafka_replay_end(s->replay);
        clear_window(s);
    } else {
        log_warn("sweep", "no broker answers: sessions that need history wait");
        while (all) {
            struct request *next = all->next;
            put_back(s->sweeps, all);
            all = next;
        }
        usleep(200 * PAUSE_US);
    }
    free(target);
    free(s->parts);
    free(s->numbers);
    free(s->begin);
    free(s->place);
}

static void *run(void *argument)
{
    struct sweeper *s = argument;
    for (;;) {
        struct request *all = take_all(s->sweeps, true);
        if (atomic_load(&s->sweeps->stopping)) {
            for (struct request *next; all; all = next) {
                next = all->next;
                put_back(s->sweeps, all);
            }
            return NULL;
        }
        if (all)
            sweep(s, all);
    }
}

/* --- life --- */

struct sweeps *sweeps_create(struct bridge *b, const struct kafka_settings *settings)
{
    struct sweeps *s = xcalloc(1, sizeof *s);
    s->bridge = b;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->filled, NULL);
    s->count = b->journal_count - 1;
    s->sweepers = xcalloc(s->count + 1, sizeof *s->sweepers);
    for (unsigned i = 0; i < s->count; i++) {
        struct sweeper *w = &s->sweepers[i];
        w->sweeps = s;
        w->bridge = b;
        w->log = i + 1;
        w->journal = b->journals[i + 1];
        w->judge = judge_create(b->catalogue, (size_t)b->config->event_max_bytes);
        w->replay = kafka_replay_create(settings, &replay_hooks, w);
        CHECK(pthread_create(&w->thread, NULL, run, w) == 0);
        pthread_setname_np(w->thread, "sweep");
    }
    return s;
}

void sweeps_stop(struct sweeps *s)
{
    pthread_mutex_lock(&s->lock);
    atomic_store(&s->stopping, true);
    pthread_cond_broadcast(&s->filled);
    pthread_mutex_unlock(&s->lock);
    for (unsigned i = 0; i < s->count; i++)
        pthread_join(s->sweepers[i].thread, NULL);
}

void sweeps_destroy(struct sweeps *s)
{
    if (!s)
        return;
    for (unsigned i = 0; i < s->count; i++) {
        kafka_replay_destroy(s->sweepers[i].replay);
        judge_destroy(s->sweepers[i].judge);
    }
    while (s->waiting) {
        struct request *next = s->waiting->next;
        origin_release(s->waiting->origin);
        free(s->waiting->gaps);
        free(s->waiting);
        s->waiting = next;
    }
    pthread_cond_destroy(&s->filled);
    pthread_mutex_destroy(&s->lock);
    free(s->sweepers);
    free(s);
}
