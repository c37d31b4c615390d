/* What the checkpoint topic must be like: one partition, never compacted, kept as long as the longest event
 * topic. */
#include "kafka_checkpoints_internal.h"

#include "causeway/log.h"
#include "causeway/memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    ADMIN_MS = 3000,
    ADMIN_LENIENT_MS = 1000, /* when it is likely that nobody answers */
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
    struct kafka_admin admin;
    int brokers, partitions; /* 0: the topic does not exist */
    char *detail;
    size_t size;
};

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
    rd_kafka_AdminOptions_t *o = kafka_admin_options(&s->admin, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);
    if (count > 0)
        rd_kafka_DescribeConfigs(s->admin.client, resources, count, o, s->admin.queue);
    rd_kafka_AdminOptions_destroy(o);
    for (size_t i = 0; i < count; i++)
        rd_kafka_ConfigResource_destroy(resources[i]);
    free(resources);
    return count > 0 ? kafka_admin_await(&s->admin, RD_KAFKA_EVENT_DESCRIBECONFIGS_RESULT) : NULL;
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

static bool make(const struct settling *s, const struct wanted *wanted)
{
    char retention[32];
    int64_t ms = wanted->retention_ms == RETENTION_UNKNOWN ? RETENTION_DEFAULT : wanted->retention_ms;
    (void)snprintf(retention, sizeof retention, "%" PRId64, ms);
    const struct kafka_property properties[] = {
        {"cleanup.policy", "delete"}, {"retention.ms", retention}, {"retention.bytes", "-1"}};
    return kafka_admin_make(&s->admin, s->topic->name, 1, s->brokers, properties, 3, s->detail, s->size);
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
    struct settling s = {.topic = t, .detail = detail, .size = size};
    *detail = '\0';
    rd_kafka_resp_err_t error = kafka_admin_look(client, t->name, &s.brokers, &s.partitions);
    if (error) {
        kafka_admin_explain(error, t->name, detail, size);
        return SETTLING_AGAIN;
    }
    kafka_admin_begin(&s.admin, client, t->lenient ? ADMIN_LENIENT_MS : ADMIN_MS, stopping);
    enum checkpoint_settling outcome = judge(&s);
    kafka_admin_end(&s.admin);
    return outcome;
}
