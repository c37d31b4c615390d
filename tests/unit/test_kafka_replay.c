/* Reading history from librdkafka's mock cluster, in this process. */
#include "unit.h"

#include "causeway/kafka_replay.h"
#include "causeway/memory.h"
#include "causeway/metrics.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { PATIENCE_MS = 15000, PUBLISH_MS = 10000, PARTS_MAX = 4, LARGE = 900000 };

static int64_t now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static struct kafka_mock *mock;

struct seen {
    int64_t first, last;
    size_t count;
    struct anchor anchor; /* of the last */
    bool disorder;
    int64_t lost_from, lost_to;
};

struct stage {
    char topic[16];
    struct kafka_settings settings;
    struct kafka_replay *replay;
    struct kafka_replay_part parts[PARTS_MAX];
    size_t part_count;
    struct seen seen[PARTS_MAX];
};

static void on_record(void *owner, size_t part, const struct record *r)
{
    struct stage *st = owner;
    struct seen *s = &st->seen[part];
    assert_true(slice_equal(r->topic, st->parts[part].topic));
    assert_int_equal(r->partition, st->parts[part].partition);
    if (s->count == 0)
        s->first = r->offset;
    else
        s->disorder |= r->offset <= s->last;
    s->last = r->offset;
    s->anchor = (struct anchor){r->offset, r->time_ms, anchor_hash(r->key, r->value)};
    s->count++;
}

static void on_lost(void *owner, size_t part, int64_t from, int64_t to)
{
    struct stage *st = owner;
    st->seen[part].lost_from = from;
    st->seen[part].lost_to = to;
}

static void stage_open(struct stage *st, int partitions)
{
    static int topics;
    static const struct kafka_replay_hooks hooks = {on_record, on_lost};
    *st = (struct stage){.settings.brokers = kafka_mock_brokers(mock)};
    (void)snprintf(st->topic, sizeof st->topic, "r%d", topics++);
    if (partitions > 0)
        assert_true(kafka_mock_topic(mock, st->topic, partitions));
    st->replay = kafka_replay_create(&st->settings, &hooks, st);
}

static void stage_close(struct stage *st)
{
    kafka_replay_destroy(st->replay);
}

static void publish(struct stage *st, int32_t partition, int64_t time_ms, struct slice value)
{
    char fault[512] = "";
    struct record r = {
        .topic = slice_of(st->topic), .partition = partition, .time_ms = time_ms, .value = value};
    if (!kafka_publish(&st->settings, &r, PUBLISH_MS, fault, sizeof fault))
        fail_msg("publish: %s", fault);
}

static void publish_some(struct stage *st, int32_t partition, int from, int to)
{
    for (int i = from; i < to; i++) {
        char text[16];
        (void)snprintf(text, sizeof text, "%d", i);
        publish(st, partition, 1705314600000 + i, slice_of(text));
    }
}

static void ask(struct stage *st, int32_t partition, int64_t from, int64_t to, const struct anchor *anchor)
{
    st->parts[st->part_count++] = (struct kafka_replay_part){.topic = slice_of(st->topic),
        .partition = partition,
        .from = from,
        .to = to,
        .anchor = anchor ? *anchor : (struct anchor){.offset = -1}};
}

/* Begins, and forgets what was seen before. */
static void begin(struct stage *st)
{
    memset(st->seen, 0, sizeof st->seen);
    assert_true(kafka_replay_begin(st->replay, st->parts, st->part_count));
}

static void finish(struct stage *st)
{
    int64_t until = now_ms() + PATIENCE_MS;
    enum kafka_replay_step step;
    do
        step = kafka_replay_step(st->replay, 3, 50);
    while (step != REPLAY_DONE && now_ms() < until);
    assert_int_equal(step, REPLAY_DONE);
    kafka_replay_end(st->replay);
    st->part_count = 0;
}

static void expect_seen(const struct seen *s, int64_t first, int64_t last, size_t count)
{
    assert_int_equal(s->count, count);
    assert_false(s->disorder);
    if (count == 0)
        return;
    assert_int_equal(s->first, first);
    assert_int_equal(s->last, last);
}

static struct anchor anchor_at(struct stage *st, int32_t partition, int64_t offset)
{
    ask(st, partition, offset, offset + 1, NULL);
    begin(st);
    finish(st);
    expect_seen(&st->seen[0], offset, offset, 1);
    return st->seen[0].anchor;
}

/* --- stories --- */

