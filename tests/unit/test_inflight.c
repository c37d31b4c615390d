#include "unit.h"

#include "causeway/inflight.h"

enum { PATIENCE = 100 };

/* What one waiter was told. */
struct told {
    int times;
    enum lookup_status status;
    struct rows *rows;
    int order;
};

static int answers;

static void tell(void *context, enum lookup_status status, struct rows *rows)
{
    struct told *t = context;
    t->times++;
    t->status = status;
    t->rows = rows;
    t->order = ++answers;
}

static struct flight *make(const char *sql, const char *a, const char *b, struct told *t)
{
    struct slice params[] = {slice_of(a), slice_of(b)};
    return flight_create(slice_of(sql), params, b ? 2 : a ? 1 : 0, 0, tell, t);
}

static void finish_ok(struct inflight *t, struct flight *f)
{
    struct rows *rows = rows_create(NULL, 0);
    inflight_finish(t, f, LOOKUP_OK, rows);
    rows_release(rows);
}

static void a_flight_copies_its_texts(void **state)
{
    (void)state;
    struct told t = {0};
    char sql[] = "SELECT $1", value[] = "abc";
    struct inflight *table = inflight_create(PATIENCE);
    struct flight *f = make(sql, value, "", &t);
    memset(sql, 'x', 3);
    memset(value, 'x', 3);
    assert_string_equal(flight_sql(f), "SELECT $1");
    assert_int_equal(flight_param_count(f), 2);
    assert_string_equal(flight_params(f)[0], "abc");
    assert_string_equal(flight_params(f)[1], "");
    assert_false(flight_has_nul(f));
    assert_false(inflight_post(table, f, 0));
    inflight_destroy(table);
    assert_int_equal(t.times, 1);
    assert_int_equal(t.status, LOOKUP_UNAVAILABLE);
}

static void equal_lookups_share_one_flight(void **state)
{
    (void)state;
    struct told t[3] = {0};
    struct inflight *table = inflight_create(PATIENCE);
    assert_false(inflight_post(table, make("q", "1", NULL, &t[0]), 0));
    assert_true(inflight_post(table, make("q", "1", NULL, &t[1]), 1));
    struct flight *f = inflight_take(table, 0);
    assert_null(inflight_take(table, 0));
    assert_true(inflight_post(table, make("q", "1", NULL, &t[2]), 2)); /* also once it was sent */
    assert_null(inflight_take(table, 0));

    answers = 0;
    finish_ok(table, f);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(t[i].times, 1);
        assert_int_equal(t[i].order, i + 1);
        assert_int_equal(t[i].status, LOOKUP_OK);
        assert_ptr_equal(t[i].rows, t[0].rows);
    }
    assert_non_null(t[0].rows);
    assert_int_equal(inflight_deadline(table), INT64_MAX);
    inflight_destroy(table);
}

static void a_finished_flight_is_not_joined_any_more(void **state)
{
    (void)state;
    struct told t[2] = {0};
    struct inflight *table = inflight_create(PATIENCE);
    inflight_post(table, make("q", "1", NULL, &t[0]), 0);
    finish_ok(table, inflight_take(table, 0));
    assert_false(inflight_post(table, make("q", "1", NULL, &t[1]), 0));
    inflight_finish(table, inflight_take(table, 0), LOOKUP_FAILED, NULL);
    assert_int_equal(t[0].status, LOOKUP_OK);
    assert_int_equal(t[1].status, LOOKUP_FAILED);
    inflight_destroy(table);
}

static void different_lookups_do_not_share(void **state)
{
    (void)state;
    static const struct {
        const char *sql, *a, *b;
    } lookups[] = {
        {"q", NULL, NULL},
        {"q", "", NULL},
        {"q", "1", NULL},
        {"q", "2", NULL},
        {"r", "1", NULL},
        {"q1", NULL, NULL},
        {"q", "1", ""},
        {"q", "", "1"},
        {"q", "12", "3"},
        {"q", "1", "23"},
        {"q", "123", ""},
    };
    enum { COUNT = sizeof lookups / sizeof lookups[0] };
    struct told t[COUNT + 2] = {0};
    struct inflight *table = inflight_create(PATIENCE);
    for (size_t i = 0; i < COUNT; i++)
        assert_false(inflight_post(table, make(lookups[i].sql, lookups[i].a, lookups[i].b, &t[i]), 0));

    /* A NUL byte moves between texts without changing the bytes in a row. */
    const struct slice left[] = {SLICE("a"), SLICE("b\0c")}, right[] = {SLICE("a\0b"), SLICE("c")};
    struct flight *with_nul = flight_create(SLICE("q"), left, 2, 0, tell, &t[COUNT]);
    assert_true(flight_has_nul(with_nul));
    assert_false(inflight_post(table, with_nul, 0));
    assert_false(inflight_post(table, flight_create(SLICE("q"), right, 2, 0, tell, &t[COUNT + 1]), 0));

    inflight_destroy(table);
    for (size_t i = 0; i < COUNT + 2; i++)
        assert_int_equal(t[i].times, 1);
}

