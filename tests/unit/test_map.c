#include "unit.h"

#include "causeway/map.h"

#include <stdio.h>

enum { MANY = 5000 };

static struct slice key_of(char text[32], int number)
{
    int length = snprintf(text, 32, "room-%d", number);
    return (struct slice){text, (size_t)length};
}

static void a_value_is_found_under_its_key_only(void **state)
{
    (void)state;
    int one = 1, two = 2;
    struct map *m = map_create();
    assert_null(map_find(m, SLICE("a")));
    assert_null(map_set(m, SLICE("a"), &one));
    assert_null(map_set(m, SLICE("a\0b"), &two));
    assert_ptr_equal(map_find(m, SLICE("a")), &one);
    assert_ptr_equal(map_find(m, SLICE("a\0b")), &two);
    assert_null(map_find(m, SLICE("a\0c")));
    assert_null(map_find(m, SLICE("")));
    assert_int_equal(map_count(m), 2);
    map_destroy(m);
    map_destroy(NULL);
}

static void the_empty_key_is_a_key(void **state)
{
    (void)state;
    int one = 1;
    struct map *m = map_create();
    assert_null(map_set(m, (struct slice){0}, &one));
    assert_ptr_equal(map_find(m, SLICE("")), &one);
    assert_ptr_equal(map_remove(m, SLICE("")), &one);
    assert_int_equal(map_count(m), 0);
    map_destroy(m);
}

static void setting_again_replaces_and_returns_the_old_value(void **state)
{
    (void)state;
    int one = 1, two = 2;
    struct map *m = map_create();
    map_set(m, SLICE("k"), &one);
    assert_ptr_equal(map_set(m, SLICE("k"), &two), &one);
    assert_ptr_equal(map_find(m, SLICE("k")), &two);
    assert_int_equal(map_count(m), 1);
    map_destroy(m);
}

static void keys_are_copied(void **state)
{
    (void)state;
    int one = 1;
    char key[] = "before";
    struct map *m = map_create();
    map_set(m, slice_of(key), &one);
    key[0] = 'B';
    assert_ptr_equal(map_find(m, SLICE("before")), &one);
    assert_null(map_find(m, SLICE("Before")));
    map_destroy(m);
}

static void thousands_come_and_go(void **state)
{
    (void)state;
    static int values[MANY];
    char text[32];
    struct map *m = map_create();
    for (int i = 0; i < MANY; i++)
        assert_null(map_set(m, key_of(text, i), &values[i]));
    for (int i = 0; i < MANY; i += 2)
        assert_ptr_equal(map_remove(m, key_of(text, i)), &values[i]);
    assert_int_equal(map_count(m), MANY / 2);
    for (int i = 0; i < MANY; i++)
        assert_ptr_equal(map_find(m, key_of(text, i)), i % 2 ? &values[i] : NULL);
    for (int i = 0; i < MANY; i += 2)
        assert_null(map_set(m, key_of(text, i), &values[i]));
    for (int i = 0; i < MANY; i++)
        assert_ptr_equal(map_find(m, key_of(text, i)), &values[i]);
    assert_null(map_remove(m, SLICE("room-x")));
    assert_int_equal(map_count(m), MANY);
    map_destroy(m);
}

/* Every key is new: without a rehash the marks of the removed ones would fill the table and end every probe.
 */
static void endless_change_of_a_few_keys_stays_findable(void **state)
{
    (void)state;
    int value = 1;
    char text[32];
    struct map *m = map_create();
    for (int i = 0; i < 100000; i++) {
        assert_null(map_set(m, key_of(text, i), &value));
        if (i >= 8)
            assert_ptr_equal(map_remove(m, key_of(text, i - 8)), &value);
    }
    assert_int_equal(map_count(m), 8);
    for (int i = 100000 - 8; i < 100000; i++)
        assert_ptr_equal(map_find(m, key_of(text, i)), &value);
    map_destroy(m);
}

