/* The consumer under the reader of checkpoints: one handle of librdkafka on the topic's only partition. It is
   made anew when librdkafka gave up, or when no broker has answered for a minute. On the reader's thread; it
   does not move once it was initialised. */
#pragma once

#include "kafka_internal.h"

struct checkpoint_client {
    rd_kafka_conf_t *conf;
    rd_kafka_t *handle; /* NULL: none at the moment */
    rd_kafka_topic_t *partition;
    rd_kafka_queue_t *queue;
    char *topic;
    uint64_t unanswered_since; /* 0: brokers answer */
    bool fatal;
};

void checkpoint_client_init(
    struct checkpoint_client *c, const struct kafka_settings *settings, const char *topic);
void checkpoint_client_finish(struct checkpoint_client *c);

bool checkpoint_client_open(struct checkpoint_client *c); /* false: there is no handle */
void checkpoint_client_close(struct checkpoint_client *c);

/* Where the topic begins and ends, of an open one. false: nobody says. */
bool checkpoint_client_ends(struct checkpoint_client *c, struct kafka_ends *ends);
