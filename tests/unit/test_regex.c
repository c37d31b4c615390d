/* Patterns of ECMA-262; tests/schema.test.mjs holds many more against V8. */
#include "unit.h"

#include "causeway/regex.h"

static struct regex_scratch scratch;

static void expect(const char *pattern, const char *text, bool found)
{
    enum regex_verdict verdict;
    const char *fault;
    struct regex *r = regex_compile(slice_of(pattern), &verdict, &fault);
    if (!r)
        fail_msg("%s: %s", pattern, fault);
    assert_int_equal(verdict, REGEX_GOOD);
    if (regex_search(r, slice_of(text), &scratch) != found)
        fail_msg("%s %s %s", pattern, found ? "must be found in" : "must not be found in", text);
    regex_destroy(r);
}

static void test_finds_what_ecma_finds(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *text;
        bool found;
    } rows[] = {
        {"", "", true},
        {"", "a", true},
        {"a", "bab", true},
        {"^a", "ba", false},
        {"a$", "ab", false},
        {"a$", "a\n", false}, /* unlike PCRE's $ */
        {"^$", "", true},
        {"a|b|cd", "xcd", true},
        {"a|b|cd", "c", false},
        {"^(?:a|b)*c$", "ababc", true},
        {"^(a|ab)(c|bcd)$", "abcd", true},
        {"a{2,3}", "xaax", true},
        {"^a{2,3}$", "aaaa", false},
        {"^a{2,}$", "aaaaa", true},
        {"^(ab){0,2}$", "abab", true},
        {"^(ab){0,2}$", "ababab", false},
        {"^(a*)*$", "aaa", true},
        {"^(|a)+$", "aa", true},
        {".", "\n", false},
        {".", "\xe2\x80\xa8", false},
        {"^.$", "\xf0\x9f\x98\x80", true},
        {"^\\u{1F600}$", "\xf0\x9f\x98\x80", true},
        {"^\\uD83D\\uDE00$", "\xf0\x9f\x98\x80", true},
        {"^[\\u0430-\\u044f]+$", "\xd1\x8f\xd0\xb0", true},
        {"\\d", "\xd9\xa3", false}, /* only ASCII digits */
        {"^\\s$", "\xc2\xa0", true},
        {"^\\S$", "\xef\xbb\xbf", false},
        {"^[^a-c]$", "b", false},
        {"^[^a-c]$", "\xd1\x8f", true},
        {"^[\\d\\-]+$", "1-2", true},
        {"[]", "a", false},
        {"^[^]$", "\n", true},
        {"\\bb\\b", "a b c", true},
        {"\\bb\\b", "abc", false},
        {"a\\Bb", "ab", true},
        {"^(?=.*\\d)(?=.*[a-z]).{4,}$", "ab1c", true},
        {"^(?=.*\\d)(?=.*[a-z]).{4,}$", "abcd", false},
        {"^(?!foo)", "foobar", false},
        {"^(?!foo)", "barfoo", true},
        {"(?<=a)b", "cab", true},
        {"(?<=a)b", "cb", false},
        {"(?<!a)b", "ab", false},
        {"(?<=(?=ab)a)b", "ab", true},
        {"^(?<year>\\d{4})$", "2024", true},
        {"^\\/\\.\\*$", "/.*", true},
        {"^\\x41\\t\\cJ$", "A\t\n", true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        expect(rows[i].pattern, rows[i].text, rows[i].found);
}

static void test_refuses_what_ecma_does_not_have(void **state)
{
    (void)state;
    static const char *const broken[] = {"(", ")", "[a", "a**", "*a", "+", "a{2", "a{3,2}", "{2}", "}", "]",
        "\\", "\\Z", "\\A", "\\a", "\\-", "\\_", "\\x4", "\\u12", "\\u{110000}", "\\c1", "\\01", "(?i)a",
        "(?>a)", "a++", "(?#x)", "[b-a]", "[\\d-z]", "(?=a)*", "^*", "\\b+", "(?<1>a)", "(?<a", "\\p", "\\p{",
        "\\2(a)", "\\k", NULL};
    static const char *const unsupported[] = {
        "(a)\\1", "\\p{L}", "[\\P{Lu}]", "(?<a>b)\\k<a>", "(a{500}){500}", NULL};
    enum regex_verdict verdict;
    const char *fault;
    for (const char *const *p = broken; *p; p++)
        if (regex_compile(slice_of(*p), &verdict, &fault) || verdict != REGEX_BROKEN || !fault)
            fail_msg("%s must be broken", *p);
    for (const char *const *p = unsupported; *p; p++)
        if (regex_compile(slice_of(*p), &verdict, &fault) || verdict != REGEX_UNSUPPORTED || !fault)
            fail_msg("%s must be unsupported", *p);
}

static void test_bounds_the_depth_of_groups(void **state)
{
    (void)state;
    char pattern[REGEX_DEPTH_MAX * 4 + 1];
    enum regex_verdict verdict;
    const char *fault;
    memset(pattern, '(', sizeof pattern);
    memset(pattern + sizeof pattern / 2, ')', sizeof pattern / 2);
    struct regex *r = regex_compile((struct slice){pattern, sizeof pattern / 2 * 2}, &verdict, &fault);
    assert_null(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finds_what_ecma_finds),
        cmocka_unit_test(test_refuses_what_ecma_does_not_have),
        cmocka_unit_test(test_bounds_the_depth_of_groups),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    regex_scratch_finish(&scratch);
    return failed;
}
