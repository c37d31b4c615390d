/* When the hot log stood where, as one loop saw it: to find the position of a moment. Notes grow coarser with
   age and are never forgotten altogether. Not thread-safe. */
#pragma once

#include <stdint.h>

struct timeline;

/* Nothing before this moment is known: it counts as this position. */
struct timeline *timeline_create(uint64_t now_ms, uint64_t position);
void timeline_destroy(struct timeline *t); /* NULL is fine */

/* Times and positions ascend. */
void timeline_note(struct timeline *t, uint64_t now_ms, uint64_t position);

/* A position that the log had come to at this moment or before; the nearest that is known. */
uint64_t timeline_before(const struct timeline *t, uint64_t ms);
/* A moment at which the log had not come to this position yet; the latest that is known. */
uint64_t timeline_until(const struct timeline *t, uint64_t position);
