/* Every rule of json.h, from both sides. */
#include "unit.h"

#include "causeway/json.h"

#include <stdio.h>
#include <stdlib.h>

struct row {
    struct slice text;
    const char *fault; /* NULL: accepted; else a part of the reason */
    uint32_t at;       /* where the fault is */
};

#define BYTES(literal)                                                                                       \
    {                                                                                                        \
        (literal), sizeof(literal) - 1                                                                       \
    }
#define GOOD(literal)                                                                                        \
    {                                                                                                        \
        BYTES(literal), NULL, 0                                                                              \
    }
#define BAD(literal, reason, place)                                                                          \
    {                                                                                                        \
        BYTES(literal), reason, place                                                                        \
    }

#define ENDS "ends too early"
#define DIGIT "lacks a digit"
#define CONTROL "control character"
#define LONE "lone surrogate"
#define UTF8 "invalid UTF-8"
#define BEHIND "bytes behind"
#define COMMA "a comma or"
#define VALUE "a value is"
#define KEY "a quoted key"

static const struct row rows[] = {
    /* structure */
    GOOD("[]"),
    GOOD("{}"),
    GOOD(" [ ] "),
    GOOD("\t{\r\n}\n"),
    GOOD("[[]]"),
    GOOD("[[],{},[[]]]"),
    GOOD("[1,2 , 3]"),
    GOOD("{\"a\":{\"b\":[{}]}}"),
    GOOD("{\"a\" : 1 , \"b\":\n2}"),
    GOOD("{\"\":0}"),
    GOOD("[{\"a\":1},{\"a\":2}]"),
    GOOD("{\"a\":{\"a\":1}}"),
    GOOD("{\"a\":1,\"A\":2}"),
    BAD("", ENDS, 0),
    BAD(" ", ENDS, 1),
    BAD("[", ENDS, 1),
    BAD("{", ENDS, 1),
    BAD("[1", ENDS, 2),
    BAD("[1,", ENDS, 3),
    BAD("{\"a\"", ENDS, 4),
    BAD("{\"a\":", ENDS, 5),
    BAD("{\"a\":1", ENDS, 6),
    BAD("{\"a\":1,", ENDS, 7),
    BAD("[1,]", VALUE, 3),
    BAD("[,1]", VALUE, 1),
    BAD("[1,,2]", VALUE, 3),
    BAD("[,]", VALUE, 1),
    BAD("[1 2]", COMMA, 3),
    BAD("[\"a\" \"b\"]", COMMA, 5),
    BAD("[1:2]", COMMA, 2),
    BAD("]", VALUE, 0),
    BAD("[1}", COMMA, 2),
    BAD("{\"a\":1]", COMMA, 6),
    BAD("{\"a\":1,}", KEY, 7),
    BAD("{,}", KEY, 1),
    BAD("{a:1}", KEY, 1),
    BAD("{'a':1}", KEY, 1),
    BAD("{1:1}", KEY, 1),
    BAD("{null:1}", KEY, 1),
    BAD("{\"a\" 1}", "a colon", 5),
    BAD("{\"a\",1}", "a colon", 4),
    BAD("{\"a\"::1}", VALUE, 5),
    BAD("{\"a\":}", VALUE, 5),
    BAD("{\"a\":1 \"b\":2}", COMMA, 7),
    BAD("[] []", BEHIND, 3),
    BAD("{\"a\":1} x", BEHIND, 8),
    BAD("1 2", BEHIND, 2),
    BAD("[]]", BEHIND, 2),
    BAD("\"a\",", BEHIND, 3),
    BAD("[]\0", BEHIND, 2),
    BAD("[1]//c", BEHIND, 3),
    BAD("[1/*c*/]", COMMA, 2),
    BAD("\xef\xbb\xbf{}", "byte order mark", 0),
    BAD("[\f]", VALUE, 1),
    BAD("[\xc2\xa0]", VALUE, 1),
    BAD("[\v1]", VALUE, 1),
    BAD("\0", VALUE, 0),
    /* words */
    GOOD("true"),
    GOOD("[false,null,true]"),
    BAD("True", VALUE, 0),
    BAD("tru", "a word", 0),
    BAD("[nul]", "a word", 1),
    BAD("[fals3]", "a word", 1),
    BAD("[truex]", COMMA, 5),
    BAD("nulll", BEHIND, 4),
    BAD("NaN", VALUE, 0),
    BAD("nan", "a word", 0),
    BAD("[Infinity]", VALUE, 1),
    BAD("[-Infinity]", DIGIT, 2),
    BAD("undefined", VALUE, 0),
    /* numbers */
    GOOD("0"),
    GOOD("-0"),
    GOOD("[0,10,-1,123456789012345678901234567890]"),
    GOOD("1.5"),
    GOOD("-0.0"),
    GOOD("0e1"),
    GOOD("1e5"),
    GOOD("1E+05"),
    GOOD("1.25e-2"),
    GOOD("1e400"),
    BAD("01", "leading zero", 0),
    BAD("-01", "leading zero", 1),
    BAD("[00]", "leading zero", 1),
    BAD("1.", ENDS, 2),
    BAD("[1.]", DIGIT, 3),
    BAD(".5", VALUE, 0),
    BAD("-", ENDS, 1),
    BAD("[-]", DIGIT, 2),
    BAD("+1", VALUE, 0),
    BAD("--1", DIGIT, 1),
    BAD("- 1", DIGIT, 1),
    BAD("-.5", DIGIT, 1),
    BAD("1e", ENDS, 2),
    BAD("1e+", ENDS, 3),
    BAD("[1e]", DIGIT, 3),
    BAD("[1e.5]", DIGIT, 3),
    BAD("[1.e1]", DIGIT, 3),
    BAD("1.5.5", BEHIND, 3),
    BAD("0x1F", BEHIND, 1),
    BAD("1_000", BEHIND, 1),
    BAD("1e5e5", BEHIND, 3),
    BAD("[1a]", COMMA, 2),
    BAD("\xef\xbc\x91", VALUE, 0),
    /* strings */
    GOOD("\"\""),
    GOOD("\"plain\""),
    GOOD("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""),
    GOOD("\"\\u0041\\u00e9\\u20AC\""),
    GOOD("\"\\ud83d\\ude00\""),
    GOOD("\"\\uDBFF\\uDFFF\""),
    GOOD("\"\\uffff\\ufdd0\""),
    GOOD("\"\x7f\""),
    GOOD("\"\\\\u0000\""),
    GOOD("\"\\u0001\""),
    BAD("\"", ENDS, 1),
    BAD("\"abc", ENDS, 4),
    BAD("\"abc\\\"", ENDS, 6),
    BAD("\"\\", ENDS, 1),
    BAD("\"\\u", "\\u without", 1),
    BAD("\"\\u12\"", "\\u without", 1),
    BAD("\"\\u12g4\"", "\\u without", 1),
    BAD("\"\\U0041\"", "unknown escape", 1),
    BAD("\"\\x41\"", "unknown escape", 1),
    BAD("\"\\a\"", "unknown escape", 1),
    BAD("\"\\'\"", "unknown escape", 1),
    BAD("\"\\0\"", "unknown escape", 1),
    BAD("\"\\\n\"", "unknown escape", 1),
    BAD("\"a\\u0000b\"", "\\u0000", 2),
    BAD("{\"\\u0000\":1}", "\\u0000", 2),
    BAD("\"\\ud83d\"", LONE, 1),
    BAD("\"\\ude00\"", LONE, 1),
    BAD("\"\\ud83dx\"", LONE, 1),
    BAD("\"\\ud83d\\n\"", LONE, 1),
    BAD("\"\\ud83d\\u0041\"", LONE, 1),
    BAD("\"\\ud83d\\ud83d\\ude00\"", LONE, 1),
    BAD("\"\\ude00\\ud83d\"", LONE, 1),
    BAD("\"\\ud83d\\ude0\"", LONE, 1),
    BAD("\"\n\"", CONTROL, 1),
    BAD("\"a\tb\"", CONTROL, 2),
    BAD("\"a\0b\"", CONTROL, 2),
    BAD("\"12345678901\x1f\"", CONTROL, 12),
    BAD("'a'", VALUE, 0),
    /* UTF-8 */
    GOOD("\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\""),
    GOOD("\"\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\""),
    GOOD("\"\xed\x9f\xbf\xee\x80\x80\""),
    GOOD("{\"\xd0\xba\xd0\xbb\xd1\x8e\xd1\x87\":\"\xd0\xb4\xd0\xb0\"}"),
    BAD("\"\x80\"", UTF8, 1),
    BAD("\"\xff\"", UTF8, 1),
    BAD("\"\xc0\xaf\"", UTF8, 1),
    BAD("\"\xc1\xbf\"", UTF8, 1),
    BAD("\"\xe0\x9f\xbf\"", UTF8, 1),
    BAD("\"\xf0\x8f\xbf\xbf\"", UTF8, 1),
    BAD("\"\xed\xa0\x80\"", UTF8, 1),
    BAD("\"\xed\xbf\xbf\"", UTF8, 1),
    BAD("\"\xf4\x90\x80\x80\"", UTF8, 1),
    BAD("\"\xf5\x80\x80\x80\"", UTF8, 1),
    BAD("\"\xc3\"", UTF8, 1),
    BAD("\"\xe2\x82\"", UTF8, 1),
    BAD("\"\xf0\x9f\x98\"", UTF8, 1),
    BAD("\"abcdefgh\xc3\xa9\xe2\x82", UTF8, 11),
    BAD("{\"\xff\":1}", UTF8, 2),
    /* keys */
    BAD("{\"a\":1,\"a\":2}", "duplicate key", 7),
    BAD("{\"a\":1,\"\\u0061\":2}", "duplicate key", 7),
    BAD("{\"\\u0061\":1,\"a\":2}", "duplicate key", 12),
    BAD("{\"\\u0061\":1,\"\\u0061\":2}", "duplicate key", 12),
    BAD("{\"x\":0,\"\\/\":1,\"/\":2}", "duplicate key", 14),
    BAD("{\"\\ud83d\\ude00\":1,\"\xf0\x9f\x98\x80\":2}", "duplicate key", 18),
    BAD("{\"\":1,\"\":2}", "duplicate key", 6),
    BAD("{\"a\":{\"b\":1,\"c\":2,\"b\":3}}", "duplicate key", 18),
    BAD("{\"a\":[{\"x\":1}],\"b\":2,\"a\":3}", "duplicate key", 21),
    GOOD("{\"\\u0061\":1,\"\\u0062\":2,\"c\":3}"),
    GOOD("{\"a\\n\":1,\"an\":2,\"a\\\\n\":3}"),
};

static void every_rule_of_the_grammar_holds_both_ways(void **state)
{
    (void)state;
    struct json j = {0};
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        const struct row *r = &rows[i];
        char *exact = malloc(r->text.size + 1); /* its own block, so that reading beyond the text is seen */
        memcpy(exact + 1, r->text.data, r->text.size);
        bool ok = json_scan(&j, exact + 1, r->text.size);
        if (ok != !r->fault || (!ok && (!strstr(j.fault, r->fault) || j.fault_at != r->at)))
            fail_msg(
                "row %zu, %.*s: %s at %u", i, SLICE_ARGS(r->text), ok ? "accepted" : j.fault, j.fault_at);
        free(exact);
    }
    json_finish(&j);
}

