/* A source on a topic of its own, what it hands on, and a hand that publishes. The broker is one for all
   tests of a program, since it takes its time to go: start_broker() and stop_broker() belong to the group. */
#pragma once

#include "unit.h"

#include "causeway/kafka.h"
#include "causeway/lock.h"

#include <stdatomic.h>

enum { PATIENCE_MS = 15000, PUBLISH_MS = 10000, BATCH_MAX = 16 };

int64_t now_ms(void);

/* A moment. */
void step(void);

/* Polls until the condition holds; fails the test when it does not come true. What holds for a moment only,
   such as a state that is told, counts. */
#define AWAIT(condition)                                                                                     \
    do {                                                                                                     \
        int64_t until_ = now_ms() + PATIENCE_MS;                                                             \
        bool holds_ = (condition);                                                                           \
        for (; !holds_ && now_ms() < until_; holds_ = (condition))                                           \
            step();                                                                                          \
        if (!holds_)                                                                                         \
            fail_msg("in vain: %s", #condition);                                                             \
    } while (0)

struct seen {
    char *topic;
    int32_t partition;
    int64_t offset, time_ms;
    char *key, *value;
    size_t key_size, value_size;
    struct {
        char *name, *value;
    } headers[4];
    size_t header_count;
};

struct collector {
    struct lock lock;
    struct seen *records;
    size_t count;
    size_t batches, empty_batches, longest_batch, in_batch;
    size_t jumps;
    int64_t jump_from, jump_to;
    int32_t jump_partition;
    enum kafka_jump jump_why;
    atomic_bool blocked; /* the record hook waits while this is set ... */
    atomic_bool waits;   /* ... and does so: a record has come */
    atomic_bool closed;  /* nothing may be read */
    atomic_int asked;    /* while all was placed */
};

extern const struct kafka_source_hooks hooks;

/* Records that are complete: their batch is done. */
size_t collected(struct collector *c);
void collector_finish(struct collector *c);

extern struct kafka_mock *mock;

struct stage {
    char topic[16];
    struct kafka_settings settings;
    struct collector collector;
    struct kafka_source *source;
};

/* With a topic of its own. */
void stage_open(struct stage *st, int partitions);

/* Reads it from its head, and another topic, or NULL. */
void stage_read(struct stage *st, const char *topic, const char *another);
void stage_close(struct stage *st);

/* The source says so. */
bool ready(struct stage *st);

/* The source says this of its readiness. */
bool says(struct stage *st, const char *expected);
void publish(struct stage *st, struct record *r);
void publish_text(struct stage *st, const char *topic, int32_t partition, const char *text);
void publish_numbers(struct stage *st, const char *topic, int32_t partition, int from, int to);

/* Every partition of the topic has the numbers 0..each-1, at the offsets first.., in that order. */
void assert_complete(struct stage *st, const char *topic, int partitions, int64_t first, int each);
int start_broker(void **state);
int stop_broker(void **state);
