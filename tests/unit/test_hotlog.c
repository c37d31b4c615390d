/* The log on one thread, against a model that forgets nothing. */
#include "unit.h"

#include "causeway/buffer.h"
#include "causeway/hotlog.h"

#include <stdio.h>
#include <stdlib.h>

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

static uint32_t next_random(struct fixture *x)
{
    x->seed ^= x->seed << 13;
    x->seed ^= x->seed >> 17;
    x->seed ^= x->seed << 5;
    return x->seed;
}

static void open_log(struct fixture *x, size_t bytes, uint32_t entries)
{
    *x = (struct fixture){.rooms = rooms_create(), .seed = 4711};
    x->log = hotlog_create(&(struct hotlog_settings){bytes, entries, 2}, x->rooms);
    x->reader = hotlog_reader_create(x->log);
    x->entries = calloc(MODEL_MAX, sizeof *x->entries);
}

static void close_log(struct fixture *x)
{
    hotlog_destroy(x->log);
    hotlog_destroy(NULL);
    rooms_destroy(x->rooms);
    free(x->entries);
}

static uint32_t hold(struct fixture *x, unsigned number)
{
    char text[32];
    int size = snprintf(text, sizeof text, "room-%u", number);
    return rooms_hold(x->rooms, 0, (struct slice){text, (size_t)size});
}

static char frame_byte(uint64_t sequence, size_t at)
{
    return (char)((sequence * 2654435761u + at * 131) >> 3);
}

/* Appends the entry, whose rooms are held already. */
static uint64_t append(struct fixture *x, const struct model_entry *e)
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

static void append_to(struct fixture *x, unsigned room, size_t size)
{
    append(x, &(struct model_entry){.rooms = {hold(x, room)}, .room_count = 1, .size = size});
}

static void publish(struct fixture *x)
{
    hotlog_publish(x->log);
    x->published = x->count;
    assert_int_equal(hotlog_head(x->log), x->count);
}

static void assert_entry(const struct fixture *x, uint64_t sequence)
{
    const struct model_entry *m = &x->entries[sequence];
    struct hotlog_entry e = hotlog_get(x->log, sequence);
    assert_int_equal(e.frame_size, m->size);
    assert_int_equal(e.partition, m->partition);
    assert_int_equal(e.offset, m->offset);
    assert_int_equal(e.head_size, m->head_size);
    assert_int_equal(e.tail_size, m->tail_size);
    assert_int_equal(e.room_count, m->room_count);
    assert_int_equal(e.except_count, m->except_count);
    assert_int_equal(e.ephemeral, m->ephemeral);
    assert_memory_equal(e.rooms, m->rooms, (m->room_count + m->except_count) * sizeof e.rooms[0]);
    for (size_t i = 0; i < m->size; i++)
        if (e.frame[i] != frame_byte(sequence, i))
            fail_msg("byte %zu of frame %llu", i, (unsigned long long)sequence);
}

static bool is_in(const struct model_entry *e, uint32_t room)
{
    for (size_t i = 0; i < e->room_count; i++)
        if (e->rooms[i] == room)
            return true;
    return false;
}

/* The room's run from `from` is what the model says. Pinned. */
static void assert_run(const struct fixture *x, uint32_t room, uint64_t from, uint64_t head)
{
    struct hotlog_run run = hotlog_find(x->log, room, from, head);
    size_t found = 0;
    for (uint64_t s = from; s < head; s++) {
        if (!is_in(&x->entries[s], room))
            continue;
        assert_true(found < run.count);
        assert_int_equal(run.at[found++], s);
    }
    assert_int_equal(found, run.count);
}

/* Everything that the log says it holds is there; returns the tail. */
static uint64_t assert_held(struct fixture *x)
{
    uint64_t tail = hotlog_pin(x->reader), head = hotlog_head(x->log);
    assert_true(tail <= head);
    assert_int_equal(head, x->published);
    for (uint64_t s = tail; s < head; s++)
        assert_entry(x, s);
    hotlog_unpin(x->reader);
    return tail;
}

