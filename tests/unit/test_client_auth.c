/* Who a client is: its token, the attach, refreshing and expiring. */
#include "client_stage.h"

/* --- before it is known who it is --- */

static void a_stranger_may_ping_and_authenticate_and_nothing_else(void **state)
{
    struct fixture *x = *state;
    assert_true(client_is_waiting(x->client));
    assert_false(client_is_attached(x->client));
    command(x, "{\"type\":\"ping\"}");
    assert_heard(x, "pong\n");
    join(x, "open-1");
    assert_heard(x, "error {\"code\":\"unauthorized\",\"message\":\"authenticate first\"}\n");
    leave(x, "open-1");
    assert_heard(x, "error {\"code\":\"unauthorized\",\"message\":\"authenticate first\"}\n");
    command(x, "{\"type\":\"hello\"}");
    assert_false(x->known);
    command(x, "{\"type\":\"\"}");
    assert_false(x->known);
    command(x, "{\"type\":\"pin\"}");
    command(x, "{\"type\":\"pingg\"}");
    assert_false(x->known);
    client_writable(x->client); /* harmless without a session */
    lookups_answer(x->lookups, 1, LOOKUP_UNAVAILABLE, NULL);
}

static void a_token_in_a_message_is_handed_on(void **state)
{
    struct fixture *x = *state;
    static const char *const without[] = {"{\"type\":\"auth\"}", "{\"type\":\"auth\",\"data\":null}",
        "{\"type\":\"auth\",\"data\":{}}", "{\"type\":\"auth\",\"data\":{\"token\":1}}",
        "{\"type\":\"auth\",\"data\":\"token\"}"};
    for (size_t i = 0; i < sizeof without / sizeof without[0]; i++) {
        command(x, without[i]);
        assert_heard(x, "error {\"code\":\"bad_message\",\"message\":\"auth needs data.token, a string\"}\n");
    }
    command(x, "{\"type\":\"auth\",\"data\":{\"token\":\"a.b\\u002ec\"}}");
    assert_string_equal(buffer_text(&x->token), "a.b.c;");
    assert_heard(x, "");
    assert_false(client_is_waiting(x->client));
    assert_false(client_is_judged(x->client));
    command(x, "{\"type\":\"auth\",\"data\":{\"token\":\"d\"}}"); /* one at a time */
    assert_heard(x, "error {\"code\":\"bad_message\",\"message\":\"already authenticated\"}\n");
    judge_good(x, "7", "7", VALID_MS);
    assert_true(client_is_judged(x->client));
    judge_good(x, "8", "8", VALID_MS); /* twice judged: the first one counts */
    command(x, "{\"type\":\"auth\",\"data\":{\"token\":\"d\"}}");
    assert_heard(x, "error {\"code\":\"bad_message\",\"message\":\"already authenticated\"}\n");
    assert_string_equal(buffer_text(&x->token), "a.b.c;");
    assert_int_equal(x->judging, 1);
}

static void a_token_that_is_no_good_refuses(void **state)
{
    struct fixture *x = *state;
    client_authenticate(x->client, SLICE("t"));
    judge(x, &(struct client_verdict){.status = VERDICT_BAD, .why = "token expired"});
    assert_heard(x, "refused: token expired\n");
    assert_false(client_is_attached(x->client));
    assert_int_equal(x->pending_count, 0); /* nothing is looked up for nobody */
    command(x, "{\"type\":\"auth\",\"data\":{\"token\":\"d\"}}");
    assert_heard(x, "error {\"code\":\"bad_message\",\"message\":\"already authenticated\"}\n");
    judge_good(x, "7", "7", VALID_MS);
    assert_int_equal(x->pending_count, 0);

    create_client(x, ROOMS_MAX);
    client_authenticate(x->client, SLICE("t"));
    judge(x, &(struct client_verdict){.status = VERDICT_LATER, .why = "no keys"});
    assert_heard(x, "refused for now: no keys\n");
}

/* --- refreshing and expiring --- */

static uint64_t tick(struct fixture *x, uint64_t now)
{
    x->now = now;
    return client_tick(x->client, now);
}

static void refresh(struct fixture *x, const char *token)
{
    struct buffer text = {0};
    buffer_print(&text, "{\"type\":\"refresh\",\"data\":{\"token\":\"%s\"}}", token);
    command(x, buffer_text(&text));
    buffer_finish(&text);
}

