/* A list of distinct names in the order they came, for room names. Reusable: nameset_clear keeps the memory,
   so that a warm set allocates nothing. A zeroed struct is an empty set; its owner calls nameset_finish. Not
   thread-safe. */
#pragma once

#include "causeway/buffer.h"

#include <stdint.h>

struct nameset {
    struct buffer text;
    struct nameset_span {
        size_t start;
        size_t size;
    } * spans;
    size_t count, capacity;
    struct nameset_slot {
        uint64_t generation; /* a slot of an older generation is free */
        size_t index;
    } * slots;
    size_t slot_count; /* a power of two */
    uint64_t generation;
    struct slice *names; /* what nameset_names hands out */
    size_t names_capacity;
};

void nameset_finish(struct nameset *s);
void nameset_clear(struct nameset *s);

/* Adds what the caller has appended to s->text behind `start`; takes it off again when the set has it
 * already. */
void nameset_add(struct nameset *s, size_t start);

bool nameset_has(const struct nameset *s, struct slice name);

/* The names, nameset's `count` of them, never NULL; valid until the set changes. */
const struct slice *nameset_names(struct nameset *s);
