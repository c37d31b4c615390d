/* One writer and several readers of the bare log at once. */
#include "hotlog_threads_stage.h"

#include "causeway/fanout.h"

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

struct reading {
    struct stage *stage;
    struct hotlog_reader *reader;
    uint64_t position;
    uint32_t seed;
};

static bool check_entry(struct stage *s, uint64_t sequence)
{
    struct hotlog_entry e = hotlog_get(s->log, sequence);
    EXPECT(s, e.frame_size == size_of(sequence));
    EXPECT(s, is_frame(e.frame, sequence));
    EXPECT(s, e.offset == (int64_t)sequence);
    EXPECT(s, e.except_count == 1);
    EXPECT(s, e.room_count == 1 + __builtin_popcount(rooms_of(sequence)));
    EXPECT(s, e.partition == partition_of(sequence));
    for (unsigned i = 0, at = 0; i < ROOMS; i++)
        if (rooms_of(sequence) >> i & 1)
            EXPECT(s, e.rooms[at++] == s->numbers[i]);
    return true;
}

/* Rooms that are held by entries alone keep their names, and are found, while the entries are pinned. */
static bool check_passing(struct stage *s, uint64_t sequence, uint64_t tail, uint64_t head)
{
    char text[24];
    struct hotlog_entry e = hotlog_get(s->log, sequence);
    struct buffer name = {0};
    rooms_name(s->rooms, e.rooms[e.room_count - 1], &name);
    bool named = slice_equal(buffer_slice(&name), room_name(text, "passing", passing_room(sequence)));
    buffer_finish(&name);
    EXPECT(s, named);
    uint64_t first = passing_room(sequence) * 3, last = first + 3;
    first = first < tail ? tail : first;
    last = last > head ? head : last;
    struct hotlog_run run = hotlog_find(s->log, e.rooms[e.room_count - 1], tail, head);
    EXPECT(s, run.count == last - first);
    for (size_t i = 0; i < run.count; i++)
        EXPECT(s, run.at[i] == first + i);
    return true;
}

static bool check_runs(struct stage *s, uint64_t from, uint64_t head)
{
    for (unsigned i = 0; i < ROOMS; i++) {
        struct hotlog_run run = hotlog_find(s->log, s->numbers[i], from, head);
        size_t at = 0;
        for (uint64_t sequence = from; sequence < head; sequence++) {
            if (!(rooms_of(sequence) >> i & 1))
                continue;
            EXPECT(s, at < run.count);
            EXPECT(s, run.at[at++] == sequence);
            EXPECT(s, hotlog_room_end(s->log, s->numbers[i]) > sequence);
        }
        EXPECT(s, at == run.count);
    }
    return true;
}

/* A position that is gone is still known as a place in Kafka: it parts what was read from what was not. */
static bool check_places(struct reading *r, uint64_t tail)
{
    struct stage *s = r->stage;
    int64_t before[PARTITIONS], after[PARTITIONS];
    uint64_t at = hotlog_place_before(s->log, r->position, before, PARTITIONS);
    hotlog_place_after(s->log, r->position, after, PARTITIONS);
    EXPECT(s, at <= r->position);
    for (uint64_t sequence = r->position; sequence < tail; sequence++)
        EXPECT(s, before[partition_of(sequence)] <= (int64_t)sequence);
    for (uint64_t sequence = r->position > 500 ? r->position - 500 : 0; sequence < r->position; sequence++)
        EXPECT(s, after[partition_of(sequence)] > (int64_t)sequence);
    uint64_t entered = hotlog_enter(s->log, before, PARTITIONS);
    EXPECT(s, entered >= at && entered <= ENTRIES);
    EXPECT(s, hotlog_beyond(s->log, after, PARTITIONS) >= r->position);
    atomic_fetch_add(&s->evictions, 1);
    return true;
}

static bool read_some(struct reading *r)
{
    struct stage *s = r->stage;
    uint64_t tail = hotlog_pin(r->reader), head = hotlog_head(s->log);
    EXPECT(s, tail <= head);
    EXPECT(s, head >= r->position);
    if (r->position < tail) {
        if (!check_places(r, tail))
            return false;
        r->position = tail;
    }
    for (uint64_t sequence = r->position; sequence < head; sequence++)
        if (!check_entry(s, sequence) || (sequence % 16 == 0 && !check_passing(s, sequence, tail, head)))
            return false;
    if (!check_runs(s, tail, head))
        return false;
    for (unsigned i = next_random(&r->seed) % 4; i-- > 0;) /* the writer has to wait for a pin */
        sched_yield();
    if (head > tail && !check_entry(s, tail))
        return false;
    hotlog_unpin(r->reader);
    r->position = head;
    hotlog_done(r->reader, head);
    return true;
}

