/* Hash map from byte strings to pointers. Keys are copied; values stay the caller's and are never NULL.
   The seed is random per process, so that clients cannot choose collisions. Not thread-safe. */
#pragma once

#include "causeway/slice.h"

#include <stdint.h>

struct map;

struct map *map_create(void);
void map_destroy(struct map *m);
size_t map_count(const struct map *m);
void *map_find(const struct map *m, struct slice key);       /* NULL when absent */
void *map_set(struct map *m, struct slice key, void *value); /* returns the value it replaced, or NULL */
void *map_remove(struct map *m, struct slice key);           /* returns the removed value, or NULL */

/* Walks all entries in no order: start with *cursor = 0; false at the end. Removing the current one is
   allowed (its key is gone with it); map_set meanwhile is not. */
bool map_next(const struct map *m, size_t *cursor, struct slice *key, void **value);

uint64_t hash_bytes(const void *data, size_t size, uint64_t seed); /* stable across processes for one seed */
