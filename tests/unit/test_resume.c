/* From a cursor and its checkpoint to what a session still needs. */
#include "unit.h"

#include "causeway/resume.h"

#include <stdlib.h>

struct fixture {
    struct partitions *partitions;
    struct checkpoint_part parts[8];
    struct checkpoint checkpoint;
    struct cursor cursor;
    struct resume_plan plan;
    int64_t heads[8]; /* of the hot log */
    bool own, settled;
};

static int set_up(void **state)
{
    struct fixture *x = calloc(1, sizeof *x);
    x->partitions = partitions_create();
    x->checkpoint.parts = x->parts;
    *state = x;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *x = *state;
    resume_plan_finish(&x->plan);
    resume_plan_finish(&x->plan); /* of nothing */
    partitions_destroy(x->partitions);
    free(x);
    return 0;
}

static void add_part(struct fixture *x, const char *topic, int32_t number, uint32_t life, int64_t next)
{
    x->parts[x->checkpoint.part_count++] =
        (struct checkpoint_part){{slice_of(topic), number, life}, next, {.offset = -1}};
}

static void add_step(struct fixture *x, uint32_t part, uint64_t moved)
{
    x->cursor.steps[x->cursor.step_count++] = (struct cursor_step){part, moved};
}

static void make(struct fixture *x)
{
    struct resume_question question = {.cursor = &x->cursor,
        .checkpoint = &x->checkpoint,
        .own = x->own,
        .settled = x->settled,
        .partitions = x->partitions,
        .heads = x->heads,
        .head_count = 8};
    resume_plan_make(&x->plan, &question);
}

static void assert_place(const struct fixture *x, uint32_t partition, int64_t skip, int64_t mark)
{
    assert_int_equal(origin_skip(x->plan.origin, partition), skip);
    assert_int_equal(origin_mark(x->plan.origin, partition), mark);
    assert_false(origin_stops(x->plan.origin, partition, INT64_MAX));
}

static void a_complete_cursor_is_exact_but_for_the_record_it_stands_in(void **state)
{
    struct fixture *x = *state;
    for (int32_t i = 0; i < 3; i++) {
        partitions_get(x->partitions, SLICE("orders"), i, 0);
        add_part(x, "orders", i, 0, 100 * (i + 1));
    }
    x->cursor = (struct cursor){.complete = true, .spread = 50};
    add_step(x, 1, 7);
    add_step(x, 2, 9);
    make(x);
    assert_int_equal(x->plan.gap_count, 0);
    assert_place(x, 0, 100, 100);
    assert_place(x, 1, 207, 208);
    assert_place(x, 2, 309, 309);
    assert_place(x, 3, 0, 0); /* began later: all of it is new */
}

static void what_is_not_listed_may_have_moved_as_far_as_any(void **state)
{
    struct fixture *x = *state;
    for (int32_t i = 0; i < 2; i++) {
        partitions_get(x->partitions, SLICE("orders"), i, 0);
        add_part(x, "orders", i, 0, 100);
    }
    x->cursor.spread = 50;
    add_step(x, 1, 49);
    make(x);
    assert_place(x, 0, 100, 150);
    assert_place(x, 1, 149, 150);
}

static void numbers_are_those_of_this_process(void **state)
{
    struct fixture *x = *state;
    partitions_get(x->partitions, SLICE("tasks"), 5, 0);
    partitions_get(x->partitions, SLICE("orders"), 0, 0);
    add_part(x, "orders", 0, 0, 100);
    add_part(x, "gone", 0, 0, 300); /* nobody reads it any more */
    add_part(x, "tasks", 5, 0, 200);
    x->cursor.complete = true;
    add_step(x, 2, 3);
    make(x);
    assert_place(x, 0, 203, 204);
    assert_place(x, 1, 100, 100);
    assert_int_equal(x->plan.gap_count, 0);
}

static void a_partition_that_the_checkpoint_does_not_know_is_new(void **state)
{
    struct fixture *x = *state;
    partitions_get(x->partitions, SLICE("orders"), 0, 0);
    partitions_get(x->partitions, SLICE("orders"), 1, 40);
    add_part(x, "orders", 0, 0, 100);
    partitions_get(x->partitions, SLICE("a-topic-of-its-own"), 0, 30);
    x->heads[1] = 60;
    x->cursor = (struct cursor){.spread = 9}; /* it may have moved while nothing could be said of it */
    make(x);
    assert_place(x, 1, 0, 49);  /* from its beginning, wherever this process began to read it */
    assert_place(x, 2, 30, 39); /* from where it was first read */
    assert_int_equal(x->plan.gap_count, 0);
}

