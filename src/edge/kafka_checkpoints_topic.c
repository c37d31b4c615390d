/* What the checkpoint topic must be like: one partition, never compacted, kept as long as the longest event
 * topic. */
#include "kafka_checkpoints_internal.h"

#include "causeway/log.h"
#include "causeway/memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    ANSWER_MS = 1000,
    ADMIN_MS = 3000,
    ADMIN_LENIENT_MS = 1000, /* when it is likely that nobody answers */
    ADMIN_SLICE_MS = 100,    /* between looks at `stopping` */
    REPLICAS_MAX = 3,
};

#define RETENTION_DEFAULT INT64_C(604800000) /* a week, as Kafka's own */
#define RETENTION_UNLIMITED INT64_C(-1)
#define RETENTION_UNKNOWN INT64_C(-2)

/* What the brokers say about one topic. */
struct facts {
    bool compacted, deleting;
    int64_t retention_ms, retention_bytes; /* as time: a topic that is only compacted is kept for ever */
};

struct wanted {
    int64_t retention_ms;
    const char *because; /* this event topic; NULL: the default */
};

struct settling {
    const struct checkpoint_topic *topic;
    rd_kafka_t *client;
    rd_kafka_queue_t *queue;
    const atomic_bool *stopping;
    int brokers, partitions; /* 0: the topic does not exist */
    char *detail;
    size_t size;
};

/* --- asking --- */

static rd_kafka_resp_err_t look(struct settling *s)
{
    const struct rd_kafka_metadata *metadata = NULL;
    rd_kafka_topic_t *handle = rd_kafka_topic_new(s->client, s->topic->name, NULL);
    if (!handle)
        return rd_kafka_last_error();
    rd_kafka_resp_err_t error = rd_kafka_metadata(s->client, 0, handle, &metadata, ANSWER_MS);
    rd_kafka_topic_destroy(handle);
    if (error)
        return error;
    s->brokers = metadata->broker_cnt;
    s->partitions = metadata->topic_cnt == 1 ? metadata->topics[0].partition_cnt : 0;
    error = metadata->topic_cnt == 1 ? metadata->topics[0].err
                                     : (rd_kafka_resp_err_t)RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    rd_kafka_metadata_destroy(metadata);
    if (error == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART || error == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE)
        error = RD_KAFKA_RESP_ERR_NO_ERROR;
    return error;
}

static int patience(const struct settling *s)
{
    return s->topic->lenient ? ADMIN_LENIENT_MS : ADMIN_MS;
}

static rd_kafka_AdminOptions_t *options(const struct settling *s, rd_kafka_admin_op_t operation)
{
    char text[256];
    rd_kafka_AdminOptions_t *o = rd_kafka_AdminOptions_new(s->client, operation);
    CHECK(!rd_kafka_AdminOptions_set_request_timeout(o, patience(s), text, sizeof text));
    return o;
}

/* NULL: no answer. What the queue still gets later goes with it. */
static rd_kafka_event_t *await(const struct settling *s, rd_kafka_event_type_t type)
{
    uint64_t deadline = kafka_clock_ms() + (uint64_t)patience(s) + 500;
    while (kafka_clock_ms() < deadline && !atomic_load(s->stopping)) {
        rd_kafka_event_t *event = rd_kafka_queue_poll(s->queue, ADMIN_SLICE_MS);
        if (event && rd_kafka_event_type(event) == type)
            return event;
        if (event)
            rd_kafka_event_destroy(event);
    }
    return NULL;
}

/* --- the settings of topics --- */

static void take_setting(struct facts *f, const char *name, const char *value)
{
    if (strcmp(name, "cleanup.policy") == 0) {
        f->compacted = strstr(value, "compact");
        f->deleting = strstr(value, "delete");
    } else if (strcmp(name, "retention.ms") == 0) {
        f->retention_ms = strtoll(value, NULL, 10);
    } else if (strcmp(name, "retention.bytes") == 0) {
        f->retention_bytes = strtoll(value, NULL, 10);
    }
}

