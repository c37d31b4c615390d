#include "unit.h"

#include "token_forge.h"

#include "causeway/memory.h"
#include "causeway/token.h"

#include <stdlib.h>

#define SECRET "0123456789abcdef0123456789abcdef"
#define HEADER "{\"alg\":\"HS256\",\"typ\":\"JWT\"}"

enum { NOW = 1700000000, LEEWAY = 30 };

static const struct token_settings plain = {
    .secret = {SECRET, sizeof SECRET - 1}, .user_claims = "sub,userId,id", .leeway_seconds = LEEWAY};

static void add_signature(struct buffer *out, const char *secret)
{
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    HMAC(EVP_sha256(), secret, (int)strlen(secret), (const unsigned char *)out->data, out->size, mac, &size);
    buffer_add_byte(out, '.');
    add_base64url(out, mac, size);
}

/* A token over any bytes, rightly signed with `secret`. */
static struct buffer forge(struct slice header, struct slice payload, const char *secret)
{
    struct buffer out = {0};
    add_base64url(&out, header.data, header.size);
    buffer_add_byte(&out, '.');
    add_base64url(&out, payload.data, payload.size);
    add_signature(&out, secret);
    return out;
}

static enum token_status verify(
    const struct token_settings *settings, struct slice token, struct token_claims *claims)
{
    struct buffer fault = {0};
    struct token_verifier *v = token_verifier_create(settings, &fault);
    assert_non_null(v);
    enum token_status status = token_verify(v, token, NOW, claims);
    token_verifier_destroy(v);
    buffer_finish(&fault);
    return status;
}

/* Checks the verdict, and that nothing but a good token yields claims. */
static void expect(
    const struct token_settings *settings, struct slice token, enum token_status wanted, const char *why)
{
    struct token_claims claims;
    enum token_status status = verify(settings, token, &claims);
    if (status != wanted)
        fail_msg("%s: \"%s\" instead of \"%s\"", why, token_status_text(status), token_status_text(wanted));
    if ((status == TOKEN_OK) != (claims.user != NULL) || (status == TOKEN_OK) != (claims.user_json != NULL))
        fail_msg("%s: claims do not match the verdict", why);
    token_claims_finish(&claims);
}

static void expect_forged(const char *header, const char *payload, enum token_status wanted)
{
    struct buffer token = forge(slice_of(header), slice_of(payload), SECRET);
    expect(
        &plain, buffer_slice(&token), wanted, strncmp(header, HEADER, sizeof HEADER) == 0 ? payload : header);
    buffer_finish(&token);
}

#define GOOD "{\"sub\":\"ann\",\"exp\":1700000100}"