static void a_partition_that_began_and_ended_since_is_a_gap(void **state)
{
    struct fixture *x = *state;
    partitions_get(x->partitions, SLICE("orders"), 0, 0);
    partitions_add_past(x->partitions, SLICE("orders"), 1, 0);
    partitions_renew(x->partitions, SLICE("orders"), 1, 77, 0);
    partitions_add_past(x->partitions, SLICE("a-topic-of-its-own"), 0, 5);
    x->heads[0] = 100;
    add_part(x, "orders", 0, 0, 100);
    x->cursor.complete = x->cursor.whole = true;
    make(x);
    assert_int_equal(x->plan.gap_count, 1);
    assert_int_equal(x->plan.gaps[0].name.number, 1);
    assert_int_equal(x->plan.gaps[0].from, 0);
    assert_int_equal(x->plan.gaps[0].to, -1);
    assert_place(x, 2, 0, 0);
    assert_false(x->plan.ahead);
}

static void partitions_that_are_not_found_yet_are_noticed(void **state)
{
    struct fixture *x = *state;
    partitions_get(x->partitions, SLICE("tasks"), 0, 0);
    partitions_get(x->partitions, SLICE("orders"), 0, 0);
    add_part(x, "orders", 0, 0, 100);
    add_part(x, "gone", 0, 0, 300); /* nobody reads it any more */
    assert_true(resume_knows_all(&x->checkpoint, x->partitions));
    add_part(x, "orders", 1, 0, 5);
    assert_false(resume_knows_all(&x->checkpoint, x->partitions));
    partitions_get(x->partitions, SLICE("orders"), 1, 0);
    assert_true(resume_knows_all(&x->checkpoint, x->partitions));
}

static void a_topic_that_was_made_again_is_a_gap_and_then_all_of_it(void **state)
{
    struct fixture *x = *state;
    uint32_t p = partitions_get(x->partitions, SLICE("orders"), 0, 30); /* it was so when this process came */
    partitions_set_life(x->partitions, p, 77);
    add_part(x, "orders", 0, 0, 100);
    x->cursor.complete = true;
    add_step(x, 0, 5);
    make(x);
    assert_place(x, 0, 0, 0);
    assert_true(x->plan.ahead); /* unless this process is the one that is late */
    assert_int_equal(x->plan.gap_count, 1);
    struct buffer text = {0};
    gap_write_json(&x->plan.gaps[0], &text);
    assert_string_equal(buffer_text(&text),
        "{\"topic\":\"orders\",\"partition\":0,\"from\":\"105\",\"reason\":\"recreated\"}");
    buffer_finish(&text);
}

static void what_a_start_found_need_not_be_the_life_that_had_no_record_yet(void **state)
{
    struct fixture *x = *state;
    partitions_add_past(x->partitions, SLICE("orders"), 0, 5);
    partitions_renew(x->partitions, SLICE("orders"), 0, LIFE_UNBORN, 0);
    add_part(x, "orders", 0, 5, 100);
    add_part(x, "orders", 0, LIFE_UNBORN, 0);
    x->cursor.complete = true;
    add_step(x, 1, 4);
    make(x);
    assert_place(x, 1, 0, 5); /* it may be, and then this is what was had */
    assert_true(x->plan.ahead);
    assert_int_equal(x->plan.gap_count, 1);
    assert_int_equal(x->plan.gaps[0].from, 4);
}

static void what_this_process_saw_end_its_log_tells(void **state)
{
    struct fixture *x = *state;
    partitions_get(x->partitions, SLICE("orders"), 0, 0);
    uint32_t again = partitions_renew(x->partitions, SLICE("orders"), 0, 77, 0);
    partitions_renew(x->partitions, SLICE("orders"), 0, 8, 3);
    x->heads[0] = 121; /* 120 records, and the gap behind them */
    assert_int_equal(again, 1);
    assert_false(partitions_current(x->partitions, 0));
    assert_int_equal(partitions_find(x->partitions, SLICE("orders"), 0), 2);
    add_part(x, "orders", 0, 0, 100);
    x->cursor.complete = true;
    add_step(x, 0, 5);
    make(x);
    assert_place(x, 0, 105, 106); /* its past life: what this process read of it, and that it ended */
    assert_place(x, 1, 0, 0);
    assert_place(x, 2, 3, 3);
    assert_int_equal(x->plan.gap_count, 0);
    assert_false(x->plan.ahead);
}

