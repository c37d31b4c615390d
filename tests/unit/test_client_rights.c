/* A client whose rights are younger than its cursor. */
#include "client_stage.h"

static void move_on(struct fixture *x, uint64_t ms)
{
    x->now += ms;
    timeline_note(x->timeline, x->now, hotlog_head(x->log));
}

static void come_as_manager(struct fixture *x, const char *cities)
{
    client_set_resume(x->client, slice_of(cursor_text()), SLICE(""));
    attach_as(x, "manager");
    answer(x, "cities", "[7]", "city_id", cities);
}

/* An event of city 2 outruns the right to it, which is heard of when its manager has gone. */
static void be_cut_before_the_grant(struct fixture *x)
{
    move_on(x, 5000);
    event(x, "city-2-orders");
    event(x, "user-7");
    move_on(x, 100);
    assert_true(lookups_changed(x->lookups, SLICE("cities:7"), 1));
    move_on(x, 100);
}

static void forget_connected(struct fixture *x)
{
    assert_non_null(strstr(buffer_text(&x->said), "connected"));
    buffer_clear(&x->said);
}

static void what_outran_a_right_that_is_younger_than_the_cursor_is_brought_first(void **state)
{
    struct fixture *x = *state;
    be_cut_before_the_grant(x);
    come_as_manager(x, "2;");
    locate_at(x, 2);
    forget_connected(x);
    event(x, "city-2-orders");
    assert_heard(x, "@city-2-orders backfill\n@user-7 backfill\n@city-2-orders\nresumed {}\n");
    event(x, "city-2-orders");
    assert_heard(x, "@city-2-orders\n");
}

static void who_is_cut_amid_the_walk_for_a_new_right_gets_it_again(void **state)
{
    struct fixture *x = *state;
    attach_as(x, "manager");
    answer(x, "cities", "[7]", "city_id", "");
    turn(x);
    be_cut_before_the_grant(x);
    x->full = true;
    answer(x, "cities", "[7]", "city_id", "2;");
    turn(x);
    create_client(x, ROOMS_MAX);
    x->full = false;
    come_as_manager(x, "2;");
    locate_at(x, 2);
    forget_connected(x);
    turn(x);
    assert_heard(x, "@city-2-orders backfill\n@user-7 backfill\nresumed {}\n");
}

static void it_is_brought_too_when_the_cursor_is_of_elsewhere(void **state)
{
    struct fixture *x = *state;
    be_cut_before_the_grant(x);
    come_as_manager(x, "2;");
    locate_by_plan(x, 2, 2, 0);
    forget_connected(x);
    event(x, "city-2-orders");
    assert_heard(x, "@city-2-orders backfill\n@user-7 backfill\n@city-2-orders anew\nresumed {}\n");
}

static void changes_that_nobody_heard_of_may_have_been_any(void **state)
{
    struct fixture *x = *state;
    lookups_tick(x->lookups, &(struct lookups_pulse){.epoch = 1, .heard_ms = x->now, .answer_ms = x->now});
    move_on(x, 5000);
    event(x, "city-2-orders");
    move_on(x, 100);
    lookups_tick(x->lookups, &(struct lookups_pulse){.epoch = 2, .heard_ms = x->now, .answer_ms = x->now});
    come_as_manager(x, "2;");
    locate_at(x, 1);
    forget_connected(x);
    turn(x);
    assert_heard(x, "@city-2-orders backfill\nresumed {}\n");
}

static void a_change_of_all_keys_is_one_of_each(void **state)
{
    struct fixture *x = *state;
    move_on(x, 5000);
    event(x, "city-2-orders");
    assert_true(lookups_changed(x->lookups, SLICE("cities"), 2));
    come_as_manager(x, "2;");
    locate_at(x, 1);
    forget_connected(x);
    turn(x);
    assert_heard(x, "@city-2-orders backfill\nresumed {}\n");
}

static void an_older_right_and_one_of_others_bring_nothing_twice(void **state)
{
    struct fixture *x = *state;
    be_cut_before_the_grant(x);
    move_on(x, 10000);
    event(x, "city-2-orders");
    move_on(x, 100);
    assert_true(lookups_changed(x->lookups, SLICE("cities:8"), 2));
    come_as_manager(x, "2;");
    locate_at(x, 3);
    forget_connected(x);
    turn(x);
    assert_heard(x, "resumed {}\n");
}

static void who_stood_before_all_that_outran_a_right_gets_it_once(void **state)
{
    struct fixture *x = *state;
    be_cut_before_the_grant(x);
    come_as_manager(x, "2;");
    locate_at(x, 0);
    forget_connected(x);
    turn(x);
    assert_heard(x, "@city-2-orders\n@user-7\nresumed {}\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        stage(what_outran_a_right_that_is_younger_than_the_cursor_is_brought_first),
        stage(who_is_cut_amid_the_walk_for_a_new_right_gets_it_again),
        stage(it_is_brought_too_when_the_cursor_is_of_elsewhere),
        stage(changes_that_nobody_heard_of_may_have_been_any),
        stage(a_change_of_all_keys_is_one_of_each),
        stage(an_older_right_and_one_of_others_bring_nothing_twice),
        stage(who_stood_before_all_that_outran_a_right_gets_it_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
