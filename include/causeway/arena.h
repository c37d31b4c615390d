/* Memory that is given piece by piece and freed at once. A zeroed struct is an empty one. Not thread-safe. */
#pragma once

#include "causeway/slice.h"

struct arena {
    struct arena_block *blocks;
};

void *arena_allocate(
    struct arena *a, size_t count, size_t size);             /* zeroed; never NULL, not even for nothing */
struct slice arena_copy(struct arena *a, struct slice text); /* with a NUL behind */
void arena_finish(struct arena *a);
