/* How far two names are apart, for "did you mean": pure. */
#pragma once

#include "causeway/slice.h"

enum { EDITS_NAME_MAX = 127 };

/* Insertions, deletions and replacements from one name to the other, small and capital letters being the
   same. A name longer than EDITS_NAME_MAX bytes is SIZE_MAX away from all. */
size_t edits_between(struct slice a, struct slice b);
