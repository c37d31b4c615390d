#include "unit.h"

#include "causeway/base64.h"
#include "causeway/handshake.h"
#include "causeway/sha1.h"

#include <stdio.h>
#include <stdlib.h>

static void assert_digest(struct slice text, const char *expected)
{
    unsigned char digest[SHA1_SIZE];
    char shown[2 * SHA1_SIZE + 1];
    sha1(text, digest);
    for (size_t i = 0; i < SHA1_SIZE; i++)
        snprintf(shown + 2 * i, 3, "%02x", digest[i]);
    assert_string_equal(shown, expected);
}

/* The vectors of FIPS 180, and lengths around the end of a block. */
static void digests_are_those_of_the_standard(void **state)
{
    (void)state;
    assert_digest((struct slice){NULL, 0}, "da39a3ee5e6b4b0d3255bfef95601890afd80709");
    assert_digest(SLICE("abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
    assert_digest(SLICE("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
        "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
    static const char *const lengths[][2] = {{"55", "c1c8bbdc22796e28c0e15163d20899b65621d65a"},
        {"56", "c2db330f6083854c99d4b5bfb6e8f29f201be699"},
        {"63", "03f09f5b158a7a8cdad920bddc29b81c18a551f5"},
        {"64", "0098ba824b5c16427bd7a1122a5a442a25ec644d"},
        {"65", "11655326c708d70319be2610e8a57d9a5b959d3b"},
        {"1000", "291e9a6c66994949b57ba5e650361e98fc36b1ba"}};
    char many[1000];
    memset(many, 'a', sizeof many);
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++)
        assert_digest((struct slice){many, (size_t)atoi(lengths[i][0])}, lengths[i][1]);
}

static void base64_goes_there_and_back(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {{"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="}, {"foobar", "Zm9vYmFy"}, {"\xfb\xff\xfe", "+//+"}};
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        struct buffer out = {0};
        base64_encode(&out, slice_of(pairs[i][0]));
        assert_string_equal(buffer_text(&out), pairs[i][1]);
        buffer_clear(&out);
        assert_true(base64_decode(&out, slice_of(pairs[i][1])));
        assert_string_equal(buffer_text(&out), pairs[i][0]);
        buffer_clear(&out);
        size_t bare = strcspn(pairs[i][1], "=");
        assert_true(base64_decode(&out, (struct slice){pairs[i][1], bare}));
        assert_string_equal(buffer_text(&out), pairs[i][0]);
        buffer_finish(&out);
    }
}

static void what_is_no_base64_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "Z", "Zm9vY", "Zg=", "Z===", "====", "Zm 9v", "Zm9v=", "Zm-v", "Zm9v\n", "Zg==Zg=="};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct buffer out = {0};
        assert_false(base64_decode(&out, slice_of(bad[i])));
        buffer_finish(&out);
    }
    struct buffer out = {0};
    assert_false(base64_decode(&out, (struct slice){"Zg\0=", 4}));
    buffer_finish(&out);
}

static struct http_head parse(const char *text)
{
    struct http_head head;
    assert_true(http_parse_request(text, strlen(text), &head) > 0);
    return head;
}

#define UPGRADE(method, version, key)                                                                        \
    method " / HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"             \
           "Sec-WebSocket-Version: " version "\r\nSec-WebSocket-Key: " key "\r\n\r\n"
#define KEY "dGhlIHNhbXBsZSBub25jZQ=="

/* The example of RFC 6455, 1.3. */
static void the_key_is_answered(void **state)
{
    (void)state;
    struct http_head head = parse(UPGRADE("GET", "13", KEY));
    assert_null(handshake_check(&head));
    char key[HANDSHAKE_KEY_SIZE + 1];
    handshake_key(&head, key);
    assert_string_equal(key, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    struct buffer out = {0};
    handshake_accept(&out, key, "X-More: 1\r\n");
    assert_string_equal(buffer_text(&out),
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nX-More: 1\r\n\r\n");
    buffer_finish(&out);
}

static void what_is_no_upgrade_is_told_so(void **state)
{
    (void)state;
    struct http_head head = parse(UPGRADE("POST", "13", KEY));
    assert_int_equal(handshake_check(&head)->status, 400);
    head = parse(UPGRADE("GET", "13", "short"));
    assert_int_equal(handshake_check(&head)->status, 400);
    head = parse("GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nSec-WebSocket-Key: " KEY "\r\n\r\n");
    assert_int_equal(handshake_check(&head)->status, 400);
    head = parse(UPGRADE("GET", "8", KEY));
    assert_int_equal(handshake_check(&head)->status, 426);
    assert_string_equal(handshake_check(&head)->extra, "Sec-WebSocket-Version: 13\r\n");
}

static void origins_are_compared_whole(void **state)
{
    (void)state;
    assert_true(handshake_origin_allowed("", SLICE("https://evil.example")));
    assert_true(handshake_origin_allowed("https://a.example", (struct slice){NULL, 0}));
    static const char list[] = "https://a.example, https://b.example/";
    assert_true(handshake_origin_allowed(list, SLICE("https://a.example")));
    assert_true(handshake_origin_allowed(list, SLICE("https://b.example")));
    assert_false(handshake_origin_allowed(list, SLICE("https://a.example.evil")));
    assert_false(handshake_origin_allowed(list, SLICE("https://a")));
    assert_false(handshake_origin_allowed(list, SLICE("null")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digests_are_those_of_the_standard),
        cmocka_unit_test(base64_goes_there_and_back),
        cmocka_unit_test(what_is_no_base64_is_refused),
        cmocka_unit_test(the_key_is_answered),
        cmocka_unit_test(what_is_no_upgrade_is_told_so),
        cmocka_unit_test(origins_are_compared_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
