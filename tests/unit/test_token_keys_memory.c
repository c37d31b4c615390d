/* What is remembered of tokens that held; and tokens that are issued. */
#include "token_keys_stage.h"

#include "causeway/metrics.h"

#include <stdio.h>
#include <stdlib.h>

/* --- what is remembered --- */

static int64_t judged(const char *result)
{
    return metric_value(metric_label(METRIC_TOKENS, result));
}

static void verified_tokens_are_remembered_but_not_beyond_their_time(void **state)
{
    (void)state;
    struct token_verifier *v = verifier_of_three();
    struct buffer token =
        forge("{\"alg\":\"ES256\"}", "{\"sub\":7,\"exp\":1700000100,\"nbf\":1700000000}", BY_EC);
    int64_t verified = judged("verified"), cached = judged("cached"), expired = judged("token expired");
    for (int i = 0; i < 3; i++) {
        struct token_claims claims;
        assert_int_equal(token_verify(v, buffer_slice(&token), NOW + i, &claims), TOKEN_OK);
        assert_string_equal(claims.user, "7");
        assert_string_equal(claims.user_json, "7");
        assert_int_equal(claims.expires, 1700000100);
        token_claims_finish(&claims);
    }
    assert_int_equal(judged("verified") - verified, 1);
    assert_int_equal(judged("cached") - cached, 2);
    assert_int_equal(verify(v, buffer_slice(&token), 1700000130), TOKEN_OK);
    assert_int_equal(verify(v, buffer_slice(&token), 1700000131), TOKEN_EXPIRED);
    assert_int_equal(verify(v, buffer_slice(&token), 1700000131), TOKEN_EXPIRED);
    assert_int_equal(verify(v, buffer_slice(&token), 1699999969), TOKEN_EARLY); /* a clock was set back */
    assert_int_equal(judged("token expired") - expired, 2);

    token.data[token.size - 2] ^= 1; /* its neighbour is another token */
    enum token_status status = verify(v, buffer_slice(&token), NOW);
    assert_true(status == TOKEN_SIGNATURE || status == TOKEN_MALFORMED);
    buffer_finish(&token);
    token_verifier_destroy(v);
}

static void what_is_refused_is_not_remembered(void **state)
{
    (void)state;
    struct token_verifier *v = verifier_of_three();
    struct buffer token = forge("{\"alg\":\"RS256\"}", GOOD, BY_OTHER_RSA);
    int64_t cached = judged("cached"), refused = judged("token signature invalid");
    for (int i = 0; i < 3; i++)
        assert_int_equal(verify(v, buffer_slice(&token), NOW), TOKEN_SIGNATURE);
    assert_int_equal(judged("token signature invalid") - refused, 3);
    assert_int_equal(judged("cached"), cached);
    buffer_finish(&token);
    token_verifier_destroy(v);
}

static void memory_is_bounded(void **state)
{
    (void)state;
    for (size_t entries = 0; entries <= 8; entries += 4) {
        struct buffer set = three_keys(), fault = {0};
        struct token_settings settings = settings_of(NULL);
        settings.cache_max = entries;
        struct token_verifier *v = verifier_of(&settings, buffer_slice(&set), &fault);
        int64_t cached = judged("cached");
        for (int round = 0; round < 2; round++) {
            for (int i = 0; i < 100; i++) {
                char payload[64];
                snprintf(payload, sizeof payload, "{\"sub\":%d,\"exp\":%d}", i, 1700000100 + i);
                struct buffer token = forge("{\"alg\":\"HS256\"}", payload, BY_SECRET);
                struct token_claims claims;
                assert_int_equal(token_verify(v, buffer_slice(&token), NOW, &claims), TOKEN_OK);
                assert_int_equal(atoi(claims.user), i);
                token_claims_finish(&claims);
                buffer_finish(&token);
                if (i == 96)
                    cached = judged("cached");
            }
        }
        /* Who expires last stays, in each row of four places. */
        assert_in_range(judged("cached") - cached, entries ? 2 : 0, entries ? 3 : 0);
        token_verifier_destroy(v);
        buffer_finish(&set);
    }
}

/* --- issuing --- */

static void tokens_are_issued_with_private_keys(void **state)
{
    (void)state;
    EVP_PKEY *const pairs[] = {keys.rsa, keys.ec};
    static const char *const kids[] = {"r1", "e1"};
    struct token_verifier *v = verifier_of_three();
    struct token_settings settings = settings_of(NULL);
    for (size_t i = 0; i < 20; i++) { /* numbers on a curve begin with zeros now and then */
        struct buffer pem = private_pem(pairs[i % 2]), fault = {0};
        char path[64];
        file_with(path, buffer_slice(&pem));
        struct token_issue what = {.settings = &settings,
            .key_file = path,
            .kid = kids[i % 2],
            .user_json = "\"ann\"",
            .now = NOW,
            .ttl_seconds = 60 + (int64_t)i};
        char *token = token_issue(&what, &fault);
        assert_non_null(token);
        assert_int_equal(verify(v, slice_of(token), NOW), TOKEN_OK);
        free(token);
        what.kid = kids[(i + 1) % 2];
        token = token_issue(&what, &fault);
        assert_int_equal(verify(v, slice_of(token), NOW), TOKEN_ALGORITHM);
        free(token);
        unlink(path);
        assert_null(token_issue(&what, &fault));
        assert_non_null(strstr(buffer_text(&fault), "No such file"));
        buffer_finish(&pem);
        buffer_finish(&fault);
    }
    token_verifier_destroy(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(verified_tokens_are_remembered_but_not_beyond_their_time),
        cmocka_unit_test(what_is_refused_is_not_remembered),
        cmocka_unit_test(memory_is_bounded),
        cmocka_unit_test(tokens_are_issued_with_private_keys),
    };
    return cmocka_run_group_tests(tests, make_keys, free_keys);
}
