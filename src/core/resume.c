#include "causeway/resume.h"

#include "causeway/memory.h"

#include <stdlib.h>

static const char *const reasons[] = {
#define X(id, text) text,
    GAP_TABLE(X)
#undef X
};

const char *gap_reason_text(enum gap_reason reason)
{
    return reasons[reason];
}

void gap_write_json(const struct gap *gap, struct buffer *out)
{
    buffer_add_text(out, "{\"topic\":");
    buffer_add_json_text(out, gap->name.topic);
    buffer_print(out, ",\"partition\":%d,\"from\":\"%lld\"", gap->name.number, (long long)gap->from);
    if (gap->to >= 0)
        buffer_print(out, ",\"to\":\"%lld\"", (long long)gap->to);
    buffer_print(out, ",\"reason\":\"%s\"}", gap_reason_text(gap->reason));
}

static void add_gap(struct resume_plan *plan, const struct gap *gap)
{
    plan->gaps = xrealloc(plan->gaps, (plan->gap_count + 1) * sizeof *plan->gaps);
    plan->gaps[plan->gap_count++] = *gap;
}

/* Index of the part of this topic and partition, whatever its life; part_count when there is none. */
static size_t find_part(const struct checkpoint *c, struct partition_name name, bool same_life)
{
    size_t i = 0;
    while (i < c->part_count &&
           !(c->parts[i].name.number == name.number && slice_equal(c->parts[i].name.topic, name.topic) &&
               (!same_life || c->parts[i].name.life == name.life)))
        i++;
    return i;
}

/* Cursors come from anywhere: what they say may be beyond all offsets. */
static int64_t plus(int64_t offset, uint64_t moved)
{
    return moved > (uint64_t)(INT64_MAX - offset) ? INT64_MAX : offset + (int64_t)moved;
}

/* Where the client surely stands, and below which offset an event may be a repeat. */
static void place_in_part(
    const struct cursor *cursor, const struct checkpoint *c, size_t part, int64_t *skip, int64_t *mark)
{
    int64_t next = c->parts[part].next;
    *skip = next;
    *mark = cursor->complete ? next : plus(next, cursor->spread);
    for (size_t i = 0; i < cursor->step_count; i++) {
        if (cursor->steps[i].part != part)
            continue;
        *skip = plus(next, cursor->steps[i].moved);
        int64_t least = plus(*skip, i == 0 && !cursor->whole);
        if (*mark < least)
            *mark = least;
    }
}

static bool knows_topic(const struct checkpoint *c, struct slice topic)
{
    for (size_t i = 0; i < c->part_count; i++)
        if (slice_equal(c->parts[i].name.topic, topic))
            return true;
    return false;
}

/* Most are listed in one order everywhere: the place tells where to look first. */
static bool is_read_here(const struct checkpoint *c, size_t part, const struct partitions *partitions)
{
    struct partition_name name = c->parts[part].name;
    if (part < partitions_count(partitions)) {
        struct partition_name here = partitions_name(partitions, (uint32_t)part);
        if (here.number == name.number && slice_equal(here.topic, name.topic))
            return true;
    }
    return partitions_find(partitions, name.topic, name.number) != PARTITION_NONE;
}

bool resume_knows_all(const struct checkpoint *checkpoint, const struct partitions *partitions)
{
    for (size_t i = 0; i < checkpoint->part_count; i++)
        if (!is_read_here(checkpoint, i, partitions) &&
            partitions_find(partitions, checkpoint->parts[i].name.topic, 0) != PARTITION_NONE)
            return false;
    return true;
}

/* A partition, or a life of one, that began after the checkpoint. */
static void place_new(struct resume_plan *plan, const struct cursor *cursor,
    const struct checkpoint *checkpoint, const struct partitions *partitions, uint32_t p, int64_t head)
{
    struct partition_name name = partitions_name(partitions, p);
    size_t before = find_part(checkpoint, name, false);
    bool renewed = before < checkpoint->part_count;
    plan->origin->skip[p] =
        renewed || !knows_topic(checkpoint, name.topic) ? partitions_first(partitions, p) : 0;
    int64_t *mark = &plan->origin->mark[p];
    *mark = plan->origin->skip[p];
    if (renewed || !cursor->complete) /* else nothing of it had gone out */
        *mark = plus(head > *mark ? head : *mark, cursor->spread);
    if (renewed && partitions_current(partitions, p)) {
        int64_t from, ignored;
        place_in_part(cursor, checkpoint, before, &from, &ignored);
        add_gap(plan, &(struct gap){name, from, -1, GAP_RECREATED});
    }
}

void resume_plan_make(struct resume_plan *plan, const struct cursor *cursor,
    const struct checkpoint *checkpoint, const struct partitions *partitions, const int64_t *heads,
    uint32_t count)
{
    uint32_t all = partitions_count(partitions);
    *plan = (struct resume_plan){.origin = origin_create(all, false)};
    for (uint32_t p = 0; p < all; p++) {
        size_t part = find_part(checkpoint, partitions_name(partitions, p), true);
        if (part < checkpoint->part_count)
            place_in_part(cursor, checkpoint, part, &plan->origin->skip[p], &plan->origin->mark[p]);
        else
            place_new(plan, cursor, checkpoint, partitions, p, p < count ? heads[p] : 0);
    }
}

void resume_plan_lost(
    struct resume_plan *plan, const struct partitions *partitions, const int64_t *next, uint32_t count)
{
    *plan = (struct resume_plan){0};
    for (uint32_t p = 0; p < count && p < partitions_count(partitions); p++)
        if (partitions_current(partitions, p) && next[p] > 0)
            add_gap(plan, &(struct gap){partitions_name(partitions, p), 0, next[p], GAP_CURSOR});
}

void resume_plan_finish(struct resume_plan *plan)
{
    origin_release(plan->origin);
    free(plan->gaps);
    *plan = (struct resume_plan){0};
}
