#include "kafka_internal.h"

#include "causeway/log.h"

#include <stdio.h>

enum {
    ANSWER_MS = 1000,
    SLICE_MS = 100, /* between looks at `stopping` */
    REPLICAS_MAX = 3,
};

rd_kafka_resp_err_t kafka_admin_look(rd_kafka_t *client, const char *name, int *brokers, int *partitions)
{
    const struct rd_kafka_metadata *metadata = NULL;
    rd_kafka_topic_t *handle = rd_kafka_topic_new(client, name, NULL);
    if (!handle)
        return rd_kafka_last_error();
    rd_kafka_resp_err_t error = rd_kafka_metadata(client, 0, handle, &metadata, ANSWER_MS);
    rd_kafka_topic_destroy(handle);
    if (error)
        return error;
    *brokers = metadata->broker_cnt;
    *partitions = metadata->topic_cnt == 1 ? metadata->topics[0].partition_cnt : 0;
    error = metadata->topic_cnt == 1 ? metadata->topics[0].err
                                     : (rd_kafka_resp_err_t)RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    rd_kafka_metadata_destroy(metadata);
    if (error == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART || error == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE)
        error = RD_KAFKA_RESP_ERR_NO_ERROR;
    return error;
}

void kafka_admin_explain(rd_kafka_resp_err_t error, const char *name, char *detail, size_t size)
{
    if (kafka_unanswered(error))
        (void)snprintf(detail, size, "no broker reachable");
    else
        (void)snprintf(detail, size, "topic %s: %s", name, rd_kafka_err2str(error));
}

void kafka_admin_begin(
    struct kafka_admin *a, rd_kafka_t *client, int patience_ms, const atomic_bool *stopping)
{
    *a = (struct kafka_admin){client, rd_kafka_queue_new(client), stopping, patience_ms};
}

void kafka_admin_end(struct kafka_admin *a)
{
    rd_kafka_queue_destroy(a->queue);
}

rd_kafka_AdminOptions_t *kafka_admin_options(const struct kafka_admin *a, rd_kafka_admin_op_t operation)
{
    char text[256];
    rd_kafka_AdminOptions_t *o = rd_kafka_AdminOptions_new(a->client, operation);
    CHECK(!rd_kafka_AdminOptions_set_request_timeout(o, a->patience_ms, text, sizeof text));
    return o;
}

rd_kafka_event_t *kafka_admin_await(const struct kafka_admin *a, rd_kafka_event_type_t type)
{
    uint64_t deadline = clock_monotonic_ms() + (uint64_t)a->patience_ms + 500;
    while (clock_monotonic_ms() < deadline && !atomic_load(a->stopping)) {
        rd_kafka_event_t *event = rd_kafka_queue_poll(a->queue, SLICE_MS);
        if (event && rd_kafka_event_type(event) == type)
            return event;
        if (event)
            rd_kafka_event_destroy(event);
    }
    return NULL;
}

static rd_kafka_resp_err_t created(const struct kafka_admin *a, char *text, size_t size)
{
    rd_kafka_event_t *event = kafka_admin_await(a, RD_KAFKA_EVENT_CREATETOPICS_RESULT);
    rd_kafka_resp_err_t error =
        event ? rd_kafka_event_error(event) : (rd_kafka_resp_err_t)RD_KAFKA_RESP_ERR__TIMED_OUT;
    (void)snprintf(text, size, "%s", event && error ? rd_kafka_event_error_string(event) : "no answer");
    if (event && !error) {
        size_t count;
        const rd_kafka_topic_result_t **results =
            rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
        error = count == 1 ? rd_kafka_topic_result_error(results[0]) : RD_KAFKA_RESP_ERR_UNKNOWN;
        if (error && count == 1 && rd_kafka_topic_result_error_string(results[0]))
            (void)snprintf(text, size, "%s", rd_kafka_topic_result_error_string(results[0]));
    }
    if (event)
        rd_kafka_event_destroy(event);
    return error;
}

bool kafka_admin_make(const struct kafka_admin *a, const char *name, int partitions, int brokers,
    const struct kafka_property *properties, size_t count, char *detail, size_t size)
{
    char text[256];
    int replicas = brokers < 1 ? 1 : brokers < REPLICAS_MAX ? brokers : REPLICAS_MAX;
    rd_kafka_NewTopic_t *topic = rd_kafka_NewTopic_new(name, partitions, replicas, text, sizeof text);
    if (!topic) {
        (void)snprintf(detail, size, "topic %s cannot be made: %s", name, text);
        return false;
    }
    for (size_t i = 0; i < count; i++)
        (void)rd_kafka_NewTopic_set_config(topic, properties[i].name, properties[i].value);
    rd_kafka_AdminOptions_t *o = kafka_admin_options(a, RD_KAFKA_ADMIN_OP_CREATETOPICS);
    rd_kafka_CreateTopics(a->client, &topic, 1, o, a->queue);
    rd_kafka_AdminOptions_destroy(o);
    rd_kafka_resp_err_t error = created(a, text, sizeof text);
    rd_kafka_NewTopic_destroy(topic);
    if (!error)
        log_info("kafka", "topic %s was made partitions=%d replicas=%d", name, partitions, replicas);
    if (!error || error == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
        (void)snprintf(detail, size, "topic %s is being made", name);
    else
        (void)snprintf(detail, size, "topic %s does not exist and cannot be made: %s", name, text);
    return !error || error == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS;
}
