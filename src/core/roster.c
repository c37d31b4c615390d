#include "causeway/roster.h"

#include "causeway/check.h"
#include "causeway/memory.h"

#include <stdlib.h>

/* A number is the index of a slot and how often that slot was taken. */
struct slot {
    struct client *client;
    uint32_t generation;
    uint32_t next_free;
};

enum { NO_SLOT = UINT32_MAX };

struct roster {
    struct slot *slots;
    uint32_t used, capacity, first_free;
};

struct roster *roster_create(void)
{
    struct roster *r = xcalloc(1, sizeof *r);
    r->first_free = NO_SLOT;
    return r;
}

void roster_destroy(struct roster *r)
{
    if (!r)
        return;
    for (uint32_t i = 0; i < r->used; i++)
        CHECK(!r->slots[i].client);
    free(r->slots);
    free(r);
}

static uint32_t take_slot(struct roster *r)
{
    uint32_t index = r->first_free;
    if (index != NO_SLOT) {
        r->first_free = r->slots[index].next_free;
        return index;
    }
    if (r->used == r->capacity) {
        r->capacity = r->capacity ? r->capacity * 2 : 64;
        r->slots = xrealloc(r->slots, r->capacity * sizeof *r->slots);
    }
    r->slots[r->used] = (struct slot){0};
    return r->used++;
}

uint64_t roster_add(struct roster *r, struct client *c)
{
    uint32_t index = take_slot(r);
    r->slots[index].client = c;
    return (uint64_t)++r->slots[index].generation << 32 | index;
}

static struct slot *find(const struct roster *r, uint64_t number)
{
    uint32_t index = (uint32_t)number;
    struct slot *s = index < r->used ? &r->slots[index] : NULL;
    return s && s->client && s->generation == (uint32_t)(number >> 32) ? s : NULL;
}

void roster_remove(struct roster *r, uint64_t number)
{
    struct slot *s = find(r, number);
    CHECK(s);
    s->client = NULL;
    s->next_free = r->first_free;
    r->first_free = (uint32_t)number;
}

struct client *roster_find(const struct roster *r, uint64_t number)
{
    struct slot *s = find(r, number);
    return s ? s->client : NULL;
}
