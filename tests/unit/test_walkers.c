/* Many sessions in one window: what a turn costs, who falls out, and what those who stand alike share. */
#include "unit.h"

#include "causeway/fanout.h"

#include <stdlib.h>
#include <time.h>

enum { FRAME = 16, MANY = 10000, FEW = 10, TURNS = 4000 };

struct client {
    struct session *session;
    bool full;
    size_t bytes;
    struct origin *away; /* held */
    unsigned aways, arrivals;
};

struct stage {
    struct rooms *rooms;
    struct hotlog *hot, *window;
    struct fanout *fanout;
    struct client *clients;
    size_t count;
};

static size_t on_write(void *transport, const struct iovec *parts, int count)
{
    struct client *c = transport;
    size_t total = 0;
    if (c->full)
        return 0;
    for (int i = 0; i < count; i++)
        total += parts[i].iov_len;
    c->bytes += total;
    return total;
}

static void on_keep(void *transport, const char *rest, size_t size)
{
    (void)rest;
    ((struct client *)transport)->bytes += size;
}

static void on_away(void *transport, struct session *s, struct origin *origin)
{
    struct client *c = transport;
    assert_ptr_equal(c->session, s);
    assert_null(c->away);
    c->away = origin;
    c->aways++;
}

static void on_arrived(void *transport, struct session *s)
{
    (void)s;
    ((struct client *)transport)->arrivals++;
}

static const struct transport_hooks hooks = {on_write, on_keep, NULL, on_away, on_arrived, NULL};

static void append(struct stage *x, struct hotlog *log, struct slice room, int64_t offset)
{
    uint32_t number = rooms_hold(x->rooms, 0, room);
    memset(hotlog_reserve(log, FRAME), '.', FRAME);
    hotlog_append(
        log, &(struct hotlog_append){
                 .rooms = &number, .room_count = 1, .offset = offset, .head_size = 2, .tail_size = 1});
    hotlog_advance(log, 0, offset + 1);
    hotlog_publish(log);
}

/* `count` clients whose place has left the hot log; all of them are away. The window begins at offset 0. */
static struct stage *open_stage(size_t count, uint32_t window_entries)
{
    struct stage *x = calloc(1, sizeof *x);
    x->rooms = rooms_create();
    x->hot = hotlog_create(&(struct hotlog_settings){1 << 16, 64, 1}, x->rooms);
    x->window = hotlog_create(&(struct hotlog_settings){1 << 20, window_entries, 1}, x->rooms);
    hotlog_advance(x->hot, 0, 0);
    hotlog_advance(x->window, 0, 0);
    x->fanout = fanout_create((struct hotlog *[]){x->hot, x->window}, 2, x->rooms);
    x->count = count;
    x->clients = calloc(count, sizeof *x->clients);
    for (size_t i = 0; i < count; i++) {
        struct client *c = &x->clients[i];
        c->session = session_create(x->fanout, 0, &hooks, c);
        session_join(c->session, SLICE("a"));
        session_start(c->session);
        c->full = true;
    }
    append(x, x->hot, SLICE("a"), 0);
    while (fanout_turn(x->fanout)) {
    }
    for (int64_t offset = 1; offset < 200; offset++)
        append(x, x->hot, SLICE("b"), offset);
    for (size_t i = 0; i < count; i++) {
        x->clients[i].full = false;
        session_writable(x->clients[i].session);
    }
    while (fanout_turn(x->fanout)) {
    }
    return x;
}

static void enter(struct stage *x, struct client *c)
{
    session_enter(c->session, 1, 0, c->away);
    origin_release(c->away);
    c->away = NULL;
    fanout_report(x->fanout);
}

static void close_stage(struct stage *x)
{
    for (size_t i = 0; i < x->count; i++) {
        session_destroy(x->clients[i].session);
        origin_release(x->clients[i].away);
    }
    fanout_destroy(x->fanout);
    hotlog_destroy(x->hot);
    hotlog_destroy(x->window);
    rooms_destroy(x->rooms);
    free(x->clients);
    free(x);
}

static void turns(struct stage *x)
{
    while (fanout_turn(x->fanout)) {
    }
}

static double cpu_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Seconds of CPU for turns that have a live event each, beside `count` sessions that wait in a window, one of
 * them for its socket. */
static double live_turns_beside(size_t count)
{
    struct stage *x = open_stage(count, 1024);
    struct client live = {0};
    live.session = session_create(x->fanout, 0, &hooks, &live);
    session_join(live.session, SLICE("live"));
    session_start(live.session);
    x->clients[0].full = true;
    for (size_t i = 0; i < count; i++)
        enter(x, &x->clients[i]);
    append(x, x->window, SLICE("a"), 0);
    turns(x);
    assert_int_equal(hotlog_walkers(x->window), count);
    double begun = cpu_seconds();
    for (int64_t i = 0; i < TURNS; i++) {
        append(x, x->hot, SLICE("live"), 200 + i);
        turns(x);
    }
    double seconds = cpu_seconds() - begun;
    assert_int_equal(live.bytes, TURNS * FRAME);
    assert_true(hotlog_backlog(x->window) == 0); /* in percent: the blocked one is a single entry behind */
    session_destroy(live.session);
    close_stage(x);
    return seconds;
}

static void a_turn_costs_those_it_serves_and_not_those_who_are_there(void **state)
{
    (void)state;
    double few = live_turns_beside(FEW), many = live_turns_beside(MANY);
    if (many > 10 * few)
        fail_msg("%d turns took %.4f s beside %d sessions, %.4f s beside %d", TURNS, few, FEW, many, MANY);
}

