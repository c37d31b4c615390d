/* What those behind get of a turn, beside the live ones. */
#include "unit.h"

#include "causeway/fanout.h"

/* Of many that are behind, each gets its share before any gets a second one, and who is live does not wait
 * for them. */
static struct {
    struct session *session;
    unsigned writes;
} crowd[300];

static bool was_live_write;

static size_t crowd_write(void *transport, const struct iovec *parts, int count)
{
    size_t number = (size_t)(uintptr_t)transport, total = 0;
    for (int i = 0; i < count; i++)
        total += parts[i].iov_len;
    crowd[number].writes++;
    was_live_write |= session_is_live(crowd[number].session);
    return total;
}

static void crowd_arrived(void *transport, struct session *session)
{
    assert_ptr_equal(crowd[(size_t)(uintptr_t)transport].session, session);
}

static const struct transport_hooks crowd_hooks = {crowd_write, NULL, NULL, NULL, crowd_arrived, NULL};

static void those_behind_take_turns_and_the_live_do_not_wait(void **state)
{
    (void)state;
    enum { CROWD = 299, FRAME = 4096, FRAMES = 100 };
    struct rooms *rooms = rooms_create();
    struct hotlog *log = hotlog_create(&(struct hotlog_settings){1 << 20, 1024, 1}, rooms);
    struct fanout *f = fanout_create(&log, 1, rooms);
    memset(crowd, 0, sizeof crowd);
    for (size_t i = 0; i <= CROWD; i++) {
        crowd[i].session = session_create(f, 0, &crowd_hooks, (void *)(uintptr_t)i);
        session_join(crowd[i].session, SLICE("all"));
    }
    session_start(crowd[CROWD].session); /* the one that is live */
    while (fanout_turn(f)) {
    }
    for (unsigned i = 0; i < FRAMES; i++) {
        memset(hotlog_reserve(log, FRAME), 'x', FRAME);
        hotlog_append(log,
            &(struct hotlog_append){
                .rooms = (uint32_t[]){rooms_hold(rooms, 0, SLICE("all"))}, .room_count = 1, .offset = i});
    }
    hotlog_publish(log);
    while (fanout_turn(f)) {
    }
    for (size_t i = 0; i < CROWD; i++)
        session_start(crowd[i].session);
    unsigned turns = 0;
    for (bool more = true; more; turns++) {
        fanout_counts(f);
        memset(hotlog_reserve(log, 10), 'y', 10);
        hotlog_append(log, &(struct hotlog_append){.rooms = (uint32_t[]){rooms_hold(rooms, 0, SLICE("all"))},
                               .room_count = 1,
                               .offset = FRAMES + turns});
        hotlog_publish(log);
        was_live_write = false;
        more = fanout_turn(f);
        assert_true(was_live_write); /* the newest event has gone out in this very turn */
        assert_true(fanout_counts(f).bytes < 3 << 20);
        unsigned least = UINT32_MAX, most = 0;
        for (size_t i = 0; i < CROWD; i++) {
            if (session_is_live(crowd[i].session))
                continue;
            least = crowd[i].writes < least ? crowd[i].writes : least;
            most = crowd[i].writes > most ? crowd[i].writes : most;
        }
        assert_true(most == 0 || most - least <= 1);
        assert_true(turns < 200);
    }
    assert_true(turns > 20);
    for (size_t i = 0; i <= CROWD; i++) {
        assert_true(session_is_live(crowd[i].session));
        session_destroy(crowd[i].session);
    }
    fanout_destroy(f);
    hotlog_destroy(log);
    rooms_destroy(rooms);
}

static void append_for_all(struct hotlog *log, struct rooms *rooms, unsigned count, size_t size)
{
    for (unsigned i = 0; i < count; i++) {
        memset(hotlog_reserve(log, size), 'x', size);
        hotlog_append(log, &(struct hotlog_append){.rooms = (uint32_t[]){rooms_hold(rooms, 0, SLICE("all"))},
                               .room_count = 1,
                               .offset = (int64_t)hotlog_next(log)});
    }
    hotlog_publish(log);
}

/* A loop whose live sessions fill all its turns still catches up with those who were cut. */
static void those_behind_get_as_much_of_a_turn_as_the_live(void **state)
{
    (void)state;
    enum { LIVE = 160, CROWD = 299, FRAME = 4096 };
    struct rooms *rooms = rooms_create();
    struct hotlog *log = hotlog_create(&(struct hotlog_settings){1 << 20, 1024, 1}, rooms);
    struct fanout *f = fanout_create(&log, 1, rooms);
    memset(crowd, 0, sizeof crowd);
    for (size_t i = 0; i < CROWD; i++) {
        crowd[i].session = session_create(f, 0, &crowd_hooks, (void *)(uintptr_t)i);
        session_join(crowd[i].session, SLICE("all"));
        if (i < LIVE)
            session_start(crowd[i].session);
    }
    while (fanout_turn(f)) {
    }
    append_for_all(log, rooms, 40, FRAME);
    while (fanout_turn(f)) {
    }
    for (size_t i = LIVE; i < CROWD; i++)
        session_start(crowd[i].session);
    append_for_all(log, rooms, 10, FRAME);
    fanout_counts(f);
    fanout_turn(f);
    uint64_t live = (uint64_t)LIVE * 10 * FRAME, all = fanout_counts(f).bytes;
    assert_true(all >= 2 * live && all < 2 * live + (1 << 20));
    for (size_t i = 0; i < CROWD; i++)
        session_destroy(crowd[i].session);
    fanout_destroy(f);
    hotlog_destroy(log);
    rooms_destroy(rooms);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(those_behind_take_turns_and_the_live_do_not_wait),
        cmocka_unit_test(those_behind_get_as_much_of_a_turn_as_the_live),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
