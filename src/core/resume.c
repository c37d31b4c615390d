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
static uint32_t number_of(const struct resume_question *q, size_t part)
{
    const struct checkpoint *c = q->checkpoint;
    const struct partition_name *name = &c->parts[part].name;
    if (name->life != LIFE_UNBORN)
        return partitions_find_life(q->partitions, name, part);
    for (size_t i = part; i > 0; i--) {
        if (!is_of(&c->parts[i - 1], *name))
            continue;
        uint32_t before = number_of(q, i - 1);
        uint32_t after = before == PARTITION_NONE ? PARTITION_NONE : partitions_after(q->partitions, before);
        /* Found by a start: there may have been others in between, unless it is the one that wrote this. */
        bool sure =
            after != PARTITION_NONE &&
            (q->own || !(partitions_past(q->partitions, before) && partitions_renewed(q->partitions, after)));
        return sure ? after : PARTITION_NONE;
    }
    return PARTITION_NONE;
}

/* Index of the part of this life; part_count when there is none. */
static size_t find_life(const struct resume_question *q, struct partition_name name, uint32_t p)
{
    const struct checkpoint *c = q->checkpoint;
    size_t i = 0;
    if (p < c->part_count && is_of(&c->parts[p], name) && number_of(q, p) == p)
        return p;
    while (i < c->part_count && !(is_of(&c->parts[i], name) && number_of(q, i) == p))
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

static int64_t greater(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t head_of(const struct resume_question *q, uint32_t p)
{
    return p < q->head_count ? q->heads[p] : 0;
}

/* Has the client had something of the record where it stands? */
static bool stands_amid(const struct cursor *cursor, size_t part)
{
    return !cursor->whole && cursor->step_count > 0 && cursor->steps[0].part == part;
}

/* Where the client surely stands, and below which offset an event may be a repeat. */
static void place_in_part(const struct resume_question *q, size_t part, int64_t *skip, int64_t *mark)
{
    const struct cursor *cursor = q->cursor;
    int64_t next = q->checkpoint->parts[part].next;
    *skip = next;
    *mark = cursor->complete ? next : plus(next, cursor->spread);
    for (size_t i = 0; i < cursor->step_count; i++) {
        if (cursor->steps[i].part != part)
            continue;
        *skip = plus(next, cursor->steps[i].moved);
        *mark = greater(*mark, plus(*skip, i == 0 && !cursor->whole));
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
    plan->origin->mark[p] = greater(skip, mark);
}

/* Of what the checkpoint does not know, something may have gone out from where it was first read on, as far
 * as anything has moved since; of a topic that is new, each instance began elsewhere. */
static int64_t mark_of_unknown(const struct resume_question *q, uint32_t p, bool topic_is_known)
{
    int64_t first = partitions_first(q->partitions, p);
    if (q->cursor->complete)
        return 0;
    return plus(topic_is_known ? first : greater(head_of(q, p), first), q->cursor->spread);
}

/* A partition that began after the checkpoint. */
static void place_new(struct resume_plan *plan, const struct resume_question *q, uint32_t p)
{
    struct partition_name name = partitions_name(q->partitions, p);
    bool known = knows_topic(q->checkpoint, name.topic);
    if (partitions_past(q->partitions, p)) {
        set_place(plan, p, head_of(q, p), head_of(q, p));
        if (known) /* it began and ended since */
            add_gap(plan, &(struct gap){name, 0, -1, GAP_RECREATED});
        return;
    }
    int64_t skip = known ? 0 : partitions_first(q->partitions, p);
    set_place(plan, p, skip, mark_of_unknown(q, p, known));
}

/* All that followed in the life of this part is missing; `now` is the one after it. */
static void tell_end(struct resume_plan *plan, const struct resume_question *q, size_t part, uint32_t now)
{
    int64_t from, ignored;
    place_in_part(q, part, &from, &ignored);
    bool truncated = now != PARTITION_NONE && partitions_truncated(q->partitions, now);
    add_gap(plan,
        &(struct gap){q->checkpoint->parts[part].name, from, -1, truncated ? GAP_TRUNCATED : GAP_RECREATED});
}

/* A life of a partition that the checkpoint knows another life of, the latest at `part`. When that one is
   known here, it is an earlier or a later one by its number. When not, it may be this very one, by a name
   that says too little: what had been delivered of it is marked too. */
static void place_other_life(
    struct resume_plan *plan, const struct resume_question *q, size_t part, uint32_t p)
{
    uint32_t other = number_of(q, part);
    int64_t head = head_of(q, p);
    if (partitions_past(q->partitions, p) || (other != PARTITION_NONE && other > p)) {
        set_place(
            plan, p, head, head); /* over before the client came to its place, or before all that is here */
        return;
    }
    int64_t skip = partitions_renewed(q->partitions, p) ? partitions_first(q->partitions, p) : 0;
    int64_t ignored, mark = mark_of_unknown(q, p, true);
    if (q->checkpoint->parts[part].name.life == LIFE_UNBORN)
        place_in_part(q, part, &ignored, &mark);
    set_place(plan, p, skip, mark);
    if (other == PARTITION_NONE && partitions_current(q->partitions, p))
        tell_end(plan, q, part, p);
}

/* The checkpoint's latest life of it ended before this process could see that. */
static void place_past(struct resume_plan *plan, const struct resume_question *q, size_t part, uint32_t p)
{
    set_place(plan, p, head_of(q, p), head_of(q, p));
    tell_end(plan, q, part, partitions_after(q->partitions, p));
}

/* The client has had more of this life than is known here. Of one that goes on, this process may not have
   read all yet; else the end of the log was lost. Of one that is over, other instances read more: its end is
   told here, unless a later life that the cursor knows says that it was. */
static void place_beyond(
    struct resume_plan *plan, const struct resume_question *q, size_t part, uint32_t p, bool latest)
{
    int64_t skip, mark, head = head_of(q, p);
    place_in_part(q, part, &skip, &mark);
    if (!partitions_current(q->partitions, p)) {
        set_place(plan, p, head, head);
        if (latest)
            tell_end(plan, q, part, partitions_after(q->partitions, p));
    } else if (q->settled) {
        set_place(plan, p, skip < head ? skip : head, mark);
        add_gap(plan, &(struct gap){q->checkpoint->parts[part].name, skip, -1, GAP_TRUNCATED});
    } else {
        set_place(plan, p, skip, mark);
        plan->ahead = true;
    }
}

static void place_in_life(
    struct resume_plan *plan, const struct resume_question *q, size_t part, uint32_t p, bool latest)
{
    int64_t skip, mark, head = head_of(q, p);
    place_in_part(q, part, &skip, &mark);
    bool over = !partitions_current(q->partitions, p);
    int64_t had = plus(skip, stands_amid(q->cursor, part));
    /* The last place of a life that is over is behind its gap, in the logs of this process. */
    if (had > head || (over && had == head && !q->own))
        place_beyond(plan, q, part, p, latest);
    else
        set_place(plan, p, skip, mark);
}

static void place(struct resume_plan *plan, const struct resume_question *q, uint32_t p)
{
    struct partition_name name = partitions_name(q->partitions, p);
    const struct checkpoint *c = q->checkpoint;
    size_t latest = find_latest(c, name);
    if (latest == c->part_count) {
        place_new(plan, q, p);
        return;
    }
    size_t part = find_life(q, name, p);
    bool past = partitions_past(q->partitions, p);
    if (part == latest && past)
        place_past(plan, q, part, p);
    else if (part < c->part_count && !past)
        place_in_life(plan, q, part, p, part == latest);
    else
        place_other_life(plan, q, latest, p);
    plan->ahead |= !q->settled && number_of(q, latest) == PARTITION_NONE;
}

void resume_plan_make(struct resume_plan *plan, const struct resume_question *q)
{
    uint32_t all = partitions_count(q->partitions);
    *plan = (struct resume_plan){.origin = origin_create(all, false)};
    for (uint32_t p = 0; p < all; p++)
        place(plan, q, p);
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