static void an_entry_is_read_back_as_it_was_written(void **state)
{
    (void)state;
    struct fixture x;
    open_log(&x, ARENA, 16);
    struct model_entry e = {.rooms = {hold(&x, 1), hold(&x, 2), hold(&x, 3)},
        .room_count = 2,
        .except_count = 1,
        .partition = 3,
        .offset = 107,
        .head_size = 4,
        .tail_size = 13,
        .size = 500,
        .ephemeral = true};
    append(&x, &e);
    append(&x, &(struct model_entry){.size = 1, .offset = -1});
    publish(&x);
    assert_int_equal(assert_held(&x), 0);
    hotlog_pin(x.reader);
    assert_int_equal(hotlog_find(x.log, e.rooms[0], 0, 2).count, 1);
    assert_int_equal(hotlog_find(x.log, e.rooms[1], 0, 2).count, 1);
    assert_int_equal(hotlog_find(x.log, e.rooms[2], 0, 2).count, 0); /* an exception is not an audience */
    assert_int_equal(hotlog_find(x.log, 999999, 0, 2).count, 0);
    hotlog_unpin(x.reader);
    close_log(&x);
}

static void nothing_is_visible_before_it_is_published(void **state)
{
    (void)state;
    struct fixture x;
    open_log(&x, ARENA, 16);
    append_to(&x, 1, 10);
    publish(&x);
    append_to(&x, 1, 10);
    append_to(&x, 1, 10);
    assert_int_equal(hotlog_head(x.log), 1);
    hotlog_pin(x.reader);
    uint32_t room = x.entries[0].rooms[0];
    assert_run(&x, room, 0, 1);
    assert_run(&x, room, 1, 1);
    assert_int_equal(hotlog_room_end(x.log, room), 3); /* may tell of more than can be read */
    hotlog_unpin(x.reader);
    publish(&x);
    hotlog_pin(x.reader);
    for (uint64_t from = 0; from <= 3; from++)
        for (uint64_t head = from; head <= 3; head++)
            assert_run(&x, room, from, head);
    hotlog_unpin(x.reader);
    close_log(&x);
}

static void the_oldest_make_room_when_the_slots_are_full(void **state)
{
    (void)state;
    struct fixture x;
    open_log(&x, ARENA, 8);
    for (unsigned i = 0; i < 100; i++) {
        append_to(&x, i % 3, 10);
        publish(&x);
        assert_int_equal(assert_held(&x), i < 8 ? 0 : i - 7);
    }
    close_log(&x);
}

static void the_oldest_make_room_when_the_bytes_are_full(void **state)
{
    (void)state;
    struct fixture x;
    open_log(&x, 4096, 1024);
    size_t held = 0;
    uint64_t oldest = 0;
    for (unsigned i = 0; i < 400; i++) {
        size_t size = i % 7 == 0 ? 2048 : 1 + next_random(&x) % 700; /* half of the arena is the largest */
        append_to(&x, 1, size);
        publish(&x);
        for (held += size; held > 4096; oldest++)
            held -= x.entries[oldest].size;
        assert_int_equal(assert_held(&x), oldest);
        assert_int_equal(hotlog_bytes(x.log), held);
    }
    close_log(&x);
}

static void no_frame_is_split_where_the_arena_starts_over(void **state)
{
    (void)state;
    struct fixture x;
    open_log(&x, 4096, 64);
    for (unsigned i = 0; i < 2000;
         i++) { /* 577 shares no factor with 4096: the seam falls on every byte of a frame */
        append_to(&x, 1, 577);
        publish(&x);
        assert_held(&x);
    }
    close_log(&x);
}

static void neighbours_are_one_piece_of_memory(void **state)
{
    (void)state;
    struct fixture x;
    open_log(&x, 4096, 64);
    unsigned apart = 0;
    for (unsigned i = 0; i < 40; i++) {
        append_to(&x, 1, 100);
        publish(&x);
    }
    for (uint64_t s = hotlog_pin(x.reader); s + 1 < x.count; s++)
        apart += hotlog_get(x.log, s).frame + 100 != hotlog_get(x.log, s + 1).frame;
    hotlog_unpin(x.reader);
    assert_true(apart <= 1);
    close_log(&x);
}

