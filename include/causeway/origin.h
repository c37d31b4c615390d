/* Where a session comes from when its position is not one of the log it walks: a place in Kafka, as vectors
   by partition number. Shared by reference count (one resume storm has few distinct ones), immutable once
   shared. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct origin {
    uint32_t references; /* atomic */
    uint32_t count;      /* of partitions; later ones began after it: all of them is new */
    int64_t *skip;       /* below: dealt with */
    int64_t *mark;       /* below: may have been delivered before, so it is marked */
    int64_t *stop;       /* at or above: somebody else's affair (side walks); NULL: no end */
};

struct origin *origin_create(uint32_t count, bool stops);
struct origin *origin_hold(struct origin *o);
void origin_release(struct origin *o); /* NULL is fine */
bool origin_equal(const struct origin *a, const struct origin *b);

static inline int64_t origin_skip(const struct origin *o, uint32_t partition)
{
    return partition < o->count ? o->skip[partition] : 0;
}

static inline int64_t origin_mark(const struct origin *o, uint32_t partition)
{
    return partition < o->count ? o->mark[partition] : 0;
}

static inline bool origin_stops(const struct origin *o, uint32_t partition, int64_t offset)
{
    return o->stop && (partition >= o->count || offset >= o->stop[partition]);
}