static void who_had_more_of_a_life_than_this_process_is_told_its_end(void **state)
{
    struct fixture *x = *state;
    partitions_get(x->partitions, SLICE("orders"), 0, 0);
    partitions_renew(x->partitions, SLICE("orders"), 0, 77, 0);
    x->heads[0] = 105; /* 104 records, and the gap behind them */
    add_part(x, "orders", 0, 0, 100);
    x->cursor.complete = x->cursor.whole = true;
    add_step(x, 0, 5);
    make(x);
    assert_place(x, 0, 105, 105);
    assert_int_equal(x->plan.gap_count, 1); /* another instance's 105th record, or its gap? */
    assert_int_equal(x->plan.gaps[0].from, 105);
    assert_int_equal(x->plan.gaps[0].to, -1);
    resume_plan_finish(&x->plan);

    x->own = true;
    make(x);
    assert_int_equal(x->plan.gap_count, 0); /* this one's gap */
    resume_plan_finish(&x->plan);

    x->own = false;
    add_part(x, "orders", 0, 77, 3); /* who comes from the next life was told */
    x->heads[1] = 4;
    make(x);
    assert_int_equal(x->plan.gap_count, 0);
    assert_place(x, 0, 105, 105);
    assert_place(x, 1, 3, 3);
}

static void a_place_beyond_the_end_is_waited_for_and_then_a_gap(void **state)
{
    struct fixture *x = *state;
    partitions_get(x->partitions, SLICE("orders"), 0, 0);
    x->heads[0] = 104;
    add_part(x, "orders", 0, 0, 100);
    x->cursor.complete = x->cursor.whole = true;
    add_step(x, 0, 5);
    make(x);
    assert_true(x->plan.ahead);
    assert_place(x, 0, 105, 105);
    assert_int_equal(x->plan.gap_count, 0);
    resume_plan_finish(&x->plan);

    x->heads[0] = 105;
    make(x);
    assert_false(x->plan.ahead);
    assert_int_equal(x->plan.gap_count, 0);
    resume_plan_finish(&x->plan);

    x->heads[0] = 104;
    x->settled = true;
    make(x);
    assert_false(x->plan.ahead);
    assert_int_equal(x->plan.gap_count, 1);
    assert_int_equal(x->plan.gaps[0].reason, GAP_TRUNCATED);
    assert_int_equal(x->plan.gaps[0].from, 105);
    assert_place(x, 0, 104, 105);
}

static void a_life_without_a_name_is_known_to_who_wrote_of_it(void **state)
{
    struct fixture *x = *state;
    partitions_add_past(x->partitions, SLICE("orders"), 0, 5);
    partitions_renew(x->partitions, SLICE("orders"), 0, 8, 0);
    x->heads[1] = 90;
    add_part(x, "orders", 0, 5, 100);
    add_part(x, "orders", 0, LIFE_UNBORN, 0);
    x->cursor.complete = x->cursor.whole = x->own = true;
    add_step(x, 1, 4);
    make(x);
    assert_false(x->plan.ahead);
    assert_int_equal(x->plan.gap_count, 0);
    assert_place(x, 1, 4, 4);
    resume_plan_finish(&x->plan);

    x->own = false;
    x->heads[1] = 2;
    make(x);
    assert_true(x->plan.ahead);
    assert_int_equal(x->plan.gap_count, 1);
    assert_place(x, 1, 0, 4); /* it may be the same one after all */
}

static void of_a_life_that_ended_before_the_place_nothing_comes(void **state)
{
    struct fixture *x = *state;
    partitions_get(x->partitions, SLICE("orders"), 0, 0);
    partitions_renew(x->partitions, SLICE("orders"), 0, 77, 0);
    x->heads[0] = 51; /* 50 records, and the gap behind them */
    add_part(x, "orders", 0, 77, 7);
    x->cursor.complete = true;
    make(x);
    assert_place(x, 0, 51, 51);
    assert_place(x, 1, 7, 7);
    assert_int_equal(x->plan.gap_count, 0);
}

static void a_checkpoint_may_be_ahead_of_this_process(void **state)
{
    struct fixture *x = *state;
    partitions_get(x->partitions, SLICE("orders"), 0, 0);
    add_part(x, "orders", 0, 0, 100);
    add_part(x, "orders", 0, 77, 5);
    x->heads[0] = 101;
    x->heads[1] = 5;
    x->cursor.complete = true;
    make(x);
    assert_true(x->plan.ahead);
    resume_plan_finish(&x->plan);
    partitions_renew(x->partitions, SLICE("orders"), 0, 77, 0);
    partitions_set_truncated(x->partitions, 1);
    make(x);
    assert_false(x->plan.ahead);
    assert_place(x, 1, 5, 5);
    assert_true(partitions_truncated(x->partitions, 1));
}