static void *read_all(void *argument)
{
    struct reading *r = argument;
    bool last = false, fine = true;
    while (fine && !last) {
        last = atomic_load(&r->stage->done); /* one more time behind the end */
        fine = read_some(r);
        uint64_t overtaken = r->position + 400;
        while (next_random(&r->seed) % 16 != 0 && !atomic_load(&r->stage->done) &&
               !is_patient(hotlog_head(r->stage->log)) && hotlog_head(r->stage->log) < overtaken)
            usleep(100); /* stays away, now and then long enough to be overtaken */
    }
    if (!fine)
        hotlog_unpin(r->reader);
    return NULL;
}

static unsigned read_while_it_is_written(void)
{
    struct stage s;
    struct reading readings[READERS];
    pthread_t writer, threads[READERS];
    open_stage(&s, READERS);
    for (unsigned i = 0; i < READERS; i++)
        readings[i] = (struct reading){.stage = &s, .reader = hotlog_reader_create(s.log), .seed = i + 1};
    for (unsigned i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_all, &readings[i]), 0);
    assert_int_equal(pthread_create(&writer, NULL, write_all, &s), 0);
    for (unsigned i = 0; i < READERS; i++)
        pthread_join(threads[i], NULL);
    pthread_join(writer, NULL);
    if (atomic_load(&s.fault))
        fail_msg("%s", atomic_load(&s.fault));
    for (unsigned i = 0; i < READERS; i++)
        assert_int_equal(readings[i].position, ENTRIES);
    unsigned evictions = (unsigned)atomic_load(&s.evictions);
    close_stage(&s);
    return evictions;
}

/* Again and again until enough readers were overtaken: how threads take turns is the machine's. */
static void readers_find_every_frame_whole_in_order_and_none_missing(void **state)
{
    (void)state;
    unsigned evictions = 0;
    for (int round = 0; round < ROUNDS_MAX && evictions <= 10; round++)
        evictions += read_while_it_is_written();
    assert_true(evictions > 10);
}

static void what_is_pinned_stays_however_much_the_writer_wants_it(void **state)
{
    (void)state;
    struct stage s;
    pthread_t writer;
    open_stage(&s, 1);
    struct hotlog_reader *reader = hotlog_reader_create(s.log);
    assert_int_equal(pthread_create(&writer, NULL, write_all, &s), 0);
    for (unsigned round = 0; round < 60; round++) {
        uint64_t tail = hotlog_pin(reader), head = hotlog_head(s.log);
        for (unsigned again = 0; again < 6; again++) {
            for (uint64_t sequence = tail; sequence < head; sequence++)
                if (!check_entry(&s, sequence))
                    fail_msg("%s", atomic_load(&s.fault));
            usleep(200); /* time for the writer to do what it must not */
        }
        hotlog_unpin(reader);
        hotlog_done(reader, head);
    }
    while (!atomic_load(&s.done)) {
        hotlog_done(reader, hotlog_head(s.log));
        sched_yield();
    }
    pthread_join(writer, NULL);
    assert_int_equal(hotlog_head(s.log), ENTRIES);
    close_stage(&s);
}

/* Nothing but pins, so that one falls between any two steps of the writer's. */
static void what_a_pin_returns_is_safe_from_that_moment_on(void **state)
{
    (void)state;
    struct stage s;
    pthread_t writer;
    open_stage(&s, 1);
    struct hotlog_reader *reader = hotlog_reader_create(s.log);
    assert_int_equal(pthread_create(&writer, NULL, write_all, &s), 0);
    bool fine = true;
    while (fine && !atomic_load(&s.done)) {
        uint64_t tail = hotlog_pin(reader), head = hotlog_head(s.log);
        for (volatile int pause = 3000; pause > 0;) /* time enough for an append */
            pause = pause - 1;
        fine = tail == head || is_frame(hotlog_get(s.log, tail).frame, tail);
        hotlog_unpin(reader);
        hotlog_done(reader, head);
    }
    atomic_store(&s.done, true);
    pthread_join(writer, NULL);
    assert_true(fine);
    close_stage(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(readers_find_every_frame_whole_in_order_and_none_missing),
        cmocka_unit_test(what_is_pinned_stays_however_much_the_writer_wants_it),
        cmocka_unit_test(what_a_pin_returns_is_safe_from_that_moment_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
