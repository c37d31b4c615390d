/* Four rings of the same age: slots (one per entry), the arena (frames, mapped twice so that none is split),
   room numbers, and the index (per room a vector of sequence numbers). Eviction moves `tail` first, then
   waits until no reader is pinned below it, and only then lets memory be used again: "immutable" alone would
   not do, since the kernel reads the arena while a reader sends. */
#include "causeway/hotlog.h"

#include "hotlog_index.h"
#include "hotlog_points.h"

#include "causeway/check.h"
#include "causeway/memory.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    NOT_PINNED_SPINS = 64,
    POINTS_PER_LOG = 256,
    GOING = 8, /* one part in so many is about to be evicted */
};

struct slot {
    uint64_t frame_at; /* position in the endless arena; its place is frame_at modulo the size */
    uint64_t rooms_at; /* likewise in the ring of room numbers */
    int64_t offset;
    uint32_t frame_size;
    uint32_t partition;
    uint16_t room_count, except_count;
    uint16_t head_size, tail_size;
    bool ephemeral, ack, uniform;
};

struct hotlog_reader {
    struct hotlog *log;
    _Atomic uint64_t pin;   /* nothing at or above this may be overwritten; UINT64_MAX: not reading */
    _Atomic uint64_t epoch; /* of the index, as seen at the last pin */
    _Atomic uint64_t done;
    _Atomic size_t walkers, waiting;
    char pad[24]; /* so that readers do not share a cache line */
};

struct hotlog {
    struct rooms *rooms;
    struct hotlog_index *index;
    struct hotlog_points *points;
    char *arena;
    size_t arena_size;
    struct slot *slots;
    uint64_t slot_mask;
    uint32_t *room_ring;
    uint64_t room_ring_size;

    /* writer only */
    uint64_t next, oldest; /* sequences: to be appended, and not yet evicted */
    uint64_t arena_at, rooms_at;
    uint64_t point_at; /* where in the arena the last point was taken */
    size_t reserved;

    /* cross threads */
    _Atomic uint64_t head, tail;
    _Atomic uint64_t end, next_log; /* hotlog_end */
    _Atomic uint64_t dismissed;
    atomic_bool evicts;
    _Atomic size_t bytes;
    unsigned reader_max;
    _Atomic unsigned reader_count;
    struct hotlog_reader *readers;
};

