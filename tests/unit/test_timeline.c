#include "unit.h"

#include "causeway/timeline.h"

static void a_moment_has_the_position_before_it(void **state)
{
    (void)state;
    struct timeline *t = timeline_create(1000, 7);
    timeline_note(t, 1200, 10);
    timeline_note(t, 1200, 11);
    timeline_note(t, 1400, 11);
    timeline_note(t, 1600, 20);
    static const struct {
        uint64_t ms, position;
    } cases[] = {
        {0, 7}, {999, 7}, {1000, 7}, {1199, 7}, {1200, 11}, {1399, 11}, {1599, 11}, {1600, 20}, {9999, 20}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(timeline_before(t, cases[i].ms), cases[i].position);
    timeline_destroy(t);
    timeline_destroy(NULL);
}

/* A position that is too early only costs a longer walk; one that is too late would lose events. */
static void what_is_long_ago_is_known_more_coarsely_but_never_too_late(void **state)
{
    (void)state;
    struct timeline *t = timeline_create(0, 0);
    enum { NOTES = 100000 };
    for (uint64_t i = 1; i <= NOTES; i++)
        timeline_note(t, i * 200, i);
    for (uint64_t i = 0; i <= NOTES; i += 97) {
        uint64_t found = timeline_before(t, i * 200 + 100);
        assert_true(found <= i);
        assert_true(NOTES - i > 60 || found == i);
        assert_true((i - found) * 20 <= NOTES - i); /* a twentieth of its age */
    }
    assert_int_equal(timeline_before(t, 0), 0);
    timeline_destroy(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_moment_has_the_position_before_it),
        cmocka_unit_test(what_is_long_ago_is_known_more_coarsely_but_never_too_late),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
