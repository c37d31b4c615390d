#include "unit.h"

#include "causeway/edits.h"

static void edits_are_counted(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        size_t edits;
    } rows[] = {
        {"", "", 0},
        {"", "abc", 3},
        {"abc", "", 3},
        {"PORT", "port", 0},
        {"PORT", "PORTS", 1},
        {"PROT", "PORT", 2},
        {"kitten", "sitting", 3},
        {"HOT_LOG_BYTE", "HOT_LOG_BYTES", 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(edits_between(slice_of(rows[i].a), slice_of(rows[i].b)), rows[i].edits);
        assert_int_equal(edits_between(slice_of(rows[i].b), slice_of(rows[i].a)), rows[i].edits);
    }
}

static void names_that_are_too_long_are_far_from_all(void **state)
{
    (void)state;
    char text[EDITS_NAME_MAX + 1];
    memset(text, 'x', sizeof text);
    struct slice longest = {text, EDITS_NAME_MAX}, longer = {text, sizeof text};
    assert_int_equal(edits_between(longest, longest), 0);
    assert_true(edits_between(longer, longest) == SIZE_MAX);
    assert_true(edits_between(longest, longer) == SIZE_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(edits_are_counted),
        cmocka_unit_test(names_that_are_too_long_are_far_from_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