static bool scan(struct json *j, const char *text)
{
    return json_scan(j, text, strlen(text));
}

static void depth_is_limited(void **state)
{
    (void)state;
    struct json j = {0};
    char text[4 * JSON_DEPTH_MAX + 4];
    memset(text, '[', JSON_DEPTH_MAX);
    memset(text + JSON_DEPTH_MAX, ']', JSON_DEPTH_MAX);
    assert_true(json_scan(&j, text, 2 * JSON_DEPTH_MAX));
    memset(text, '[', JSON_DEPTH_MAX + 1);
    memset(text + JSON_DEPTH_MAX + 1, ']', JSON_DEPTH_MAX + 1);
    assert_false(json_scan(&j, text, 2 * JSON_DEPTH_MAX + 2));
    assert_non_null(strstr(j.fault, "deep"));
    assert_int_equal(j.fault_at, JSON_DEPTH_MAX);
    json_finish(&j);
}

static void size_is_limited(void **state)
{
    (void)state;
    struct json j = {0};
    assert_false(json_scan(&j, "1", UINT32_MAX));
    assert_non_null(strstr(j.fault, "large"));
    assert_false(json_scan(&j, NULL, 0));
    json_finish(&j);
}

/* `{"key0":0,...}`; `odd` stands for the key at `place`. */
static void print_object(struct buffer *b, int keys, int place, const char *odd)
{
    buffer_clear(b);
    for (int i = 0; i < keys; i++) {
        buffer_print(b, "%c\"", i ? ',' : '{');
        if (i == place)
            buffer_add_text(b, odd);
        else
            buffer_print(b, "key%d", i);
        buffer_print(b, "\":%d", i);
    }
    buffer_add_byte(b, '}');
}

