/* One writer and several fan-outs at once: each event comes once, or its session is sent away from where it
 * stood. */
#include "hotlog_threads_stage.h"

#include "causeway/fanout.h"

#include <pthread.h>
#include <unistd.h>

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

static const struct transport_hooks hooks = {write_either, on_keep, NULL, away_either, arrived_either, NULL};

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

struct tally {
    uint64_t delivered, missed;
};

static void run_fanouts(struct tally *tally)
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
    for (unsigned i = 0; i < FANOUTS * SESSIONS && !atomic_load(&s.fault); i++) {
        struct listener *l = &crowds[i / SESSIONS].listeners[i % SESSIONS];
        assert_true(session_is_live(l->session));
        if (!pass(l, ENTRIES))
            break;
        tally->delivered += l->delivered;
        tally->missed += l->missed;
    }
    if (atomic_load(&s.fault))
        fail_msg("%s", atomic_load(&s.fault));
    for (unsigned i = 0; i < FANOUTS; i++)
        close_crowd(&crowds[i]);
    close_stage(&s);
}

/* Again and again until both have been tried: how threads take turns is the machine's. */
static void run_until_both_were_seen(void)
{
    struct tally tally = {0};
    for (int round = 0; round < ROUNDS_MAX && (tally.delivered <= 100 || tally.missed <= 100); round++)
        run_fanouts(&tally);
    assert_true(tally.delivered > 100);
    assert_true(tally.missed > 100);
}

static void each_event_comes_once_or_was_evicted(void **state)
{
    (void)state;
    run_until_both_were_seen();
}

static void so_it_is_when_a_turn_is_longer_than_the_log(void **state)
{
    (void)state;
    frames_are_large = true;
    run_until_both_were_seen();
    frames_are_large = false;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_event_comes_once_or_was_evicted),
        cmocka_unit_test(so_it_is_when_a_turn_is_longer_than_the_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
