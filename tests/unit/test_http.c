#include "unit.h"

#include "causeway/http.h"

#include <stdio.h>
#include <stdlib.h>

#define START "GET / HTTP/1.1\r\nHost: h\r\n"

#define assert_text(value, text)                                                                             \
    do {                                                                                                     \
        struct slice assert_text_ = (value);                                                                 \
        assert_non_null(assert_text_.data);                                                                  \
        if (!slice_is(assert_text_, (text)))                                                                 \
            fail_msg("'%.*s' is not '%s'", SLICE_ARGS(assert_text_), (text));                                \
    } while (0)

/* Parses from memory that ends where the text ends, so that a sanitizer sees a step too far. */
static int parse_size(const char *text, size_t size, bool response)
{
    static struct http_head head;
    char *exact = malloc(size ? size : 1);
    memcpy(exact, text, size);
    int result = response ? http_parse_response(exact, size, &head) : http_parse_request(exact, size, &head);
    free(exact);
    return result;
}

static int parse(const char *text)
{
    return parse_size(text, strlen(text), false);
}

static void a_request_is_taken_apart(void **state)
{
    (void)state;
    static const char text[] =
        "GET /a/b?x=1&y=?2 HTTP/1.1\r\nHost: here:80\r\nX-Empty:\r\nX-Padded: \t a b \t\r\n\r\nrest";
    struct http_head h;
    assert_int_equal(http_parse_request(text, sizeof text - 1, &h), sizeof text - 1 - 4);
    assert_text(h.method, "GET");
    assert_text(h.path, "/a/b");
    assert_text(h.query, "x=1&y=?2");
    assert_int_equal(h.status, 0);
    assert_int_equal(h.field_count, 3);
    assert_text(http_field_find(&h, "hOST"), "here:80");
    assert_text(http_field_find(&h, "x-empty"), "");
    assert_text(http_field_find(&h, "X-Padded"), "a b");
    assert_null(http_field_find(&h, "X-Padde").data);
    assert_null(http_field_find(&h, "X-Padded2").data);
    assert_ptr_equal(h.path.data, text + 4);
}

static void a_path_without_a_query_has_an_empty_one(void **state)
{
    (void)state;
    struct http_head h;
    static const char plain[] = "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
                      bare[] = "GET /? HTTP/1.1\r\nHost: h\r\n\r\n";
    assert_true(http_parse_request(plain, sizeof plain - 1, &h) > 0);
    assert_text(h.path, "/");
    assert_int_equal(h.query.size, 0);
    assert_true(http_parse_request(bare, sizeof bare - 1, &h) > 0);
    assert_text(h.path, "/");
    assert_int_equal(h.query.size, 0);
}

static const struct {
    const char *text;
    int status; /* 0: accepted */
} strictness[] = {
    {START "\r\n", 0},
    {"GET / HTTP/1.1\nHost: h\n\n", 0}, /* a bare LF ends a line */
    {START "A:b\r\n\r\n", 0},
    {START "A: \x80\xff\r\n\r\n", 0},
    {START "A: b:c\r\n\r\n", 0},
    {"OPTIONS /x HTTP/1.1\r\nHost:\r\n\r\n", 0},
    {"M!#$%&'*+-.^_`|~9 / HTTP/1.1\r\nHost: h\r\n\r\n", 0},
    /* the request line */
    {"\r\n" START "\r\n", 400},
    {"GET /\r\nHost: h\r\n\r\n", 400},
    {"GET\r\nHost: h\r\n\r\n", 400},
    {" GET / HTTP/1.1\r\nHost: h\r\n\r\n", 400},
    {"GET  / HTTP/1.1\r\nHost: h\r\n\r\n", 400},
    {"GET /  HTTP/1.1\r\nHost: h\r\n\r\n", 400},
    {"GET\t/ HTTP/1.1\r\nHost: h\r\n\r\n", 400},
    {"GET / FTP/1.1\r\nHost: h\r\n\r\n", 400},
    {"GET / http/1.1\r\nHost: h\r\n\r\n", 400},
    {"GET / HTTP/1.0\r\nHost: h\r\n\r\n", 505},
    {"GET / HTTP/2.0\r\nHost: h\r\n\r\n", 505},
    {"GET / HTTP/1.1 \r\nHost: h\r\n\r\n", 505},
    {"GET / HTTP/1.11\r\nHost: h\r\n\r\n", 505},
    {"G(T / HTTP/1.1\r\nHost: h\r\n\r\n", 400},
    {"GET x HTTP/1.1\r\nHost: h\r\n\r\n", 400},
    {"GET * HTTP/1.1\r\nHost: h\r\n\r\n", 400},
    {"GET http://h/ HTTP/1.1\r\nHost: h\r\n\r\n", 400},
    {"CONNECT h:80 HTTP/1.1\r\nHost: h\r\n\r\n", 400},
    {"GET /a\tb HTTP/1.1\r\nHost: h\r\n\r\n", 400},
    {"GET /a\x7f HTTP/1.1\r\nHost: h\r\n\r\n", 400},
    {"GET /a\rb HTTP/1.1\r\nHost: h\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\r\nHost: h\r\n\r\n", 505},
    /* fields */
    {START "A : b\r\n\r\n", 400},
    {START " A: b\r\n\r\n", 400},
    {START "A: b\r\n c\r\n\r\n", 400}, /* folded */
    {START "A: b\r\n\tc\r\n\r\n", 400},
    {START "A: b\rc\r\n\r\n", 400},
    {START "A: b\r\r\n\r\n", 400},
    {START "\r\r\n", 400},
    {START "A\r\n\r\n", 400},
    {START ": b\r\n\r\n", 400},
    {START "A(: b\r\n\r\n", 400},
    {START "\xc3\xa9: b\r\n\r\n", 400},
    {START "A: \x01\r\n\r\n", 400},
    {START "A: \x7f\r\n\r\n", 400},
    /* one Host */
    {"GET / HTTP/1.1\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHosts: h\r\n\r\n", 400},
    {START "host: h\r\n\r\n", 400},
    {START "HOST: other\r\n\r\n", 400},
};

