/* The Kafka edge against librdkafka's mock cluster, in this process. */
#include "unit.h"

#include "causeway/kafka.h"
#include "causeway/lock.h"
#include "causeway/memory.h"
#include "causeway/metrics.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { PATIENCE_MS = 15000, PUBLISH_MS = 10000, BATCH_MAX = 16 };

static int64_t now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void step(void)
{
    (void)nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
}

/* Polls until the condition holds; fails the test when it does not come true. */
#define AWAIT(condition)                                                                                     \
    do {                                                                                                     \
        int64_t until = now_ms() + PATIENCE_MS;                                                              \
        while (!(condition) && now_ms() < until)                                                             \
            step();                                                                                          \
        assert_true(condition);                                                                              \
    } while (0)

/* --- what a source hands on --- */

struct seen {
    char *topic;
    int32_t partition;
    int64_t offset, time_ms;
    char *key, *value;
    size_t key_size, value_size;
    struct {
        char *name, *value;
    } headers[4];
    size_t header_count;
};

struct collector {
    struct lock lock;
    struct seen *records;
    size_t count;
    size_t batches, empty_batches, longest_batch, in_batch;
    size_t jumps;
    int64_t jump_from, jump_to;
    int32_t jump_partition;
    enum kafka_jump jump_why;
    atomic_bool blocked; /* the record hook waits while this is set */
    atomic_bool closed;  /* nothing may be read */
    atomic_int asked;    /* while all was placed */
};

static char *copy(struct slice s)
{
    return s.data ? xstrndup(s.data, s.size) : NULL;
}