/* The same pages twice in a row: what begins near the end of the first copy continues in the second. */
static char *map_twice(size_t size)
{
    int fd = memfd_create("hotlog", MFD_CLOEXEC);
    CHECK(fd >= 0 && ftruncate(fd, (off_t)size) == 0);
    char *base = mmap(NULL, size * 2, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(base != MAP_FAILED);
    for (size_t i = 0; i < 2; i++) {
        void *half = mmap(base + i * size, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
        CHECK(half == base + i * size);
    }
    close(fd);
    return base;
}

struct hotlog *hotlog_create(const struct hotlog_settings *settings, struct rooms *rooms)
{
    CHECK(settings->entries > 0 && (settings->entries & (settings->entries - 1)) == 0);
    struct hotlog *log = xcalloc(1, sizeof *log);
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    log->rooms = rooms;
    log->arena_size = (settings->bytes + page - 1) / page * page;
    log->arena = map_twice(log->arena_size);
    log->slots = xcalloc(settings->entries, sizeof *log->slots);
    log->slot_mask = settings->entries - 1;
    log->room_ring_size = (uint64_t)settings->entries * 2 + 2 * HOTLOG_ROOMS_MAX;
    log->room_ring = xcalloc(log->room_ring_size, sizeof *log->room_ring);
    log->index = hotlog_index_create();
    uint32_t stride = settings->entries / POINTS_PER_LOG;
    log->points = hotlog_points_create(stride ? stride : 1);
    log->reader_max = settings->readers;
    atomic_init(&log->end, HOTLOG_NOWHERE);
    log->readers = xcalloc(settings->readers ? settings->readers : 1, sizeof *log->readers);
    return log;
}

void hotlog_destroy(struct hotlog *log)
{
    if (!log)
        return;
    munmap(log->arena, log->arena_size * 2);
    hotlog_index_destroy(log->index);
    hotlog_points_destroy(log->points);
    free(log->readers);
    free(log->room_ring);
    free(log->slots);
    free(log);
}

/* --- the writer --- */

static uint64_t lowest_epoch(const struct hotlog *log)
{
    uint64_t lowest = UINT64_MAX;
    for (unsigned i = 0; i < atomic_load(&log->reader_count); i++) {
        const struct hotlog_reader *r = &log->readers[i];
        uint64_t epoch = atomic_load(&r->pin) == UINT64_MAX ? UINT64_MAX : atomic_load(&r->epoch);
        if (epoch < lowest)
            lowest = epoch;
    }
    return lowest;
}

static void wait_for_pins(struct hotlog *log, uint64_t tail)
{
    for (unsigned i = 0; i < atomic_load(&log->reader_count); i++)
        for (unsigned spins = 0; atomic_load(&log->readers[i].pin) < tail; spins++)
            if (spins >= NOT_PINNED_SPINS)
                sched_yield();
}

static void forget(struct hotlog *log, uint64_t sequence)
{
    const struct slot *s = &log->slots[sequence & log->slot_mask];
    const uint32_t *rooms = &log->room_ring[s->rooms_at % log->room_ring_size];
    for (uint16_t i = 0; i < s->room_count; i++)
        hotlog_index_forget(log->index, rooms[i]);
    for (unsigned i = 0; i < (unsigned)s->room_count + s->except_count; i++)
        rooms_release(log->rooms, rooms[i]);
}

/* Evicts up to `target`, and one part in 64 of the entries more, so that the readers are not waited for at
 * each append. */
static void evict(struct hotlog *log, uint64_t target)
{
    uint64_t ahead = (log->next - log->oldest) / 64;
    target = log->next - target > ahead ? target + ahead : log->next;
    if (target > atomic_load_explicit(&log->head, memory_order_relaxed))
        hotlog_publish(log); /* a batch larger than the log: the tail never passes the head */
    atomic_store(&log->tail, target);
    wait_for_pins(log, target);
    for (; log->oldest < target; log->oldest++)
        forget(log, log->oldest);
    hotlog_index_reclaim(log->index, lowest_epoch(log));
}

static bool fits(const struct hotlog *log, uint64_t oldest, size_t frame, uint64_t rooms_end)
{
    if (oldest == log->next)
        return true;
    const struct slot *s = &log->slots[oldest & log->slot_mask];
    return log->next - oldest <= log->slot_mask && log->arena_at + frame - s->frame_at <= log->arena_size &&
           rooms_end - s->rooms_at <= log->room_ring_size;
}

/* Evicts until a frame and room numbers up to `rooms_end` fit. */
static void make_room(struct hotlog *log, size_t frame, uint64_t rooms_end)
{
    uint64_t oldest = log->oldest;
    while (!fits(log, oldest, frame, rooms_end))
        oldest++;
    if (oldest == log->oldest)
        return;
    atomic_store_explicit(&log->evicts, true, memory_order_relaxed);
    evict(log, oldest);
}

void hotlog_empty(struct hotlog *log)
{
    hotlog_publish(log);
    hotlog_points_note(log->points, log->next);
    evict(log, log->next);
    atomic_store_explicit(&log->evicts, false, memory_order_relaxed);
    hotlog_publish(log);
}

void hotlog_evict_all(struct hotlog *log)
{
    /* One empty entry more, so that even those who stood at the head stand before the tail. */
    hotlog_reserve(log, 1);
    hotlog_append(log, &(struct hotlog_append){0});
    atomic_store(&log->end, HOTLOG_NOWHERE);
    /* The tail before the head: nobody may come to stand behind that entry. */
    atomic_store(&log->tail, log->next);
    wait_for_pins(log, log->next);
    evict(log, log->next);
    hotlog_publish(log);
}

void hotlog_restart(struct hotlog *log)
{
    atomic_store(&log->dismissed, 0);
    hotlog_points_reset(log->points, log->next);
}

char *hotlog_reserve(struct hotlog *log, size_t size)
{
    CHECK(size <= log->arena_size / 2);
    make_room(log, size, log->rooms_at);
    log->reserved = size;
    return log->arena + log->arena_at % log->arena_size;
}

/* Room numbers of one entry lie together: near the end of the ring they start over at its beginning. */
static uint64_t rooms_place(const struct hotlog *log, size_t count)
{
    uint64_t left = log->room_ring_size - log->rooms_at % log->room_ring_size;
    return count <= left ? log->rooms_at : log->rooms_at + left;
}

uint64_t hotlog_append(struct hotlog *log, const struct hotlog_append *entry)
{
    size_t count = entry->room_count + entry->except_count;
    CHECK(log->reserved > 0 && count <= HOTLOG_ROOMS_MAX);
    uint64_t rooms_at = rooms_place(log, count);
    make_room(log, log->reserved, rooms_at + count);

    uint64_t sequence = log->next;
    uint32_t *rooms = &log->room_ring[rooms_at % log->room_ring_size];
    if (entry->room_count > 0)
        memcpy(rooms, entry->rooms, entry->room_count * sizeof *rooms);
    if (entry->except_count > 0)
        memcpy(rooms + entry->room_count, entry->except, entry->except_count * sizeof *rooms);
    log->slots[sequence & log->slot_mask] = (struct slot){
        .frame_at = log->arena_at,
        .rooms_at = rooms_at,
        .offset = entry->offset,
        .frame_size = (uint32_t)log->reserved,
        .partition = entry->partition,
        .room_count = (uint16_t)entry->room_count,
        .except_count = (uint16_t)entry->except_count,
        .head_size = entry->head_size,
        .tail_size = entry->tail_size,
        .ephemeral = entry->ephemeral,
        .ack = entry->ack,
        .uniform = entry->uniform,
    };
    for (size_t i = 0; i < entry->room_count; i++)
        hotlog_index_add(log->index, entry->rooms[i], sequence, log->oldest);
    log->arena_at += log->reserved;
    log->rooms_at = rooms_at + count;
    log->reserved = 0;
    log->next++;
    return sequence;
}

void hotlog_advance(struct hotlog *log, uint32_t partition, int64_t next_offset)
{
    /* In bytes as well as in entries, since either can fill the log. */
    bool due = log->arena_at - log->point_at >= log->arena_size / POINTS_PER_LOG;
    if (hotlog_points_advance(log->points, partition, next_offset, log->next, due))
        log->point_at = log->arena_at;
}

uint64_t hotlog_next(const struct hotlog *log)
{
    return log->next;
}

void hotlog_publish(struct hotlog *log)
{
    uint64_t first =
        log->oldest == log->next ? log->arena_at : log->slots[log->oldest & log->slot_mask].frame_at;
    atomic_store_explicit(&log->bytes, log->arena_at - first, memory_order_relaxed);
    atomic_store(&log->head, log->next);
}

unsigned hotlog_fill(const struct hotlog *log, uint64_t since)
{
    if (since < log->oldest)
        return 100;
    if (since >= log->next)
        return 0;
    uint64_t bytes = log->arena_at - log->slots[since & log->slot_mask].frame_at;
    uint64_t by_bytes = bytes * 100 / log->arena_size,
             by_count = (log->next - since) * 100 / (log->slot_mask + 1);
    return (unsigned)(by_bytes > by_count ? by_bytes : by_count);
}

uint64_t hotlog_slowest(const struct hotlog *log)
{
    uint64_t slowest = log->next;
    for (unsigned i = 0; i < atomic_load(&log->reader_count); i++) {
        uint64_t done = atomic_load(&log->readers[i].done);
        if (done >= log->oldest && done < slowest)
            slowest = done;
    }
    return slowest;
}

unsigned hotlog_backlog(const struct hotlog *log)
{
    return hotlog_fill(log, hotlog_slowest(log));
}

uint64_t hotlog_last(const struct hotlog *log, unsigned percent)
{
    uint64_t low = log->oldest, high = log->next;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (hotlog_fill(log, middle) > percent)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void hotlog_shed(struct hotlog *log, unsigned percent)
{
    uint64_t keep = hotlog_last(log, percent);
    if (keep > log->oldest)
        evict(log, keep);
}

void hotlog_dismiss(struct hotlog *log, uint64_t position)
{
    atomic_store(&log->dismissed, position);
}

size_t hotlog_bytes(const struct hotlog *log)
{
    return atomic_load_explicit(&log->bytes, memory_order_relaxed);
}

/* --- the readers --- */

struct hotlog_reader *hotlog_reader_create(struct hotlog *log)
{
    unsigned number = atomic_load(&log->reader_count);
    CHECK(number < log->reader_max);
    struct hotlog_reader *r = &log->readers[number];
    r->log = log;
    atomic_store(&r->pin, UINT64_MAX);
    atomic_store(&r->done, atomic_load(&log->head));
    atomic_store(&log->reader_count, number + 1);
    return r;
}

uint64_t hotlog_pin(struct hotlog_reader *r)
{
    atomic_store(&r->epoch, hotlog_index_epoch(r->log->index));
    uint64_t tail;
    do { /* the writer may have moved the tail before it saw our pin: then pin again */
        tail = atomic_load(&r->log->tail);
        atomic_store(&r->pin, tail);
    } while (atomic_load(&r->log->tail) != tail);
    return tail;
}

void hotlog_unpin(struct hotlog_reader *r)
{
    atomic_store(&r->pin, UINT64_MAX);
}

void hotlog_done(struct hotlog_reader *r, uint64_t position)
{
    atomic_store(&r->done, position);
}

void hotlog_done_by(struct hotlog_reader *r, uint64_t position, size_t walkers, size_t waiting)
{
    atomic_store(&r->done, position);
    atomic_store(&r->waiting, waiting);
    atomic_store(&r->walkers, walkers);
}

size_t hotlog_walkers(const struct hotlog *log)
{
    size_t walkers = 0;
    for (unsigned i = 0; i < atomic_load(&log->reader_count); i++)
        walkers += atomic_load(&log->readers[i].walkers);
    return walkers;
}

size_t hotlog_waiting(const struct hotlog *log)
{
    size_t waiting = 0;
    for (unsigned i = 0; i < atomic_load(&log->reader_count); i++)
        waiting += atomic_load(&log->readers[i].waiting);
    return waiting;
}

void hotlog_end(struct hotlog *log, uint64_t end, uint64_t next)
{
    atomic_store(&log->next_log, next);
    atomic_store(&log->end, end);
}

bool hotlog_ended(const struct hotlog *log, uint64_t position, uint64_t *next)
{
    if (atomic_load(&log->end) != position)
        return false;
    if (next)
        *next = atomic_load(&log->next_log);
    return true;
}

uint64_t hotlog_head(const struct hotlog *log)
{
    return atomic_load(&log->head);
}

uint64_t hotlog_tail(const struct hotlog *log)
{
    return atomic_load(&log->tail);
}

uint64_t hotlog_staying(const struct hotlog *log)
{
    uint64_t tail = hotlog_tail(log);
    return hotlog_evicts(log) ? tail + (hotlog_head(log) - tail) / GOING : tail;
}

bool hotlog_evicts(const struct hotlog *log)
{
    return atomic_load_explicit(&log->evicts, memory_order_relaxed);
}

uint64_t hotlog_dismissed(const struct hotlog *log)
{
    return atomic_load(&log->dismissed);
}

struct hotlog_entry hotlog_get(const struct hotlog *log, uint64_t sequence)
{
    const struct slot *s = &log->slots[sequence & log->slot_mask];
    return (struct hotlog_entry){
        .frame = log->arena + s->frame_at % log->arena_size,
        .frame_size = s->frame_size,
        .partition = s->partition,
        .offset = s->offset,
        .head_size = s->head_size,
        .tail_size = s->tail_size,
        .rooms = &log->room_ring[s->rooms_at % log->room_ring_size],
        .room_count = s->room_count,
        .except_count = s->except_count,
        .ephemeral = s->ephemeral,
        .ack = s->ack,
        .uniform = s->uniform,
    };
}

struct hotlog_run hotlog_find(const struct hotlog *log, uint32_t room, uint64_t from, uint64_t head)
{
    return hotlog_index_find(log->index, room, from, head);
}

uint64_t hotlog_room_end(const struct hotlog *log, uint32_t room)
{
    return hotlog_index_end(log->index, room);
}

uint32_t hotlog_place_count(struct hotlog *log)
{
    return hotlog_points_count(log->points);
}

uint64_t hotlog_place_before(struct hotlog *log, uint64_t position, int64_t *next, uint32_t count)
{
    return hotlog_points_before(log->points, position, next, count);
}

void hotlog_place_after(struct hotlog *log, uint64_t position, int64_t *next, uint32_t count)
{
    hotlog_points_after(log->points, position, next, count);
}

uint64_t hotlog_enter(struct hotlog *log, const int64_t *next, uint32_t count)
{
    return hotlog_points_enter(log->points, next, count);
}

uint64_t hotlog_beyond(struct hotlog *log, const int64_t *next, uint32_t count)
{
    uint64_t found = hotlog_points_beyond(log->points, next, count);
    return found <= hotlog_head(log) ? found : HOTLOG_NOWHERE;
}
