#include "window.h"

#include "history.h"
#include "judge.h"
#include "state.h"
#include "sweep.h"

#include "causeway/clock.h"
#include "causeway/log.h"
#include "causeway/memory.h"
#include "causeway/metrics.h"
#include "causeway/random.h"

#include <stdlib.h>
#include <unistd.h>

enum {
    SHOW_AT = 5,      /* percent of the window that may have been read without being shown */
    WAIT_AT = 50,     /* ... that may lie before the slowest of those who walk it */
    LEFT_BEHIND = 40, /* who falls out stood further back */
    PAUSE_US = 1000,
    PATIENCE_MS = 1000, /* of one who waits with one who walks */
    PATIENCE_LEAST_MS = 250,
    DESERTED_MS = 2000, /* so that one who was cut finds it again */
    CHECKPOINT_MS = 1000,
    DISMISS_MS = 1000,
    TELL_AFTER_MS = 5000
};

/* How long others have waited for those who walk, in session milliseconds. */
struct patience {
    uint64_t since, at, waited;
};

struct window {
    struct bridge *bridge;
    unsigned number; /* of its log */
    struct journal *journal;
    struct hotlog *log;
    struct judge *judge;
    const struct window_hooks *hooks;
    void *owner;
    atomic_size_t entering;  /* sessions that were let in, and have not come yet */
    uint64_t entering_at;    /* the least position that they come to */
    uint64_t deserted_since; /* 0: it is not */
    uint64_t checkpoint_at;
    bool ended;
    struct patience patience; /* since the end */
};

static void pace(void *owner);

struct window *window_create(struct bridge *b, unsigned log, const struct window_hooks *hooks, void *owner)
{
    struct window *w = xcalloc(1, sizeof *w);
    w->bridge = b;
    w->number = log;
    w->journal = b->journals[log];
    w->log = journal_log(w->journal);
    w->judge = judge_create(b);
    w->hooks = hooks;
    w->owner = owner;
    journal_set_pace(w->journal, pace, w);
    return w;
}

void window_destroy(struct window *w)
{
    judge_destroy(w->judge);
    free(w);
}

static void wake_loops(struct window *w)
{
    for (unsigned i = 0; i < w->bridge->worker_count; i++)
        loop_wake(w->bridge->workers[i].loop);
}

/* --- the catalogue --- */

bool window_is_current(const struct window *w)
{
    return reload_is_current(w->bridge->reload, judge_edition(w->judge));
}

void window_take_edition(struct window *w)
{
    if (window_is_current(w))
        return;
    struct edition *e = reload_current(w->bridge->reload);
    judge_adopt(w->judge, e);
    edition_release(e);
}

/* --- beginning --- */

static bool is_covered(struct window *w, uint32_t count)
{
    char cursor[CURSOR_TEXT_MAX + 1];
    history_take_acknowledgements(w->bridge->history, w->number);
    return journal_covered(w->journal) >= count && journal_cursor(w->journal, 0, UINT64_MAX, cursor) > 0;
}

/* Cursors are to know these partitions from the first record on. */
static bool cover(struct window *w, const struct stretch *t)
{
    for (uint32_t p = journal_covered(w->journal); p < t->count; p++)
        journal_advance(w->journal, p, t->place[p], NULL);
    history_checkpoint(w->bridge->history, w->number, true);
    uint64_t since = clock_monotonic_ms();
    for (bool told = false; !is_covered(w, t->count); usleep(PAUSE_US)) {
        if (w->hooks->stopping(w->owner) || !window_is_current(w))
            return false;
        if (!told && clock_monotonic_ms() - since > TELL_AFTER_MS) {
            log_warn("sweep", "the checkpoint topic cannot be written: sessions that need history wait");
            told = true;
        }
    }
    return true;
}

bool window_begin(struct window *w, const struct stretch *t)
{
    journal_restart(w->journal, random_u64());
    if (!cover(w, t))
        return false;
    w->deserted_since = 0;
    w->ended = false;
    w->checkpoint_at = clock_monotonic_ms() + CHECKPOINT_MS;
    return true;
}

/* --- who walks it --- */

/* @thread loop */
static void enter(struct loop_task *task)
{
    struct request *r = (struct request *)task;
    if (r->edition != r->worker->edition->number) { /* what its rooms are called there is another matter */
        atomic_fetch_sub(&r->window->entering, 1);
        sweeps_request_again(r->worker->bridge->sweeps, r);
        return;
    }
    struct client *c = roster_find(r->worker->roster, r->client);
    if (c)
        client_enter(c, r->session, r->log, r->position, r->origin, r->gaps, r->gap_count);
    fanout_report(r->worker->fanout); /* before it counts as entered: the window must not look deserted */
    atomic_fetch_sub(&r->window->entering, 1);
    origin_release(r->origin);
    free(r->gaps);
    free(r);
}

