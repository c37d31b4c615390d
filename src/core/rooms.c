#include "causeway/rooms.h"

#include "causeway/buffer.h"
#include "causeway/lock.h"
#include "causeway/map.h"
#include "causeway/memory.h"

#include <stdlib.h>

struct room {
    char *key; /* two bytes of lane, then the name */
    size_t key_size;
    uint32_t holds;
    uint32_t next_free; /* while nobody holds it */
};

struct rooms {
    struct lock lock;
    struct map *numbers; /* key -> number + 1 */
    struct room *rooms;
    uint32_t used, capacity, first_free;
};

struct key {
    char bytes[ROOM_NAME_MAX + 2];
    size_t size;
};

static struct slice make_key(struct key *k, uint16_t lane, struct slice name)
{
    CHECK(name.size > 0 && name.size <= ROOM_NAME_MAX);
    memcpy(k->bytes, &lane, 2);
    memcpy(k->bytes + 2, name.data, name.size);
    return (struct slice){k->bytes, name.size + 2};
}

struct rooms *rooms_create(void)
{
    struct rooms *r = xcalloc(1, sizeof *r);
    lock_init(&r->lock);
    r->numbers = map_create();
    r->first_free = ROOM_NONE;
    return r;
}

void rooms_destroy(struct rooms *r)
{
    if (!r)
        return;
    for (uint32_t i = 0; i < r->used; i++)
        free(r->rooms[i].key);
    free(r->rooms);
    map_destroy(r->numbers);
    lock_finish(&r->lock);
    free(r);
}

static uint32_t look_up(const struct rooms *r, struct slice key)
{
    uintptr_t found = (uintptr_t)map_find(r->numbers, key);
    return found ? (uint32_t)(found - 1) : ROOM_NONE;
}

static uint32_t add(struct rooms *r, struct slice key)
{
    uint32_t number = r->first_free;
    if (number != ROOM_NONE) {
        r->first_free = r->rooms[number].next_free;
    } else {
        if (r->used == r->capacity) {
            r->capacity = r->capacity ? r->capacity * 2 : 64;
            r->rooms = xrealloc(r->rooms, r->capacity * sizeof *r->rooms);
        }
        number = r->used++;
    }
    r->rooms[number] = (struct room){.key = xstrndup(key.data, key.size), .key_size = key.size};
    map_set(r->numbers, key, (void *)((uintptr_t)number + 1));
    return number;
}

uint32_t rooms_hold(struct rooms *r, uint16_t lane, struct slice name)
{
    struct key k;
    struct slice key = make_key(&k, lane, name);
    lock_take(&r->lock);
    uint32_t number = look_up(r, key);
    if (number == ROOM_NONE)
        number = add(r, key);
    r->rooms[number].holds++;
    lock_give(&r->lock);
    return number;
}

void rooms_hold_again(struct rooms *r, uint32_t room)
{
    lock_take(&r->lock);
    CHECK(r->rooms[room].holds > 0);
    r->rooms[room].holds++;
    lock_give(&r->lock);
}

void rooms_release(struct rooms *r, uint32_t number)
{
    lock_take(&r->lock);
    struct room *room = &r->rooms[number];
    CHECK(room->holds > 0);
    if (--room->holds == 0) {
        map_remove(r->numbers, (struct slice){room->key, room->key_size});
        free(room->key);
        *room = (struct room){.next_free = r->first_free};
        r->first_free = number;
    }
    lock_give(&r->lock);
}

uint32_t rooms_find(struct rooms *r, uint16_t lane, struct slice name)
{
    struct key k;
    struct slice key = make_key(&k, lane, name);
    lock_take(&r->lock);
    uint32_t number = look_up(r, key);
    lock_give(&r->lock);
    return number;
}

void rooms_name(struct rooms *r, uint32_t room, struct buffer *out)
{
    lock_take(&r->lock);
    CHECK(r->rooms[room].holds > 0);
    buffer_add(out, r->rooms[room].key + 2, r->rooms[room].key_size - 2);
    lock_give(&r->lock);
}

size_t rooms_count(struct rooms *r)
{
    lock_take(&r->lock);
    size_t count = map_count(r->numbers);
    lock_give(&r->lock);
    return count;
}
