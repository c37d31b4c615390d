/* The pool. Its thread does four things in a circle: it turns the connections, takes in what was posted,
   answers those who have waited too long, and gives what is queued to the connection with the least under
   way. The last connection listens and gets no lookups. Callers touch only the mailbox (under its lock) and
   some atomics. */
#include "causeway/postgres.h"

#include "causeway/clock.h"
#include "causeway/inflight.h"
#include "causeway/lock.h"
#include "causeway/log.h"
#include "causeway/map.h"
#include "causeway/memory.h"
#include "causeway/metrics.h"
#include "postgres_connection.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
    FRESH_MS = 2000,             /* heard of within this time: healthy */
    STATEMENT_TIMEOUT_MS = 1500, /* less than what a connection may be silent */
    QUIET_MS = 60000,            /* between two equal log lines */
    BLAMES_MAX = 3,
    IDLE_MS = 500, /* the loop turns at least so often, for the gauge */
};

static const int64_t NEVER = INT64_MIN;

/* When each text may be logged again. */
struct complaints {
    struct map *next; /* text -> int64_t */
};

struct postgres {
    struct postgres_target *target;
    struct postgres_connection **connections; /* those for lookups, then the one that listens */
    unsigned connection_count;                /* all of them ... */
    unsigned lookup_count;                    /* ... those for lookups */
    bool listens;                             /* the last one does so now */
    void (*notified)(void *owner, struct slice payload, uint64_t mark);
    void *owner;
    struct pollfd *polls; /* the mailbox, then one per connection */
    struct inflight *inflight;
    struct complaints complaints;
    int64_t now; /* of the current turn */
    bool was_healthy;

    pthread_t thread;
    pthread_mutex_t lock;
    struct flight_list mailbox;
    int wake;
    atomic_bool stopping;
    _Atomic int64_t last_heard;
    atomic_uint ready;
    _Atomic uint64_t mark; /* the number of the last change that was heard of */
    struct lock pulse_lock;
    struct postgres_pulse pulse; /* without answer_ms */
};

static void ring(struct postgres *p)
{
    uint64_t one = 1;
    ssize_t written = write(p->wake, &one, sizeof one);
    (void)written; /* only a full counter fails, and then the loop is woken anyway */
}

/* True once a minute for each text. */
static bool may_complain(struct complaints *c, struct slice text, int64_t now)
{
    int64_t *next = map_find(c->next, text);
    if (!next) {
        next = xmalloc(sizeof *next);
        map_set(c->next, text, next);
    } else if (now < *next) {
        return false;
    }
    *next = now + QUIET_MS;
    return true;
}

static void complaints_finish(struct complaints *c)
{
    size_t cursor = 0;
    struct slice text;
    void *next;
    while (map_next(c->next, &cursor, &text, &next))
        free(next);
    map_destroy(c->next);
}

static const char *outcome_name(enum lookup_status status)
{
    static const char *const names[] = {
        [LOOKUP_OK] = "ok", [LOOKUP_UNAVAILABLE] = "unavailable", [LOOKUP_FAILED] = "failed"};
    return names[status];
}

static void on_answered(
    void *owner, struct flight *f, enum lookup_status status, struct rows *rows, const char *fault)
{
    struct postgres *p = owner;
    if (fault && may_complain(&p->complaints, slice_of(flight_sql(f)), p->now))
        log_error(
            "postgres", "lookup %s fault=\"%s\" sql=\"%.400s\"", outcome_name(status), fault, flight_sql(f));
    metric_add(metric_label(METRIC_DB_QUERIES, outcome_name(status)), 1);
    inflight_finish(p->inflight, f, status, rows);
}

/* A statement that brings connections down must not go round with them until its deadline, taking everybody
 * else along. */
static void on_returned(void *owner, struct flight *f, bool running)
{
    struct postgres *p = owner;
    if (running && flight_blame(f) >= BLAMES_MAX) {
        on_answered(p, f, LOOKUP_UNAVAILABLE, NULL, "connections are lost while this runs");
        return;
    }
    metric_add(metric_label(METRIC_DB_QUERIES, "retried"), 1);
    inflight_requeue(p->inflight, f);
}

static void on_heard(void *owner, int64_t now)
{
    struct postgres *p = owner;
    atomic_store(&p->last_heard, now);
}

/* Every connection fails alike while the database is away, and again with every try. */
static void on_failed(void *owner, const char *fault)
{
    struct postgres *p = owner;
    if (may_complain(&p->complaints, slice_of(fault), p->now))
        log_warn("postgres", "connection failed fault=\"%s\"", fault);
}

static const struct postgres_connection_hooks connection_hooks = {
    .answered = on_answered, .returned = on_returned, .heard = on_heard, .failed = on_failed};

/* --- the connection that listens --- */