static struct facts facts_of(const rd_kafka_ConfigResource_t *resource)
{
    struct facts f = {false, true, RETENTION_UNKNOWN, -1};
    if (rd_kafka_ConfigResource_error(resource))
        return f;
    size_t count;
    const rd_kafka_ConfigEntry_t **entries = rd_kafka_ConfigResource_configs(resource, &count);
    for (size_t i = 0; i < count; i++) {
        const char *value = rd_kafka_ConfigEntry_value(entries[i]);
        if (value)
            take_setting(&f, rd_kafka_ConfigEntry_name(entries[i]), value);
    }
    if (f.compacted && !f.deleting)
        f.retention_ms = RETENTION_UNLIMITED;
    return f;
}

static bool longer(int64_t a, int64_t b)
{
    return b != RETENTION_UNLIMITED && (a == RETENTION_UNLIMITED || a > b);
}

static rd_kafka_event_t *describe(const struct settling *s)
{
    size_t count = 0;
    rd_kafka_ConfigResource_t **resources = xcalloc(s->topic->event_topic_count + 1, sizeof *resources);
    if (s->partitions > 0)
        resources[count++] = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, s->topic->name);
    for (size_t i = 0; i < s->topic->event_topic_count; i++)
        resources[count++] = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, s->topic->event_topics[i]);
    rd_kafka_AdminOptions_t *o = options(s, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);
    if (count > 0)
        rd_kafka_DescribeConfigs(s->client, resources, count, o, s->queue);
    rd_kafka_AdminOptions_destroy(o);
    for (size_t i = 0; i < count; i++)
        rd_kafka_ConfigResource_destroy(resources[i]);
    free(resources);
    return count > 0 ? await(s, RD_KAFKA_EVENT_DESCRIBECONFIGS_RESULT) : NULL;
}

/* What the topic is like, and what it should be kept for. false: the brokers do not tell. */
static bool study(const struct settling *s, struct facts *own, struct wanted *wanted)
{
    *own = (struct facts){false, true, RETENTION_UNKNOWN, -1};
    *wanted = (struct wanted){RETENTION_UNKNOWN, NULL};
    rd_kafka_event_t *event = describe(s);
    bool told = event && !rd_kafka_event_error(event);
    size_t count = 0;
    const rd_kafka_ConfigResource_t **resources = NULL;
    if (told)
        resources =
            rd_kafka_DescribeConfigs_result_resources(rd_kafka_event_DescribeConfigs_result(event), &count);
    for (size_t i = 0; i < count; i++) {
        const char *name = rd_kafka_ConfigResource_name(resources[i]);
        struct facts f = facts_of(resources[i]);
        if (strcmp(name, s->topic->name) == 0)
            *own = f;
        for (size_t t = 0; t < s->topic->event_topic_count; t++)
            if (strcmp(name, s->topic->event_topics[t]) == 0 && f.retention_ms != RETENTION_UNKNOWN &&
                (!wanted->because || longer(f.retention_ms, wanted->retention_ms)))
                *wanted = (struct wanted){f.retention_ms, s->topic->event_topics[t]};
    }
    if (!told)
        (void)snprintf(s->detail, s->size, "the settings of topic %s cannot be read: %s", s->topic->name,
            event ? rd_kafka_event_error_string(event) : "the brokers do not answer admin calls");
    if (event)
        rd_kafka_event_destroy(event);
    return told || (s->partitions == 0 && s->topic->event_topic_count == 0);
}

/* --- making it --- */

