/* What the kafka_*.c files share: kafka_settings.c makes configurations and handles of librdkafka,
   kafka_topic.c knows where each partition of a topic is read, kafka_source.c turns the wheel. */
#pragma once

#include "causeway/kafka.h"
#include "causeway/metrics.h"

#include <librdkafka/rdkafka.h>

/* --- kafka_settings.c --- */

/* Our values, overridden by the user's properties. NULL: `fault` names the property. The caller's to destroy.
 */
rd_kafka_conf_t *kafka_conf_create(
    rd_kafka_type_t type, const struct kafka_settings *settings, char *fault, size_t size);

/* Leaves `conf` the caller's. NULL: `fault` says why. */
rd_kafka_t *kafka_client_create(rd_kafka_type_t type, const rd_kafka_conf_t *conf, char *fault, size_t size);

/* The log callback of every handle. */
void kafka_log(const rd_kafka_t *client, int level, const char *facility, const char *text);

/* --- kafka_topic.c: everything on the source's thread --- */

/* One handle of librdkafka and where its partitions deliver to. */
struct kafka_reader {
    rd_kafka_t *client; /* NULL: none at the moment */
    rd_kafka_queue_t *queue;
    struct kafka_source_hooks hooks;
    void *owner;
};

enum kafka_partition_state {
    PARTITION_UNPLACED, /* the brokers have not said yet where it starts */
    PARTITION_PLACED,   /* to be started at its position */
    PARTITION_READING,
    PARTITION_LOST, /* the brokers do not have its position */
};

struct kafka_partition {
    enum kafka_partition_state state;
    int64_t position;    /* the next offset to hand on */
    bool from_beginning; /* where it starts once placed; otherwise at its head */
    bool unproven;       /* from the beginning only because the topic was missing: the first record decides */
    int64_t head;        /* the high watermark when it was placed */
    bool vanished;       /* the topic was missing since the last record */
    bool beyond;         /* the position was already found beyond the head once */
    bool led;            /* has a leader, as of the last metadata */
    bool consuming;      /* librdkafka was told to fetch it */
    struct metric *lag;
};

struct kafka_topic {
    char *name;
    rd_kafka_topic_t *handle;
    struct kafka_partition *partitions; /* all that were ever seen; index is id */
    int32_t partition_count;
    int32_t live_count;          /* those in the last metadata */
    bool seen;                   /* has been there at least once */
    bool missing;                /* the brokers said last that it does not exist */
    rd_kafka_resp_err_t trouble; /* of the last check */
    rd_kafka_resp_err_t fetch_trouble;
    uint64_t fetch_trouble_until; /* over when it is not repeated before */
    uint64_t check_at;            /* monotonic ms */
    unsigned failures;            /* checks in a row */
    int64_t known_since;          /* wall clock ms */
    struct metric *records;
};

struct kafka_topic *kafka_topic_create(struct slice name);
void kafka_topic_destroy(struct kafka_topic *t);

/* A new handle of librdkafka was made, or is about to be destroyed. */
void kafka_topic_attach(struct kafka_topic *t, struct kafka_reader *r);
void kafka_topic_detach(struct kafka_topic *t);

/* Asks the brokers about the topic and starts what can be started; sets the time of the next check.
   Blocks for a few short timeouts at most. false: no broker answered. */
bool kafka_topic_check(struct kafka_topic *t, struct kafka_reader *r, uint64_t now);

/* Is this record the next one of its partition (then the position moves behind it), or one to be skipped? */
bool kafka_topic_accept(struct kafka_topic *t, const rd_kafka_message_t *m, int64_t time_ms);

/* A partition's fetch failed. */
void kafka_topic_on_error(struct kafka_topic *t, const rd_kafka_message_t *m, uint64_t now);

/* Everything there is of the topic is being read? Otherwise `detail` says why not. */
bool kafka_topic_ready(const struct kafka_topic *t, char *detail, size_t size);

/* Is it settled where each of its partitions starts? A topic that does not exist will be read from its
 * beginning. */
bool kafka_topic_placed(const struct kafka_topic *t);

void kafka_topic_measure_lag(struct kafka_topic *t, rd_kafka_t *client);