static void what_is_not_strictly_http_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof strictness / sizeof strictness[0]; i++) {
        const char *text = strictness[i].text;
        int expected = strictness[i].status ? -strictness[i].status : (int)strlen(text), got = parse(text);
        if (got != expected)
            fail_msg("'%s' gives %d, not %d", text, got, expected);
    }
    static const char with_nul[] = START "A: b\0c\r\n\r\n", nul_name[] = START "A\0: b\r\n\r\n";
    static const char nul_target[] = "GET /\0 HTTP/1.1\r\nHost: h\r\n\r\n";
    assert_int_equal(parse_size(with_nul, sizeof with_nul - 1, false), -400);
    assert_int_equal(parse_size(nul_name, sizeof nul_name - 1, false), -400);
    assert_int_equal(parse_size(nul_target, sizeof nul_target - 1, false), -400);
}

static void nothing_is_decided_before_the_head_is_whole(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof strictness / sizeof strictness[0]; i++) {
        const char *text = strictness[i].text;
        size_t size = strlen(text);
        int whole = parse(text);
        for (size_t part = 0; part < size; part++) {
            int got = parse_size(text, part, false);
            if (got != 0 && got != whole) /* a fault may end in an empty line of its own */
                fail_msg("'%.*s' gives %d", (int)part, text, got);
            if (got != 0 && strictness[i].status == 0)
                fail_msg("'%.*s' is taken for a whole head", (int)part, text);
        }
    }
}

static void what_follows_the_head_changes_nothing(void **state)
{
    (void)state;
    static const char text[] = START "\r\n" START "A : b\r\n\r\n\r\n\0\xff";
    for (size_t more = 0; more < sizeof text - sizeof START - 2; more++)
        assert_int_equal(parse_size(text, sizeof START - 1 + 2 + more, false), sizeof START - 1 + 2);
}

static void a_head_has_at_most_64_fields(void **state)
{
    (void)state;
    for (int extra = 62; extra <= 65; extra++) {
        struct buffer text = {0};
        struct http_head h;
        buffer_add_text(&text, START);
        for (int i = 0; i < extra; i++)
            buffer_print(&text, "F%d: %d\r\n", i, i);
        buffer_add_text(&text, "\r\n");
        int got = http_parse_request(text.data, text.size, &h);
        assert_int_equal(got, extra + 1 <= HTTP_HEADERS_MAX ? (int)text.size : -431);
        if (got > 0) {
            assert_int_equal(h.field_count, extra + 1);
            assert_text(http_field_find(&h, "F61"), "61");
        }
        buffer_finish(&text);
    }
}

