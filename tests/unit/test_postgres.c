#include "unit.h"

#include "causeway/metrics.h"
#include "causeway/postgres.h"
#include "fake_postgres.h"

#include <time.h>

enum { SOON_MS = 300, LONG_MS = 8000 };

/* What lookups were told; several may tell into one. */
struct answers {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t count, ok, failed, unavailable;
    struct rows *rows; /* of the first good one, held */
    bool same_rows;    /* all good ones brought the same */
};

static void answers_init(struct answers *a)
{
    memset(a, 0, sizeof *a);
    pthread_mutex_init(&a->lock, NULL);
    pthread_cond_init(&a->changed, NULL);
    a->same_rows = true;
}

static void answers_finish(struct answers *a)
{
    rows_release(a->rows);
    pthread_cond_destroy(&a->changed);
    pthread_mutex_destroy(&a->lock);
}

static void take_answer(void *context, enum lookup_status status, struct rows *rows)
{
    struct answers *a = context;
    pthread_mutex_lock(&a->lock);
    a->count++;
    a->ok += status == LOOKUP_OK;
    a->failed += status == LOOKUP_FAILED;
    a->unavailable += status == LOOKUP_UNAVAILABLE;
    if (rows && !a->rows)
        a->rows = rows_hold(rows);
    a->same_rows &= rows == a->rows;
    pthread_cond_broadcast(&a->changed);
    pthread_mutex_unlock(&a->lock);
}

static void await(struct answers *a, size_t count)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 20;
    pthread_mutex_lock(&a->lock);
    while (a->count < count && pthread_cond_timedwait(&a->changed, &a->lock, &until) == 0)
        ;
    size_t got = a->count;
    pthread_mutex_unlock(&a->lock);
    assert_int_equal(got, count);
}

static int64_t clock_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static struct postgres *open_pool(const char *url, unsigned connections, unsigned patience)
{
    return postgres_create(
        &(struct postgres_settings){.url = url, .connections = connections, .answer_timeout_ms = patience});
}

static void await_connections(struct postgres *p, const char *wanted)
{
    char detail[64] = "";
    int64_t until = clock_ms() + 10000;
    while (strcmp(detail, wanted) != 0 && clock_ms() < until) {
        postgres_healthy(p, detail, sizeof detail);
        usleep(1000);
    }
    assert_string_equal(detail, wanted);
}

static void ask(struct postgres *p, const char *sql, const char *param, struct answers *a)
{
    struct slice value = slice_of(param);
    postgres_lookup(p, slice_of(sql), &value, param ? 1 : 0, 0, take_answer, a);
}

/* One lookup from question to answer. Leaves the answer's rows to the caller in `a`. */
static void ask_once(struct postgres *p, const char *sql, const char *param, struct answers *a)
{
    answers_init(a);
    ask(p, sql, param, a);
    await(a, 1);
}

static void expect_cell(const struct answers *a, const char *text)
{
    assert_int_equal(a->ok, 1);
    assert_int_equal(rows_count(a->rows), 1);
    struct slice cell = rows_cell(a->rows, 0, SLICE("value"));
    assert_true(slice_equal(cell, slice_of(text)));
    assert_int_equal(cell.data == NULL, text == NULL);
}

static void expect_unreachable(const char *url)
{
    struct postgres *p = open_pool(url, 2, SOON_MS);
    struct answers a;
    char detail[64];
    int64_t before = clock_ms();
    ask_once(p, "echo", "x", &a);
    assert_int_equal(a.unavailable, 1);
    assert_in_range(clock_ms() - before, SOON_MS, SOON_MS + 2000);
    assert_false(postgres_healthy(p, detail, sizeof detail));
    assert_string_equal(detail, "not connected yet");
    assert_int_equal(metric_value(metric_get(METRIC_DB_UP)), 0);
    answers_finish(&a);
    postgres_destroy(p);
}

static void a_closed_port_makes_lookups_unavailable(void **state)
{
    (void)state;
    char url[128];
    uint16_t port;
    int bound = fake_bind_port(false, &port);
    fake_write_url(url, sizeof url, port);
    expect_unreachable(url);
    close(bound);
}

static void a_server_that_accepts_and_says_nothing_does_too(void **state)
{
    (void)state;
    struct fake_postgres *server = fake_postgres_start(true);
    expect_unreachable(server->url);
    fake_postgres_stop(server);
}

static void a_broken_url_does_too(void **state)
{
    (void)state;
    expect_unreachable("postgresql://[");
}

static void destroying_the_pool_answers_whoever_waits(void **state)
{
    (void)state;
    struct fake_postgres *server = fake_postgres_start(true);
    struct postgres *p = open_pool(server->url, 2, 60000);
    struct answers a;
    answers_init(&a);
    for (int i = 0; i < 100; i++)
        ask(p, "echo", i % 2 ? "odd" : "even", &a);
    postgres_destroy(p);
    assert_int_equal(a.unavailable, 100);
    answers_finish(&a);
    fake_postgres_stop(server);
}

