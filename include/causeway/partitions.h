/* The partitions that this process reads, as small numbers, so that a position in Kafka is a vector of next
   offsets. A number stands for one life of a partition: when its topic is deleted and made again, offsets
   start over, and the new life gets a number of its own. So the offsets of a number only ever ascend. Numbers
   are added by the Kafka thread and never go away; everything else may be asked from any thread. */
#pragma once

#include "causeway/slice.h"

#include <stdint.h>

struct partitions;

enum {
    PARTITION_NONE = UINT32_MAX,
    PARTITIONS_MAX = 16384,
    LIFE_UNBORN = UINT32_MAX /* its first record has not come */
};

struct partition_name {
    struct slice topic;
    int32_t number;
    uint32_t life; /* 0: the first that was ever seen; else a hash of the life's first record, the same on
                      every instance */
};

struct partitions *partitions_create(void);
void partitions_destroy(struct partitions *p);

/* @thread kafka. The number of the current life, made when unknown: reading begins at `first`. */
uint32_t partitions_get(struct partitions *p, struct slice topic, int32_t number, int64_t first);
/* @thread kafka. The topic was made again: the partition's next number. */
uint32_t partitions_renew(
    struct partitions *p, struct slice topic, int32_t number, uint32_t life, int64_t first);
/* @thread kafka. The life that the last checkpoint knows, or that its first record tells. */
void partitions_set_life(struct partitions *p, uint32_t partition, uint32_t life);
/* @thread kafka. This life is the one before it without its end. */
void partitions_set_truncated(struct partitions *p, uint32_t partition);
bool partitions_truncated(const struct partitions *p, uint32_t partition);
/* @thread kafka. A life that was over before this process could read any of it; the next one of this
 * partition that is made is the one that followed. */
uint32_t partitions_add_past(struct partitions *p, struct slice topic, int32_t number, uint32_t life);
bool partitions_past(const struct partitions *p, uint32_t partition);
/* The life that followed, or PARTITION_NONE. */
uint32_t partitions_after(const struct partitions *p, uint32_t partition);
/* Did this process see it begin (partitions_renew)? Then `first` is where its log does. */
bool partitions_renewed(const struct partitions *p, uint32_t partition);
/* The number of this very life, or PARTITION_NONE; `near` is where to look first. */
uint32_t partitions_find_life(const struct partitions *p, const struct partition_name *name, size_t near);

uint32_t partitions_count(const struct partitions *p);
struct partition_name partitions_name(const struct partitions *p, uint32_t partition);
int64_t partitions_first(const struct partitions *p, uint32_t partition);
/* Is it the current life of its partition? */
bool partitions_current(const struct partitions *p, uint32_t partition);
/* The current life of this partition, or PARTITION_NONE. */
uint32_t partitions_find(const struct partitions *p, struct slice topic, int32_t number);
