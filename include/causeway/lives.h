/* What checkpoints tell of the partitions: which life each lives, and by which records that can be seen.
   Pure; used by one thread at a time. */
#pragma once

#include "causeway/checkpoint.h"

struct lives;

enum { LIFE_ANCHORS_MAX = 5 };

struct life {
    struct partition_name name;
    struct anchor anchors[LIFE_ANCHORS_MAX]; /* descending */
    unsigned anchor_count;
    uint32_t before; /* the life before it ... */
    bool follows;    /* ... if that is known */
    bool ended;      /* this one is over, and the next one had no record yet */
};

struct lives *lives_create(void);
void lives_destroy(struct lives *l); /* NULL is fine */
void lives_clear(struct lives *l);
/* The newest checkpoint first, then ever older ones: an older one adds what the newer ones did not know. */
void lives_add(struct lives *l, const struct checkpoint *c);
/* Are all these topics known, and each partition by one of its records? Of one that never had any it cannot
 * be said: the newest checkpoint may be of a log that began at a place before them. */
bool lives_complete(const struct lives *l, const struct slice *topics, size_t count);
size_t lives_count(const struct lives *l);
const struct life *lives_get(const struct lives *l, size_t i); /* valid until something is added */
const struct life *lives_find(const struct lives *l, struct slice topic, int32_t partition); /* or NULL */
bool lives_know(const struct lives *l, struct slice topic);
int64_t lives_newest_ms(const struct lives *l); /* of all anchors; 0: there is none */