static void entries_for_very_many_rooms_make_room_too(void **state)
{
    (void)state;
    struct fixture x;
    open_log(&x, ARENA, 8);
    static uint32_t rooms[HOTLOG_ROOMS_MAX];
    for (unsigned i = 0; i < 40; i++) {
        size_t count = i % 5 == 0 ? HOTLOG_ROOMS_MAX : 1 + next_random(&x) % 9000;
        for (size_t j = 0; j < count; j++)
            rooms[j] = hold(&x, i % 2 * 3 + (unsigned)j);
        size_t except = count / 3;
        memset(hotlog_reserve(x.log, 10), (int)i, 10);
        hotlog_append(x.log, &(struct hotlog_append){.offset = i,
                                 .rooms = rooms,
                                 .room_count = count - except,
                                 .except = rooms + count - except,
                                 .except_count = except});
        hotlog_publish(x.log);
        hotlog_pin(x.reader);
        struct hotlog_entry e = hotlog_get(x.log, i);
        assert_int_equal(e.room_count + e.except_count, count);
        assert_int_equal(e.except_count, except);
        assert_memory_equal(e.rooms, rooms, count * sizeof rooms[0]);
        hotlog_unpin(x.reader);
    }
    close_log(&x);
}

static void a_batch_larger_than_the_log_keeps_its_end(void **state)
{
    (void)state;
    struct fixture x;
    open_log(&x, 4096, 16);
    for (unsigned i = 0; i < 100; i++) {
        append_to(&x, i % 2, i % 10 == 0 ? 2000 : 30);
        uint64_t tail = hotlog_pin(x.reader), head = hotlog_head(x.log);
        assert_true(tail <= head);
        assert_true(head <= x.count);
        for (uint64_t s = tail; s < head; s++)
            assert_entry(&x, s);
        hotlog_unpin(x.reader);
    }
    publish(&x);
    assert_true(assert_held(&x) >= 84);
    close_log(&x);
}

static void rooms_are_let_go_with_their_last_entry(void **state)
{
    (void)state;
    struct fixture x;
    open_log(&x, ARENA, 8);
    for (unsigned i = 0; i < 200; i++) {
        append(&x,
            &(struct model_entry){
                .rooms = {hold(&x, i), hold(&x, 7000 + i)}, .room_count = 1, .except_count = 1, .size = 5});
        publish(&x);
        assert_int_equal(rooms_count(x.rooms), 2 * (i < 8 ? i + 1 : 8));
        hotlog_pin(x.reader); /* a number that was given again finds nothing of the room before */
        assert_run(&x, x.entries[i].rooms[0], i < 7 ? 0 : i - 7, i + 1);
        hotlog_unpin(x.reader);
    }
    close_log(&x);
}

static void a_room_of_somebody_else_outlives_its_entries(void **state)
{
    (void)state;
    struct fixture x;
    open_log(&x, ARENA, 8);
    uint32_t room = hold(&x, 5);
    assert_int_equal(hotlog_room_end(x.log, room), 0);
    append_to(&x, 5, 10);
    publish(&x);
    assert_int_equal(hotlog_room_end(x.log, room), 1);
    for (unsigned i = 0; i < 20; i++)
        append_to(&x, 6, 10);
    publish(&x);
    uint64_t tail = hotlog_pin(x.reader);
    assert_run(&x, room, tail, x.count);
    hotlog_unpin(x.reader);
    append_to(&x, 5, 10);
    publish(&x);
    tail = hotlog_pin(x.reader);
    assert_run(&x, room, tail, x.count);
    assert_int_equal(hotlog_find(x.log, room, tail, x.count).count, 1);
    assert_int_equal(hotlog_room_end(x.log, room), x.count);
    hotlog_unpin(x.reader);
    close_log(&x);
}

static void append_random(struct fixture *x, unsigned rooms)
{
    struct model_entry e = {.size = 1 + next_random(x) % (next_random(x) % 20 ? 90 : 3000)};
    size_t count = next_random(x) % (ENTRY_ROOMS + 1);
    for (size_t i = 0; i < count; i++) {
        uint32_t room = hold(x, next_random(x) % rooms);
        bool twice = false;
        for (size_t j = 0; j < i; j++)
            twice |= e.rooms[j] == room;
        if (twice) {
            rooms_release(x->rooms, room);
            count = i;
            break;
        }
        e.rooms[i] = room;
    }
    e.except_count = count ? next_random(x) % (count + 1) / 2 : 0;
    e.room_count = count - e.except_count;
    e.ephemeral = next_random(x) % 5 == 0;
    e.offset = (int64_t)x->count;
    e.head_size = (uint16_t)next_random(x);
    e.tail_size = (uint16_t)next_random(x);
    append(x, &e);
}

