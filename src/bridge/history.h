/* Checkpoints, and where cursors stand. The journals' writers hand in checkpoints and take acknowledgements
   back on their own threads; loops ask where a cursor stands and are answered on theirs. */
#pragma once

#include "causeway/cursor.h"
#include "causeway/kafka.h"
#include "causeway/lives.h"

struct bridge;
struct history;
struct worker;

struct history *history_create(struct bridge *b, const struct kafka_settings *settings);
void history_stop(struct history *h); /* its threads */
void history_destroy(struct history *h);
bool history_ready(struct history *h, char *detail, size_t size);
/* The checkpoint topic's settings would lose what cursors point to. */
bool history_refused(struct history *h, char *detail, size_t size);
/* Waits until the newest checkpoints have been read, or there are none. false: given up. */
bool history_wait(struct history *h);
void history_give_up(struct history *h);
/* Where reading begins so that the hot log is warm when everybody comes back: 60 s before the last record
 * that a checkpoint knows, but not before what fits; and the records by which it can be seen whether the log
 * is still the same. A topic that no checkpoint knows begins at its head. Free it. After history_wait. */
struct kafka_source_start *history_past(
    struct history *h, const struct kafka_settings *settings, int64_t records_max, size_t *found);
/* NULL: nothing is known. */
const struct life *history_known_life(const struct history *h, struct slice topic, int32_t partition);
/* On the journal's writer thread. */
bool history_checkpoint(struct history *h, unsigned journal, bool even_unmoved);
bool history_take_acknowledgements(struct history *h, unsigned journal);
/* @thread loop: answers through client_located, possibly at once. */
void history_locate(
    struct history *h, struct worker *w, const struct cursor *cursor, uint64_t client, uint64_t tag);
void history_pulse(struct worker *w);  /* @thread loop, several times a second: those that wait */
void history_forget(struct worker *w); /* ... are not answered any more */
