#include "causeway/memory.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Noreturn void out_of_memory(size_t size)
{
    (void)fprintf(stderr, "out of memory: %zu bytes refused\n", size);
    abort();
}

/* malloc(0) may return NULL, which would look like a failure: ask for one byte instead. */
static size_t at_least_one(size_t size)
{
    return size ? size : 1;
}

void *xmalloc(size_t size)
{
    void *memory = malloc(at_least_one(size));
    if (!memory)
        out_of_memory(size);
    return memory;
}

void *xcalloc(size_t count, size_t size)
{
    void *memory = calloc(at_least_one(count), at_least_one(size));
    if (!memory)
        out_of_memory(size && count > SIZE_MAX / size ? SIZE_MAX : count * size);
    return memory;
}

void *xrealloc(void *memory, size_t size)
{
    void *moved = realloc(memory, at_least_one(size));
    if (!moved)
        out_of_memory(size);
    return moved;
}

char *xstrdup(const char *text)
{
    return xstrndup(text, strlen(text));
}

char *xstrndup(const char *data, size_t size)
{
    if (size == SIZE_MAX)
        out_of_memory(size);
    char *copy = xmalloc(size + 1);
    if (size)
        memcpy(copy, data, size);
    copy[size] = '\0';
    return copy;
}
