/* One writer and several readers at once, on a ring so small that eviction and replacement never rest.
   Everything about an entry follows from its sequence number, so that whoever reads it knows what must be
   there. */
#include "unit.h"

#include "causeway/buffer.h"
#include "causeway/fanout.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    ENTRIES = 40000,
    ROOMS = 6,
    PARTITIONS = 8,
    READERS = 3,
    FANOUTS = 2,
    SESSIONS = 5, /* of each fan-out */
    FRAME_MIN = 12,
};

static uint32_t next_random(uint32_t *seed)
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

static uint32_t rooms_of(uint64_t sequence) /* bits; none for some */
{
    return mix(sequence, 1) & mix(sequence, 2) & ((1 << ROOMS) - 1);
}

/* Small frames, of which the log holds hundreds; or so large ones that it holds two or three. */
static bool frames_are_large;

static uint32_t size_of(uint64_t sequence)
{
    if (frames_are_large)
        return 4000 + mix(sequence, 3) % 4000;
    return FRAME_MIN + mix(sequence, 3) % (mix(sequence, 4) % 50 ? 60 : 1500);
}

static uint32_t partition_of(uint64_t sequence) /* they come one after the other */
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

static bool is_frame(const char *frame, uint64_t sequence)
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

static struct slice room_name(char text[24], const char *kind, uint64_t number)
{
    int size = snprintf(text, 24, "%s-%llu", kind, (unsigned long long)number);
    return (struct slice){text, (size_t)size};
}

static void open_stage(struct stage *s, unsigned readers)
{
    char text[24];
    *s = (struct stage){.rooms = rooms_create()};
    s->log = hotlog_create(&(struct hotlog_settings){16384, 256, readers}, s->rooms);
    for (unsigned i = 0; i < ROOMS; i++)
        s->numbers[i] = rooms_hold(s->rooms, 0, room_name(text, "room", i));
}

static void close_stage(struct stage *s)
{
    hotlog_destroy(s->log);
    rooms_destroy(s->rooms);
}

/* Rooms of few entries come and go, so that numbers are given again all the time. */
static uint64_t passing_room(uint64_t sequence)
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

/* In phases: with backpressure, so that readers keep up, and without, so that they lose their place. */
static bool is_patient(uint64_t sequence)
{
    return sequence / 1000 % 2 == 0;
}

static void *write_all(void *argument)
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

/* --- readers of the bare log --- */

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

