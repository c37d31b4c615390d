#include "hotlog_threads_stage.h"

#include "causeway/fanout.h"

#include <stdio.h>
#include <unistd.h>

uint32_t next_random(uint32_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    *seed ^= *seed << 5;
    return *seed;
}

/* --- what an entry is --- */

static uint32_t mix(uint64_t sequence, uint32_t salt)
{
    uint64_t x = (sequence + 1) * 0x9e3779b97f4a7c15u + salt * 0xbf58476d1ce4e5b9u;
    x ^= x >> 31;
    x *= 0x94d049bb133111ebu;
    return (uint32_t)(x >> 32);
}

uint32_t rooms_of(uint64_t sequence)
{
    return mix(sequence, 1) & mix(sequence, 2) & ((1 << ROOMS) - 1);
}

bool frames_are_large;

uint32_t size_of(uint64_t sequence)
{
    if (frames_are_large)
        return 4000 + mix(sequence, 3) % 4000;
    return FRAME_MIN + mix(sequence, 3) % (mix(sequence, 4) % 50 ? 60 : 1500);
}

uint32_t partition_of(uint64_t sequence)
{
    uint64_t known = 1 + sequence / (ENTRIES / PARTITIONS);
    return (uint32_t)(mix(sequence, 5) % known);
}

static char byte_of(uint64_t sequence, size_t at)
{
    return (char)(sequence * 31 + at * 7 + 3);
}

static size_t step_of(uint32_t size) /* of large frames not every byte counts, for time's sake */
{
    return size < 2000 ? 1 : 61;
}

/* How a frame begins as it stands in the log; one that is written anew begins with a frame's header. */
static uint64_t beginning_of(uint64_t sequence)
{
    return sequence << 8 | 'P';
}

static void write_frame(char *out, uint64_t sequence)
{
    uint32_t size = size_of(sequence);
    uint64_t beginning = beginning_of(sequence);
    memcpy(out, &beginning, 8);
    memcpy(out + 8, &size, 4);
    for (size_t i = FRAME_MIN; i < size; i += step_of(size))
        out[i] = byte_of(sequence, i);
}

bool is_frame(const char *frame, uint64_t sequence)
{
    uint32_t size = size_of(sequence);
    uint64_t beginning = beginning_of(sequence);
    if (memcmp(frame, &beginning, 8) != 0 || memcmp(frame + 8, &size, 4) != 0)
        return false;
    for (size_t i = FRAME_MIN; i < size; i += step_of(size))
        if (frame[i] != byte_of(sequence, i))
            return false;
    return true;
}

/* --- the stage --- */

struct slice room_name(char text[24], const char *kind, uint64_t number)
{
    int size = snprintf(text, 24, "%s-%llu", kind, (unsigned long long)number);
    return (struct slice){text, (size_t)size};
}

void open_stage(struct stage *s, unsigned readers)
{
    char text[24];
    *s = (struct stage){.rooms = rooms_create()};
    s->log = hotlog_create(&(struct hotlog_settings){16384, 256, readers}, s->rooms);
    for (unsigned i = 0; i < ROOMS; i++)
        s->numbers[i] = rooms_hold(s->rooms, 0, room_name(text, "room", i));
}

void close_stage(struct stage *s)
{
    hotlog_destroy(s->log);
    rooms_destroy(s->rooms);
}

uint64_t passing_room(uint64_t sequence)
{
    return sequence / 3;
}

static void append(struct stage *s, uint64_t sequence)
{
    uint32_t rooms[ROOMS + 2], count = 0;
    char text[24];
    for (unsigned i = 0; i < ROOMS; i++)
        if (rooms_of(sequence) >> i & 1)
            rooms[count++] = rooms_hold(s->rooms, 0, room_name(text, "room", i));
    rooms[count] = rooms_hold(s->rooms, 0, room_name(text, "passing", passing_room(sequence)));
    rooms[count + 1] = rooms_hold(s->rooms, 0, room_name(text, "except", sequence));
    uint32_t partition = partition_of(sequence);
    for (uint32_t p = hotlog_place_count(s->log); p <= partition; p++)
        hotlog_advance(s->log, p, (int64_t)sequence);
    char *frame = hotlog_reserve(s->log, size_of(sequence));
    write_frame(frame, sequence);
    hotlog_append(s->log, &(struct hotlog_append){.partition = partition,
                              .offset = (int64_t)sequence,
                              .rooms = rooms,
                              .room_count = count + 1,
                              .except = rooms + count + 1,
                              .except_count = 1});
    hotlog_advance(s->log, partition, (int64_t)sequence + 1);
}

bool is_patient(uint64_t sequence)
{
    return sequence / 1000 % 2 == 0;
}

void *write_all(void *argument)
{
    struct stage *s = argument;
    uint32_t seed = 11;
    for (uint64_t sequence = 0; sequence < ENTRIES && !atomic_load(&s->fault);) {
        for (unsigned batch = 1 + next_random(&seed) % 40; batch-- > 0 && sequence < ENTRIES;)
            append(s, sequence++);
        hotlog_publish(s->log);
        for (int i = 0; i < 200 && is_patient(sequence) && hotlog_backlog(s->log) > 40; i++)
            usleep(20);
    }
    atomic_store(&s->done, true);
    return NULL;
}
