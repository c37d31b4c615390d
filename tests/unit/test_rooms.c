#include "unit.h"

#include "causeway/buffer.h"
#include "causeway/rooms.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static struct slice name_of(char text[32], unsigned number)
{
    int size = snprintf(text, 32, "room-%u", number);
    return (struct slice){text, (size_t)size};
}

static void a_held_room_has_a_number_and_a_name(void **state)
{
    (void)state;
    struct rooms *r = rooms_create();
    struct buffer name = {0};
    uint32_t a = rooms_hold(r, 0, SLICE("a")), b = rooms_hold(r, 0, SLICE("b"));
    assert_int_not_equal(a, b);
    assert_int_equal(rooms_find(r, 0, SLICE("a")), a);
    assert_int_equal(rooms_find(r, 0, SLICE("b")), b);
    assert_int_equal(rooms_find(r, 0, SLICE("c")), ROOM_NONE);
    rooms_name(r, a, &name);
    buffer_add_byte(&name, '/'); /* names are appended */
    rooms_name(r, b, &name);
    assert_string_equal(buffer_text(&name), "a/b");
    assert_int_equal(rooms_count(r), 2);
    buffer_finish(&name);
    rooms_destroy(r);
    rooms_destroy(NULL);
}

static void lanes_never_meet(void **state)
{
    (void)state;
    struct rooms *r = rooms_create();
    uint32_t numbers[4];
    static const uint16_t lanes[] = {0, 1, 0x0100, UINT16_MAX};
    for (size_t i = 0; i < 4; i++)
        numbers[i] = rooms_hold(r, lanes[i], SLICE("same"));
    for (size_t i = 0; i < 4; i++)
        for (size_t j = 0; j < i; j++)
            assert_int_not_equal(numbers[i], numbers[j]);
    rooms_release(r, numbers[0]);
    assert_int_equal(rooms_find(r, 0, SLICE("same")), ROOM_NONE);
    assert_int_equal(rooms_find(r, 1, SLICE("same")), numbers[1]);
    assert_int_equal(rooms_count(r), 3);
    rooms_destroy(r);
}

static void a_name_may_hold_any_bytes_up_to_its_limit(void **state)
{
    (void)state;
    char longest[ROOM_NAME_MAX];
    struct rooms *r = rooms_create();
    struct buffer name = {0};
    memset(longest, 'n', sizeof longest);
    uint32_t a = rooms_hold(r, 0, SLICE("x\0y")), b = rooms_hold(r, 0, SLICE("x\0z")),
             c = rooms_hold(r, 0, SLICE("x"));
    uint32_t d = rooms_hold(r, 7, (struct slice){longest, sizeof longest});
    assert_true(a != b && b != c && a != c);
    rooms_name(r, a, &name);
    assert_true(slice_equal(buffer_slice(&name), SLICE("x\0y")));
    buffer_clear(&name);
    rooms_name(r, d, &name);
    assert_true(slice_equal(buffer_slice(&name), (struct slice){longest, sizeof longest}));
    assert_int_equal(rooms_find(r, 7, (struct slice){longest, sizeof longest - 1}), ROOM_NONE);
    buffer_finish(&name);
    rooms_destroy(r);
}

static void a_room_lives_until_its_last_hold_is_released(void **state)
{
    (void)state;
    struct rooms *r = rooms_create();
    uint32_t a = rooms_hold(r, 3, SLICE("a"));
    assert_int_equal(rooms_hold(r, 3, SLICE("a")), a);
    rooms_hold_again(r, a);
    rooms_release(r, a);
    rooms_release(r, a);
    assert_int_equal(rooms_find(r, 3, SLICE("a")), a);
    rooms_release(r, a);
    assert_int_equal(rooms_find(r, 3, SLICE("a")), ROOM_NONE);
    assert_int_equal(rooms_count(r), 0);
    rooms_destroy(r);
}

static void numbers_are_given_again_so_that_they_stay_small(void **state)
{
    (void)state;
    struct rooms *r = rooms_create();
    char text[32];
    for (unsigned round = 0; round < 50; round++) {
        uint32_t held[100];
        for (unsigned i = 0; i < 100; i++) {
            held[i] = rooms_hold(r, 0, name_of(text, round * 1000 + i));
            assert_true(held[i] < 100);
        }
        for (unsigned i = 0; i < 100; i++)
            rooms_release(r, held[(i * 37) % 100]);
        assert_int_equal(rooms_count(r), 0);
    }
    rooms_destroy(r);
}

enum { NAMES = 400, STEPS = 40000, HOLDS = 6 };

static void what_is_found_is_what_a_simple_table_says(void **state)
{
    (void)state;
    struct rooms *r = rooms_create();
    static uint32_t holds[NAMES], numbers[NAMES];
    struct buffer name = {0};
    uint32_t seed = 99;
    char text[32];
    size_t alive = 0;
    for (unsigned step = 0; step < STEPS; step++) {
        seed = seed * 1664525 + 1013904223;
        unsigned i = (seed >> 8) % NAMES;
        uint16_t lane = (uint16_t)(i % 3);
        struct slice key = name_of(text, i / 3);
        if ((seed >> 20) % 2 && holds[i] < HOLDS) {
            uint32_t number = rooms_hold(r, lane, key);
            assert_true(holds[i] == 0 || number == numbers[i]);
            alive += holds[i]++ == 0;
            numbers[i] = number;
        } else if (holds[i] > 0) {
            rooms_release(r, numbers[i]);
            alive -= --holds[i] == 0;
        }
        assert_int_equal(rooms_find(r, lane, key), holds[i] ? numbers[i] : ROOM_NONE);
        assert_int_equal(rooms_count(r), alive);
        if (holds[i]) {
            buffer_clear(&name);
            rooms_name(r, numbers[i], &name);
            assert_true(slice_equal(buffer_slice(&name), key));
        }
    }
    buffer_finish(&name);
    rooms_destroy(r);
}

static void *hold_and_release(void *argument)
{
    struct rooms *r = argument;
    struct buffer name = {0};
    char text[32];
    for (unsigned i = 0; i < 5000; i++) {
        struct slice key = name_of(text, i % 17);
        uint32_t number = rooms_hold(r, 0, key);
        buffer_clear(&name);
        rooms_name(r, number, &name);
        if (!slice_equal(buffer_slice(&name), key) || rooms_find(r, 0, key) != number) {
            buffer_finish(&name);
            return r;
        }
        rooms_release(r, number);
    }
    buffer_finish(&name);
    return NULL;
}

static void threads_may_use_it_at_once(void **state)
{
    (void)state;
    struct rooms *r = rooms_create();
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, hold_and_release, r), 0);
    for (size_t i = 0; i < 4; i++) {
        void *fault;
        pthread_join(threads[i], &fault);
        assert_null(fault);
    }
    assert_int_equal(rooms_count(r), 0);
    rooms_destroy(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_held_room_has_a_number_and_a_name),
        cmocka_unit_test(lanes_never_meet),
        cmocka_unit_test(a_name_may_hold_any_bytes_up_to_its_limit),
        cmocka_unit_test(a_room_lives_until_its_last_hold_is_released),
        cmocka_unit_test(numbers_are_given_again_so_that_they_stay_small),
        cmocka_unit_test(what_is_found_is_what_a_simple_table_says),
        cmocka_unit_test(threads_may_use_it_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