static void readers_find_every_frame_whole_in_order_and_none_missing(void **state)
{
    (void)state;
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
    assert_true(atomic_load(&s.evictions) > 10);
    close_stage(&s);
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

/* --- fan-outs: each event once, or sent away from where it stood --- */

struct listener {
    struct crowd *crowd;
    struct session *session;
    uint32_t rooms; /* bits */
    uint64_t next;  /* all of ours before it were delivered or told */
    bool full;
    struct origin *away; /* waits to be let in again; held */
    uint64_t let_in;     /* what lies before was evicted, and is missed */
    struct buffer kept;
    uint64_t delivered, missed;
};

struct crowd {
    struct stage *stage;
    struct fanout *fanout;
    struct listener listeners[SESSIONS];
    struct session *tourist; /* goes in and out of rooms; what it gets is checked byte by byte alone */
    uint32_t seed;
};

static bool pass(struct listener *l, uint64_t sequence)
{
    for (; l->next < sequence; l->next++) {
        if (!(rooms_of(l->next) & l->rooms))
            continue;
        EXPECT(l->crowd->stage, l->next < l->let_in);
        l->missed++;
    }
    return true;
}

static bool deliver(struct listener *l, const char *frame, uint64_t sequence)
{
    struct stage *s = l->crowd->stage;
    EXPECT(s, sequence < ENTRIES);
    EXPECT(s, sequence >= l->next); /* ascending, once */
    EXPECT(s, rooms_of(sequence) & l->rooms);
    EXPECT(s, sequence >= l->let_in);
    EXPECT(s, is_frame(frame, sequence));
    if (!pass(l, sequence))
        return false;
    l->next = sequence + 1;
    l->delivered++;
    return true;
}

/* Returns the size of what stands there; *plain is where the frame as the log has it begins. */
static uint32_t frame_at(const char *frame, const char **plain, uint64_t *sequence)
{
    uint32_t size, around = 0;
    if ((unsigned char)*frame == 0x81) /* header, and a closing brace */
        around = (frame[1] < 126 ? 2 : frame[1] == 126 ? 4 : 10) + 1;
    *plain = frame + (around ? around - 1 : 0);
    memcpy(sequence, *plain, 8);
    *sequence >>= 8;
    memcpy(&size, *plain + 8, 4);
    return size + around;
}

static size_t on_write(void *transport, const struct iovec *parts, int count)
{
    struct listener *l = transport;
    uint32_t *seed = &l->crowd->seed;
    size_t total = 0;
    for (int i = 0; i < count; i++)
        total += parts[i].iov_len;
    size_t taken = next_random(seed) % 3 ? total : next_random(seed) % (total + 1), left = taken;
    for (int i = 0; i < count && left > 0; i++) {
        const char *at = parts[i].iov_base, *end = at + parts[i].iov_len;
        while (at < end && left > 0) {
            uint64_t sequence;
            const char *plain;
            uint32_t size = frame_at(at, &plain, &sequence);
            if (!deliver(l, plain, sequence))
                return 0;
            if (left < size) { /* cut: the rest is given to on_keep */
                buffer_clear(&l->kept);
                buffer_add(&l->kept, at + left, size - left);
            }
            left -= left < size ? left : size;
            at += size;
        }
    }
    l->full = taken < total;
    return taken;
}

static bool check_rest(struct listener *l, const char *rest, size_t size)
{
    EXPECT(l->crowd->stage, slice_equal(buffer_slice(&l->kept), (struct slice){rest, size}));
    return true;
}

static void on_keep(void *transport, const char *rest, size_t size)
{
    (void)check_rest(transport, rest, size);
}

/* Where it is sent away from: nothing that is still to come lies before it, and all that was had before its
 * mark. */
static bool check_origin(struct listener *l, const struct origin *o)
{
    struct stage *s = l->crowd->stage;
    uint64_t first = l->next > l->let_in ? l->next : l->let_in;
    uint64_t end = first + 1000 < ENTRIES ? first + 1000 : ENTRIES;
    for (uint64_t sequence = first; sequence < end; sequence++)
        if (rooms_of(sequence) & l->rooms)
            EXPECT(s, origin_skip(o, partition_of(sequence)) <= (int64_t)sequence);
    for (uint64_t sequence = l->next > 500 ? l->next - 500 : 0; sequence < l->next; sequence++)
        EXPECT(s, origin_mark(o, partition_of(sequence)) > (int64_t)sequence);
    return true;
}

static void let_in(struct crowd *c, struct listener *l)
{
    struct hotlog *log = c->stage->log;
    int64_t place[PARTITIONS];
    uint64_t at = hotlog_place_before(log, hotlog_head(log), place, PARTITIONS);
    struct origin *nothing = origin_create(0, false);
    session_enter(l->session, 0, at, nothing);
    origin_release(nothing);
    l->let_in = at;
    origin_release(l->away);
    l->away = NULL;
}

/* The tourist has no transport of its own: its bytes are only touched. */
static size_t touch(const struct iovec *parts, int count)
{
    static _Thread_local volatile char touched;
    size_t total = 0;
    for (int i = 0; i < count; i++) {
        for (size_t j = 0; j < parts[i].iov_len; j += 64)
            touched = ((const char *)parts[i].iov_base)[j];
        total += parts[i].iov_len;
    }
    (void)touched;
    return total;
}

static size_t write_either(void *transport, const struct iovec *parts, int count)
{
    return transport ? on_write(transport, parts, count) : touch(parts, count);
}

static void away_either(void *transport, struct session *session, struct origin *origin)
{
    struct listener *l = transport;
    (void)session;
    if (l && check_origin(l, origin))
        l->away = origin_hold(origin);
    origin_release(origin);
}

static void arrived_either(void *transport, struct session *session)
{
    (void)transport;
    (void)session;
}

static const struct transport_hooks hooks = {write_either, on_keep, NULL, away_either, arrived_either};

static void walk_about(struct crowd *c)
{
    char text[24];
    uint64_t near = passing_room(hotlog_head(c->stage->log)) + 1, back = next_random(&c->seed) % 20;
    bool passing = next_random(&c->seed) % 2;
    struct slice room = passing ? room_name(text, "passing", near > back ? near - back : near)
                                : room_name(text, "room", next_random(&c->seed) % ROOMS);
    if (next_random(&c->seed) % 2)
        session_join(c->tourist, room);
    else
        session_leave(c->tourist, room);
    if (session_rooms(c->tourist) > 6 || next_random(&c->seed) % 100 == 0) { /* away or not */
        session_destroy(c->tourist);
        c->tourist = session_create(c->fanout, 0, &hooks, NULL);
        session_start(c->tourist);
    }
}

static void *fan_out(void *argument)
{
    struct crowd *c = argument;
    for (bool more = true, done = false; (more || !done) && !atomic_load(&c->stage->fault);) {
        done = atomic_load(&c->stage->done);
        for (unsigned i = 0; i < SESSIONS; i++) {
            struct listener *l = &c->listeners[i];
            if (!l->full || (!done && next_random(&c->seed) % (i == 0 ? 200 : 4)))
                continue; /* the first one is slow */
            l->full = false;
            session_writable(l->session);
        }
        walk_about(c);
        for (unsigned i = 0; i < SESSIONS; i++)
            if (c->listeners[i].away)
                let_in(c, &c->listeners[i]);
        more = fanout_turn(c->fanout) || fanout_pending(c->fanout);
        for (unsigned i = 0; i < SESSIONS; i++)
            more |= c->listeners[i].full || c->listeners[i].away;
        if (next_random(&c->seed) % 50 == 0)
            usleep(next_random(&c->seed) % 500);
    }
    return NULL;
}

static void open_crowd(struct crowd *c, struct stage *s, uint32_t seed)
{
    char text[24];
    *c = (struct crowd){.stage = s, .seed = seed};
    c->fanout = fanout_create(&s->log, 1, s->rooms);
    for (unsigned i = 0; i < SESSIONS; i++) {
        struct listener *l = &c->listeners[i];
        l->crowd = c;
        l->rooms = i == 0 ? 1 : 1 + next_random(&c->seed) % ((1 << ROOMS) - 1);
        l->session = session_create(c->fanout, 0, &hooks, l);
        for (unsigned room = 0; room < ROOMS; room++)
            if (l->rooms >> room & 1)
                session_join(l->session, room_name(text, "room", room));
        session_start(l->session);
    }
    c->tourist = session_create(c->fanout, 0, &hooks, NULL);
    session_start(c->tourist);
}

static void close_crowd(struct crowd *c)
{
    for (unsigned i = 0; i < SESSIONS; i++) {
        session_destroy(c->listeners[i].session);
        origin_release(c->listeners[i].away);
        buffer_finish(&c->listeners[i].kept);
    }
    session_destroy(c->tourist);
    fanout_destroy(c->fanout);
}

static void run_fanouts(void)
{
    struct stage s;
    static struct crowd crowds[FANOUTS];
    pthread_t writer, threads[FANOUTS];
    open_stage(&s, FANOUTS);
    for (unsigned i = 0; i < FANOUTS; i++)
        open_crowd(&crowds[i], &s, 1000 + i);
    for (unsigned i = 0; i < FANOUTS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, fan_out, &crowds[i]), 0);
    assert_int_equal(pthread_create(&writer, NULL, write_all, &s), 0);
    for (unsigned i = 0; i < FANOUTS; i++)
        pthread_join(threads[i], NULL);
    pthread_join(writer, NULL);
    uint64_t delivered = 0, missed = 0;
    for (unsigned i = 0; i < FANOUTS * SESSIONS && !atomic_load(&s.fault); i++) {
        struct listener *l = &crowds[i / SESSIONS].listeners[i % SESSIONS];
        assert_true(session_is_live(l->session));
        if (!pass(l, ENTRIES))
            break;
        delivered += l->delivered;
        missed += l->missed;
    }
    if (atomic_load(&s.fault))
        fail_msg("%s", atomic_load(&s.fault));
    assert_true(delivered > 100 && missed > 100); /* both have been tried */
    for (unsigned i = 0; i < FANOUTS; i++)
        close_crowd(&crowds[i]);
    close_stage(&s);
}

static void each_event_comes_once_or_was_evicted(void **state)
{
    (void)state;
    run_fanouts();
}

static void so_it_is_when_a_turn_is_longer_than_the_log(void **state)
{
    (void)state;
    frames_are_large = true;
    run_fanouts();
    frames_are_large = false;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(readers_find_every_frame_whole_in_order_and_none_missing),
        cmocka_unit_test(what_is_pinned_stays_however_much_the_writer_wants_it),
        cmocka_unit_test(what_a_pin_returns_is_safe_from_that_moment_on),
        cmocka_unit_test(each_event_comes_once_or_was_evicted),
        cmocka_unit_test(so_it_is_when_a_turn_is_longer_than_the_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
