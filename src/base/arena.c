#include "causeway/arena.h"

#include "causeway/check.h"
#include "causeway/memory.h"

#include <stdint.h>
#include <stdlib.h>

struct arena_block {
    struct arena_block *next;
    _Alignas(max_align_t) char memory[];
};

void *arena_allocate(struct arena *a, size_t count, size_t size)
{
    CHECK(size == 0 || count <= (SIZE_MAX - sizeof(struct arena_block)) / size);
    struct arena_block *block = xcalloc(1, sizeof *block + count * size);
    block->next = a->blocks;
    a->blocks = block;
    return block->memory;
}

struct slice arena_copy(struct arena *a, struct slice text)
{
    char *copy = arena_allocate(a, text.size + 1, 1);
    if (text.size > 0)
        memcpy(copy, text.data, text.size);
    return (struct slice){copy, text.size};
}

void arena_finish(struct arena *a)
{
    for (struct arena_block *block = a->blocks, *next; block; block = next) {
        next = block->next;
        free(block);
    }
    a->blocks = NULL;
}
