#include "kafka_internal.h"

#include "causeway/memory.h"

#include <librdkafka/rdkafka_mock.h>
#include <stdio.h>
#include <stdlib.h>

struct kafka_mock {
    rd_kafka_t *client; /* the cluster lives in a handle, which talks to nobody */
    rd_kafka_mock_cluster_t *cluster;
};

enum { ONLY_BROKER = 1 };

struct kafka_mock *kafka_mock_create(char *fault, size_t size)
{
    char text[256] = "out of resources";
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_log_cb(conf, kafka_log);
    rd_kafka_t *client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    if (!client)
        rd_kafka_conf_destroy(conf);
    rd_kafka_mock_cluster_t *cluster = client ? rd_kafka_mock_cluster_new(client, ONLY_BROKER) : NULL;
    if (!cluster) {
        (void)snprintf(fault, size, "the development broker cannot start: %s", text);
        if (client)
            rd_kafka_destroy(client);
        return NULL;
    }
    struct kafka_mock *m = xcalloc(1, sizeof *m);
    m->client = client;
    m->cluster = cluster;
    return m;
}

bool kafka_mock_topic(struct kafka_mock *m, const char *name, int partitions)
{
    return *name && partitions > 0 &&
           rd_kafka_mock_topic_create(m->cluster, name, partitions, ONLY_BROKER) ==
               RD_KAFKA_RESP_ERR_NO_ERROR;
}

const char *kafka_mock_brokers(const struct kafka_mock *m)
{
    return rd_kafka_mock_cluster_bootstraps(m->cluster);
}

void kafka_mock_set_up(struct kafka_mock *m, bool up)
{
    rd_kafka_resp_err_t fault = up ? rd_kafka_mock_broker_set_up(m->cluster, ONLY_BROKER)
                                   : rd_kafka_mock_broker_set_down(m->cluster, ONLY_BROKER);
    CHECK(fault == RD_KAFKA_RESP_ERR_NO_ERROR);
}

void kafka_mock_hide(struct kafka_mock *m, const char *topic, bool hidden)
{
    rd_kafka_mock_topic_set_error(
        m->cluster, topic, hidden ? RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART : RD_KAFKA_RESP_ERR_NO_ERROR);
}

void kafka_mock_destroy(struct kafka_mock *m)
{
    if (!m)
        return;
    rd_kafka_mock_cluster_destroy(m->cluster);
    rd_kafka_destroy(m->client);
    free(m);
}
