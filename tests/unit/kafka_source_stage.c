#include "kafka_source_stage.h"

#include "causeway/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

int64_t now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void step(void)
{
    (void)nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
}

/* --- what a source hands on --- */

static char *copy(struct slice s)
{
    return s.data ? xstrndup(s.data, s.size) : NULL;
}

static void on_record(void *owner, const struct record *r)
{
    struct collector *c = owner;
    for (; atomic_load(&c->blocked); step())
        atomic_store(&c->waits, true);
    struct seen one = {.topic = copy(r->topic),
        .partition = r->partition,
        .offset = r->offset,
        .time_ms = r->time_ms,
        .key = copy(r->key),
        .key_size = r->key.size,
        .value = copy(r->value),
        .value_size = r->value.size,
        .header_count = r->header_count};
    for (size_t i = 0; i < r->header_count && i < 4; i++) {
        one.headers[i].name = copy(r->headers[i].name);
        one.headers[i].value = copy(r->headers[i].value);
    }
    lock_take(&c->lock);
    c->records = xrealloc(c->records, (c->count + 1) * sizeof *c->records);
    c->records[c->count++] = one;
    c->in_batch++;
    lock_give(&c->lock);
}

static void on_batch_done(void *owner)
{
    struct collector *c = owner;
    lock_take(&c->lock);
    c->batches++;
    c->empty_batches += c->in_batch == 0;
    c->longest_batch = c->in_batch > c->longest_batch ? c->in_batch : c->longest_batch;
    c->in_batch = 0;
    lock_give(&c->lock);
}

static void on_jump(
    void *owner, struct slice topic, int32_t partition, int64_t from, int64_t to, enum kafka_jump why)
{
    struct collector *c = owner;
    (void)topic;
    c->jump_why = why;
    lock_take(&c->lock);
    c->jumps++;
    c->jump_partition = partition;
    c->jump_from = from;
    c->jump_to = to;
    lock_give(&c->lock);
}

static bool may_read(void *owner, bool placed)
{
    struct collector *c = owner;
    atomic_fetch_add(&c->asked, placed);
    return !atomic_load(&c->closed);
}

const struct kafka_source_hooks hooks = {
    .record = on_record, .batch_done = on_batch_done, .jump = on_jump, .may_read = may_read};

size_t collected(struct collector *c)
{
    lock_take(&c->lock);
    size_t count = c->count - c->in_batch;
    lock_give(&c->lock);
    return count;
}

void collector_finish(struct collector *c)
{
    for (size_t i = 0; i < c->count; i++) {
        free(c->records[i].topic);
        free(c->records[i].key);
        free(c->records[i].value);
        for (size_t h = 0; h < 4; h++) {
            free(c->records[i].headers[h].name);
            free(c->records[i].headers[h].value);
        }
    }
    free(c->records);
    lock_finish(&c->lock);
}

/* --- a broker, a source, and a hand that publishes --- */

struct kafka_mock *mock;

void stage_open(struct stage *st, int partitions)
{
    static int topics;
    *st = (struct stage){0};
    lock_init(&st->collector.lock);
    (void)snprintf(st->topic, sizeof st->topic, "t%d", topics++);
    if (partitions > 0)
        assert_true(kafka_mock_topic(mock, st->topic, partitions));
    st->settings.brokers = kafka_mock_brokers(mock);
}

void stage_read(struct stage *st, const char *topic, const char *another)
{
    struct slice topics[] = {slice_of(topic), slice_of(another ? another : topic)};
    st->source = kafka_source_create(&st->settings, topics, 2, NULL, 0, BATCH_MAX, &hooks, &st->collector);
}

void stage_close(struct stage *st)
{
    kafka_source_destroy(st->source);
    collector_finish(&st->collector);
}

bool ready(struct stage *st)
{
    char detail[400];
    return kafka_source_ready(st->source, detail, sizeof detail);
}

bool says(struct stage *st, const char *expected)
{
    char detail[400];
    (void)kafka_source_ready(st->source, detail, sizeof detail);
    return strcmp(detail, expected) == 0;
}

void publish(struct stage *st, struct record *r)
{
    char fault[512] = "";
    if (!kafka_publish(&st->settings, r, PUBLISH_MS, fault, sizeof fault))
        fail_msg("publish: %s", fault);
}

void publish_text(struct stage *st, const char *topic, int32_t partition, const char *text)
{
    struct record r = {.topic = slice_of(topic), .partition = partition, .value = slice_of(text)};
    publish(st, &r);
}

void publish_numbers(struct stage *st, const char *topic, int32_t partition, int from, int to)
{
    for (int i = from; i < to; i++) {
        char text[16];
        (void)snprintf(text, sizeof text, "%d", i);
        publish_text(st, topic, partition, text);
    }
}

void assert_complete(struct stage *st, const char *topic, int partitions, int64_t first, int each)
{
    struct collector *c = &st->collector;
    int next[16] = {0};
    for (size_t i = 0; i < c->count; i++) {
        const struct seen *r = &c->records[i];
        if (strcmp(r->topic, topic) != 0)
            continue;
        assert_in_range(r->partition, 0, partitions - 1);
        assert_int_equal(r->offset, first + next[r->partition]);
        assert_int_equal(atoi(r->value), next[r->partition]++);
    }
    for (int p = 0; p < partitions; p++)
        assert_int_equal(next[p], each);
}

/* --- trouble --- */

int start_broker(void **state)
{
    char fault[256];
    (void)state;
    mock = kafka_mock_create(fault, sizeof fault);
    return mock ? 0 : -1;
}

int stop_broker(void **state)
{
    (void)state;
    kafka_mock_destroy(mock);
    return 0;
}