/* A head of exactly `size` bytes; the long part in the target or in a field. */
static void write_head(struct buffer *out, size_t size, bool in_target)
{
    static const char fixed[] = "GET / HTTP/1.1\r\nHost: h\r\nA: \r\n\r\n";
    char *filler = malloc(size);
    memset(filler, 'x', size);
    int count = (int)(size - (sizeof fixed - 1));
    buffer_print(out, "GET /%.*s HTTP/1.1\r\nHost: h\r\nA: %.*s\r\n\r\n", in_target ? count : 0, filler,
        in_target ? 0 : count, filler);
    assert_int_equal(out->size, size);
    free(filler);
}

static void a_head_has_at_most_16_kib(void **state)
{
    (void)state;
    for (int in_target = 0; in_target < 2; in_target++) {
        struct buffer fits = {0}, beyond = {0};
        write_head(&fits, HTTP_HEAD_MAX, in_target);
        assert_int_equal(parse_size(fits.data, fits.size, false), HTTP_HEAD_MAX);
        assert_int_equal(parse_size(fits.data, fits.size - 1, false), 0);
        write_head(&beyond, HTTP_HEAD_MAX + 1, in_target);
        assert_int_equal(parse_size(beyond.data, HTTP_HEAD_MAX - 1, false), 0);
        assert_int_equal(parse_size(beyond.data, HTTP_HEAD_MAX, false), -431);
        assert_int_equal(parse_size(beyond.data, HTTP_HEAD_MAX + 1, false), -431);
        buffer_finish(&fits);
        buffer_finish(&beyond);
    }
}

static void a_request_line_without_an_end_is_414(void **state)
{
    (void)state;
    struct buffer text = {0};
    write_head(&text, HTTP_HEAD_MAX * 2, true);
    assert_int_equal(parse_size(text.data, HTTP_HEAD_MAX - 1, false), 0);
    assert_int_equal(parse_size(text.data, HTTP_HEAD_MAX, false), -414);
    assert_int_equal(parse_size(text.data, text.size, false), -414);
    buffer_finish(&text);
}

static bool has(const char *fields, const char *name, const char *token)
{
    struct buffer text = {0};
    struct http_head h;
    buffer_print(&text, START "%s\r\n", fields);
    assert_true(http_parse_request(text.data, text.size, &h) > 0);
    bool found = http_field_has(&h, name, token);
    buffer_finish(&text);
    return found;
}

static void a_token_is_found_in_a_list(void **state)
{
    (void)state;
    assert_true(has("Connection: Upgrade\r\n", "connection", "upgrade"));
    assert_true(has("Connection: keep-alive, Upgrade\r\n", "Connection", "upgrade"));
    assert_true(has("Connection: ,, upGRADE\t ,x\r\n", "Connection", "upgrade"));
    assert_false(has("Connection: upgraded\r\n", "Connection", "upgrade"));
    assert_false(has("Connection: upgrad\r\n", "Connection", "upgrade"));
    assert_false(has("Connection: keep alive upgrade\r\n", "Connection", "upgrade"));
    assert_false(has("Connection:\r\n", "Connection", "upgrade"));
    assert_false(has("Connections: upgrade\r\n", "Connection", "upgrade"));
    assert_false(has("", "Connection", "upgrade"));
}

static void a_list_may_be_spread_over_several_fields(void **state)
{
    (void)state;
    static const char spread[] = "Connection: keep-alive\r\nX: y\r\nconnection: a, Upgrade\r\n";
    assert_true(has(spread, "Connection", "upgrade"));
    assert_true(has(spread, "Connection", "keep-alive"));
    assert_false(has(spread, "Connection", "y"));
}

static void a_response_has_a_status_of_three_digits(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        int status;
    } rows[] = {
        {"HTTP/1.1 101 Switching Protocols", 101},
        {"HTTP/1.1 204", 204},
        {"HTTP/1.1 200 ", 200},
        {"HTTP/1.1 2x0 no", 0},
        {"HTTP/1.1 20", 0},
        {"HTTP/1.1 2000", 0},
        {"HTTP/1.1  200", 0},
        {"HTTP/1.1", 0},
        {"HTTP/1.0 200 OK", 0},
        {"SIP/2.0 200 OK", 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buffer text = {0};
        struct http_head h;
        buffer_print(&text, "%s\r\nA: b\r\n\r\n", rows[i].line);
        int got = http_parse_response(text.data, text.size, &h);
        if (rows[i].status == 0 ? got >= 0 : got != (int)text.size || h.status != rows[i].status)
            fail_msg("'%s' gives %d", rows[i].line, got);
        for (size_t part = 0; part < text.size; part++)
            assert_int_equal(parse_size(text.data, part, true), 0);
        buffer_finish(&text);
    }
}