static void runs_agree_with_a_model_through_thousands_of_evictions(void **state)
{
    (void)state;
    static const uint32_t slots[] = {8, 64, 1024};
    for (size_t kind = 0; kind < 3; kind++) {
        struct fixture x;
        open_log(&x, ARENA, slots[kind]);
        unsigned rooms = kind == 1 ? 3 : 40;
        uint32_t watched[8];
        for (unsigned i = 0; i < 8; i++)
            watched[i] = hold(&x, i); /* held, so that the numbers stay */
        for (unsigned round = 0; round < 1200; round++) {
            for (unsigned batch = next_random(&x) % 12; batch-- > 0;)
                append_random(&x, rooms);
            publish(&x);
            uint64_t tail = round % 16 ? hotlog_pin(x.reader) : (assert_held(&x), hotlog_pin(x.reader));
            for (size_t i = 0; i < 8; i++) {
                uint64_t from = tail + next_random(&x) % (x.count - tail + 1);
                uint64_t head = from + next_random(&x) % (x.count - from + 1);
                assert_run(&x, watched[i], tail, x.count);
                assert_run(&x, watched[i], from, head);
            }
            hotlog_unpin(x.reader);
        }
        close_log(&x);
    }
}

/* --- positions and places in Kafka --- */

enum { PARTITIONS = 5 };

static void nothing_is_known_of_partitions_that_have_not_begun(void **state)
{
    (void)state;
    struct fixture x;
    open_log(&x, ARENA, 8);
    int64_t next[3] = {7, 7, 7};
    assert_int_equal(hotlog_place_count(x.log), 0);
    assert_int_equal(hotlog_place_before(x.log, 0, next, 3), 0);
    assert_true(next[0] == 0 && next[1] == 0 && next[2] == 0);
    assert_int_equal(hotlog_enter(x.log, next, 3), 0);
    next[2] = 9; /* it may still begin before this: nothing is beyond it yet */
    assert_int_equal(hotlog_beyond(x.log, next, 3), HOTLOG_NOWHERE);
    next[2] = 0;
    assert_int_equal(hotlog_beyond(x.log, next, 3), 0);
    hotlog_advance(x.log, 0, 50);
    hotlog_advance(x.log, 1, 60);
    assert_int_equal(hotlog_place_count(x.log), 2);
    hotlog_place_before(x.log, 0, next, 3);
    assert_true(next[0] == 50 && next[1] == 60 && next[2] == 0);
    assert_int_equal(hotlog_enter(x.log, (int64_t[]){50, 60}, 2), 0);
    assert_int_equal(hotlog_enter(x.log, (int64_t[]){50, 59}, 2), HOTLOG_NOWHERE); /* it begins later */
    assert_int_equal(hotlog_enter(x.log, (int64_t[]){50}, 1), 0); /* not begun for a short vector */
    close_log(&x);
}

static void places_are_exact_where_every_record_is_a_point(void **state)
{
    (void)state;
    struct fixture x;
    open_log(&x, ARENA, 8); /* so few slots that every record is a point */
    int64_t next[1];
    hotlog_advance(x.log, 0, 10);
    for (int64_t offset = 10; offset < 40; offset += 2) {
        append(
            &x, &(struct model_entry){.rooms = {hold(&x, 1)}, .room_count = 1, .size = 9, .offset = offset});
        hotlog_advance(x.log, 0, offset + 1);
    }
    publish(&x);
    assert_int_equal(hotlog_pin(x.reader), 7);
    hotlog_unpin(x.reader);
    for (uint64_t position = 0; position <= 15; position++) { /* evicted or not */
        int64_t place = position == 0 ? 10 : 9 + 2 * (int64_t)position;
        assert_int_equal(hotlog_place_before(x.log, position, next, 1), position);
        assert_int_equal(next[0], place);
        hotlog_place_after(x.log, position, next, 1);
        assert_int_equal(next[0], place);
        assert_int_equal(hotlog_enter(x.log, &place, 1), position);
        assert_int_equal(hotlog_beyond(x.log, &place, 1), position);
    }
    next[0] = 9;
    assert_int_equal(hotlog_enter(x.log, next, 1), HOTLOG_NOWHERE);
    assert_int_equal(hotlog_beyond(x.log, next, 1), 0);
    next[0] = 1000;
    assert_int_equal(hotlog_enter(x.log, next, 1), 15);
    assert_int_equal(hotlog_beyond(x.log, next, 1), HOTLOG_NOWHERE);
    close_log(&x);
}

