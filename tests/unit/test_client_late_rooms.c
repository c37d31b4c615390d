/* Rooms that are entered later than their cursor: side walks, and being away. */
#include "client_stage.h"

#include <stdio.h>

static void join_late(struct fixture *x, const char *room, const char *cursor)
{
    struct buffer text = {0};
    buffer_print(
        &text, "{\"type\":\"join-room\",\"data\":{\"roomId\":\"%s\",\"cursor\":\"%s\"}}", room, cursor);
    command(x, buffer_text(&text));
    buffer_finish(&text);
}

static void a_room_that_is_entered_late_brings_what_was_missed_and_is_joined_then(void **state)
{
    struct fixture *x = *state;
    attach_reader(x);
    event(x, "task:5");
    event(x, "open-1");
    event(x, "task:5");
    join_late(x, "task:5", cursor_text());
    assert_int_equal(x->located, 0); /* first the right */
    answer(x, "member", "[5][7]", "one", "1");
    event(x, "task:5");
    event(x, "user-7"); /* held meanwhile */
    assert_heard(x, "");
    locate_by_plan(x, 1, 1, 0);
    turn(x);
    assert_heard(x, "@task:5 backfill\nroom-joined {\"roomId\":\"task:5\"}\n@task:5\n@user-7\n");
    event(x, "task:5");
    assert_heard(x, "@task:5\n");
    join_late(x, "task:5", cursor_text()); /* stands there already */
    assert_heard(x, "room-joined {\"roomId\":\"task:5\"}\n");
    join_late(x, "open-9", "no cursor");
    assert_heard(
        x, "error {\"code\":\"bad_cursor\",\"message\":\"this is no cursor\",\"roomId\":\"open-9\"}\n");
}

/* The session was elsewhere, with an instance that had read more. */
static void a_late_room_waits_until_the_log_has_come_to_where_the_session_was(void **state)
{
    struct fixture *x = *state;
    send_many(x, "user-7", 2);
    come_with(x, cursor_text(), "");
    locate_by_plan(x, 4, 4, 0);
    turn(x);
    assert_non_null(strstr(buffer_text(&x->said), "resumed "));
    buffer_clear(&x->said);
    join_late(x, "task:5", cursor_text());
    answer(x, "member", "[5][7]", "one", "1");
    event(x, "task:5");
    assert_int_equal(x->located, 1); /* that of the session itself */
    event(x, "open-1");
    assert_int_equal(x->located, 2);
    assert_heard(x, "");
    locate_by_plan(x, 2, 2, 0);
    turn(x);
    assert_heard(x, "@task:5 backfill\nroom-joined {\"roomId\":\"task:5\"}\n");
    event(x, "task:5");
    assert_heard(x, "@task:5\n");
}

static void a_late_room_without_the_right_is_refused_and_holds_nothing(void **state)
{
    struct fixture *x = *state;
    attach_reader(x);
    event(x, "task:5");
    join_late(x, "task:5", cursor_text());
    answer(x, "member", "[5][7]", "one", "");
    assert_int_equal(x->located, 0);
    assert_heard(x,
        "error {\"code\":\"forbidden\",\"message\":\"you may not join this room\",\"roomId\":\"task:5\"}\n");
    event(x, "user-7");
    assert_heard(x, "@user-7\n");
    join_late(x, "task:5", cursor_text());
    leave(x, "task:5");
    answer(x, "member", "[5][7]", "one", "1");
    event(x, "user-7");
    assert_heard(x, "room-left {\"roomId\":\"task:5\"}\n@user-7\n");
}

