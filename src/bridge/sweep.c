#include "sweep.h"

#include "state.h"
#include "window.h"

#include "causeway/clock.h"
#include "causeway/log.h"
#include "causeway/memory.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    RECORDS_PER_STEP = 500,
    STEP_WAIT_MS = 10,
    PAUSE_US = 1000,
    AWAY_US = 200000,
    LOOK_MS = 10000, /* for the logs to be seen to be the same */
    GATHER_MS = 60   /* before a sweep begins: most who come back come together, and one under way may do */
};

struct sweeps {
    struct bridge *bridge;
    pthread_mutex_t lock;
    pthread_cond_t filled;
    struct request *first, **last; /* who waits, the oldest first */
    uint64_t next_number;
    atomic_size_t queued;
    atomic_bool stopping;
    struct sweeper *sweepers;
    unsigned count;
};

/* What Kafka turned out not to have at the end of a part, when reading began. */
struct loss {
    size_t part;
    int64_t from, to;
};

struct sweeper {
    struct sweeps *sweeps;
    struct bridge *bridge;
    struct window *window;
    struct kafka_replay *replay;
    pthread_t thread;
    uint64_t invited; /* requests below this number have been asked */
    /* of the sweep at hand */
    struct stretch stretch;
    bool open;   /* the stretch is being read */
    bool broken; /* ... or not to its end, since a life of it is over */
    bool opening;
    struct loss *losses;
    size_t loss_count;
};

/* --- who waits --- */

void sweeps_request(struct sweeps *s, struct worker *w, uint64_t client, uint64_t session,
    struct origin *origin, uint64_t until)
{
    struct request *r = xcalloc(1, sizeof *r);
    *r =
        (struct request){.worker = w, .client = client, .session = session, .origin = origin, .until = until};
    sweeps_request_again(s, r);
}

void sweeps_request_again(struct sweeps *s, struct request *r)
{
    pthread_mutex_lock(&s->lock);
    r->next = NULL;
    r->number = s->next_number++;
    r->since = clock_monotonic_ms();
    *s->last = r;
    s->last = &r->next;
    atomic_fetch_add(&s->queued, 1);
    pthread_cond_signal(&s->filled);
    pthread_mutex_unlock(&s->lock);
}

/* With the lock. */
static struct request *unlink_all(struct sweeps *s)
{
    struct request *all = s->first;
    s->first = NULL;
    s->last = &s->first;
    atomic_store(&s->queued, 0);
    return all;
}

/* NULL: the program ends. */
static struct request *wait_for_requests(struct sweeps *s)
{
    struct request *all = NULL;
    pthread_mutex_lock(&s->lock);
    while (!all && !atomic_load(&s->stopping)) {
        if (!s->first) {
            pthread_cond_wait(&s->filled, &s->lock);
        } else if (clock_monotonic_ms() - s->first->since < GATHER_MS) {
            pthread_mutex_unlock(&s->lock);
            usleep(PAUSE_US);
            pthread_mutex_lock(&s->lock);
        } else {
            all = unlink_all(s);
        }
    }
    pthread_mutex_unlock(&s->lock);
    return all;
}

static void put_back(struct sweeps *s, struct request *r)
{
    pthread_mutex_lock(&s->lock);
    r->next = s->first;
    s->first = r;
    if (!r->next)
        s->last = &r->next;
    atomic_fetch_add(&s->queued, 1);
    pthread_mutex_unlock(&s->lock);
}

/* --- what a window asks of its sweep --- */

static size_t on_queued(void *owner)
{
    return atomic_load(&((struct sweeper *)owner)->sweeps->queued);
}

static bool on_stopping(void *owner)
{
    return atomic_load(&((struct sweeper *)owner)->sweeps->stopping);
}

/* Those who came while the sweep is under way. */
static void on_invite(void *owner)
{
    struct sweeper *s = owner;
    struct sweeps *all = s->sweeps;
    if (atomic_load(&all->queued) == 0)
        return;
    pthread_mutex_lock(&all->lock);
    struct request **at = &all->first;
    while (*at) {
        struct request *r = *at, *next = r->next;
        bool asked = r->number < s->invited;
        if (asked || !window_join(s->window, &s->stretch, r)) {
            at = &r->next;
            continue;
        }
        *at = next;
        atomic_fetch_sub(&all->queued, 1);
    }
    all->last = at;
    s->invited = all->next_number;
    pthread_mutex_unlock(&all->lock);
}

static const struct window_hooks window_hooks = {on_queued, on_invite, on_stopping};

/* --- reading --- */

static void on_record(void *owner, size_t part, const struct record *record)
{
    struct sweeper *s = owner;
    uint32_t number = s->stretch.numbers[part];
    window_record(s->window, number, record);
    s->stretch.place[number] = record->offset + 1;
}

static void tell_lost(struct sweeper *s, const struct loss *l)
{
    struct gap gap = stretch_gap(&s->stretch, l->part, l->from, l->to);
    window_gap(s->window, s->stretch.numbers[l->part], &gap);
}

static void on_lost(void *owner, size_t part, int64_t from, int64_t to)
{
    struct sweeper *s = owner;
    struct loss loss = {part, from, to};
    if (!s->opening) {
        tell_lost(s, &loss);
        return;
    }
    s->losses = xrealloc(s->losses, (s->loss_count + 1) * sizeof *s->losses);
    s->losses[s->loss_count++] = loss;
}

static const struct kafka_replay_hooks replay_hooks = {on_record, on_lost};

