/* Topics that vanish, brokers that are away, positions that are gone. */
#include "kafka_source_stage.h"

#include "causeway/memory.h"
#include "causeway/metrics.h"

#include <stdio.h>
#include <stdlib.h>

/* --- what a source hands on --- */

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

/* --- a broker, a source, and a hand that publishes --- */

static bool is_missing(struct stage *st)
{
    char expected[64];
    (void)snprintf(expected, sizeof expected, "topic %s does not exist", st->topic);
    return says(st, expected);
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
        if (i == 0) /* it stands here while the rest passes by; else it might be passed by twice */
            AWAIT(atomic_load(&st.collector.waits));
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_handed_on_while_nothing_may_be_read),
        cmocka_unit_test(a_broker_that_was_away_costs_no_record),
        cmocka_unit_test(a_topic_that_appears_later_is_read_from_its_first_record_and_holds_up_no_other),
        cmocka_unit_test(a_topic_that_only_seemed_to_be_missing_is_not_told_again_from_its_beginning),
        cmocka_unit_test(a_topic_that_vanishes_for_a_while_goes_on_where_it_stood),
        cmocka_unit_test(a_position_that_retention_has_passed_is_told_as_a_jump),
        cmocka_unit_test(new_connections_go_on_where_the_old_ones_stood),
        cmocka_unit_test(without_brokers_a_source_starts_and_stops_quickly),
    };
    return cmocka_run_group_tests(tests, start_broker, stop_broker);
}
