/* How a break in reading is heard of, and the seam at which reading goes on. */
#include "unit.h"

#include "../../src/edge/kafka_internal.h"

#include <stdio.h>
#include <time.h>

enum { PATIENCE_MS = 10000 };

/* --- the seam --- */

/* librdkafka looks for the time of a message behind what it shows of it. */
static union {
    rd_kafka_message_t shown;
    char all[1024];
} message;

static const rd_kafka_message_t *message_at(int64_t offset, const char *value)
{
    memset(&message, 0, sizeof message);
    message.shown.offset = offset;
    message.shown.payload = (void *)(uintptr_t)value;
    message.shown.len = strlen(value);
    return &message.shown;
}

static void what_was_read_last_has_to_come_first(void **state)
{
    (void)state;
    struct kafka_trace trace;
    kafka_trace_reset(&trace);
    assert_int_equal(kafka_trace_begin_at(&trace, 5), 5); /* nothing was read: nothing to compare */
    assert_true(kafka_trace_fits(&trace, message_at(5, "a")));
    kafka_trace_record(&trace, message_at(5, "a"));

    assert_int_equal(kafka_trace_begin_at(&trace, 6), 5);
    assert_true(kafka_trace_fits(&trace, message_at(5, "a")));
    assert_true(kafka_trace_fits(&trace, message_at(6, "b"))); /* once */

    assert_int_equal(kafka_trace_begin_at(&trace, 6), 5);
    assert_false(kafka_trace_fits(&trace, message_at(5, "b")));
}

static void what_took_the_place_of_a_compacted_record_is_not_older(void **state)
{
    (void)state;
    struct kafka_trace trace;
    kafka_trace_reset(&trace);
    kafka_trace_record(&trace, message_at(5, "a"));
    assert_int_equal(kafka_trace_begin_at(&trace, 6), 5);
    assert_true(kafka_trace_fits(&trace, message_at(7, "c")));
    trace.last.time_ms = 1000;
    assert_int_equal(kafka_trace_begin_at(&trace, 6), 5);
    assert_false(kafka_trace_fits(&trace, message_at(7, "c"))); /* its time is before */
}

static void a_place_that_does_not_follow_the_last_record_has_no_seam(void **state)
{
    (void)state;
    struct kafka_trace trace;
    kafka_trace_reset(&trace);
    kafka_trace_record(&trace, message_at(5, "a"));
    assert_int_equal(kafka_trace_begin_at(&trace, 40), 40); /* after a jump */
    assert_true(kafka_trace_fits(&trace, message_at(40, "z")));
    kafka_trace_retained(&trace, 6);
    assert_int_equal(kafka_trace_begin_at(&trace, 6), 6); /* the record is gone from the log */
}

/* --- the alarm --- */

struct reader {
    struct kafka_alarm alarm; /* first: librdkafka's opaque */
    rd_kafka_t *client;
    rd_kafka_topic_t *topic;
};

static struct kafka_mock *mock;

static void pause_ms(int ms)
{
    (void)nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000L}, NULL);
}

static void publish(const struct kafka_settings *settings, const char *topic)
{
    char fault[512] = "";
    struct record r = {.topic = slice_of(topic), .partition = 0, .value = SLICE("x")};
    if (!kafka_publish(settings, &r, PATIENCE_MS, fault, sizeof fault))
        fail_msg("publish: %s", fault);
}

static void open_reader(struct reader *r, const char *topic)
{
    static const struct kafka_property soon = {"topic.metadata.refresh.interval.ms", "100"};
    struct kafka_settings settings = {
        .brokers = kafka_mock_brokers(mock), .properties = &soon, .property_count = 1};
    char fault[512] = "";
    assert_true(kafka_mock_topic(mock, topic, 1));
    publish(&settings, topic);
    rd_kafka_conf_t *conf = kafka_conf_create(RD_KAFKA_CONSUMER, &settings, fault, sizeof fault);
    assert_non_null(conf);
    kafka_alarm_init(&r->alarm, conf);
    r->client = kafka_client_create(RD_KAFKA_CONSUMER, conf, fault, sizeof fault);
    assert_non_null(r->client);
    rd_kafka_conf_destroy(conf);
    r->topic = rd_kafka_topic_new(r->client, topic, NULL);
    assert_int_equal(rd_kafka_consume_start(r->topic, 0, 0), 0);
    rd_kafka_message_t *m = rd_kafka_consume(r->topic, 0, PATIENCE_MS);
    assert_non_null(m);
    assert_int_equal(m->err, RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_message_destroy(m);
}

static void close_reader(struct reader *r)
{
    (void)rd_kafka_consume_stop(r->topic, 0);
    rd_kafka_topic_destroy(r->topic);
    rd_kafka_destroy(r->client);
    kafka_alarm_finish(&r->alarm);
}

static bool rings(const struct reader *r)
{
    for (int waited = 0; waited < PATIENCE_MS && !kafka_alarm_rung(&r->alarm); waited += 10)
        pause_ms(10);
    return kafka_alarm_rung(&r->alarm);
}

static void who_reads_without_a_break_hears_nothing(void **state)
{
    (void)state;
    struct reader r;
    struct kafka_call call;
    open_reader(&r, "quiet");
    pause_ms(1000); /* ten looks at the metadata, two fetches that wait in vain */
    assert_false(kafka_alarm_rung(&r.alarm));
    assert_false(kafka_alarm_take(&r.alarm, &call));
    close_reader(&r);
}

static void a_topic_that_goes_away_is_heard_of_by_its_name(void **state)
{
    (void)state;
    struct reader r;
    struct kafka_call call;
    open_reader(&r, "goes-away");
    kafka_mock_hide(mock, "goes-away", true);
    assert_true(rings(&r));
    assert_true(kafka_alarm_take(&r.alarm, &call));
    assert_true(call.partition < 0 || strcmp(call.topic, "goes-away") == 0);
    while (kafka_alarm_take(&r.alarm, &call))
        ;
    assert_false(kafka_alarm_rung(&r.alarm));
    kafka_mock_hide(mock, "goes-away", false);
    pause_ms(1000); /* librdkafka does not end while a partition that it reads is gone */
    close_reader(&r);
}

static void a_connection_that_breaks_concerns_everything(void **state)
{
    (void)state;
    struct reader r;
    struct kafka_call call;
    open_reader(&r, "cut");
    kafka_mock_set_up(mock, false);
    assert_true(rings(&r));
    assert_true(kafka_alarm_take(&r.alarm, &call));
    assert_int_equal(call.partition, -1);
    kafka_mock_set_up(mock, true);
    close_reader(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_read_last_has_to_come_first),
        cmocka_unit_test(what_took_the_place_of_a_compacted_record_is_not_older),
        cmocka_unit_test(a_place_that_does_not_follow_the_last_record_has_no_seam),
        cmocka_unit_test(who_reads_without_a_break_hears_nothing),
        cmocka_unit_test(a_topic_that_goes_away_is_heard_of_by_its_name),
        cmocka_unit_test(a_connection_that_breaks_concerns_everything),
    };
    char fault[512] = "";
    mock = kafka_mock_create(fault, sizeof fault);
    if (!mock) {
        (void)fprintf(stderr, "%s\n", fault);
        return 1;
    }
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    kafka_mock_destroy(mock);
    return failed;
}
