#include "worker.h"

#include "gate.h"
#include "history.h"
#include "reload.h"
#include "rights.h"
#include "stand_in.h"
#include "state.h"
#include "status.h"
#include "sweep.h"

#include "causeway/log.h"
#include "causeway/memory.h"
#include "causeway/metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    COUNT_MS = 1000,
    PULSE_MS = 200,
    UPGRADE_MS = 10000, /* Socket.IO: from a probe to the upgrade */
};

static uint64_t on_now(void *owner)
{
    struct worker *w = owner;
    return loop_now(w->loop);
}

static void on_judge(void *owner, struct slice token, uint64_t client, uint64_t tag)
{
    struct worker *w = owner;
    gate_judge(w->bridge->gate, w, token, client, tag);
}

static bool on_started(void *owner)
{
    struct worker *w = owner;
    return bridge_started(w->bridge);
}

/* --- cursors and history --- */

static void on_locate(void *owner, const struct cursor *cursor, uint64_t client, uint64_t tag)
{
    struct worker *w = owner;
    if (w->bridge->stand_in)
        stand_in_locate(w, cursor, client, tag);
    else
        history_locate(w->bridge->history, w, cursor, client, tag);
}

static size_t on_cursor(
    void *owner, unsigned log, uint64_t least, uint64_t position, char out[CURSOR_TEXT_MAX + 1])
{
    struct worker *w = owner;
    return journal_cursor(w->bridge->journals[log], least, position, out);
}

static void on_away(void *owner, uint64_t client, uint64_t session, struct origin *origin, uint64_t until)
{
    struct worker *w = owner;
    if (w->bridge->stand_in)
        stand_in_away(w, client, session, origin);
    else
        sweeps_request(w->bridge->sweeps, w, client, session, origin, until);
}

static const struct client_services services = {on_now, on_judge, on_locate, on_cursor, on_away};

static const struct ws_hooks ws_hooks = {on_started};

/* --- the front door --- */

static bool on_upgrade(void *owner, struct conn *c, const struct http_head *head)
{
    struct worker *w = owner;
    return ws_accept(w->ws, c, head);
}

static bool on_request(void *owner, const struct http_head *head, struct buffer *response)
{
    struct worker *w = owner;
    return status_request(w, head, response);
}

static int on_elsewhere(void *owner, const struct http_head *head)
{
    struct worker *w = owner;
    int loop = sio_loop(w->sio, head);
    bool other = loop >= 0 && (unsigned)loop < w->bridge->worker_count && &w->bridge->workers[loop] != w;
    return other ? loop : -1;
}

static void on_move(void *owner, int loop, int fd, struct slice read, uint64_t spent)
{
    struct worker *w = owner;
    worker_adopt(&w->bridge->workers[loop], fd, read, spent);
}

static bool on_take(void *owner, struct conn *c, const struct http_head *head)
{
    struct worker *w = owner;
    return sio_take(w->sio, c, head);
}

static const struct front_hooks front_hooks = {on_elsewhere, on_move, on_take, on_upgrade, on_request};

static void on_answered(void *owner, struct conn *c)
{
    struct worker *w = owner;
    front_return(w->front, c);
}

static const struct sio_app_hooks sio_hooks = {on_started, on_answered};

struct arrival {
    struct loop_task task;
    struct worker *worker;
    int fd;
    struct buffer read;
    uint64_t spent;
};

static void on_arrival(struct loop_task *task)
{
    struct arrival *a = (struct arrival *)task;
    front_adopt_moved(a->worker->front, a->fd, buffer_slice(&a->read), a->spent);
    buffer_finish(&a->read);
    free(a);
}

void worker_adopt(struct worker *w, int fd, struct slice read, uint64_t spent)
{
    struct arrival *a = xcalloc(1, sizeof *a);
    *a = (struct arrival){.task.run = on_arrival, .worker = w, .fd = fd, .spent = spent};
    buffer_add_slice(&a->read, read);
    loop_post(w->loop, &a->task);
}

/* --- the loop --- */

static bool on_turn(void *owner)
{
    struct worker *w = owner;
    lookups_review(w->lookups);
    bool more = fanout_turn(w->fanout);
    sio_turn(w->sio);
    size_t peers = ws_peers(w->ws) + sio_connections(w->sio);
    atomic_store_explicit(&w->peers, peers, memory_order_relaxed);
    return more;
}

static bool on_pending(void *owner)
{
    struct worker *w = owner;
    return fanout_pending(w->fanout);
}

static const struct loop_hooks loop_hooks = {on_turn, on_pending};

static void on_count(struct loop_timer *timer)
{
    struct worker *w = (struct worker *)((char *)timer - offsetof(struct worker, count_timer));
    loop_timer_set(w->loop, &w->count_timer, COUNT_MS);
    struct fanout_counts counts = fanout_counts(w->fanout);
    metric_add(metric_get(METRIC_DELIVERED), (int64_t)counts.deliveries);
    metric_add(metric_get(METRIC_DELIVERED_BYTES), (int64_t)counts.bytes);
    metric_add(metric_get(METRIC_BEHIND_EVENTS), (int64_t)counts.replayed);
    metric_add(metric_get(METRIC_SESSIONS_BEHIND), (int64_t)counts.behind - w->behind);
    w->behind = (int64_t)counts.behind;
}

static void on_pulse(struct loop_timer *timer)
{
    struct worker *w = (struct worker *)((char *)timer - offsetof(struct worker, pulse_timer));
    loop_timer_set(w->loop, &w->pulse_timer, PULSE_MS);
    timeline_note(w->timeline, loop_now(w->loop), hotlog_head(journal_log(w->bridge->journals[0])));
    rights_pulse(w);
    history_pulse(w);
}

