/* Rooms on request, and the races between commands and answers. */
#include "client_stage.h"

#include <stdio.h>

/* --- rooms on request --- */

static void a_join_is_answered_after_its_lookup(void **state)
{
    struct fixture *x = *state;
    attach_reader(x);
    join(x, "task:5");
    event(x, "task:5");
    assert_heard(x, "");
    answer(x, "member", "[5][7]", "one", "1");
    assert_heard(x, "room-joined {\"roomId\":\"task:5\"}\n");
    event(x, "task:5");
    event(x, "task:6");
    assert_heard(x, "@task:5\n");
    join(x, "task:5"); /* stands there already: no lookup */
    assert_heard(x, "room-joined {\"roomId\":\"task:5\"}\n");
    assert_int_equal(x->pending_count, 0);
    leave(x, "task:5");
    assert_heard(x, "room-left {\"roomId\":\"task:5\"}\n");
    event(x, "task:5");
    assert_heard(x, "");
}

static void a_rule_without_a_lookup_answers_at_once(void **state)
{
    struct fixture *x = *state;
    attach_as(x, "admin");
    buffer_clear(&x->said);
    join(x, "task:5");
    join(x, "open-x");
    assert_heard(x, "room-joined {\"roomId\":\"task:5\"}\nroom-joined {\"roomId\":\"open-x\"}\n");
    assert_int_equal(x->pending_count, 0);
}

static void a_foreign_room_and_none_at_all_are_refused_alike(void **state)
{
    struct fixture *x = *state;
    attach_reader(x);
    static const char expected[] =
        "error {\"code\":\"forbidden\",\"message\":\"you may not join this room\",\"roomId\":\"%s\"}\n";
    static const char *const rooms[] = {
        "user-8", "admin-orders", "city-3-orders", "nowhere", "task:", "task:a b"};
    for (size_t i = 0; i < sizeof rooms / sizeof rooms[0]; i++) {
        char text[200];
        join(x, rooms[i]);
        snprintf(text, sizeof text, expected, rooms[i]);
        assert_heard(x, text);
        event(x, rooms[i]);
        assert_heard(x, "");
    }
    join(x, "task:5");
    answer(x, "member", "[5][7]", "one", "");
    assert_heard(x,
        "error {\"code\":\"forbidden\",\"message\":\"you may not join this room\",\"roomId\":\"task:5\"}\n");
    event(x, "task:5");
    assert_heard(x, "");
}

static void a_right_that_cannot_be_looked_up_is_not_given(void **state)
{
    struct fixture *x = *state;
    attach_reader(x);
    static const enum lookup_status statuses[] = {LOOKUP_UNAVAILABLE, LOOKUP_FAILED};
    for (size_t i = 0; i < 2; i++) {
        join(x, "task:5");
        fail_lookup(x, statuses[i]);
        assert_heard(x, "error {\"code\":\"unavailable\",\"message\":\"rights cannot be looked up now; try "
                        "again\",\"roomId\":\"task:5\"}\n");
        event(x, "task:5");
        assert_heard(x, "");
    }
}

static void an_automatic_room_can_be_left_and_joined_again(void **state)
{
    struct fixture *x = *state;
    attach_reader(x);
    leave(x, "user-7");
    leave(x, "user-7"); /* where one does not stand, one has left */
    leave(x, "nowhere");
    event(x, "user-7");
    assert_heard(x, "room-left {\"roomId\":\"user-7\"}\nroom-left {\"roomId\":\"user-7\"}\nroom-left "
                    "{\"roomId\":\"nowhere\"}\n");
    join(x, "user-7");
    event(x, "user-7");
    assert_heard(x, "room-joined {\"roomId\":\"user-7\"}\n@user-7\n");
}

static void a_room_must_be_named(void **state)
{
    struct fixture *x = *state;
    attach_reader(x);
    static const char *const data[] = {"", ",\"data\":null", ",\"data\":{}", ",\"data\":{\"roomId\":5}",
        ",\"data\":{\"roomId\":null}", ",\"data\":{\"roomId\":\"\"}", ",\"data\":[\"task:5\"]",
        ",\"data\":\"task:5\"", ",\"data\":{\"roomid\":\"task:5\"}"};
    static const char *const types[] = {"join-room", "leave-room"};
    for (size_t i = 0; i < 2 * sizeof data / sizeof data[0]; i++) {
        char text[100];
        snprintf(text, sizeof text, "{\"type\":\"%s\"%s}", types[i % 2], data[i / 2]);
        command(x, text);
        assert_heard(x, "error {\"code\":\"bad_message\",\"message\":\"data.roomId must be a string of 1 to "
                        "512 bytes\"}\n");
    }
}

