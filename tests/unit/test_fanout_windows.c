/* Sessions that come from elsewhere: by way of windows to the head, through thousands of random steps. */
#include "fanout_windows_stage.h"
#include "fanout_windows_stage_client.h"
#include "fanout_windows_stage_sweep.h"

#include <stdlib.h>

/* --- players --- */

static void join_rooms(struct session *s, uint32_t rooms)
{
    char text[16];
    for (unsigned i = 0; i < ROOM_NAMES; i++)
        if (rooms >> i & 1)
            session_join(s, name_of(text, i));
}

static uint32_t draw_rooms(struct world *w)
{
    return 1 + next_random(w) % ((1U << ROOM_NAMES) - 1);
}

static void create(struct player *p)
{
    struct world *w = p->world;
    p->session = session_create(w->fanout, w->lane, &player_hooks, p);
    p->rooms = draw_rooms(w);
    p->arrived = p->refused = p->full = false;
    memset(p->had, 0, sizeof p->had);
    memset(p->had_below, 0, sizeof p->had_below);
    for (uint32_t i = 0; i < PARTITIONS; i++)
        p->last[i] = -1;
    join_rooms(p->session, p->rooms);
}

/* All before this place was had, in an earlier life. */
static void had_before(struct player *p, const int64_t place[PARTITIONS])
{
    memcpy(p->had_below, place, sizeof p->had_below);
    for (uint32_t i = 0; i < p->world->count; i++) {
        const struct event *e = &p->world->events[i];
        p->had[i].count = e->offset < place[e->partition];
    }
}

static void start_now(struct player *p)
{
    uint64_t position = session_position(p->session);
    for (uint32_t i = 0; i < position; i++)
        p->had[i].count = 1;
    session_start(p->session);
}

/* Some place that another log may have come to: any prefix of each partition. What the cursor says of it is
 * below in `skip`, above in `mark`. */
static struct origin *draw_origin(struct world *w, int64_t place[PARTITIONS], bool ahead)
{
    struct origin *o = origin_create(PARTITIONS, false);
    int64_t back = (int64_t)(next_random(w) % (one_in(w, 3) ? 20 : 200));
    for (uint32_t i = 0; i < PARTITIONS; i++) {
        place[i] = w->next[i] - (back + (int64_t)(next_random(w) % 15));
        if (ahead) /* this log has not come so far yet */
            place[i] = w->next[i] + (int64_t)(next_random(w) % 20);
        if (place[i] < 0)
            place[i] = 0;
        bool exact = one_in(w, 2);
        o->skip[i] = exact ? place[i] : place[i] - (int64_t)(next_random(w) % 10);
        o->mark[i] = exact ? place[i] : place[i] + (int64_t)(next_random(w) % 10);
        if (o->skip[i] < 0)
            o->skip[i] = 0;
    }
    return o;
}

static void start_from_elsewhere(struct player *p)
{
    int64_t place[PARTITIONS];
    struct origin *o = draw_origin(p->world, place, one_in(p->world, 3));
    had_before(p, place);
    session_set_origin(p->session, o);
    origin_release(o);
    session_start(p->session);
}

static void start_exactly(struct player *p)
{
    struct world *w = p->world;
    uint64_t back = next_random(w) % 100, head = hotlog_head(w->hot);
    uint64_t position = head > back ? head - back : 0;
    for (uint32_t i = 0; i < position; i++)
        p->had[i].count = 1;
    session_set_position(p->session, position);
    session_start(p->session);
}

/* A cursor is looked up when the log has come to where it stands: it leads nowhere beyond the session. */
static void draw_back(struct world *w, struct origin *o, int64_t place[PARTITIONS], uint64_t position)
{
    for (uint64_t i = position; i < w->count; i++) {
        const struct event *e = &w->events[i];
        int64_t *values[] = {&place[e->partition], &o->skip[e->partition]};
        for (size_t n = 0; n < 2; n++)
            if (*values[n] > e->offset)
                *values[n] = e->offset;
    }
}

