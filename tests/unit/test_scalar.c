#include "unit.h"

#include "causeway/json.h"
#include "causeway/scalar.h"

static const struct {
    const char *text;
    enum document_type type;
    const char *json; /* of numbers */
} rows[] = {
    {"", DOCUMENT_NULL, NULL},
    {"~", DOCUMENT_NULL, NULL},
    {"null", DOCUMENT_NULL, NULL},
    {"Null", DOCUMENT_NULL, NULL},
    {"NULL", DOCUMENT_NULL, NULL},
    {"nULL", DOCUMENT_STRING, NULL},
    {"true", DOCUMENT_BOOL, NULL},
    {"True", DOCUMENT_BOOL, NULL},
    {"FALSE", DOCUMENT_BOOL, NULL},
    {"tRUE", DOCUMENT_STRING, NULL},
    {"yes", DOCUMENT_STRING, NULL},
    {"no", DOCUMENT_STRING, NULL},
    {"on", DOCUMENT_STRING, NULL},
    {"Off", DOCUMENT_STRING, NULL},
    {"y", DOCUMENT_STRING, NULL},
    {"0", DOCUMENT_NUMBER, "0"},
    {"-0", DOCUMENT_NUMBER, "-0"},
    {"9007199254740993", DOCUMENT_NUMBER, "9007199254740993"},
    {"-12", DOCUMENT_NUMBER, "-12"},
    {"+12", DOCUMENT_NUMBER, "12"},
    {"007", DOCUMENT_NUMBER, "7"},
    {"-00", DOCUMENT_NUMBER, "-0"},
    {"00.50", DOCUMENT_NUMBER, "0.50"},
    {"1.50e+3", DOCUMENT_NUMBER, "1.50e+3"},
    {"1e3", DOCUMENT_NUMBER, "1e3"},
    {"1E-03", DOCUMENT_NUMBER, "1E-03"},
    {".5", DOCUMENT_NUMBER, "0.5"},
    {"-.5e1", DOCUMENT_NUMBER, "-0.5e1"},
    {"1.", DOCUMENT_NUMBER, "1"},
    {"1.e2", DOCUMENT_NUMBER, "1e2"},
    {"0x1F", DOCUMENT_NUMBER, "31"},
    {"0o17", DOCUMENT_NUMBER, "15"},
    {"0xffffffffffffffff", DOCUMENT_NUMBER, "18446744073709551615"},
    {"0x10000000000000000", DOCUMENT_NUMBER, "1.8446744073709552e+19"},
    {".inf", DOCUMENT_NUMBER, "null"},
    {"-.Inf", DOCUMENT_NUMBER, "null"},
    {"+.INF", DOCUMENT_NUMBER, "null"},
    {".nan", DOCUMENT_NUMBER, "null"},
    {".NaN", DOCUMENT_NUMBER, "null"},
    {"-.nan", DOCUMENT_STRING, NULL},
    {".iNF", DOCUMENT_STRING, NULL},
    {"0x", DOCUMENT_STRING, NULL},
    {"0xg", DOCUMENT_STRING, NULL},
    {"-0x1", DOCUMENT_STRING, NULL},
    {"0X1", DOCUMENT_STRING, NULL},
    {"0o8", DOCUMENT_STRING, NULL},
    {"0b1", DOCUMENT_STRING, NULL},
    {"1_000", DOCUMENT_STRING, NULL},
    {"1:30", DOCUMENT_STRING, NULL},
    {"1e", DOCUMENT_STRING, NULL},
    {"1e+", DOCUMENT_STRING, NULL},
    {"e3", DOCUMENT_STRING, NULL},
    {".", DOCUMENT_STRING, NULL},
    {"-", DOCUMENT_STRING, NULL},
    {"+", DOCUMENT_STRING, NULL},
    {".e1", DOCUMENT_STRING, NULL},
    {"1.2.3", DOCUMENT_STRING, NULL},
    {"--1", DOCUMENT_STRING, NULL},
    {"1 ", DOCUMENT_STRING, NULL},
    {"2024-01-15", DOCUMENT_STRING, NULL},
    {"infinity", DOCUMENT_STRING, NULL},
};

static void plain_texts_mean_what_the_core_schema_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        if (scalar_type(slice_of(rows[i].text)) != rows[i].type)
            fail_msg("%s", rows[i].text);
    assert_int_equal(scalar_type((struct slice){"1\0", 2}), DOCUMENT_STRING);
}

static void numbers_are_written_as_json(void **state)
{
    (void)state;
    struct buffer out = {0};
    struct json j = {0};
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        if (rows[i].type != DOCUMENT_NUMBER)
            continue;
        buffer_clear(&out);
        scalar_write_number(slice_of(rows[i].text), &out);
        assert_string_equal(buffer_text(&out), rows[i].json);
        assert_true(json_scan(&j, out.data, out.size));
    }
    buffer_finish(&out);
    json_finish(&j);
}

static void a_hexadecimal_beyond_all_doubles_is_no_json_number(void **state)
{
    (void)state;
    struct buffer out = {0}, text = {0};
    buffer_add_text(&text, "0x");
    for (int i = 0; i < 300; i++)
        buffer_add_byte(&text, 'f');
    scalar_write_number(buffer_slice(&text), &out);
    assert_string_equal(buffer_text(&out), "null");
    buffer_finish(&out);
    buffer_finish(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_texts_mean_what_the_core_schema_says),
        cmocka_unit_test(numbers_are_written_as_json),
        cmocka_unit_test(a_hexadecimal_beyond_all_doubles_is_no_json_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
