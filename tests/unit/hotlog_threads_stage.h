/* A log for threads, and its one writer, on a ring so small that eviction and replacement never rest.
   Everything about an entry follows from its sequence number, so that whoever reads it knows what must be
   there. */
#pragma once

#include "unit.h"

#include "causeway/buffer.h"

#include <stdatomic.h>

enum {
    ENTRIES = 40000,
    ROUNDS_MAX = 20,
    ROOMS = 6,
    PARTITIONS = 8,
    READERS = 3,
    FANOUTS = 2,
    SESSIONS = 5, /* of each fan-out */
    FRAME_MIN = 12,
};

uint32_t next_random(uint32_t *seed);

/* Bits; none for some. */
uint32_t rooms_of(uint64_t sequence);

/* Small frames, of which the log holds hundreds; or so large ones that it holds two or three. */
extern bool frames_are_large;

uint32_t size_of(uint64_t sequence);

/* They come one after the other. */
uint32_t partition_of(uint64_t sequence);

/* The frame is that of this entry, whole. */
bool is_frame(const char *frame, uint64_t sequence);

struct stage {
    struct rooms *rooms;
    struct hotlog *log;
    uint32_t numbers[ROOMS];
    atomic_bool done;
    _Atomic(const char *) fault; /* the first one */
    atomic_uint evictions;       /* of entries that a reader had not seen */
};

/* cmocka's own assertions belong to the main thread. */
#define EXPECT(stage, condition)                                                                             \
    do {                                                                                                     \
        const char *none = NULL;                                                                             \
        if (!(condition)) {                                                                                  \
            atomic_compare_exchange_strong(&(stage)->fault, &none, #condition);                              \
            return false;                                                                                    \
        }                                                                                                    \
    } while (0)

struct slice room_name(char text[24], const char *kind, uint64_t number);
void open_stage(struct stage *s, unsigned readers);
void close_stage(struct stage *s);

/* Rooms of few entries come and go, so that numbers are given again all the time. */
uint64_t passing_room(uint64_t sequence);

/* In phases: with backpressure, so that readers keep up, and without, so that they lose their place. */
bool is_patient(uint64_t sequence);

/* The thread of the writer; its argument is the stage. */
void *write_all(void *argument);
