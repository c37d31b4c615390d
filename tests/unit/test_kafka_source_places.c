/* Where reading begins: at a known place, in the same log or in another. */
#include "kafka_source_stage.h"

/* --- a broker, a source, and a hand that publishes --- */

static void stage_start(struct stage *st, int64_t offset, struct anchor anchor)
{
    struct slice topic = slice_of(st->topic);
    struct kafka_source_start start = {.topic = topic, .partition = 0, .offset = offset, .anchor = anchor};
    st->source = kafka_source_create(&st->settings, &topic, 1, &start, 1, BATCH_MAX, &hooks, &st->collector);
}

/* --- trouble --- */

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reading_may_begin_at_a_known_place),
        cmocka_unit_test(a_known_place_in_another_log_is_noticed_before_anything_is_read),
        cmocka_unit_test(a_known_place_beyond_the_end_is_told_as_a_jump),
    };
    return cmocka_run_group_tests(tests, start_broker, stop_broker);
}