static void nothing_is_beyond_what_is_not_published(void **state)
{
    (void)state;
    struct fixture x;
    open_log(&x, ARENA, 8);
    hotlog_advance(x.log, 0, 0);
    append(&x, &(struct model_entry){.size = 9});
    hotlog_advance(x.log, 0, 1);
    const int64_t next[] = {1};
    assert_int_equal(hotlog_beyond(x.log, next, 1), HOTLOG_NOWHERE);
    publish(&x);
    assert_int_equal(hotlog_beyond(x.log, next, 1), 1);
    close_log(&x);
}

static void a_partition_that_came_later_began_at_its_first_offset(void **state)
{
    (void)state;
    struct fixture x;
    open_log(&x, ARENA, 8);
    for (int64_t i = 0; i < 30; i++) {
        uint32_t partition = (uint32_t)i / 10;
        if (i % 10 == 0)
            hotlog_advance(x.log, partition, 1000 + i);
        append(&x, &(struct model_entry){.size = 9, .offset = 1000 + i, .partition = partition});
        hotlog_advance(x.log, partition, 1001 + i);
    }
    publish(&x);
    int64_t next[3];
    assert_int_equal(hotlog_place_before(x.log, 5, next, 3), 5);
    assert_true(next[0] == 1005 && next[1] == 1010 && next[2] == 1020);
    assert_int_equal(hotlog_place_before(x.log, 22, next, 3), 22);
    assert_true(next[0] == 1010 && next[1] == 1020 && next[2] == 1022);
    assert_int_equal(hotlog_enter(x.log, (int64_t[]){1005, 1010}, 2), 5);
    assert_int_equal(hotlog_enter(x.log, (int64_t[]){1005, 1010, 1020}, 3), 5);
    assert_int_equal(hotlog_enter(x.log, (int64_t[]){1005, 1010, 1019}, 3), HOTLOG_NOWHERE);
    close_log(&x);
}

/* How many sequences lie between two points of this log at most; a record may add some more. */
struct coarseness {
    uint64_t stride;
    bool recent; /* no point has been thinned out yet */
};

/* What a place must be, by definition: it parts the entries before a position from those at or after it. */
static void assert_places_of(struct fixture *x, uint64_t position, struct coarseness c)
{
    int64_t before[PARTITIONS], after[PARTITIONS];
    uint64_t at = hotlog_place_before(x->log, position, before, PARTITIONS);
    hotlog_place_after(x->log, position, after, PARTITIONS);
    assert_true(at <= position);
    if (c.recent && position - at > c.stride)
        fail_msg("position %llu is only known as %llu", (unsigned long long)position, (unsigned long long)at);
    for (uint64_t s = 0; s < x->count; s++) {
        const struct model_entry *e = &x->entries[s];
        assert_int_equal(e->offset < before[e->partition], s < at);
        assert_true(s >= position || e->offset < after[e->partition]);
    }
    for (uint32_t i = 0; i < PARTITIONS; i++)
        assert_true(before[i] <= after[i]);
    uint64_t entered = hotlog_enter(x->log, before, PARTITIONS);
    assert_true(entered != HOTLOG_NOWHERE && entered >= at); /* there and back */
}

/* Entering for a place, and leaving it behind. */
static void assert_ways_of(struct fixture *x, const int64_t next[PARTITIONS], struct coarseness c)
{
    uint64_t entered = hotlog_enter(x->log, next, PARTITIONS);
    uint64_t beyond = hotlog_beyond(x->log, next, PARTITIONS);
    uint64_t first_to_come = x->count, past_the_last_had = 0;
    for (uint64_t s = 0; s < x->count; s++) {
        bool had = x->entries[s].offset < next[x->entries[s].partition];
        if (!had && first_to_come == x->count)
            first_to_come = s;
        if (had)
            past_the_last_had = s + 1;
    }
    assert_true(entered != HOTLOG_NOWHERE && entered <= first_to_come);
    if (c.recent)
        assert_true(first_to_come - entered <= c.stride);
    assert_true(beyond == HOTLOG_NOWHERE || (beyond >= past_the_last_had && beyond <= hotlog_head(x->log)));
    if (c.recent && beyond != HOTLOG_NOWHERE)
        assert_true(beyond - past_the_last_had <= c.stride);
}

