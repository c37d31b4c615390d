/* Who gets an event, and who does not, story by story. */
#include "fanout_stage.h"
#include "fanout_stage_model.h"

static struct player *enter(struct world *w, size_t number, uint16_t lane, uint64_t rooms)
{
    struct player *p = &w->players[number];
    create(p, lane);
    for (unsigned i = 0; i < ROOM_NAMES; i++)
        if (rooms >> i & 1)
            join(p, i);
    start(p);
    settle(w);
    return p;
}

static void send_to(struct world *w, uint64_t rooms)
{
    append(w, &(struct event){.rooms = rooms, .size = 20});
    publish(w);
}

/* The sequence numbers of all events that have left, as text; with a star, when written anew. */
static void assert_got(struct player *p, const char *expected)
{
    struct buffer text = {0};
    size_t at = 0;
    struct buffer anew = {0};
    for (uint64_t s = 0; s < p->world->count && at < p->received.size; s++) {
        size_t size = p->world->events[s].size, i = 0;
        buffer_clear(&anew);
        write_anew(p->world, s, &anew);
        bool is_anew =
            slice_starts((struct slice){p->received.data + at, p->received.size - at}, buffer_slice(&anew));
        while (i < size && at + i < p->received.size && p->received.data[at + i] == frame_byte(s, i))
            i++;
        if (i == size || is_anew) {
            buffer_print(&text, is_anew ? "%llu* " : "%llu ", (unsigned long long)s);
            at += is_anew ? anew.size : size;
        }
    }
    buffer_finish(&anew);
    assert_int_equal(at, p->received.size);
    assert_string_equal(buffer_text(&text), expected);
    buffer_finish(&text);
}

static void an_event_reaches_those_who_stand_in_its_room(void **state)
{
    (void)state;
    struct world *w = open_world(1 << 16, 64, 100);
    w->generous = true;
    struct player *a = enter(w, 0, 0, 1), *b = enter(w, 1, 0, 2), *both = enter(w, 2, 0, 3),
                  *none = enter(w, 3, 0, 0);
    send_to(w, 1);
    send_to(w, 2);
    send_to(w, 3); /* once to who stands in both */
    send_to(w, 4);
    assert_true(fanout_pending(w->fanout));
    settle(w);
    assert_false(fanout_pending(w->fanout));
    assert_got(a, "0 2 ");
    assert_got(b, "1 2 ");
    assert_got(both, "0 1 2 ");
    assert_got(none, "");
    close_world(w);
}

static void the_same_name_on_another_lane_is_another_room(void **state)
{
    (void)state;
    struct world *w = open_world(1 << 16, 64, 100);
    w->generous = true;
    struct player *a = enter(w, 0, 0, 1), *b = enter(w, 1, 1, 1);
    append(w, &(struct event){.rooms = 1, .size = 9, .lane = 1});
    append(w, &(struct event){.rooms = 1, .size = 9, .lane = 0});
    publish(w);
    settle(w);
    assert_got(a, "1 ");
    assert_got(b, "0 ");
    close_world(w);
}

static void exceptions_are_left_out_wherever_else_they_stand(void **state)
{
    (void)state;
    struct world *w = open_world(1 << 16, 64, 100);
    w->generous = true;
    struct player *author = enter(w, 0, 0, 1 | 4), *reader = enter(w, 1, 0, 1);
    append(w, &(struct event){.rooms = 1, .except = 4, .size = 9});
    send_to(w, 1);
    settle(w);
    assert_got(author, "1 ");
    assert_got(reader, "0 1 ");
    leave(author, 2); /* judged by where one stands at delivery */
    append(w, &(struct event){.rooms = 1, .except = 4, .size = 9});
    publish(w);
    settle(w);
    assert_got(author, "1 2 ");
    close_world(w);
}

static void a_held_session_misses_nothing(void **state)
{
    (void)state;
    struct world *w = open_world(1 << 16, 64, 100);
    w->generous = true;
    struct player *p = &w->players[0];
    send_to(w, 1); /* before it came */
    settle(w);
    create(p, 0);
    send_to(w, 1);
    settle(w);
    assert_got(p, "");
    join(p, 0); /* its rights are known only now */
    send_to(w, 1);
    start(p);
    settle(w);
    assert_got(p, "1 2 ");
    close_world(w);
}

static void joining_counts_from_the_sessions_position(void **state)
{
    (void)state;
    struct world *w = open_world(1 << 16, 64, 100);
    w->generous = true;
    struct player *p = enter(w, 0, 0, 1);
    send_to(w, 2); /* passed by: a live session's position is the head */
    settle(w);
    send_to(w, 2); /* not passed by yet */
    join(p, 1);
    settle(w);
    assert_got(p, "1 ");
    w->generous = false;
    p->full = false;
    while (!p->full) { /* until the socket is full: its position stays here */
        send_to(w, 1);
        settle(w);
    }
    uint64_t stopped = p->position;
    send_to(w, 4);
    settle(w);
    join(p, 2); /* behind: what the log holds from its position on */
    w->generous = true;
    writable(p);
    settle(w);
    assert_true(p->live);
    assert_true(stopped <= w->count - 1);
    check_stream(p);
    assert_memory_equal(p->received.data + p->received.size - 20, ((char[]){frame_byte(w->count - 1, 0)}), 1);
    close_world(w);
}

