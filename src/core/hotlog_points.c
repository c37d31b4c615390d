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
    int64_t *first; /* per partition: where reading began */
    int64_t *next;  /* per partition: where the writer stands */
    struct point published;
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
    free(p->published.next);
    free(p->first);
    free(p->next);
    lock_finish(&p->lock);
    free(p);
}

void hotlog_points_grow(struct hotlog_points *p, uint32_t partitions, int64_t next_offset)
{
    lock_take(&p->lock);
    CHECK(partitions == p->partitions + 1);
    p->first = xrealloc(p->first, partitions * sizeof *p->first);
    p->next = xrealloc(p->next, partitions * sizeof *p->next);
    p->first[p->partitions] = p->next[p->partitions] = next_offset;
    p->partitions = partitions;
    lock_give(&p->lock);
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

bool hotlog_points_advance(
    struct hotlog_points *p, uint32_t partition, int64_t next_offset, uint64_t next_sequence, bool due)
{
    lock_take(&p->lock);
    p->next[partition] = next_offset;
    uint64_t distance = next_sequence - p->points[p->count - 1].sequence;
    bool take = distance >= p->stride || (due && distance > 0);
    if (take) {
        if (p->count == POINTS_MAX)
            thin_out(p);
        struct point *added = &p->points[p->count++];
        *added = (struct point){next_sequence, p->partitions, xmalloc(p->partitions * sizeof(int64_t))};
        memcpy(added->next, p->next, p->partitions * sizeof(int64_t));
    }
    lock_give(&p->lock);
    return take;
}

void hotlog_points_publish(struct hotlog_points *p, uint64_t head, uint32_t partition, int64_t offset)
{
    lock_take(&p->lock);
    CHECK(partition < p->partitions);
    if (p->published.partitions < p->partitions)
        p->published.next = xrealloc(p->published.next, p->partitions * sizeof(int64_t));
    p->published.sequence = head;
    p->published.partitions = p->partitions;
    memcpy(p->published.next, p->next, p->partitions * sizeof(int64_t));
    if (p->published.next[partition] <= offset)
        p->published.next[partition] = offset + 1;
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

uint64_t hotlog_points_skip(struct hotlog_points *p, uint64_t position, uint64_t tail, struct hotlog_gap *gap)
{
    lock_take(&p->lock);
    size_t after = point_from(p, tail), before = point_from(p, position);
    if (before == p->count || p->points[before].sequence > position)
        before--; /* the point at sequence 0 is never thinned out */
    bool known = after < p->count && p->points[after].sequence <= p->published.sequence;
    const struct point *to = known ? &p->points[after] : &p->published;
    gap->partitions = p->partitions;
    gap->from = xcalloc((size_t)p->partitions * 2 + 1, sizeof *gap->from);
    gap->to = gap->from + p->partitions;
    for (uint32_t i = 0; i < p->partitions; i++) {
        gap->from[i] = offset_at(p, &p->points[before], i);
        gap->to[i] = offset_at(p, to, i);
    }
    uint64_t at = to->sequence;
    lock_give(&p->lock);
    return at;
}