static void a_name_has_at_most_512_bytes(void **state)
{
    struct fixture *x = *state;
    attach_reader(x);
    char room[514];
    memset(room, 'x', sizeof room);
    memcpy(room, "open-", 5);
    room[513] = '\0';
    join(x, room);
    leave(x, room);
    assert_non_null(strstr(buffer_text(&x->said), "bad_message"));
    assert_null(strstr(buffer_text(&x->said), "room-"));
    buffer_clear(&x->said);
    room[512] = '\0';
    join(x, room);
    leave(x, room);
    assert_null(strstr(buffer_text(&x->said), "bad_message"));
}

static void names_are_quoted_in_answers(void **state)
{
    struct fixture *x = *state;
    attach_reader(x);
    join(x, "a\\\"b\\n\\u00e9");
    leave(x, "a\\\"b");
    assert_heard(x, "error {\"code\":\"forbidden\",\"message\":\"you may not join this "
                    "room\",\"roomId\":\"a\\\"b\\n\xc3\xa9\"}\n"
                    "room-left {\"roomId\":\"a\\\"b\"}\n");
}

/* --- races --- */

static void a_leave_takes_back_a_join_that_waits(void **state)
{
    struct fixture *x = *state;
    attach_reader(x);
    join(x, "task:5");
    leave(x, "task:5");
    answer(x, "member", "[5][7]", "one", "1");
    event(x, "task:5");
    assert_heard(x, "room-left {\"roomId\":\"task:5\"}\n");
    join(x, "task:5");
    leave(x, "task:5");
    join(x, "task:5"); /* and this one counts */
    buffer_clear(&x->said);
    answer(x, "member", "[5][7]", "one", "1");
    event(x, "task:5");
    assert_heard(x, "room-joined {\"roomId\":\"task:5\"}\n@task:5\n");
}

static void a_leave_takes_back_nothing_of_another_room(void **state)
{
    struct fixture *x = *state;
    attach_reader(x);
    join(x, "task:5");
    leave(x, "task:55");
    leave(x, "task:");
    buffer_clear(&x->said);
    answer(x, "member", "[5][7]", "one", "1");
    assert_heard(x, "room-joined {\"roomId\":\"task:5\"}\n");
}

static void each_of_two_joins_is_answered_but_events_come_once(void **state)
{
    struct fixture *x = *state;
    attach_reader(x);
    join(x, "task:6");
    join(x, "task:6");
    assert_int_equal(x->pending_count, 1); /* it is the same question */
    answer(x, "member", "[6][7]", "one", "1");
    event(x, "task:6");
    assert_heard(x, "room-joined {\"roomId\":\"task:6\"}\nroom-joined {\"roomId\":\"task:6\"}\n@task:6\n");
}

static void answers_may_come_in_any_order_and_twice(void **state)
{
    struct fixture *x = *state;
    attach_reader(x);
    join(x, "task:1");
    join(x, "task:2");
    uint64_t tag = x->pending[0].tag;
    answer(x, "member", "[2][7]", "one", "1");
    assert_heard(x, "room-joined {\"roomId\":\"task:2\"}\n");
    answer(x, "member", "[1][7]", "one", "");
    assert_non_null(strstr(buffer_text(&x->said), "forbidden"));
    buffer_clear(&x->said);
    lookups_answer(x->lookups, tag, LOOKUP_FAILED, NULL); /* nobody waits for it any more */
    lookups_answer(x->lookups, 123456789, LOOKUP_FAILED, NULL);
    assert_heard(x, "");
}

static void joins_that_wait_count_as_rooms(void **state)
{
    struct fixture *x = *state;
    create_client(x, 3);
    attach_reader(x); /* stands in user-7 */
    static const char refused[] = "error {\"code\":\"too_many_rooms\",\"message\":\"leave a room before "
                                  "joining another\",\"roomId\":\"%s\"}\n";
    char text[200];
    join(x, "task:1");
    join(x, "task:2");
    join(x, "task:3");
    snprintf(text, sizeof text, refused, "task:3");
    assert_heard(x, text);
    answer(x, "member", "[1][7]", "one", ""); /* a refusal makes room */
    buffer_clear(&x->said);
    join(x, "open-1");
    assert_heard(x, "room-joined {\"roomId\":\"open-1\"}\n");
    join(x, "open-2");
    snprintf(text, sizeof text, refused, "open-2");
    assert_heard(x, text);
    answer(x, "member", "[2][7]", "one", "1");
    leave(x, "user-7");
    buffer_clear(&x->said);
    join(x, "open-2");
    assert_heard(x, "room-joined {\"roomId\":\"open-2\"}\n");
    join(x, "open-2"); /* where one stands already costs nothing */
    assert_heard(x, "room-joined {\"roomId\":\"open-2\"}\n");
}