static void late_rooms_wait_for_each_other(void **state)
{
    struct fixture *x = *state;
    attach_reader(x);
    event(x, "open-1");
    event(x, "open-2");
    join_late(x, "open-1", cursor_text());
    join_late(x, "open-2", cursor_text());
    assert_int_equal(x->located, 1);
    locate_at(x, 0);
    turn(x);
    assert_int_equal(x->located, 2);
    assert_heard(x, "@open-1 backfill\nroom-joined {\"roomId\":\"open-1\"}\n");
    locate_as(x, LOCATED_UNAVAILABLE);
    assert_heard(x, "error {\"code\":\"unavailable\",\"message\":\"the cursor cannot be looked up now; try "
                    "again\",\"roomId\":\"open-2\"}\n");
    event(x, "open-2"); /* not joined: what it had since the cursor was not walked */
    event(x, "user-7");
    assert_heard(x, "@user-7\n");
    join_late(x, "open-2", cursor_text());
    locate_at(x, 1);
    turn(x);
    assert_heard(x, "@open-2 backfill\n@open-2 backfill\nroom-joined {\"roomId\":\"open-2\"}\n");
}

static void a_resume_message_whose_cursor_cannot_be_looked_up_joins_nothing(void **state)
{
    struct fixture *x = *state;
    char text[200];
    attach_reader(x);
    event(x, "open-1");
    buffer_clear(&x->said);
    snprintf(text, sizeof text, "{\"type\":\"resume\",\"data\":{\"cursor\":\"%s\",\"rooms\":[\"open-1\"]}}",
        cursor_text());
    command(x, text);
    locate_as(x, LOCATED_UNAVAILABLE);
    assert_heard(x, "error {\"code\":\"unavailable\",\"message\":\"the cursor cannot be looked up now; try "
                    "again\"}\n");
    event(x, "open-1");
    assert_heard(x, "");
}

/* With the cursor that it had before, what the walk brought would come again as if it were new. */
static void the_end_of_a_walk_beside_comes_with_a_cursor_that_covers_it(void **state)
{
    struct fixture *x = *state;
    char text[200];
    attach_reader(x);
    event(x, "open-1");
    x->cursors = true;
    join_late(x, "open-1", cursor_text());
    event(x, "open-1"); /* held at 1 meanwhile */
    locate_at(x, 0);
    turn(x);
    assert_heard(x, "@open-1 backfill\ncursor <at-1>\nroom-joined {\"roomId\":\"open-1\"}\n@open-1\n");
    event(x, "open-2");
    snprintf(text, sizeof text, "{\"type\":\"resume\",\"data\":{\"cursor\":\"%s\",\"rooms\":[\"open-2\"]}}",
        cursor_text());
    command(x, text);
    locate_at(x, 2);
    turn(x);
    assert_heard(x, "@open-2 backfill\ncursor <at-3>\nroom-joined {\"roomId\":\"open-2\"}\nresumed {}\n");
}

static void a_resume_message_repeats_all_rooms(void **state)
{
    struct fixture *x = *state;
    char text[300];
    attach_reader(x);
    event(x, "user-7");
    event(x, "task:5");
    event(x, "open-1");
    buffer_clear(&x->said);
    snprintf(text, sizeof text,
        "{\"type\":\"resume\",\"data\":{\"cursor\":\"%s\",\"rooms\":[\"task:5\",5,\"user-7\",\"task:5\","
        "\"open-1\"]}}",
        cursor_text());
    command(x, text);
    answer(x, "member", "[5][7]", "one", "1");
    locate_by_plan(x, 0, 3, 2);
    turn(x);
    const char *said = buffer_text(&x->said), *events = strstr(said, "@");
    assert_true(strstr(said, "gap ") == said);
    assert_true(strstr(events, "@user-7 backfill\n@task:5 backfill\n@open-1 backfill\n") == events);
    assert_non_null(strstr(events, "room-joined {\"roomId\":\"task:5\"}"));
    assert_non_null(strstr(events, "room-joined {\"roomId\":\"open-1\"}"));
    assert_non_null(strstr(events, "\nresumed {}\n"));
    buffer_clear(&x->said);
    event(x, "task:5");
    assert_heard(x, "@task:5\n");
    command(x, "{\"type\":\"resume\",\"data\":{}}");
    command(x, "{\"type\":\"resume\"}");
    command(x, "{\"type\":\"resume\",\"data\":{\"cursor\":\"x\",\"rooms\":5}}");
    assert_null(strstr(buffer_text(&x->said), "resumed"));
    buffer_clear(&x->said);
    event(x, "user-7");
    assert_heard(x, "@user-7\n");
}