static void exactly_what_was_asked_for_comes_in_order_again_and_again(void **state)
{
    struct stage st;
    (void)state;
    stage_open(&st, 3);
    publish_some(&st, 0, 0, 12);
    publish_some(&st, 2, 0, 5);
    int64_t before = metric_value(metric_get(METRIC_REPLAYED));
    for (int round = 0; round < 2; round++) {
        ask(&st, 0, 2, 9, NULL);
        ask(&st, 1, 0, 0, NULL);
        ask(&st, 2, 0, 5, NULL);
        begin(&st);
        for (size_t i = 0; i < 3; i++) {
            assert_int_equal(st.parts[i].low, st.parts[i].from);
            assert_false(st.parts[i].replaced || st.parts[i].missing);
        }
        finish(&st);
        expect_seen(&st.seen[0], 2, 8, 7);
        expect_seen(&st.seen[1], 0, 0, 0);
        expect_seen(&st.seen[2], 0, 4, 5);
    }
    assert_int_equal(metric_value(metric_get(METRIC_REPLAYED)) - before, 24);
    stage_close(&st);
}

static void a_step_hands_on_no_more_than_asked(void **state)
{
    struct stage st;
    (void)state;
    stage_open(&st, 1);
    publish_some(&st, 0, 0, 10);
    ask(&st, 0, 0, 10, NULL);
    begin(&st);
    size_t steps = 0;
    enum kafka_replay_step step;
    int64_t until = now_ms() + PATIENCE_MS;
    do {
        size_t count = st.seen[0].count;
        step = kafka_replay_step(st.replay, 2, 1000);
        assert_true(st.seen[0].count - count <= 2);
        steps++;
    } while (step == REPLAY_MORE && now_ms() < until);
    assert_int_equal(step, REPLAY_DONE);
    assert_true(steps >= 5);
    assert_int_equal(kafka_replay_step(st.replay, 2, 0), REPLAY_DONE);
    kafka_replay_end(st.replay);
    stage_close(&st);
}

static void an_anchor_that_holds_is_not_handed_on(void **state)
{
    struct stage st;
    (void)state;
    stage_open(&st, 2);
    publish_some(&st, 0, 0, 8);
    publish_some(&st, 1, 0, 2);
    struct anchor fourth = anchor_at(&st, 0, 3), second = anchor_at(&st, 1, 1);
    ask(&st, 0, 4, 8, &fourth);
    ask(&st, 1, 2, 2, &second);
    begin(&st);
    assert_int_equal(st.parts[0].low, 4);
    assert_false(st.parts[0].replaced || st.parts[1].replaced);
    finish(&st);
    expect_seen(&st.seen[0], 4, 7, 4);
    expect_seen(&st.seen[1], 0, 0, 0);
    stage_close(&st);
}

static void another_record_in_the_anchors_place_is_another_log(void **state)
{
    struct stage st;
    (void)state;
    stage_open(&st, 3);
    for (int32_t p = 0; p < 3; p++)
        publish_some(&st, p, 0, 8);
    struct anchor hash = anchor_at(&st, 0, 3), time = anchor_at(&st, 1, 3);
    hash.hash++;
    time.time_ms++;
    ask(&st, 0, 4, 8, &hash);
    ask(&st, 1, 4, 8, &time);
    ask(&st, 2, 4, 8, NULL);
    begin(&st);
    for (size_t i = 0; i < 2; i++) {
        assert_true(st.parts[i].replaced);
        assert_int_equal(st.parts[i].low, 8);
    }
    assert_false(st.parts[2].replaced);
    finish(&st);
    expect_seen(&st.seen[0], 0, 0, 0);
    expect_seen(&st.seen[1], 0, 0, 0);
    expect_seen(&st.seen[2], 4, 7, 4);
    stage_close(&st);
}

static void a_position_beyond_the_end_is_of_another_log_and_an_end_that_is_lost_is_told(void **state)
{
    struct stage st;
    (void)state;
    stage_open(&st, 2);
    publish_some(&st, 0, 0, 3);
    publish_some(&st, 1, 0, 3);
    ask(&st, 0, 5, 9, NULL);
    ask(&st, 1, 1, 9, NULL);
    begin(&st);
    assert_true(st.parts[0].replaced);
    assert_int_equal(st.parts[0].low, 9);
    assert_false(st.parts[1].replaced);
    finish(&st);
    expect_seen(&st.seen[0], 0, 0, 0);
    expect_seen(&st.seen[1], 1, 2, 2);
    assert_int_equal(st.seen[1].lost_from, 3);
    assert_int_equal(st.seen[1].lost_to, 9);
    stage_close(&st);
}

static void what_does_not_exist_is_missing(void **state)
{
    struct stage st;
    (void)state;
    stage_open(&st, 1);
    publish_some(&st, 0, 0, 2);
    ask(&st, 0, 0, 2, NULL);
    ask(&st, 4, 0, 2, NULL);
    ask(&st, 0, 3, 7, NULL);
    assert_true(kafka_mock_topic(mock, "hidden", 1));
    kafka_mock_hide(mock, "hidden", true);
    st.parts[2].topic = slice_of("hidden");
    begin(&st);
    assert_false(st.parts[0].missing);
    assert_true(st.parts[1].missing && st.parts[2].missing);
    assert_int_equal(st.parts[2].low, 7);
    finish(&st);
    expect_seen(&st.seen[0], 0, 1, 2);
    stage_close(&st);
}