static void an_expiry_is_told_and_then_ends_the_connection(void **state)
{
    struct fixture *x = *state;
    assert_true(tick(x, 1000) == UINT64_MAX);
    attach(x, "7", "7");
    tick(x, 1000 + VALID_MS + LEEWAY_MS); /* not attached yet: the next tick sees it */
    answer(x, "user", "[7]", "id,role", "7,reader");
    assert_heard(x, "connected {\"userId\":7,\"role\":\"reader\"}\n");
    assert_int_equal(tick(x, 1000 + VALID_MS - WARNING_MS - 1), 1000 + VALID_MS - WARNING_MS);
    assert_heard(x, "");
    assert_int_equal(tick(x, 1000 + VALID_MS - WARNING_MS), 1000 + VALID_MS + LEEWAY_MS);
    assert_heard(x, "auth-expiring {\"expiresIn\":60}\n");
    assert_int_equal(tick(x, 1000 + VALID_MS + LEEWAY_MS - 1), 1000 + VALID_MS + LEEWAY_MS);
    assert_heard(x, "");
    assert_true(client_is_attached(x->client));
    assert_true(tick(x, 1000 + VALID_MS + LEEWAY_MS) == UINT64_MAX);
    assert_heard(x, "expired\n");
    assert_false(client_is_attached(x->client));
    tick(x, 1000 + VALID_MS + LEEWAY_MS + 1);
    refresh(x, "late");
    assert_heard(x, "error {\"code\":\"unauthorized\",\"message\":\"authenticate first\"}\n");
}

static void a_short_token_is_told_of_at_once_and_an_endless_one_never(void **state)
{
    struct fixture *x = *state;
    static const struct {
        int64_t valid_ms;
        const char *heard;
    } cases[] = {{5999, "auth-expiring {\"expiresIn\":5}\n"}, {-1, "auth-expiring {\"expiresIn\":0}\n"},
        {(INT64_C(1) << 53) * 1000, ""}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        create_client(x, ROOMS_MAX);
        client_authenticate(x->client, SLICE("t"));
        judge_good(x, "7", "7", cases[i].valid_ms);
        answer(x, "user", "[7]", "id", "7");
        assert_heard(x, "connected {\"userId\":7}\n");
        tick(x, x->now);
        assert_heard(x, cases[i].heard);
    }
}

static void a_refresh_extends(void **state)
{
    struct fixture *x = *state;
    attach_reader(x);
    tick(x, VALID_MS - 1000);
    assert_heard(x, "auth-expiring {\"expiresIn\":1}\n");
    refresh(x, "new");
    assert_string_equal(buffer_text(&x->token), "t;new;");
    refresh(x, "newer");
    assert_heard(x, "error {\"code\":\"unavailable\",\"message\":\"another token is being judged\"}\n");
    assert_int_equal(x->judging, 1);
    judge_good(x, "7", "\"7\"", 100000);
    assert_heard(x, "refreshed {\"expiresIn\":100}\n");
    assert_int_equal(x->pending_count, 0); /* rights are another matter */
    tick(x, VALID_MS + LEEWAY_MS);
    assert_heard(x, "");
    tick(x, VALID_MS - 1000 + 100000 - WARNING_MS);
    assert_heard(x, "auth-expiring {\"expiresIn\":60}\n"); /* told anew */
    tick(x, VALID_MS - 1000 + 100000 + LEEWAY_MS);
    assert_heard(x, "expired\n");
}

static void a_refresh_that_is_no_good_changes_nothing(void **state)
{
    struct fixture *x = *state;
    attach_reader(x);
    command(x, "{\"type\":\"refresh\",\"data\":{}}");
    assert_heard(x, "error {\"code\":\"bad_message\",\"message\":\"refresh needs data.token, a string\"}\n");
    refresh(x, "bad");
    judge(x, &(struct client_verdict){.status = VERDICT_BAD, .why = "token expired"});
    assert_heard(x, "error {\"code\":\"refresh_refused\",\"message\":\"token expired\"}\n");
    refresh(x, "other");
    judge_good(x, "8", "8", 10 * VALID_MS);
    assert_heard(x, "error {\"code\":\"refresh_refused\",\"message\":\"token is of another user\"}\n");
    refresh(x, "unsure");
    judge(x, &(struct client_verdict){.status = VERDICT_LATER, .why = "no keys"});
    assert_heard(x, "error {\"code\":\"unavailable\",\"message\":\"no keys\"}\n");
    event(x, "user-7");
    assert_heard(x, "@user-7\n");
    refresh(x, "slow");
    tick(x, VALID_MS + LEEWAY_MS);
    assert_heard(x, "expired\n");
    judge_good(x, "7", "7", VALID_MS); /* too late */
    assert_heard(x, "");
}

/* --- attaching --- */

