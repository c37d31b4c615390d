#include "unit.h"

#include "causeway/limits.h"
#include "causeway/metrics.h"

#include <pthread.h>

static struct limits *make(enum limit which, uint32_t most)
{
    uint32_t all[LIMIT_COUNT] = {0};
    all[which] = most;
    return limits_create(all);
}

static int64_t hits(const char *label)
{
    return metric_value(metric_label(METRIC_LIMIT_HITS, label));
}

static void what_has_no_allowance_has_no_limits(void **state)
{
    (void)state;
    struct account *account;
    assert_int_equal(allowance_enter(NULL, false, 0), 0);
    assert_int_equal(allowance_take_message(NULL, NULL, 0), 0);
    assert_int_equal(allowance_take_join(NULL, NULL, 0), 0);
    assert_int_equal(allowance_may_login(NULL, 0), 0);
    assert_int_equal(allowance_identify(NULL, SLICE("7"), &account, 0), 0);
    assert_null(account);
    allowance_login_failed(NULL, 0);
    allowance_leave(NULL, NULL);
    allowance_vouch(NULL, NULL);
    allowance_unvouch(NULL);
    assert_false(allowance_is_flooding(NULL));
    assert_null(allowance_hold(NULL));
    allowance_release(NULL);
}

static void a_rate_lets_ten_seconds_through_at_once_and_then_its_share(void **state)
{
    (void)state;
    struct limits *l = make(LIMIT_MESSAGES, 4);
    struct allowance *a = allowance_create(l, SLICE(""), 1000);
    int64_t before = hits("messages");
    for (int i = 0; i < 40; i++)
        assert_int_equal(allowance_take_message(a, NULL, 1000), 0);
    assert_int_equal(allowance_take_message(a, NULL, 1000), 250);
    assert_int_equal(allowance_take_message(a, NULL, 1200), 50);
    assert_int_equal(hits("messages"), before + 2);
    assert_int_equal(allowance_take_message(a, NULL, 1250), 0);
    assert_int_equal(allowance_take_message(a, NULL, 1250), 250);
    assert_int_equal(allowance_take_message(a, NULL, 1000000), 0); /* what was not used is not saved up */
    for (int i = 0; i < 39; i++)
        assert_int_equal(allowance_take_message(a, NULL, 1000000), 0);
    assert_int_equal(allowance_take_message(a, NULL, 1000000), 250);
    allowance_release(a);
    limits_destroy(l);
}

static void who_goes_on_although_refused_is_flooding(void **state)
{
    (void)state;
    struct limits *l = make(LIMIT_MESSAGES, 20);
    struct allowance *a = allowance_create(l, SLICE(""), 0);
    for (int i = 0; i < 400; i++)
        allowance_take_message(a, NULL, 0);
    assert_false(allowance_is_flooding(a));
    for (uint64_t now = 50; now <= 5000; now += 50)
        assert_int_equal(allowance_take_message(a, NULL, now), 0); /* it has calmed down */
    for (int i = 0; i < 100; i++)
        allowance_take_message(a, NULL, 5000);
    assert_false(allowance_is_flooding(a));
    allowance_take_message(a, NULL, 5000);
    assert_true(allowance_is_flooding(a));
    allowance_release(a);
    limits_destroy(l);
}

static void users_and_addresses_share_what_their_connections_may(void **state)
{
    (void)state;
    uint32_t most[LIMIT_COUNT] = {[LIMIT_USER_MESSAGES] = 1, [LIMIT_ADDRESS_MESSAGES] = 2};
    struct limits *l = limits_create(most);
    struct allowance *a = allowance_create(l, SLICE("here"), 0), *b = allowance_create(l, SLICE("here"), 0),
                     *c = allowance_create(l, SLICE("there"), 0);
    struct account *x, *y;
    allowance_identify(a, SLICE("7"), &x, 0);
    allowance_identify(c, SLICE("7"), &y, 0);
    assert_ptr_equal(x, y);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(allowance_take_message(a, x, 0), 0);
        assert_int_equal(allowance_take_message(c, y, 0), 0);
    }
    assert_int_equal(allowance_take_message(a, x, 0), 1000); /* the user's */
    for (int i = 0; i < 15; i++)
        assert_int_equal(allowance_take_message(b, NULL, 0), 0);
    assert_int_equal(allowance_take_message(b, NULL, 0), 500); /* the address's */
    assert_int_equal(allowance_take_message(c, NULL, 0), 0);
    allowance_leave(a, x);
    allowance_leave(c, y);
    allowance_release(a);
    allowance_release(b);
    allowance_release(c);
    limits_destroy(l);
}

