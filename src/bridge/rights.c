#include "rights.h"

#include "invalidations.h"
#include "reload.h"
#include "stand_in.h"
#include "state.h"

#include "causeway/clock.h"
#include "causeway/log.h"
#include "causeway/memory.h"
#include "causeway/metrics.h"

#include <stdio.h>
#include <stdlib.h>

enum { LISTENING_MS = 2000 };

/* --- lookups --- */

struct ticket {
    struct loop_task task;
    struct worker *worker;
    uint64_t tag;
    enum lookup_status status;
    struct rows *rows;
    double asked; /* seconds */
};

static void bring_answer(struct loop_task *task)
{
    struct ticket *t = (struct ticket *)task;
    lookups_answer(t->worker->lookups, t->tag, t->status, t->rows);
    rows_release(t->rows);
    free(t);
}

/* @thread postgres */
static void on_answer(void *context, enum lookup_status status, struct rows *rows)
{
    struct ticket *t = context;
    metric_observe(metric_get(METRIC_LOOKUP_SECONDS), clock_monotonic_s() - t->asked);
    t->status = status;
    t->rows = rows ? rows_hold(rows) : NULL;
    loop_post(t->worker->loop, &t->task);
}

static void on_ask(void *owner, const struct lookup *lookup, const struct slice *params, size_t count,
    uint64_t after, uint64_t tag)
{
    struct worker *w = owner;
    if (!w->bridge->postgres &&
        !w->bridge->stand_in) /* the end: what was under way is settled, and nothing begins */
        return;
    struct ticket *t = xcalloc(1, sizeof *t);
    *t = (struct ticket){.task.run = bring_answer, .worker = w, .tag = tag, .asked = clock_monotonic_s()};
    if (w->bridge->stand_in) {
        t->rows = stand_in_answer(w->bridge->stand_in, w->edition->catalogue, lookup, params, count);
        t->status = LOOKUP_OK;
        loop_post(w->loop, &t->task);
        return;
    }
    postgres_lookup(w->bridge->postgres, lookup->sql, params, count, after, on_answer, t);
}

static uint64_t on_now(void *owner)
{
    struct worker *w = owner;
    return loop_now(w->loop);
}

struct lookups *rights_lookups_create(struct worker *w)
{
    const struct config *config = w->bridge->config;
    struct lookups_settings settings = {
        .lease_ms = (uint64_t)config->grants_lease * 1000,
        .poll_ms = (uint64_t)config->grants_poll * 1000,
        .patience_ms = (uint64_t)config->hold_timeout * 1000,
    };
    static const struct lookups_hooks hooks = {on_ask, on_now};
    return lookups_create(w->edition->catalogue, &settings, &hooks, w);
}

/* --- changes --- */

struct change {
    struct loop_task task;
    struct worker *worker;
    uint64_t number;
    struct slice what; /* points behind the struct */
};

static void bring_change(struct loop_task *task)
{
    struct change *c = (struct change *)task;
    if (!lookups_changed(c->worker->lookups, c->what, c->number))
        log_warn("rights", "a change names no lookup and key: %.*s",
            (int)(c->what.size < 100 ? c->what.size : 100), c->what.data);
    free(c);
}

void rights_changed(struct bridge *b, struct slice what, uint64_t number, const char *source)
{
    metric_add(metric_label(METRIC_CHANGES, source), 1);
    for (unsigned i = 0; i < b->worker_count; i++) {
        struct change *c = xcalloc(1, sizeof *c + what.size);
        char *text = (char *)(c + 1);
        memcpy(text, what.data, what.size);
        *c = (struct change){{.run = bring_change}, &b->workers[i], number, {text, what.size}};
        loop_post(b->workers[i].loop, &c->task);
    }
}

void rights_notified(void *bridge, struct slice payload, uint64_t mark)
{
    rights_changed(bridge, payload, mark, "notify");
}

/* --- the listening connection --- */

void rights_pulse(struct worker *w)
{
    if (w->bridge->stand_in) {
        uint64_t now = loop_now(w->loop);
        lookups_tick(w->lookups, &(struct lookups_pulse){.epoch = 1, .heard_ms = now, .answer_ms = now});
        return;
    }
    struct postgres_pulse p = postgres_pulse(w->bridge->postgres);
    struct lookups_pulse pulse = {.epoch = p.epoch,
        .mark = p.mark,
        .heard_ms = (uint64_t)p.heard_ms,
        .answer_ms = (uint64_t)p.answer_ms};
    invalidations_pulse(w->bridge->invalidations, &pulse);
    lookups_tick(w->lookups, &pulse);
}

bool rights_ready(struct bridge *b, char *detail, size_t size)
{
    struct postgres_pulse p = postgres_pulse(b->postgres);
    int64_t silent = (int64_t)clock_monotonic_ms() - p.heard_ms, lease = b->config->grants_lease * 1000;
    if (p.epoch == 0)
        snprintf(detail, size, "not listening for changes yet");
    else if (silent < LISTENING_MS)
        snprintf(detail, size, "listening for changes");
    else if (silent < lease)
        snprintf(detail, size, "not listening for %lld s; rights hold for another %lld s",
            (long long)silent / 1000, (long long)(lease - silent) / 1000);
    else
        snprintf(detail, size, "not listening for %lld s; events wait until rights are certain again",
            (long long)silent / 1000);
    return p.epoch > 0 && silent < LISTENING_MS && invalidations_ready(b->invalidations, detail, size);
}