/* One record of a random partition: none to three entries. Partitions come one after the other. */
static void append_record(struct fixture *x, int64_t next[PARTITIONS], size_t frame_max)
{
    unsigned known = 1 + (unsigned)(x->count / 200);
    known = known < PARTITIONS ? known : PARTITIONS;
    for (uint32_t p = hotlog_place_count(x->log); p < known; p++)
        hotlog_advance(x->log, p, next[p]);
    uint32_t partition = next_random(x) % known;
    int64_t offset = next[partition] + next_random(x) % 3; /* offsets are sparse */
    for (unsigned entries = next_random(x) % 4; entries-- > 0;)
        append(x, &(struct model_entry){.rooms = {hold(x, 1)},
                      .room_count = 1,
                      .size = 1 + next_random(x) % frame_max,
                      .partition = partition,
                      .offset = offset});
    next[partition] = offset + 1;
    hotlog_advance(x->log, partition, offset + 1);
}

/* A place that some other log may have come to: not far from where this one stood at some time. */
static void draw_place(struct fixture *x, int64_t place[PARTITIONS])
{
    hotlog_place_after(x->log, next_random(x) % (x->count + 1), place, PARTITIONS);
    for (unsigned i = 0; i < PARTITIONS; i++)
        if (place[i] > 0)
            place[i] += next_random(x) % 12;
}

static void check_places(size_t bytes, uint32_t slots, size_t frame_max, uint64_t stride, unsigned batches)
{
    struct fixture x;
    int64_t next[PARTITIONS] = {100, 5000, 0, 7, 123456789012}, place[PARTITIONS];
    open_log(&x, bytes, slots);
    unsigned beyond = 0;
    for (unsigned batch = 0; batch < batches; batch++) {
        for (unsigned records = 1 + next_random(&x) % 20; records-- > 0;)
            append_record(&x, next, frame_max);
        publish(&x);
        for (unsigned ahead = next_random(&x) % 5; ahead-- > 0;) { /* appended, but not published */
            append_record(&x, next, frame_max);
            x.published = hotlog_head(x.log);
        }
        struct coarseness c = {stride, x.count < 1000};
        for (unsigned i = 0; i < 4; i++)
            assert_places_of(&x, i ? next_random(&x) % (x.published + 1) : x.published, c);
        for (unsigned i = 0; i < 3; i++) {
            hotlog_place_before(x.log, next_random(&x) % (x.count + 1), place, PARTITIONS);
            assert_ways_of(&x, place, c);
            draw_place(&x, place);
            c.recent = false; /* an arbitrary place need not be near any point */
            assert_ways_of(&x, place, c);
            beyond += hotlog_beyond(x.log, place, PARTITIONS) != HOTLOG_NOWHERE;
            c.recent = x.count < 1000;
        }
    }
    assert_true(beyond > batches / 2);
    close_log(&x);
}

static void places_part_what_was_dealt_with_from_what_is_to_come(void **state)
{
    (void)state;
    check_places(1 << 20, 8, 50, 3, 150);
    check_places(1 << 20, 64, 50, 3, 150);
    check_places(1 << 20, 1024, 50, 7, 200);
    check_places(ARENA, 8192, 50, 7, 200); /* bytes run out before slots: points are taken by bytes too */
    check_places(ARENA, 65536, 2000, 4, 100);
    check_places(4096, 8, 2048, 3, 100); /* batches larger than the log are published amidst a record */
}

static void a_very_old_position_is_known_coarsely_but_known(void **state)
{
    (void)state;
    struct fixture x;
    int64_t next[PARTITIONS] = {0}, place[PARTITIONS];
    open_log(&x, ARENA, 8);
    while (x.count < 12000) /* more points than are kept: the past is thinned out */
        append_record(&x, next, 20);
    publish(&x);
    struct coarseness c = {0, false};
    for (uint64_t position = 0; position < x.count; position += 997) {
        assert_places_of(&x, position, c);
        hotlog_place_before(x.log, position, place, PARTITIONS);
        assert_ways_of(&x, place, c);
    }
    assert_int_equal(hotlog_place_before(x.log, 0, place, PARTITIONS), 0); /* the start is never forgotten, */
    assert_int_equal(place[0], 0);
    uint64_t tail = hotlog_tail(x.log); /* and the younger past is exact */
    assert_in_range(hotlog_place_before(x.log, tail - 100, place, PARTITIONS), tail - 103, tail - 100);
    close_log(&x);
}

