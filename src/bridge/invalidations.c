#include "invalidations.h"

#include "rights.h"
#include "state.h"

#include "causeway/clock.h"
#include "causeway/invalidation.h"
#include "causeway/log.h"
#include "causeway/memory.h"
#include "causeway/metrics.h"

#include <stdio.h>
#include <stdlib.h>

enum { BATCH_MAX = 500, SHOWN = 100 };

struct invalidations {
    struct bridge *bridge;
    struct kafka_source *source;
    struct json scratch; /* the source's thread */
    struct buffer what;
    atomic_uint beginnings; /* times from which on no record is missed; before, some may have been */
    _Atomic uint64_t mark;  /* of the last one: what was asked before it proves nothing */
    _Atomic uint64_t heard_ms;
};

static void on_record(void *owner, const struct record *r)
{
    struct invalidations *v = owner;
    const char *fault;
    buffer_clear(&v->what);
    if (invalidation_read(&v->scratch, r->value, &v->what, &fault)) {
        rights_changed(v->bridge, buffer_slice(&v->what), postgres_mark(v->bridge->postgres), "kafka");
        return;
    }
    metric_add(metric_get(METRIC_CHANGES_UNREAD), 1);
    log_warn("rights", "a record names no changed right: %s topic=%.*s partition=%d offset=%lld value=%.*s",
        fault, SLICE_ARGS(r->topic), (int)r->partition, (long long)r->offset,
        (int)(r->value.size < SHOWN ? r->value.size : SHOWN), r->value.data ? r->value.data : "");
}

static void on_batch_done(void *owner)
{
    (void)owner;
}

static void begin_anew(struct invalidations *v)
{
    atomic_store(&v->mark, postgres_mark(v->bridge->postgres));
    atomic_fetch_add(&v->beginnings, 1);
}

static void on_placed(void *owner, struct slice topic, int32_t partition, int64_t offset)
{
    (void)topic;
    (void)partition;
    (void)offset;
    begin_anew(owner);
}

static void on_jump(
    void *owner, struct slice topic, int32_t partition, int64_t from, int64_t to, enum kafka_jump why)
{
    (void)topic;
    (void)partition;
    (void)from;
    (void)to;
    (void)why;
    begin_anew(owner);
}

struct invalidations *invalidations_create(struct bridge *b, const struct kafka_settings *settings)
{
    if (!*b->config->grants_topic)
        return NULL;
    const struct kafka_source_hooks hooks = {.record = on_record,
        .batch_done = on_batch_done,
        .jump = on_jump,
        .placed = on_placed,
        .aside = true};
    struct invalidations *v = xcalloc(1, sizeof *v);
    struct slice topic = slice_of(b->config->grants_topic);
    v->bridge = b;
    v->source = kafka_source_create(settings, &topic, 1, NULL, 0, BATCH_MAX, &hooks, v);
    return v;
}

void invalidations_destroy(struct invalidations *v)
{
    if (!v)
        return;
    kafka_source_destroy(v->source);
    json_finish(&v->scratch);
    buffer_finish(&v->what);
    free(v);
}

/* Before it is settled from where the topic is read, and where it jumps, changes may go unheard: what was
 * looked up until then is looked up again, as after the listening connection was lost. */
void invalidations_pulse(struct invalidations *v, struct lookups_pulse *pulse)
{
    char detail[256];
    if (!v)
        return;
    if (kafka_source_ready(v->source, detail, sizeof detail))
        atomic_store(&v->heard_ms, clock_monotonic_ms());
    uint64_t heard_ms = atomic_load(&v->heard_ms);
    if (heard_ms < pulse->heard_ms)
        pulse->heard_ms = heard_ms;
    if (pulse->epoch > 0)
        pulse->epoch += atomic_load(&v->beginnings);
    uint64_t mark = atomic_load(&v->mark);
    if (mark > pulse->mark)
        pulse->mark = mark;
}

bool invalidations_ready(struct invalidations *v, char *detail, size_t size)
{
    char why[256];
    if (!v || kafka_source_ready(v->source, why, sizeof why))
        return true;
    snprintf(detail, size, "the topic of changes is not read: %s", why);
    return false;
}