static void what_was_deleted_is_told_by_the_low_watermark(void **state)
{
    struct stage st;
    (void)state;
    stage_open(&st, 2);
    char *large = xcalloc(1, LARGE);
    memset(large, 'x', LARGE);
    for (int i = 0; i < 10; i++) /* the broker keeps 5 MiB */
        publish(&st, 0, 1705314600000 + i, (struct slice){large, LARGE});
    free(large);
    const struct anchor gone = {0, 1, 2};
    ask(&st, 0, 1, 10, &gone);
    begin(&st);
    int64_t low = st.parts[0].low;
    assert_in_range(low, 2, 9);
    assert_false(st.parts[0].replaced);
    finish(&st);
    expect_seen(&st.seen[0], low, 9, (size_t)(10 - low));
    ask(&st, 0, 0, 2, NULL);
    begin(&st);
    assert_int_equal(st.parts[0].low, 2);
    finish(&st);
    expect_seen(&st.seen[0], 0, 0, 0);
    stage_close(&st);
}

static void brokers_that_go_away_while_reading_cost_nothing(void **state)
{
    struct stage st;
    (void)state;
    stage_open(&st, 1);
    publish_some(&st, 0, 0, 8);
    ask(&st, 0, 0, 10, NULL);
    publish_some(&st, 0, 8, 10);
    begin(&st);
    while (st.seen[0].count < 3)
        assert_int_equal(kafka_replay_step(st.replay, 1, 1000), REPLAY_MORE);
    kafka_mock_set_up(mock, false);
    int64_t until = now_ms() + PATIENCE_MS;
    enum kafka_replay_step step = REPLAY_MORE;
    unsigned breaks = 0;
    while (step != REPLAY_AWAY && now_ms() < until) {
        step = kafka_replay_step(st.replay, 1, 50);
        breaks += step == REPLAY_BROKEN;
    }
    kafka_mock_set_up(mock, true);
    assert_int_equal(step, REPLAY_AWAY);
    while (step != REPLAY_DONE && now_ms() < until) {
        size_t count = st.seen[0].count;
        step = kafka_replay_step(st.replay, 1, 50);
        breaks += step == REPLAY_BROKEN;
        assert_true(breaks > 0 || st.seen[0].count == count); /* who comes back may be another one */
    }
    assert_int_equal(step, REPLAY_DONE);
    finish(&st);
    expect_seen(&st.seen[0], 0, 9, 10);
    stage_close(&st);
}

static void who_has_not_asked_for_long_is_told_to_look(void **state)
{
    struct stage st;
    (void)state;
    stage_open(&st, 1);
    publish_some(&st, 0, 0, 4);
    ask(&st, 0, 0, 4, NULL);
    begin(&st);
    while (st.seen[0].count < 2)
        assert_int_equal(kafka_replay_step(st.replay, 1, 1000), REPLAY_MORE);
    (void)usleep(1200000);
    assert_int_equal(kafka_replay_step(st.replay, 1, 1000), REPLAY_BROKEN);
    assert_int_equal(st.seen[0].count, 2);
    finish(&st);
    expect_seen(&st.seen[0], 0, 3, 4);
    stage_close(&st);
}

static void without_brokers_a_read_does_not_begin(void **state)
{
    static const struct kafka_replay_hooks hooks = {on_record, NULL};
    struct kafka_settings settings = {.brokers = "127.0.0.1:1"};
    struct kafka_replay_part part = {.topic = SLICE("t"), .to = 5, .anchor.offset = -1};
    (void)state;
    struct kafka_replay *r = kafka_replay_create(&settings, &hooks, NULL);
    int64_t start = now_ms();
    assert_false(kafka_replay_begin(r, &part, 1));
    assert_in_range(now_ms() - start, 8000, 14000);
    kafka_replay_destroy(r);
    kafka_replay_destroy(NULL);
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
        cmocka_unit_test(exactly_what_was_asked_for_comes_in_order_again_and_again),
        cmocka_unit_test(a_step_hands_on_no_more_than_asked),
        cmocka_unit_test(an_anchor_that_holds_is_not_handed_on),
        cmocka_unit_test(another_record_in_the_anchors_place_is_another_log),
        cmocka_unit_test(a_position_beyond_the_end_is_of_another_log_and_an_end_that_is_lost_is_told),
        cmocka_unit_test(what_does_not_exist_is_missing),
        cmocka_unit_test(what_was_deleted_is_told_by_the_low_watermark),
        cmocka_unit_test(brokers_that_go_away_while_reading_cost_nothing),
        cmocka_unit_test(who_has_not_asked_for_long_is_told_to_look),
        cmocka_unit_test(without_brokers_a_read_does_not_begin),
    };
    return cmocka_run_group_tests(tests, start_broker, stop_broker);
}