uint64_t postgres_mark(struct postgres *p)
{
    return atomic_fetch_add(&p->mark, 1) + 1;
}

/* What was notified before is missed: lookups that were sent before now say nothing about it. */
static void on_listening(void *owner)
{
    struct postgres *p = owner;
    uint64_t mark = postgres_mark(p);
    p->listens = true;
    lock_take(&p->pulse_lock);
    p->pulse.epoch++;
    p->pulse.mark = mark;
    p->pulse.heard_ms = p->now;
    lock_give(&p->pulse_lock);
    log_info("postgres", "listening for changes of rights");
}

static void on_listener_heard(void *owner, int64_t now)
{
    struct postgres *p = owner;
    if (!p->listens)
        return;
    lock_take(&p->pulse_lock);
    p->pulse.heard_ms = now;
    lock_give(&p->pulse_lock);
}

static void on_listener_failed(void *owner, const char *fault)
{
    struct postgres *p = owner;
    if (p->listens)
        log_warn("postgres", "no longer listening for changes of rights fault=\"%s\"", fault);
    else
        on_failed(owner, fault);
    p->listens = false;
}

static void on_notified(void *owner, struct slice payload)
{
    struct postgres *p = owner;
    p->notified(p->owner, payload, postgres_mark(p));
}

static const struct postgres_connection_hooks listener_hooks = {.heard = on_listener_heard,
    .failed = on_listener_failed,
    .listening = on_listening,
    .notified = on_notified};

struct postgres_pulse postgres_pulse(struct postgres *p)
{
    lock_take(&p->pulse_lock);
    struct postgres_pulse pulse = p->pulse;
    lock_give(&p->pulse_lock);
    int64_t heard = atomic_load(&p->last_heard);
    pulse.answer_ms = heard == NEVER ? 0 : heard;
    return pulse;
}

static struct flight_list take_mail(struct postgres *p)
{
    pthread_mutex_lock(&p->lock);
    struct flight_list mail = p->mailbox;
    p->mailbox = (struct flight_list){0};
    pthread_mutex_unlock(&p->lock);
    return mail;
}

/* true when there was any. */
static bool read_mail(struct postgres *p)
{
    struct flight_list mail = take_mail(p);
    bool any = mail.first != NULL;
    p->now = (int64_t)clock_monotonic_ms(); /* not before the mail was posted, or it would be cut short */
    for (struct flight *f = flight_list_take(&mail); f; f = flight_list_take(&mail)) {
        if (inflight_post(p->inflight, f, p->now))
            metric_add(metric_get(METRIC_DB_SHARED), 1);
    }
    return any;
}

static struct postgres_connection *least_loaded(const struct postgres *p)
{
    struct postgres_connection *best = NULL;
    size_t least = SIZE_MAX;
    for (unsigned i = 0; i < p->lookup_count; i++) {
        size_t load = postgres_connection_load(p->connections[i]);
        if (load < least) {
            least = load;
            best = p->connections[i];
        }
    }
    return best;
}

/* libpq would cut the text at its NUL and ask for something else; in the database nothing can be equal to it.
 */
static void finish_empty(struct postgres *p, struct flight *f)
{
    struct rows *none = rows_create(NULL, 0);
    inflight_finish(p->inflight, f, LOOKUP_OK, none);
    rows_release(none);
}

static void send_queued(struct postgres *p)
{
    struct postgres_connection *c;
    while ((c = least_loaded(p)) != NULL) {
        struct flight *f = inflight_take(p->inflight, atomic_load(&p->mark));
        if (!f)
            return;
        if (flight_has_nul(f))
            finish_empty(p, f);
        else
            postgres_connection_send(c, f, p->now);
    }
}

static bool is_fresh(int64_t last_heard, int64_t now)
{
    return last_heard != NEVER && now - last_heard < FRESH_MS;
}

static void note_health(struct postgres *p)
{
    unsigned ready = 0;
    for (unsigned i = 0; i < p->lookup_count; i++)
        ready += postgres_connection_ready(p->connections[i]);
    atomic_store(&p->ready, ready);

    bool healthy = is_fresh(atomic_load(&p->last_heard), p->now);
    metric_set(metric_get(METRIC_DB_UP), healthy);
    if (healthy && !p->was_healthy)
        log_info("postgres", "database answers");
    else if (!healthy && p->was_healthy)
        log_warn("postgres", "database does not answer");
    p->was_healthy = healthy;
}

static int poll_timeout(const struct postgres *p)
{
    int64_t due = inflight_deadline(p->inflight);
    for (unsigned i = 0; i < p->connection_count; i++) {
        int64_t at = postgres_connection_due(p->connections[i]);
        due = at < due ? at : due;
    }
    int64_t left = due == INT64_MAX ? IDLE_MS : due - (int64_t)clock_monotonic_ms();
    return (int)(left < 0 ? 0 : left > IDLE_MS ? IDLE_MS : left);
}