/* --- windows --- */

static void what_is_evicted_at_once_leaves_nobody_at_the_head(void **state)
{
    (void)state;
    struct fixture x;
    open_log(&x, ARENA, 16);
    for (unsigned i = 0; i < 10; i++)
        append_to(&x, 1, 100);
    publish(&x);
    uint64_t head = hotlog_head(x.log);
    hotlog_end(x.log, head, 12345);
    uint64_t next = 0;
    assert_true(hotlog_ended(x.log, head, &next));
    assert_int_equal(next, 12345);
    assert_false(hotlog_ended(x.log, head - 1, &next));
    hotlog_evict_all(x.log);
    assert_false(hotlog_ended(x.log, head, NULL)); /* what comes next is another stretch */
    assert_true(hotlog_tail(x.log) > head);
    assert_int_equal(hotlog_head(x.log), hotlog_tail(x.log));
    assert_int_equal(hotlog_next(x.log), hotlog_tail(x.log));
    assert_int_equal(rooms_count(x.rooms), 0);
    hotlog_evict_all(x.log); /* an empty one too */
    assert_true(hotlog_tail(x.log) > head + 1);
    close_log(&x);
}

static void a_window_begins_anew_without_its_past(void **state)
{
    (void)state;
    struct fixture x;
    open_log(&x, ARENA, 8);
    int64_t place[2];
    for (uint64_t round = 0; round < 3; round++) {
        hotlog_restart(x.log);
        assert_int_equal(hotlog_place_count(x.log), 0);
        uint64_t start = hotlog_next(x.log);
        int64_t begin = 5000 - 1000 * (int64_t)round; /* each one further back than the one before */
        hotlog_advance(x.log, 0, begin);
        hotlog_advance(x.log, 1, 7);
        for (int64_t i = 0; i < 20; i++) {
            x.count = hotlog_next(x.log);
            append(&x, &(struct model_entry){.size = 10, .offset = begin + i});
            hotlog_advance(x.log, 0, begin + i + 1);
        }
        hotlog_publish(x.log);
        assert_int_equal(hotlog_place_before(x.log, start, place, 2), start);
        assert_true(place[0] == begin && place[1] == 7);
        assert_int_equal(hotlog_place_before(x.log, start + 5, place, 2), start + 5);
        assert_int_equal(place[0], begin + 5);
        assert_int_equal(hotlog_enter(x.log, (int64_t[]){begin + 3, 7}, 2), start + 3);
        assert_int_equal(hotlog_enter(x.log, (int64_t[]){begin - 1, 7}, 2), HOTLOG_NOWHERE);
        assert_int_equal(hotlog_beyond(x.log, (int64_t[]){begin + 3, 7}, 2), start + 3);
        hotlog_evict_all(x.log);
    }
    close_log(&x);
}

static void walkers_are_counted_over_all_readers(void **state)
{
    (void)state;
    struct fixture x;
    open_log(&x, ARENA, 16);
    struct hotlog_reader *other = hotlog_reader_create(x.log);
    assert_int_equal(hotlog_walkers(x.log), 0);
    hotlog_done_by(x.reader, 0, 3, 1);
    hotlog_done_by(other, UINT64_MAX, 0, 0);
    assert_int_equal(hotlog_walkers(x.log), 3);
    for (unsigned i = 0; i < 4; i++)
        append_to(&x, 1, 10);
    assert_int_equal(hotlog_backlog(x.log), 25); /* who does not walk it is not waited for */
    hotlog_done_by(other, 2, 4, 4);
    hotlog_done_by(x.reader, UINT64_MAX, 0, 0);
    assert_int_equal(hotlog_walkers(x.log), 4);
    assert_int_equal(hotlog_backlog(x.log), 12);
    assert_int_equal(hotlog_fill(x.log, 1), 18);
    assert_int_equal(hotlog_fill(x.log, 4), 0);
    publish(&x);
    close_log(&x);
}

/* --- backlog --- */

