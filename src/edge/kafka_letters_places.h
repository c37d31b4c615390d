/* Where each partition that this instance judges stands: what was judged, from where on the batch at hand
   was, and what of it is to be judged again. All on the letters' thread. */
#pragma once

#include "kafka_internal.h"

struct letter_places {
    rd_kafka_topic_partition_list_t *owned; /* the offset is the next to be judged, or invalid */
    int64_t *starts;                        /* by index of those: the first of this batch; -1: none */
    int last;                               /* index that was looked up last */
};

/* These from now on, and of none is known where it stands; NULL: none. A zeroed struct owns its first ones
 * so. */
void letter_places_own(struct letter_places *p, const rd_kafka_topic_partition_list_t *partitions);
void letter_places_finish(struct letter_places *p);

/* The index of the partition; -1: it is of another instance. */
int letter_places_find(struct letter_places *p, const char *topic, int32_t partition);
void letter_places_note(struct letter_places *p, int at, int64_t offset); /* was judged */
void letter_places_end_batch(struct letter_places *p);

/* What was judged since the batch began is judged again: its letters are not written. false: it is not known
   where the consumer reads on. */
bool letter_places_rewind(struct letter_places *p, rd_kafka_t *consumer);

/* Where the group stands in each of them, asked here and not left to librdkafka: up to 2.0.2, one whose
   offset an open transaction holds back, while the assignment changes, it takes for one without any, and
   begins at the oldest record; so letters would be written twice. false: not known. */
bool letter_places_ask(
    rd_kafka_t *consumer, rd_kafka_topic_partition_list_t *partitions, const atomic_bool *stopping);

/* Records that are there and not judged, as far as was heard. */
int64_t letter_places_lag(const struct letter_places *p, rd_kafka_t *consumer);
