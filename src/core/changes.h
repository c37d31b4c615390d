/* Which rights changed lately, and when: for a client that was cut while it was brought what a new right
   gives, or before it could be. It comes back with a cursor that is older than the right. Belongs to lookups.
 */
#pragma once

#include "causeway/slice.h"

#include <stdint.h>

struct changes;

struct changes *changes_create(void);
void changes_destroy(struct changes *c); /* NULL is fine */

/* At `heard_ms` it was heard that the answer of this name (ANY_NAME: of any), which was known until
 * `known_ms`, is another. Times of hearing ascend. Only so many are kept. */
void changes_note(struct changes *c, struct slice name, uint64_t known_ms, uint64_t heard_ms);

/* Changes of this name that may have been heard of at or after `since_ms`, by any instance: until when all of
 * them were not there yet. UINT64_MAX: there are none. What is not kept any more is taken for a change. */
uint64_t changes_since(const struct changes *c, struct slice name, uint64_t since_ms);

static const struct slice ANY_NAME = {NULL, 0};