static void rows_come_back_as_they_are(void **state)
{
    (void)state;
    struct fake_postgres *server = fake_postgres_start(false);
    struct postgres *p = open_pool(server->url, 2, LONG_MS);
    static const struct {
        const char *sql, *param, *cell;
    } cases[] = {{"echo", "abc", "abc"}, {"echo", "", ""}, {"null", NULL, NULL}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct answers a;
        ask_once(p, cases[i].sql, cases[i].param, &a);
        expect_cell(&a, cases[i].cell);
        answers_finish(&a);
    }
    char detail[64];
    assert_true(postgres_healthy(p, detail, sizeof detail));
    assert_non_null(strstr(detail, "answering"));
    postgres_destroy(p);
    fake_postgres_stop(server);
}

static void equal_lookups_share_one_query(void **state)
{
    (void)state;
    struct fake_postgres *server = fake_postgres_start(false);
    struct postgres *p = open_pool(server->url, 3, LONG_MS);
    await_connections(p, "answering, 3 of 3 connections"); /* so that the two gates are not in one pipeline */
    int64_t shared = metric_value(metric_get(METRIC_DB_SHARED));
    struct answers a;
    answers_init(&a);
    for (int i = 0; i < 200; i++)
        ask(p, "gate", "same", &a);
    ask(p, "gate", "other", &a);
    while (atomic_load(&server->executions) < 2)
        usleep(1000);
    atomic_store(&server->gate_open, true);
    await(&a, 201);
    assert_int_equal(a.ok, 201);
    assert_int_equal(atomic_load(&server->executions), 2);
    assert_int_equal(metric_value(metric_get(METRIC_DB_SHARED)) - shared, 199);
    answers_finish(&a);

    answers_init(&a);
    for (int i = 0; i < 50; i++)
        ask(p, "rows 3", NULL, &a);
    await(&a, 50);
    assert_int_equal(rows_count(a.rows), 3);
    answers_finish(&a);
    postgres_destroy(p);
    fake_postgres_stop(server);
}

static void errors_are_told_apart_and_harm_no_neighbour(void **state)
{
    (void)state;
    static const struct {
        const char *sql;
        size_t ok, failed, unavailable;
    } cases[] = {
        {"error 22P02", 1, 0, 0}, /* not of the parameter's type: no rows */
        {"error 22003", 1, 0, 0},
        {"error 42P01", 0, 1, 0},
        {"error 42501", 0, 1, 0},
        {"error 25006", 0, 1, 0},
        {"error 0A000", 0, 1, 0}, /* without a prepared plan it is the statement's own fault */
        {"error 57014", 0, 0, 1},
        {"error 53200", 0, 0, 1},
        {"error 40P01", 0, 0, 1},
        {"rows 131072", 1, 0, 0},
        {"rows 131073", 0, 1, 0},
    };
    struct fake_postgres *server = fake_postgres_start(false);
    struct postgres *p = open_pool(server->url, 1, LONG_MS);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct answers a, neighbour;
        answers_init(&neighbour);
        ask(p, "echo", "before", &neighbour);
        ask_once(p, cases[i].sql, NULL, &a);
        ask(p, "echo", "behind", &neighbour);
        await(&neighbour, 2);
        assert_int_equal(neighbour.ok, 2);
        if (a.ok != cases[i].ok || a.failed != cases[i].failed || a.unavailable != cases[i].unavailable)
            fail_msg("%s: told wrong", cases[i].sql);
        if (cases[i].ok && cases[i].sql[0] == 'e')
            assert_int_equal(rows_count(a.rows), 0);
        answers_finish(&a);
        answers_finish(&neighbour);
    }
    assert_int_equal(atomic_load(&server->connections), 1);
    postgres_destroy(p);
    fake_postgres_stop(server);
}

static void a_nul_byte_matches_nothing_and_is_not_sent(void **state)
{
    (void)state;
    struct fake_postgres *server = fake_postgres_start(false);
    struct postgres *p = open_pool(server->url, 1, LONG_MS);
    struct answers a;
    answers_init(&a);
    struct slice param = SLICE("ann\0bob");
    postgres_lookup(p, SLICE("echo"), &param, 1, 0, take_answer, &a);
    await(&a, 1);
    assert_int_equal(a.ok, 1);
    assert_int_equal(rows_count(a.rows), 0);
    assert_int_equal(atomic_load(&server->executions), 0);
    answers_finish(&a);
    postgres_destroy(p);
    fake_postgres_stop(server);
}

static void a_statement_is_prepared_once(void **state)
{
    (void)state;
    struct fake_postgres *server = fake_postgres_start(false);
    struct postgres *p = open_pool(server->url, 1, LONG_MS);
    static const char *const params[] = {"1", "2", "3", "4", "5"};
    for (size_t i = 0; i < 5; i++) {
        struct answers a;
        ask_once(p, "echo", params[i], &a);
        expect_cell(&a, params[i]);
        answers_finish(&a);
    }
    assert_int_equal(atomic_load(&server->prepares), 1);
    postgres_destroy(p);
    fake_postgres_stop(server);
}

