/* The hot log: the recent past, append-only, in memory of a fixed size. One writer, many readers.
   An entry is one prepared frame, the rooms it goes to, and the record it came from; its sequence number is
   its position. Frames lie in an arena in the order of entries, so that neighbours go out as one piece of
   memory. Per room there is an ascending run of sequence numbers, so that a reader pays for the entries that
   match it, not for the log.

   Threads: append, publish and forget belong to one writer thread. Each reader belongs to one loop. What lies
   in [tail, head) stays readable between hotlog_pin and hotlog_unpin; the writer waits for pins below what it
   wants to overwrite, so a pin is held for one turn, never over a wait. */
#pragma once

#include "causeway/rooms.h"
#include "causeway/slice.h"

#include <stdbool.h>

struct hotlog;
struct hotlog_reader;

struct hotlog_settings {
    size_t bytes;     /* arena for frames; rounded up to pages */
    uint32_t entries; /* at most so many entries; a power of two */
    unsigned readers; /* at most so many readers */
};

struct hotlog *hotlog_create(const struct hotlog_settings *settings, struct rooms *rooms);
void hotlog_destroy(struct hotlog *log); /* after all threads that used it */

/* --- writing --- */
struct hotlog_append {
    uint32_t partition; /* partitions.h */
    int64_t offset;
    uint16_t head_size, tail_size; /* of the frame: what is another in a frame for those who may have had it;
                                      no tail: nothing is */
    const uint32_t *rooms;         /* held by the caller; the log takes over these holds */
    size_t room_count;
    const uint32_t *except; /* likewise; sessions in one of these do not get it */
    size_t except_count;
    bool ephemeral;
    bool ack;     /* whoever gets it is to acknowledge it */
    bool uniform; /* the frame is the same for everybody */
};

enum { HOTLOG_ROOMS_MAX = 16384 }; /* rooms and exceptions of one entry */

/* Where the next frame of `size` bytes is to be written; evicts what is oldest to make room. Valid until
 * hotlog_append. */
char *hotlog_reserve(struct hotlog *log, size_t size);
/* Appends an entry with the reserved frame; not visible before hotlog_publish. Returns its sequence number.
 */
uint64_t hotlog_append(struct hotlog *log, const struct hotlog_append *entry);
/* The writer has dealt with everything of the partition before this offset. The first call says where reading
 * begins. */
void hotlog_advance(struct hotlog *log, uint32_t partition, int64_t next_offset);
/* Makes everything appended visible. The caller wakes the readers. */
void hotlog_publish(struct hotlog *log);
/* The sequence that the next entry will have. */
uint64_t hotlog_next(const struct hotlog *log);
/* How much of the log, in percent, has been written since this sequence. */
unsigned hotlog_fill(const struct hotlog *log, uint64_t since);
/* What the log holds is of no use any more: it is empty from now on, at a place that is known exactly. The
 * readers have dealt with all of it, or find themselves before the tail. */
void hotlog_empty(struct hotlog *log);
/* Windows: nothing older can be walked from now on; sessions that still do find themselves before the tail.
 */
void hotlog_evict_all(struct hotlog *log);
/* Windows, after hotlog_evict_all, when nobody walks the log any more: its places in Kafka are forgotten too.
 */
void hotlog_restart(struct hotlog *log);
/* Windows: nothing will follow `end` for those who came to it; they go on at `next` in the hot log. Any later
 * append begins a new stretch. */
void hotlog_end(struct hotlog *log, uint64_t end, uint64_t next);
/* Up to where have all readers dealt with it (hotlog_done)? One from whom something was taken already holds
 * nobody up. */
uint64_t hotlog_slowest(const struct hotlog *log);
/* How much of the log, in percent, lies behind that: what eviction would take from readers that merely have
 * not come to it yet. A writer that finds it high should wait. */