static rd_kafka_resp_err_t created(const struct settling *s, char *text, size_t size)
{
    rd_kafka_event_t *event = await(s, RD_KAFKA_EVENT_CREATETOPICS_RESULT);
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

static bool make(const struct settling *s, const struct wanted *wanted)
{
    char text[256], retention[32];
    int replicas = s->brokers < 1 ? 1 : s->brokers < REPLICAS_MAX ? s->brokers : REPLICAS_MAX;
    int64_t ms = wanted->retention_ms == RETENTION_UNKNOWN ? RETENTION_DEFAULT : wanted->retention_ms;
    (void)snprintf(retention, sizeof retention, "%" PRId64, ms);
    rd_kafka_NewTopic_t *topic = rd_kafka_NewTopic_new(s->topic->name, 1, replicas, text, sizeof text);
    if (!topic) {
        (void)snprintf(s->detail, s->size, "topic %s cannot be made: %s", s->topic->name, text);
        return false;
    }
    (void)rd_kafka_NewTopic_set_config(topic, "cleanup.policy", "delete");
    (void)rd_kafka_NewTopic_set_config(topic, "retention.ms", retention);
    (void)rd_kafka_NewTopic_set_config(topic, "retention.bytes", "-1");
    rd_kafka_AdminOptions_t *o = options(s, RD_KAFKA_ADMIN_OP_CREATETOPICS);
    rd_kafka_CreateTopics(s->client, &topic, 1, o, s->queue);
    rd_kafka_AdminOptions_destroy(o);
    rd_kafka_resp_err_t error = created(s, text, sizeof text);
    rd_kafka_NewTopic_destroy(topic);
    if (!error)
        log_info(
            "kafka", "topic %s was made replicas=%d retention.ms=%s", s->topic->name, replicas, retention);
    if (!error || error == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
        (void)snprintf(s->detail, s->size, "topic %s is being made", s->topic->name);
    else
        (void)snprintf(
            s->detail, s->size, "topic %s does not exist and cannot be made: %s", s->topic->name, text);
    return !error || error == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS;
}

/* --- judging it --- */

static bool right(const struct settling *s, const struct facts *own, const struct wanted *wanted)
{
    const char *name = s->topic->name;
    char ms[32];
    (void)snprintf(ms, sizeof ms, "%" PRId64, wanted->retention_ms);
    if (s->partitions != 1) {
        (void)snprintf(s->detail, s->size,
            "topic %s has %d partitions; checkpoints need exactly one: make it again, or name another", name,
            s->partitions);
    } else if (own->compacted || !own->deleting) {
        (void)snprintf(s->detail, s->size,
            "topic %s: cleanup.policy must be delete; compaction removes what cursors point to", name);
    } else if (wanted->because && own->retention_ms != RETENTION_UNKNOWN &&
               longer(wanted->retention_ms, own->retention_ms)) {
        (void)snprintf(s->detail, s->size,
            "topic %s: retention.ms is %" PRId64 ", shorter than that of topic %s: set it to %s", name,
            own->retention_ms, wanted->because, ms);
    } else {
        return true;
    }
    return false;
}

static void warn_of_doubts(const struct settling *s, const struct facts *own)
{
    if (own->retention_ms == RETENTION_UNKNOWN)
        log_warn(
            "kafka", "topic %s: its settings may not be read, so that they are not verified", s->topic->name);
    if (own->retention_bytes >= 0)
        log_warn("kafka", "topic %s: retention.bytes may remove checkpoints before their time; -1 is safe",
            s->topic->name);
}

static enum checkpoint_settling judge(struct settling *s)
{
    struct facts own;
    struct wanted wanted;
    bool told = study(s, &own, &wanted);
    if (!told && !s->topic->lenient)
        return SETTLING_AGAIN;
    if (s->partitions == 0) {
        bool made = told && make(s, &wanted);
        if (made || !s->topic->lenient)
            return SETTLING_AGAIN; /* then it is looked at as any other */
        log_warn("kafka", "%s; it is left to the brokers", s->detail);
        return SETTLING_DONE; /* writing to it makes it */
    }
    if (!told && s->partitions == 1) {
        log_warn("kafka", "%s", s->detail);
        return SETTLING_DONE;
    }
    if (told)
        warn_of_doubts(s, &own);
    if (right(s, &own, &wanted))
        return SETTLING_DONE;
    if (!s->topic->lenient)
        return SETTLING_WRONG;
    log_warn("kafka", "%s", s->detail);
    return SETTLING_DONE;
}

enum checkpoint_settling checkpoint_topic_settle(const struct checkpoint_topic *t, rd_kafka_t *client,
    const atomic_bool *stopping, char *detail, size_t size)
{
    struct settling s = {.topic = t, .client = client, .stopping = stopping, .detail = detail, .size = size};
    *detail = '\0';
    rd_kafka_resp_err_t error = look(&s);
    if (error) {
        if (kafka_unanswered(error))
            (void)snprintf(detail, size, "no broker reachable");
        else
            (void)snprintf(detail, size, "topic %s: %s", t->name, rd_kafka_err2str(error));
        return SETTLING_AGAIN;
    }
    s.queue = rd_kafka_queue_new(client);
    enum checkpoint_settling outcome = judge(&s);
    rd_kafka_queue_destroy(s.queue);
    return outcome;
}