static void query_parameters_are_percent_decoded(void **state)
{
    (void)state;
    static const struct {
        const char *query, *name, *value; /* NULL: not to be had */
    } rows[] = {
        {"token=abc", "token", "abc"},
        {"a=1&token=abc&b=2", "token", "abc"},
        {"token=1&token=2", "token", "1"},
        {"token=", "token", ""},
        {"token", "token", ""},
        {"token=a=b", "token", "a=b"},
        {"token=%41%7a%2F%2f+x", "token", "Az// x"},
        {"token=%C3%A9", "token", "\xc3\xa9"},
        /* badly encoded: as it came */
        {"token=%", "token", "%"},
        {"token=%4", "token", "%4"},
        {"token=a%4", "token", "a%4"},
        {"token=%4g", "token", "%4g"},
        {"token=%g4", "token", "%g4"},
        {"token=%%41", "token", "%%41"},
        {"token=% 1", "token", "% 1"},
        {"token=%-1", "token", "%-1"},
        {"token=%41+%4", "token", "%41+%4"},
        /* none */
        {"tokens=1", "token", NULL},
        {"atoken=1", "token", NULL},
        {"=1", "token", NULL},
        {"&&", "token", NULL},
        {"", "token", NULL},
        {"=1&&token=2", "token", "2"},
    };
    struct buffer out = {0};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        buffer_add_text(&out, "of before");
        size_t size = strlen(rows[i].query);
        char *exact = malloc(size ? size : 1);
        memcpy(exact, rows[i].query, size);
        bool found = http_query_find((struct slice){exact, size}, rows[i].name, &out);
        if (found != (rows[i].value != NULL))
            fail_msg("'%s'", rows[i].query);
        if (found)
            assert_string_equal(buffer_text(&out), rows[i].value);
        free(exact);
    }
    assert_true(http_query_find(SLICE("token=a%00b"), "token", &out));
    assert_int_equal(out.size, 3);
    assert_false(http_query_find((struct slice){NULL, 0}, "token", &out));
    buffer_finish(&out);
}

static void a_response_of_ours_can_be_read_back(void **state)
{
    (void)state;
    static const int statuses[] = {101, 200, 400, 401, 403, 404, 405, 408, 414, 426, 431, 503, 505, 599};
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        struct buffer out = {0};
        struct http_head h;
        http_respond(&out, statuses[i], "text/plain", "Allow: GET\r\n", SLICE("body\n"));
        int size = http_parse_response(out.data, out.size, &h);
        assert_int_equal(size, (int)out.size - 5);
        assert_int_equal(h.status, statuses[i]);
        assert_text(http_field_find(&h, "Content-Length"), "5");
        assert_text(http_field_find(&h, "Content-Type"), "text/plain");
        assert_text(http_field_find(&h, "Allow"), "GET");
        assert_true(http_field_has(&h, "Connection", "close"));
        assert_memory_equal(out.data + size, "body\n", 5);
        assert_true(statuses[i] == 599 || !strstr(buffer_text(&out), " Error\r\n"));
        buffer_finish(&out);
    }
}

static void a_response_to_head_has_no_body(void **state)
{
    (void)state;
    struct buffer out = {0};
    http_respond(&out, 200, "text/plain", "", SLICE("\r\n\r\nbody\n\n"));
    http_strip_body(&out);
    assert_int_equal(parse_size(out.data, out.size, true), out.size);
    assert_non_null(strstr(buffer_text(&out), "Content-Length: 10\r\n"));
    size_t size = out.size;
    http_strip_body(&out); /* nothing is left to strip */
    assert_int_equal(out.size, size);
    buffer_finish(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_taken_apart),
        cmocka_unit_test(a_path_without_a_query_has_an_empty_one),
        cmocka_unit_test(what_is_not_strictly_http_is_refused),
        cmocka_unit_test(nothing_is_decided_before_the_head_is_whole),
        cmocka_unit_test(what_follows_the_head_changes_nothing),
        cmocka_unit_test(a_head_has_at_most_64_fields),
        cmocka_unit_test(a_head_has_at_most_16_kib),
        cmocka_unit_test(a_request_line_without_an_end_is_414),
        cmocka_unit_test(a_token_is_found_in_a_list),
        cmocka_unit_test(a_list_may_be_spread_over_several_fields),
        cmocka_unit_test(a_response_has_a_status_of_three_digits),
        cmocka_unit_test(query_parameters_are_percent_decoded),
        cmocka_unit_test(a_response_of_ours_can_be_read_back),
        cmocka_unit_test(a_response_to_head_has_no_body),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
