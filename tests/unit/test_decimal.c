/* Numbers that a double would confuse. */
#include "unit.h"

#include "causeway/decimal.h"

static struct decimal read(const char *text)
{
    return decimal_read(slice_of(text));
}

static void test_compares_exactly(void **state)
{
    (void)state;
    static const struct {
        const char *less, *more; /* or equal */
        bool equal;
    } rows[] = {
        {"0", "-0", true},
        {"0", "0.000e99", true},
        {"1", "1.0", true},
        {"1", "10e-1", true},
        {"100", "1e2", true},
        {"100.0", "1E+2", true},
        {"-0.05", "-5e-2", true},
        {"123.450", "12345e-2", true},
        {"1e99999999999999999999999", "1e99999999999999999999999", true},
        {"-1", "0", false},
        {"-1", "1", false},
        {"-2", "-1", false},
        {"1", "2", false},
        {"9", "10", false},
        {"0.09", "0.1", false},
        {"9007199254740992", "9007199254740993", false},
        {"18446744073709551615", "18446744073709551616", false},
        {"972783798187987123879878123.18878137", "972783798187987123879878123.188781371", false},
        {"-972783798187987123879878123.188781371", "-972783798187987123879878123.18878137", false},
        {"0.1", "0.10000000000000000000000000000000001", false},
        {"12", "120", false},
        {"1.2", "12", false},
        {"1e-400", "1e400", false},
        {"9e399", "1e400", false},
        {"1e-99999999999999999999", "1e-5", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct decimal less = read(rows[i].less), more = read(rows[i].more);
        int expected = rows[i].equal ? 0 : -1;
        if (decimal_compare(less, more) != expected || decimal_compare(more, less) != -expected)
            fail_msg("%s and %s", rows[i].less, rows[i].more);
        if (rows[i].equal)
            assert_true(decimal_hash(less) == decimal_hash(more));
        assert_int_equal(decimal_compare(less, less), 0);
    }
}

static void test_knows_whole_numbers(void **state)
{
    (void)state;
    static const char *const whole[] = {"0", "-0.0", "1", "-17", "1.0", "1.500e1", "1e2", "100e-2",
        "12345678910111213141516171819202122232425262728293031", "1e400", NULL};
    static const char *const broken[] = {
        "0.1", "1.5", "-1e-1", "15e-1", "1e-400", "1.0000000000000000000001", NULL};
    for (const char *const *text = whole; *text; text++)
        if (!decimal_is_whole(read(*text)))
            fail_msg("%s is whole", *text);
    for (const char *const *text = broken; *text; text++)
        if (decimal_is_whole(read(*text)))
            fail_msg("%s is not whole", *text);
}

static void test_divides_exactly(void **state)
{
    (void)state;
    static const struct {
        const char *number, *divisor;
        bool multiple;
    } rows[] = {
        {"0", "7", true},
        {"10", "2", true},
        {"7", "2", false},
        {"4.5", "1.5", true},
        {"35", "1.5", false},
        {"0.0075", "0.0001", true},
        {"0.00751", "0.0001", false},
        {"19.99", "0.01", true},
        {"19.995", "0.01", false},
        {"1e308", "0.123456789", false},
        {"1e308", "0.5", true},
        {"1e99999", "3", false},
        {"3e99999", "3", true},
        {"-9", "3", true},
        {"100", "1e2", true},
        {"150", "1e2", false},
        {"9007199254740993", "2", false},
        {"9007199254740994", "2", true},
        {"123456789012345678901234567890", "3", true},
        {"123456789012345678901234567891", "3", false},
        {"1e40", "999999999999999999", false},
        {"999999999999999999e3", "999999999999999999", true},
        {"576460752303423488", "576460752303423488", true},
        {"1e70", "576460752303423488", true},
        {"1e58", "576460752303423488", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (decimal_is_multiple(read(rows[i].number), read(rows[i].divisor)) != rows[i].multiple)
            fail_msg("%s by %s", rows[i].number, rows[i].divisor);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_compares_exactly),
        cmocka_unit_test(test_knows_whole_numbers),
        cmocka_unit_test(test_divides_exactly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
