#include "unit.h"

#include "causeway/buffer.h"

static void assert_holds(struct buffer *b, const char *expected)
{
    assert_int_equal(b->size, strlen(expected));
    assert_string_equal(buffer_text(b), expected);
}

static void a_zeroed_struct_is_an_empty_buffer(void **state)
{
    (void)state;
    struct buffer b = {0};
    assert_int_equal(buffer_slice(&b).size, 0);
    assert_string_equal(buffer_text(&b), "");
    assert_int_equal(b.size, 0);
    buffer_finish(&b);
    assert_null(b.data);
    buffer_finish(&b);
}

static void what_is_added_stands_in_order(void **state)
{
    (void)state;
    struct buffer b = {0};
    buffer_add(&b, "one", 3);
    buffer_add_byte(&b, ' ');
    buffer_add_text(&b, "two");
    buffer_add_slice(&b, SLICE(" three"));
    buffer_add(&b, NULL, 0);
    buffer_add_slice(&b, (struct slice){0});
    assert_holds(&b, "one two three");
    buffer_finish(&b);
}

static void it_grows_by_single_bytes_and_by_large_pieces(void **state)
{
    (void)state;
    static char large[100000];
    memset(large, 'x', sizeof large);
    struct buffer b = {0};
    for (int i = 0; i < 1000; i++)
        buffer_add_byte(&b, (char)('a' + i % 26));
    buffer_add(&b, large, sizeof large);
    assert_int_equal(b.size, 1000 + sizeof large);
    assert_int_equal(b.data[999], 'a' + 999 % 26);
    assert_memory_equal(b.data + 1000, large, sizeof large);
    buffer_finish(&b);
}

static void reserved_room_can_be_written_and_is_not_counted(void **state)
{
    (void)state;
    struct buffer b = {0};
    buffer_add_text(&b, "ab");
    char *end = buffer_reserve(&b, 5000);
    assert_ptr_equal(end, b.data + 2);
    assert_true(b.capacity >= 5002);
    memset(end, 'z', 5000);
    assert_holds(&b, "ab");
    buffer_finish(&b);
}

static void clearing_keeps_the_memory(void **state)
{
    (void)state;
    struct buffer b = {0};
    buffer_add_text(&b, "something");
    const char *before = b.data;
    buffer_clear(&b);
    buffer_add_text(&b, "else");
    assert_ptr_equal(b.data, before);
    assert_holds(&b, "else");
    buffer_finish(&b);
}

static void printing_fits_text_of_every_length_around_the_capacity(void **state)
{
    (void)state;
    for (int length = 0; length < 200; length++) {
        struct buffer b = {0};
        buffer_print(&b, "<%*s>", length, "");
        assert_int_equal(b.size, (size_t)length + 2);
        assert_int_equal(b.data[b.size - 1], '>');
        buffer_print(&b, "%d%s", 42, "x");
        assert_memory_equal(b.data + length + 2, "42x", 3);
        buffer_finish(&b);
    }
}

static void dropping_removes_from_the_front(void **state)
{
    (void)state;
    struct buffer b = {0};
    buffer_drop(&b, 0);
    buffer_add_text(&b, "abcdef");
    buffer_drop(&b, 2);
    assert_holds(&b, "cdef");
    buffer_drop(&b, 4);
    assert_holds(&b, "");
    buffer_finish(&b);
}

static void json_text_is_quoted_and_escaped(void **state)
{
    (void)state;
    const struct {
        struct slice text;
        const char *json;
    } cases[] = {
        {{0}, "\"\""},
        {SLICE("plain"), "\"plain\""},
        {SLICE("say \"hi\" \\ there"), "\"say \\\"hi\\\" \\\\ there\""},
        {SLICE("\b\t\n\f\r"), "\"\\b\\t\\n\\f\\r\""},
        {SLICE("a\0b\x01\x1F\x7F"), "\"a\\u0000b\\u0001\\u001f\\u007f\""},
        {SLICE("caf\xC3\xA9 \xF0\x9F\x98\x80 \xE2\x80\xA7"), "\"caf\xC3\xA9 \xF0\x9F\x98\x80 \xE2\x80\xA7\""},
        {SLICE("a\xE2\x80\xA8"
               "b\xE2\x80\xA9"),
            "\"a\\u2028b\\u2029\""},
        {SLICE("\xE2\x80"), "\"\xE2\x80\""},
        {SLICE("</script>/"), "\"</script>/\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buffer b = {0};
        buffer_add_json_text(&b, cases[i].text);
        assert_holds(&b, cases[i].json);
        buffer_finish(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_zeroed_struct_is_an_empty_buffer),
        cmocka_unit_test(what_is_added_stands_in_order),
        cmocka_unit_test(it_grows_by_single_bytes_and_by_large_pieces),
        cmocka_unit_test(reserved_room_can_be_written_and_is_not_counted),
        cmocka_unit_test(clearing_keeps_the_memory),
        cmocka_unit_test(printing_fits_text_of_every_length_around_the_capacity),
        cmocka_unit_test(dropping_removes_from_the_front),
        cmocka_unit_test(json_text_is_quoted_and_escaped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
