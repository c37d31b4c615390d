/* The index of a hot log: per room an ascending vector of sequence numbers. Written by the log's writer, read
   by pinned readers without locks: a slot is written once, then counted; a full vector is replaced by a new
   one, and the old one is freed when every reader has pinned anew since. */
#pragma once

#include "causeway/hotlog.h"

struct hotlog_index;

struct hotlog_index *hotlog_index_create(void);
void hotlog_index_destroy(struct hotlog_index *x);

/* Writer. `oldest`: sequences below it are evicted and need not be copied. */
void hotlog_index_add(struct hotlog_index *x, uint32_t number, uint64_t sequence, uint64_t oldest);
void hotlog_index_forget(
    struct hotlog_index *x, uint32_t number); /* the room's oldest entry has been evicted */
void hotlog_index_reclaim(struct hotlog_index *x, uint64_t lowest_epoch);

/* Readers. */
uint64_t hotlog_index_epoch(const struct hotlog_index *x);
struct hotlog_run hotlog_index_find(
    const struct hotlog_index *x, uint32_t number, uint64_t from, uint64_t head);
uint64_t hotlog_index_end(const struct hotlog_index *x, uint32_t number);
