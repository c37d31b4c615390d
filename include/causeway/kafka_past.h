/* Where to begin reading, so that the recent past is at hand before the present. */
#pragma once

#include "causeway/kafka.h"

#include <stdatomic.h>

/* For each partition of these topics: its first record of `since_ms` (wall clock) or later, or a later one,
   so that in all at most `records_max` lie before the heads; all partitions are cut by the same part, so that
   they begin at about one moment. A topic that does not exist has no starts. Blocks until the brokers have
   answered, or `give_up` is set; then NULL. Any thread. The caller frees the array, whose topics are the ones
   given. */
struct kafka_source_start *kafka_past_find(const struct kafka_settings *settings, const struct slice *topics,
    size_t topic_count, int64_t since_ms, int64_t records_max, const atomic_bool *give_up, size_t *found);