/* Another room, from some place on, beside the session itself. */
static void begin_side(struct player *p)
{
    struct world *w = p->world;
    uint32_t more = draw_rooms(w) & ~p->rooms;
    int64_t place[PARTITIONS];
    if (p->side || p->away || !session_is_live(p->session) || !more)
        return;
    p->refused = !session_hold(p->session);
    if (p->refused)
        return;
    p->side = session_side(p->session, session_position(p->session));
    p->side_rooms = more;
    join_rooms(p->side, more);
    struct origin *o = draw_origin(w, place, false);
    draw_back(w, o, place, session_position(p->session));
    uint64_t position = session_position(p->session);
    position -= next_random(w) % (position / 2 + 1);
    bool exact = one_in(w, 3);
    for (uint32_t i = 0; i < w->count; i++) { /* what is not asked for */
        const struct event *e = &w->events[i];
        if (!concerns(e, p->rooms) && (exact ? i < position : e->offset < place[e->partition]))
            p->had[i].count = 1;
    }
    if (exact)
        session_set_side_position(p->side, position);
    else
        session_set_origin(p->side, o);
    origin_release(o);
    session_start(p->side);
    w->sides++;
}

static void destroy(struct player *p)
{
    session_destroy(p->side);
    session_destroy(p->session);
    origin_release(p->away);
    origin_release(p->side_away);
    buffer_finish(&p->stream);
    p->full = false;
    p->session = p->side = NULL;
    p->away = p->side_away = NULL;
}

static void writable(struct player *p)
{
    p->full = false;
    session_writable(p->session);
    if (p->side)
        session_writable(p->side);
}

static void touch(struct player *p)
{
    struct world *w = p->world;
    if (!p->session) {
        static void (*const starts[])(struct player *) = {start_now, start_from_elsewhere, start_exactly};
        create(p);
        starts[next_random(w) % 3](p);
    } else if (one_in(w, 150)) {
        destroy(p);
    } else if (p->full && one_in(w, 3)) {
        writable(p);
    } else if (one_in(w, 20)) {
        begin_side(p);
    }
}

/* Everything that concerns it, since it came, has been had. */
static void check_complete(struct player *p)
{
    struct world *w = p->world;
    for (uint32_t i = 0; i < w->count; i++)
        if (!w->events[i].ephemeral && concerns(&w->events[i], p->rooms) && !p->had[i].count)
            fail_msg("player %d never had event %u", (int)(p - w->players), i);
}

/* --- the stage --- */

static struct world *open_world(uint32_t hot_entries, uint32_t window_entries, uint32_t seed)
{
    struct world *w = calloc(1, sizeof *w);
    struct hotlog *logs[LOGS];
    *w = (struct world){.rooms = rooms_create(), .seed = seed};
    w->events = calloc(EVENTS_MAX, sizeof *w->events);
    w->hot = logs[0] = hotlog_create(&(struct hotlog_settings){1 << 18, hot_entries, 1}, w->rooms);
    for (unsigned i = 0; i < WINDOWS; i++) {
        w->sweeps[i].log = hotlog_create(&(struct hotlog_settings){1 << 16, window_entries, 1}, w->rooms);
        logs[i + 1] = w->sweeps[i].log;
    }
    for (uint32_t i = 0; i < PARTITIONS; i++)
        hotlog_advance(w->hot, i, 0);
    w->fanout = fanout_create(logs, LOGS, w->rooms);
    for (size_t i = 0; i < PLAYERS; i++)
        w->players[i].world = w;
    return w;
}

static void close_world(struct world *w)
{
    for (size_t i = 0; i < PLAYERS; i++)
        destroy(&w->players[i]);
    fanout_destroy(w->fanout);
    hotlog_destroy(w->hot);
    for (unsigned i = 0; i < WINDOWS; i++)
        hotlog_destroy(w->sweeps[i].log);
    rooms_destroy(w->rooms);
    free(w->events);
    free(w);
}

static void step(struct world *w)
{
    for (unsigned i = 0; i < WINDOWS; i++)
        run_sweep(w, &w->sweeps[i]);
    if (!one_in(w, 4))
        fanout_turn(w->fanout);
}

