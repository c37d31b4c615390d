/* From a Kafka record to entries of the hot log: decode, route, write the frames, publish, wake the loops.
   @thread kafka. Never waits for PostgreSQL, and for a loop only when the log would overtake it. */
#include "bridge_internal.h"

#include "causeway/envelope.h"
#include "causeway/log.h"
#include "causeway/map.h"
#include "causeway/memory.h"
#include "causeway/metrics.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum {
    BACKLOG_PUBLISH = 25, /* percent of the log that may be unseen before the readers are shown more */
    BACKLOG_WAIT = 50,    /* ... and before the writer waits for them */
    BACKLOG_WAIT_US = 500,
    BACKLOG_WAITS_MAX = 4000, /* 2 s; a loop that is stuck for longer loses its place, and the others go on */
};

struct ingest {
    struct bridge *bridge;
    struct router *router;
    uint32_t *rooms;  /* scratch of HOTLOG_ROOMS_MAX */
    struct map *told; /* "topic reason" that have been logged */
    bool stuck;       /* a loop did not move while it was waited for: not again before it does */
    struct metric *entries, *bytes, *delay;
};

struct ingest *ingest_create(struct bridge *b)
{
    struct ingest *in = xcalloc(1, sizeof *in);
    in->bridge = b;
    in->router = router_create((size_t)b->config->event_max_bytes);
    in->rooms = xcalloc(HOTLOG_ROOMS_MAX, sizeof *in->rooms);
    in->told = map_create();
    in->entries = metric_get(METRIC_ENTRIES);
    in->bytes = metric_get(METRIC_HOTLOG_BYTES);
    in->delay = metric_get(METRIC_DELAY);
    return in;
}

void ingest_destroy(struct ingest *in)
{
    if (!in)
        return;
    router_destroy(in->router);
    map_destroy(in->told);
    free(in->rooms);
    free(in);
}

static void publish(struct ingest *in)
{
    struct bridge *b = in->bridge;
    hotlog_publish(b->hotlog);
    for (unsigned i = 0; i < b->worker_count; i++)
        loop_wake(b->workers[i].loop);
}

/* Backpressure: Kafka waits before a loop loses its place in the log. */
static void keep_pace(struct ingest *in)
{
    struct hotlog *log = in->bridge->hotlog;
    if (hotlog_backlog(log) < BACKLOG_PUBLISH) {
        in->stuck = false;
        return;
    }
    publish(in);
    for (int i = 0; !in->stuck && hotlog_backlog(log) >= BACKLOG_WAIT; i++) {
        usleep(BACKLOG_WAIT_US);
        in->stuck = i == BACKLOG_WAITS_MAX;
    }
}

/* Once per topic and reason in the log; every one in the metric. */
static void tell_rejected(struct ingest *in, const struct record *r, enum reject why, struct slice detail)
{
    metric_add(metric_label(METRIC_REJECTED, reject_label(why)), 1);
    struct buffer key = {0};
    buffer_print(&key, "%.*s %s", SLICE_ARGS(r->topic), reject_label(why));
    if (!map_find(in->told, buffer_slice(&key))) {
        map_set(in->told, buffer_slice(&key), in);
        log_warn("ingest",
            "record skipped reason=%s topic=%.*s partition=%d offset=%lld: %s%s%.*s (further ones are only "
            "counted)",
            reject_label(why), SLICE_ARGS(r->topic), r->partition, (long long)r->offset, reject_text(why),
            detail.size ? ": " : "", SLICE_ARGS(detail));
    }
    buffer_finish(&key);
}

static size_t hold_rooms(
    struct ingest *in, uint16_t lane, const struct slice *names, size_t count, uint32_t *out)
{
    for (size_t i = 0; i < count; i++)
        out[i] = rooms_hold(in->bridge->rooms, lane, names[i]);
    return count;
}

static void append(struct ingest *in, uint32_t partition, const struct record *r, const struct routed *routed,
    const struct delivery *d)
{
    struct bridge *b = in->bridge;
    const struct lane *lanes;
    catalogue_lanes(b->catalogue, &lanes);
    struct envelope e;
    if (d->room_count == 0)
        return;
    if (d->room_count + d->except_count > HOTLOG_ROOMS_MAX ||
        !envelope_begin(&e, &lanes[d->operation->lane], d->operation, r, routed->payload)) {
        tell_rejected(in, r, REJECT_TOO_MANY_ROOMS, d->operation->name);
        return;
    }
    uint16_t lane = d->operation->lane;
    size_t room_count = hold_rooms(in, lane, d->rooms, d->room_count, in->rooms);
    size_t except_count = hold_rooms(in, lane, d->except, d->except_count, in->rooms + room_count);
    envelope_write(&e, hotlog_reserve(b->hotlog, e.size));
    hotlog_append(b->hotlog, &(struct hotlog_append){
                                 .partition = partition,
                                 .offset = r->offset,
                                 .rooms = in->rooms,
                                 .room_count = room_count,
                                 .except = in->rooms + room_count,
                                 .except_count = except_count,
                                 .ephemeral = d->operation->ephemeral,
                             });
    metric_add(in->entries, 1);
}

static double seconds_since(int64_t time_ms)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    double seconds = (double)now.tv_sec + (double)now.tv_nsec / 1e9 - (double)time_ms / 1e3;
    return seconds > 0 ? seconds : 0;
}

static void on_record(void *owner, const struct record *r)
{
    struct ingest *in = owner;
    struct bridge *b = in->bridge;
    uint32_t partition = hotlog_partition(b->hotlog, r->topic, r->partition, r->offset);
    struct routed routed;
    enum reject why = route_record(in->router, b->catalogue, r, &routed);
    if (why == REJECT_IGNORED) {
        metric_add(metric_label(METRIC_REJECTED, reject_label(why)), 1);
    } else if (why != REJECT_NONE) {
        tell_rejected(in, r, why, routed.detail);
    } else {
        for (size_t i = 0; i < routed.delivery_count; i++)
            append(in, partition, r, &routed, &routed.deliveries[i]);
        metric_observe(in->delay, seconds_since(r->time_ms));
    }
    hotlog_advance(b->hotlog, partition, r->offset + 1);
    keep_pace(in);
}

static void on_batch_done(void *owner)
{
    struct ingest *in = owner;
    publish(in);
    metric_set(in->bytes, (int64_t)hotlog_bytes(in->bridge->hotlog));
}

const struct kafka_source_hooks ingest_hooks = {on_record, on_batch_done, NULL};