static void on_record(void *owner, const struct record *r)
{
    struct collector *c = owner;
    while (atomic_load(&c->blocked))
        step();
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

static const struct kafka_source_hooks hooks = {
    .record = on_record, .batch_done = on_batch_done, .jump = on_jump, .may_read = may_read};

/* Records that are complete: their batch is done. */
static size_t collected(struct collector *c)
{
    lock_take(&c->lock);
    size_t count = c->count - c->in_batch;
    lock_give(&c->lock);
    return count;
}

static size_t collected_of(struct collector *c, const char *topic)
{
    size_t count = 0;
    lock_take(&c->lock);
    for (size_t i = 0; i < c->count - c->in_batch; i++)
        count += strcmp(c->records[i].topic, topic) == 0;
    lock_give(&c->lock);
    return count;
}

static int64_t last_offset(struct collector *c)
{
    lock_take(&c->lock);
    int64_t offset = c->count > 0 && c->in_batch == 0 ? c->records[c->count - 1].offset : -1;
    lock_give(&c->lock);
    return offset;
}

static void collector_finish(struct collector *c)
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

static struct kafka_mock
    *mock; /* one for all tests, since it takes its time to go; each test has its own topics */

struct stage {
    char topic[16];
    struct kafka_settings settings;
    struct collector collector;
    struct kafka_source *source;
};

/* With a topic of its own. */
static void stage_open(struct stage *st, int partitions)
{
    static int topics;
    *st = (struct stage){0};
    lock_init(&st->collector.lock);
    (void)snprintf(st->topic, sizeof st->topic, "t%d", topics++);
    if (partitions > 0)
        assert_true(kafka_mock_topic(mock, st->topic, partitions));
    st->settings.brokers = kafka_mock_brokers(mock);
}

static void stage_read(struct stage *st, const char *topic, const char *another)
{
    struct slice topics[] = {slice_of(topic), slice_of(another ? another : topic)};
    st->source = kafka_source_create(&st->settings, topics, 2, NULL, 0, BATCH_MAX, &hooks, &st->collector);
}

static void stage_start(struct stage *st, int64_t offset, struct anchor anchor)
{
    struct slice topic = slice_of(st->topic);
    struct kafka_source_start start = {.topic = topic, .partition = 0, .offset = offset, .anchor = anchor};
    st->source = kafka_source_create(&st->settings, &topic, 1, &start, 1, BATCH_MAX, &hooks, &st->collector);
}

static void stage_close(struct stage *st)
{
    kafka_source_destroy(st->source);
    collector_finish(&st->collector);
}

static bool ready(struct stage *st)
{
    char detail[400];
    return kafka_source_ready(st->source, detail, sizeof detail);
}

static bool says(struct stage *st, const char *expected)
{
    char detail[400];
    (void)kafka_source_ready(st->source, detail, sizeof detail);
    return strcmp(detail, expected) == 0;
}

static bool is_missing(struct stage *st)
{
    char expected[64];
    (void)snprintf(expected, sizeof expected, "topic %s does not exist", st->topic);
    return says(st, expected);
}

static void publish(struct stage *st, struct record *r)
{
    char fault[512] = "";
    if (!kafka_publish(&st->settings, r, PUBLISH_MS, fault, sizeof fault))
        fail_msg("publish: %s", fault);
}

static void publish_text(struct stage *st, const char *topic, int32_t partition, const char *text)
{
    struct record r = {.topic = slice_of(topic), .partition = partition, .value = slice_of(text)};
    publish(st, &r);
}

static void publish_numbers(struct stage *st, const char *topic, int32_t partition, int from, int to)
{
    for (int i = from; i < to; i++) {
        char text[16];
        (void)snprintf(text, sizeof text, "%d", i);
        publish_text(st, topic, partition, text);
    }
}

/* Every partition of the topic has the numbers 0..each-1, at the offsets first.., in that order. */
static void assert_complete(struct stage *st, const char *topic, int partitions, int64_t first, int each)
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

/* --- settings --- */

static void expect_refused(struct kafka_property one, struct kafka_property another, const char *word)
{
    struct kafka_property properties[] = {one, another};
    struct kafka_settings settings = {"127.0.0.1:9", properties, another.name ? 2 : 1};
    char fault[512] = "";
    assert_false(kafka_settings_check(&settings, fault, sizeof fault));
    if (!strstr(fault, word))
        fail_msg("\"%s\" does not mention \"%s\"", fault, word);
}

#define P(name, value) ((struct kafka_property){(name), (value)})
#define NONE P(NULL, NULL)

static void settings_that_librdkafka_or_we_refuse_are_named(void **state)
{
    (void)state;
    expect_refused(P("no.such.thing", "1"), NONE, "kafka.no.such.thing");
    expect_refused(P("fetch.wait.max.ms", "soon"), NONE, "kafka.fetch.wait.max.ms");
    expect_refused(P("group.id", "mine"), NONE, "kafka.group.id");
    expect_refused(P("auto.offset.reset", "latest"), NONE, "kafka.auto.offset.reset");
    expect_refused(P("acks", "1"), NONE, "kafka.acks");
    expect_refused(P("bootstrap.servers", "elsewhere:1"), NONE, "KAFKA_BROKERS");
    expect_refused(P("enable.ssl.certificate.verification", "false"), NONE, "kafka.ssl.ca.location");
    /* fine each by itself; only a real handle notices */
    expect_refused(P("receive.message.max.bytes", "1000"), NONE, "receive.message.max.bytes");
    expect_refused(P("security.protocol", "ssl"), P("ssl.ca.location", "/nowhere/ca.pem"), "ssl.ca.location");
}

static void settings_that_are_fine_pass_for_reading_and_for_publishing(void **state)
{
    (void)state;
    struct kafka_property properties[] = {{"fetch.wait.max.ms", "250"}, {"compression.type", "gzip"},
        {"security.protocol", "sasl_plaintext"}, {"sasl.mechanism", "PLAIN"}, {"sasl.username", "u"},
        {"sasl.password", "p"}, {"enable.ssl.certificate.verification", "true"}};
    struct kafka_settings settings = {"a.example:9092,b.example:9093", properties, 7};
    char fault[512] = "";
    bool accepted = kafka_settings_check(&settings, fault, sizeof fault);
    assert_string_equal(fault, "");
    assert_true(accepted);
    settings.brokers = "";
    assert_false(kafka_settings_check(&settings, fault, sizeof fault));
    assert_non_null(strstr(fault, "KAFKA_BROKERS"));
}

/* --- records --- */

static void a_record_arrives_as_it_was_published(void **state)
{
    struct stage st;
    (void)state;
    stage_open(&st, 3);
    stage_read(&st, st.topic, NULL);
    AWAIT(ready(&st));
    struct record r = {.topic = slice_of(st.topic),
        .partition = 2,
        .time_ms = 1705314600000,
        .key = SLICE("k\0y"),
        .value = SLICE("{\"id\": 9007199254740993}"),
        .headers = {{SLICE("type"), SLICE("order.created")}, {SLICE("nothing"), {NULL, 0}}},
        .header_count = 2};
    publish(&st, &r);
    assert_int_equal(r.partition, 2);
    assert_int_equal(r.offset, 0);
    AWAIT(collected(&st.collector) == 1);
    const struct seen *seen = &st.collector.records[0];
    assert_string_equal(seen->topic, st.topic);
    assert_int_equal(seen->partition, 2);
    assert_int_equal(seen->offset, 0);
    assert_int_equal(seen->time_ms, 1705314600000);
    assert_int_equal(seen->key_size, 3);
    assert_memory_equal(seen->key, "k\0y", 3);
    assert_string_equal(seen->value, "{\"id\": 9007199254740993}");
    assert_int_equal(seen->header_count, 2);
    assert_string_equal(seen->headers[0].name, "type");
    assert_string_equal(seen->headers[0].value, "order.created");
    assert_string_equal(seen->headers[1].name, "nothing");
    assert_null(seen->headers[1].value);
    stage_close(&st);
}

static void null_and_empty_stay_apart(void **state)
{
    struct stage st;
    (void)state;
    stage_open(&st, 1);
    stage_read(&st, st.topic, NULL);
    AWAIT(ready(&st));
    struct record tombstone = {.topic = slice_of(st.topic), .key = SLICE("gone")};
    struct record empty = {.topic = slice_of(st.topic), .key = SLICE(""), .value = SLICE("")};
    publish(&st, &tombstone);
    publish(&st, &empty);
    AWAIT(collected(&st.collector) == 2);
    const struct seen *seen = st.collector.records;
    assert_string_equal(seen[0].key, "gone");
    assert_null(seen[0].value);
    assert_non_null(seen[1].key);
    assert_int_equal(seen[1].key_size, 0);
    assert_non_null(seen[1].value);
    assert_int_equal(seen[1].value_size, 0);
    assert_true(seen[1].time_ms > 1700000000000); /* none was given: the time of publishing */
    stage_close(&st);
}

static void all_partitions_of_all_topics_arrive_in_partition_order(void **state)
{
    struct stage st;
    (void)state;
    stage_open(&st, 0);
    assert_true(kafka_mock_topic(mock, "a", 3));
    assert_true(kafka_mock_topic(mock, "b", 2));
    stage_read(&st, "a", "b");
    AWAIT(says(&st, "2 topics, 5 partitions"));
    assert_true(ready(&st));
    for (int n = 0; n < 8; n++) {
        for (int p = 0; p < 3; p++)
            publish_numbers(&st, "a", p, n, n + 1);
        for (int p = 0; p < 2; p++)
            publish_numbers(&st, "b", p, n, n + 1);
    }
    AWAIT(collected(&st.collector) == 40);
    assert_complete(&st, "a", 3, 0, 8);
    assert_complete(&st, "b", 2, 0, 8);
    assert_int_equal(metric_value(metric_label(METRIC_RECORDS, "b")), 16);
    assert_int_equal(metric_value(metric_get(METRIC_KAFKA_UP)), 1);
    stage_close(&st);
}

static void a_batch_ends_after_records_only_and_is_never_longer_than_asked(void **state)
{
    struct stage st;
    (void)state;
    stage_open(&st, 1);
    stage_read(&st, st.topic, NULL);
    AWAIT(ready(&st));
    atomic_store(&st.collector.blocked, true); /* so that records pile up behind the first */
    publish_numbers(&st, st.topic, 0, 0, 3 * BATCH_MAX);
    atomic_store(&st.collector.blocked, false);
    AWAIT(collected(&st.collector) == 3 * BATCH_MAX);
    assert_complete(&st, st.topic, 1, 0, 3 * BATCH_MAX);
    assert_int_equal(st.collector.empty_batches, 0);
    assert_in_range(st.collector.longest_batch, 2, BATCH_MAX);
    stage_close(&st);
}

static void reading_begins_at_the_head(void **state)
{
    struct stage st;
    (void)state;
    stage_open(&st, 2);
    for (int i = 0; i < 5; i++)
        publish_text(&st, st.topic, 1, "before");
    stage_read(&st, st.topic, NULL);
    AWAIT(ready(&st));
    publish_text(&st, st.topic, 1, "after");
    publish_text(&st, st.topic, 0, "after");
    AWAIT(collected(&st.collector) == 2);
    for (int i = 0; i < 2; i++) {
        assert_string_equal(st.collector.records[i].value, "after");
        assert_int_equal(st.collector.records[i].offset, st.collector.records[i].partition ? 5 : 0);
    }
    stage_close(&st);
}

/* --- trouble --- */

static void nothing_is_handed_on_while_nothing_may_be_read(void **state)
{
    struct stage st;
    (void)state;
    stage_open(&st, 1);
    stage_read(&st, st.topic, NULL);
    AWAIT(ready(&st));
    atomic_store(&st.collector.closed, true);
    atomic_store(&st.collector.asked, 0);
    AWAIT(atomic_load(&st.collector.asked) > 2); /* a turn may be under way */
    publish_numbers(&st, st.topic, 0, 0, 3);
    AWAIT(atomic_load(&st.collector.asked) > 200); /* places, too, are settled meanwhile */
    assert_int_equal(collected(&st.collector), 0);
    atomic_store(&st.collector.closed, false);
    AWAIT(collected(&st.collector) == 3);
    assert_complete(&st, st.topic, 1, 0, 3);
    stage_close(&st);
}

static void a_broker_that_was_away_costs_no_record(void **state)
{
    struct stage st;
    (void)state;
    stage_open(&st, 2);
    stage_read(&st, st.topic, NULL);
    AWAIT(ready(&st));
    for (int round = 0; round < 2; round++) {
        for (int p = 0; p < 2; p++)
            publish_numbers(&st, st.topic, p, 4 * round, 4 * round + 4);
        kafka_mock_set_up(mock, false); /* some are read by now, others are not */
        AWAIT(says(&st, "no broker reachable"));
        assert_false(ready(&st));
        assert_int_equal(metric_value(metric_get(METRIC_KAFKA_UP)), 0);
        kafka_mock_set_up(mock, true);
        AWAIT(ready(&st));
    }
    AWAIT(collected(&st.collector) == 16);
    assert_complete(&st, st.topic, 2, 0, 8);
    assert_int_equal(st.collector.jumps, 0);
    stage_close(&st);
}

static void a_topic_that_appears_later_is_read_from_its_first_record_and_holds_up_no_other(void **state)
{
    struct stage st;
    (void)state;
    stage_open(&st, 0);
    assert_true(kafka_mock_topic(mock, "there", 1));
    assert_true(kafka_mock_topic(mock, "later", 1));
    publish_numbers(&st, "later", 0, 0, 1);
    kafka_mock_hide(mock, "later", true);
    stage_read(&st, "later", "there");
    AWAIT(says(&st, "topic later does not exist"));
    assert_false(ready(&st));
    /* where "there" begins is not told while the other is missing: one of these is behind it */
    AWAIT((publish_text(&st, "there", 0, "meanwhile"), collected_of(&st.collector, "there") > 0));
    kafka_mock_hide(mock, "later", false);
    AWAIT(says(&st, "2 topics, 2 partitions"));
    publish_numbers(&st, "later", 0, 1, 3);
    AWAIT(collected_of(&st.collector, "later") == 3);
    assert_complete(&st, "later", 1, 0, 3);
    stage_close(&st);
}

static void a_topic_that_only_seemed_to_be_missing_is_not_told_again_from_its_beginning(void **state)
{
    struct stage st;
    (void)state;
    stage_open(&st, 1);
    for (int i = 0; i < 3; i++) {
        struct record r = {.topic = slice_of(st.topic), .time_ms = 1705314600000 + i, .value = SLICE("old")};
        publish(&st, &r);
    }
    kafka_mock_hide(mock, st.topic, true);
    stage_read(&st, st.topic, NULL);
    AWAIT(is_missing(&st));
    kafka_mock_hide(mock, st.topic, false);
    AWAIT(ready(&st));
    publish_text(&st, st.topic, 0, "new");
    AWAIT(collected(&st.collector) == 1);
    assert_string_equal(st.collector.records[0].value, "new");
    assert_int_equal(st.collector.records[0].offset, 3);
    stage_close(&st);
}

static void a_topic_that_vanishes_for_a_while_goes_on_where_it_stood(void **state)
{
    struct stage st;
    (void)state;
    stage_open(&st, 2);
    stage_read(&st, st.topic, NULL);
    AWAIT(ready(&st));
    for (int p = 0; p < 2; p++)
        publish_numbers(&st, st.topic, p, 0, 3);
    kafka_mock_hide(mock, st.topic, true);
    AWAIT(is_missing(&st));
    kafka_mock_hide(mock, st.topic, false);
    for (int p = 0; p < 2; p++)
        publish_numbers(&st, st.topic, p, 3, 6);
    AWAIT(ready(&st));
    AWAIT(collected(&st.collector) == 12);
    assert_complete(&st, st.topic, 2, 0, 6);
    assert_int_equal(st.collector.jumps, 0);
    stage_close(&st);
}

static void a_position_that_retention_has_passed_is_told_as_a_jump(void **state)
{
    struct stage st;
    (void)state;
    stage_open(&st, 1);
    /* fetch one batch at a time, so that nothing waits inside librdkafka while the log moves on */
    struct kafka_property narrow[] = {{"queued.min.messages", "1"}, {"fetch.max.bytes", "1000000"}};
    st.settings.properties = narrow;
    st.settings.property_count = 2;
    stage_read(&st, st.topic, NULL);
    AWAIT(ready(&st));
    atomic_store(&st.collector.blocked, true);
    size_t size = 900000;
    char *large = xcalloc(1, size);
    memset(large, 'x', size);
    struct record r = {.topic = slice_of(st.topic), .value = {large, size}};
    for (int i = 0; i < 12; i++) { /* the broker keeps 5 MiB */
        r.partition = 0;
        publish(&st, &r);
    }
    free(large);
    atomic_store(&st.collector.blocked, false);
    AWAIT(last_offset(&st.collector) == 11);
    struct collector *c = &st.collector;
    assert_int_equal(c->jumps, 1);
    assert_int_equal(c->jump_why, JUMP_RETENTION);
    assert_int_equal(c->jump_partition, 0);
    assert_true(c->jump_from < c->jump_to);
    /* what was read and what was jumped over is everything, in order */
    int64_t next = 0;
    for (size_t i = 0; i < c->count; i++) {
        if (next == c->jump_from)
            next = c->jump_to;
        assert_int_equal(c->records[i].offset, next++);
    }
    assert_int_equal(next, 12);
    stage_close(&st);
}

static const struct anchor no_anchor = {.offset = -1};

/* What the record at this offset of publish_numbers looks like. */
static struct anchor anchor_of(struct stage *st, int64_t offset)
{
    struct anchor found = no_anchor;
    for (size_t i = 0; i < st->collector.count; i++) {
        const struct seen *r = &st->collector.records[i];
        if (r->offset == offset)
            found =
                (struct anchor){offset, r->time_ms, anchor_hash((struct slice){NULL, 0}, slice_of(r->value))};
    }
    assert_int_equal(found.offset, offset);
    return found;
}

static void reopen(struct stage *st)
{
    kafka_source_destroy(st->source);
    collector_finish(&st->collector);
    st->collector = (struct collector){0};
    lock_init(&st->collector.lock);
}

static void reading_may_begin_at_a_known_place(void **state)
{
    struct stage st;
    (void)state;
    stage_open(&st, 1);
    publish_numbers(&st, st.topic, 0, 0, 9);
    stage_start(&st, 4, no_anchor);
    AWAIT(collected(&st.collector) == 5);
    assert_int_equal(st.collector.records[0].offset, 4);
    struct anchor fifth = anchor_of(&st, 5);
    reopen(&st);
    stage_start(&st, 6, fifth);
    AWAIT(collected(&st.collector) == 3);
    assert_int_equal(st.collector.records[0].offset, 6);
    assert_int_equal(st.collector.jumps, 0);
    stage_close(&st);
}

static void a_known_place_in_another_log_is_noticed_before_anything_is_read(void **state)
{
    struct stage st;
    (void)state;
    stage_open(&st, 1);
    publish_numbers(&st, st.topic, 0, 0, 9);
    stage_start(&st, 6, (struct anchor){5, 1705314600000, 1});
    AWAIT(collected(&st.collector) == 9);
    assert_int_equal(st.collector.records[0].offset, 0);
    assert_int_equal(st.collector.jumps, 1);
    assert_int_equal(st.collector.jump_why, JUMP_RECREATED);
    assert_int_equal(st.collector.jump_from, 6);
    assert_int_equal(st.collector.jump_to, 0);
    stage_close(&st);
}

static void a_known_place_beyond_the_end_is_told_as_a_jump(void **state)
{
    struct stage st;
    (void)state;
    stage_open(&st, 1);
    publish_numbers(&st, st.topic, 0, 0, 9);
    stage_start(&st, 5, no_anchor);
    AWAIT(collected(&st.collector) == 4);
    struct anchor sixth = anchor_of(&st, 6);
    reopen(&st);
    stage_start(&st, 20, sixth); /* what came behind it was lost */
    AWAIT(collected(&st.collector) == 2);
    assert_int_equal(st.collector.records[0].offset, 7);
    assert_int_equal(st.collector.jump_why, JUMP_TRUNCATED);
    reopen(&st);
    stage_start(&st, 20, no_anchor); /* nothing is known of it */
    AWAIT(ready(&st));
    publish_numbers(&st, st.topic, 0, 9, 10);
    AWAIT(collected(&st.collector) == 1);
    assert_int_equal(st.collector.records[0].offset, 9);
    assert_int_equal(st.collector.jump_from, 20);
    assert_int_equal(st.collector.jump_to, 9);
    stage_close(&st);
}

static void new_connections_go_on_where_the_old_ones_stood(void **state)
{
    struct stage st;
    (void)state;
    stage_open(&st, 2);
    publish_text(&st, st.topic, 0, "before");
    publish_text(&st, st.topic, 1, "before");
    stage_read(&st, st.topic, NULL);
    AWAIT(ready(&st));
    for (int round = 0; round < 4; round++) {
        for (int p = 0; p < 2; p++)
            publish_numbers(&st, st.topic, p, 3 * round, 3 * round + 3);
        kafka_source_renew(st.source);
    }
    AWAIT(collected(&st.collector) == 24);
    AWAIT(ready(&st));
    assert_complete(&st, st.topic, 2, 1, 12);
    stage_close(&st);
}

static void without_brokers_a_source_starts_and_stops_quickly(void **state)
{
    (void)state;
    struct collector c = {0};
    lock_init(&c.lock);
    struct kafka_settings settings = {.brokers = "127.0.0.1:1"};
    struct slice topic = SLICE("t");
    int64_t begin = now_ms();
    struct kafka_source *s = kafka_source_create(&settings, &topic, 1, NULL, 0, BATCH_MAX, &hooks, &c);
    assert_true(now_ms() - begin < 500);
    char detail[400] = "";
    int64_t until = now_ms() + PATIENCE_MS;
    do {
        assert_false(kafka_source_ready(s, detail, sizeof detail));
        step();
    } while (strcmp(detail, "no broker reachable") != 0 && now_ms() < until);
    assert_string_equal(detail, "no broker reachable");
    begin = now_ms();
    kafka_source_destroy(s);
    assert_true(now_ms() - begin < 2500);
    kafka_source_destroy(kafka_source_create(&settings, &topic, 1, NULL, 0, BATCH_MAX, &hooks, &c));
    kafka_source_destroy(NULL);
    collector_finish(&c);
}

static void publishing_says_why_it_failed(void **state)
{
    struct stage st;
    (void)state;
    char fault[512] = "";
    stage_open(&st, 2);
    assert_false(kafka_mock_topic(mock, st.topic, 2));
    struct record r = {.topic = slice_of(st.topic),
        .partition = 7,
        .value = SLICE("x"),
        .headers = {{SLICE("type"), SLICE("a")}},
        .header_count = 1};
    assert_false(kafka_publish(&st.settings, &r, PUBLISH_MS, fault, sizeof fault));
    assert_non_null(strstr(fault, "has 2 partitions, no partition 7"));
    kafka_mock_set_up(mock, false);
    r.partition = -1;
    int64_t begin = now_ms();
    assert_false(kafka_publish(&st.settings, &r, 300, fault, sizeof fault));
    assert_true(now_ms() - begin < 3000);
    assert_non_null(strstr(fault, "no broker reachable"));
    stage_close(&st);
}

static int start_broker(void **state)
{
    char fault[256];
    (void)state;
    mock = kafka_mock_create(fault, sizeof fault);
    return mock ? 0 : -1;
}

static int stop_broker(void **state)
{
    (void)state;
    kafka_mock_destroy(mock);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_that_librdkafka_or_we_refuse_are_named),
        cmocka_unit_test(settings_that_are_fine_pass_for_reading_and_for_publishing),
        cmocka_unit_test(a_record_arrives_as_it_was_published),
        cmocka_unit_test(null_and_empty_stay_apart),
        cmocka_unit_test(all_partitions_of_all_topics_arrive_in_partition_order),
        cmocka_unit_test(a_batch_ends_after_records_only_and_is_never_longer_than_asked),
        cmocka_unit_test(reading_begins_at_the_head),
        cmocka_unit_test(nothing_is_handed_on_while_nothing_may_be_read),
        cmocka_unit_test(a_broker_that_was_away_costs_no_record),
        cmocka_unit_test(a_topic_that_appears_later_is_read_from_its_first_record_and_holds_up_no_other),
        cmocka_unit_test(a_topic_that_only_seemed_to_be_missing_is_not_told_again_from_its_beginning),
        cmocka_unit_test(a_topic_that_vanishes_for_a_while_goes_on_where_it_stood),
        cmocka_unit_test(a_position_that_retention_has_passed_is_told_as_a_jump),
        cmocka_unit_test(reading_may_begin_at_a_known_place),
        cmocka_unit_test(a_known_place_in_another_log_is_noticed_before_anything_is_read),
        cmocka_unit_test(a_known_place_beyond_the_end_is_told_as_a_jump),
        cmocka_unit_test(new_connections_go_on_where_the_old_ones_stood),
        cmocka_unit_test(without_brokers_a_source_starts_and_stops_quickly),
        cmocka_unit_test(publishing_says_why_it_failed),
    };
    return cmocka_run_group_tests(tests, start_broker, stop_broker);
}
