#include "hotlog_stage.h"

#include "causeway/hotlog.h"

#include <stdio.h>
#include <stdlib.h>

uint32_t next_random(struct fixture *x)
{
    x->seed ^= x->seed << 13;
    x->seed ^= x->seed >> 17;
    x->seed ^= x->seed << 5;
    return x->seed;
}

void open_log(struct fixture *x, size_t bytes, uint32_t entries)
{
    *x = (struct fixture){.rooms = rooms_create(), .seed = 4711};
    x->log = hotlog_create(&(struct hotlog_settings){bytes, entries, 2}, x->rooms);
    x->reader = hotlog_reader_create(x->log);
    x->entries = calloc(MODEL_MAX, sizeof *x->entries);
}

void close_log(struct fixture *x)
{
    hotlog_destroy(x->log);
    hotlog_destroy(NULL);
    rooms_destroy(x->rooms);
    free(x->entries);
}

uint32_t hold(struct fixture *x, unsigned number)
{
    char text[32];
    int size = snprintf(text, sizeof text, "room-%u", number);
    return rooms_hold(x->rooms, 0, (struct slice){text, (size_t)size});
}

char frame_byte(uint64_t sequence, size_t at)
{
    return (char)((sequence * 2654435761u + at * 131) >> 3);
}

uint64_t append(struct fixture *x, const struct model_entry *e)
{
    char *frame = hotlog_reserve(x->log, e->size);
    for (size_t i = 0; i < e->size; i++)
        frame[i] = frame_byte(x->count, i);
    uint64_t sequence = hotlog_append(x->log, &(struct hotlog_append){
                                                  .partition = e->partition,
                                                  .offset = e->offset,
                                                  .head_size = e->head_size,
                                                  .tail_size = e->tail_size,
                                                  .rooms = e->rooms,
                                                  .room_count = e->room_count,
                                                  .except = e->rooms + e->room_count,
                                                  .except_count = e->except_count,
                                                  .ephemeral = e->ephemeral,
                                              });
    assert_int_equal(sequence, x->count);
    assert_true(x->count < MODEL_MAX);
    x->entries[x->count++] = *e;
    return sequence;
}

void append_to(struct fixture *x, unsigned room, size_t size)
{
    append(x, &(struct model_entry){.rooms = {hold(x, room)}, .room_count = 1, .size = size});
}

void publish(struct fixture *x)
{
    hotlog_publish(x->log);
    x->published = x->count;
    assert_int_equal(hotlog_head(x->log), x->count);
}