bool window_join(struct window *w, const struct stretch *t, struct request *r)
{
    if (stretch_passes(t, r->until) || (w->ended && !stretch_leads_on(t)))
        return false;
    struct origin *reach = stretch_reach(t, r->origin);
    uint64_t position = hotlog_enter(w->log, reach->skip, reach->count);
    if (position == HOTLOG_NOWHERE || position < hotlog_tail(w->log)) {
        origin_release(reach);
        return false;
    }
    stretch_declare(t, r, reach);
    r->window = w;
    r->edition = judge_edition(w->judge)->number;
    r->log = w->number;
    r->position = position;
    if (atomic_load(&w->entering) == 0 || position < w->entering_at)
        w->entering_at = position;
    atomic_fetch_add(&w->entering, 1);
    r->task.run = enter;
    loop_post(r->worker->loop, &r->task);
    return true;
}

bool window_is_deserted(const struct window *w)
{
    return atomic_load(&w->entering) == 0 && hotlog_walkers(w->log) == 0;
}

/* --- patience --- */

static void begin_patience(struct patience *p)
{
    p->since = p->at = clock_monotonic_ms();
    p->waited = 0;
}

/* Each one who waits counts, at the head of the window or for a sweep, against each one who walks: a slow
   client does not hold up many, nor a single newcomer thousands. */
static bool is_exhausted(struct window *w, struct patience *p)
{
    uint64_t now = clock_monotonic_ms();
    size_t waiting = hotlog_waiting(w->log), all = hotlog_walkers(w->log);
    size_t walking = all > waiting ? all - waiting : 0;
    p->waited += (now - p->at) * (waiting + w->hooks->queued(w->owner));
    p->at = now;
    return now - p->since >= PATIENCE_LEAST_MS && p->waited > PATIENCE_MS * walking;
}

static unsigned backlog(const struct window *w)
{
    unsigned walking = hotlog_backlog(w->log);
    unsigned entering = atomic_load(&w->entering) > 0 ? hotlog_fill(w->log, w->entering_at) : 0;
    return walking > entering ? walking : entering;
}

/* --- what was read --- */

static void show_log(struct window *w)
{
    journal_publish(w->journal);
    wake_loops(w);
}

/* Sends away who stands before `position`; a loop that does not answer is not waited for. */
static void dismiss(struct window *w, uint64_t position)
{
    uint64_t until = clock_monotonic_ms() + DISMISS_MS;
    hotlog_dismiss(w->log, position);
    while (hotlog_slowest(w->log) < position && !window_is_deserted(w) && clock_monotonic_ms() < until) {
        wake_loops(w);
        usleep(PAUSE_US);
    }
}

static void pace(void *owner)
{
    struct window *w = owner;
    if (hotlog_fill(w->log, hotlog_head(w->log)) >= SHOW_AT)
        show_log(w);
    if (backlog(w) < WAIT_AT)
        return;
    show_log(w);
    struct patience patience;
    begin_patience(&patience);
    while (backlog(w) >= WAIT_AT && !w->hooks->stopping(w->owner)) {
        if (is_exhausted(w, &patience)) {
            dismiss(w, hotlog_last(w->log, LEFT_BEHIND));
            hotlog_shed(w->log, WAIT_AT);
            return;
        }
        usleep(PAUSE_US);
        w->hooks->invite(w->owner);
    }
}

void window_record(struct window *w, uint32_t partition, const struct record *record)
{
    judge_record(w->judge, w->journal, partition, record, false);
    journal_advance(w->journal, partition, record->offset + 1, record);
}

void window_gap(struct window *w, uint32_t partition, const struct gap *gap)
{
    journal_append_gap(w->journal, judge_edition(w->judge)->catalogue, partition, gap);
    journal_advance(w->journal, partition, gap->to, NULL);
    metric_add(metric_label(METRIC_GAPS, gap_reason_text(gap->reason)), 1);
}

void window_show(struct window *w)
{
    history_take_acknowledgements(w->bridge->history, w->number);
    journal_publish(w->journal);
    wake_loops(w);
    uint64_t now = clock_monotonic_ms();
    if (now >= w->checkpoint_at && history_checkpoint(w->bridge->history, w->number, false))
        w->checkpoint_at = now + CHECKPOINT_MS;
}

/* --- ending --- */

void window_end(struct window *w, const struct stretch *t)
{
    for (uint32_t p = 0; p < t->count; p++)
        journal_advance(w->journal, p, t->place[p], NULL);
    journal_publish(w->journal);
    hotlog_end(w->log, hotlog_head(w->log), t->position);
    w->ended = true;
    begin_patience(&w->patience);
    wake_loops(w);
}

bool window_go_on(struct window *w, const struct stretch *t)
{
    if (journal_covered(w->journal) < t->count && !cover(w, t))
        return false;
    hotlog_end(w->log, HOTLOG_NOWHERE, 0);
    w->ended = false;
    return true;
}

bool window_is_over(struct window *w)
{
    uint64_t now = clock_monotonic_ms();
    if (!window_is_deserted(w)) {
        w->deserted_since = 0;
        return w->ended && is_exhausted(w, &w->patience);
    }
    if (w->deserted_since == 0)
        w->deserted_since = now;
    return now - w->deserted_since >= DESERTED_MS || w->hooks->queued(w->owner) > 0;
}

void window_clear(struct window *w)
{
    dismiss(w, HOTLOG_NOWHERE);
    hotlog_evict_all(w->log);
    while (!window_is_deserted(w) && !w->hooks->stopping(w->owner)) {
        wake_loops(w);
        usleep(PAUSE_US);
    }
}
