#include "nameset.h"

#include "causeway/map.h"
#include "causeway/memory.h"

#include <stdlib.h>

void nameset_finish(struct nameset *s)
{
    buffer_finish(&s->text);
    free(s->spans);
    free(s->slots);
    free(s->names);
    *s = (struct nameset){0};
}

void nameset_clear(struct nameset *s)
{
    buffer_clear(&s->text);
    s->count = 0;
    s->generation++;
}

static struct slice name_at(const struct nameset *s, size_t index)
{
    return (struct slice){s->text.data + s->spans[index].start, s->spans[index].size};
}

/* The slot that holds `name`, or the free one where it belongs. The address as seed differs between
 * processes. */
static struct nameset_slot *find_slot(const struct nameset *s, struct slice name)
{
    uint64_t hash = hash_bytes(name.data, name.size, (uint64_t)(uintptr_t)s);
    for (size_t i = (size_t)hash & (s->slot_count - 1);; i = (i + 1) & (s->slot_count - 1)) {
        struct nameset_slot *slot = &s->slots[i];
        if (slot->generation != s->generation || slice_equal(name_at(s, slot->index), name))
            return slot;
    }
}

static void grow(struct nameset *s)
{
    s->capacity = s->capacity ? s->capacity * 2 : 8;
    s->spans = xrealloc(s->spans, s->capacity * sizeof *s->spans);
    free(s->slots);
    s->slot_count = s->capacity * 2;
    s->slots = xcalloc(s->slot_count, sizeof *s->slots);
    s->generation++; /* beyond the 0 of fresh slots */
    for (size_t i = 0; i < s->count; i++)
        *find_slot(s, name_at(s, i)) = (struct nameset_slot){s->generation, i};
}

void nameset_add(struct nameset *s, size_t start)
{
    if (s->count == s->capacity)
        grow(s);
    struct slice name = {s->text.data + start, s->text.size - start};
    struct nameset_slot *slot = find_slot(s, name);
    if (slot->generation == s->generation) {
        s->text.size = start;
        return;
    }
    *slot = (struct nameset_slot){s->generation, s->count};
    s->spans[s->count++] = (struct nameset_span){start, name.size};
}

bool nameset_has(const struct nameset *s, struct slice name)
{
    return s->count > 0 && find_slot(s, name)->generation == s->generation;
}

const struct slice *nameset_names(struct nameset *s)
{
    static const struct slice none = {NULL, 0};
    if (s->count > s->names_capacity) {
        s->names_capacity = s->capacity;
        s->names = xrealloc(s->names, s->names_capacity * sizeof *s->names);
    }
    for (size_t i = 0; i < s->count; i++)
        s->names[i] = name_at(s, i);
    return s->count > 0 ? s->names : &none;
}