static void headers_are_judged_before_signatures(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        enum token_status status;
    } cases[] = {
        {HEADER, TOKEN_OK},
        {"{\"alg\":\"HS256\"}", TOKEN_OK},
        {"{\"typ\":\"jwt\",\"alg\":\"HS256\"}", TOKEN_OK},
        {"{\"alg\":\"HS256\",\"kid\":\"../../../../dev/null\"}", TOKEN_OK}, /* nobody opens it */
        {"{\"alg\":\"HS256\",\"kid\":\"x' UNION SELECT 'k\"}", TOKEN_OK},
        {"{\"alg\":\"HS256\",\"jwk\":{\"kty\":\"oct\",\"k\":\"AAAA\"}}", TOKEN_OK},
        {"{\"alg\":\"HS256\",\"jku\":\"http://127.0.0.1:1/\"}", TOKEN_OK},
        {"{\"alg\":\"none\"}", TOKEN_ALGORITHM},
        {"{\"alg\":\"None\"}", TOKEN_ALGORITHM},
        {"{\"alg\":\"NONE\"}", TOKEN_ALGORITHM},
        {"{\"alg\":\"nOnE\"}", TOKEN_ALGORITHM},
        {"{\"alg\":\"\"}", TOKEN_ALGORITHM},
        {"{\"alg\":null}", TOKEN_ALGORITHM},
        {"{\"alg\":256}", TOKEN_ALGORITHM},
        {"{\"alg\":[\"HS256\"]}", TOKEN_ALGORITHM},
        {"{\"typ\":\"JWT\"}", TOKEN_ALGORITHM},
        {"{\"alg\":\"hs256\"}", TOKEN_ALGORITHM},
        {"{\"alg\":\"HS256 \"}", TOKEN_ALGORITHM},
        {"{\"alg\":\"HS384\"}", TOKEN_ALGORITHM},
        {"{\"alg\":\"HS512\"}", TOKEN_ALGORITHM},
        {"{\"alg\":\"RS256\"}", TOKEN_ALGORITHM},
        {"{\"alg\":\"PS256\"}", TOKEN_ALGORITHM},
        {"{\"alg\":\"ES256\"}", TOKEN_ALGORITHM},
        {"{\"ALG\":\"HS256\"}", TOKEN_ALGORITHM},
        {"{\"alg\":\"HS256\",\"alg\":\"none\"}", TOKEN_MALFORMED},
        {"{\"alg\":\"HS256\",\"al\\u0067\":\"none\"}", TOKEN_MALFORMED},
        {"{\"alg\":\"HS256\\u0000\"}", TOKEN_MALFORMED},
        {"{\"alg\":\"HS256\",\"crit\":[\"exp\"]}", TOKEN_MALFORMED},
        {"{\"alg\":\"HS256\",\"crit\":null}", TOKEN_MALFORMED},
        {"{\"alg\":\"HS256\",\"typ\":\"at+jwt\"}", TOKEN_OK},
        {"{\"alg\":\"HS256\",\"typ\":\"application/at+JWT\"}", TOKEN_OK},
        {"{\"alg\":\"HS256\",\"typ\":\"application/\"}", TOKEN_MALFORMED},
        {"{\"alg\":\"HS256\",\"typ\":\"dpop+jwt\"}", TOKEN_MALFORMED},
        {"{\"alg\":\"HS256\",\"typ\":\"\"}", TOKEN_MALFORMED},
        {"{\"alg\":\"HS256\",\"kid\":\"\"}", TOKEN_OK},
        {"{\"alg\":\"HS256\",\"kid\":null}", TOKEN_MALFORMED},
        {"{\"alg\":\"HS256\",\"kid\":1}", TOKEN_MALFORMED},
        {"{\"alg\":\"HS256\",\"kid\":[\"a\"]}", TOKEN_MALFORMED},
        {"{\"alg\":\"HS256\",\"kid\":\"a\",\"kid\":\"b\"}", TOKEN_MALFORMED},
        {"{\"alg\":\"HS256\",\"x5u\":\"file:///etc/passwd\",\"x5c\":[\"MIIB\"]}", TOKEN_OK},
        {"{\"alg\":\"HS256\",\"typ\":\"JWE\"}", TOKEN_MALFORMED},
        {"{\"alg\":\"HS256\",\"typ\":7}", TOKEN_MALFORMED},
        {"{\"alg\":\"HS256\"} ,", TOKEN_MALFORMED},
        {"[{\"alg\":\"HS256\"}]", TOKEN_MALFORMED},
        {"\"HS256\"", TOKEN_MALFORMED},
        {"{\"alg\":\"HS256\"", TOKEN_MALFORMED},
        {"", TOKEN_MALFORMED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        expect_forged(cases[i].header, GOOD, cases[i].status);
}

static void claims_are_judged_by_type_and_value(void **state)
{
    (void)state;
    static const struct {
        const char *payload;
        enum token_status status;
    } cases[] = {
        {GOOD, TOKEN_OK},
        {"{\"sub\":\"ann\"}", TOKEN_NO_EXPIRY},
        {"{\"sub\":\"ann\",\"EXP\":1700000100}", TOKEN_NO_EXPIRY},
        {"{\"sub\":\"ann\",\"exp\":1699999970}", TOKEN_OK}, /* now - leeway */
        {"{\"sub\":\"ann\",\"exp\":1699999969}", TOKEN_EXPIRED},
        {"{\"sub\":\"ann\",\"exp\":0}", TOKEN_EXPIRED},
        {"{\"sub\":\"ann\",\"exp\":-1}", TOKEN_MALFORMED},
        {"{\"sub\":\"ann\",\"exp\":1700000100.0}", TOKEN_MALFORMED},
        {"{\"sub\":\"ann\",\"exp\":1.7e9}", TOKEN_MALFORMED},
        {"{\"sub\":\"ann\",\"exp\":\"1700000100\"}", TOKEN_MALFORMED},
        {"{\"sub\":\"ann\",\"exp\":null}", TOKEN_MALFORMED},
        {"{\"sub\":\"ann\",\"exp\":true}", TOKEN_MALFORMED},
        {"{\"sub\":\"ann\",\"exp\":[1700000100]}", TOKEN_MALFORMED},
        {"{\"sub\":\"ann\",\"exp\":9007199254740992}", TOKEN_OK},
        {"{\"sub\":\"ann\",\"exp\":9007199254740993}", TOKEN_MALFORMED},
        {"{\"sub\":\"ann\",\"exp\":9223372036854775807}", TOKEN_MALFORMED},
        {"{\"sub\":\"ann\",\"exp\":9223372036854775808}", TOKEN_MALFORMED},
        {"{\"sub\":\"ann\",\"exp\":18446744073709551716}", TOKEN_MALFORMED},
        {"{\"sub\":\"ann\",\"exp\":01700000100}", TOKEN_MALFORMED},
        {"{\"sub\":\"ann\",\"exp\":1,\"exp\":1700000100}", TOKEN_MALFORMED},
        {"{\"sub\":\"bob\",\"exp\":1700000100,\"sub\":\"ann\"}", TOKEN_MALFORMED},
        {"{\"sub\":\"ann\",\"exp\":1700000100,\"nbf\":1700000030}", TOKEN_OK}, /* now + leeway */
        {"{\"sub\":\"ann\",\"exp\":1700000100,\"nbf\":1700000031}", TOKEN_EARLY},
        {"{\"sub\":\"ann\",\"exp\":1700000100,\"nbf\":\"0\"}", TOKEN_MALFORMED},
        {"{\"sub\":\"ann\",\"exp\":1700000100,\"nbf\":0.5}", TOKEN_MALFORMED},
        {"{\"sub\":\"ann\",\"exp\":1700000100,\"nbf\":-5}", TOKEN_MALFORMED},
        {"[\"sub\",\"exp\"]", TOKEN_MALFORMED},
        {"[1]", TOKEN_MALFORMED},
        {"null", TOKEN_MALFORMED},
        {"", TOKEN_MALFORMED},
        {"{\"sub\":\"ann\",\"exp\":1700000100}x", TOKEN_MALFORMED},
        {"{\"exp\":1700000100}", TOKEN_NO_USER},
        {"{\"sub\":\"\",\"exp\":1700000100}", TOKEN_NO_USER},
        {"{\"sub\":null,\"exp\":1700000100}", TOKEN_NO_USER},
        {"{\"sub\":true,\"exp\":1700000100}", TOKEN_NO_USER},
        {"{\"sub\":1.5,\"exp\":1700000100}", TOKEN_NO_USER},
        {"{\"sub\":{\"id\":1},\"exp\":1700000100}", TOKEN_NO_USER},
        {"{\"sub\":[\"ann\"],\"exp\":1700000100}", TOKEN_NO_USER},
        {"{\"sub\":\"a\\nb\",\"exp\":1700000100}", TOKEN_NO_USER},
        {"{\"sub\":\"a\\u007f\",\"exp\":1700000100}", TOKEN_NO_USER},
        {"{\"sub\":null,\"id\":7,\"exp\":1700000100}", TOKEN_NO_USER}, /* the first present one decides */
        {"{\"sub\":\"a\\u0000b\",\"exp\":1700000100}", TOKEN_MALFORMED},
        {"{\"sub\":\"\xff\",\"exp\":1700000100}", TOKEN_MALFORMED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        expect_forged(HEADER, cases[i].payload, cases[i].status);
}

static void issuer_and_audience_are_exact(void **state)
{
    (void)state;
    struct token_settings strict = plain;
    strict.issuer = "https://id.example";
    strict.audience = "causeway";
    static const struct {
        const char *rest;
        enum token_status status;
    } cases[] = {
        {"\"iss\":\"https://id.example\",\"aud\":\"causeway\"", TOKEN_OK},
        {"\"iss\":\"https:\\/\\/id.example\",\"aud\":[\"other\",\"causeway\"]", TOKEN_OK},
        {"\"iss\":\"https://id.example/\",\"aud\":\"causeway\"", TOKEN_ISSUER},
        {"\"iss\":\"https://ID.example\",\"aud\":\"causeway\"", TOKEN_ISSUER},
        {"\"iss\":[\"https://id.example\"],\"aud\":\"causeway\"", TOKEN_ISSUER},
        {"\"iss\":null,\"aud\":\"causeway\"", TOKEN_ISSUER},
        {"\"aud\":\"causeway\"", TOKEN_ISSUER},
        {"\"iss\":\"https://id.example\"", TOKEN_AUDIENCE},
        {"\"iss\":\"https://id.example\",\"aud\":\"\"", TOKEN_AUDIENCE},
        {"\"iss\":\"https://id.example\",\"aud\":\"causeway2\"", TOKEN_AUDIENCE},
        {"\"iss\":\"https://id.example\",\"aud\":[]", TOKEN_AUDIENCE},
        {"\"iss\":\"https://id.example\",\"aud\":[\"cause\",\"way\"]", TOKEN_AUDIENCE},
        {"\"iss\":\"https://id.example\",\"aud\":[[\"causeway\"]]", TOKEN_AUDIENCE},
        {"\"iss\":\"https://id.example\",\"aud\":{\"causeway\":1}", TOKEN_AUDIENCE},
        {"\"iss\":\"https://id.example\",\"aud\":[1,null,\"causeway\"]", TOKEN_OK},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buffer payload = {0};
        buffer_print(&payload, "{\"sub\":\"ann\",\"exp\":1700000100,%s}", cases[i].rest);
        struct buffer token = forge(SLICE(HEADER), buffer_slice(&payload), SECRET);
        expect(&strict, buffer_slice(&token), cases[i].status, cases[i].rest);
        expect(&plain, buffer_slice(&token), TOKEN_OK, cases[i].rest); /* not asked for, not looked at */
        buffer_finish(&token);
        buffer_finish(&payload);
    }
}

static void signatures_must_be_ours(void **state)
{
    (void)state;
    struct buffer token = forge(SLICE(HEADER), SLICE(GOOD), "another secret of thirty-two bytes");
    expect(&plain, buffer_slice(&token), TOKEN_SIGNATURE, "another secret");
    buffer_finish(&token);

    token = forge(SLICE(HEADER), SLICE(GOOD), "");
    expect(&plain, buffer_slice(&token), TOKEN_SIGNATURE, "the empty secret");
    buffer_finish(&token);

    token = forge(SLICE(HEADER), SLICE("{\"sub\":\"ann\",\"exp\":1}"), "another secret");
    expect(&plain, buffer_slice(&token), TOKEN_SIGNATURE,
        "expired and forged: nothing is said about the claims");
    buffer_finish(&token);

    token = forge(SLICE(HEADER), SLICE(GOOD), SECRET);
    struct slice whole = buffer_slice(&token);
    struct slice last_dot = {memrchr(whole.data, '.', whole.size), 1};
    size_t unsigned_size = (size_t)(last_dot.data - whole.data);
    expect(&plain, (struct slice){whole.data, unsigned_size + 1}, TOKEN_SIGNATURE, "an empty signature");
    expect(&plain, (struct slice){whole.data, whole.size - 2}, TOKEN_MALFORMED, "cut within a byte");
    expect(&plain, (struct slice){whole.data, whole.size - 3}, TOKEN_SIGNATURE, "cut between bytes");
    for (size_t at = unsigned_size + 1; at < whole.size - 1; at++) {
        char before = token.data[at];
        token.data[at] = before == 'A' ? 'B' : 'A';
        expect(&plain, whole, TOKEN_SIGNATURE, "a changed signature");
        token.data[at] = before;
    }
    expect(&plain, whole, TOKEN_OK, "unchanged again");
    buffer_finish(&token);
}

/* Replaces the payload of a good token and keeps its signature. */
static void a_signature_covers_the_payload(void **state)
{
    (void)state;
    struct buffer good = forge(SLICE(HEADER), SLICE(GOOD), SECRET), swapped = {0};
    const char *signature = memrchr(good.data, '.', good.size);
    add_base64url(&swapped, HEADER, sizeof HEADER - 1);
    buffer_add_byte(&swapped, '.');
    const char *payload = "{\"sub\":\"bob\",\"exp\":1700000100}";
    add_base64url(&swapped, payload, strlen(payload));
    buffer_add(&swapped, signature, (size_t)(good.data + good.size - signature));
    expect(&plain, buffer_slice(&swapped), TOKEN_SIGNATURE, "swapped payload");
    buffer_finish(&good);
    buffer_finish(&swapped);
}

static void the_form_is_strict(void **state)
{
    (void)state;
    struct buffer token = forge(SLICE(HEADER), SLICE(GOOD), SECRET);
    struct slice whole = buffer_slice(&token);
    static const char *const around[][2] = {{"", "="}, {"", "=="}, {"", "."}, {"", ".AAAA"}, {"", " "},
        {" ", ""}, {"", "\n"}, {"\t", ""}, {"", "+"}, {"", "/"}, {".", ""}, {"AAAA.", ""},
        {"\xef\xbb\xbf", ""}, {"Bearer ", ""}, {"", "\xc3\xa4"}};
    for (size_t i = 0; i < sizeof around / sizeof around[0]; i++) {
        struct buffer odd = {0};
        buffer_add_text(&odd, around[i][0]);
        buffer_add_slice(&odd, whole);
        buffer_add_text(&odd, around[i][1]);
        expect(&plain, buffer_slice(&odd), TOKEN_MALFORMED, "odd surroundings");
        buffer_finish(&odd);
    }
    static const char inside[] = {'\0', '=', ' ', '\n', '+', '/', '.', '%'};
    for (size_t i = 0; i < sizeof inside; i++) {
        for (size_t at = 3; at < whole.size; at += 40) { /* one in each segment, at least */
            char before = token.data[at];
            token.data[at] = inside[i];
            expect(&plain, whole, TOKEN_MALFORMED, "an odd byte inside");
            token.data[at] = before;
        }
    }
    buffer_add_byte(&token, '\0');
    expect(&plain, buffer_slice(&token), TOKEN_MALFORMED, "NUL at the end");
    buffer_finish(&token);

    static const char *const texts[] = {"", ".", "..", "...", "a", "a.b", "a.b.c", "e30.e30.", "e30..AAAA",
        ".e30.AAAA", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbm4ifQ"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct token_claims claims;
        enum token_status status = verify(&plain, slice_of(texts[i]), &claims);
        assert_true(status == TOKEN_MALFORMED || status == TOKEN_ALGORITHM);
    }
    expect(&plain, (struct slice){NULL, 0}, TOKEN_MALFORMED, "nothing");
    /* {"alg":"none"} without and with leftover bits in the last character */
    expect(&plain, SLICE("eyJhbGciOiJub25lIn0.e30."), TOKEN_ALGORITHM, "the classic");
    expect(&plain, SLICE("eyJhbGciOiJub25lIn1.e30."), TOKEN_MALFORMED, "a second spelling of the same bytes");
}

static struct buffer token_of_size(size_t payload_size)
{
    struct buffer payload = {0};
    buffer_add_text(&payload, "{\"exp\":1700000100,\"sub\":\"ann\",\"pad\":\"");
    while (payload.size < payload_size - 2)
        buffer_add_byte(&payload, 'x');
    buffer_add_text(&payload, "\"}");
    struct buffer token = forge(SLICE(HEADER), buffer_slice(&payload), SECRET);
    buffer_finish(&payload);
    return token;
}

static void the_size_is_limited(void **state)
{
    (void)state;
    struct buffer token = token_of_size(6000);
    assert_true(token.size < TOKEN_MAX_BYTES);
    expect(&plain, buffer_slice(&token), TOKEN_OK, "8 KB");
    buffer_finish(&token);
    token = token_of_size(6200);
    assert_true(token.size > TOKEN_MAX_BYTES);
    expect(&plain, buffer_slice(&token), TOKEN_MALFORMED, "more than 8 KB");
    buffer_finish(&token);
    token = token_of_size(1 << 20);
    expect(&plain, buffer_slice(&token), TOKEN_MALFORMED, "1 MB");
    buffer_finish(&token);

    struct buffer deep = {0};
    for (int i = 0; i < 2000; i++)
        buffer_add_byte(&deep, '[');
    token = forge(SLICE(HEADER), buffer_slice(&deep), SECRET);
    expect(&plain, buffer_slice(&token), TOKEN_MALFORMED, "deep nesting");
    buffer_finish(&token);
    buffer_finish(&deep);
}

static void expect_user(const char *claim, const char *user, const char *user_json)
{
    struct buffer payload = {0};
    buffer_print(&payload, "{%s,\"exp\":1700000100}", claim);
    struct buffer token = forge(SLICE(HEADER), buffer_slice(&payload), SECRET);
    struct token_claims claims;
    assert_int_equal(verify(&plain, buffer_slice(&token), &claims), TOKEN_OK);
    assert_string_equal(claims.user, user);
    assert_string_equal(claims.user_json, user_json);
    assert_int_equal(claims.expires, 1700000100);
    token_claims_finish(&claims);
    assert_null(claims.user);
    buffer_finish(&token);
    buffer_finish(&payload);
}

static void the_user_keeps_its_json_type(void **state)
{
    (void)state;
    expect_user("\"sub\":\"ann\"", "ann", "\"ann\"");
    expect_user("\"sub\":123", "123", "123");
    expect_user("\"sub\":\"123\"", "123", "\"123\"");
    expect_user("\"userId\":9007199254740993", "9007199254740993", "9007199254740993");
    expect_user("\"id\":\"a b\"", "a b", "\"a b\"");
    expect_user("\"id\":1,\"userId\":2,\"sub\":3", "3", "3");
    expect_user("\"id\":1,\"userId\":2", "2", "2");
    expect_user("\"sub\":\"J\\u00fcrgen\"", "J\xc3\xbcrgen", "\"J\\u00fcrgen\"");
    expect_user("\"sub\":\"x\\\"y\"", "x\"y", "\"x\\\"y\"");

    char longest[129], claim[160], json[160];
    memset(longest, 'u', 128);
    longest[128] = '\0';
    snprintf(claim, sizeof claim, "\"sub\":\"%s\"", longest);
    snprintf(json, sizeof json, "\"%s\"", longest);
    expect_user(claim, longest, json);
    snprintf(claim, sizeof claim, "{\"sub\":\"%su\",\"exp\":1700000100}", longest);
    expect_forged(HEADER, claim, TOKEN_NO_USER);
}

static char *issue(const struct token_settings *settings, const char *user_json, const char *extra_json)
{
    struct buffer fault = {0};
    char *token = token_issue(&(struct token_issue){.settings = settings,
                                  .user_json = user_json,
                                  .now = NOW,
                                  .ttl_seconds = 3600,
                                  .extra_json = extra_json},
        &fault);
    assert_int_equal(token == NULL, fault.size > 0);
    buffer_finish(&fault);
    return token;
}

static void issued_tokens_verify(void **state)
{
    (void)state;
    struct token_settings strict = plain;
    strict.issuer = "us";
    strict.audience = "causeway";
    char *token = issue(&strict, "123", "{\"role\":\"admin\"}");
    struct token_claims claims;
    assert_int_equal(verify(&strict, slice_of(token), &claims), TOKEN_OK);
    assert_string_equal(claims.user_json, "123");
    assert_int_equal(claims.expires, NOW + 3600);
    token_claims_finish(&claims);
    free(token);

    token = issue(&plain, "\"ann\"", NULL);
    assert_int_equal(verify(&plain, slice_of(token), &claims), TOKEN_OK);
    assert_string_equal(claims.user_json, "\"ann\"");
    token_claims_finish(&claims);
    free(token);

    token = issue(&plain, "1", "{\"exp\":5,\"sub\":\"bob\"}"); /* extra claims win */
    expect(&plain, slice_of(token), TOKEN_EXPIRED, "issued as expired");
    free(token);
    assert_null(issue(&plain, "1", "[]"));
    assert_null(issue(&plain, "1", "{"));
    assert_null(issue(&plain, "1", "{\"a\":1,\"a\":2}"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_are_judged_before_signatures),
        cmocka_unit_test(claims_are_judged_by_type_and_value),
        cmocka_unit_test(issuer_and_audience_are_exact),
        cmocka_unit_test(signatures_must_be_ours),
        cmocka_unit_test(a_signature_covers_the_payload),
        cmocka_unit_test(the_form_is_strict),
        cmocka_unit_test(the_size_is_limited),
        cmocka_unit_test(the_user_keeps_its_json_type),
        cmocka_unit_test(issued_tokens_verify),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
