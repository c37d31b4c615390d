#include "causeway/map.h"

#include "causeway/check.h"
#include "causeway/memory.h"
#include "causeway/random.h"

#include <endian.h>
#include <stdlib.h>

/* Open addressing, linear probing, capacity a power of two. A removed entry leaves a mark instead of shifting
   its neighbours, so that a walk may remove the entry it stands on; marks go when the next map_set rehashes,
   or at once when the slot behind is empty. */
struct slot {
    uint64_t hash;
    char *key; /* NULL: empty; `removed`: a mark; else heap memory of its own */
    size_t key_size;
    void *value;
};

struct map {
    struct slot *slots;
    size_t capacity;
    size_t count;
    size_t used; /* entries and marks */
    uint64_t seed;
};

enum { MAP_FIRST = 16 };

static char removed[1];

__extension__ typedef unsigned __int128 wide;

static uint64_t fold(uint64_t a, uint64_t b)
{
    wide product = (wide)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t read64(const unsigned char *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return le64toh(value);
}

static uint64_t read32(const unsigned char *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return le32toh(value);
}

/* After wyhash: 16 bytes per multiplication, the tail read twice with overlap. Little-endian on every
 * machine. */
uint64_t hash_bytes(const void *data, size_t size, uint64_t seed)
{
    const uint64_t one = 0xA0761D6478BD642FU, two = 0xE7037ED1A0B428DBU;
    const unsigned char *at = data;
    size_t left = size;
    uint64_t a = 0, b = 0;
    for (seed ^= fold(seed ^ one, two); left > 16; at += 16, left -= 16)
        seed = fold(read64(at) ^ two, read64(at + 8) ^ seed);
    if (left >= 8) {
        a = read64(at);
        b = read64(at + left - 8);
    } else if (left >= 4) {
        a = read32(at);
        b = read32(at + left - 4);
    } else if (left > 0) {
        a = (uint64_t)at[0] << 16 | (uint64_t)at[left >> 1] << 8 | at[left - 1];
    }
    return fold(two ^ size, fold(a ^ two, b ^ seed));
}

struct map *map_create(void)
{
    struct map *m = xcalloc(1, sizeof *m);
    m->seed = random_u64();
    m->capacity = MAP_FIRST;
    m->slots = xcalloc(m->capacity, sizeof *m->slots);
    return m;
}

static bool is_entry(const struct slot *slot)
{
    return slot->key && slot->key != removed;
}

void map_destroy(struct map *m)
{
    if (!m)
        return;
    for (size_t i = 0; i < m->capacity; i++)
        if (is_entry(&m->slots[i]))
            free(m->slots[i].key);
    free(m->slots);
    free(m);
}

size_t map_count(const struct map *m)
{
    return m->count;
}

static struct slot *find_slot(const struct map *m, struct slice key, uint64_t hash)
{
    size_t mask = m->capacity - 1;
    for (size_t i = hash & mask;; i = (i + 1) & mask) {
        struct slot *slot = &m->slots[i];
        if (!slot->key)
            return NULL;
        if (slot->key != removed && slot->hash == hash &&
            slice_equal(key, (struct slice){slot->key, slot->key_size}))
            return slot;
    }
}

void *map_find(const struct map *m, struct slice key)
{
    const struct slot *slot = find_slot(m, key, hash_bytes(key.data, key.size, m->seed));
    return slot ? slot->value : NULL;
}

static struct slot *find_empty(const struct map *m, uint64_t hash)
{
    size_t mask = m->capacity - 1;
    size_t i = hash & mask;
    while (m->slots[i].key)
        i = (i + 1) & mask;
    return &m->slots[i];
}

/* Sized by what is alive: a map that was mostly marks shrinks here, a full one doubles. */
static void rehash(struct map *m)
{
    struct slot *old = m->slots;
    size_t old_capacity = m->capacity;
    m->capacity = MAP_FIRST;
    while (m->capacity < (m->count + 1) * 2)
        m->capacity *= 2;
    m->slots = xcalloc(m->capacity, sizeof *m->slots);
    m->used = m->count;
    for (size_t i = 0; i < old_capacity; i++)
        if (is_entry(&old[i]))
            *find_empty(m, old[i].hash) = old[i];
    free(old);
}

void *map_set(struct map *m, struct slice key, void *value)
{
    CHECK(value); /* NULL means absent */
    uint64_t hash = hash_bytes(key.data, key.size, m->seed);
    struct slot *slot = find_slot(m, key, hash);
    if (slot) {
        void *before = slot->value;
        slot->value = value;
        return before;
    }
    char *copy = xstrndup(key.data, key.size);
    if ((m->used + 1) * 4 > m->capacity * 3)
        rehash(m);
    *find_empty(m, hash) = (struct slot){hash, copy, key.size, value};
    m->count++;
    m->used++;
    return NULL;
}

/* A mark in front of an empty slot ends no probe: empty it, and the marks before it. */
static void clear_marks(struct map *m, size_t i)
{
    size_t mask = m->capacity - 1;
    if (m->slots[(i + 1) & mask].key)
        return;
    for (; m->slots[i].key == removed; i = (i - 1) & mask) {
        m->slots[i].key = NULL;
        m->used--;
    }
}

void *map_remove(struct map *m, struct slice key)
{
    struct slot *slot = find_slot(m, key, hash_bytes(key.data, key.size, m->seed));
    if (!slot)
        return NULL;
    void *value = slot->value;
    free(slot->key);
    *slot = (struct slot){.key = removed};
    m->count--;
    clear_marks(m, (size_t)(slot - m->slots));
    return value;
}

bool map_next(const struct map *m, size_t *cursor, struct slice *key, void **value)
{
    while (*cursor < m->capacity) {
        const struct slot *slot = &m->slots[(*cursor)++];
        if (!is_entry(slot))
            continue;
        *key = (struct slice){slot->key, slot->key_size};
        *value = slot->value;
        return true;
    }
    return false;
}
