/* Keys that are fetched: bounds, questions, leases, and what is refused. */
#include "token_watch_stage.h"

#include "../../src/edge/token_fetch.h"
#include "causeway/memory.h"
#include "causeway/metrics.h"

#include <stdio.h>
#include <stdlib.h>

/* --- a watch --- */

static bool is_unready(struct fixture *x, const char *detail)
{
    char said[200];
    return !token_watch_ready(x->watch, said, sizeof said) && strstr(said, detail);
}

struct question {
    struct token_asker asker;
    atomic_int answer; /* -1: none yet */
};

static void on_looked(struct token_asker *a, enum token_look look)
{
    atomic_store(&((struct question *)a)->answer, (int)look);
}

static void ask(struct fixture *x, struct question *q)
{
    q->asker.on_looked = on_looked;
    atomic_store(&q->answer, -1);
    token_watch_ask(x->watch, &q->asker);
}

static enum token_look answer_of(struct question *q)
{
    wait_until(atomic_load(&q->answer) >= 0);
    return (enum token_look)atomic_load(&q->answer);
}

/* --- fetching --- */

static void a_fetch_is_bounded_in_all_ways(void **state)
{
    (void)state;
    static const struct {
        enum manner manner;
        const char *fault;
    } cases[] = {{STATUS_500, "HTTP status 500"}, {STATUS_404, "HTTP status 404"},
        {REDIRECTS, "HTTP status 302"}, {FLOODS, "more than 1000 bytes"}, {BREAKS_OFF, "partial file"},
        {IS_SILENT, "Timeout"}};
    atomic_bool stopping = false;
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%u/keys", server.port);
    struct token_fetch f = {url, "", 1000, 500, &stopping};
    struct buffer out = {0}, fault = {0};
    token_fetch_setup();
    publish("0");
    assert_true(token_fetch(&f, &out, &fault));
    assert_true(slice_equal(buffer_slice(&out), buffer_slice(&server.body)));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int requests = atomic_load(&server.requests);
        atomic_store(&server.manner, cases[i].manner);
        buffer_clear(&fault);
        assert_false(token_fetch(&f, &out, &fault));
        if (!strcasestr(buffer_text(&fault), cases[i].fault) || strstr(fault.data, "127.0.0.1"))
            fail_msg("\"%s\" for %s", fault.data, cases[i].fault);
        assert_int_equal(atomic_load(&server.requests), requests + 1); /* no second try, no other address */
    }
    static const char *const urls[] = {
        "http://127.0.0.1:1/", "file:///etc/hostname", "ftp://127.0.0.1/", "gopher://127.0.0.1:1/_", ""};
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        f.url = urls[i];
        assert_false(token_fetch(&f, &out, &fault));
    }
    buffer_finish(&out);
    buffer_finish(&fault);
}

static void keys_are_fetched_at_start_and_when_asked_for(void **state)
{
    (void)state;
    struct fixture x = {0};
    struct question q;
    publish("0");
    create(&x, "", true);
    wait_until(is_ready(&x, ""));
    assert_int_equal(status_of(x.verifier, 0), TOKEN_OK);
    assert_int_equal(status_of(x.verifier, 1), TOKEN_KEY);
    publish("01");
    assert_int_equal(status_of(x.verifier, 1), TOKEN_KEY);
    ask(&x, &q);
    assert_int_equal(answer_of(&q), LOOK_DONE);
    assert_int_equal(status_of(x.verifier, 0), TOKEN_OK);
    assert_int_equal(status_of(x.verifier, 1), TOKEN_OK);
    publish("1"); /* what is withdrawn holds for no token any more, remembered or not */
    ask(&x, &q);
    assert_int_equal(answer_of(&q), LOOK_DONE);
    assert_int_equal(status_of(x.verifier, 0), TOKEN_KEY);
    assert_int_equal(status_of(x.verifier, 1), TOKEN_OK);
    destroy(&x);
}

static void a_thousand_questions_are_one_fetch(void **state)
{
    (void)state;
    enum { MANY = 1000 };
    struct fixture x = {.second_ms = 1000}; /* all of a round are to be asked within one cooldown */
    struct question *q = xcalloc(MANY, sizeof *q);
    publish("0");
    create(&x, "", true);
    wait_until(is_ready(&x, ""));
    int requests = atomic_load(&server.requests);
    int64_t began = clock_ms();
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < MANY; i++)
            ask(&x, &q[i]);
        for (int i = 0; i < MANY; i++)
            assert_int_equal(answer_of(&q[i]), LOOK_DONE);
    }
    assert_int_equal(atomic_load(&server.requests), requests + 2);
    assert_true(clock_ms() - began > 1500); /* two cooldowns, but for what it took to ask */
    free(q);
    destroy(&x);
}

static void who_asks_while_a_fetch_is_under_way_is_told_so(void **state)
{
    (void)state;
    struct fixture x = {0};
    struct question early, late;
    publish("0");
    atomic_store(&server.manner, SERVES_WHEN_TOLD);
    int requests = atomic_load(&server.requests);
    create(&x, "", true);
    wait_until(atomic_load(&server.requests) == requests + 1);
    ask(&x, &late); /* the server may have read its keys already */
    atomic_store(&server.told, true);
    assert_int_equal(answer_of(&late), LOOK_AGAIN);
    ask(&x, &early);
    assert_int_equal(answer_of(&early), LOOK_DONE);
    destroy(&x);
}

