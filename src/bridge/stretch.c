#include "stretch.h"

#include "state.h"

#include "causeway/memory.h"

#include <stdlib.h>

enum { LEADS_ON = 4 /* while the target is not in the oldest of so many parts of the hot log */ };

static struct hotlog *hot_of(const struct stretch *t)
{
    return journal_log(t->bridge->journals[0]);
}

static void grow(struct stretch *t)
{
    uint32_t count = partitions_count(t->bridge->partitions);
    t->place = xrealloc(t->place, (count + 1) * sizeof *t->place);
    t->floor = xrealloc(t->floor, (count + 1) * sizeof *t->floor);
    t->target = xrealloc(t->target, (count + 1) * sizeof *t->target);
    for (; t->count < count; t->count++) {
        t->place[t->count] = partitions_first(t->bridge->partitions, t->count);
        t->floor[t->count] = (struct floor){0};
    }
}

/* To a place of the hot log that is known exactly: at `limit`, or near its head if it no longer has that (a
 * side walk that was held for long: its session marks what comes twice). */
static void aim(struct stretch *t, uint64_t limit, uint64_t head)
{
    struct hotlog *hot = hot_of(t);
    t->position = hotlog_place_before(hot, limit, t->target, t->count);
    if (t->position < hotlog_tail(hot))
        t->position = hotlog_place_before(hot, head, t->target, t->count);
}

static void choose_parts(struct stretch *t)
{
    struct partitions *partitions = t->bridge->partitions;
    free(t->parts);
    free(t->numbers);
    t->parts = xcalloc(t->count + 1, sizeof *t->parts);
    t->numbers = xcalloc(t->count + 1, sizeof *t->numbers);
    t->part_count = 0;
    for (uint32_t p = 0; p < t->count; p++) {
        if (t->place[p] >= t->target[p] || !partitions_current(partitions, p))
            continue;
        struct partition_name name = partitions_name(partitions, p);
        t->numbers[t->part_count] = p;
        t->parts[t->part_count++] = (struct kafka_replay_part){.topic = name.topic,
            .partition = name.number,
            .from = t->place[p],
            .to = t->target[p],
            .anchor.offset = -1};
    }
}

void stretch_plan(struct stretch *t, struct bridge *b, const struct request *all)
{
    *t = (struct stretch){.bridge = b};
    uint64_t head = hotlog_head(hot_of(t)),
             limit = head; /* first: no life that begins from now on lies before */
    grow(t);
    for (const struct request *r = all; r; r = r->next)
        limit = r->until < limit ? r->until : limit;
    aim(t, limit, head);
    for (uint32_t p = 0; p < t->count; p++) {
        t->place[p] = t->target[p];
        for (const struct request *r = all; r; r = r->next)
            if (origin_skip(r->origin, p) < t->place[p])
                t->place[p] = origin_skip(r->origin, p);
    }
    choose_parts(t);
}

void stretch_go_on(struct stretch *t)
{
    uint64_t head = hotlog_head(hot_of(t));
    grow(t);
    aim(t, head, head);
    choose_parts(t);
}

void stretch_finish(struct stretch *t)
{
    free(t->parts);
    free(t->numbers);
    free(t->place);
    free(t->floor);
    free(t->target);
}

static void raise(struct stretch *t, uint32_t p, int64_t offset, enum gap_reason why)
{
    if (t->place[p] >= offset)
        return;
    t->place[p] = offset;
    t->floor[p] = (struct floor){offset, why};
}

static enum gap_reason why(const struct kafka_replay_part *part)
{
    return part->replaced || part->missing ? GAP_RECREATED : GAP_RETENTION;
}

/* How the life of a partition ended. */
static enum gap_reason end_of(const struct partitions *partitions, uint32_t p)
{
    struct partition_name name = partitions_name(partitions, p);
    uint32_t now = partitions_find(partitions, name.topic, name.number);
    return now != PARTITION_NONE && partitions_truncated(partitions, now) ? GAP_TRUNCATED : GAP_RECREATED;
}

/* Lives that are over cannot be read any more: what of them lies before the target is lost. */
void stretch_settle(struct stretch *t)
{
    for (size_t i = 0; i < t->part_count; i++)
        raise(t, t->numbers[i], t->parts[i].low, why(&t->parts[i]));
    for (uint32_t p = 0; p < t->count; p++)
        if (!partitions_current(t->bridge->partitions, p))
            raise(t, p, t->target[p], end_of(t->bridge->partitions, p));
}

bool stretch_lives(const struct stretch *t)
{
    for (size_t i = 0; i < t->part_count; i++)
        if (!partitions_current(t->bridge->partitions, t->numbers[i]))
            return false;
    return true;
}

void stretch_close(struct stretch *t)
{
    for (uint32_t p = 0; p < t->count; p++)
        if (t->place[p] < t->target[p])
            t->place[p] = t->target[p];
}

bool stretch_leads_on(const struct stretch *t)
{
    uint64_t tail = hotlog_tail(hot_of(t)), head = hotlog_head(hot_of(t));
    return t->position >= (hotlog_evicts(hot_of(t)) ? tail + (head - tail) / LEADS_ON : tail);
}

bool stretch_passes(const struct stretch *t, uint64_t until)
{
    return until < t->position && hotlog_place_before(hot_of(t), until, NULL, 0) >= hotlog_tail(hot_of(t));
}

struct origin *stretch_reach(const struct stretch *t, const struct origin *from)
{
    struct origin *to = origin_create(from->count > t->count ? from->count : t->count, from->stop);
    for (uint32_t p = 0; p < to->count; p++) {
        int64_t floor = p < t->count ? t->floor[p].offset : 0, skip = origin_skip(from, p);
        to->skip[p] = skip > floor ? skip : floor;
        to->mark[p] = origin_mark(from, p) > to->skip[p] ? origin_mark(from, p) : to->skip[p];
        if (to->stop)
            to->stop[p] = p < from->count ? from->stop[p] : 0;
    }
    return to;
}

/* Is this life over before `next`, where the hot log goes on? Where it is not, the hot log tells its end. */
static bool is_over_before(
    const struct stretch *t, uint32_t p, int64_t next, const int64_t *heads, uint32_t count)
{
    return !partitions_current(t->bridge->partitions, p) && (p >= count || next >= heads[p]);
}

void stretch_declare(const struct stretch *t, struct request *r, struct origin *to)
{
    uint32_t count = hotlog_place_count(hot_of(t));
    int64_t *heads = xcalloc(count + 1, sizeof *heads);
    hotlog_place_after(hot_of(t), hotlog_head(hot_of(t)), heads, count);
    for (uint32_t p = 0; p < to->count; p++) {
        int64_t from = origin_skip(r->origin, p), next = to->skip[p];
        if (from == next)
            continue;
        r->gaps = xrealloc(r->gaps, (r->gap_count + 1) * sizeof *r->gaps);
        r->gaps[r->gap_count++] = (struct gap){partitions_name(t->bridge->partitions, p), from,
            is_over_before(t, p, next, heads, count) ? -1 : next, t->floor[p].why};
    }
    free(heads);
    origin_release(r->origin);
    r->origin = to;
}

struct gap stretch_gap(const struct stretch *t, size_t part, int64_t from, int64_t to)
{
    const struct kafka_replay_part *p = &t->parts[part];
    return (struct gap){{p->topic, p->partition, 0}, from, to, why(p)};
}
