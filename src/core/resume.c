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

static bool is_of(const struct checkpoint_part *part, struct partition_name name)
{
    return part->name.number == name.number && slice_equal(part->name.topic, name.topic);
}

/* The number here of the life that a part is of, or PARTITION_NONE. One that was not born yet when the
   checkpoint was written is known by the one before it. */
static uint32_t number_of(const struct checkpoint *c, size_t part, const struct partitions *partitions)
{
    const struct partition_name *name = &c->parts[part].name;
    if (name->life != LIFE_UNBORN)
        return partitions_find_life(partitions, name, part);
    for (size_t i = part; i > 0; i--) {
        if (!is_of(&c->parts[i - 1], *name))
            continue;
        uint32_t before = number_of(c, i - 1, partitions);
        uint32_t after = before == PARTITION_NONE ? PARTITION_NONE : partitions_after(partitions, before);
        /* Found by a start: there may have been others in between. */
        bool sure = after != PARTITION_NONE &&
                    !(partitions_past(partitions, before) && partitions_renewed(partitions, after));
        return sure ? after : PARTITION_NONE;
    }
    return PARTITION_NONE;
}

/* Index of the part of this life; part_count when there is none. */
static size_t find_life(
    const struct checkpoint *c, struct partition_name name, const struct partitions *partitions, uint32_t p)
{
    size_t i = 0;
    if (p < c->part_count && is_of(&c->parts[p], name) && number_of(c, p, partitions) == p)
        return p;
    while (i < c->part_count && !(is_of(&c->parts[i], name) && number_of(c, i, partitions) == p))
        i++;
    return i;
}

/* ... of the latest life of this topic and partition. */
static size_t find_latest(const struct checkpoint *c, struct partition_name name)
{
    size_t i = c->part_count;
    while (i > 0)
        if (is_of(&c->parts[--i], name))
            return i;
    return c->part_count;
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

static void set_place(struct resume_plan *plan, uint32_t p, int64_t skip, int64_t mark)
{
    plan->origin->skip[p] = skip;
    plan->origin->mark[p] = mark > skip ? mark : skip;
}

/* A partition that began after the checkpoint. */
static void place_new(struct resume_plan *plan, const struct cursor *cursor,
    const struct checkpoint *checkpoint, const struct partitions *partitions, uint32_t p, int64_t head)
{
    bool known = knows_topic(checkpoint, partitions_name(partitions, p).topic);
    int64_t skip = known ? 0 : partitions_first(partitions, p);
    bool nothing_had_gone_out = cursor->complete;
    set_place(plan, p, skip, nothing_had_gone_out ? skip : plus(head > skip ? head : skip, cursor->spread));
}

static void tell_end(struct resume_plan *plan, const struct cursor *cursor,
    const struct checkpoint *checkpoint, size_t part, const struct partitions *partitions, uint32_t now)
{
    int64_t from, ignored;
    place_in_part(cursor, checkpoint, part, &from, &ignored);
    bool truncated = now != PARTITION_NONE && partitions_truncated(partitions, now);
    add_gap(plan,
        &(struct gap){checkpoint->parts[part].name, from, -1, truncated ? GAP_TRUNCATED : GAP_RECREATED});
}

/* A life of a partition that the checkpoint knows another life of, the latest at `part`. When that one is
   known here, it is an earlier or a later one by its number. */
static void place_other_life(struct resume_plan *plan, const struct cursor *cursor,
    const struct checkpoint *checkpoint, size_t part, const struct partitions *partitions, uint32_t p,
    int64_t head)
{
    uint32_t other = number_of(checkpoint, part, partitions);
    if (partitions_past(partitions, p) || (other != PARTITION_NONE && other > p)) {
        set_place(
            plan, p, head, head); /* over before the client came to its place, or before all that is here */
        return;
    }
    int64_t skip = partitions_renewed(partitions, p) ? partitions_first(partitions, p) : 0;
    set_place(plan, p, skip, plus(head > skip ? head : skip, cursor->spread));
    if (other == PARTITION_NONE && partitions_current(partitions, p))
        tell_end(plan, cursor, checkpoint, part, partitions, p);
}

/* The checkpoint's latest life of it ended before this process could see that. */
static void place_past(struct resume_plan *plan, const struct cursor *cursor,
    const struct checkpoint *checkpoint, size_t part, const struct partitions *partitions, uint32_t p,
    int64_t head)
{
    set_place(plan, p, head, head);
    tell_end(plan, cursor, checkpoint, part, partitions, partitions_after(partitions, p));
}

static void place(struct resume_plan *plan, const struct cursor *cursor, const struct checkpoint *checkpoint,
    const struct partitions *partitions, uint32_t p, int64_t head)
{
    struct partition_name name = partitions_name(partitions, p);
    size_t latest = find_latest(checkpoint, name);
    if (latest == checkpoint->part_count) {
        place_new(plan, cursor, checkpoint, partitions, p, head);
        return;
    }
    size_t part = find_life(checkpoint, name, partitions, p);
    if (part < checkpoint->part_count && part == latest && partitions_past(partitions, p))
        place_past(plan, cursor, checkpoint, part, partitions, p, head);
    else if (part < checkpoint->part_count && !partitions_past(partitions, p))
        place_in_part(cursor, checkpoint, part, &plan->origin->skip[p], &plan->origin->mark[p]);
    else
        place_other_life(plan, cursor, checkpoint, latest, partitions, p, head);
    plan->ahead |= number_of(checkpoint, latest, partitions) == PARTITION_NONE;
}

void resume_plan_make(struct resume_plan *plan, const struct cursor *cursor,
    const struct checkpoint *checkpoint, const struct partitions *partitions, const int64_t *heads,
    uint32_t count)
{
    uint32_t all = partitions_count(partitions);
    *plan = (struct resume_plan){.origin = origin_create(all, false)};
    for (uint32_t p = 0; p < all; p++)
        place(plan, cursor, checkpoint, partitions, p, p < count ? heads[p] : 0);
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
