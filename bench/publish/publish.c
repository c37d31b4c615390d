/* Open-loop publisher: COUNT events at RATE per second (0: all at once), to a Kafka topic or to the feed of
   bench_bare. Each payload is a JSON object of --bytes bytes that carries the marker of tally.h with the
   *intended* send time, so a publisher or broker that falls behind shows as latency. Events that are due
   within the same millisecond leave together.

   bench_publish (--brokers LIST --topic T [--linger MS] | --feed PORT) [--type T] [--bytes N]
   Commands on stdin, one per line; answers on stdout, one JSON object per line:
     run ROUND COUNT RATE   -> published (once every event is acknowledged by the broker)
   It ends at the end of stdin. */
#include "../measure.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <librdkafka/rdkafka.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#define PAYLOAD_MAX 32768
#define TICK_NS 1000000ull

struct publisher {
    const char *brokers, *topic, *linger, *type, *feed;
    uint64_t bytes;
    char filler[PAYLOAD_MAX];
    rd_kafka_t *kafka;
    uint64_t failed;
    int socket;
    char batch[1u << 20]; /* lines for the feed, written together */
    size_t batched;
};

/* -- Kafka
 * ------------------------------------------------------------------------------------------------------- */

static void on_report(rd_kafka_t *kafka, const rd_kafka_message_t *message, void *opaque)
{
    struct publisher *p = opaque;
    (void)kafka;
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR && p->failed++ == 0) {
        fprintf(stderr, "bench_publish: %s\n", rd_kafka_err2str(message->err));
    }
}

static void kafka_open(struct publisher *p)
{
    const char *const properties[][2] = {{"bootstrap.servers", p->brokers}, {"linger.ms", p->linger},
        {"acks", "1"}, {"batch.size", "900000"}, {"queue.buffering.max.messages", "2000000"},
        {"queue.buffering.max.kbytes", "2000000"}, {"socket.nagle.disable", "true"}};
    char fault[512];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    for (size_t i = 0; i < sizeof properties / sizeof *properties; i++) {
        if (rd_kafka_conf_set(conf, properties[i][0], properties[i][1], fault, sizeof fault) !=
            RD_KAFKA_CONF_OK) {
            measure_die("bench_publish: %s", fault);
        }
    }
    rd_kafka_conf_set_dr_msg_cb(conf, on_report);
    rd_kafka_conf_set_opaque(conf, p);
    p->kafka = rd_kafka_new(RD_KAFKA_PRODUCER, conf, fault, sizeof fault);
    if (p->kafka == NULL) {
        measure_die("bench_publish: %s", fault);
    }
}

static void kafka_send(struct publisher *p, const char *payload, size_t length)
{
    rd_kafka_resp_err_t error = rd_kafka_producev(p->kafka, RD_KAFKA_V_TOPIC(p->topic),
        RD_KAFKA_V_PARTITION(0), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
        RD_KAFKA_V_HEADER("type", p->type, (ssize_t)strlen(p->type)),
        RD_KAFKA_V_VALUE((void *)(uintptr_t)payload, length), RD_KAFKA_V_END);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
        measure_die("bench_publish: %s", rd_kafka_err2str(error));
    }
}

/* -- the feed of bench_bare
 * -------------------------------------------------------------------------------------- */

