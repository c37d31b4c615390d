#include "kafka_internal.h"

#include "causeway/memory.h"

#include "causeway/clock.h"

#include <stdio.h>
#include <stdlib.h>

/* One record on its way. */
struct publishing {
    rd_kafka_t *client;
    struct record *record;
    int64_t deadline; /* monotonic ms */
    bool done;
    rd_kafka_resp_err_t outcome;
    char trouble[256]; /* what librdkafka said last about its connections */
};

static int left_ms(const struct publishing *p)
{
    int64_t left = p->deadline - (int64_t)clock_monotonic_ms();
    return left > 0 ? (int)left : 0;
}

static void on_error(rd_kafka_t *client, int error, const char *reason, void *opaque)
{
    struct publishing *p = opaque;
    (void)client;
    if (error != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
        (void)snprintf(p->trouble, sizeof p->trouble, "%s", reason);
}

static void on_delivered(rd_kafka_t *client, const rd_kafka_message_t *m, void *opaque)
{
    struct publishing *p = opaque;
    (void)client;
    p->done = true;
    p->outcome = m->err;
    p->record->partition = m->partition;
    p->record->offset = m->offset;
}

static rd_kafka_t *open_client(
    const struct kafka_settings *settings, struct publishing *p, int timeout_ms, char *fault, size_t size)
{
    rd_kafka_conf_t *conf = kafka_conf_create(RD_KAFKA_PRODUCER, settings, fault, size);
    if (!conf)
        return NULL;
    char value[16], text[256];
    (void)snprintf(value, sizeof value, "%d", timeout_ms);
    CHECK(rd_kafka_conf_set(conf, "message.timeout.ms", value, text, sizeof text) == RD_KAFKA_CONF_OK);
    rd_kafka_conf_set_opaque(conf, p);
    rd_kafka_conf_set_error_cb(conf, on_error);
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivered);
    rd_kafka_t *client = kafka_client_create(RD_KAFKA_PRODUCER, conf, fault, size);
    rd_kafka_conf_destroy(conf);
    return client;
}

/* The number of partitions, or an error. */
static rd_kafka_resp_err_t ask(const struct publishing *p, rd_kafka_topic_t *topic, int *partitions)
{
    const struct rd_kafka_metadata *metadata = NULL;
    int wait = left_ms(p);
    rd_kafka_resp_err_t error = rd_kafka_metadata(p->client, 0, topic, &metadata, wait < 1000 ? wait : 1000);
    if (error)
        return error;
    if (metadata->topic_cnt != 1)
        error = RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    else if ((error = metadata->topics[0].err) == RD_KAFKA_RESP_ERR_NO_ERROR)
        *partitions = metadata->topics[0].partition_cnt;
    rd_kafka_metadata_destroy(metadata);
    return error;
}

/* Waits until the topic is there: the question itself may make the brokers create it, which takes a moment.
   It also keeps records away from partitions that do not exist, for which librdkafka before 2.12 frees the
   headers twice. */
static bool await_topic(struct publishing *p, const char *name, char *fault, size_t size)
{
    rd_kafka_topic_t *topic = rd_kafka_topic_new(p->client, name, NULL);
    if (!topic) {
        (void)snprintf(fault, size, "topic \"%s\": %s", name, rd_kafka_err2str(rd_kafka_last_error()));
        return false;
    }
    rd_kafka_resp_err_t error;
    int partitions = 0;
    int64_t patience = (int64_t)clock_monotonic_ms() + 3000;
    for (;;) {
        error = ask(p, topic, &partitions);
        rd_kafka_poll(p->client, 0);
        bool unreachable = error == RD_KAFKA_RESP_ERR__TRANSPORT || error == RD_KAFKA_RESP_ERR__TIMED_OUT;
        bool transient =
            error == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE ||
            (error == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART && (int64_t)clock_monotonic_ms() < patience);
        if (!(unreachable || transient) || left_ms(p) == 0)
            break;
        rd_kafka_poll(p->client, unreachable ? 0 : 100);
    }
    rd_kafka_topic_destroy(topic);
    if (error == RD_KAFKA_RESP_ERR__TRANSPORT || error == RD_KAFKA_RESP_ERR__TIMED_OUT)
        (void)snprintf(fault, size, "no broker reachable%s%s", *p->trouble ? ": " : "", p->trouble);
    else if (error == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
        (void)snprintf(fault, size, "topic \"%s\" does not exist", name);
    else if (error)
        (void)snprintf(fault, size, "topic \"%s\": %s", name, rd_kafka_err2str(error));
    else if (p->record->partition >= partitions)
        (void)snprintf(fault, size, "topic \"%s\" has %d partitions, no partition %d", name, partitions,
            (int)p->record->partition);
    else
        return true;
    return false;
}

static rd_kafka_headers_t *copy_headers(const struct record *record)
{
    rd_kafka_headers_t *headers = rd_kafka_headers_new(record->header_count);
    for (size_t i = 0; i < record->header_count; i++) {
        const struct record_header *h = &record->headers[i];
        CHECK(rd_kafka_header_add(headers, h->name.data, (ssize_t)h->name.size, h->value.data,
                  h->value.data ? (ssize_t)h->value.size : 0) == RD_KAFKA_RESP_ERR_NO_ERROR);
    }
    return headers;
}

static bool produce(struct publishing *p, const char *topic, char *fault, size_t size)
{
    const struct record *r = p->record;
    rd_kafka_headers_t *headers = copy_headers(r);
    int32_t partition = r->partition < 0 ? RD_KAFKA_PARTITION_UA : r->partition;
    /* RD_KAFKA_V_VALUE and _KEY take a pointer to non-const, but with F_COPY only read it. */
    rd_kafka_resp_err_t error = rd_kafka_producev(p->client, RD_KAFKA_V_TOPIC(topic),
        RD_KAFKA_V_PARTITION(partition), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
        RD_KAFKA_V_VALUE((void *)(uintptr_t)r->value.data, r->value.size),
        RD_KAFKA_V_KEY((const void *)r->key.data, r->key.size), RD_KAFKA_V_TIMESTAMP(r->time_ms),
        RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_END);
    if (error) {
        rd_kafka_headers_destroy(headers);
        (void)snprintf(fault, size, "%s", rd_kafka_err2str(error));
        return false;
    }
    /* librdkafka reports within message.timeout.ms, surely; the second on top is for its own clockwork. */
    while (!p->done && (int64_t)clock_monotonic_ms() < p->deadline + 1000)
        rd_kafka_poll(p->client, 100);
    if (!p->done || p->outcome == RD_KAFKA_RESP_ERR__MSG_TIMED_OUT)
        (void)snprintf(fault, size, "no acknowledgement in time%s%s", *p->trouble ? ": " : "", p->trouble);
    else if (p->outcome)
        (void)snprintf(fault, size, "%s", rd_kafka_err2str(p->outcome));
    return p->done && !p->outcome;
}

bool kafka_publish(
    const struct kafka_settings *settings, struct record *record, int timeout_ms, char *fault, size_t size)
{
    struct publishing p = {.record = record, .deadline = (int64_t)clock_monotonic_ms() + timeout_ms};
    p.client = open_client(settings, &p, timeout_ms, fault, size);
    if (!p.client)
        return false;
    char *topic = xstrndup(record->topic.data, record->topic.size);
    bool published = await_topic(&p, topic, fault, size) && produce(&p, topic, fault, size);
    free(topic);
    if (!p.done)
        (void)rd_kafka_purge(p.client, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    rd_kafka_destroy(p.client);
    return published;
}
