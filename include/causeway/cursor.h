/* A cursor says: everything of this log up to here. One opaque string of at most 64 bytes, the same for every
   receiver, neither secret nor bound to a user.

   It names the newest acknowledged checkpoint that precedes the place, and the way from there: in the log
   that minted it (by nonce) a number of entries, which is exact; elsewhere, offsets. `steps` list how far
   single partitions have moved since the checkpoint: so much has surely been dealt with. When they are
   `complete`, that is all. Otherwise there was no room for all of them, or it is not known, and `spread`
   bounds how far any partition has moved: what lies beyond it can be no repeat. When the cursor is not
   `whole`, it stands amid the record that its first step leads to: some events of it may have gone out.

   One that is not `placed` means offsets only, since its holder came into the log from elsewhere
   (cursor_rebase.h). */
#pragma once

#include "causeway/checkpoint.h"

enum {
    CURSOR_VERSION = 1,
    CURSOR_TEXT_MAX = 64,
    CURSOR_STEPS_MAX = 12,
};

struct cursor_step {
    uint32_t part; /* index in the checkpoint */
    uint64_t moved;
};

struct cursor {
    uint64_t nonce;
    int64_t checkpoint; /* offset in the checkpoint topic */
    uint64_t ahead;     /* entries since the checkpoint's sequence; 0 when not placed */
    uint64_t spread;
    bool complete, whole, placed;
    struct cursor_step steps[CURSOR_STEPS_MAX];
    size_t step_count;
};

/* Writes nothing but [A-Za-z0-9_-] and a NUL; steps that do not fit are left out, and then it is not
 * complete. Returns the length. */
size_t cursor_encode(const struct cursor *c, char out[CURSOR_TEXT_MAX + 1]);

enum cursor_fault {
    CURSOR_OK,
    CURSOR_MALFORMED,
    CURSOR_NEWER /* of a version that this program does not know */
};
enum cursor_fault cursor_decode(struct slice text, struct cursor *out);

/* --- minting: one per log, on the log's writer thread --- */

struct cursor_mint;

struct cursor_mint *cursor_mint_create(uint64_t nonce);
void cursor_mint_destroy(struct cursor_mint *m);

/* The writer's position has moved; the first call of a partition says where it begins. */
void cursor_mint_advance(struct cursor_mint *m, uint32_t partition, int64_t next, struct anchor anchor);

/* What to write to the checkpoint topic now, the writer standing before entry `sequence`; remembered under
 * `tag` until it is acknowledged. */
void cursor_mint_checkpoint(struct cursor_mint *m, const struct partitions *partitions, uint64_t sequence,
    uint64_t tag, struct buffer *out);
/* The checkpoint of `tag` (and with it all older ones) is at `offset` now. */
void cursor_mint_acknowledged(struct cursor_mint *m, uint64_t tag, int64_t offset);
/* Has anything moved since the last checkpoint was taken? */
bool cursor_mint_moved(const struct cursor_mint *m);

/* The record whose entries are being written. Offsets are sparse: it may lie beyond the place. */
struct cursor_record {
    uint32_t partition;
    int64_t offset;
    bool ended; /* nothing of it follows the place */
};

/* The cursor of the place before entry `sequence`, the writer having dealt with everything before; `at` may
 * be NULL. 0: no checkpoint is acknowledged yet. */
size_t cursor_mint_stamp(const struct cursor_mint *m, uint64_t sequence, const struct cursor_record *at,
    char out[CURSOR_TEXT_MAX + 1]);
/* The place of the newest acknowledged checkpoint; lent until the next call that changes something. */
const int64_t *cursor_mint_base(const struct cursor_mint *m, uint32_t *count);