static void feed_open(struct publisher *p)
{
    int on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET,
        .sin_port = htons((uint16_t)measure_number(p->feed, 1)),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    p->socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (p->socket < 0 || connect(p->socket, (struct sockaddr *)&address, sizeof address) != 0) {
        measure_die("bench_publish: %s", strerror(errno));
    }
    setsockopt(p->socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static void feed_flush(struct publisher *p)
{
    for (size_t at = 0; at < p->batched;) {
        ssize_t n = send(p->socket, p->batch + at, p->batched - at, MSG_NOSIGNAL);
        if (n <= 0) {
            measure_die("bench_publish: feed: %s", strerror(errno));
        }
        at += (size_t)n;
    }
    p->batched = 0;
}

static void feed_send(struct publisher *p, const char *payload, size_t length)
{
    if (sizeof p->batch - p->batched < length + 1) {
        feed_flush(p);
    }
    memcpy(p->batch + p->batched, payload, length);
    p->batched += length;
    p->batch[p->batched++] = '\n';
}

/* -- a run
 * ------------------------------------------------------------------------------------------------------- */

static void send_event(struct publisher *p, uint64_t round, uint64_t sequence, uint64_t intended_ns)
{
    char payload[PAYLOAD_MAX + 128];
    int head = snprintf(payload, 100, "{\"mark\":\"~%lu.%lu.%lu\",\"text\":\"", round, sequence, intended_ns);
    size_t filler = p->bytes > (size_t)head + 2 ? p->bytes - (size_t)head - 2 : 0;
    memcpy(payload + head, p->filler, filler);
    memcpy(payload + (size_t)head + filler, "\"}", 2);
    size_t length = (size_t)head + filler + 2;
    if (p->kafka != NULL) {
        kafka_send(p, payload, length);
    } else {
        feed_send(p, payload, length);
    }
}

static void sleep_until(struct publisher *p, uint64_t ns)
{
    if (p->kafka != NULL) {
        rd_kafka_poll(p->kafka, 0);
    } else {
        feed_flush(p);
    }
    struct timespec t = {.tv_sec = (time_t)(ns / NS_PER_SECOND), .tv_nsec = (long)(ns % NS_PER_SECOND)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR) {
    }
}

static void run(struct publisher *p, uint64_t round, uint64_t count, uint64_t rate)
{
    uint64_t start = measure_now_ns();
    uint64_t late = 0;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t intended = rate == 0 ? start : start + i * NS_PER_SECOND / rate;
        uint64_t now = measure_now_ns();
        if (rate != 0 && now < intended) {
            sleep_until(p, rate > 1000 ? (intended / TICK_NS + 1) * TICK_NS : intended);
        } else if (now - intended > late) {
            late = now - intended;
        }
        send_event(p, round, i, intended);
    }
    if (p->kafka == NULL) {
        feed_flush(p);
    } else if (rd_kafka_flush(p->kafka, 30000) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        measure_die("bench_publish: the broker does not acknowledge");
    }
    printf("{\"event\":\"published\",\"round\":%lu,\"ok\":%s,\"count\":%lu,\"seconds\":%.6f,\"late\":%lu}\n",
        round, p->failed == 0 ? "true" : "false", count, (double)(measure_now_ns() - start) / 1e9,
        late / 1000);
    fflush(stdout);
}

static void parse_options(struct publisher *p, int argc, char **argv)
{
    const char **const texts[] = {&p->brokers, &p->topic, &p->linger, &p->type, &p->feed};
    static const struct option table[] = {{"brokers", 1, NULL, 0}, {"topic", 1, NULL, 1},
        {"linger", 1, NULL, 2}, {"type", 1, NULL, 3}, {"feed", 1, NULL, 4}, {"bytes", 1, NULL, 5},
        {NULL, 0, NULL, 0}};
    int c;
    while ((c = getopt_long(argc, argv, "", table, NULL)) != -1) {
        if (c == '?') {
            exit(2);
        } else if (c == 5) {
            p->bytes = measure_number(optarg, 64);
        } else {
            *texts[c] = optarg;
        }
    }
    if ((p->brokers == NULL || p->topic == NULL) == (p->feed == NULL) || p->bytes > PAYLOAD_MAX) {
        measure_die("bench_publish: needs either --brokers and --topic, or --feed");
    }
}

int main(int argc, char **argv)
{
    static struct publisher p = {.linger = "1", .type = "bench.tick", .bytes = 200, .socket = -1};
    parse_options(&p, argc, argv);
    memset(p.filler, 'x', sizeof p.filler);
    if (p.brokers != NULL) {
        kafka_open(&p);
    } else {
        feed_open(&p);
    }
    char line[256];
    unsigned long round;
    unsigned long count;
    unsigned long rate;
    while (fgets(line, sizeof line, stdin) != NULL) {
        if (sscanf(line, "run %lu %lu %lu", &round, &count, &rate) != 3 || count == 0) {
            measure_die("bench_publish: unknown command: %s", line);
        }
        run(&p, round, count, rate);
    }
    if (p.kafka != NULL) {
        rd_kafka_destroy(p.kafka);
    }
    return p.failed == 0 ? 0 : 1;
}