static bool open_stretch(struct sweeper *s)
{
    s->loss_count = 0;
    s->opening = true;
    s->open = kafka_replay_begin(s->replay, s->stretch.parts, s->stretch.part_count);
    s->opening = false;
    if (!s->open) {
        log_warn("sweep", "no broker answers: sessions that need history wait");
        usleep(AWAY_US);
    }
    return s->open;
}

static void close_stretch(struct sweeper *s)
{
    if (s->open)
        kafka_replay_end(s->replay);
    s->open = false;
}

/* A topic that was made again is read on by offset, whatever stands there. So nothing is taken before the
 * source has seen, after reading began, that its logs are still the ones that it has read. */
static bool is_same(struct sweeper *s)
{
    struct kafka_source *source = atomic_load(&s->bridge->source);
    uint64_t ask = source ? kafka_source_verify(source) : 0, until = clock_monotonic_ms() + LOOK_MS;
    while (source && !kafka_source_verified(source, ask)) {
        if (on_stopping(s) || !window_is_current(s->window))
            return false;
        if (clock_monotonic_ms() >= until) {
            log_warn("sweep",
                "it cannot be seen whether topics are still the same: sessions that need history wait");
            return false;
        }
        usleep(PAUSE_US);
    }
    return stretch_lives(&s->stretch);
}

static bool open_same_stretch(struct sweeper *s)
{
    if (!open_stretch(s))
        return false;
    s->broken = !is_same(s);
    if (s->broken)
        close_stretch(s);
    return s->open;
}

static void read_on(struct sweeper *s)
{
    enum kafka_replay_step step = kafka_replay_step(s->replay, RECORDS_PER_STEP, STEP_WAIT_MS);
    s->broken = step == REPLAY_BROKEN && !is_same(s);
    if (s->broken)
        close_stretch(s);
    if (step != REPLAY_DONE)
        return;
    for (size_t i = 0; i < s->loss_count; i++)
        tell_lost(s, &s->losses[i]);
    close_stretch(s);
    stretch_close(&s->stretch);
    if (stretch_leads_on(&s->stretch))
        window_end(s->window, &s->stretch);
}

/* The hot log has moved on meanwhile. What Kafka no longer has of the way to it, all who walk the window
 * miss. */
static void go_on(struct sweeper *s)
{
    stretch_go_on(&s->stretch);
    if (!window_is_current(s->window) || !open_same_stretch(s) || !window_go_on(s->window, &s->stretch))
        return;
    int64_t *before = xcalloc(s->stretch.count + 1, sizeof *before);
    memcpy(before, s->stretch.place, s->stretch.count * sizeof *before);
    stretch_settle(&s->stretch);
    for (uint32_t p = 0; p < s->stretch.count; p++)
        if (before[p] < s->stretch.place[p])
            window_gap(s->window, p,
                &(struct gap){partitions_name(s->bridge->partitions, p), before[p], s->stretch.place[p],
                    s->stretch.floor[p].why});
    free(before);
}

static void follow(struct sweeper *s)
{
    while (!on_stopping(s) && window_is_current(s->window) && !window_is_over(s->window)) {
        if (s->open)
            read_on(s);
        else if ((!s->broken && stretch_leads_on(&s->stretch)) || window_is_deserted(s->window))
            usleep(PAUSE_US);
        else
            go_on(s);
        window_show(s->window);
        on_invite(s);
    }
}

/* Into the window, or back among those who wait. */
static void admit(struct sweeper *s, struct request *all, bool begun)
{
    while (all) {
        struct request *next = all->next;
        if (!begun || !window_join(s->window, &s->stretch, all))
            put_back(s->sweeps, all);
        all = next;
    }
}

static void sweep(struct sweeper *s, struct request *all)
{
    s->invited = 0;
    window_take_edition(s->window);
    stretch_plan(&s->stretch, s->bridge, all);
    bool begun = window_is_current(s->window) && open_same_stretch(s);
    if (begun) {
        stretch_settle(&s->stretch);
        begun = window_begin(s->window, &s->stretch);
    }
    admit(s, all, begun);
    if (begun) {
        follow(s);
        window_clear(s->window);
    }
    close_stretch(s);
    stretch_finish(&s->stretch);
}

static void *run(void *argument)
{
    struct sweeper *s = argument;
    struct request *all;
    while ((all = wait_for_requests(s->sweeps)))
        sweep(s, all);
    return NULL;
}

/* --- life --- */

struct sweeps *sweeps_create(struct bridge *b, const struct kafka_settings *settings)
{
    struct sweeps *s = xcalloc(1, sizeof *s);
    s->bridge = b;
    s->last = &s->first;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->filled, NULL);
    s->count = b->journal_count - 1;
    s->sweepers = xcalloc(s->count + 1, sizeof *s->sweepers);
    for (unsigned i = 0; i < s->count; i++) {
        struct sweeper *w = &s->sweepers[i];
        w->sweeps = s;
        w->bridge = b;
        w->window = window_create(b, i + 1, &window_hooks, w);
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
        window_destroy(s->sweepers[i].window);
        free(s->sweepers[i].losses);
    }
    while (s->first) {
        struct request *next = s->first->next;
        origin_release(s->first->origin);
        free(s->first->gaps);
        free(s->first);
        s->first = next;
    }
    pthread_cond_destroy(&s->filled);
    pthread_mutex_destroy(&s->lock);
    free(s->sweepers);
    free(s);
}