/* As when the catalogue is exchanged: what the logs hold is walked by nobody any more. */
static void leave_past(struct world *w)
{
    hotlog_publish(w->hot);
    fanout_turn(w->fanout);
    fanout_leave_past(w->fanout);
    w->lane ^= 1;
    for (size_t i = 0; i < PLAYERS; i++) {
        if (w->players[i].session)
            session_change_lane(w->players[i].session, w->lane);
        if (w->players[i].side)
            session_change_lane(w->players[i].side, w->lane);
    }
    hotlog_empty(w->hot);
    assert_int_equal(hotlog_tail(w->hot), hotlog_head(w->hot));
    for (unsigned i = 0; i < WINDOWS; i++) {
        if (w->sweeps[i].state != FILLING && w->sweeps[i].state != ENDED)
            continue;
        hotlog_evict_all(w->sweeps[i].log);
        w->sweeps[i].state = CLEARING;
    }
}

static bool is_settled(const struct world *w)
{
    for (size_t i = 0; i < PLAYERS; i++) {
        const struct player *p = &w->players[i];
        if (p->session && (p->side || !p->arrived || p->away || fanout_pending(w->fanout)))
            return false;
    }
    for (unsigned i = 0; i < WINDOWS; i++)
        if (w->sweeps[i].state != IDLE)
            return false;
    return true;
}

static void settle(struct world *w)
{
    w->generous = true;
    w->brutal = false;
    for (size_t i = 0; i < PLAYERS; i++)
        if (w->players[i].full)
            writable(&w->players[i]);
    for (unsigned i = 0; !is_settled(w); i++) {
        step(w);
        assert_true(i < 20000);
    }
    for (size_t i = 0; i < PLAYERS; i++)
        if (w->players[i].session)
            check_complete(&w->players[i]);
}

static void run_random(struct world *w, unsigned steps)
{
    for (unsigned i = 0; i < steps; i++) {
        for (size_t j = 0; j < PLAYERS; j++)
            if (one_in(w, 4))
                touch(&w->players[j]);
        if (one_in(w, 4))
            for (unsigned n = next_random(w) % (one_in(w, 30) ? 40 : 4); n-- > 0;)
                produce(w);
        hotlog_publish(w->hot);
        if (w->leaves_past && one_in(w, w->leaves_past))
            leave_past(w);
        step(w);
    }
    settle(w);
}

static void nothing_is_lost_and_repeats_are_marked(void **state)
{
    (void)state;
    unsigned repeats = 0, deliveries = 0, along = 0;
    for (uint32_t seed = 1; seed <= 12; seed++) {
        struct world *w = open_world(64, 64, seed * 7919);
        run_random(w, 2500);
        assert_true(w->aways > 20 && w->sweeps_begun > 10 && w->sides > 5);
        assert_true(w->plain > 500 && w->replayed > 100 && w->redelivered > 20 && w->backfilled > 50);
        assert_true(w->promises > 100);
        repeats += w->repeats;
        deliveries += w->plain + w->replayed + w->redelivered;
        along += w->along;
        close_world(w);
    }
    assert_true(along > 0);
    assert_true(repeats > 0 && repeats < deliveries / 5);
}

static void so_it_is_when_windows_do_not_wait_for_those_who_walk_them(void **state)
{
    (void)state;
    unsigned late = 0;
    for (uint32_t seed = 1; seed <= 12; seed++) {
        struct world *w = open_world(32, 16, seed * 104729);
        w->brutal = true;
        run_random(w, 2000);
        assert_true(w->aways > 50 && w->sweeps_begun > 10);
        late += w->window_aways;
        close_world(w);
    }
    assert_true(late > 0);
}

static void so_it_is_when_the_past_is_left(void **state)
{
    (void)state;
    unsigned repeats = 0, deliveries = 0;
    for (uint32_t seed = 1; seed <= 12; seed++) {
        struct world *w = open_world(512, 64, seed * 15485863);
        w->leaves_past = 40;
        run_random(w, 2000);
        assert_true(w->aways > 20 && w->sweeps_begun > 10 && w->sides > 5);
        repeats += w->repeats;
        deliveries += w->plain + w->replayed + w->redelivered;
        close_world(w);
    }
    assert_true(repeats < deliveries / 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_lost_and_repeats_are_marked),
        cmocka_unit_test(so_it_is_when_windows_do_not_wait_for_those_who_walk_them),
        cmocka_unit_test(so_it_is_when_the_past_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