static void a_duplicate_key_is_found_wherever_it_stands(void **state)
{
    (void)state;
    static const char *const spellings[] = {"key0", "\\u006bey0", "k\\u0065y0"};
    struct json j = {0};
    struct buffer b = {0};
    for (int keys = 2; keys < 60; keys++) {
        print_object(&b, keys, -1, NULL);
        assert_true(json_scan(&j, b.data, b.size));
        assert_int_equal(j.nodes[0].count, keys);
        for (int place = 1; place < keys; place++) {
            print_object(&b, keys, place, "\\u006bey");
            assert_true(json_scan(&j, b.data, b.size));
            const char *odd = spellings[(keys + place) % 3];
            print_object(&b, keys, place, odd);
            assert_false(json_scan(&j, b.data, b.size));
            assert_string_equal(j.fault, "a duplicate key");
            const char *found = buffer_text(&b) + j.fault_at + 1;
            assert_memory_equal(found, odd, strlen(odd));
            assert_true(place == 0 || j.fault_at > 1);
        }
    }
    buffer_finish(&b);
    json_finish(&j);
}

static void large_objects_are_searched(void **state)
{
    (void)state;
    struct json j = {0};
    struct buffer b = {0};
    print_object(&b, 100000, -1, NULL); /* comparing all pairs would take minutes here */
    assert_true(json_scan(&j, b.data, b.size));
    uint32_t last = json_find(&j, 0, SLICE("key99999"));
    assert_true(slice_is(json_raw(&j, last), "99999"));
    print_object(&b, 100000, 99999, "key\\u0035");
    assert_false(json_scan(&j, b.data, b.size));
    buffer_finish(&b);
    json_finish(&j);
}

