#include "judge.h"

#include "state.h"

#include "causeway/log.h"
#include "causeway/map.h"
#include "causeway/memory.h"
#include "causeway/metrics.h"

#include <stdlib.h>

struct judge {
    struct edition *edition;
    struct router *router;
    struct map *told; /* "topic reason" that have been logged */
};

struct judge *judge_create(struct bridge *b)
{
    struct judge *g = xcalloc(1, sizeof *g);
    g->edition = reload_current(b->reload);
    g->router = router_create((size_t)b->config->event_max_bytes);
    g->told = map_create();
    return g;
}

const struct edition *judge_edition(const struct judge *g)
{
    return g->edition;
}

void judge_adopt(struct judge *g, struct edition *e)
{
    edition_hold(e);
    edition_release(g->edition);
    g->edition = e;
    map_destroy(g->told);
    g->told = map_create();
}

void judge_destroy(struct judge *g)
{
    if (!g)
        return;
    router_destroy(g->router);
    map_destroy(g->told);
    edition_release(g->edition);
    free(g);
}

/* Whether this is the first of its kind on the topic: only that one is logged. */
static bool is_news(struct judge *g, const struct record *r, const char *kind, struct slice type)
{
    struct buffer key = {0};
    buffer_print(&key, "%.*s %s %.*s", SLICE_ARGS(r->topic), kind, SLICE_ARGS(type));
    bool news = !map_find(g->told, buffer_slice(&key));
    if (news)
        map_set(g->told, buffer_slice(&key), g);
    buffer_finish(&key);
    return news;
}

/* Once per topic and reason in the log; every one in the metric. */
static void tell_rejected(struct judge *g, const struct record *r, enum reject why, struct slice detail)
{
    metric_add(metric_label(METRIC_REJECTED, reject_label(why)), 1);
    if (why == REJECT_IGNORED || !is_news(g, r, reject_label(why), SLICE("")))
        return;
    log_warn("ingest",
        "record skipped reason=%s topic=%.*s partition=%d offset=%lld: %s%s%.*s (further ones are only "
        "counted)",
        reject_label(why), SLICE_ARGS(r->topic), r->partition, (long long)r->offset, reject_text(why),
        detail.size ? ": " : "", SLICE_ARGS(detail));
}

/* Once per topic and type in the log; every one in the metric. */
static void tell_warned(
    struct judge *g, const struct record *r, struct slice type, const struct schema_fault *fault)
{
    metric_add(
        metric_label(METRIC_WARNED, catalogue_find_topic(g->edition->catalogue, r->topic)->name.data), 1);
    if (is_news(g, r, "warned", type))
        log_warn("ingest",
            "payload breaks its schema topic=%.*s partition=%d offset=%lld type=%.*s: at '%.*s', %s: %.*s "
            "(it is "
            "delivered; further ones are only counted)",
            SLICE_ARGS(r->topic), r->partition, (long long)r->offset, SLICE_ARGS(type),
            SLICE_ARGS(fault->pointer), fault->keyword, SLICE_ARGS(fault->message));
}

enum reject judge_look(struct judge *g, const struct record *r, struct routed *out)
{
    return route_record(g->router, g->edition->catalogue, r, out);
}

size_t judge_record(
    struct judge *g, struct journal *j, uint32_t partition, const struct record *r, bool first_time)
{
    struct routed routed;
    enum reject why = judge_look(g, r, &routed);
    size_t appended = 0;
    if (why == REJECT_NONE && !journal_append(j, g->edition->catalogue, partition, r, &routed, &appended)) {
        why = REJECT_TOO_LARGE;
        routed.detail = SLICE("names too long");
    }
    if (why != REJECT_NONE && first_time)
        tell_rejected(g, r, why, routed.detail);
    else if (routed.fault && first_time)
        tell_warned(g, r, routed.type, routed.fault);
    return appended;
}
