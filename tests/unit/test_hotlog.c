/* Entries and rooms of the log against a model: in, out, and evicted. */
#include "hotlog_stage.h"

#include "causeway/hotlog.h"

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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