static void members_are_found_by_their_unescaped_key(void **state)
{
    (void)state;
    struct json j = {0};
    assert_true(scan(&j, "{\"a\":1,\"\\u0062\\n\":[2],\"\\ud83d\\ude00\":3,\"\":4,\"n\":{\"a\":5}}"));
    assert_true(slice_is(json_raw(&j, json_find(&j, 0, SLICE("a"))), "1"));
    assert_true(slice_is(json_raw(&j, json_find(&j, 0, SLICE("b\n"))), "[2]"));
    assert_true(slice_is(json_raw(&j, json_find(&j, 0, SLICE("\xf0\x9f\x98\x80"))), "3"));
    assert_true(slice_is(json_raw(&j, json_find(&j, 0, SLICE(""))), "4"));
    assert_true(slice_is(json_raw(&j, json_find(&j, json_find(&j, 0, SLICE("n")), SLICE("a"))), "5"));
    assert_int_equal(json_find(&j, 0, SLICE("A")), JSON_NONE);
    assert_int_equal(json_find(&j, 0, SLICE("b")), JSON_NONE);
    assert_int_equal(json_find(&j, 0, SLICE("b\nx")), JSON_NONE);
    assert_int_equal(json_find(&j, 0, SLICE("\\u0062\\n")), JSON_NONE);
    assert_int_equal(json_find(&j, json_find(&j, 0, SLICE("a")), SLICE("a")), JSON_NONE);
    assert_int_equal(json_find(&j, json_find(&j, 0, SLICE("b\n")), SLICE("2")), JSON_NONE);
    assert_int_equal(json_find(&j, JSON_NONE, SLICE("a")), JSON_NONE);
    json_finish(&j);
}