static void wait_for_work(struct postgres *p)
{
    p->polls[0] = (struct pollfd){.fd = p->wake, .events = POLLIN};
    for (unsigned i = 0; i < p->connection_count; i++)
        p->polls[i + 1] = postgres_connection_interest(p->connections[i]);
    poll(p->polls, p->connection_count + 1, poll_timeout(p));

    uint64_t count;
    if (p->polls[0].revents & POLLIN) {
        ssize_t got = read(p->wake, &count, sizeof count);
        (void)got; /* it says only that there is mail */
    }
}

/* Whoever is waiting is answered on this thread, also those who come in while others are being answered. */
static void wind_up(struct postgres *p)
{
    for (unsigned i = 0; i < p->connection_count; i++)
        postgres_connection_destroy(p->connections[i]);
    do
        inflight_expire(p->inflight, INT64_MAX);
    while (read_mail(p));
}

static void *run(void *argument)
{
    struct postgres *p = argument;
    while (!atomic_load(&p->stopping)) {
        p->now = (int64_t)clock_monotonic_ms();
        for (unsigned i = 0; i < p->connection_count; i++)
            postgres_connection_turn(p->connections[i], p->polls[i + 1].revents, p->now);
        read_mail(p);
        inflight_expire(p->inflight, p->now);
        send_queued(p);
        note_health(p);
        wait_for_work(p);
    }
    wind_up(p);
    return NULL;
}

static void start_thread(struct postgres *p)
{
    /* Signals are the main thread's business. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    CHECK(pthread_create(&p->thread, NULL, run, p) == 0);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_setname_np(p->thread, "postgres");
}

struct postgres *postgres_create(const struct postgres_settings *settings)
{
    CHECK(settings->connections > 0 && settings->answer_timeout_ms > 0);
    unsigned patience = settings->answer_timeout_ms;
    struct postgres *p = xcalloc(1, sizeof *p);
    p->target = postgres_target_create(
        settings->url, patience < STATEMENT_TIMEOUT_MS ? patience : STATEMENT_TIMEOUT_MS);
    p->inflight = inflight_create(patience);
    p->complaints.next = map_create();
    p->notified = settings->notified;
    p->owner = settings->owner;
    p->lookup_count = settings->connections;
    p->connection_count = p->lookup_count + (settings->channel != NULL);
    p->connections = xcalloc(p->connection_count, sizeof(struct postgres_connection *));
    p->polls = xcalloc(p->connection_count + 1, sizeof *p->polls);
    for (unsigned i = 0; i < p->lookup_count; i++)
        p->connections[i] = postgres_connection_create(p->target, NULL, &connection_hooks, p);
    if (settings->channel)
        p->connections[p->lookup_count] =
            postgres_connection_create(p->target, settings->channel, &listener_hooks, p);

    atomic_init(&p->last_heard, NEVER);
    pthread_mutex_init(&p->lock, NULL);
    lock_init(&p->pulse_lock);
    p->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    CHECK(p->wake >= 0);
    start_thread(p);
    return p;
}

void postgres_destroy(struct postgres *p)
{
    if (!p)
        return;
    atomic_store(&p->stopping, true);
    ring(p);
    pthread_join(p->thread, NULL);
    inflight_destroy(p->inflight);
    complaints_finish(&p->complaints);
    postgres_target_destroy(p->target);
    pthread_mutex_destroy(&p->lock);
    lock_finish(&p->pulse_lock);
    close(p->wake);
    free(p->connections);
    free(p->polls);
    free(p);
}

void postgres_lookup(struct postgres *p, struct slice sql, const struct slice *params, size_t count,
    uint64_t after, postgres_answer answer, void *context)
{
    struct flight *f = flight_create(sql, params, count, after, answer, context);
    pthread_mutex_lock(&p->lock);
    bool first = p->mailbox.first == NULL;
    flight_list_add(&p->mailbox, f);
    pthread_mutex_unlock(&p->lock);
    if (first)
        ring(p);
}

bool postgres_healthy(struct postgres *p, char *detail, size_t size)
{
    /* /readyz shows the detail to anybody, so it tells no host and no message of the server; those are in the
     * log. */
    int64_t heard = atomic_load(&p->last_heard), now = (int64_t)clock_monotonic_ms();
    unsigned ready = atomic_load(&p->ready);
    bool healthy = is_fresh(heard, now);
    if (healthy)
        snprintf(detail, size, "answering, %u of %u connections", ready, p->lookup_count);
    else if (heard == NEVER)
        snprintf(detail, size, "not connected yet");
    else
        snprintf(detail, size, "no answer for %lld ms", (long long)(now - heard));
    return healthy;
}
