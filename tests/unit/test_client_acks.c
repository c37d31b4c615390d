/* What a client is to acknowledge, and what becomes of it when it does not. */
#include "client_stage.h"

#include <stdio.h>

static void ask_event(struct fixture *x, const char *room)
{
    publish_to_acknowledge(x, room);
    turn(x);
}

static void ack(struct fixture *x)
{
    char text[160];
    snprintf(text, sizeof text, "{\"type\":\"ack\",\"data\":{\"cursor\":\"%s\"}}", cursor_text());
    command(x, text);
    assert_true(x->known);
}

static void ack_at(struct fixture *x, uint64_t position)
{
    ack(x);
    locate_at(x, position);
}

static uint64_t tick(struct fixture *x, uint64_t now)
{
    x->now = now;
    return client_tick(x->client, now);
}

/* What comes at this moment; returns when the client wants to be looked at again. */
static uint64_t pass(struct fixture *x, uint64_t now)
{
    uint64_t due = tick(x, now);
    turn(x);
    return due;
}

/* A client in the rooms user-7, open-a and open-b, at the head. */
static void come(struct fixture *x)
{
    x->cursors = true;
    attach_as(x, "reader");
    join(x, "open-a");
    join(x, "open-b");
    turn(x);
    buffer_clear(&x->said);
}

#define EXPIRY ((uint64_t)(VALID_MS - WARNING_MS))

static void what_is_not_acknowledged_comes_again_ever_later_and_then_no_more(void **state)
{
    struct fixture *x = *state;
    come(x);
    event(x, "user-7");
    assert_false(x->due_sooner);
    assert_true(tick(x, 500) == EXPIRY);
    x->now = 1000;
    ask_event(x, "user-7");
    assert_true(x->due_sooner);
    assert_heard(x, "@user-7\n@user-7\n");
    assert_int_equal(pass(x, 10999), 11000);
    assert_heard(x, "");
    assert_int_equal(pass(x, 11000), 31000);
    assert_heard(x, "@user-7 backfill\ncursor <at-2>\n"); /* the one that asked, and no other */
    assert_int_equal(pass(x, 30999), 31000);
    assert_heard(x, "");
    assert_int_equal(pass(x, 31000), 71000);
    assert_heard(x, "@user-7 backfill\ncursor <at-2>\n");
    assert_int_equal(pass(x, 71000), 151000);
    assert_heard(x, "@user-7 backfill\ncursor <at-2>\n");
    assert_true(pass(x, 151000) == EXPIRY);
    x->due_sooner = false;
    ask_event(x, "user-7"); /* it comes, and is not waited for */
    assert_heard(x, "@user-7\n");
    assert_false(x->due_sooner);
    assert_true(pass(x, 300000) == EXPIRY);
    ack(x); /* it does acknowledge: what comes from now on is waited for */
    ask_event(x, "user-7");
    assert_true(x->due_sooner);
    assert_heard(x, "@user-7\n");
    assert_int_equal(pass(x, 310000), 330000);
    assert_heard(x, "@user-7 backfill\ncursor <at-4>\n");
}

static void what_is_acknowledged_in_time_does_not_come_again(void **state)
{
    struct fixture *x = *state;
    come(x);
    ask_event(x, "user-7");
    ack_at(x, 1);
    assert_true(pass(x, 10000) == EXPIRY);
    assert_heard(x, "@user-7\n");
    x->request = 5; /* where commands are answered, it is */
    ack(x);
    assert_heard(x, "5: acknowledged {}\n");
}

static void an_acknowledgement_holds_for_all_before_it(void **state)
{
    struct fixture *x = *state;
    come(x);
    ask_event(x, "user-7");
    ask_event(x, "open-a");
    event(x, "user-7");
    ask_event(x, "open-b");
    assert_heard(x, "@user-7\n@open-a\n@user-7\n@open-b\n");
    pass(x, 9000);
    ack_at(x, 2);
    pass(x, 10000);
    assert_heard(x, ""); /* what waits now was sent within this round */
    assert_int_equal(pass(x, 20000), 40000);
    assert_heard(x, "@open-b backfill\ncursor <at-4>\n");
    ack_at(x, 1); /* an old one changes nothing */
    assert_int_equal(tick(x, 20001), 40000);
    ack_at(x, 3); /* progress: it is patient no longer */
    assert_int_equal(tick(x, 20002), 30001);
    ack_at(x, 4);
    assert_true(pass(x, 60000) == EXPIRY);
    assert_heard(x, "");
}

static void what_was_sent_within_the_round_waits_for_the_next(void **state)
{
    struct fixture *x = *state;
    come(x);
    ask_event(x, "user-7");
    x->now = 9999;
    ask_event(x, "open-a");
    buffer_clear(&x->said);
    assert_int_equal(pass(x, 10000), 30000);
    assert_heard(x, "@user-7 backfill\ncursor <at-2>\n");
    pass(x, 30000);
    assert_heard(x, "@user-7 backfill\n@open-a backfill\ncursor <at-2>\n");
}

