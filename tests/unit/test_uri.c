/* URIs: the examples of RFC 3986 and what is next to them. */
#include "unit.h"

#include "causeway/uri.h"

static void expect_resolved(const char *base, const char *reference, const char *expected)
{
    struct buffer out = {0};
    uri_resolve(slice_of(base), slice_of(reference), &out);
    assert_string_equal(buffer_text(&out), expected);
    buffer_finish(&out);
}

static void test_resolves_as_the_rfc_says(void **state)
{
    (void)state;
    static const char *const rows[][2] = {{"g:h", "g:h"}, {"g", "http://a/b/c/g"}, {"./g", "http://a/b/c/g"},
        {"g/", "http://a/b/c/g/"}, {"/g", "http://a/g"}, {"//g", "http://g"}, {"?y", "http://a/b/c/d;p?y"},
        {"g?y", "http://a/b/c/g?y"}, {"#s", "http://a/b/c/d;p?q"}, {"g#s", "http://a/b/c/g"},
        {";x", "http://a/b/c/;x"}, {"", "http://a/b/c/d;p?q"}, {".", "http://a/b/c/"},
        {"./", "http://a/b/c/"}, {"..", "http://a/b/"}, {"../", "http://a/b/"}, {"../g", "http://a/b/g"},
        {"../..", "http://a/"}, {"../../g", "http://a/g"}, {"../../../g", "http://a/g"},
        {"/./g", "http://a/g"}, {"/../g", "http://a/g"}, {"g.", "http://a/b/c/g."},
        {"..g", "http://a/b/c/..g"}, {"./../g", "http://a/b/g"}, {"./g/.", "http://a/b/c/g/"},
        {"g/../h", "http://a/b/c/h"}, {"g?y/../x", "http://a/b/c/g?y/../x"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        expect_resolved("http://a/b/c/d;p?q", rows[i][0], rows[i][1]);
    expect_resolved("http://a", "b", "http://a/b");
    expect_resolved("", "b/c", "b/c");
    expect_resolved("order.json", "item.json", "item.json");
    expect_resolved("urn:uuid:1-2", "#x", "urn:uuid:1-2");
}

static void test_splits_off_the_fragment(void **state)
{
    (void)state;
    struct slice fragment, head = uri_without_fragment(SLICE("a.json#/b"), &fragment);
    assert_true(slice_is(head, "a.json") && slice_is(fragment, "/b"));
    head = uri_without_fragment(SLICE("#"), &fragment);
    assert_true(head.size == 0 && fragment.data && fragment.size == 0);
    head = uri_without_fragment(SLICE("a"), &fragment);
    assert_true(slice_is(head, "a") && !fragment.data);
}

static void test_knows_absolute_ones_and_references(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool absolute, reference;
    } rows[] = {
        {"http://example.com/a?b=c#d", true, true},
        {"urn:a:b", true, true},
        {"mailto:a@b.example", true, true},
        {"http://u:p@[::1]:8080/", true, true},
        {"http://[v1.x:y]/", true, true},
        {"http://a:/", true, true},
        {"a:", true, true},
        {"/a//b", false, true},
        {"", false, true},
        {"?q", false, true},
        {"a b", false, false},
        {"http://a/%2", false, false},
        {"http://a/%zz", false, false},
        {"http://[::1", false, false},
        {"http://[x]/", false, false},
        {"http://[::1]x/", false, false},
        {"http://a:b/", false, false},
        {"http://a@b@c/", false, false},
        {"http://a/{b}", false, false},
        {"1a:b", false, false},
        {":a", false, false},
        {"http://a/#b#c", false, false},
        {"http://\xc3\xa4/", false, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct slice text = slice_of(rows[i].text);
        if (uri_is_absolute(text, false) != rows[i].absolute ||
            uri_is_reference(text, false) != rows[i].reference)
            fail_msg("%s", rows[i].text);
    }
    assert_true(uri_is_absolute(SLICE("http://\xc3\xa4/\xc3\xa4?\xc3\xa4#\xc3\xa4"), true));
    assert_true(uri_is_reference(SLICE("\xc3\xa4"), true));
}

static void test_knows_addresses(void **state)
{
    (void)state;
    static const char *const four[] = {"0.0.0.0", "127.0.0.1", "255.255.255.255", NULL};
    static const char *const not_four[] = {"", "1", "1.2.3", "1.2.3.4.5", "256.1.1.1", "01.2.3.4", "1.2.3.4 ",
        "1..2.3", "1.2.3.", "0x1.2.3.4", "1234.1.1.1", NULL};
    static const char *const six[] = {"::", "::1", "1::", "1:2:3:4:5:6:7:8",
        "1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8", "1::8", "::ffff:192.168.0.1", "1:2:3:4:5:6:1.2.3.4",
        "ABCD::ef01", NULL};
    static const char *const not_six[] = {"", ":", ":::", "1", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9",
        "1::2::3", "12345::", "::g", "1:2:3:4:5:6:7:8::", "::1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:1.2.3.4",
        "::1.2.3", "1.2.3.4::", "::1%eth0", "1:", ":1", "1:2:3:4:5:6:7:", ":2:3:4:5:6:7:8", "[::1]", NULL};
    for (const char *const *text = four; *text; text++)
        if (!uri_is_ipv4(slice_of(*text)))
            fail_msg("%s", *text);
    for (const char *const *text = not_four; *text; text++)
        if (uri_is_ipv4(slice_of(*text)))
            fail_msg("%s", *text);
    for (const char *const *text = six; *text; text++)
        if (!uri_is_ipv6(slice_of(*text)))
            fail_msg("%s", *text);
    for (const char *const *text = not_six; *text; text++)
        if (uri_is_ipv6(slice_of(*text)))
            fail_msg("%s", *text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resolves_as_the_rfc_says),
        cmocka_unit_test(test_splits_off_the_fragment),
        cmocka_unit_test(test_knows_absolute_ones_and_references),
        cmocka_unit_test(test_knows_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
