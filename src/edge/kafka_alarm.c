/* What librdkafka keeps to itself: that a partition was not read without a break. A broker that says "unknown
   topic" or "not the leader" to a fetch, a leader that moved, a connection that broke: it asks for metadata
   and reads on by name and offset, whatever log stands there by then. Only its debug log tells, on the thread
   that fetches, and so before anything that was fetched later can come. */
#include "kafka_internal.h"

#include "causeway/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CALLS_MAX = 256, DEBUG_LEVEL = 7 };

static void ring(struct kafka_alarm *a, const char *topic, int32_t partition)
{
    lock_take(&a->lock);
    bool known = a->everywhere;
    for (size_t i = 0; topic && i < a->count && !known; i++)
        known = a->calls[i].partition == partition && strcmp(a->calls[i].topic, topic) == 0;
    if (!known && topic && a->count < CALLS_MAX) {
        a->calls = xrealloc(a->calls, (a->count + 1) * sizeof *a->calls);
        struct kafka_call *call = &a->calls[a->count++];
        (void)snprintf(call->topic, sizeof call->topic, "%s", topic);
        call->partition = partition;
    } else if (!known) {
        a->everywhere = true;
    }
    atomic_store(&a->rung, true);
    lock_give(&a->lock);
}

/* "topic [3]: ..." */
static void ring_for(struct kafka_alarm *a, const char *text)
{
    const char *end = strchr(text, ' ');
    char topic[KAFKA_TOPIC_MAX + 1];
    size_t size = end ? (size_t)(end - text) : 0;
    if (size == 0 || size > KAFKA_TOPIC_MAX || end[1] != '[') {
        ring(a, NULL, 0);
        return;
    }
    memcpy(topic, text, size);
    topic[size] = '\0';
    ring(a, topic, (int32_t)strtol(end + 2, NULL, 10));
}

/* A broker whose address is learned is UP -> UPDATE -> UP, over the same connection. */
static bool is_lost(const char *said)
{
    return (strstr(said, "state UP -> ") && !strstr(said, "UP -> UPDATE")) || strstr(said, "UPDATE -> DOWN");
}

static void hear(struct kafka_alarm *a, const char *facility, const char *text)
{
    const char *said = strstr(text, "]: "); /* behind the name of the thread */
    said = said && strncmp(text, "[thrd:", 6) == 0 ? said + 3 : text;
    if (strcmp(facility, "BROKERUA") == 0 ||
        (strcmp(facility, "BRKDELGT") == 0 && strstr(said, "no longer delegated")))
        ring_for(a, said);
    else if (strcmp(facility, "STATE") == 0 && is_lost(said))
        ring(a, NULL, 0);
}

/* @thread of librdkafka's */
static void on_log(const rd_kafka_t *client, int level, const char *facility, const char *text)
{
    struct kafka_alarm *a = rd_kafka_opaque(client);
    if (level >= DEBUG_LEVEL)
        hear(a, facility, text);
    if (level < DEBUG_LEVEL || a->verbose)
        kafka_log(client, level, facility, text);
}

void kafka_alarm_init(struct kafka_alarm *a, rd_kafka_conf_t *conf)
{
    char wanted[256] = "", all[sizeof wanted + sizeof "topic,broker,"];
    size_t size = sizeof wanted;
    *a = (struct kafka_alarm){0};
    lock_init(&a->lock);
    if (rd_kafka_conf_get(conf, "debug", wanted, &size) != RD_KAFKA_CONF_OK)
        wanted[0] = '\0';
    a->verbose = wanted[0] != '\0';
    (void)snprintf(all, sizeof all, "topic,broker%s%s", a->verbose ? "," : "", wanted);
    kafka_conf_force(conf, "debug", all);
    rd_kafka_conf_set_log_cb(conf, on_log);
    rd_kafka_conf_set_opaque(conf, a);
}

void kafka_alarm_finish(struct kafka_alarm *a)
{
    free(a->calls);
    lock_finish(&a->lock);
}

bool kafka_alarm_rung(const struct kafka_alarm *a)
{
    return atomic_load_explicit(&a->rung, memory_order_acquire);
}

bool kafka_alarm_take(struct kafka_alarm *a, struct kafka_call *out)
{
    lock_take(&a->lock);
    bool everywhere = a->everywhere, any = everywhere || a->count > 0;
    if (everywhere)
        *out = (struct kafka_call){.partition = -1};
    else if (any)
        *out = a->calls[--a->count];
    if (everywhere)
        a->count = 0;
    a->everywhere = false;
    if (!any)
        atomic_store(&a->rung, false);
    lock_give(&a->lock);
    return any;
}
