#include "tap.h"

#include "measure.h"

#include <arpa/inet.h>
#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>

#define BATCH_BYTES (1u << 20)
#define BATCH_RECORDS 1000 /* as Causeway takes at once */

struct tap {
    rd_kafka_t *kafka;
    rd_kafka_topic_t *topic;
    rd_kafka_queue_t *queue;
    int feed;
    char lines[BATCH_BYTES];
    size_t size;
};

static void write_lines(struct tap *t)
{
    for (size_t at = 0; at < t->size;) {
        ssize_t n = send(t->feed, t->lines + at, t->size - at, MSG_NOSIGNAL);
        if (n < 0) {
            measure_die("bench_bare: the feed is gone");
        }
        at += (size_t)n;
    }
    t->size = 0;
}

static void take(struct tap *t, const rd_kafka_message_t *m)
{
    if (m->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return;
    }
    if (m->len + 1 > BATCH_BYTES - t->size) {
        write_lines(t);
    }
    memcpy(t->lines + t->size, m->payload, m->len);
    t->size += m->len;
    t->lines[t->size++] = '\n';
}

static void *run(void *argument)
{
    struct tap *t = argument;
    for (;;) {
        rd_kafka_message_t *m = rd_kafka_consume_queue(t->queue, 1000);
        for (int taken = 0; m != NULL;
             m = ++taken < BATCH_RECORDS ? rd_kafka_consume_queue(t->queue, 0) : NULL) {
            take(t, m);
            rd_kafka_message_destroy(m);
        }
        write_lines(t);
    }
    return NULL;
}

static int connect_to(uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        measure_die("bench_bare: cannot reach its own feed");
    }
    return fd;
}

void tap_start(const char *brokers, const char *topic, uint16_t feed)
{
    static struct tap t;
    char fault[512];
    int64_t low, high;
    pthread_t thread;
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    if (rd_kafka_conf_set(conf, "bootstrap.servers", brokers, fault, sizeof fault) != RD_KAFKA_CONF_OK) {
        measure_die("bench_bare: %s", fault);
    }
    t.kafka = rd_kafka_new(RD_KAFKA_CONSUMER, conf, fault, sizeof fault);
    if (t.kafka == NULL) {
        measure_die("bench_bare: %s", fault);
    }
    t.queue = rd_kafka_queue_new(t.kafka);
    t.topic = rd_kafka_topic_new(t.kafka, topic, NULL);
    if (rd_kafka_query_watermark_offsets(t.kafka, topic, 0, &low, &high, 10000) !=
            RD_KAFKA_RESP_ERR_NO_ERROR ||
        rd_kafka_consume_start_queue(t.topic, 0, high, t.queue) != 0) {
        measure_die("bench_bare: cannot read topic %s", topic);
    }
    t.feed = connect_to(feed);
    if (pthread_create(&thread, NULL, run, &t) != 0) {
        measure_die("bench_bare: no thread");
    }
}
