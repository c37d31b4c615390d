/* Windows, which begin anew, and how far readers are behind. */
#include "hotlog_stage.h"

#include "causeway/hotlog.h"

/* --- windows --- */

static void what_is_evicted_at_once_leaves_nobody_at_the_head(void **state)
{
    (void)state;
    struct fixture x;
    open_log(&x, ARENA, 16);
    for (unsigned i = 0; i < 10; i++)
        append_to(&x, 1, 100);
    publish(&x);
    uint64_t head = hotlog_head(x.log);
    hotlog_end(x.log, head, 12345);
    uint64_t next = 0;
    assert_true(hotlog_ended(x.log, head, &next));
    assert_int_equal(next, 12345);
    assert_false(hotlog_ended(x.log, head - 1, &next));
    hotlog_evict_all(x.log);
    assert_false(hotlog_ended(x.log, head, NULL)); /* what comes next is another stretch */
    assert_true(hotlog_tail(x.log) > head);
    assert_int_equal(hotlog_head(x.log), hotlog_tail(x.log));
    assert_int_equal(hotlog_next(x.log), hotlog_tail(x.log));
    assert_int_equal(rooms_count(x.rooms), 0);
    hotlog_evict_all(x.log); /* an empty one too */
    assert_true(hotlog_tail(x.log) > head + 1);
    close_log(&x);
}

static void a_window_begins_anew_without_its_past(void **state)
{
    (void)state;
    struct fixture x;
    open_log(&x, ARENA, 8);
    int64_t place[2];
    for (uint64_t round = 0; round < 3; round++) {
        hotlog_restart(x.log);
        assert_int_equal(hotlog_place_count(x.log), 0);
        uint64_t start = hotlog_next(x.log);
        int64_t begin = 5000 - 1000 * (int64_t)round; /* each one further back than the one before */
        hotlog_advance(x.log, 0, begin);
        hotlog_advance(x.log, 1, 7);
        for (int64_t i = 0; i < 20; i++) {
            x.count = hotlog_next(x.log);
            append(&x, &(struct model_entry){.size = 10, .offset = begin + i});
            hotlog_advance(x.log, 0, begin + i + 1);
        }
        hotlog_publish(x.log);
        assert_int_equal(hotlog_place_before(x.log, start, place, 2), start);
        assert_true(place[0] == begin && place[1] == 7);
        assert_int_equal(hotlog_place_before(x.log, start + 5, place, 2), start + 5);
        assert_int_equal(place[0], begin + 5);
        assert_int_equal(hotlog_enter(x.log, (int64_t[]){begin + 3, 7}, 2), start + 3);
        assert_int_equal(hotlog_enter(x.log, (int64_t[]){begin - 1, 7}, 2), HOTLOG_NOWHERE);
        assert_int_equal(hotlog_beyond(x.log, (int64_t[]){begin + 3, 7}, 2), start + 3);
        hotlog_evict_all(x.log);
    }
    close_log(&x);
}

static void walkers_are_counted_over_all_readers(void **state)
{
    (void)state;
    struct fixture x;
    open_log(&x, ARENA, 16);
    struct hotlog_reader *other = hotlog_reader_create(x.log);
    assert_int_equal(hotlog_walkers(x.log), 0);
    hotlog_done_by(x.reader, 0, 3, 1);
    hotlog_done_by(other, UINT64_MAX, 0, 0);
    assert_int_equal(hotlog_walkers(x.log), 3);
    for (unsigned i = 0; i < 4; i++)
        append_to(&x, 1, 10);
    assert_int_equal(hotlog_backlog(x.log), 25); /* who does not walk it is not waited for */
    hotlog_done_by(other, 2, 4, 4);
    hotlog_done_by(x.reader, UINT64_MAX, 0, 0);
    assert_int_equal(hotlog_walkers(x.log), 4);
    assert_int_equal(hotlog_backlog(x.log), 12);
    assert_int_equal(hotlog_fill(x.log, 1), 18);
    assert_int_equal(hotlog_fill(x.log, 4), 0);
    publish(&x);
    close_log(&x);
}

/* --- backlog --- */

static void the_backlog_is_what_the_slowest_reader_has_not_seen(void **state)
{
    (void)state;
    struct fixture x;
    open_log(&x, 4096, 128);
    struct hotlog_reader *other = hotlog_reader_create(x.log);
    assert_int_equal(hotlog_backlog(x.log), 0);
    for (unsigned i = 0; i < 64; i++)
        append_to(&x, 1, 8);
    assert_int_equal(hotlog_backlog(x.log), 50); /* by entries; unpublished ones count */
    publish(&x);
    hotlog_done(x.reader, 64);
    assert_int_equal(hotlog_backlog(x.log), 50);
    hotlog_done(other, 32);
    assert_int_equal(hotlog_backlog(x.log), 25);
    hotlog_done(other, 64);
    assert_int_equal(hotlog_backlog(x.log), 0);
    append_to(&x, 1, 2048);
    assert_int_equal(hotlog_backlog(x.log), 50); /* by bytes */
    publish(&x);
    hotlog_done(x.reader, 65);
    hotlog_done(other, 65);
    assert_int_equal(hotlog_backlog(x.log), 0);
    close_log(&x);
}

static void a_reader_that_lost_its_place_holds_nobody_up(void **state)
{
    (void)state;
    struct fixture x;
    open_log(&x, ARENA, 16);
    for (unsigned i = 0; i < 40; i++) {
        append_to(&x, 1, 8);
        publish(&x);
        assert_int_equal(hotlog_backlog(x.log), i < 16 ? (i + 1) * 100 / 16 : 0);
    }
    struct hotlog_reader *late = hotlog_reader_create(x.log); /* begins at the head */
    assert_int_equal(hotlog_backlog(x.log), 0);
    append_to(&x, 1, 8);
    assert_int_equal(hotlog_backlog(x.log), 100 / 16);
    hotlog_done(late, 41);
    assert_int_equal(hotlog_backlog(x.log), 0);
    close_log(&x);
}

static void a_writer_that_will_not_wait_sheds_what_is_oldest(void **state)
{
    (void)state;
    struct fixture x;
    open_log(&x, ARENA, 1024);
    hotlog_shed(x.log, 50);
    size_t size = ARENA / 32; /* so that the bytes are what fills it */
    for (unsigned i = 0; i < 24; i++)
        append_to(&x, 1, size);
    publish(&x);
    hotlog_shed(x.log, 80);
    assert_int_equal(hotlog_tail(x.log), 0);
    assert_int_equal(hotlog_backlog(x.log), 75);
    hotlog_shed(x.log, 50);
    assert_int_equal(hotlog_tail(x.log), 8);
    assert_int_equal(hotlog_backlog(x.log), 0); /* the reader was before that */
    hotlog_done(x.reader, 8);
    assert_int_equal(hotlog_backlog(x.log), 50);
    hotlog_shed(x.log, 0);
    assert_int_equal(hotlog_tail(x.log), 24);
    close_log(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_evicted_at_once_leaves_nobody_at_the_head),
        cmocka_unit_test(a_window_begins_anew_without_its_past),
        cmocka_unit_test(walkers_are_counted_over_all_readers),
        cmocka_unit_test(the_backlog_is_what_the_slowest_reader_has_not_seen),
        cmocka_unit_test(a_reader_that_lost_its_place_holds_nobody_up),
        cmocka_unit_test(a_writer_that_will_not_wait_sheds_what_is_oldest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
