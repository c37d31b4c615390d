#include "causeway/kafka_past.h"

#include "kafka_internal.h"

#include "causeway/log.h"
#include "causeway/memory.h"

#include <stdlib.h>
#include <unistd.h>

enum { ANSWER_MS = 2000, AGAIN_US = 200000 };

/* A question to the brokers, with what has been found out so far. */
struct past {
    rd_kafka_t *client;
    rd_kafka_topic_partition_list_t *parts;
    struct kafka_ends *ends; /* of the parts */
    int64_t *since;
};

static void forget(struct past *p)
{
    if (p->parts)
        rd_kafka_topic_partition_list_destroy(p->parts);
    free(p->ends);
    free(p->since);
    p->parts = NULL;
    p->ends = NULL;
    p->since = NULL;
}

static bool is_one_of(const char *name, const struct slice *topics, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (slice_is(topics[i], name))
            return true;
    return false;
}

static bool list_partitions(struct past *p, const struct slice *topics, size_t count)
{
    const struct rd_kafka_metadata *m = NULL;
    if (rd_kafka_metadata(p->client, 1, NULL, &m, ANSWER_MS))
        return false;
    p->parts = rd_kafka_topic_partition_list_new(16);
    for (int i = 0; i < m->topic_cnt; i++)
        for (int k = 0; k < m->topics[i].partition_cnt && is_one_of(m->topics[i].topic, topics, count); k++)
            rd_kafka_topic_partition_list_add(p->parts, m->topics[i].topic, m->topics[i].partitions[k].id);
    rd_kafka_metadata_destroy(m);
    return true;
}

/* -1: no record is that young. */
static bool ask_since(struct past *p, int64_t since_ms)
{
    rd_kafka_topic_partition_list_t *asked = rd_kafka_topic_partition_list_copy(p->parts);
    for (int i = 0; i < asked->cnt; i++)
        asked->elems[i].offset = since_ms;
    bool fine = !rd_kafka_offsets_for_times(p->client, asked, ANSWER_MS);
    p->since = xcalloc((size_t)asked->cnt + 1, sizeof *p->since);
    for (int i = 0; i < asked->cnt; i++)
        p->since[i] = asked->elems[i].err ? -1 : asked->elems[i].offset;
    rd_kafka_topic_partition_list_destroy(asked);
    return fine;
}

static bool ask(struct past *p, const struct slice *topics, size_t count, int64_t since_ms)
{
    if (!list_partitions(p, topics, count))
        return false;
    p->ends = xcalloc((size_t)p->parts->cnt + 1, sizeof *p->ends);
    if (p->parts->cnt == 0)
        return true;
    if (kafka_ends_ask(p->client, p->parts, ANSWER_MS, p->ends) || !ask_since(p, since_ms))
        return false;
    for (int i = 0; i < p->parts->cnt; i++) {
        if (p->since[i] < 0 || p->since[i] > p->ends[i].high)
            p->since[i] = p->ends[i].high;
        if (p->since[i] < p->ends[i].low)
            p->since[i] = p->ends[i].low;
    }
    return true;
}

static struct slice topic_of(const char *name, const struct slice *topics)
{
    while (!slice_is(*topics, name))
        topics++;
    return *topics;
}

static struct kafka_source_start *cut(
    const struct past *p, const struct slice *topics, int64_t records_max, size_t *found)
{
    struct kafka_source_start *starts = xcalloc((size_t)p->parts->cnt + 1, sizeof *starts);
    int64_t all = 0;
    for (int i = 0; i < p->parts->cnt; i++)
        all += p->ends[i].high - p->since[i];
    double part = all > records_max ? (double)records_max / (double)all : 1;
    for (int i = 0; i < p->parts->cnt; i++) {
        const rd_kafka_topic_partition_t *of = &p->parts->elems[i];
        if (p->ends[i].high < 0) /* without a leader at the moment: it begins where it is found */
            continue;
        int64_t back = (int64_t)((double)(p->ends[i].high - p->since[i]) * part);
        starts[(*found)++] = (struct kafka_source_start){.topic = topic_of(of->topic, topics),
            .partition = of->partition,
            .offset = p->ends[i].high - back,
            .anchor.offset = -1};
    }
    return starts;
}

static bool open_client(struct past *p, const struct kafka_settings *settings)
{
    char fault[512];
    rd_kafka_conf_t *conf = kafka_conf_create(RD_KAFKA_CONSUMER, settings, fault, sizeof fault);
    CHECK(conf);
    p->client = kafka_client_create(RD_KAFKA_CONSUMER, conf, fault, sizeof fault);
    rd_kafka_conf_destroy(conf);
    if (!p->client)
        log_error("kafka", "librdkafka does not start: %s", fault);
    return p->client;
}

struct kafka_source_start *kafka_past_find(const struct kafka_settings *settings, const struct slice *topics,
    size_t topic_count, int64_t since_ms, int64_t records_max, const atomic_bool *give_up, size_t *found)
{
    struct past p = {0};
    struct kafka_source_start *starts = NULL;
    *found = 0;
    while (!starts && !atomic_load(give_up)) {
        if (p.client || open_client(&p, settings)) {
            if (ask(&p, topics, topic_count, since_ms))
                starts = cut(&p, topics, records_max, found);
            forget(&p);
        }
        if (!starts)
            usleep(AGAIN_US);
    }
    if (p.client)
        rd_kafka_destroy(p.client);
    return starts;
}
