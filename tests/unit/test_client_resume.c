/* A client that comes back with a cursor. */
#include "client_stage.h"

#include <stdio.h>

static void who_comes_without_a_cursor_is_given_one(void **state)
{
    struct fixture *x = *state;
    x->cursors = true;
    char cursor[CURSOR_TEXT_MAX + 1];
    send_many(x, "user-7", 3);
    assert_int_equal(client_ping_cursor(x->client, cursor), 0);
    attach_as(x, "reader");
    assert_heard(x, "connected {\"userId\":7,\"role\":\"reader\"} <at-3>\n");
    turn(x);
    assert_int_equal(x->located, 0);
    assert_heard(x, ""); /* nothing was resumed */
    event(x, "user-7");
    assert_int_equal(client_ping_cursor(x->client, cursor), 4);
    assert_string_equal(cursor, "at-4");
    x->full = true;
    event(x, "user-7");
    assert_int_equal(client_ping_cursor(x->client, cursor), 0); /* it has not come to the head */
}

static void a_cursor_of_this_log_is_exact(void **state)
{
    struct fixture *x = *state;
    x->cursors = true;
    char expected[300];
    send_many(x, "user-7", 3);
    come_with(x, cursor_text(), "");
    event(x, "user-7");
    assert_heard(x, ""); /* not before it is known where it stands */
    assert_false(client_is_attached(x->client));
    locate_at(x, 2);
    snprintf(expected, sizeof expected, "connected {\"userId\":7,\"role\":\"reader\"} <%s>\n", cursor_text());
    assert_heard(x, expected); /* what it has is still the truth */
    turn(x);
    assert_heard(x, "@user-7\n@user-7\nresumed {} <at-4>\n");
    event(x, "user-7");
    assert_heard(x, "@user-7\n");
}

static void a_place_elsewhere_is_walked_to_and_marked(void **state)
{
    struct fixture *x = *state;
    x->cursors = true;
    send_many(x, "user-7", 6);
    come_with(x, cursor_text(), "");
    locate_by_plan(x, 2, 4, 1);
    assert_non_null(strstr(buffer_text(&x->said), "connected "));
    assert_non_null(
        strstr(buffer_text(&x->said), ">\ngap {\"topic\":\"orders.v1\",\"partition\":3,\"from\":\"0\","
                                      "\"to\":\"1\",\"reason\":\"retention\"}\n"));
    buffer_clear(&x->said);
    turn(x);
    assert_heard(x, "@user-7 again\n@user-7 again\n@user-7 anew\n@user-7 anew\nresumed {} <at-6>\n");
    event(x, "user-7");
    assert_heard(x, "@user-7\n");
}

static void a_cursor_that_says_nothing_any_more_is_a_gap_and_goes_on_from_now(void **state)
{
    struct fixture *x = *state;
    static const char *const cursors[] = {"no cursor", "A", "", NULL};
    x->cursors = true;
    send_many(x, "user-7", 3);
    for (size_t i = 0; i < 4; i++) {
        create_client(x, ROOMS_MAX);
        bool known = !cursors[i];
        if (cursors[i] && !*cursors[i])
            continue;
        come_with(x, known ? cursor_text() : cursors[i], "");
        if (known)
            locate_as(x, LOCATED_LOST);
        turn(x);
        assert_heard(x, "connected {\"userId\":7,\"role\":\"reader\"} <at-3>\ngap {\"topic\":\"orders.v1\","
                        "\"partition\":3,\"from\":\"0\",\"to\":\"3\",\"reason\":\"cursor\"}\n"
                        "resumed {} <at-3>\n");
    }
    event(x, "user-7");
    assert_heard(x, "@user-7\n");
}

static void a_cursor_that_cannot_be_looked_up_now_ends_the_attach(void **state)
{
    struct fixture *x = *state;
    come_with(x, cursor_text(), "");
    locate_as(x, LOCATED_UNAVAILABLE);
    assert_int_equal(x->outcome, GRANTS_UNAVAILABLE);
    assert_false(client_is_attached(x->client));
    assert_heard(x, "");
    locate_at(x, 0); /* said twice */
    event(x, "user-7");
    assert_heard(x, "");
}

static void rooms_that_were_joined_are_part_of_what_is_resumed(void **state)
{
    struct fixture *x = *state;
    publish(x, "task:5");
    publish(x, "task:6");
    publish(x, "user-7");
    come_with(x, cursor_text(), ",task:5,user-7,task:6,,nowhere,");
    locate_at(x, 0);
    assert_heard(x, "");
    answer(x, "member", "[5][7]", "one", "1");
    assert_heard(x, ""); /* the other one is not decided */
    answer(x, "member", "[6][7]", "one", "");
    turn(x);
    const char *said = buffer_text(&x->said);
    const char *connected = strstr(said, "connected "),
               *joined = strstr(said, "room-joined {\"roomId\":\"task:5\"}"),
               *refused = strstr(said, "task:6"), *nowhere = strstr(said, "nowhere"),
               *events = strstr(said, "@");
    assert_true(connected == said && joined && refused && nowhere && events);
    assert_true(joined < events && refused < events && nowhere < events); /* answers first */
    assert_string_equal(events, "@task:5\n@user-7\nresumed {}\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        stage(who_comes_without_a_cursor_is_given_one),
        stage(a_cursor_of_this_log_is_exact),
        stage(a_place_elsewhere_is_walked_to_and_marked),
        stage(a_cursor_that_says_nothing_any_more_is_a_gap_and_goes_on_from_now),
        stage(a_cursor_that_cannot_be_looked_up_now_ends_the_attach),
        stage(rooms_that_were_joined_are_part_of_what_is_resumed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
