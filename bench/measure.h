/* What the programs of the benchmark share: clocks, numbers from the command line, giving up. One thread
 * each. */
#pragma once

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#define NS_PER_SECOND 1000000000ull

static inline uint64_t measure_clock_ns(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * NS_PER_SECOND + (uint64_t)t.tv_nsec;
}

static inline uint64_t measure_now_ns(void)
{
    return measure_clock_ns(CLOCK_MONOTONIC);
}

static inline uint64_t measure_own_cpu_ns(void)
{
    return measure_clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

__attribute__((noreturn, format(printf, 1, 2))) static inline void measure_die(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    fprintf(stderr, "\n");
    va_end(arguments);
    exit(1);
}

static inline uint64_t measure_number(const char *text, uint64_t least)
{
    char *end;
    uint64_t value = strtoull(text, &end, 10);
    if (*text == '\0' || *end != '\0' || value < least) {
        measure_die("not a number of at least %lu: %s", least, text);
    }
    return value;
}

static inline void *measure_allocate(void *old, size_t bytes)
{
    void *p = realloc(old, bytes);
    if (p == NULL) {
        measure_die("out of memory");
    }
    return p;
}

/* The soft limit of open files goes up to the hard one; ends the program when that is not enough. */
static inline void measure_need_files(uint64_t wanted)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < wanted + 32) {
        measure_die(
            "%lu connections need more file descriptors than the hard limit of %lu", wanted, limit.rlim_max);
    }
}