static void connected_comes_first_and_then_what_was_missed_meanwhile(void **state)
{
    struct fixture *x = *state;
    event(x, "user-7"); /* before: from now means from the attach on */
    attach(x, "7", "7");
    event(x, "user-7");
    event(x, "city-3-orders");
    join(x, "open-1");
    assert_heard(x, "error {\"code\":\"unauthorized\",\"message\":\"authenticate first\"}\n");
    answer(x, "user", "[7]", "id,role", "7,manager");
    event(x, "city-4-orders");
    event(x, "admin-orders");
    assert_heard(x, "");
    assert_false(client_is_attached(x->client));
    answer(x, "cities", "[7]", "city_id", "3;4;3");
    assert_int_equal(x->outcome, GRANTS_ALLOWED);
    assert_true(client_is_attached(x->client));
    turn(x);
    assert_heard(
        x, "connected {\"userId\":7,\"role\":\"manager\"}\n@user-7\n@city-3-orders\n@city-4-orders\n");
    event(x, "city-4-orders");
    assert_heard(x, "@city-4-orders\n");
}

static void the_user_keeps_the_json_type_of_the_token(void **state)
{
    struct fixture *x = *state;
    attach(x, "u \"1\"", "\"u \\\"1\\\"\"");
    answer(x, "user", "[u \"1\"]", "id,role", "7,a \"b\" \\");
    assert_heard(x, "connected {\"userId\":\"u \\\"1\\\"\",\"role\":\"a \\\"b\\\" \\\\\"}\n");
    create_client(x, ROOMS_MAX);
    attach(x, "7", "7");
    answer(x, "user", "[7]", "id", "7"); /* a principal without a role shows none */
    assert_heard(x, "connected {\"userId\":7}\n");
}

static void whoever_is_refused_gets_nothing_and_may_ask_nothing(void **state)
{
    struct fixture *x = *state;
    static const struct {
        const char *rows; /* NULL: the lookup fails */
        enum grants_outcome outcome;
    } refusals[] = {{"", GRANTS_NO_USER}, {"7,a;8,b", GRANTS_NO_USER}, {NULL, GRANTS_UNAVAILABLE}};
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        create_client(x, ROOMS_MAX);
        attach(x, "7", "7");
        publish(x, "user-7");
        if (refusals[i].rows)
            answer(x, "user", "[7]", "id,role", refusals[i].rows);
        else
            fail_lookup(x, LOOKUP_FAILED);
        assert_int_equal(x->outcome, refusals[i].outcome);
        assert_false(client_is_attached(x->client));
        assert_false(client_is_waiting(x->client));
        event(x, "user-7");
        assert_heard(x, "");
        join(x, "open-1");
        assert_heard(x, "error {\"code\":\"unauthorized\",\"message\":\"authenticate first\"}\n");
        command(x, "{\"type\":\"auth\",\"data\":{\"token\":\"again\"}}");
        assert_heard(x, "error {\"code\":\"bad_message\",\"message\":\"already authenticated\"}\n");
    }
}

static void a_rule_whose_lookup_fails_refuses_the_attach(void **state)
{
    struct fixture *x = *state;
    attach(x, "7", "7");
    answer(x, "user", "[7]", "id,role", "7,manager");
    fail_lookup(x, LOOKUP_UNAVAILABLE);
    assert_int_equal(x->outcome, GRANTS_UNAVAILABLE);
    assert_heard(x, "");
}

static void more_automatic_rooms_than_allowed_refuse_the_attach(void **state)
{
    struct fixture *x = *state;
    create_client(x, 3);
    attach(x, "7", "7");
    answer(x, "user", "[7]", "id,role", "7,manager");
    answer(x, "cities", "[7]", "city_id", "1;2;3"); /* and user-7 */
    assert_int_equal(x->outcome, GRANTS_TOO_MANY);
    create_client(x, 3);
    attach(x, "7", "7");
    answer(x, "user", "[7]", "id,role", "7,manager");
    answer(x, "cities", "[7]", "city_id", "1;2");
    assert_int_equal(x->outcome, GRANTS_ALLOWED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        stage(a_stranger_may_ping_and_authenticate_and_nothing_else),
        stage(a_token_in_a_message_is_handed_on),
        stage(a_token_that_is_no_good_refuses),
        stage(an_expiry_is_told_and_then_ends_the_connection),
        stage(a_short_token_is_told_of_at_once_and_an_endless_one_never),
        stage(a_refresh_extends),
        stage(a_refresh_that_is_no_good_changes_nothing),
        stage(connected_comes_first_and_then_what_was_missed_meanwhile),
        stage(the_user_keeps_the_json_type_of_the_token),
        stage(whoever_is_refused_gets_nothing_and_may_ask_nothing),
        stage(a_rule_whose_lookup_fails_refuses_the_attach),
        stage(more_automatic_rooms_than_allowed_refuse_the_attach),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
