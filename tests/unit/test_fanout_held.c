/* A session that is held for a side walk, while the log moves on. */
#include "unit.h"

#include "causeway/fanout.h"

enum { ENTRIES = 4096, FRAME = 16 };

static struct origin *gone_to;
static unsigned deliveries;

static size_t on_write(void *transport, const struct iovec *parts, int count)
{
    size_t total = 0;
    (void)transport;
    for (int i = 0; i < count; i++)
        total += parts[i].iov_len;
    deliveries += (unsigned)(total / FRAME);
    return total;
}

static void on_away(void *transport, struct session *s, struct origin *origin)
{
    (void)transport;
    (void)s;
    assert_null(gone_to);
    gone_to = origin;
}

static void on_arrived(void *transport, struct session *s)
{
    (void)transport;
    (void)s;
}

static const struct transport_hooks hooks = {.write = on_write, .away = on_away, .arrived = on_arrived};

static void append(struct hotlog *log, struct rooms *rooms, int64_t from, int64_t to)
{
    for (int64_t offset = from; offset < to; offset++) {
        memset(hotlog_reserve(log, FRAME), 'x', FRAME);
        hotlog_append(log, &(struct hotlog_append){.rooms = (uint32_t[]){rooms_hold(rooms, 0, SLICE("all"))},
                               .room_count = 1,
                               .offset = offset});
        hotlog_advance(log, 0, offset + 1);
    }
    hotlog_publish(log);
}

/* It had all up to its place, and gets nothing of that again. */
static void its_place_is_known_exactly_when_the_log_has_left_it_behind(void **state)
{
    (void)state;
    struct rooms *rooms = rooms_create();
    struct hotlog *log = hotlog_create(&(struct hotlog_settings){1 << 20, ENTRIES, 1}, rooms);
    struct fanout *f = fanout_create(&log, 1, rooms);
    struct session *s = session_create(f, 0, &hooks, NULL);
    session_join(s, SLICE("all"));
    hotlog_advance(log, 0, 0);
    session_start(s);
    append(log, rooms, 0, 1009); /* amid two of the places that the log remembers */
    while (fanout_turn(f)) {
    }
    assert_int_equal(deliveries, 1009);
    assert_true(session_hold(s));
    for (int64_t at = 1009; at < 3 * ENTRIES; at += 50) {
        append(log, rooms, at, at + 50);
        while (fanout_turn(f)) {
        }
    }
    assert_true(hotlog_tail(log) > 1009);
    session_release(s);
    while (fanout_turn(f)) {
    }
    assert_int_equal(deliveries, 1009);
    assert_non_null(gone_to);
    assert_int_equal(origin_skip(gone_to, 0), 1009);
    origin_release(gone_to);
    gone_to = NULL;
    session_destroy(s);
    fanout_destroy(f);
    hotlog_destroy(log);
    rooms_destroy(rooms);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(its_place_is_known_exactly_when_the_log_has_left_it_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
