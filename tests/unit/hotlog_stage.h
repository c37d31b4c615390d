/* A log, and a model that knows every entry it was given. */
#pragma once

#include "unit.h"

enum { ENTRY_ROOMS = 8, MODEL_MAX = 20000, ARENA = 16384 };

struct model_entry {
    uint32_t rooms[ENTRY_ROOMS];
    size_t room_count, except_count;
    uint32_t partition;
    int64_t offset;
    size_t size;
    uint16_t head_size, tail_size;
    bool ephemeral;
};

struct fixture {
    struct rooms *rooms;
    struct hotlog *log;
    struct hotlog_reader *reader;
    struct model_entry *entries; /* by sequence */
    uint64_t count, published;
    uint32_t seed;
};

uint32_t next_random(struct fixture *x);
void open_log(struct fixture *x, size_t bytes, uint32_t entries);
void close_log(struct fixture *x);

/* The number of the room of that name, held once more. */
uint32_t hold(struct fixture *x, unsigned number);

/* What the frame of that entry has there. */
char frame_byte(uint64_t sequence, size_t at);

/* Appends the entry, whose rooms are held already. */
uint64_t append(struct fixture *x, const struct model_entry *e);
void append_to(struct fixture *x, unsigned room, size_t size);
void publish(struct fixture *x);
