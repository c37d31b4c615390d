#include "kafka_internal.h"

#include "causeway/log.h"

#include <stdio.h>
#include <string.h>

struct preset {
    const char *name;
    const char *value;
};

static const struct preset common_presets[] = {
    {"client.id", "causeway"},
    {"socket.keepalive.enable", "true"},
    {"socket.nagle.disable", "true"},
    /* A broker that stands still (not: that has nothing to say) is left after this. */
    {"socket.timeout.ms", "10000"},
    {"reconnect.backoff.max.ms", "1000"},
    {"topic.metadata.refresh.interval.ms", "5000"},
    /* Idle connections come and go; what matters shows as "no broker reachable". */
    {"log.connection.close", "false"},
};

static const struct preset consumer_presets[] = {
    /* A position that is gone must be seen, never silently moved. */
    {"auto.offset.reset", "error"},
    {"enable.auto.commit", "false"},
    {"enable.auto.offset.store", "false"},
    {"check.crcs", "true"},
    {"isolation.level", "read_committed"},
    /* All partitions share one queue, so these bound the memory of all of them together. */
    {"queued.max.messages.kbytes", "16384"},
    {"fetch.message.max.bytes", "1048576"},
    {"fetch.max.bytes", "8388608"},
    {"fetch.error.backoff.ms", "200"},
    /* The group of the dead letters: so long after it was killed an instance counts as a member. */
    {"session.timeout.ms", "10000"},
    /* Kafka answers a fetch that waits as soon as something comes, so a short wait gains nothing there and
       costs requests. The development broker sleeps it to its end: there it is the delay of an event. */
    {"fetch.wait.max.ms", "50"},
};

static const struct preset producer_presets[] = {
    {"enable.idempotence", "true"},
    {"acks", "all"},
    {"linger.ms", "0"},
    /* For dead letters: so long the transaction of somebody who was killed holds back those of others. */
    {"transaction.timeout.ms", "10000"},
};

/* What the program depends on, or what is not safe. `value` NULL: any value is refused. */
struct refusal {
    const char *name;
    const char *value;
    const char *why;
};

#define WITHOUT_GROUP "every instance reads all partitions, without a consumer group and without commits"
#define ACKNOWLEDGED "an event counts as published only when all in-sync replicas have it"

static const struct refusal refusals[] = {
    {"bootstrap.servers", NULL, "set KAFKA_BROKERS"},
    {"metadata.broker.list", NULL, "set KAFKA_BROKERS"},
    {"group.id", NULL, WITHOUT_GROUP},
    {"group.instance.id", NULL, WITHOUT_GROUP},
    {"enable.auto.commit", NULL, WITHOUT_GROUP},
    {"auto.commit.enable", NULL, WITHOUT_GROUP},
    {"enable.auto.offset.store", NULL, WITHOUT_GROUP},
    {"auto.offset.reset", NULL, "a position that is gone is reported, never silently moved"},
    {"enable.partition.eof", NULL, "reading never ends"},
    {"acks", NULL, ACKNOWLEDGED},
    {"request.required.acks", NULL, ACKNOWLEDGED},
    {"enable.idempotence", NULL, ACKNOWLEDGED},
    {"transactional.id", NULL, "events are published one by one"},
    {"log.queue", NULL, "librdkafka's log goes to the program's log"},
    {"log_level", NULL, "set LOG_LEVEL"},
    {"enable.ssl.certificate.verification", "false",
        "an unverified broker could be anybody; name its authority in kafka.ssl.ca.location"},
};

#define COUNT(array) (sizeof(array) / sizeof *(array))

static bool refused(const struct kafka_property *property, char *fault, size_t size)
{
    for (size_t i = 0; i < COUNT(refusals); i++) {
        const struct refusal *r = &refusals[i];
        if (strcmp(property->name, r->name) != 0 || (r->value && strcasecmp(property->value, r->value) != 0))
            continue;
        (void)snprintf(fault, size, "kafka.%s cannot be set%s%s: %s", r->name, r->value ? " to " : "",
            r->value ? r->value : "", r->why);
        return true;
    }
    return false;
}

static void preset(rd_kafka_conf_t *conf, const struct preset *presets, size_t count)
{
    char text[256];
    for (size_t i = 0; i < count; i++)
        CHECK(rd_kafka_conf_set(conf, presets[i].name, presets[i].value, text, sizeof text) ==
              RD_KAFKA_CONF_OK);
}

