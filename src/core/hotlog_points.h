/* Points of a hot log: now and then, at which sequence the writer stood where in Kafka (a vector of next
   offsets). They outlive the entries, thinned out with age, so that a position whose entries are gone can
   still be named in offsets. Written by the log's writer, read by any reader; locked, since both are rare. */
#pragma once

#include "causeway/hotlog.h"

struct hotlog_points;

/* A point is taken every `stride` sequences, or when the writer asks for it. */
struct hotlog_points *hotlog_points_create(uint64_t stride);
void hotlog_points_destroy(struct hotlog_points *p);

/* Writer. */
void hotlog_points_grow(struct hotlog_points *p, uint32_t partitions, int64_t next_offset);
/* `due`: take a point now. true when one was taken. */
bool hotlog_points_advance(
    struct hotlog_points *p, uint32_t partition, int64_t next_offset, uint64_t next_sequence, bool due);
/* Everything before `head` is visible now; the last entry of it came from this record, of which more entries
 * may follow. */
void hotlog_points_publish(struct hotlog_points *p, uint64_t head, uint32_t partition, int64_t offset);

/* See hotlog_skip. Never beyond what was published. */
uint64_t hotlog_points_skip(
    struct hotlog_points *p, uint64_t position, uint64_t tail, struct hotlog_gap *gap);