static void the_rights_of_a_walk_that_cannot_be_are_not_looked_after(void **state)
{
    struct fixture *x = *state;
    attach_reader(x);
    join_late(x, "task:5", cursor_text());
    answer(x, "member", "[5][7]", "one", "1");
    assert_int_equal(lookups_count(x->lookups), 2);
    locate_as(x, LOCATED_UNAVAILABLE);
    assert_int_equal(lookups_count(x->lookups), 1);
    buffer_clear(&x->said);
    join_late(x, "task:5", cursor_text());
    join_late(x, "task:5", cursor_text()); /* the second one goes on with the right of the first */
    answer(x, "member", "[5][7]", "one", "1");
    locate_as(x, LOCATED_UNAVAILABLE);
    assert_int_equal(lookups_count(x->lookups), 2);
    buffer_clear(&x->said);
    locate_at(x, 0);
    turn(x);
    assert_heard(x, "room-joined {\"roomId\":\"task:5\"}\n");
    assert_true(lookups_changed(x->lookups, SLICE("member:[\"5\",\"7\"]"), 1));
    answer(x, "member", "[5][7]", "one", "");
    assert_heard(x, "room-left {\"roomId\":\"task:5\",\"reason\":\"withdrawn\"}\n");
}

static void an_automatic_room_stays_left_when_the_walk_into_it_cannot_be(void **state)
{
    struct fixture *x = *state;
    attach_as(x, "manager");
    answer(x, "cities", "[7]", "city_id", "1");
    leave(x, "city-1-orders");
    buffer_clear(&x->said);
    join_late(x, "city-1-orders", cursor_text());
    answer(x, "cities", "[7]", "city_id", "1");
    locate_as(x, LOCATED_UNAVAILABLE);
    assert_true(lookups_changed(x->lookups, SLICE("cities:7"), 1));
    answer(x, "cities", "[7]", "city_id", "2");
    assert_true(lookups_changed(x->lookups, SLICE("cities:7"), 1));
    answer(x, "cities", "[7]", "city_id", "1");
    buffer_clear(&x->said);
    turn(x);
    event(x, "city-1-orders");
    assert_null(strstr(buffer_text(&x->said), "@city-1-orders"));
}

static void of_more_rooms_than_one_may_stand_in_the_rest_is_refused_once(void **state)
{
    struct fixture *x = *state;
    struct buffer list = {0};
    static const char refusal[] =
        "error {\"code\":\"too_many_rooms\",\"message\":\"more rooms are named than one may stand in\"}\n";
    buffer_add_text(&list, "no");
    for (int i = 0; i < 100000; i++)
        buffer_add_text(&list, ",no");
    come_with(x, cursor_text(), buffer_text(&list));
    locate_at(x, 0);
    size_t size = x->said.size;
    assert_true(size < 100 * 120);
    assert_non_null(strstr(buffer_text(&x->said), refusal));
    turn(x);
    buffer_clear(&x->said);
    buffer_clear(&list);
    buffer_print(&list, "{\"type\":\"resume\",\"data\":{\"cursor\":\"%s\",\"rooms\":[\"no\"", cursor_text());
    for (int i = 0; i < 1000; i++)
        buffer_add_text(&list, ",\"no\"");
    buffer_add_text(&list, "]}}");
    command(x, buffer_text(&list));
    assert_true(x->said.size < 100 * 120);
    assert_non_null(strstr(buffer_text(&x->said), refusal));
    buffer_finish(&list);
}

static void nobody_leaves_where_everybody_stands(void **state)
{
    struct fixture *x = *state;
    static const char told[] =
        "error {\"code\":\"bad_message\",\"message\":\"data.roomId must be a string of 1 to 512 "
        "bytes\"}\n";
    attach_reader(x);
    leave(x, "\\u0001");
    assert_heard(x, told);
    join(x, "\\u0001");
    assert_heard(x, told);
    uint32_t everybody = rooms_hold(x->rooms, 0, ROOM_OF_ALL);
    memcpy(hotlog_reserve(x->log, 5), "@all\n", 5);
    hotlog_append(x->log, &(struct hotlog_append){.rooms = &everybody, .room_count = 1, .offset = x->offset});
    hotlog_publish(x->log);
    turn(x);
    assert_heard(x, "@all\n");
}

