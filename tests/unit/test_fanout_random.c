/* The fan-out through thousands of random steps. */
#include "fanout_stage.h"
#include "fanout_stage_model.h"

/* --- what happens --- */

static uint64_t draw_rooms(struct world *w, unsigned most)
{
    uint64_t bits = 0;
    for (unsigned i = 1 + next_random(w) % most; i-- > 0;)
        bits |= (uint64_t)1 << (one_in(w, 2) ? next_random(w) % 4 : next_random(w) % ROOM_NAMES);
    return bits;
}

static void append_random(struct world *w)
{
    append(w, &(struct event){
                  .rooms = draw_rooms(w, one_in(w, 3) ? 6 : 1),
                  .except = one_in(w, 6) ? draw_rooms(w, 2) : 0,
                  .size = 1 + next_random(w) % w->frame_max,
                  .lane = (uint16_t)one_in(w, 4),
                  .ephemeral = one_in(w, 7),
              });
}

/* --- thousands of random steps --- */

static void change_rooms(struct player *p)
{
    struct world *w = p->world;
    unsigned room = one_in(w, 2) ? next_random(w) % 4 : next_random(w) % ROOM_NAMES;
    char text[16];
    if (one_in(w, 2))
        join(p, room);
    else
        leave(p, room);
    room = next_random(w) % ROOM_NAMES;
    assert_int_equal(session_stands_in(p->session, name_of(text, room)), p->rooms >> room & 1);
    assert_int_equal(session_rooms(p->session), __builtin_popcountll(p->rooms));
}

static void touch_player(struct player *p)
{
    struct world *w = p->world;
    if (!p->session) {
        create(p, (uint16_t)one_in(w, 3));
        for (unsigned i = next_random(w) % 4; i-- > 0;)
            change_rooms(p);
        if (one_in(w, 2))
            start(p);
        return;
    }
    if (one_in(w, 60))
        destroy(p); /* live, ready, blocked or held */
    else if (p->held && one_in(w, 3))
        start(p);
    else if (p->full ? one_in(w, 4) : one_in(w, 50)) /* now and then one that nobody waits for */
        p->full ? writable(p) : session_writable(p->session);
    else if (p->frozen ? one_in(w, 3) : one_in(w, 20))
        freeze(p, !p->frozen);
    else if (one_in(w, 3))
        change_rooms(p);
}

static void run_random(struct world *w, unsigned steps, unsigned batch, unsigned burst)
{
    for (unsigned step = 0; step < steps; step++) {
        for (size_t i = 0; i < PLAYERS; i++)
            if (one_in(w, 3))
                touch_player(&w->players[i]);
        for (unsigned i = next_random(w) % (one_in(w, 40) ? burst : batch); i-- > 0;)
            append_random(w);
        publish(w);
        if (!one_in(w, 5)) /* sometimes more comes before the loop turns */
            turn(w);
    }
    w->generous = true;
    for (size_t i = 0; i < PLAYERS; i++) {
        struct player *p = &w->players[i];
        if (p->session && p->held)
            start(p);
        if (p->session && p->full)
            writable(p);
        if (p->session && p->frozen)
            freeze(p, false);
    }
    settle(w);
    for (size_t i = 0; i < PLAYERS; i++) {
        struct player *p = &w->players[i];
        if (!p->session)
            continue;
        assert_true(p->live);
        assert_int_equal(p->position, w->head);
    }
    assert_true(w->cuts > 20 && w->boundaries > 5 && w->refusals > 20 && w->ephemerals_skipped > 0);
}

static void random_streams_over_a_tiny_log(void **state)
{
    (void)state;
    struct world *w = open_world(1 << 16, 16, 200);
    run_random(w, 15000, 5, 60);
    assert_true(w->aways > 100 && w->all_behind > 50 && w->rewritten > 500);
    close_world(w);
}

static void random_streams_over_a_small_log(void **state)
{
    (void)state;
    struct world *w = open_world(1 << 14, 256, 120);
    run_random(w, 8000, 12, 400);
    assert_true(w->aways > 20 && w->rewritten > 500);
    close_world(w);
}

static void random_streams_with_large_frames(void **state)
{
    (void)state;
    struct world *w = open_world(1 << 20, 4096, 8000);
    run_random(w, 700, 12, 150);
    assert_true(w->chunks_by_bytes > 5);
    close_world(w);
}

static void random_streams_with_many_small_frames(void **state)
{
    (void)state;
    struct world *w = open_world(1 << 20, 16384, 12);
    run_random(w, 900, 100, 8000);
    assert_true(w->chunks_by_frames + w->chunks_by_parts > 5 && w->chunks_by_parts > 0);
    close_world(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_streams_over_a_tiny_log),
        cmocka_unit_test(random_streams_over_a_small_log),
        cmocka_unit_test(random_streams_with_large_frames),
        cmocka_unit_test(random_streams_with_many_small_frames),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