static void only_so_many_joins_may_wait_at_once(void **state)
{
    struct fixture *x = *state;
    attach_reader(x);
    for (unsigned i = 0; i < 32; i++) {
        char room[16];
        snprintf(room, sizeof room, "task:%u", i);
        join(x, room);
    }
    assert_heard(x, "");
    join(x, "task:99");
    assert_heard(x, "error {\"code\":\"unavailable\",\"message\":\"too many joins at once; wait for the "
                    "answers\",\"roomId\":\"task:99\"}\n");
    assert_int_equal(x->pending_count, 32);
    answer(x, "member", "[0][7]", "one", "1");
    join(x, "task:99");
    assert_int_equal(x->pending_count, 32);
}

static void a_client_may_go_while_lookups_are_under_way(void **state)
{
    struct fixture *x = *state;
    attach(x, "7", "7");
    create_client(x, ROOMS_MAX);
    attach_reader(x);
    join(x, "task:5");
    join(x, "task:6");
    event(x, "user-7");
    publish(x, "user-7");
    create_client(x, ROOMS_MAX);
    turn(x);
    assert_heard(x, "");
}

/* --- any order of commands and answers --- */

enum { TASKS = 4, STEPS = 20000, EXPECTED_MAX = 64 };

struct expected_join {
    unsigned task;
    bool taken_back;
};

/* The joins in the order in which they came; equal ones wait for one answer. */
struct expected {
    struct expected_join waits[EXPECTED_MAX];
    size_t count;
    bool standing[TASKS];
};

static void expect_answer(struct expected *e, unsigned task, bool allowed, struct buffer *out)
{
    size_t kept = 0;
    for (size_t i = 0; i < e->count; i++) {
        struct expected_join w = e->waits[i];
        if (w.task != task) {
            e->waits[kept++] = w;
            continue;
        }
        if (!allowed)
            buffer_print(out,
                "error {\"code\":\"forbidden\",\"message\":\"you may not join this "
                "room\",\"roomId\":\"task:%u\"}\n",
                task);
        else if (!w.taken_back)
            buffer_print(out, "room-joined {\"roomId\":\"task:%u\"}\n", task);
        e->standing[task] |= allowed && !w.taken_back;
    }
    e->count = kept;
}

static void memberships_follow_the_commands_whatever_the_order_of_answers(void **state)
{
    struct fixture *x = *state;
    attach_reader(x);
    struct expected e = {0};
    struct buffer text = {0};
    uint32_t seed = 1;
    for (unsigned step = 0; step < STEPS; step++) {
        seed = seed * 1664525 + 1013904223;
        unsigned task = (seed >> 10) % TASKS, choice = (seed >> 20) % 4;
        char room[16], event_text[20];
        buffer_clear(&text);
        snprintf(room, sizeof room, "task:%u", task);
        if (choice < 2 && e.count < 20) {
            join(x, room);
            if (e.standing[task])
                buffer_print(&text, "room-joined {\"roomId\":\"%s\"}\n", room);
            else
                e.waits[e.count++] = (struct expected_join){task, false};
        } else if (choice == 2) {
            leave(x, room);
            buffer_print(&text, "room-left {\"roomId\":\"%s\"}\n", room);
            e.standing[task] = false;
            for (size_t i = 0; i < e.count; i++)
                e.waits[i].taken_back |= e.waits[i].task == task;
        } else if (x->pending_count > 0) {
            struct pending p = take_pending(x, (seed >> 8) % x->pending_count);
            bool allowed = (seed >> 5) % 3 != 0;
            struct rows *rows = rows_create(&SLICE("one"), 1);
            if (allowed)
                rows_add(rows, &SLICE("1"));
            lookups_answer(x->lookups, p.tag, LOOKUP_OK, rows);
            rows_release(rows);
            expect_answer(&e, (unsigned)(p.params[1] - '0'), allowed, &text);
        }
        assert_heard(x, buffer_text(&text));
        event(x, room);
        snprintf(event_text, sizeof event_text, "@%s\n", room);
        assert_heard(x, e.standing[task] ? event_text : "");
    }
    buffer_finish(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        stage(a_join_is_answered_after_its_lookup),
        stage(a_rule_without_a_lookup_answers_at_once),
        stage(a_foreign_room_and_none_at_all_are_refused_alike),
        stage(a_right_that_cannot_be_looked_up_is_not_given),
        stage(an_automatic_room_can_be_left_and_joined_again),
        stage(a_room_must_be_named),
        stage(a_name_has_at_most_512_bytes),
        stage(names_are_quoted_in_answers),
        stage(a_leave_takes_back_a_join_that_waits),
        stage(a_leave_takes_back_nothing_of_another_room),
        stage(each_of_two_joins_is_answered_but_events_come_once),
        stage(answers_may_come_in_any_order_and_twice),
        stage(joins_that_wait_count_as_rooms),
        stage(only_so_many_joins_may_wait_at_once),
        stage(a_client_may_go_while_lookups_are_under_way),
        stage(memberships_follow_the_commands_whatever_the_order_of_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
