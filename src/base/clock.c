#include "causeway/clock.h"

#include "causeway/check.h"

#include <time.h>

static struct timespec read_clock(clockid_t clock)
{
    struct timespec now;
    CHECK(clock_gettime(clock, &now) == 0);
    return now;
}

static int64_t to_ms(struct timespec t)
{
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static double to_s(struct timespec t)
{
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

uint64_t clock_monotonic_ms(void)
{
    return (uint64_t)to_ms(read_clock(CLOCK_MONOTONIC));
}

double clock_monotonic_s(void)
{
    return to_s(read_clock(CLOCK_MONOTONIC));
}

int64_t clock_wall_ms(void)
{
    return to_ms(read_clock(CLOCK_REALTIME));
}

double clock_wall_s(void)
{
    return to_s(read_clock(CLOCK_REALTIME));
}
