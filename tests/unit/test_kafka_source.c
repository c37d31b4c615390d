/* The records that a source hands on, and those that cannot be published. */
#include "kafka_source_stage.h"

#include "causeway/metrics.h"

#include <time.h>

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

/* After a standstill of the process the last record comes once more, as a proof, and is not handed on. */
static void a_batch_without_a_record_is_none(void **state)
{
    struct stage st;
    (void)state;
    stage_open(&st, 1);
    stage_read(&st, st.topic, NULL);
    AWAIT(ready(&st));
    atomic_store(&st.collector.blocked, true);
    publish_numbers(&st, st.topic, 0, 0, 1);
    AWAIT(atomic_load(&st.collector.waits));
    (void)nanosleep(&(struct timespec){.tv_sec = 3, .tv_nsec = 300000000}, NULL);
    atomic_store(&st.collector.blocked, false);
    AWAIT(collected(&st.collector) == 1);
    (void)nanosleep(&(struct timespec){.tv_sec = 1, .tv_nsec = 500000000}, NULL); /* so that it comes alone */
    publish_numbers(&st, st.topic, 0, 1, 2);
    AWAIT(collected(&st.collector) == 2);
    assert_complete(&st, st.topic, 1, 0, 2);
    assert_int_equal(st.collector.empty_batches, 0);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_arrives_as_it_was_published),
        cmocka_unit_test(null_and_empty_stay_apart),
        cmocka_unit_test(all_partitions_of_all_topics_arrive_in_partition_order),
        cmocka_unit_test(a_batch_ends_after_records_only_and_is_never_longer_than_asked),
        cmocka_unit_test(a_batch_without_a_record_is_none),
        cmocka_unit_test(reading_begins_at_the_head),
        cmocka_unit_test(publishing_says_why_it_failed),
    };
    return cmocka_run_group_tests(tests, start_broker, stop_broker);
}
