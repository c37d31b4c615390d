/* A journal is a log whose entries carry cursors: the hot log is one, and each window into Kafka's past is
   one. It turns routed records into frames, stamps them, and keeps the latest cursor for those who have no
   event to take it from. The writer's functions belong to one thread (the Kafka thread, or the one that
   sweeps); the others to any. */
#pragma once

#include "causeway/cursor_rebase.h"
#include "causeway/hotlog.h"
#include "causeway/resume.h"
#include "causeway/route.h"

struct journal;

/* Lends the log's rooms and the partitions. `nonce`: random, so that a cursor finds back to this very
 * journal. */
struct journal *journal_create(const struct hotlog_settings *settings, struct rooms *rooms,
    struct partitions *partitions, uint64_t nonce);
void journal_destroy(struct journal *j);
struct hotlog *journal_log(struct journal *j);
uint64_t journal_nonce(const struct journal *j); /* any thread */
/* Any thread. Is this nonce its own, or was it, as far back as is kept? */
bool journal_had_nonce(struct journal *j, uint64_t nonce);
struct cursor_bases *journal_bases(struct journal *j); /* lent */

/* --- writer --- */

/* Asked before each entry. It may publish and wait, so that those who walk the log are not overtaken. */
void journal_set_pace(struct journal *j, void (*pace)(void *owner), void *owner);

/* Appends what this record is to its clients, one entry per delivery that goes to any room; *appended of
   them. false: a frame could not be made (too many rooms, names too long). */
bool journal_append(struct journal *j, const struct catalogue *c, uint32_t partition,
    const struct record *record, const struct routed *routed, size_t *appended);
/* Would it take this record? Any thread; what is only to judge records asks this. */
bool journal_can_carry(const struct catalogue *c, const struct record *record, const struct routed *routed);
/* Appends a gap message for everybody (ROOM_OF_ALL) on every lane. */
void journal_append_gap(
    struct journal *j, const struct catalogue *c, uint32_t partition, const struct gap *gap);
/* The record (or, with `record` NULL, everything before `next`) has been dealt with. */
void journal_advance(struct journal *j, uint32_t partition, int64_t next, const struct record *record);
/* Where the log begins in a partition; the anchor (offset -1: none) is some record before that. */
void journal_begin(struct journal *j, uint32_t partition, int64_t next, struct anchor anchor);
/* What lies below this offset may have gone out before: its events are marked for everybody. */
void journal_expect_repeats(struct journal *j, uint32_t partition, int64_t below);
/* Makes entries visible, and the cursor of this place. */
void journal_publish(struct journal *j);
/* The bytes of a checkpoint of this place, and the tag under which its acknowledgement is awaited. false:
 * nothing has moved since the last one. */
bool journal_checkpoint(struct journal *j, bool even_unmoved, struct buffer *out, uint64_t *tag);
void journal_acknowledge(struct journal *j, uint64_t tag, int64_t offset);
/* So many partitions does the newest acknowledged checkpoint know. A cursor cannot tell of a record of any
 * other one how far it had come there. */
uint32_t journal_covered(const struct journal *j);

/* A window begins anew: what it held is gone, and so is what its old nonce means here. No session may walk it
 * (hotlog_walkers). */
void journal_restart(struct journal *j, uint64_t nonce);

/* --- any thread --- */

/* A cursor of a place at or before `position`, as near as is kept, but not before `least`; 0: none. */
size_t journal_cursor(struct journal *j, uint64_t least, uint64_t position, char out[CURSOR_TEXT_MAX + 1]);
/* The position that a cursor of this journal names, or UINT64_MAX when it is no longer known what stood
 * there. */
uint64_t journal_position(struct journal *j, const struct cursor *c);