static void containers_are_walked_in_order(void **state)
{
    (void)state;
    struct json j = {0};
    struct buffer seen = {0};
    assert_true(scan(&j, "{\"a\":[1,[2,{}],\"x\"],\"b\":{\"c\":null},\"d\":[]}"));
    for (uint32_t key = json_first(&j, 0); key != JSON_NONE; key = json_after(&j, 0, key)) {
        buffer_add_slice(&seen, json_raw(&j, key));
        buffer_add_byte(&seen, '=');
        for (uint32_t i = json_first(&j, key + 1); i != JSON_NONE; i = json_after(&j, key + 1, i)) {
            buffer_add_slice(&seen, json_verbatim(&j, i));
            buffer_add_byte(&seen, ';');
        }
    }
    assert_string_equal(buffer_text(&seen), "a=1;[2,{}];\"x\";b=\"c\";d=");
    assert_int_equal(j.nodes[0].count, 3);
    assert_int_equal(j.nodes[json_find(&j, 0, SLICE("a"))].count, 3);
    assert_int_equal(json_first(&j, JSON_NONE), JSON_NONE);
    assert_int_equal(json_first(&j, json_find(&j, 0, SLICE("d"))), JSON_NONE);
    assert_int_equal(json_after(&j, 0, JSON_NONE), JSON_NONE);
    buffer_finish(&seen);
    json_finish(&j);
}

static void every_type_is_told(void **state)
{
    (void)state;
    static const enum json_type types[] = {
        JSON_NULL, JSON_FALSE, JSON_TRUE, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT};
    struct json j = {0};
    assert_true(scan(&j, "[null,false,true,0,\"\",[],{}]"));
    uint32_t i = json_first(&j, 0);
    for (size_t n = 0; n < 7; n++, i = json_after(&j, 0, i))
        assert_int_equal(json_type(&j, i), types[n]);
    assert_int_equal(i, JSON_NONE);
    assert_int_equal(json_type(&j, JSON_NONE), JSON_NULL);
    json_finish(&j);
}

static void numbers_keep_their_digits(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool integer, fits;
        int64_t value;
    } numbers[] = {
        {"0", true, true, 0},
        {"-0", true, true, 0},
        {"9007199254740993", true, true, 9007199254740993},
        {"9223372036854775807", true, true, INT64_MAX},
        {"9223372036854775808", true, false, 0},
        {"-9223372036854775808", true, true, INT64_MIN},
        {"-9223372036854775809", true, false, 0},
        {"99999999999999999999", true, false, 0},
        {"1.0", false, false, 0},
        {"1e3", false, false, 0},
        {"\"1\"", false, false, 0},
        {"true", false, false, 0},
    };
    struct json j = {0};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
        int64_t value = 0;
        assert_true(scan(&j, numbers[i].text));
        assert_int_equal(json_is_integer(&j, 0), numbers[i].integer);
        assert_int_equal(json_int64(&j, 0, &value), numbers[i].fits);
        assert_true(value == numbers[i].value);
        assert_true(slice_is(json_verbatim(&j, 0), numbers[i].text));
    }
    assert_false(json_is_integer(&j, JSON_NONE));
    json_finish(&j);
}

static void strings_are_views_until_they_have_escapes(void **state)
{
    (void)state;
    struct json j = {0};
    struct buffer scratch = {0};
    const char *text =
        "[\"plain\", \"\", \"a\\\"\\\\\\/\\b\\f\\n\\r\\tz\", \"\\u0041\\u00e9\\u20ac\\uD83D\\uDE00\", 1]";
    assert_true(scan(&j, text));
    uint32_t i = json_first(&j, 0);
    struct slice s = json_string(&j, i, &scratch);
    assert_ptr_equal(s.data, text + 2);
    assert_true(slice_is(s, "plain"));
    assert_true(json_string_is(&j, i, SLICE("plain")));
    assert_false(json_string_is(&j, i, SLICE("plain ")));
    i = json_after(&j, 0, i);
    s = json_string(&j, i, &scratch);
    assert_non_null(s.data);
    assert_int_equal(s.size, 0);
    i = json_after(&j, 0, i);
    assert_true(slice_is(json_string(&j, i, &scratch), "a\"\\/\b\f\n\r\tz"));
    assert_true(slice_is(json_raw(&j, i), "a\\\"\\\\\\/\\b\\f\\n\\r\\tz"));
    i = json_after(&j, 0, i);
    assert_true(slice_is(json_string(&j, i, &scratch), "A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"));
    assert_true(json_string_is(&j, i, SLICE("A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80")));
    assert_false(json_string_is(&j, i, SLICE("A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98")));
    i = json_after(&j, 0, i);
    assert_null(json_string(&j, i, &scratch).data);
    assert_false(json_string_is(&j, i, SLICE("1")));
    assert_null(json_string(&j, JSON_NONE, &scratch).data);
    assert_null(json_raw(&j, JSON_NONE).data);
    assert_null(json_verbatim(&j, JSON_NONE).data);
    buffer_finish(&scratch);
    json_finish(&j);
}

