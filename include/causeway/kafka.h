/* Kafka's two directions and the development broker; with kafka_*.c the only files that know librdkafka.
   Each function says on which thread it may be called. */
#pragma once

#include "causeway/checkpoint.h"
#include "causeway/record.h"

#include <stdbool.h>
#include <stddef.h>

/* One librdkafka property, from a setting `kafka.<name>=<value>`. */
struct kafka_property {
    const char *name;
    const char *value;
};

/* Read during the calls that get it, never kept. */
struct kafka_settings {
    const char *brokers; /* host:port, a comma list */
    const struct kafka_property *properties;
    size_t property_count;
};

/* Does librdkafka accept these settings, and may they be set? false: `fault` names the property. Any thread;
   opens no connection, but reads what the properties name (certificates). */
bool kafka_settings_check(const struct kafka_settings *settings, char *fault, size_t size);

/* --- the source: reads every partition of its topics, without a consumer group ---
   Where reading starts: a topic's partitions at the watermarks read when it is first seen; partitions that a
   topic gets later, and a topic that the brokers said did not exist when asked first, at their beginning. A
   position is kept over broken connections and new handles of librdkafka; nothing is committed to Kafka. */
struct kafka_source;

/* Where a partition is to be read from instead of that. Below the low watermark reading starts there. With an
   anchor, reading does not begin before that record was looked for: is there another one, or none, it is a
   log whose end was lost, when an older anchor is there, and is read from behind that, or else another log,
   and is read from its beginning; `jump` tells so, and `placed` is not called. Without an anchor, a log that
   ends before `offset` is read from its end. */
enum { KAFKA_OLDER_MAX = 4 };

struct kafka_source_start {
    struct slice topic;
    int32_t partition;
    int64_t offset;                       /* -1: where it would begin anyway */
    struct anchor anchor;                 /* the newest record that is known; its offset -1: none is */
    struct anchor older[KAFKA_OLDER_MAX]; /* descending */
    unsigned older_count;
};

enum kafka_jump {
    JUMP_RETENTION, /* what comes next in the log was deleted: to the oldest record there is */
    JUMP_TRUNCATED, /* the log's end was lost: back to behind a record that is known to have stayed */
    JUMP_RECREATED, /* another log of the same name: to its oldest record */
};

/* All on the source's own thread. What they are given is valid during the call. */
struct kafka_source_hooks {
    /* In partition order, offsets ascending except after a jump backwards. */
    void (*record)(void *owner, const struct record *record);
    /* After the records that were at hand (at most `batch_max` of them), before the thread waits again: time
     * to publish. */
    void (*batch_done)(void *owner);
    /* The brokers no longer have the position `from`: reading goes on at `to`, and the record handed on next
     * is the first one there. Every 10 s, and after trouble, it is looked whether the log is still the same.
     * After TRUNCATED and RECREATED offsets start over; what lies below `from` may have been handed on
     * before, and comes again. May be NULL. */
    void (*jump)(
        void *owner, struct slice topic, int32_t partition, int64_t from, int64_t to, enum kafka_jump why);
    /* It is settled where this partition is read from, and that it is the log that the start's anchor is of,
     * if it had one. Before its first record; at most once. May be NULL. */
    void (*placed)(void *owner, struct slice topic, int32_t partition, int64_t offset);
    /* Every turn of the thread, ten times a second at least. May be NULL. */
    void (*turn)(void *owner);
    /* May records be handed on in this turn? Asked again soon when not. `placed`: it is settled for every
     * topic from where it is read. May be NULL. */
    bool (*may_read)(void *owner, bool placed);
    bool aside; /* not what causeway_kafka_up speaks of */
};

/* Starts the thread. Brokers that are away and topics that do not exist yet are waited for, for ever.
   `settings` must have passed kafka_settings_check. Topics, starts and hooks are copied; a topic named twice
   is read once. */
struct kafka_source *kafka_source_create(const struct kafka_settings *settings, const struct slice *topics,
    size_t topic_count, const struct kafka_source_start *starts, size_t start_count, size_t batch_max,
    const struct kafka_source_hooks *hooks, void *owner);
/* Stops and joins the thread, which takes about a second at most; what any thread may ask still can be. NULL
 * is fine. */
void kafka_source_stop(struct kafka_source *s);
/* ... after which nobody asks. */
void kafka_source_destroy(struct kafka_source *s);

/* Any thread: every topic's partitions are being read and a broker answers? `detail` gets a short text either
   way: "2 topics, 6 partitions", "no broker reachable", "topic orders.v1 does not exist". */
bool kafka_source_ready(struct kafka_source *s, char *detail, size_t size);

/* Any thread: is it settled for every topic from where it is read, so that nothing published from now on is
 * missed? Stays true once it was. */
bool kafka_source_placed(struct kafka_source *s);

/* Any thread: somebody has heard of partitions that are not read yet: they are looked for at once. */
void kafka_source_look(struct kafka_source *s);

/* Only from within a hook: these are the topics from now on. What is not among them is read no more; what is
 * new begins at its head, or where no such topic exists, at its beginning. */
void kafka_source_set_topics(struct kafka_source *s, const struct slice *topics, size_t count);

/* Any thread: asks whether each partition is still of the log that was read so far. The answer to this ask
 * (hooks `jump`, or nothing) has come once kafka_source_verified says so. */
uint64_t kafka_source_verify(struct kafka_source *s);
bool kafka_source_verified(struct kafka_source *s, uint64_t ask);
/* ... and all has been handed on that was there then. */
bool kafka_source_read_out(struct kafka_source *s, uint64_t ask);

/* Any thread: all connections are made anew (certificates are read again); each partition goes on at its
 * position. */
void kafka_source_renew(struct kafka_source *s);

/* --- publishing, for the command line --- */

/* Blocks until all in-sync replicas have the record. `record` says topic, key, value, headers, partition
   (below 0: chosen by key) and time (0: now); partition and offset are filled in. false: `fault` says why;
   the record may still have been written when that was a timeout. Any thread. */
bool kafka_publish(
    const struct kafka_settings *settings, struct record *record, int timeout_ms, char *fault, size_t size);

/* --- the development broker: librdkafka's mock cluster behind a port; memory only, 5 MiB per partition ---
   Topics that somebody asks for and that do not exist are made with 4 partitions. Any thread. */
struct kafka_mock;

struct kafka_mock *kafka_mock_create(char *fault, size_t size);
/* false: no such name is possible, or the topic exists. */
bool kafka_mock_topic(struct kafka_mock *m, const char *name, int partitions);
const char *kafka_mock_brokers(const struct kafka_mock *m); /* 127.0.0.1:port */
/* Closes all connections and refuses new ones, or accepts them again; what was published stays. */
void kafka_mock_set_up(struct kafka_mock *m, bool up);
/* While hidden, the broker says that the topic does not exist. */
void kafka_mock_hide(struct kafka_mock *m, const char *topic, bool hidden);
void kafka_mock_destroy(struct kafka_mock *m);