/* More than the log holds goes by while the socket is full. */
static void fall_out_of_the_log(struct fixture *x)
{
    x->full = true;
    event(x, "user-7");
    for (int i = 0; i < 1100; i++)
        event(x, "nowhere");
    x->full = false;
    client_writable(x->client);
    turn(x);
    assert_non_null(x->away);
    assert_int_equal(x->away_tag, 0);
}

static void enter_again(struct fixture *x, uint64_t tag)
{
    hotlog_restart(x->window);
    hotlog_advance(x->window, 0, 0);
    uint64_t start = hotlog_next(x->window);
    for (int64_t offset = origin_skip(x->away, 0); offset < 1; offset++) { /* the one event that it missed */
        uint32_t room = rooms_hold(x->rooms, 0, SLICE("user-7"));
        memcpy(hotlog_reserve(x->window, 8), "@user-7\n", 8);
        hotlog_append(x->window, &(struct hotlog_append){.rooms = &room, .room_count = 1, .offset = offset});
        hotlog_advance(x->window, 0, offset + 1);
    }
    hotlog_publish(x->window);
    hotlog_end(x->window, hotlog_head(x->window), hotlog_head(x->log));
    assert_true(client_enter(x->client, tag, 1, start, x->away, NULL, 0));
    origin_release(x->away);
    x->away = NULL;
}

static void who_is_away_asks_for_late_rooms_in_vain_until_it_is_back(void **state)
{
    struct fixture *x = *state;
    attach_reader(x);
    fall_out_of_the_log(x);
    join_late(x, "open-1", cursor_text());
    turn(x);
    assert_int_equal(x->located, 0);
    enter_again(x, 0);
    turn(x);
    assert_int_equal(x->located, 1);
    assert_heard(x, "@user-7 anew\n");
    locate_at(x, hotlog_head(x->log));
    turn(x);
    assert_heard(x, "room-joined {\"roomId\":\"open-1\"}\n");
    event(x, "user-7");
    assert_heard(x, "@user-7\n");
}

static void a_client_may_go_while_it_is_away_or_beside_itself(void **state)
{
    struct fixture *x = *state;
    attach_reader(x);
    fall_out_of_the_log(x);
    join_late(x, "open-1", cursor_text());
    create_client(x, ROOMS_MAX);
    attach_reader(x);
    join_late(x, "open-1", cursor_text());
    uint64_t tag = x->locate_tag;
    locate_at(x, 0); /* long gone: the side walk is sent away */
    origin_release(x->away);
    x->away = NULL;
    turn(x);
    assert_non_null(x->away);
    assert_int_equal(x->away_tag, tag);
    assert_int_equal(x->until, hotlog_head(x->log));
    assert_false(client_enter(x->client, tag + 1, 1, 0, x->away, NULL, 0));
    create_client(x, ROOMS_MAX);
    assert_false(client_enter(x->client, tag, 1, 0, x->away, NULL, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        stage(a_room_that_is_entered_late_brings_what_was_missed_and_is_joined_then),
        stage(a_late_room_waits_until_the_log_has_come_to_where_the_session_was),
        stage(a_late_room_without_the_right_is_refused_and_holds_nothing),
        stage(late_rooms_wait_for_each_other),
        stage(a_resume_message_whose_cursor_cannot_be_looked_up_joins_nothing),
        stage(the_end_of_a_walk_beside_comes_with_a_cursor_that_covers_it),
        stage(a_resume_message_repeats_all_rooms),
        stage(the_rights_of_a_walk_that_cannot_be_are_not_looked_after),
        stage(an_automatic_room_stays_left_when_the_walk_into_it_cannot_be),
        stage(of_more_rooms_than_one_may_stand_in_the_rest_is_refused_once),
        stage(nobody_leaves_where_everybody_stands),
        stage(who_is_away_asks_for_late_rooms_in_vain_until_it_is_back),
        stage(a_client_may_go_while_it_is_away_or_beside_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