static void the_backlog_is_what_the_slowest_reader_has_not_seen(void **state)
{
    (void)state;
    struct fixture x;
    open_log(&x, 4096, 128);
    struct hotlog_reader *other = hotlog_reader_create(x.log);
    assert_int_equal(hotlog_backlog(x.log), 0);
    for (unsigned i = 0; i < 64; i++)
        append_to(&x, 1, 8);
    assert_int_equal(hotlog_backlog(x.log), 50); /* by entries; unpublished ones count */
    publish(&x);
    hotlog_done(x.reader, 64);
    assert_int_equal(hotlog_backlog(x.log), 50);
    hotlog_done(other, 32);
    assert_int_equal(hotlog_backlog(x.log), 25);
    hotlog_done(other, 64);
    assert_int_equal(hotlog_backlog(x.log), 0);
    append_to(&x, 1, 2048);
    assert_int_equal(hotlog_backlog(x.log), 50); /* by bytes */
    publish(&x);
    hotlog_done(x.reader, 65);
    hotlog_done(other, 65);
    assert_int_equal(hotlog_backlog(x.log), 0);
    close_log(&x);
}

static void a_reader_that_lost_its_place_holds_nobody_up(void **state)
{
    (void)state;
    struct fixture x;
    open_log(&x, ARENA, 16);
    for (unsigned i = 0; i < 40; i++) {
        append_to(&x, 1, 8);
        publish(&x);
        assert_int_equal(hotlog_backlog(x.log), i < 16 ? (i + 1) * 100 / 16 : 0);
    }
    struct hotlog_reader *late = hotlog_reader_create(x.log); /* begins at the head */
    assert_int_equal(hotlog_backlog(x.log), 0);
    append_to(&x, 1, 8);
    assert_int_equal(hotlog_backlog(x.log), 100 / 16);
    hotlog_done(late, 41);
    assert_int_equal(hotlog_backlog(x.log), 0);
    close_log(&x);
}

static void a_writer_that_will_not_wait_sheds_what_is_oldest(void **state)
{
    (void)state;
    struct fixture x;
    open_log(&x, ARENA, 1024);
    hotlog_shed(x.log, 50);
    size_t size = ARENA / 32; /* so that the bytes are what fills it */
    for (unsigned i = 0; i < 24; i++)
        append_to(&x, 1, size);
    publish(&x);
    hotlog_shed(x.log, 80);
    assert_int_equal(hotlog_tail(x.log), 0);
    assert_int_equal(hotlog_backlog(x.log), 75);
    hotlog_shed(x.log, 50);
    assert_int_equal(hotlog_tail(x.log), 8);
    assert_int_equal(hotlog_backlog(x.log), 0); /* the reader was before that */
    hotlog_done(x.reader, 8);
    assert_int_equal(hotlog_backlog(x.log), 50);
    hotlog_shed(x.log, 0);
    assert_int_equal(hotlog_tail(x.log), 24);
    close_log(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_entry_is_read_back_as_it_was_written),
        cmocka_unit_test(nothing_is_visible_before_it_is_published),
        cmocka_unit_test(the_oldest_make_room_when_the_slots_are_full),
        cmocka_unit_test(the_oldest_make_room_when_the_bytes_are_full),
        cmocka_unit_test(no_frame_is_split_where_the_arena_starts_over),
        cmocka_unit_test(neighbours_are_one_piece_of_memory),
        cmocka_unit_test(entries_for_very_many_rooms_make_room_too),
        cmocka_unit_test(a_batch_larger_than_the_log_keeps_its_end),
        cmocka_unit_test(rooms_are_let_go_with_their_last_entry),
        cmocka_unit_test(a_room_of_somebody_else_outlives_its_entries),
        cmocka_unit_test(runs_agree_with_a_model_through_thousands_of_evictions),
        cmocka_unit_test(nothing_is_known_of_partitions_that_have_not_begun),
        cmocka_unit_test(places_are_exact_where_every_record_is_a_point),
        cmocka_unit_test(nothing_is_beyond_what_is_not_published),
        cmocka_unit_test(a_partition_that_came_later_began_at_its_first_offset),
        cmocka_unit_test(places_part_what_was_dealt_with_from_what_is_to_come),
        cmocka_unit_test(a_very_old_position_is_known_coarsely_but_known),
        cmocka_unit_test(what_is_evicted_at_once_leaves_nobody_at_the_head),
        cmocka_unit_test(a_window_begins_anew_without_its_past),
        cmocka_unit_test(walkers_are_counted_over_all_readers),
        cmocka_unit_test(the_backlog_is_what_the_slowest_reader_has_not_seen),
        cmocka_unit_test(a_reader_that_lost_its_place_holds_nobody_up),
        cmocka_unit_test(a_writer_that_will_not_wait_sheds_what_is_oldest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