static bool override(rd_kafka_conf_t *conf, const struct kafka_settings *settings, char *fault, size_t size)
{
    for (size_t i = 0; i < settings->property_count; i++) {
        const struct kafka_property *p = &settings->properties[i];
        char text[256];
        if (refused(p, fault, size))
            return false;
        if (rd_kafka_conf_set(conf, p->name, p->value, text, sizeof text) != RD_KAFKA_CONF_OK) {
            (void)snprintf(fault, size, "kafka.%s: %s", p->name, text);
            return false;
        }
    }
    return true;
}

rd_kafka_conf_t *kafka_conf_create(
    rd_kafka_type_t type, const struct kafka_settings *settings, char *fault, size_t size)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    preset(conf, common_presets, COUNT(common_presets));
    if (type == RD_KAFKA_CONSUMER)
        preset(conf, consumer_presets, COUNT(consumer_presets));
    else
        preset(conf, producer_presets, COUNT(producer_presets));
    rd_kafka_conf_set_log_cb(conf, kafka_log);

    char text[256];
    if (!settings->brokers || !*settings->brokers) {
        (void)snprintf(fault, size, "KAFKA_BROKERS is empty");
    } else if (rd_kafka_conf_set(conf, "bootstrap.servers", settings->brokers, text, sizeof text) !=
               RD_KAFKA_CONF_OK) {
        (void)snprintf(fault, size, "KAFKA_BROKERS: %s", text);
    } else if (override(conf, settings, fault, size)) {
        return conf;
    }
    rd_kafka_conf_destroy(conf);
    return NULL;
}

rd_kafka_t *kafka_client_create(rd_kafka_type_t type, const rd_kafka_conf_t *conf, char *fault, size_t size)
{
    rd_kafka_conf_t *own = rd_kafka_conf_dup(conf);
    char text[512];
    rd_kafka_t *client = rd_kafka_new(type, own, text, sizeof text);
    if (!client) {
        (void)snprintf(fault, size, "%s", text);
        rd_kafka_conf_destroy(own);
    }
    return client;
}

/* Some faults (certificates that are not there, values that contradict each other) show only in a real
 * handle. */
static bool try_client(rd_kafka_type_t type, const struct kafka_settings *settings, char *fault, size_t size)
{
    rd_kafka_conf_t *conf = kafka_conf_create(type, settings, fault, size);
    if (!conf)
        return false;
    char text[512];
    rd_kafka_t *client = kafka_client_create(type, conf, text, sizeof text);
    rd_kafka_conf_destroy(conf);
    if (!client) {
        (void)snprintf(fault, size, "the kafka.* settings: %s", text);
        return false;
    }
    bool addressed = rd_kafka_brokers_add(client, settings->brokers) > 0;
    if (!addressed)
        (void)snprintf(fault, size, "KAFKA_BROKERS: no broker address in \"%s\"", settings->brokers);
    rd_kafka_destroy(client);
    return addressed;
}

bool kafka_settings_check(const struct kafka_settings *settings, char *fault, size_t size)
{
    return try_client(RD_KAFKA_CONSUMER, settings, fault, size) &&
           try_client(RD_KAFKA_PRODUCER, settings, fault, size);
}

void kafka_log(const rd_kafka_t *client, int level, const char *facility, const char *text)
{
    (void)client;
    /* Broken connections: the owner of the handle hears of them and tells once, not once per broker and
     * attempt. */
    bool connection = strcmp(facility, "FAIL") == 0 || strcmp(facility, "ERROR") == 0;
    /* ... and of transactions that fail, some of them twice a second. */
    bool transaction = strcmp(facility, "GETPID") == 0 || strcmp(facility, "TXNERR") == 0 ||
                       strcmp(facility, "ADDOFFSETS") == 0;
    /* A producer's property on a consumer, or the other way round: the user's properties go to both. */
    bool misplaced =
        strcmp(facility, "CONFWARN") == 0 && (level >= 5 || strstr(text, "will be ignored by this"));
    enum log_level ours = level <= 2                  ? LOG_ERROR
                          : connection || transaction ? LOG_DEBUG
                          : misplaced                 ? LOG_DEBUG
                          : level <= 4                ? LOG_WARN
                          : level <= 5                ? LOG_INFO
                                                      : LOG_DEBUG;
    log_write(ours, "kafka", "librdkafka %s: %s", facility, text);
}
