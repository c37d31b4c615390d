#include "unit.h"

#include "causeway/engineio.h"

#include <stdlib.h>

static void packets_have_a_type_and_what_is_left(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum engineio_type type;
        const char *data;
    } cases[] = {
        {"0{\"sid\":1}", ENGINEIO_OPEN, "{\"sid\":1}"},
        {"1", ENGINEIO_CLOSE, ""},
        {"2probe", ENGINEIO_PING, "probe"},
        {"3", ENGINEIO_PONG, ""},
        {"42[\"a\"]", ENGINEIO_MESSAGE, "2[\"a\"]"},
        {"5", ENGINEIO_UPGRADE, ""},
        {"6", ENGINEIO_NOOP, ""},
        {"bAQID", ENGINEIO_BINARY, "AQID"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct engineio_packet p;
        assert_true(engineio_parse(slice_of(cases[i].text), &p));
        assert_int_equal(p.type, cases[i].type);
        assert_true(slice_is(p.data, cases[i].data));
    }
}

static void what_is_no_packet_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "7", "abc", "-1", " 4", "B", "\x1e"};
    struct engineio_packet p;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(engineio_parse(slice_of(bad[i]), &p));
    assert_false(engineio_parse((struct slice){"\0", 1}, &p));
}

static void a_body_is_cut_at_its_separators(void **state)
{
    (void)state;
    struct slice body = slice_of("4one\x1e"
                                 "3\x1e"
                                 "bAA==");
    struct engineio_packet p;
    bool more;
    assert_true(engineio_next(&body, &p, &more) && more);
    assert_true(p.type == ENGINEIO_MESSAGE && slice_is(p.data, "one"));
    assert_true(engineio_next(&body, &p, &more) && more);
    assert_true(p.type == ENGINEIO_PONG && p.data.size == 0);
    assert_true(engineio_next(&body, &p, &more) && !more);
    assert_true(p.type == ENGINEIO_BINARY && slice_is(p.data, "AA=="));
    assert_int_equal(body.size, 0);
}

static void empty_packets_in_a_body_are_none(void **state)
{
    (void)state;
    struct engineio_packet p;
    bool more;
    struct slice empty = {NULL, 0};
    assert_false(engineio_next(&empty, &p, &more));
    assert_false(more);
    struct slice behind = slice_of("4a\x1e");
    assert_true(engineio_next(&behind, &p, &more) && more);
    assert_false(engineio_next(&behind, &p, &more));
    assert_false(more);
    struct slice before = slice_of("\x1e"
                                   "4a");
    assert_false(engineio_next(&before, &p, &more));
    assert_true(more);
}

static void separators_stand_between_packets_only(void **state)
{
    (void)state;
    struct buffer body = {0};
    engineio_separate(&body);
    buffer_add_text(&body, "6");
    engineio_separate(&body);
    buffer_add_text(&body, "1");
    assert_string_equal(buffer_text(&body), "6\x1e"
                                            "1");
    buffer_finish(&body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packets_have_a_type_and_what_is_left),
        cmocka_unit_test(what_is_no_packet_is_refused),
        cmocka_unit_test(a_body_is_cut_at_its_separators),
        cmocka_unit_test(empty_packets_in_a_body_are_none),
        cmocka_unit_test(separators_stand_between_packets_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
