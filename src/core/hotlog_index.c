#include "hotlog_index.h"

#include "causeway/check.h"
#include "causeway/memory.h"

#include <stdatomic.h>
#include <stdlib.h>

enum {
    CHUNK_ROOMS = 4096, /* rooms are found in two steps, so that the table grows without moving */
    CHUNKS_MAX = 65536,
    VECTOR_MIN = 4,
};

struct vector {
    struct vector *next_retired;
    uint64_t retired_at; /* epoch */
    uint32_t capacity;
    _Atomic uint32_t count;
    uint64_t at[];
};

struct room_index {
    _Atomic(struct vector *) vector;
    _Atomic uint64_t end; /* one past the last sequence */
    uint32_t live;        /* writer: entries not yet evicted */
};

struct hotlog_index {
    _Atomic(struct room_index *) chunks[CHUNKS_MAX];
    _Atomic uint64_t epoch;
    struct vector *retired; /* writer; youngest first */
};

struct hotlog_index *hotlog_index_create(void)
{
    return xcalloc(1, sizeof(struct hotlog_index));
}

static void free_retired(struct vector *v)
{
    while (v) {
        struct vector *next = v->next_retired;
        free(v);
        v = next;
    }
}

void hotlog_index_destroy(struct hotlog_index *x)
{
    if (!x)
        return;
    for (size_t i = 0; i < CHUNKS_MAX; i++) {
        struct room_index *chunk = atomic_load(&x->chunks[i]);
        for (size_t j = 0; chunk && j < CHUNK_ROOMS; j++)
            free(atomic_load(&chunk[j].vector));
        free(chunk);
    }
    free_retired(x->retired);
    free(x);
}

static struct room_index *find_room(const struct hotlog_index *x, uint32_t room)
{
    struct room_index *chunk = atomic_load_explicit(&x->chunks[room / CHUNK_ROOMS], memory_order_acquire);
    return chunk ? &chunk[room % CHUNK_ROOMS] : NULL;
}

static struct room_index *get_room(struct hotlog_index *x, uint32_t room)
{
    CHECK(room < (uint64_t)CHUNK_ROOMS * CHUNKS_MAX);
    struct room_index *found = find_room(x, room);
    if (found)
        return found;
    struct room_index *chunk = xcalloc(CHUNK_ROOMS, sizeof *chunk);
    atomic_store_explicit(&x->chunks[room / CHUNK_ROOMS], chunk, memory_order_release);
    return &chunk[room % CHUNK_ROOMS];
}

static void retire(struct hotlog_index *x, struct vector *v)
{
    /* Whoever pins from now on sees the new epoch, and with it the vector that took this one's place. */
    v->retired_at = atomic_fetch_add(&x->epoch, 1) + 1;
    v->next_retired = x->retired;
    x->retired = v;
}

void hotlog_index_reclaim(struct hotlog_index *x, uint64_t lowest_epoch)
{
    struct vector **at = &x->retired;
    while (*at && (*at)->retired_at > lowest_epoch)
        at = &(*at)->next_retired;
    free_retired(*at);
    *at = NULL;
}

static size_t first_at_or_after(const uint64_t *at, size_t count, uint64_t sequence)
{
    /* Gallop from the end, where nearly every reader is. */
    size_t step = 1, high = count;
    while (step <= count && at[count - step] >= sequence) {
        high = count - step;
        step *= 2;
    }
    size_t low = step > count ? 0 : count - step;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (at[middle] < sequence)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct vector *replace(
    struct hotlog_index *x, struct room_index *room, struct vector *old, uint64_t oldest)
{
    size_t count = old ? atomic_load_explicit(&old->count, memory_order_relaxed) : 0;
    size_t first = old ? first_at_or_after(old->at, count, oldest) : 0;
    size_t live = count - first;
    size_t capacity = live * 2 < VECTOR_MIN ? VECTOR_MIN : live * 2;
    struct vector *v = xmalloc(sizeof *v + capacity * sizeof v->at[0]);
    v->next_retired = NULL;
    v->capacity = (uint32_t)capacity;
    if (live > 0)
        memcpy(v->at, old->at + first, live * sizeof v->at[0]);
    atomic_init(&v->count, (uint32_t)live);
    atomic_store(&room->vector, v);
    if (old)
        retire(x, old);
    return v;
}

void hotlog_index_add(struct hotlog_index *x, uint32_t number, uint64_t sequence, uint64_t oldest)
{
    struct room_index *room = get_room(x, number);
    struct vector *v = atomic_load_explicit(&room->vector, memory_order_relaxed);
    uint32_t count = v ? atomic_load_explicit(&v->count, memory_order_relaxed) : 0;
    if (!v || count == v->capacity) {
        v = replace(x, room, v, oldest);
        count = atomic_load_explicit(&v->count, memory_order_relaxed);
    }
    v->at[count] = sequence;
    atomic_store_explicit(&v->count, count + 1, memory_order_release);
    atomic_store_explicit(&room->end, sequence + 1, memory_order_release);
    room->live++;
}

void hotlog_index_forget(struct hotlog_index *x, uint32_t number)
{
    struct room_index *room = get_room(x, number);
    CHECK(room->live > 0);
    if (--room->live > 0)
        return;
    struct vector *v = atomic_load_explicit(&room->vector, memory_order_relaxed);
    atomic_store(&room->vector, NULL);
    retire(x, v);
}

uint64_t hotlog_index_epoch(const struct hotlog_index *x)
{
    return atomic_load(&x->epoch);
}

struct hotlog_run hotlog_index_find(
    const struct hotlog_index *x, uint32_t number, uint64_t from, uint64_t head)
{
    struct room_index *room = find_room(x, number);
    struct vector *v = room ? atomic_load(&room->vector) : NULL;
    size_t count = v ? atomic_load_explicit(&v->count, memory_order_acquire) : 0;
    if (count == 0)
        return (struct hotlog_run){NULL, 0};
    size_t first = first_at_or_after(v->at, count, from);
    while (count > first && v->at[count - 1] >= head) /* appended, but not published when the reader looked */
        count--;
    return (struct hotlog_run){v->at + first, count - first};
}

uint64_t hotlog_index_end(const struct hotlog_index *x, uint32_t number)
{
    struct room_index *room = find_room(x, number);
    return room ? atomic_load_explicit(&room->end, memory_order_acquire) : 0;
}
