/* Two modules that only ask the kernel: time and random numbers. */
#include "unit.h"

#include "causeway/clock.h"
#include "causeway/random.h"

#include <math.h>
#include <time.h>

/* Both units count the same seconds, and those of the system's own clock. */
static void the_units_agree(void **state)
{
    (void)state;
    struct timespec wall, monotonic;
    assert_int_equal(clock_gettime(CLOCK_REALTIME, &wall), 0);
    assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &monotonic), 0);
    assert_true(fabs(clock_wall_s() - (double)wall.tv_sec) < 10);
    assert_true(fabs((double)clock_wall_ms() / 1e3 - (double)wall.tv_sec) < 10);
    assert_true(fabs(clock_monotonic_s() - (double)monotonic.tv_sec) < 10);
    assert_true(fabs((double)clock_monotonic_ms() / 1e3 - (double)monotonic.tv_sec) < 10);
}

static void it_goes_on(void **state)
{
    (void)state;
    uint64_t ms = clock_monotonic_ms();
    double s = clock_monotonic_s();
    struct timespec pause = {.tv_nsec = 5000000};
    assert_int_equal(nanosleep(&pause, NULL), 0);
    assert_true(clock_monotonic_ms() - ms >= 4);
    assert_true(clock_monotonic_s() - s >= 0.004);
}

/* Each byte is filled: one that never is would be zero in all of sixty-four rounds. */
static void every_byte_is_random(void **state)
{
    (void)state;
    unsigned char seen[256] = {0};
    for (int round = 0; round < 64; round++) {
        unsigned char bytes[sizeof seen] = {0};
        random_bytes(bytes, sizeof bytes);
        for (size_t i = 0; i < sizeof seen; i++)
            seen[i] |= bytes[i];
    }
    assert_null(memchr(seen, 0, sizeof seen));
    assert_int_not_equal(random_u64(), random_u64());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_units_agree),
        cmocka_unit_test(it_goes_on),
        cmocka_unit_test(every_byte_is_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