static void who_comes_from_nowhere_shares_nothing(void **state)
{
    (void)state;
    uint32_t most[LIMIT_COUNT] = {[LIMIT_USER_CONNECTIONS] = 1,
        [LIMIT_ADDRESS_CONNECTS] = 1,
        [LIMIT_ADDRESS_UNAUTHENTICATED] = 1,
        [LIMIT_ADDRESS_FAILURES] = 1};
    struct limits *l = limits_create(most);
    struct allowance *all[20];
    for (int i = 0; i < 20; i++) {
        struct account *user;
        all[i] = allowance_create(l, SLICE(""), 0);
        assert_true(allowance_is_of(all[i], SLICE("")));
        assert_int_equal(allowance_enter(all[i], false, 0), 0);
        allowance_login_failed(all[i], 0);
        assert_int_equal(allowance_may_login(all[i], 0), 0);
        assert_int_equal(allowance_identify(all[i], SLICE("7"), &user, 0), 0);
        assert_null(user);
    }
    assert_int_equal(limits_accounts(l), 0);
    for (int i = 0; i < 20; i++)
        allowance_release(all[i]);
    limits_destroy(l);
}

static void only_so_many_of_an_address_may_be_without_a_credential(void **state)
{
    (void)state;
    struct limits *l = make(LIMIT_ADDRESS_UNAUTHENTICATED, 2);
    struct allowance *a = allowance_create(l, SLICE("here"), 0), *b = allowance_create(l, SLICE("here"), 0);
    assert_int_equal(allowance_enter(a, false, 0), 0);
    assert_int_equal(allowance_enter(b, false, 0), 0);
    struct allowance *c = allowance_create(l, SLICE("here"), 0);
    assert_int_equal(allowance_enter(c, false, 0), 5000);
    struct allowance *d = allowance_create(l, SLICE("there"), 0);
    assert_int_equal(allowance_enter(d, false, 0), 0);
    struct account *user;
    assert_int_equal(allowance_identify(a, SLICE("7"), &user, 0), 0);
    allowance_leave(a, user);
    struct allowance *e = allowance_create(l, SLICE("here"), 0);
    assert_int_equal(allowance_enter(e, false, 0), 0); /* who was refused does not count */
    struct allowance *f = allowance_create(l, SLICE("here"), 0);
    assert_int_equal(allowance_enter(f, true, 0), 5000);
    allowance_hold(b);
    allowance_release(b);
    allowance_release(b);
    struct allowance *g = allowance_create(l, SLICE("here"), 0);
    assert_int_equal(allowance_enter(g, false, 0), 0);
    struct allowance *left[] = {a, c, d, e, f, g};
    for (size_t i = 0; i < sizeof left / sizeof *left; i++)
        allowance_release(left[i]);
    assert_int_equal(limits_accounts(l), 0);
    limits_destroy(l);
}

static void the_second_session_of_a_connection_counts_as_another_connection(void **state)
{
    (void)state;
    uint64_t wait = 7;
    struct limits *l = make(LIMIT_ADDRESS_UNAUTHENTICATED, 2);
    assert_null(allowance_for_session(NULL, 0, &wait));
    assert_int_equal(wait, 0);
    struct allowance *a = allowance_create(l, SLICE("here"), 0);
    struct allowance *first = allowance_for_session(a, 0, &wait);
    assert_ptr_equal(first, a);
    assert_int_equal(wait, 0);
    struct allowance *second = allowance_for_session(a, 0, &wait);
    assert_ptr_not_equal(second, a);
    assert_true(allowance_is_of(second, SLICE("here")));
    assert_int_equal(wait, 0);
    struct account *user;
    assert_int_equal(allowance_identify(a, SLICE("7"), &user, 0), 0); /* for the first one only */
    allowance_leave(a, user);
    assert_false(allowance_is_vouched(second));
    struct allowance *third = allowance_for_session(a, 0, &wait);
    assert_int_equal(wait, 0);
    struct allowance *fourth = allowance_for_session(a, 0, &wait);
    assert_int_equal(wait, 5000);
    allowance_release(first);
    first = allowance_for_session(a, 0, &wait); /* the connection's own is free again */
    assert_ptr_equal(first, a);
    struct allowance *left[] = {a, first, second, third, fourth};
    for (size_t i = 0; i < sizeof left / sizeof *left; i++)
        allowance_release(left[i]);
    assert_int_equal(limits_accounts(l), 0);
    limits_destroy(l);
}

