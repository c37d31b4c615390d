/* Positions of the log, and places in Kafka. */
#include "hotlog_stage.h"

#include "causeway/hotlog.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_known_of_partitions_that_have_not_begun),
        cmocka_unit_test(places_are_exact_where_every_record_is_a_point),
        cmocka_unit_test(nothing_is_beyond_what_is_not_published),
        cmocka_unit_test(a_partition_that_came_later_began_at_its_first_offset),
        cmocka_unit_test(places_part_what_was_dealt_with_from_what_is_to_come),
        cmocka_unit_test(a_very_old_position_is_known_coarsely_but_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
