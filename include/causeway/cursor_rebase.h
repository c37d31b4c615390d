/* Cursors for those who came into a log from elsewhere. They have had what the log's own cursors do not know
   of, and may have had more: such a cursor of theirs says both, by offsets. So every event they get carries a
   cursor, and who is cut again never has to be told twice of the same event without a mark.

   The bases of a log are written by its writer and read by any thread; a rebase belongs to one loop. */
#pragma once

#include "causeway/cursor.h"
#include "causeway/origin.h"

/* --- where a log's acknowledged checkpoints stood, as far back as fits --- */

struct cursor_bases;

struct cursor_bases *cursor_bases_create(size_t bytes_max);
void cursor_bases_destroy(struct cursor_bases *b);
/* Offsets of checkpoints ascend. */
void cursor_bases_add(struct cursor_bases *b, int64_t checkpoint, const int64_t *next, uint32_t count);
void cursor_bases_clear(struct cursor_bases *b);

/* --- one reader --- */

struct cursor_rebase;

struct cursor_rebase *cursor_rebase_create(struct cursor_bases *bases); /* lent */
void cursor_rebase_destroy(struct cursor_rebase *r);                    /* NULL is fine */

/* `plain`, a cursor of a place in the log, as it is for one who came from `origin` (held for the next call)
 * and has had all that follows from there up to this place. Returns the length; 0: `plain` is none. */
size_t cursor_rebase(
    struct cursor_rebase *r, struct slice plain, struct origin *origin, char out[CURSOR_TEXT_MAX + 1]);
