/* The checkpoint topic against librdkafka's mock cluster, which answers no admin calls. */
#include "unit.h"

#include "causeway/kafka_checkpoints.h"
#include "causeway/lock.h"
#include "causeway/memory.h"
#include "causeway/metrics.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { PATIENCE_MS = 15000, PUBLISH_MS = 10000, STORM = 10000 };

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

#define AWAIT(condition)                                                                                     \
    do {                                                                                                     \
        int64_t until_ = now_ms() + PATIENCE_MS;                                                             \
        bool holds_ = (condition);                                                                           \
        for (; !holds_ && now_ms() < until_; holds_ = (condition))                                           \
            step();                                                                                          \
        if (!holds_)                                                                                         \
            fail_msg("in vain: %s", #condition);                                                             \
    } while (0)

static struct kafka_mock *mock;

struct stage {
    char topic[16];
    struct kafka_settings settings;
    struct kafka_checkpoints *checkpoints;
    struct lock lock;
    uint64_t tags[64];
    int64_t offsets[64];
    size_t count;
};

static void on_acknowledged(void *owner, uint64_t tag, int64_t offset)
{
    struct stage *st = owner;
    lock_take(&st->lock);
    if (st->count < 64) {
        st->tags[st->count] = tag;
        st->offsets[st->count++] = offset;
    }
    lock_give(&st->lock);
}

static size_t acknowledged(struct stage *st)
{
    lock_take(&st->lock);
    size_t count = st->count;
    lock_give(&st->lock);
    return count;
}

static void open_again(struct stage *st, size_t cache_bytes)
{
    const struct kafka_checkpoints_settings how = {
        .topic = st->topic, .lenient = true, .cache_bytes = cache_bytes};
    const struct kafka_checkpoints_hooks hooks = {on_acknowledged};
    kafka_checkpoints_destroy(st->checkpoints);
    st->checkpoints = kafka_checkpoints_create(&st->settings, &how, &hooks, st);
}

static void stage_open(struct stage *st, bool exists)
{
    static int topics;
    *st = (struct stage){.settings.brokers = kafka_mock_brokers(mock)};
    lock_init(&st->lock);
    (void)snprintf(st->topic, sizeof st->topic, "c%d", topics++);
    if (exists)
        assert_true(kafka_mock_topic(mock, st->topic, 1));
    open_again(st, 0);
}

static void stage_close(struct stage *st)
{
    kafka_checkpoints_destroy(st->checkpoints);
    lock_finish(&st->lock);
}

static bool ready(struct stage *st)
{
    char detail[400];
    return kafka_checkpoints_ready(st->checkpoints, detail, sizeof detail);
}

static bool says(struct stage *st, const char *expected)
{
    char detail[400];
    (void)kafka_checkpoints_ready(st->checkpoints, detail, sizeof detail);
    return strstr(detail, expected);
}

/* A checkpoint of that sequence, of one partition. */
static void encode(struct buffer *out, uint64_t sequence)
{
    struct checkpoint_part part = {{SLICE("orders"), 2, 0}, (int64_t)sequence, {(int64_t)sequence - 1, 5, 6}};
    const struct checkpoint c = {.nonce = 77, .sequence = sequence, .parts = &part, .part_count = 1};
    buffer_clear(out);
    checkpoint_encode(&c, out);
}

static void write_one(struct stage *st, uint64_t sequence)
{
    struct buffer b = {0};
    encode(&b, sequence);
    kafka_checkpoints_write(st->checkpoints, buffer_slice(&b), sequence);
    buffer_finish(&b);
}

/* By another hand, in one go. */
static void publish(struct stage *st, struct slice value)
{
    char fault[512] = "";
    struct record r = {.topic = slice_of(st->topic), .value = value};
    if (!kafka_publish(&st->settings, &r, PUBLISH_MS, fault, sizeof fault))
        fail_msg("publish: %s", fault);
}

struct answer {
    atomic_int count;
    enum kafka_checkpoint_status status;
    int64_t offset;
    uint64_t sequence;
    struct checkpoint *held;
};

static void on_answer(
    void *context, enum kafka_checkpoint_status status, int64_t offset, struct checkpoint *lent)
{
    struct answer *a = context;
    a->status = status;
    a->offset = offset;
    a->sequence = lent ? lent->sequence : 0;
    a->held = lent ? checkpoint_hold(lent) : NULL;
    atomic_fetch_add(&a->count, 1);
}

static void expect(struct answer *a, enum kafka_checkpoint_status status, int64_t offset, uint64_t sequence)
{
    AWAIT(atomic_load(&a->count) == 1);
    assert_int_equal(a->status, status);
    assert_int_equal(a->offset, offset);
    assert_int_equal(a->sequence, sequence);
    checkpoint_release(a->held);
    *a = (struct answer){0};
}

static void expect_read(
    struct stage *st, int64_t offset, enum kafka_checkpoint_status status, uint64_t sequence)
{
    struct answer a = {0};
    kafka_checkpoints_read(st->checkpoints, offset, on_answer, &a);
    expect(&a, status, offset, sequence);
}

static void expect_last(
    struct stage *st, enum kafka_checkpoint_status status, int64_t offset, uint64_t sequence)
{
    struct answer a = {0};
    kafka_checkpoints_last(st->checkpoints, on_answer, &a);
    expect(&a, status, offset, sequence);
}

static int64_t outcomes(const char *outcome)
{
    return metric_value(metric_label(METRIC_CHECKPOINT_READS, outcome));
}

/* --- stories --- */

static void what_was_written_is_acknowledged_in_order_and_read_by_another(void **state)
{
    struct stage st;
    (void)state;
    stage_open(&st, true);
    for (uint64_t i = 0; i < 5; i++)
        write_one(&st, 100 + i); /* before anything is connected */
    AWAIT(acknowledged(&st) == 5);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(st.tags[i], 100 + i);
        assert_int_equal(st.offsets[i], i);
    }
    AWAIT(ready(&st));
    open_again(&st, 0);
    struct answer a = {0};
    kafka_checkpoints_read(st.checkpoints, 3, on_answer, &a);
    AWAIT(atomic_load(&a.count) == 1);
    assert_int_equal(a.held->nonce, 77);
    assert_int_equal(a.held->part_count, 1);
    assert_true(slice_is(a.held->parts[0].name.topic, "orders"));
    assert_int_equal(a.held->parts[0].anchor.offset, 102);
    expect(&a, CHECKPOINT_FOUND, 3, 103);
    expect_last(&st, CHECKPOINT_FOUND, 4, 104);
    stage_close(&st);
}

