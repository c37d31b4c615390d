/* What a round counts. The publisher puts `~ROUND.SEQUENCE.NANOSECONDS` (decimal; intended send time,
   CLOCK_MONOTONIC) into each payload. Every subscriber's markers are counted; a sampled subscriber's are also
   read: order, latency. */
#pragma once

#include "latency.h"
#include "measure.h"

#include <stdbool.h>
#include <string.h>

#define TALLY_MARKER '~'

struct tally_counter { /* one per subscriber */
    uint64_t count;
    uint64_t next; /* sequence expected next; sampled subscribers only */
};

struct tally {
    uint64_t round, expected;
    uint64_t done; /* subscribers that have all they should get */
    uint64_t deliveries, disorder;
    struct latency latency;    /* of each delivery to a sampled subscriber */
    struct latency completion; /* of each event: until its last sampled receiver has it */
    uint64_t *slowest;         /* per sequence, us */
};

static inline void tally_start(struct tally *t, uint64_t round, uint64_t expected)
{
    uint64_t *slowest = measure_allocate(t->slowest, expected * sizeof *slowest);
    memset(t, 0, sizeof *t);
    memset(slowest, 0, expected * sizeof *slowest);
    t->round = round;
    t->expected = expected;
    t->slowest = slowest;
}

static inline uint64_t tally_decimal(const uint8_t **at, const uint8_t *end)
{
    uint64_t value = 0;
    while (*at < end && **at >= '0' && **at <= '9') {
        value = value * 10 + (uint64_t)(*(*at)++ - '0');
    }
    if (*at < end && **at == '.') {
        (*at)++;
    }
    return value;
}

static inline void tally_sample(
    struct tally *t, struct tally_counter *c, const uint8_t *at, const uint8_t *end, uint64_t now_ns)
{
    uint64_t round = tally_decimal(&at, end);
    uint64_t sequence = tally_decimal(&at, end);
    uint64_t sent_ns = tally_decimal(&at, end);
    uint64_t us = now_ns > sent_ns ? (now_ns - sent_ns) / 1000 : 0;
    t->disorder += round != t->round || sequence != c->next ? 1 : 0;
    c->next = sequence + 1;
    latency_add(&t->latency, us);
    if (sequence < t->expected && us > t->slowest[sequence]) {
        t->slowest[sequence] = us;
    }
}

/* Counts the markers of one message; a server may have joined several events in it. False: it carries none.
 */
static inline bool tally_message(struct tally *t, struct tally_counter *c, bool sampled,
    const uint8_t *payload, size_t length, uint64_t now_ns)
{
    const uint8_t *end = payload + length;
    const uint8_t *mark = memchr(payload, TALLY_MARKER, length);
    bool found = mark != NULL;
    for (; mark != NULL; mark = memchr(mark, TALLY_MARKER, (size_t)(end - mark))) {
        mark++;
        t->deliveries++;
        t->done += ++c->count == t->expected ? 1 : 0;
        if (sampled) {
            tally_sample(t, c, mark, end, now_ns);
        }
    }
    return found;
}

static inline void tally_finish(struct tally *t)
{
    for (uint64_t i = 0; i < t->expected; i++) {
        latency_add(&t->completion, t->slowest[i]);
    }
}
