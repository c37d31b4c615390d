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

/* --- partitions: dense numbers for (topic, partition), so that positions in Kafka are vectors ---
   hotlog_partition: writer only, adds when unknown. The others: any thread, for numbers below
   hotlog_partitions. */
uint32_t hotlog_partition(struct hotlog *log, struct slice topic, int32_t partition, int64_t next_offset);
uint32_t hotlog_partitions(const struct hotlog *log);
struct slice hotlog_partition_topic(const struct hotlog *log, uint32_t partition);
int32_t hotlog_partition_number(const struct hotlog *log, uint32_t partition);

/* --- writing --- */
struct hotlog_append {
    uint32_t partition; /* from hotlog_partition */
    int64_t offset;
    const uint32_t *rooms; /* distinct; held by the caller; the log takes over these holds */
    size_t room_count;
    const uint32_t *except; /* likewise; sessions in one of these do not get it */
    size_t except_count;
    bool ephemeral;
};

enum { HOTLOG_ROOMS_MAX = 16384 }; /* rooms and exceptions of one entry */

/* Where the next frame of `size` bytes is to be written; evicts what is oldest to make room. Valid until
 * hotlog_append. */
char *hotlog_reserve(struct hotlog *log, size_t size);
/* Appends an entry with the reserved frame; not visible before hotlog_publish. Returns its sequence number.
 */
uint64_t hotlog_append(struct hotlog *log, const struct hotlog_append *entry);
/* The writer has dealt with this record, whether entries came of it or not. */
void hotlog_advance(struct hotlog *log, uint32_t partition, int64_t next_offset);
/* Makes everything appended visible. The caller wakes the readers. */
void hotlog_publish(struct hotlog *log);
/* How much of the log, in percent, lies between the slowest reader's hotlog_done and the end: what eviction
   would take from readers that merely have not come to it yet. A writer that finds it high should wait. */
unsigned hotlog_backlog(const struct hotlog *log);

/* --- reading --- */
struct hotlog_entry {
    const char *frame;
    uint32_t frame_size;
    uint32_t partition;
    int64_t offset;
    const uint32_t *rooms; /* room_count rooms, then except_count exceptions */
    uint16_t room_count, except_count;
    bool ephemeral;
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
/* This reader has dealt with everything before `position`. */
void hotlog_done(struct hotlog_reader *r, uint64_t position);

/* Pinned, tail <= sequence < head. */
struct hotlog_entry hotlog_get(const struct hotlog *log, uint64_t sequence);
/* Pinned. The room's entries in [from, head). */
struct hotlog_run hotlog_find(const struct hotlog *log, uint32_t room, uint64_t from, uint64_t head);
/* One past the last sequence of the room, or 0: an entry at or after p can only exist when this is above p.
 * Any thread that holds the room. */
uint64_t hotlog_room_end(const struct hotlog *log, uint32_t room);

/* --- what an evicted position missed --- */
struct hotlog_gap {
    uint32_t partitions; /* those that were known at the returned position */
    int64_t *from, *to;  /* one piece of memory: the caller frees `from` */
};

/* For a position below the tail: the first position at or after the tail whose place in Kafka is known;
   from[i] and to[i] are the offsets at or before `position`, and at the returned position. That may lie
   beyond a head that was read before. Pinned; any reader. */
uint64_t hotlog_skip(struct hotlog *log, uint64_t position, struct hotlog_gap *gap);

size_t hotlog_bytes(const struct hotlog *log); /* frames held; any thread, approximate */