static void a_topic_that_is_missing_is_made(void **state)
{
    struct stage st;
    (void)state;
    stage_open(&st, false);
    expect_last(&st, CHECKPOINT_GONE, -1, 0);
    write_one(&st, 7);
    AWAIT(acknowledged(&st) == 1);
    expect_last(&st, CHECKPOINT_FOUND, 0, 7);
    stage_close(&st);
}

static void what_was_never_there_or_cannot_be_read_is_gone(void **state)
{
    struct stage st;
    (void)state;
    stage_open(&st, true);
    expect_last(&st, CHECKPOINT_GONE, -1, 0);
    expect_read(&st, 0, CHECKPOINT_GONE, 0);
    write_one(&st, 1);
    AWAIT(acknowledged(&st) == 1);
    for (int i = 0; i < 40; i++)
        publish(&st, SLICE("no checkpoint"));
    publish(&st, (struct slice){NULL, 0});
    expect_read(&st, 5, CHECKPOINT_GONE, 0);
    expect_read(&st, 41, CHECKPOINT_GONE, 0);
    expect_read(&st, 42, CHECKPOINT_GONE, 0);
    expect_read(&st, -1, CHECKPOINT_GONE, 0);
    expect_last(&st, CHECKPOINT_FOUND, 0, 1); /* far behind the end */
    stage_close(&st);
}

static void ten_thousand_reads_of_neighbours_cost_a_handful_of_fetches(void **state)
{
    struct stage st;
    (void)state;
    stage_open(&st, true);
    for (uint64_t i = 0; i < 64; i++)
        write_one(&st, i);
    AWAIT(acknowledged(&st) == 64);
    open_again(&st, 0);
    struct metric *fetches = metric_get(METRIC_CHECKPOINT_FETCHES);
    int64_t before = metric_value(fetches), cached = outcomes("cached"), fetched = outcomes("fetched");
    struct answer *answers = xcalloc(STORM, sizeof *answers);
    for (size_t i = 0; i < STORM; i++)
        kafka_checkpoints_read(st.checkpoints, (int64_t)(i * 7 % 64), on_answer, &answers[i]);
    for (size_t i = 0; i < STORM; i++)
        expect(&answers[i], CHECKPOINT_FOUND, (int64_t)(i * 7 % 64), i * 7 % 64);
    free(answers);
    assert_in_range(metric_value(fetches) - before, 1, 5);
    assert_int_equal(outcomes("cached") - cached + outcomes("fetched") - fetched, STORM);
    stage_close(&st);
}