static void verbatim_values_are_json_again(void **state)
{
    (void)state;
    static const char *const values[] = {"\"a\\u0062\"", "{ \"x\" : [1, 2.50e+3] }", "[ ]", "-0.10", "null"};
    struct json j = {0};
    char text[128];
    for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++) {
        (void)snprintf(text, sizeof(text), "{\"type\":\"t\", \"data\" : %s }", values[i]);
        assert_true(scan(&j, text));
        assert_true(slice_is(json_verbatim(&j, json_find(&j, 0, SLICE("data"))), values[i]));
        assert_true(slice_is(json_verbatim(&j, 0), text));
    }
    json_finish(&j);
}

static void a_tape_is_used_again_after_a_fault(void **state)
{
    (void)state;
    struct json j = {0};
    assert_true(scan(&j, "[1,2,3]"));
    const struct json_node *nodes = j.nodes;
    assert_false(scan(&j, "[1,2,"));
    assert_non_null(j.fault);
    assert_int_equal(json_type(&j, 0), JSON_NULL); /* nothing is left to read */
    assert_int_equal(json_first(&j, 0), JSON_NONE);
    assert_true(scan(&j, "{\"a\":1}"));
    assert_null(j.fault);
    assert_ptr_equal(j.nodes, nodes);
    json_finish(&j);
    json_finish(&j); /* an empty one is fine */
    assert_null(j.nodes);
}

static void utf8_is_judged_at_every_alignment(void **state)
{
    (void)state;
    static const struct {
        struct slice text;
        bool valid;
    } texts[] = {
        {BYTES(""), true},
        {BYTES("\0"), true},
        {BYTES("\xc2\x80"), true},
        {BYTES("\xe2\x82\xac"), true},
        {BYTES("\xf4\x8f\xbf\xbf"), true},
        {BYTES("\x80"), false},
        {BYTES("\xc0\x80"), false},
        {BYTES("\xe0\x80\x80"), false},
        {BYTES("\xed\xa0\x80"), false},
        {BYTES("\xf0\x80\x80\x80"), false},
        {BYTES("\xf4\x90\x80\x80"), false},
        {BYTES("\xf8\x88\x80\x80\x80"), false},
        {BYTES("\xe2\x82"), false},
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        for (size_t before = 0; before < 20; before++) {
            size_t size = before + texts[i].text.size;
            char *exact = malloc(size + 1);
            memset(exact, 'a', before);
            memcpy(exact + before, texts[i].text.data, texts[i].text.size);
            char *copy = realloc(exact, size ? size : 1);
            assert_int_equal(utf8_valid(copy, size), texts[i].valid);
            free(copy);
        }
    }
}

static void all_characters_survive_encoding(void **state)
{
    (void)state;
    for (uint32_t code = 1; code <= 0x10ffff; code++) {
        char out[4];
        if (code == 0xd800)
            code = 0xe000;
        size_t size = utf8_encode(code, out);
        assert_int_equal(utf8_sequence(out, size), size);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_rule_of_the_grammar_holds_both_ways),
        cmocka_unit_test(depth_is_limited),
        cmocka_unit_test(size_is_limited),
        cmocka_unit_test(a_duplicate_key_is_found_wherever_it_stands),
        cmocka_unit_test(large_objects_are_searched),
        cmocka_unit_test(members_are_found_by_their_unescaped_key),
        cmocka_unit_test(containers_are_walked_in_order),
        cmocka_unit_test(every_type_is_told),
        cmocka_unit_test(numbers_keep_their_digits),
        cmocka_unit_test(strings_are_views_until_they_have_escapes),
        cmocka_unit_test(verbatim_values_are_json_again),
        cmocka_unit_test(a_tape_is_used_again_after_a_fault),
        cmocka_unit_test(utf8_is_judged_at_every_alignment),
        cmocka_unit_test(all_characters_survive_encoding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
