/* The parts of kafka_checkpoints.c: kafka_checkpoints_topic.c makes and verifies the topic,
   kafka_checkpoints_reader.c reads it, kafka_checkpoints_cache.c keeps what was read. */
#pragma once

#include "causeway/kafka_checkpoints.h"
#include "kafka_internal.h"

#include <stdatomic.h>

/* --- kafka_checkpoints_topic.c --- */

struct checkpoint_topic {
    char *name;
    char **event_topics;
    size_t event_topic_count;
    bool lenient;
};

enum checkpoint_settling {
    SETTLING_AGAIN, /* not now: `detail` says what is in the way */
    SETTLING_DONE,
    SETTLING_WRONG /* `detail` says what and how to mend it */
};

/* One attempt, which blocks for some seconds at most, less when `stopping` becomes true. Needs a consumer's
   handle: a producer's questions make brokers create topics. */
enum checkpoint_settling checkpoint_topic_settle(const struct checkpoint_topic *t, rd_kafka_t *client,
    const atomic_bool *stopping, char *detail, size_t size);

/* --- kafka_checkpoints_cache.c: not thread-safe --- */

struct checkpoint_cache;

struct checkpoint_cache *checkpoint_cache_create(size_t bytes_max);
void checkpoint_cache_destroy(struct checkpoint_cache *c);
void checkpoint_cache_clear(struct checkpoint_cache *c);
/* Copies. What was used longest ago makes room. */
void checkpoint_cache_put(struct checkpoint_cache *c, int64_t offset, struct slice value);
/* Is there something at this offset? Then *out is the cache's, valid until the next put, or NULL when it is
   no checkpoint that can be read. */
bool checkpoint_cache_find(struct checkpoint_cache *c, int64_t offset, struct checkpoint **out);

/* --- kafka_checkpoints_reader.c: its functions may be called from any thread --- */

struct checkpoint_reader;

struct checkpoint_reader *checkpoint_reader_create(
    const struct kafka_settings *settings, const char *topic, size_t cache_bytes);
void checkpoint_reader_destroy(struct checkpoint_reader *r);
#define CHECKPOINT_LAST INT64_MIN /* asks for the newest */
void checkpoint_reader_ask(
    struct checkpoint_reader *r, int64_t offset, kafka_checkpoint_answer answer, void *context);
/* This was just written. */
void checkpoint_reader_learn(struct checkpoint_reader *r, int64_t offset, struct slice value);