static void a_walk_sees_every_entry_once(void **state)
{
    (void)state;
    static int values[MANY];
    char text[32];
    struct map *m = map_create();
    for (int i = 0; i < MANY; i++)
        map_set(m, key_of(text, i), &values[i]);
    size_t cursor = 0;
    struct slice key;
    void *value;
    while (map_next(m, &cursor, &key, &value)) {
        int *seen = value;
        assert_true(slice_equal(key, key_of(text, (int)(seen - values))));
        ++*seen;
    }
    for (int i = 0; i < MANY; i++)
        assert_int_equal(values[i], 1);
    assert_false(map_next(m, &cursor, &key, &value));
    map_destroy(m);
}

static void a_walk_may_remove_what_it_stands_on(void **state)
{
    (void)state;
    static int values[MANY];
    char text[32];
    struct map *m = map_create();
    for (int i = 0; i < MANY; i++)
        map_set(m, key_of(text, i), &values[i]);
    size_t cursor = 0, seen = 0;
    struct slice key;
    void *value;
    while (map_next(m, &cursor, &key, &value)) {
        seen++;
        if (((int *)value - values) % 3 == 0)
            assert_ptr_equal(map_remove(m, key), value);
    }
    assert_int_equal(seen, MANY);
    for (int i = 0; i < MANY; i++)
        assert_ptr_equal(map_find(m, key_of(text, i)), i % 3 ? &values[i] : NULL);
    for (cursor = 0; map_next(m, &cursor, &key, &value);)
        map_remove(m, key);
    assert_int_equal(map_count(m), 0);
    map_destroy(m);
}

/* These figures may be stored or compared between instances, so they may never change. */
static void a_hash_is_stable_and_depends_on_seed_and_every_byte(void **state)
{
    (void)state;
    assert_int_equal(hash_bytes("orders.v1", 9, 0), 0x1641A55D07AC3A41U);
    assert_int_equal(hash_bytes("a name of more than sixteen bytes", 33, 7), 0xF4CABF0772BDE8F3U);
    assert_int_equal(hash_bytes(NULL, 0, 0), hash_bytes("", 0, 0));
    assert_int_not_equal(hash_bytes("a", 1, 1), hash_bytes("a", 1, 2));
    char text[64] = {0};
    for (size_t size = 1; size <= sizeof text; size++) {
        uint64_t before = hash_bytes(text, size, 1);
        assert_int_not_equal(before, hash_bytes(text, size - 1, 1));
        for (size_t i = 0; i < size; i++) {
            text[i] = 1;
            assert_int_not_equal(before, hash_bytes(text, size, 1));
            text[i] = 0;
        }
    }
}

static void the_low_bits_of_hashes_spread_evenly(void **state)
{
    (void)state;
    enum { BINS = 64, KEYS = 64000 };
    static int bins[BINS];
    char text[32];
    for (int i = 0; i < KEYS; i++) {
        struct slice key = key_of(text, i);
        bins[hash_bytes(key.data, key.size, 3) % BINS]++;
    }
    for (int i = 0; i < BINS; i++)
        assert_in_range(bins[i], KEYS / BINS * 8 / 10, KEYS / BINS * 12 / 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_is_found_under_its_key_only),
        cmocka_unit_test(the_empty_key_is_a_key),
        cmocka_unit_test(setting_again_replaces_and_returns_the_old_value),
        cmocka_unit_test(keys_are_copied),
        cmocka_unit_test(thousands_come_and_go),
        cmocka_unit_test(endless_change_of_a_few_keys_stays_findable),
        cmocka_unit_test(a_walk_sees_every_entry_once),
        cmocka_unit_test(a_walk_may_remove_what_it_stands_on),
        cmocka_unit_test(a_hash_is_stable_and_depends_on_seed_and_every_byte),
        cmocka_unit_test(the_low_bits_of_hashes_spread_evenly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