static void leaving_takes_what_is_pending(void **state)
{
    (void)state;
    struct world *w = open_world(1 << 16, 64, 100);
    w->generous = true;
    struct player *p = enter(w, 0, 0, 3);
    send_to(w, 1);
    send_to(w, 2);
    leave(p, 0);
    settle(w);
    assert_got(p, "1 ");
    close_world(w);
}

static void a_frozen_session_gets_nothing_and_misses_nothing(void **state)
{
    (void)state;
    struct world *w = open_world(1 << 16, 8, 100);
    w->generous = true;
    struct player *p = enter(w, 0, 0, 3);
    freeze(p, true);
    send_to(w, 1);
    send_to(w, 2);
    settle(w);
    session_writable(p->session);
    settle(w);
    assert_got(p, "");
    leave(p, 0); /* what turned out meanwhile: nothing of that is pending */
    freeze(p, false);
    send_to(w, 2);
    settle(w);
    assert_got(p, "1 2 ");
    freeze(p, true);
    for (int i = 0; i < 20; i++) {
        send_to(w, 2);
        settle(w);
    }
    assert_int_equal(w->aways, 0); /* it goes away when it may walk again */
    freeze(p, false);
    settle(w);
    assert_int_equal(w->aways, 1);
    close_world(w);
}

static void ephemeral_events_are_for_those_who_are_live(void **state)
{
    (void)state;
    struct world *w = open_world(1 << 16, 64, 100);
    w->generous = true;
    struct player *live = enter(w, 0, 0, 1), *late = &w->players[1];
    create(late, 0);
    join(late, 0);
    append(w, &(struct event){.rooms = 1, .size = 9, .ephemeral = true});
    append(w, &(struct event){.rooms = 1, .size = 9});
    publish(w);
    turn(w);
    start(late);
    settle(w);
    append(w, &(struct event){.rooms = 1, .size = 9, .ephemeral = true});
    publish(w);
    settle(w);
    assert_got(live, "0 1 2 ");
    assert_got(late, "1 2 ");
    close_world(w);
}

static void who_stands_before_the_log_is_sent_away(void **state)
{
    (void)state;
    struct world *w = open_world(1 << 16, 8, 100);
    w->generous = true;
    struct player *p = enter(w, 0, 0, 1), *late = &w->players[1];
    create(late, 0);
    join(late, 0);
    for (int i = 0; i < 30; i++) {
        send_to(w, 1);
        settle(w);
    }
    assert_int_equal(w->aways, 0); /* who keeps up stays */
    start(late);
    settle(w);
    assert_int_equal(w->aways, 1);
    assert_got(late, "22* 23* 24* 25* 26* 27* 28* 29* ");
    send_to(w, 1);
    settle(w);
    assert_got(late, "22* 23* 24* 25* 26* 27* 28* 29* 30 "); /* like every other */
    assert_true(late->arrived && p->arrived);
    close_world(w);
}

static void a_loop_that_was_overtaken_sends_its_live_sessions_away(void **state)
{
    (void)state;
    struct world *w = open_world(1 << 16, 8, 100);
    w->generous = true;
    struct player *a = enter(w, 0, 0, 1), *b = enter(w, 1, 0, 2);
    for (int i = 0; i < 20; i++)
        append(w, &(struct event){.rooms = 1 + (uint64_t)i % 2, .size = 9});
    publish(w);
    settle(w);
    assert_int_equal(w->aways, 2);
    assert_got(a, "12* 14* 16* 18* ");
    assert_got(b, "13* 15* 17* 19* ");
    close_world(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_event_reaches_those_who_stand_in_its_room),
        cmocka_unit_test(the_same_name_on_another_lane_is_another_room),
        cmocka_unit_test(exceptions_are_left_out_wherever_else_they_stand),
        cmocka_unit_test(a_held_session_misses_nothing),
        cmocka_unit_test(joining_counts_from_the_sessions_position),
        cmocka_unit_test(leaving_takes_what_is_pending),
        cmocka_unit_test(a_frozen_session_gets_nothing_and_misses_nothing),
        cmocka_unit_test(ephemeral_events_are_for_those_who_are_live),
        cmocka_unit_test(who_stands_before_the_log_is_sent_away),
        cmocka_unit_test(a_loop_that_was_overtaken_sends_its_live_sessions_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