static void a_cursor_that_acknowledges_nothing_is_answered_and_changes_nothing(void **state)
{
    struct fixture *x = *state;
    come(x);
    command(x, "{\"type\":\"ack\"}");
    assert_heard(x, "error {\"code\":\"bad_cursor\",\"message\":\"this is no cursor\"}\n");
    command(x, "{\"type\":\"ack\",\"data\":{\"cursor\":\"forged\"}}");
    assert_heard(x, "error {\"code\":\"bad_cursor\",\"message\":\"this is no cursor\"}\n");
    ack(x); /* nothing waits: nothing is looked up */
    assert_int_equal(x->located, 0);
    ask_event(x, "user-7");
    assert_heard(x, "@user-7\n");
    publish(x, "nowhere");
    ack_at(x, 2);
    assert_heard(
        x, "error {\"code\":\"bad_cursor\",\"message\":\"this cursor lies beyond what you were sent\"}\n");
    ack(x);
    locate_by_plan(x, 100, 100, 0);
    assert_heard(
        x, "error {\"code\":\"bad_cursor\",\"message\":\"this cursor lies beyond what you were sent\"}\n");
    ack(x);
    locate_as(x, LOCATED_LOST);
    assert_heard(
        x, "error {\"code\":\"bad_cursor\",\"message\":\"nobody knows where this cursor stands\"}\n");
    ack(x);
    locate_as(x, LOCATED_UNAVAILABLE);
    assert_heard(x, "error {\"code\":\"unavailable\",\"message\":\"the cursor cannot be looked up now; "
                    "try again\"}\n");
    pass(x, 10000);
    assert_heard(x, "@user-7 backfill\ncursor <at-1>\n");
}

static void a_cursor_of_elsewhere_acknowledges_too(void **state)
{
    struct fixture *x = *state;
    come(x);
    ask_event(x, "user-7");
    ask_event(x, "open-a");
    ask_event(x, "open-b");
    buffer_clear(&x->said);
    pass(x, 10000);
    assert_heard(x, "@user-7 backfill\ncursor <at-3>\n");
    ack(x);
    locate_by_plan(x, 1, 1, 0);
    ack(x);
    locate_by_plan(x, 1, 1, 0); /* again: it is old by now */
    pass(x, 20000);
    assert_heard(x, "@open-a backfill\n@open-b backfill\ncursor <at-3>\n");
    ack(x);
    locate_by_plan(x, 3, 3, 0);
    assert_true(pass(x, 60000) == EXPIRY);
    assert_heard(x, "");
}

static void of_many_acknowledgements_one_is_looked_up_at_a_time_and_the_last_counts(void **state)
{
    struct fixture *x = *state;
    come(x);
    ask_event(x, "user-7");
    ask_event(x, "open-a");
    buffer_clear(&x->said);
    ack(x);
    ack(x);
    ack(x);
    assert_int_equal(x->located, 1);
    locate_at(x, 1);
    assert_int_equal(x->located, 2);
    locate_at(x, 2);
    assert_int_equal(x->located, 2);
    assert_true(pass(x, 30000) == EXPIRY);
    assert_heard(x, "");
}

static void who_has_not_come_to_what_was_sent_is_waited_for(void **state)
{
    struct fixture *x = *state;
    come(x);
    ask_event(x, "user-7");
    x->full = true;
    ask_event(x, "open-a");
    assert_heard(x, "@user-7\n");
    assert_int_equal(pass(x, 10000), 11000);
    assert_int_equal(pass(x, 11000), 12000);
    x->full = false;
    client_writable(x->client);
    turn(x);
    assert_heard(x, "@open-a\n");
    pass(x, 12000);
    assert_heard(x, "@user-7 backfill\ncursor <at-2>\n");
}

static void what_has_left_the_log_is_asked_for_like_what_was_missed(void **state)
{
    struct fixture *x = *state;
    come(x);
    event(x, "user-7");
    ask_event(x, "user-7");
    for (int i = 0; i < 1100; i++)
        event(x, "nowhere");
    buffer_clear(&x->said);
    pass(x, 10000);
    assert_heard(x, "");
    assert_non_null(x->away);
    assert_int_not_equal(x->away_tag, 0);
    assert_int_equal(x->until, 2);
    assert_in_range(origin_skip(x->away, 0), 0, 1);
    /* the window has the record before it too, which asks for nothing */
    hotlog_advance(x->window, 0, 0);
    uint64_t start = hotlog_next(x->window);
    for (int64_t offset = 0; offset < 2; offset++) {
        uint32_t room = rooms_hold(x->rooms, 0, SLICE("user-7"));
        memcpy(hotlog_reserve(x->window, 8), "@user-7\n", 8);
        hotlog_append(x->window,
            &(struct hotlog_append){.rooms = &room, .room_count = 1, .offset = offset, .ack = offset == 1});
        hotlog_advance(x->window, 0, offset + 1);
    }
    hotlog_publish(x->window);
    hotlog_end(x->window, hotlog_head(x->window), hotlog_head(x->log));
    assert_true(client_enter(x->client, x->away_tag, 1, start, x->away, NULL, 0));
    turn(x);
    assert_heard(x, "@user-7 backfill\ncursor <at-1102>\n");
    event(x, "user-7");
    assert_heard(x, "@user-7\n");
}

