#include "hotlog_points.h"

#include "causeway/check.h"
#include "causeway/lock.h"
#include "causeway/memory.h"

#include <stdlib.h>
#include <stdbool.h>
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

void hotlog_points_advance(struct hotlog_points *p, uint32_t partition, int64_t next_offset, uint64_t next_sequence)
{
    lock_take(&p->lock);
    p->next[partition] = next_offset;
    if (next_sequence - p->points[p->count - 1].sequence >= p->stride) {
        if (p->count == POINTS_MAX)
            thin_out(p);
        struct point *added = &p->points[p->count++];
        *added = (struct point){next_sequence, p->partitions, xmalloc(p->partitions * sizeof(int64_t))};
        memcpy(added->next, p->next, p->partitions * sizeof(int64_t));
    }
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

uint64_t hotlog_points_skip(
    struct hotlog_points *p, uint64_t position, uint64_t tail, uint64_t head, int64_t *from, int64_t *to)
{
    lock_take(&p->lock);
    size_t after = point_from(p, tail), before = point_from(p, position);
    if (before == p->count || p->points[before].sequence > position)
        before--; /* the point at sequence 0 is never thinned out */
    bool known = after < p->count && p->points[after].sequence <= head;
    for (uint32_t i = 0; i < p->partitions; i++) {
        from[i] = offset_at(p, &p->points[before], i);
        to[i] = known ? offset_at(p, &p->points[after], i) : p->next[i];
    }
    uint64_t at = known ? p->points[after].sequence : head;
    lock_give(&p->lock);
    return at;
}