static void a_session_vouches_for_so_many_connections_and_while_somebody_is_there(void **state)
{
    (void)state;
    struct limits *l = make(LIMIT_ADDRESS_UNAUTHENTICATED, 1);
    struct allowance *by = allowance_create(l, SLICE("here"), 0), *others[18];
    struct account *user;
    for (size_t i = 0; i < 18; i++)
        others[i] = allowance_create(l, SLICE("here"), 0);
    allowance_vouch(others[0], by); /* it has shown nothing itself */
    assert_false(allowance_is_vouched(others[0]));
    assert_int_equal(allowance_identify(by, SLICE("7"), &user, 0), 0);
    allowance_vouch(others[17], others[0]);
    for (size_t i = 0; i < 17; i++)
        allowance_vouch(others[i], by);
    assert_true(allowance_is_vouched(others[15]));
    assert_false(allowance_is_vouched(others[16]));
    allowance_vouch(others[17], others[0]); /* who is vouched for vouches for nobody */
    assert_false(allowance_is_vouched(others[17]));
    assert_int_equal(allowance_enter(others[16], true, 0), 5000);
    allowance_release(others[0]);
    allowance_vouch(others[17], by); /* a place is free */
    assert_true(allowance_is_vouched(others[17]));
    allowance_leave(by, user);
    allowance_unvouch(by);
    allowance_unvouch(by);
    assert_false(allowance_is_vouched(by));
    assert_int_equal(allowance_enter(by, true, 0), 0); /* it is the only one */
    struct allowance *late = allowance_create(l, SLICE("here"), 0);
    assert_int_equal(allowance_enter(late, true, 0), 5000);
    assert_int_equal(allowance_identify(others[1], SLICE("8"), &user, 0), 0); /* now by itself */
    allowance_leave(others[1], user);
    allowance_vouch(late, others[1]);
    assert_true(allowance_is_vouched(late));
    allowance_release(by);
    allowance_release(late);
    for (size_t i = 1; i < 18; i++)
        allowance_release(others[i]);
    assert_int_equal(limits_accounts(l), 0);
    limits_destroy(l);
}

static void coming_back_pays_nothing_off_and_idle_accounts_go(void **state)
{
    (void)state;
    struct limits *l = make(LIMIT_ADDRESS_CONNECTS, 1);
    for (int i = 0; i < 11; i++) {
        struct allowance *a = allowance_create(l, SLICE("here"), 0);
        assert_int_equal(allowance_enter(a, false, 0), i < 10 ? 0 : 1000);
        assert_int_equal(allowance_enter(a, true, 0), 0); /* moved to another loop: counted before */
        allowance_release(a);
    }
    assert_int_equal(limits_accounts(l), 1); /* kept for its debt */
    struct allowance *a = allowance_create(l, SLICE("here"), 1000);
    assert_int_equal(allowance_enter(a, false, 1000), 0);
    allowance_release(a);
    a = allowance_create(l, SLICE("there"), 20000);
    assert_false(allowance_is_of(a, SLICE("here")));
    assert_true(allowance_is_of(a, SLICE("there")));
    allowance_release(a);
    a = allowance_create(l, SLICE("there"), 20000);
    assert_int_equal(limits_accounts(l), 1); /* paid off, forgotten */
    allowance_release(a);
    limits_destroy(l);
}

static void bad_credentials_are_counted_by_the_minute(void **state)
{
    (void)state;
    struct limits *l = make(LIMIT_ADDRESS_FAILURES, 3);
    struct allowance *a = allowance_create(l, SLICE("here"), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(allowance_may_login(a, 0), 0);
        allowance_login_failed(a, 0);
    }
    assert_int_equal(allowance_may_login(a, 0), 20000);
    assert_int_equal(allowance_may_login(a, 19999), 1);
    assert_int_equal(allowance_may_login(a, 20000), 0);
    allowance_release(a);
    limits_destroy(l);
}

enum { THREADS = 4, ROUNDS = 5000 };

static void *come_and_go(void *argument)
{
    struct limits *l = argument;
    int64_t passed = 0;
    for (int i = 0; i < ROUNDS; i++) {
        struct account *user;
        struct allowance *a = allowance_create(l, SLICE("here"), 5);
        if (allowance_enter(a, false, 5) == 0)
            passed++;
        if (allowance_identify(a, SLICE("7"), &user, 5) == 0)
            allowance_take_message(a, user, 5);
        allowance_leave(a, user);
        allowance_release(a);
    }
    return (void *)(intptr_t)passed;
}

static void loops_share_accounts_without_losing_count(void **state)
{
    (void)state;
    uint32_t most[LIMIT_COUNT] = {[LIMIT_ADDRESS_CONNECTS] = 100, [LIMIT_USER_MESSAGES] = 100};
    struct limits *l = limits_create(most);
    pthread_t threads[THREADS];
    int64_t passed = 0;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, come_and_go, l), 0);
    for (int i = 0; i < THREADS; i++) {
        void *result;
        pthread_join(threads[i], &result);
        passed += (intptr_t)result;
    }
    assert_int_equal(passed, 1000);
    limits_destroy(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_has_no_allowance_has_no_limits),
        cmocka_unit_test(a_rate_lets_ten_seconds_through_at_once_and_then_its_share),
        cmocka_unit_test(who_goes_on_although_refused_is_flooding),
        cmocka_unit_test(users_and_addresses_share_what_their_connections_may),
        cmocka_unit_test(who_comes_from_nowhere_shares_nothing),
        cmocka_unit_test(only_so_many_of_an_address_may_be_without_a_credential),
        cmocka_unit_test(the_second_session_of_a_connection_counts_as_another_connection),
        cmocka_unit_test(a_session_vouches_for_so_many_connections_and_while_somebody_is_there),
        cmocka_unit_test(coming_back_pays_nothing_off_and_idle_accounts_go),
        cmocka_unit_test(bad_credentials_are_counted_by_the_minute),
        cmocka_unit_test(loops_share_accounts_without_losing_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