static void a_prepared_plan_that_went_bad_is_made_anew(void **state)
{
    (void)state;
    struct fake_postgres *server = fake_postgres_start(false);
    struct postgres *p = open_pool(server->url, 1, LONG_MS);
    for (size_t i = 0; i < 6; i++) {
        struct answers a;
        ask_once(p, i < 3 ? "error-if-named 0A000" : "error-if-named 26000", NULL, &a);
        assert_int_equal(a.ok, 1);
        assert_int_equal(rows_count(a.rows), 1);
        answers_finish(&a);
    }
    assert_true(atomic_load(&server->prepares) > 2);
    postgres_destroy(p);
    fake_postgres_stop(server);
}

static void more_lookups_than_the_pipeline_holds_are_all_answered(void **state)
{
    (void)state;
    struct fake_postgres *server = fake_postgres_start(false);
    struct postgres *p = open_pool(server->url, 2, LONG_MS);
    struct answers a;
    answers_init(&a);
    char text[16];
    for (int i = 0; i < 2000; i++) {
        snprintf(text, sizeof text, "%d", i);
        ask(p, i % 7 ? "echo" : "rows 2", text, &a);
    }
    await(&a, 2000);
    assert_int_equal(a.ok, 2000);
    assert_int_equal(atomic_load(&server->executions), 2000);
    answers_finish(&a);
    postgres_destroy(p);
    fake_postgres_stop(server);
}

static void a_lookup_outlives_its_connection(void **state)
{
    (void)state;
    static const char *const mishaps[] = {"hang up once", "say nothing once"};
    for (size_t i = 0; i < 2; i++) {
        struct fake_postgres *server = fake_postgres_start(false);
        struct postgres *p = open_pool(server->url, 1, LONG_MS);
        struct answers a, neighbour;
        answers_init(&neighbour);
        answers_init(&a);
        ask(p, mishaps[i], NULL, &a);
        ask(p, "echo", "behind", &neighbour);
        await(&a, 1);
        await(&neighbour, 1);
        assert_int_equal(a.ok, 1);
        expect_cell(&neighbour, "behind");
        assert_int_equal(atomic_load(&server->connections), 2);
        answers_finish(&a);
        answers_finish(&neighbour);
        postgres_destroy(p);
        fake_postgres_stop(server);
    }
}

static void a_lookup_that_brings_connections_down_is_given_up(void **state)
{
    (void)state;
    struct fake_postgres *server = fake_postgres_start(false);
    struct postgres *p = open_pool(server->url, 1, LONG_MS);
    struct answers a, neighbour;
    answers_init(&neighbour);
    answers_init(&a);
    ask(p, "hang up always", NULL, &a);
    ask(p, "echo", "behind", &neighbour);
    await(&a, 1);
    await(&neighbour, 1);
    assert_int_equal(a.unavailable, 1);
    expect_cell(&neighbour, "behind");
    assert_int_equal(atomic_load(&server->executions), 3 + 1);
    answers_finish(&a);
    answers_finish(&neighbour);
    postgres_destroy(p);
    fake_postgres_stop(server);
}

static void an_answer_after_the_deadline_comes_too_late(void **state)
{
    (void)state;
    struct fake_postgres *server = fake_postgres_start(false);
    struct postgres *p = open_pool(server->url, 1, SOON_MS);
    struct answers a;
    ask_once(p, "gate", NULL, &a);
    assert_int_equal(a.unavailable, 1);
    atomic_store(&server->gate_open, true);
    struct answers again;
    ask_once(p, "gate", NULL, &again);
    assert_int_equal(again.ok, 1);
    assert_int_equal(a.count, 1);
    answers_finish(&a);
    answers_finish(&again);
    postgres_destroy(p);
    fake_postgres_stop(server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_closed_port_makes_lookups_unavailable),
        cmocka_unit_test(a_server_that_accepts_and_says_nothing_does_too),
        cmocka_unit_test(a_broken_url_does_too),
        cmocka_unit_test(destroying_the_pool_answers_whoever_waits),
        cmocka_unit_test(rows_come_back_as_they_are),
        cmocka_unit_test(equal_lookups_share_one_query),
        cmocka_unit_test(errors_are_told_apart_and_harm_no_neighbour),
        cmocka_unit_test(a_nul_byte_matches_nothing_and_is_not_sent),
        cmocka_unit_test(a_statement_is_prepared_once),
        cmocka_unit_test(a_prepared_plan_that_went_bad_is_made_anew),
        cmocka_unit_test(more_lookups_than_the_pipeline_holds_are_all_answered),
        cmocka_unit_test(a_lookup_outlives_its_connection),
        cmocka_unit_test(a_lookup_that_brings_connections_down_is_given_up),
        cmocka_unit_test(an_answer_after_the_deadline_comes_too_late),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
