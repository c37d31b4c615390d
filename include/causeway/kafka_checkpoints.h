/* The checkpoint topic: one partition, written by every instance, read by whoever holds a cursor. Owns two
   threads, one that settles the topic and writes, one that reads; both wait for brokers that are away, for
   ever. */
#pragma once

#include "causeway/checkpoint.h"
#include "causeway/kafka.h"

struct kafka_checkpoints;

struct kafka_checkpoints_settings {
    const char *topic;
    const struct slice *event_topics; /* checkpoints are kept as long as the longest of these */
    size_t event_topic_count;
    bool lenient;       /* wrong settings of the topic, or brokers without admin calls, are only warned of */
    size_t cache_bytes; /* 0: 16 MiB */
};

struct kafka_checkpoints_hooks {
    /* Kafka has the checkpoint of this tag, at this offset. On the writing thread, in the order of writing,
       once per write. Not called any more when kafka_checkpoints_destroy has returned. */
    void (*acknowledged)(void *owner, uint64_t tag, int64_t offset);
};

/* Starts the threads. `settings` must have passed kafka_settings_check; everything is copied. The topic is
   made when it is missing, and verified when it is there. */
struct kafka_checkpoints *kafka_checkpoints_create(const struct kafka_settings *settings,
    const struct kafka_checkpoints_settings *how, const struct kafka_checkpoints_hooks *hooks, void *owner);
/* Reads that are not answered yet are answered UNAVAILABLE first; what is not acknowledged may or may not be
   in Kafka. NULL is fine. */
void kafka_checkpoints_destroy(struct kafka_checkpoints *c);

/* Any thread; the value is copied. Retried until Kafka has it. It may be in the topic more than once. */
void kafka_checkpoints_write(struct kafka_checkpoints *c, struct slice value, uint64_t tag);

enum kafka_checkpoint_status {
    CHECKPOINT_FOUND,
    CHECKPOINT_GONE,       /* no longer, or never, in the topic; or nothing that this version can read */
    CHECKPOINT_UNAVAILABLE /* no broker within 8 s */
};

/* Once per read, on the reading thread. `lent` is there when FOUND: for the call, unless held. */
typedef void (*kafka_checkpoint_answer)(
    void *context, enum kafka_checkpoint_status status, int64_t offset, struct checkpoint *lent);

/* Any thread. Neighbours and repeats cost nothing: what one fetch brings is kept. */
void kafka_checkpoints_read(
    struct kafka_checkpoints *c, int64_t offset, kafka_checkpoint_answer answer, void *context);
/* Any thread: the newest one there is; `offset` of the answer tells where. */
void kafka_checkpoints_last(struct kafka_checkpoints *c, kafka_checkpoint_answer answer, void *context);

enum kafka_checkpoints_state {
    CHECKPOINTS_WAITING, /* for brokers, for the topic, or for acknowledgements that are late */
    CHECKPOINTS_READY,
    CHECKPOINTS_WRONG /* the topic's settings would lose what cursors point to; `detail` says what to do.
                         Final. */
};

/* Any thread. `detail` gets a short text either way. */
enum kafka_checkpoints_state kafka_checkpoints_state(struct kafka_checkpoints *c, char *detail, size_t size);
bool kafka_checkpoints_ready(struct kafka_checkpoints *c, char *detail, size_t size);
