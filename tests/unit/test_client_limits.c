/* A client that does too much, and how connections close. */
#include "client_stage.h"

static void limit(struct fixture *x, enum limit which, uint32_t most)
{
    uint32_t all[LIMIT_COUNT] = {0};
    all[which] = most;
    client_destroy(x->client);
    x->client = NULL;
    allowance_release(x->allowance);
    limits_destroy(x->limits);
    x->limits = limits_create(all);
    x->allowance = allowance_create(x->limits, SLICE("somewhere"), x->now);
    create_client(x, ROOMS_MAX);
}

static void who_says_too_much_is_told_when_to_go_on_and_then_cut(void **state)
{
    struct fixture *x = *state;
    limit(x, LIMIT_MESSAGES, 20);
    for (int i = 0; i < 200; i++)
        assert_true(client_may_speak(x->client, 0));
    assert_heard(x, "");
    assert_false(client_may_speak(x->client, 0));
    assert_heard(x, "error {\"code\":\"rate_limited\",\"message\":\"too many messages; send fewer\","
                    "\"retryAfterMs\":50}\n");
    assert_false(client_may_speak(x->client, 8));
    assert_memory_equal(x->said.data, "8: error ", 9);
    buffer_clear(&x->said);
    assert_false(client_heard(x->client));
    assert_heard(x, "");
    x->now += 50;
    assert_true(client_heard(x->client));
    for (int i = 0; i < 198; i++)
        assert_false(client_heard(x->client));
    assert_heard(x, "");
    assert_false(client_heard(x->client));
    assert_heard(x, "limited: 0 for 50 ms\n");
}

static void who_asks_for_too_many_rooms_is_told_when_to_go_on(void **state)
{
    struct fixture *x = *state;
    limit(x, LIMIT_USER_JOINS, 1);
    attach(x, "7", "7");
    answer(x, "user", "[7]", "id,role", "7,buyer");
    buffer_clear(&x->said);
    for (int i = 0; i < 10; i++) {
        join(x, "open-1");
        leave(x, "open-1");
    }
    buffer_clear(&x->said);
    join(x, "open-1");
    assert_heard(x, "error {\"code\":\"rate_limited\",\"message\":\"too many joins; ask for fewer\","
                    "\"roomId\":\"open-1\",\"retryAfterMs\":1000}\n");
    x->now += 1000;
    join(x, "open-1");
    assert_heard(x, "room-joined {\"roomId\":\"open-1\"}\n");
}

static void bad_credentials_of_an_address_end_its_further_ones_unjudged(void **state)
{
    struct fixture *x = *state;
    limit(x, LIMIT_ADDRESS_FAILURES, 2);
    for (int i = 0; i < 2; i++) {
        client_authenticate(x->client, SLICE("t"));
        judge(x, &(struct client_verdict){.status = VERDICT_BAD, .why = "no good"});
        create_client(x, ROOMS_MAX);
    }
    buffer_clear(&x->token);
    client_authenticate(x->client, SLICE("t"));
    assert_int_equal(x->token.size, 0);
    assert_heard(x, "limited: 8 for 30000 ms\n");
    x->now += 30000;
    create_client(x, ROOMS_MAX);
    client_authenticate(x->client, SLICE("t"));
    assert_int_equal(x->token.size, 2);
}

static void a_user_has_so_many_connections_and_no_more(void **state)
{
    struct fixture *x = *state;
    limit(x, LIMIT_USER_CONNECTIONS, 1);
    struct allowance *other = allowance_create(x->limits, SLICE("elsewhere"), x->now);
    struct account *account;
    assert_int_equal(allowance_identify(other, SLICE("7"), &account, x->now), 0);
    attach(x, "7", "7");
    assert_heard(x, "limited: 5 for 5000 ms\n");
    allowance_leave(other, account);
    allowance_release(other);
    create_client(x, ROOMS_MAX);
    attach(x, "7", "7");
    assert_heard(x, "");
    assert_true(allowance_is_vouched(x->allowance));
}

static void close_reasons_have_codes_and_texts(void **state)
{
    (void)state;
    assert_int_equal(close_code(CLOSE_RESTART), 1012);
    assert_int_equal(close_code(CLOSE_UNAUTHORIZED), 4401);
    for (int i = 0; i < CLOSE_COUNT; i++) {
        assert_in_range(close_code((enum close_reason)i), 1000, 4999);
        assert_in_range(strlen(close_text((enum close_reason)i)), 1, 123);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        stage(who_says_too_much_is_told_when_to_go_on_and_then_cut),
        stage(who_asks_for_too_many_rooms_is_told_when_to_go_on),
        stage(bad_credentials_of_an_address_end_its_further_ones_unjudged),
        stage(a_user_has_so_many_connections_and_no_more),
        cmocka_unit_test(close_reasons_have_codes_and_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
