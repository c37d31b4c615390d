#include "kafka_checkpoints_client.h"

#include "causeway/log.h"
#include "causeway/memory.h"

#include <stdlib.h>

enum { ANSWER_MS = 1000, RENEW_AFTER_MS = 60000 };

static void on_error(rd_kafka_t *handle, int error, const char *reason, void *opaque)
{
    struct checkpoint_client *c = opaque;
    (void)handle;
    log_debug("kafka", "reading checkpoints: %s", reason);
    c->fatal |= error == RD_KAFKA_RESP_ERR__FATAL;
}

void checkpoint_client_init(
    struct checkpoint_client *c, const struct kafka_settings *settings, const char *topic)
{
    char fault[512];
    *c = (struct checkpoint_client){.topic = xstrdup(topic)};
    c->conf = kafka_conf_create(RD_KAFKA_CONSUMER, settings, fault, sizeof fault);
    CHECK(c->conf);
    kafka_conf_force(c->conf, "enable.partition.eof", "true");
    kafka_conf_force(c->conf, "queued.max.messages.kbytes", "8192");
    rd_kafka_conf_set_opaque(c->conf, c);
    rd_kafka_conf_set_error_cb(c->conf, on_error);
}

void checkpoint_client_close(struct checkpoint_client *c)
{
    if (!c->handle)
        return;
    rd_kafka_topic_destroy(c->partition);
    rd_kafka_queue_destroy(c->queue);
    rd_kafka_destroy(c->handle);
    c->handle = NULL;
}

void checkpoint_client_finish(struct checkpoint_client *c)
{
    checkpoint_client_close(c);
    rd_kafka_conf_destroy(c->conf);
    free(c->topic);
}

bool checkpoint_client_open(struct checkpoint_client *c)
{
    char text[512];
    bool hopeless = c->unanswered_since && clock_monotonic_ms() - c->unanswered_since > RENEW_AFTER_MS;
    if (c->fatal || hopeless)
        checkpoint_client_close(c);
    if (c->handle)
        return true;
    c->handle = kafka_client_create(RD_KAFKA_CONSUMER, c->conf, text, sizeof text);
    if (!c->handle) {
        log_error("kafka", "librdkafka does not start: %s", text);
        return false;
    }
    c->fatal = false;
    c->unanswered_since = 0;
    c->queue = rd_kafka_queue_new(c->handle);
    c->partition = rd_kafka_topic_new(c->handle, c->topic, NULL);
    CHECK(c->partition); /* the name was tried when the writer started */
    return true;
}

bool checkpoint_client_ends(struct checkpoint_client *c, struct kafka_ends *ends)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, c->topic, 0);
    rd_kafka_resp_err_t error = kafka_ends_ask(c->handle, list, ANSWER_MS, ends);
    rd_kafka_topic_partition_list_destroy(list);
    if (!kafka_unanswered(error))
        c->unanswered_since = 0;
    else if (!c->unanswered_since)
        c->unanswered_since = clock_monotonic_ms();
    return !error && ends->low >= 0 && ends->high >= 0;
}