static void the_writer_is_told_of_the_one_that_is_furthest_behind(void **state)
{
    (void)state;
    struct stage *x = open_stage(7, 128);
    for (size_t i = 0; i < x->count; i++)
        enter(x, &x->clients[i]);
    for (int64_t offset = 0; offset < 64; offset++) {
        for (size_t i = 0; i < x->count; i++) /* one after the other stops reading */
            x->clients[i].full = offset >= (int64_t)(8 * (i + 1));
        append(x, x->window, SLICE("a"), offset);
        turns(x);
    }
    for (size_t i = 0; i < x->count; i++) {
        assert_int_equal(hotlog_backlog(x->window), (64 - 8 * (i + 1)) * 100 / 128);
        x->clients[i].full = false;
        session_writable(x->clients[i].session);
        turns(x);
        assert_int_equal(x->clients[i].bytes, 64 * FRAME);
    }
    assert_int_equal(hotlog_backlog(x->window), 0);
    close_stage(x);
}

static void who_falls_out_gives_up_its_place_at_once_and_asks_again_when_it_reads(void **state)
{
    (void)state;
    struct stage *x = open_stage(3, 64);
    for (size_t i = 0; i < x->count; i++) {
        assert_int_equal(x->clients[i].aways, 1);
        enter(x, &x->clients[i]);
    }
    append(x, x->window, SLICE("a"), 0);
    turns(x);
    x->clients[1].full = true;
    for (int64_t offset = 1; offset < 100; offset++) {
        append(x, x->window, SLICE("a"), offset);
        turns(x);
    }
    assert_int_equal(hotlog_walkers(x->window), 2);
    assert_int_equal(x->clients[1].aways, 1);
    x->clients[1].full = false;
    session_writable(x->clients[1].session);
    turns(x);
    assert_int_equal(x->clients[1].aways, 2);
    assert_int_equal(origin_skip(x->clients[1].away, 0), 1);
    assert_int_equal(x->clients[0].aways + x->clients[2].aways, 2);
    close_stage(x);
}

/* Partitions by turns, two entries to a record, the second of them for room b; what is in `rooms` is had. */
static void what_it_had_is_told_exactly_when_it_falls_out(void **state)
{
    (void)state;
    enum { ENTRIES = 4096, STRIDE = ENTRIES / 256, PARTITIONS = 3, BLOCKED_AT = 1000 + STRIDE / 2 + 1 };
    for (int both = 0; both < 2; both++) {
        struct stage *x = open_stage(0, 64);
        struct hotlog *hot = hotlog_create(&(struct hotlog_settings){1 << 20, ENTRIES, 1}, x->rooms);
        struct fanout *f = fanout_create(&hot, 1, x->rooms);
        struct client c = {0};
        for (uint32_t p = 0; p < PARTITIONS; p++)
            hotlog_advance(hot, p, 0);
        c.session = session_create(f, 0, &hooks, &c);
        session_join(c.session, SLICE("a"));
        if (both)
            session_join(c.session, SLICE("b"));
        session_start(c.session);
        for (int64_t n = 0; n < 2 * ENTRIES; n++) {
            uint32_t room = rooms_hold(x->rooms, 0, n % 2 ? SLICE("b") : SLICE("a"));
            memset(hotlog_reserve(hot, FRAME), '.', FRAME);
            hotlog_append(hot, &(struct hotlog_append){.partition = (uint32_t)(n / 2 % PARTITIONS),
                                   .rooms = &room,
                                   .room_count = 1,
                                   .offset = n / 2});
            if (n % 2)
                hotlog_advance(hot, (uint32_t)(n / 2 % PARTITIONS), n / 2 + 1);
            hotlog_publish(hot);
            c.full = n >= BLOCKED_AT;
            fanout_turn(f);
        }
        c.full = false;
        session_writable(c.session);
        fanout_turn(f);
        /* It has had all before this entry, which is for room b: the second of its record. */
        int64_t record = BLOCKED_AT / 2;
        for (uint32_t p = 0; p < PARTITIONS; p++) {
            bool amid = both && p == record % PARTITIONS;
            int64_t last = record - (record - p) % PARTITIONS; /* the partition's last record up to it */
            assert_int_equal(origin_skip(c.away, p), amid ? record : last + 1);
            assert_true(origin_mark(c.away, p) > last && origin_mark(c.away, p) <= last + 1 + STRIDE);
        }
        session_destroy(c.session);
        origin_release(c.away);
        fanout_destroy(f);
        hotlog_destroy(hot);
        close_stage(x);
    }
}

static void sessions_that_stand_alike_share_where_they_come_from(void **state)
{
    (void)state;
    struct stage *x = open_stage(100, 64);
    for (size_t i = 1; i < x->count; i++)
        assert_ptr_equal(x->clients[0].away, x->clients[i].away);
    struct origin *two[2];
    for (size_t i = 0; i < 2; i++) {
        two[i] = origin_create(1, false);
        two[i]->skip[0] = two[i]->mark[0] = 7;
        session_enter(x->clients[i].session, 1, 0, two[i]);
    }
    assert_true(two[0]->references > 2);
    assert_int_equal(two[1]->references, 1); /* nobody's but ours */
    origin_release(two[0]);
    origin_release(two[1]);
    close_stage(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_turn_costs_those_it_serves_and_not_those_who_are_there),
        cmocka_unit_test(the_writer_is_told_of_the_one_that_is_furthest_behind),
        cmocka_unit_test(who_falls_out_gives_up_its_place_at_once_and_asks_again_when_it_reads),
        cmocka_unit_test(what_it_had_is_told_exactly_when_it_falls_out),
        cmocka_unit_test(sessions_that_stand_alike_share_where_they_come_from),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