static void what_was_just_written_need_not_be_fetched(void **state)
{
    struct stage st;
    (void)state;
    stage_open(&st, true);
    write_one(&st, 9);
    AWAIT(acknowledged(&st) == 1);
    int64_t before = metric_value(metric_get(METRIC_CHECKPOINT_FETCHES));
    expect_read(&st, 0, CHECKPOINT_FOUND, 9);
    assert_int_equal(metric_value(metric_get(METRIC_CHECKPOINT_FETCHES)), before);
    stage_close(&st);
}

static void a_cache_that_is_too_small_only_costs_fetches(void **state)
{
    struct stage st;
    (void)state;
    stage_open(&st, true);
    for (uint64_t i = 0; i < 20; i++)
        write_one(&st, i);
    AWAIT(acknowledged(&st) == 20);
    open_again(&st, 1);
    for (int64_t i = 19; i >= 0; i -= 6)
        expect_read(&st, i, CHECKPOINT_FOUND, (uint64_t)i);
    expect_last(&st, CHECKPOINT_FOUND, 19, 19);
    stage_close(&st);
}

static void brokers_that_are_away_are_waited_for(void **state)
{
    struct stage st;
    struct answer a = {0};
    (void)state;
    stage_open(&st, true);
    write_one(&st, 1);
    AWAIT(acknowledged(&st) == 1);
    AWAIT(ready(&st));
    kafka_mock_set_up(mock, false);
    AWAIT(says(&st, "no broker reachable"));
    for (uint64_t i = 2; i < 5; i++)
        write_one(&st, i);
    expect_read(&st, 0, CHECKPOINT_FOUND, 1); /* known, so that no broker is needed */
    int64_t begin = now_ms();
    kafka_checkpoints_read(st.checkpoints, 1, on_answer, &a);
    expect(&a, CHECKPOINT_UNAVAILABLE, 1, 0);
    assert_in_range(now_ms() - begin, 7500, 12000);
    assert_int_equal(acknowledged(&st), 1);
    kafka_checkpoints_read(st.checkpoints, 3, on_answer, &a);
    kafka_mock_set_up(mock, true);
    AWAIT(acknowledged(&st) == 4);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(st.tags[i], i + 1);
    AWAIT(ready(&st));
    expect(&a, CHECKPOINT_FOUND, 3, 4);
    stage_close(&st);
}

static void every_read_is_answered_before_the_end(void **state)
{
    struct stage st;
    struct answer a = {0}, b = {0};
    (void)state;
    stage_open(&st, true);
    AWAIT(ready(&st));
    kafka_mock_set_up(mock, false);
    AWAIT(says(&st, "no broker reachable"));
    write_one(&st, 1);
    kafka_checkpoints_read(st.checkpoints, 8, on_answer, &a);
    kafka_checkpoints_last(st.checkpoints, on_answer, &b);
    int64_t begin = now_ms();
    kafka_checkpoints_destroy(st.checkpoints);
    assert_true(now_ms() - begin < 6000);
    st.checkpoints = NULL;
    kafka_mock_set_up(mock, true);
    expect(&a, CHECKPOINT_UNAVAILABLE, 8, 0);
    expect(&b, CHECKPOINT_UNAVAILABLE, -1, 0);
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
        cmocka_unit_test(what_was_written_is_acknowledged_in_order_and_read_by_another),
        cmocka_unit_test(a_topic_that_is_missing_is_made),
        cmocka_unit_test(what_was_never_there_or_cannot_be_read_is_gone),
        cmocka_unit_test(ten_thousand_reads_of_neighbours_cost_a_handful_of_fetches),
        cmocka_unit_test(what_was_just_written_need_not_be_fetched),
        cmocka_unit_test(a_cache_that_is_too_small_only_costs_fetches),
        cmocka_unit_test(brokers_that_are_away_are_waited_for),
        cmocka_unit_test(every_read_is_answered_before_the_end),
    };
    return cmocka_run_group_tests(tests, start_broker, stop_broker);
}
