#include "hotlog_points.h"

#include "causeway/check.h"
#include "causeway/lock.h"
#include "causeway/memory.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { POINTS_MAX = 1024 };

struct point {
    uint64_t sequence;
    uint32_t partitions; /* those known then; later ones began at their first offset */
    int64_t *next;
};

struct hotlog_points {
    struct lock lock;
    uint64_t stride;
    struct point points[POINTS_MAX];
    size_t count;
    uint32_t partitions;
    int64_t *first;    /* per partition: where reading began */
    int64_t *next;     /* per partition: where the writer stands ... */
    uint64_t sequence; /* ... when it had come to this */
};

struct hotlog_points *hotlog_points_create(uint64_t stride)
{
    struct hotlog_points *p = xcalloc(1, sizeof *p);
    lock_init(&p->lock);
    p->stride = stride;
    p->count = 1; /* the start vector: sequence 0, no partitions yet */
    return p;
}

void hotlog_points_destroy(struct hotlog_points *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->count; i++)
        free(p->points[i].next);
    free(p->first);
    free(p->next);
    lock_finish(&p->lock);
    free(p);
}

void hotlog_points_reset(struct hotlog_points *p, uint64_t sequence)
{
    lock_take(&p->lock);
    for (size_t i = 0; i < p->count; i++)
        free(p->points[i].next);
    p->points[0] = (struct point){.sequence = sequence};
    p->count = 1;
    p->partitions = 0;
    p->sequence = sequence;
    lock_give(&p->lock);
}

static void grow(struct hotlog_points *p, uint32_t partitions, int64_t next_offset)
{
    p->first = xrealloc(p->first, partitions * sizeof *p->first);
    p->next = xrealloc(p->next, partitions * sizeof *p->next);
    for (; p->partitions < partitions; p->partitions++)
        p->first[p->partitions] = p->next[p->partitions] = next_offset;
}

/* Full: of the older half every other point goes, so that the past is known ever more coarsely, but known. */
static void thin_out(struct hotlog_points *p)
{
    size_t kept = 0;
    for (size_t i = 0; i < p->count; i++) {
        if (i < POINTS_MAX / 2 && i % 2 == 1)
            free(p->points[i].next);
        else
            p->points[kept++] = p->points[i];
    }
    p->count = kept;
}

static void take_point(struct hotlog_points *p, uint64_t sequence)
{
    if (p->count == POINTS_MAX)
        thin_out(p);
    struct point *added = &p->points[p->count++];
    *added = (struct point){sequence, p->partitions, xmalloc((p->partitions + 1) * sizeof(int64_t))};
    memcpy(added->next, p->next, p->partitions * sizeof(int64_t));
}

bool hotlog_points_advance(
    struct hotlog_points *p, uint32_t partition, int64_t next_offset, uint64_t next_sequence, bool due)
{
    lock_take(&p->lock);
    if (partition >= p->partitions)
        grow(p, partition + 1, next_offset);
    p->next[partition] = next_offset;
    p->sequence = next_sequence;
    uint64_t distance = next_sequence - p->points[p->count - 1].sequence;
    bool take = distance >= p->stride || (due && distance > 0);
    if (take)
        take_point(p, next_sequence);
    lock_give(&p->lock);
    return take;
}

void hotlog_points_note(struct hotlog_points *p, uint64_t sequence)
{
    lock_take(&p->lock);
    p->sequence = sequence;
    if (p->points[p->count - 1].sequence == sequence)
        free(p->points[--p->count].next);
    take_point(p, sequence);
    lock_give(&p->lock);
}

/* Index of the first point at or after `sequence`, or count. */
static size_t point_from(const struct hotlog_points *p, uint64_t sequence)
{
    size_t low = 0, high = p->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (p->points[middle].sequence < sequence)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int64_t offset_at(const struct hotlog_points *p, const struct point *point, uint32_t partition)
{
    return partition < point->partitions ? point->next[partition] : p->first[partition];
}

static void copy(const struct hotlog_points *p, const struct point *point, int64_t *next, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        next[i] = i >= p->partitions ? 0 : point ? offset_at(p, point, i) : p->next[i];
}

uint32_t hotlog_points_count(struct hotlog_points *p)
{
    lock_take(&p->lock);
    uint32_t count = p->partitions;
    lock_give(&p->lock);
    return count;
}

uint64_t hotlog_points_before(struct hotlog_points *p, uint64_t position, int64_t *next, uint32_t count)
{
    lock_take(&p->lock);
    size_t at = point_from(p, position);
    if (at == p->count || p->points[at].sequence > position)
        at -= at > 0; /* the first point is never thinned out */
    copy(p, &p->points[at], next, count);
    uint64_t sequence = p->points[at].sequence;
    lock_give(&p->lock);
    return sequence;
}

void hotlog_points_after(struct hotlog_points *p, uint64_t position, int64_t *next, uint32_t count)
{
    lock_take(&p->lock);
    size_t at = point_from(p, position);
    copy(p, at < p->count ? &p->points[at] : NULL, next, count);
    lock_give(&p->lock);
}

/* Is the place of this point nowhere beyond (or, for `beyond`, nowhere before) the vector? A partition that
 * has not begun stands before everything. */
static bool compares(const struct hotlog_points *p, const struct point *point, const int64_t *next,
    uint32_t count, bool beyond)
{
    for (uint32_t i = 0; i < count; i++) {
        int64_t at = i < p->partitions ? offset_at(p, point, i) : 0;
        if (beyond ? at < next[i] : at > next[i])
            return false;
    }
    return true;
}

uint64_t hotlog_points_enter(struct hotlog_points *p, const int64_t *next, uint32_t count)
{
    lock_take(&p->lock);
    size_t low = 0, high = p->count; /* places ascend: find the first that is beyond somewhere */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compares(p, &p->points[middle], next, count, false))
            low = middle + 1;
        else
            high = middle;
    }
    uint64_t sequence = low > 0 ? p->points[low - 1].sequence : UINT64_MAX;
    lock_give(&p->lock);
    return sequence;
}

uint64_t hotlog_points_beyond(struct hotlog_points *p, const int64_t *next, uint32_t count)
{
    lock_take(&p->lock);
    size_t low = 0, high = p->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compares(p, &p->points[middle], next, count, true))
            high = middle;
        else
            low = middle + 1;
    }
    const struct point now = {p->sequence, p->partitions, p->next};
    uint64_t sequence = low < p->count                         ? p->points[low].sequence
                        : compares(p, &now, next, count, true) ? p->sequence
                                                               : UINT64_MAX;
    lock_give(&p->lock);
    return sequence;
}
