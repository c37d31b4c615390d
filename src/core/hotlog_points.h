/* Points of a hot log: now and then, at which sequence the writer stood where in Kafka (a vector of next
   offsets). They outlive the entries, thinned out with age, so that a position whose entries are gone can
   still be named in offsets. Written by the log's writer, read by any reader; locked, since both are rare. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct hotlog_points;

/* A point is taken at least every `stride` sequences. */
struct hotlog_points *hotlog_points_create(uint64_t stride);
void hotlog_points_destroy(struct hotlog_points *p);

/* Writer. The first call of a partition says where it begins. true: a point was taken, as it is when `due`.
 */
bool hotlog_points_advance(
    struct hotlog_points *p, uint32_t partition, int64_t next_offset, uint64_t next_sequence, bool due);

/* Takes a point at this sequence in any case, instead of an earlier one of it. */
void hotlog_points_note(struct hotlog_points *p, uint64_t sequence);

/* Forgets all points and places; the next ones begin at this sequence. */
void hotlog_points_reset(struct hotlog_points *p, uint64_t sequence);

/* See hotlog_place_count and its like. */
uint32_t hotlog_points_count(struct hotlog_points *p);
uint64_t hotlog_points_before(struct hotlog_points *p, uint64_t position, int64_t *next, uint32_t count);
void hotlog_points_after(struct hotlog_points *p, uint64_t position, int64_t *next, uint32_t count);
uint64_t hotlog_points_enter(struct hotlog_points *p, const int64_t *next, uint32_t count);
uint64_t hotlog_points_beyond(struct hotlog_points *p, const int64_t *next, uint32_t count);