static void the_same_life_on_another_instance_is_no_gap(void **state)
{
    struct fixture *x = *state;
    uint32_t p = partitions_get(x->partitions, SLICE("orders"), 0, 0);
    partitions_set_life(x->partitions, p, 77);
    add_part(x, "orders", 0, 55, 900); /* a life before, which that log still knew */
    add_part(x, "orders", 0, 77, 100);
    x->cursor.complete = true;
    make(x);
    assert_int_equal(x->plan.gap_count, 0);
    assert_place(x, 0, 100, 100);
}

static void numbers_beyond_all_offsets_do_no_harm(void **state)
{
    struct fixture *x = *state;
    partitions_get(x->partitions, SLICE("orders"), 0, 0);
    partitions_get(x->partitions, SLICE("orders"), 1, 40);
    partitions_get(x->partitions, SLICE("orders"), 2, 0);
    add_part(x, "orders", 0, 0, INT64_MAX);
    add_part(x, "orders", 2, 0, INT64_MAX - 5);
    x->cursor.spread = UINT64_MAX >> 1;
    add_step(x, 0, INT64_MAX);
    add_step(x, 1, 6);
    add_step(x, 700, 6); /* no such part */
    make(x);
    assert_place(x, 0, INT64_MAX, INT64_MAX);
    assert_place(x, 1, 0, INT64_MAX);
    assert_place(x, 2, INT64_MAX, INT64_MAX);
}

static void where_nobody_knows_there_is_a_gap_for_each_partition(void **state)
{
    struct fixture *x = *state;
    partitions_get(x->partitions, SLICE("orders \"1\""), 0, 0);
    partitions_get(x->partitions, SLICE("orders"), 1, 0);
    partitions_get(x->partitions, SLICE("orders"), 2, 0);
    partitions_renew(x->partitions, SLICE("orders"), 1, 9, 0);
    partitions_get(x->partitions, SLICE("later"), 0, 0);
    const int64_t next[] = {12, 90, 0, INT64_MAX};
    resume_plan_lost(&x->plan, x->partitions, next, 4);
    assert_null(x->plan.origin);
    assert_int_equal(x->plan.gap_count, 2); /* not of a past life, not of nothing */
    struct buffer text = {0};
    gap_write_json(&x->plan.gaps[0], &text);
    buffer_add_byte(&text, '\n');
    gap_write_json(&x->plan.gaps[1], &text);
    assert_string_equal(buffer_text(&text),
        "{\"topic\":\"orders "
        "\\\"1\\\"\",\"partition\":0,\"from\":\"0\",\"to\":\"12\",\"reason\":\"cursor\"}\n"
        "{\"topic\":\"orders\",\"partition\":1,\"from\":\"0\",\"to\":\"9223372036854775807\",\"reason\":"
        "\"cursor\"}");
    buffer_finish(&text);
}

static void a_gap_names_offsets_as_strings(void **state)
{
    (void)state;
    struct buffer out = {0};
    struct gap gap = {{SLICE("orders.v1"), 3, 0}, 9007199254740993, INT64_MAX, GAP_RETENTION};
    gap_write_json(&gap, &out);
    assert_string_equal(buffer_text(&out),
        "{\"topic\":\"orders.v1\",\"partition\":3,\"from\":\"9007199254740993\","
        "\"to\":\"9223372036854775807\",\"reason\":\"retention\"}");
    buffer_finish(&out);
    assert_string_equal(gap_reason_text(GAP_TRUNCATED), "truncated");
}

#define stage(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        stage(a_complete_cursor_is_exact_but_for_the_record_it_stands_in),
        stage(what_is_not_listed_may_have_moved_as_far_as_any),
        stage(numbers_are_those_of_this_process),
        stage(a_partition_that_the_checkpoint_does_not_know_is_new),
        stage(a_partition_that_began_and_ended_since_is_a_gap),
        stage(partitions_that_are_not_found_yet_are_noticed),
        stage(a_topic_that_was_made_again_is_a_gap_and_then_all_of_it),
        stage(what_a_start_found_need_not_be_the_life_that_had_no_record_yet),
        stage(what_this_process_saw_end_its_log_tells),
        stage(of_a_life_that_ended_before_the_place_nothing_comes),
        stage(who_had_more_of_a_life_than_this_process_is_told_its_end),
        stage(a_place_beyond_the_end_is_waited_for_and_then_a_gap),
        stage(a_life_without_a_name_is_known_to_who_wrote_of_it),
        stage(a_checkpoint_may_be_ahead_of_this_process),
        stage(the_same_life_on_another_instance_is_no_gap),
        stage(numbers_beyond_all_offsets_do_no_harm),
        stage(where_nobody_knows_there_is_a_gap_for_each_partition),
        cmocka_unit_test(a_gap_names_offsets_as_strings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