/* Whoever is at the head stays there; all others go on, later, in what is read from Kafka anew. */
void worker_leave_past(struct worker *w, struct edition *e)
{
    (void)e;
    fanout_turn(w->fanout);
    fanout_leave_past(w->fanout);
}

void worker_change_edition(struct worker *w, struct edition *e)
{
    struct edition *before = w->edition;
    fanout_leave_past(w->fanout); /* those who have come back meanwhile */
    timeline_note(w->timeline, loop_now(w->loop), hotlog_head(journal_log(w->bridge->journals[0])));
    w->edition = edition_hold(e);
    lookups_adopt(w->lookups, e->catalogue);
    ws_adopt(w->ws, e->catalogue);
    sio_adopt(w->sio, e->catalogue);
    edition_release(before);
}

static void on_drain(struct loop_task *task)
{
    struct worker *w = (struct worker *)((char *)task - offsetof(struct worker, drain_task));
    uint64_t within =
        (uint64_t)w->bridge->config->drain_timeout * 700; /* the rest is for the peers' own closes */
    ws_drain(w->ws, within);
    sio_drain(w->sio, within);
}

void worker_drain(struct worker *w)
{
    loop_post(w->loop, &w->drain_task);
}

static void *run(void *argument)
{
    struct worker *w = argument;
    loop_run(w->loop);
    return NULL;
}

static struct sio *create_sio(struct worker *w, const struct client_settings *client)
{
    const struct config *config = w->bridge->config;
    uint64_t ping_ms = (uint64_t)config->ping_interval * 1000,
             life_ms = (uint64_t)config->life_timeout * 1000;
    struct sio_settings settings = {
        .server.engine =
            {
                .path = "/socket.io/",
                .ping_ms = ping_ms,
                .pong_ms = life_ms - ping_ms,
                .upgrade_ms = UPGRADE_MS,
                .message_max = (size_t)config->message_max_bytes,
                .origins = config->frontend_url,
                .loop = (unsigned)(w - w->bridge->workers),
            },
        .server.connect_ms = (uint64_t)config->namespace_timeout * 1000,
        .hold_ms = (uint64_t)config->hold_timeout * 1000,
    };
    return sio_create(w->loop, client, &settings, &sio_hooks, w);
}

static struct ws *create_ws(struct worker *w, const struct client_settings *client)
{
    const struct config *config = w->bridge->config;
    struct ws_settings settings = {
        .message_max = (size_t)config->message_max_bytes,
        .ping_ms = (uint64_t)config->ping_interval * 1000,
        .life_ms = (uint64_t)config->life_timeout * 1000,
        .auth_ms = (uint64_t)config->auth_timeout * 1000,
        .hold_ms = (uint64_t)config->hold_timeout * 1000,
        .origins = config->frontend_url,
    };
    return ws_create(w->loop, client, &settings, &ws_hooks, w);
}

void worker_create(struct worker *w, struct bridge *b)
{
    const struct config *config = b->config;
    w->bridge = b;
    w->edition = reload_current(b->reload);
    w->loop = loop_create();
    struct hotlog *logs[FANOUT_LOGS_MAX];
    for (unsigned i = 0; i < b->journal_count; i++)
        logs[i] = journal_log(b->journals[i]);
    w->fanout = fanout_create(logs, b->journal_count, b->rooms);
    w->roster = roster_create();
    w->timeline = timeline_create(loop_now(w->loop), hotlog_head(logs[0]));
    w->lookups = rights_lookups_create(w);
    for (unsigned i = 0; i < b->journal_count; i++)
        fanout_lend_bases(w->fanout, i, journal_bases(b->journals[i]));
    struct client_settings client = {
        .roster = w->roster,
        .services = &services,
        .services_owner = w,
        .fanout = w->fanout,
        .hotlog = logs[0],
        .partitions = b->partitions,
        .catalogue = w->edition->catalogue,
        .lookups = w->lookups,
        .timeline = w->timeline,
        .rooms_max = (size_t)config->rooms_max,
        .expiry_warning_ms = config->jwt_expiry_warning * 1000,
        .backfill_ms = (uint64_t)config->grants_backfill * 1000,
        .ack_ms = (uint64_t)config->ack_timeout * 1000,
    };
    w->ws = create_ws(w, &client);
    w->sio = create_sio(w, &client);
    w->front = front_create(w->loop, (uint64_t)config->auth_timeout * 1000, &front_hooks, w);
    front_set_limits(w->front, b->limits, config->trusted_proxies);
    w->drain_task.run = on_drain;
    w->count_timer.on_due = on_count;
    loop_timer_set(w->loop, &w->count_timer, COUNT_MS);
    w->pulse_timer.on_due = on_pulse;
    loop_timer_set(w->loop, &w->pulse_timer, PULSE_MS);
    loop_set_hooks(w->loop, &loop_hooks, w);
}

void worker_start(struct worker *w)
{
    CHECK(pthread_create(&w->thread, NULL, run, w) == 0);
    char name[16];
    snprintf(name, sizeof name, "loop-%u", (unsigned)(w - w->bridge->workers));
    pthread_setname_np(w->thread, name);
}

void worker_stop(struct worker *w)
{
    loop_stop(w->loop);
    pthread_join(w->thread, NULL);
}

void worker_finish(struct worker *w)
{
    loop_settle(w->loop);
    history_forget(w);
    front_destroy(w->front);
    ws_destroy(w->ws);
    sio_destroy(w->sio);
    roster_destroy(w->roster);
    lookups_destroy(w->lookups);
    timeline_destroy(w->timeline);
    fanout_destroy(w->fanout);
    loop_destroy(w->loop);
    edition_release(w->edition);
}