unsigned hotlog_backlog(const struct hotlog *log);
/* Where the last so many percent begin. */
uint64_t hotlog_last(const struct hotlog *log, unsigned percent);
/* A writer that has waited for long enough: evicts all before that. */
void hotlog_shed(struct hotlog *log, unsigned percent);
/* Windows: asks those who stand before `position` to leave, while the log still has what tells their place
 * exactly. Holds until hotlog_restart. */
void hotlog_dismiss(struct hotlog *log, uint64_t position);

/* --- reading --- */
struct hotlog_entry {
    const char *frame;
    uint32_t frame_size;
    uint32_t partition;
    int64_t offset;
    uint16_t head_size, tail_size;
    const uint32_t *rooms; /* room_count rooms, then except_count exceptions */
    uint16_t room_count, except_count;
    bool ephemeral, ack, uniform;
};

/* Ascending sequence numbers of one room; valid while pinned. */
struct hotlog_run {
    const uint64_t *at;
    size_t count;
};

struct hotlog_reader *hotlog_reader_create(struct hotlog *log);
uint64_t hotlog_pin(struct hotlog_reader *r); /* returns the tail: nothing older can be read */
void hotlog_unpin(struct hotlog_reader *r);
uint64_t hotlog_head(const struct hotlog *log);
uint64_t hotlog_tail(const struct hotlog *log);
uint64_t hotlog_staying(const struct hotlog *log); /* what lies before this is about to be evicted */
bool hotlog_evicts(const struct hotlog *log);      /* is it full, so that what comes takes the oldest away? */
uint64_t hotlog_dismissed(const struct hotlog *log);
/* This reader has dealt with everything before `position`. */
void hotlog_done(struct hotlog_reader *r, uint64_t position);
/* ... and so many sessions of this reader walk the log; of these, so many wait at its head. */
void hotlog_done_by(struct hotlog_reader *r, uint64_t position, size_t walkers, size_t waiting);
size_t hotlog_walkers(const struct hotlog *log); /* of all readers; writer, as below */
size_t hotlog_waiting(const struct hotlog *log);
/* Is `position` the end of a stretch? *next (may be NULL) is where to go on in the hot log. */
bool hotlog_ended(const struct hotlog *log, uint64_t position, uint64_t *next);

/* Pinned, tail <= sequence < head. */
struct hotlog_entry hotlog_get(const struct hotlog *log, uint64_t sequence);
/* Pinned. The room's entries in [from, head). */
struct hotlog_run hotlog_find(const struct hotlog *log, uint32_t room, uint64_t from, uint64_t head);
/* One past the last sequence of the room, or 0: an entry at or after p can only exist when this is above p.
 * Any thread that holds the room. */
uint64_t hotlog_room_end(const struct hotlog *log, uint32_t room);

/* --- positions and places in Kafka ---
   Now and then the log notes where it stood in Kafka (a point); points outlive the entries, ever more
   coarsely. Any thread. Vectors are next offsets by partition number; a partition that a vector is too short
   for counts as not begun. */

uint32_t hotlog_place_count(struct hotlog *log); /* partitions that have begun */
/* Fills `next` (count of them) with the place at or before `position`, and returns the position that is known
 * to be there. */
uint64_t hotlog_place_before(struct hotlog *log, uint64_t position, int64_t *next, uint32_t count);
/* ... at or after `position`: everything before it lies before that place. */
void hotlog_place_after(struct hotlog *log, uint64_t position, int64_t *next, uint32_t count);
/* The last known position whose place is nowhere beyond this one: from there on the log has all that follows.
 * HOTLOG_NOWHERE: it begins later. */
uint64_t hotlog_enter(struct hotlog *log, const int64_t *next, uint32_t count);
/* The first known position from which on nothing lies before this place, up to the head. HOTLOG_NOWHERE: not
 * known yet. */
uint64_t hotlog_beyond(struct hotlog *log, const int64_t *next, uint32_t count);

#define HOTLOG_NOWHERE UINT64_MAX

size_t hotlog_bytes(const struct hotlog *log); /* frames held; any thread, approximate */
