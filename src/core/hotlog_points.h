/* Points of a hot log: now and then, at which sequence the writer stood where in Kafka (a vector of next offsets). They
   outlive the entries, thinned out with age, so that a position whose entries are gone can still be named in offsets.
   Written by the log's writer, read by any reader; locked, since both are rare. */
#pragma once

#include <stdint.h>

struct hotlog_points;

/* A point is taken at least every `stride` sequences. */
struct hotlog_points *hotlog_points_create(uint64_t stride);
void hotlog_points_destroy(struct hotlog_points *p);

/* Writer. */
void hotlog_points_grow(struct hotlog_points *p, uint32_t partitions, int64_t next_offset);
void hotlog_points_advance(struct hotlog_points *p, uint32_t partition, int64_t next_offset, uint64_t next_sequence);

/* See hotlog_skip. Never beyond `head`. */
uint64_t hotlog_points_skip(
    struct hotlog_points *p, uint64_t position, uint64_t tail, uint64_t head, int64_t *from, int64_t *to);
