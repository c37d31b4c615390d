/* Histogram of durations in microseconds: exact up to 127, then 64 steps per power of two (below 1.6 %
   error). One thread; plain memory, no destructor. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define LATENCY_STEPS 64u
#define LATENCY_SLOTS (LATENCY_STEPS * 40u)

struct latency {
    uint64_t slot[LATENCY_SLOTS];
    uint64_t count;
    uint64_t max;
};

static inline size_t latency_slot(uint64_t us)
{
    if (us < 2 * LATENCY_STEPS) {
        return (size_t)us;
    }
    unsigned shift = 63u - (unsigned)__builtin_clzll(us) - 6u;
    size_t index = (size_t)shift * LATENCY_STEPS + (size_t)(us >> shift);
    return index < LATENCY_SLOTS ? index : LATENCY_SLOTS - 1;
}

static inline void latency_add(struct latency *l, uint64_t us)
{
    l->slot[latency_slot(us)]++;
    l->count++;
    l->max = us > l->max ? us : l->max;
}

/* The value below which `percent` of the durations lie (lower edge of its slot); 0 when there are none. */
static inline uint64_t latency_percentile(const struct latency *l, double percent)
{
    uint64_t wanted = (uint64_t)((double)l->count * percent / 100.0);
    uint64_t seen = 0;
    for (size_t i = 0; i < LATENCY_SLOTS; i++) {
        seen += l->slot[i];
        if (seen > wanted) {
            size_t shift = i < 2 * LATENCY_STEPS ? 0 : i / LATENCY_STEPS - 1;
            return (uint64_t)(i - shift * LATENCY_STEPS) << shift;
        }
    }
    return l->max;
}