static void what_comes_from_a_window_is_to_be_acknowledged_as_well(void **state)
{
    struct fixture *x = *state;
    attach_reader(x);
    turn(x);
    x->full = true;
    event(x, "user-7");
    for (int i = 0; i < 1100; i++)
        event(x, "nowhere");
    x->full = false;
    client_writable(x->client);
    turn(x);
    hotlog_advance(x->window, 0, 0);
    uint32_t room = rooms_hold(x->rooms, 0, SLICE("user-7"));
    memcpy(hotlog_reserve(x->window, 8), "@user-7\n", 8);
    hotlog_append(x->window, &(struct hotlog_append){.rooms = &room, .room_count = 1, .ack = true});
    hotlog_advance(x->window, 0, 1);
    hotlog_publish(x->window);
    hotlog_end(x->window, hotlog_head(x->window), hotlog_head(x->log));
    assert_true(client_enter(x->client, 0, 1, 0, x->away, NULL, 0));
    origin_release(x->away);
    x->away = NULL;
    turn(x);
    assert_heard(x, "@user-7 anew\n");
    assert_true(x->due_sooner);
    assert_int_equal(pass(x, 10000), 20000); /* at the head by now: what was sent up to here is ripe then */
    assert_null(x->away);
    pass(x, 20000);
    assert_non_null(x->away); /* it has to be read again */
    assert_int_equal(origin_skip(x->away, 0), 0);
    assert_int_equal(x->until, 1101);
}

static void nothing_comes_again_of_a_room_that_was_left(void **state)
{
    struct fixture *x = *state;
    come(x);
    ask_event(x, "open-a");
    leave(x, "open-a");
    buffer_clear(&x->said);
    pass(x, 10000);
    assert_heard(x, "");
    assert_true(pass(x, 10001) == EXPIRY); /* nor is it waited for */
    x->due_sooner = false;
    ask_event(x, "open-b");
    assert_true(x->due_sooner);
    assert_heard(x, "@open-b\n");
}

static void what_a_late_room_brings_is_to_be_acknowledged_as_well(void **state)
{
    struct fixture *x = *state;
    come(x);
    leave(x, "open-a");
    ask_event(x, "open-a");
    buffer_clear(&x->said);
    char text[200];
    snprintf(text, sizeof text, "{\"type\":\"join-room\",\"data\":{\"roomId\":\"open-a\",\"cursor\":\"%s\"}}",
        cursor_text());
    command(x, text);
    locate_at(x, 0);
    turn(x);
    assert_heard(x, "@open-a backfill\ncursor <at-1>\nroom-joined {\"roomId\":\"open-a\"}\n");
    assert_true(x->due_sooner);
    pass(x, 10000);
    assert_heard(x, "@open-a backfill\ncursor <at-1>\n");
    ack_at(x, 1);
    assert_true(pass(x, 90000) == EXPIRY);
}

static void a_client_may_go_while_something_waits_or_is_repeated(void **state)
{
    struct fixture *x = *state;
    come(x);
    ask_event(x, "user-7");
    create_client(x, ROOMS_MAX);
    come(x);
    ask_event(x, "user-7");
    ack(x);
    tick(x, 10000);
    create_client(x, ROOMS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        stage(what_is_not_acknowledged_comes_again_ever_later_and_then_no_more),
        stage(what_is_acknowledged_in_time_does_not_come_again),
        stage(an_acknowledgement_holds_for_all_before_it),
        stage(what_was_sent_within_the_round_waits_for_the_next),
        stage(a_cursor_that_acknowledges_nothing_is_answered_and_changes_nothing),
        stage(a_cursor_of_elsewhere_acknowledges_too),
        stage(of_many_acknowledgements_one_is_looked_up_at_a_time_and_the_last_counts),
        stage(who_has_not_come_to_what_was_sent_is_waited_for),
        stage(what_has_left_the_log_is_asked_for_like_what_was_missed),
        stage(what_comes_from_a_window_is_to_be_acknowledged_as_well),
        stage(nothing_comes_again_of_a_room_that_was_left),
        stage(what_a_late_room_brings_is_to_be_acknowledged_as_well),
        stage(a_client_may_go_while_something_waits_or_is_repeated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
