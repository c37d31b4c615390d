#include "unit.h"

#include "causeway/roster.h"

#include <stdlib.h>

static struct client *nth(uintptr_t n)
{
    return (struct client *)(n * 8 + 8);
}

static void a_client_is_found_by_its_number_until_it_is_removed(void **state)
{
    (void)state;
    struct roster *r = roster_create();
    uint64_t a = roster_add(r, nth(1)), b = roster_add(r, nth(2));
    assert_ptr_equal(roster_find(r, a), nth(1));
    assert_ptr_equal(roster_find(r, b), nth(2));
    roster_remove(r, a);
    assert_null(roster_find(r, a));
    assert_ptr_equal(roster_find(r, b), nth(2));
    roster_remove(r, b);
    roster_destroy(r);
    roster_destroy(NULL);
}

static void a_number_is_never_given_twice(void **state)
{
    (void)state;
    struct roster *r = roster_create();
    uint64_t before = roster_add(r, nth(1));
    roster_remove(r, before);
    uint64_t after = roster_add(r, nth(2));
    assert_int_not_equal(before, after);
    assert_null(roster_find(r, before));
    roster_remove(r, after);
    roster_destroy(r);
}

static void numbers_that_nobody_gave_find_nobody(void **state)
{
    (void)state;
    struct roster *r = roster_create();
    assert_null(roster_find(r, 0));
    uint64_t n = roster_add(r, nth(1));
    assert_null(roster_find(r, 0));
    assert_null(roster_find(r, n + 1));
    assert_null(roster_find(r, UINT64_MAX));
    roster_remove(r, n);
    roster_destroy(r);
}

static void it_grows_with_its_clients_and_uses_free_places_again(void **state)
{
    (void)state;
    struct roster *r = roster_create();
    uint64_t numbers[300];
    for (int round = 0; round < 3; round++) {
        for (uintptr_t i = 0; i < 300; i++)
            numbers[i] = roster_add(r, nth(i));
        for (uintptr_t i = 0; i < 300; i++) {
            assert_ptr_equal(roster_find(r, numbers[i]), nth(i));
            assert_true((uint32_t)numbers[i] < 300);
        }
        for (uintptr_t i = 0; i < 300; i++)
            roster_remove(r, numbers[i]);
    }
    roster_destroy(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_is_found_by_its_number_until_it_is_removed),
        cmocka_unit_test(a_number_is_never_given_twice),
        cmocka_unit_test(numbers_that_nobody_gave_find_nobody),
        cmocka_unit_test(it_grows_with_its_clients_and_uses_free_places_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