static void flights_leave_in_the_order_they_came_and_come_back_to_the_front(void **state)
{
    (void)state;
    struct told t[3] = {0};
    struct inflight *table = inflight_create(PATIENCE);
    const char *const names[] = {"a", "b", "c"};
    for (int i = 0; i < 3; i++)
        inflight_post(table, make(names[i], NULL, NULL, &t[i]), 0);
    struct flight *a = inflight_take(table, 0), *b = inflight_take(table, 0);
    assert_string_equal(flight_sql(a), "a");
    assert_string_equal(flight_sql(b), "b");
    inflight_requeue(table, b);
    inflight_requeue(table, a);
    for (int i = 0; i < 3; i++) {
        struct flight *f = inflight_take(table, 0);
        assert_string_equal(flight_sql(f), names[i]);
        finish_ok(table, f);
    }
    assert_null(inflight_take(table, 0));
    inflight_destroy(table);
}

static void each_waiter_has_its_own_deadline(void **state)
{
    (void)state;
    struct told t[3] = {0};
    struct inflight *table = inflight_create(PATIENCE);
    inflight_post(table, make("q", NULL, NULL, &t[0]), 0);
    inflight_post(table, make("other", NULL, NULL, &t[1]), 10);
    inflight_post(table, make("q", NULL, NULL, &t[2]), 20);
    assert_int_equal(inflight_deadline(table), PATIENCE);
    inflight_expire(table, PATIENCE - 1);
    assert_int_equal(t[0].times, 0);
    inflight_expire(table, PATIENCE + 10);
    assert_int_equal(t[0].times, 1);
    assert_int_equal(t[1].times, 1);
    assert_int_equal(t[2].times, 0);
    assert_int_equal(inflight_deadline(table), PATIENCE + 20);

    struct flight *f = inflight_take(table, 0); /* "other" has left the queue with its only waiter */
    assert_string_equal(flight_sql(f), "q");
    assert_null(inflight_take(table, 0));
    finish_ok(table, f);
    assert_int_equal(t[2].status, LOOKUP_OK);
    assert_int_equal(t[0].times, 1);
    inflight_destroy(table);
}

static void a_sent_flight_that_nobody_waits_for_is_not_joined(void **state)
{
    (void)state;
    struct told t[2] = {0};
    struct inflight *table = inflight_create(PATIENCE);
    inflight_post(table, make("q", NULL, NULL, &t[0]), 0);
    struct flight *stuck = inflight_take(table, 0);
    inflight_expire(table, PATIENCE);
    assert_int_equal(t[0].status, LOOKUP_UNAVAILABLE);

    assert_false(inflight_post(table, make("q", NULL, NULL, &t[1]), PATIENCE));
    struct flight *anew = inflight_take(table, 0);
    finish_ok(table, stuck); /* too late, and for nobody */
    assert_int_equal(t[0].times, 1);
    assert_int_equal(t[1].times, 0);
    finish_ok(table, anew);
    assert_int_equal(t[1].status, LOOKUP_OK);
    inflight_destroy(table);
}

static void a_lost_flight_that_nobody_waits_for_is_not_sent_again(void **state)
{
    (void)state;
    struct told t = {0};
    struct inflight *table = inflight_create(PATIENCE);
    inflight_post(table, make("q", NULL, NULL, &t), 0);
    struct flight *f = inflight_take(table, 0);
    inflight_expire(table, PATIENCE);
    inflight_requeue(table, f);
    assert_null(inflight_take(table, 0));
    inflight_destroy(table);
    assert_int_equal(t.times, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_flight_copies_its_texts),
        cmocka_unit_test(equal_lookups_share_one_flight),
        cmocka_unit_test(a_finished_flight_is_not_joined_any_more),
        cmocka_unit_test(different_lookups_do_not_share),
        cmocka_unit_test(flights_leave_in_the_order_they_came_and_come_back_to_the_front),
        cmocka_unit_test(each_waiter_has_its_own_deadline),
        cmocka_unit_test(a_sent_flight_that_nobody_waits_for_is_not_joined),
        cmocka_unit_test(a_lost_flight_that_nobody_waits_for_is_not_sent_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