static void keys_that_cannot_be_fetched_are_a_matter_of_readiness(void **state)
{
    (void)state;
    static const struct {
        enum manner manner;
        const char *detail;
    } cases[] = {{STATUS_500, "JWKS_URL: HTTP status 500"}, {TALKS_NONSENSE, "JWKS_URL: "}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fixture x = {0};
        struct question q;
        atomic_store(&server.manner, cases[i].manner);
        create(&x, "", true);
        ask(&x, &q);
        assert_int_equal(answer_of(&q), LOOK_FAILED);
        wait_until(is_unready(&x, cases[i].detail));
        assert_int_equal(status_of(x.verifier, 0), TOKEN_KEY);
        publish("0"); /* it is tried again by itself */
        wait_until(is_ready(&x, ""));
        assert_int_equal(status_of(x.verifier, 0), TOKEN_OK);

        atomic_store(&server.manner, cases[i].manner); /* keys that are there stay */
        ask(&x, &q);
        assert_int_equal(answer_of(&q), LOOK_FAILED);
        wait_until(is_ready(&x, cases[i].detail));
        assert_int_equal(status_of(x.verifier, 0), TOKEN_OK);
        destroy(&x);
    }
}

static void keys_are_trusted_for_a_lease_only(void **state)
{
    (void)state;
    struct fixture x = {.config = {.jwks_refresh = 1, .jwks_lease = 50}};
    publish("0");
    create(&x, "", true);
    wait_until(is_ready(&x, ""));
    atomic_store(&server.manner, STATUS_500);
    wait_until(is_ready(&x, "500"));
    enum token_status within = status_of(x.verifier, 0);
    assert_true(
        within == TOKEN_OK || is_unready(&x, "500")); /* a busy machine may have let the lease go by */
    wait_until(is_unready(&x, "500"));
    assert_int_equal(status_of(x.verifier, 0), TOKEN_KEY);
    publish("0");
    wait_until(is_ready(&x, ""));
    assert_int_equal(status_of(x.verifier, 0), TOKEN_OK);
    destroy(&x);
}

static void a_set_that_stays_the_same_keeps_what_is_remembered(void **state)
{
    (void)state;
    struct fixture x = {0};
    struct question q;
    publish("0");
    create(&x, "", true);
    wait_until(is_ready(&x, ""));
    struct buffer token = token_by(0);
    struct metric *verified = metric_label(METRIC_TOKENS, "verified"),
                  *cached = metric_label(METRIC_TOKENS, "cached");
    int64_t before = metric_value(verified), remembered = metric_value(cached);
    assert_int_equal(verify(x.verifier, buffer_slice(&token)), TOKEN_OK);
    ask(&x, &q);
    assert_int_equal(answer_of(&q), LOOK_DONE);
    assert_int_equal(verify(x.verifier, buffer_slice(&token)), TOKEN_OK);
    assert_int_equal(metric_value(verified) - before, 1);
    assert_int_equal(metric_value(cached) - remembered, 1);
    publish("01");
    ask(&x, &q);
    assert_int_equal(answer_of(&q), LOOK_DONE);
    assert_int_equal(verify(x.verifier, buffer_slice(&token)), TOKEN_OK);
    assert_int_equal(metric_value(verified) - before, 2); /* by the new set */
    buffer_finish(&token);
    destroy(&x);
}

static void a_silent_server_does_not_hold_the_end(void **state)
{
    (void)state;
    struct fixture x = {0};
    struct question q;
    atomic_store(&server.manner, IS_SILENT);
    int requests = atomic_load(&server.requests);
    create(&x, "", true);
    wait_until(atomic_load(&server.requests) == requests + 1);
    ask(&x, &q);
    int64_t began = clock_ms();
    destroy(&x);
    assert_true(clock_ms() - began < 3000);
    assert_int_equal(answer_of(&q), LOOK_FAILED);
}

static void a_published_secret_is_no_key(void **state)
{
    (void)state;
    struct fixture x = {0};
    publish("");
    pthread_mutex_lock(&server.lock);
    buffer_clear(&server.body);
    buffer_add_text(&server.body, "{\"keys\":[");
    add_secret_jwk(&server.body, SLICE("0123456789abcdef0123456789abcdef"), "");
    buffer_add_text(&server.body, "]}");
    pthread_mutex_unlock(&server.lock);
    create(&x, "", true);
    wait_until(is_unready(&x, "is a secret that was published"));
    destroy(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fetch_is_bounded_in_all_ways),
        cmocka_unit_test(keys_are_fetched_at_start_and_when_asked_for),
        cmocka_unit_test(a_thousand_questions_are_one_fetch),
        cmocka_unit_test(who_asks_while_a_fetch_is_under_way_is_told_so),
        cmocka_unit_test(keys_that_cannot_be_fetched_are_a_matter_of_readiness),
        cmocka_unit_test(keys_are_trusted_for_a_lease_only),
        cmocka_unit_test(a_set_that_stays_the_same_keeps_what_is_remembered),
        cmocka_unit_test(a_silent_server_does_not_hold_the_end),
        cmocka_unit_test(a_published_secret_is_no_key),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
