/* The fan-out against a model that knows every entry, every room and every byte that a transport took. */
#include "unit.h"

#include "causeway/buffer.h"
#include "causeway/envelope.h"
#include "causeway/fanout.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    PLAYERS = 24,
    ROOM_NAMES = 40,
    PARTITIONS = 3,
    EVENTS_MAX = 200000,
    CHUNK_BYTES =
        128 * 1024, /* what one write may offer to a session that is behind: bytes, frames, pieces */
    CHUNK_FRAMES = 2048,
    CHUNK_PARTS = 512,
};

struct event {
    uint64_t rooms, except; /* bits */
    int64_t offset;
    uint32_t partition, size;
    uint16_t lane;
    bool ephemeral;
};

/* A session, its transport, and what the model knows about both. */
struct player {
    struct world *world;
    struct session *session; /* NULL: none at the moment */
    uint64_t rooms;          /* bits */
    uint64_t position;       /* of a live one: the head of the last turn */
    uint16_t lane;
    bool held, full, arrived, frozen;
    bool live;              /* at the end of the last turn */
    struct buffer kept;     /* the rest of a cut frame, as the fan-out gave it */
    struct buffer received; /* all bytes that left */
    struct buffer expected;
    struct origin *away;    /* waits to be let in again; held */
    bool came_back;         /* and what it gets may be written anew */
    uint64_t delivered_end; /* one past the last entry of which anything left */
    unsigned writes, aways; /* of this turn */
    uint32_t last_frames;
    size_t last_bytes;
    int last_parts;
    bool last_anew;
};

struct world {
    struct rooms *rooms;
    struct hotlog *log;
    struct hotlog_reader *reader;
    struct fanout *fanout;
    struct player players[PLAYERS];
    struct event *events;
    uint64_t count, published;
    uint64_t head, tail;   /* as this turn saw them */
    uint64_t fan_position; /* head of the last turn */
    int64_t next[PARTITIONS];
    uint32_t seed, frame_max;
    uint64_t deliveries, bytes; /* of this turn */
    unsigned cuts, boundaries, refusals, aways, rewritten, all_behind, ephemerals_skipped, chunks_by_bytes,
        chunks_by_frames, chunks_by_parts;
    bool generous; /* transports take everything */
};

static uint32_t next_random(struct world *w)
{
    w->seed ^= w->seed << 13;
    w->seed ^= w->seed >> 17;
    w->seed ^= w->seed << 5;
    return w->seed;
}

static bool one_in(struct world *w, uint32_t n)
{
    return next_random(w) % n == 0;
}

static struct slice name_of(char text[16], unsigned room)
{
    int size = snprintf(text, 16, "room-%u", room);
    return (struct slice){text, (size_t)size};
}

static char frame_byte(uint64_t sequence, size_t at)
{
    if (at == 0)
        return 'P'; /* as it stands in the log; what is written anew begins with a frame's header */
    return (char)((sequence * 2654435761u + at * 40503u) >> 5);
}

static uint16_t head_of(uint32_t size)
{
    return size > 8 ? 1 : 0;
}

static uint16_t tail_of(uint32_t size)
{
    return size > 8 ? 3 : 0;
}

/* --- the model --- */

static bool concerns(const struct player *p, const struct event *e, bool live)
{
    return e->lane == p->lane && (e->rooms & p->rooms) && !(e->except & p->rooms) && (live || !e->ephemeral);
}

/* The next entry that this session must get, or the head. */
static uint64_t next_for(const struct player *p, uint64_t from, bool live)
{
    uint64_t head = p->world->head;
    while (from < head && !concerns(p, &p->world->events[from], live))
        from++;
    return from;
}

/* The log no longer has what comes next: the origin says where that was. It begins nowhere behind the
 * position, and what has gone out lies before its mark. */
static void on_away(void *transport, struct session *session, struct origin *origin)
{
    struct player *p = transport;
    struct world *w = p->world;
    assert_ptr_equal(session, p->session);
    assert_false(p->held || p->full || p->away || p->frozen);
    assert_true(p->position < hotlog_staying(w->log));
    assert_null(origin->stop);
    for (uint64_t s = p->position > 2000 ? p->position - 2000 : 0; s < w->count; s++) {
        const struct event *e = &w->events[s];
        assert_true(s < p->position || e->offset >= origin_skip(origin, e->partition));
        assert_true(s >= p->delivered_end || e->offset < origin_mark(origin, e->partition));
    }
    p->away = origin;
    p->arrived = false; /* told anew */
    p->aways++;
    w->aways++;
}

/* How much a socket takes of what it is offered: nothing, all, up to a frame's end, or up to the middle of
 * one. */
static size_t draw_taken(struct world *w, size_t total, const size_t *ends, size_t frames)
{
    unsigned choice = w->generous ? 0 : next_random(w) % 8;
    if (choice < 4)
        return total;
    if (choice == 4)
        return 0;
    if (choice == 5)
        return ends[next_random(w) % frames];
    return next_random(w) % (total + 1);
}

static void expect_frame(struct player *p, uint64_t sequence)
{
    if (sequence >= p->delivered_end)
        p->delivered_end = sequence + 1;
    for (size_t i = 0; i < p->world->events[sequence].size; i++)
        buffer_add_byte(&p->expected, frame_byte(sequence, i));
}

/* The frame as it is written for one who comes from elsewhere, into `out`. */
static size_t write_anew(const struct world *w, uint64_t sequence, struct buffer *out)
{
    struct buffer plain = {0};
    uint32_t size = w->events[sequence].size;
    for (size_t i = 0; i < size; i++)
        buffer_add_byte(&plain, frame_byte(sequence, i));
    size_t before = out->size;
    envelope_add_variant(
        out, buffer_slice(&plain), head_of(size), tail_of(size), ENVELOPE_REPLAYED, (struct slice){NULL, 0});
    buffer_finish(&plain);
    return out->size - before;
}

static void expect_anew(struct player *p, uint64_t sequence)
{
    if (sequence >= p->delivered_end)
        p->delivered_end = sequence + 1;
    write_anew(p->world, sequence, &p->expected);
}

static void check_chunk_was_full(struct player *p, uint64_t next)
{
    struct world *w = p->world;
    size_t extra = p->last_anew ? ENVELOPE_VARIANT_EXTRA : 0;
    bool bytes = p->last_bytes + w->events[next].size + extra > CHUNK_BYTES,
         frames = p->last_frames == CHUNK_FRAMES, parts = p->last_parts == CHUNK_PARTS;
    assert_true(bytes || frames || parts);
    w->chunks_by_bytes += bytes;
    w->chunks_by_frames += frames;
    w->chunks_by_parts += parts;
}

static size_t on_write(void *transport, const struct iovec *parts, int count)
{
    struct player *p = transport;
    struct world *w = p->world;
    static uint64_t offered[EVENTS_MAX];
    static size_t ends[EVENTS_MAX];
    bool live = session_is_live(p->session);
    size_t frames = 0, total = 0;
    assert_false(p->held || p->away || p->frozen);
    assert_false(p->full);      /* who was told "full" waits until the socket takes more */
    if (!live && p->writes > 0) /* another share in the same turn: the one before was as large as it may be */
        check_chunk_was_full(p, next_for(p, p->position, false));
    assert_true(p->position >= w->tail);
    assert_in_range(count, 1, CHUNK_PARTS);
    uint64_t sequence = p->position;
    bool anew = *(const char *)parts[0].iov_base != 'P';
    assert_true(!anew || p->came_back); /* for the first share alone */
    struct buffer rewritten = {0};
    for (int i = 0; i < count; i++) {
        const char *at = parts[i].iov_base, *end = at + parts[i].iov_len;
        assert_true(at < end);
        while (at < end) { /* each piece is the very next frames of this session, without a hole */
            sequence = next_for(p, sequence, live);
            assert_true(sequence < w->head);
            size_t size = w->events[sequence].size;
            if (anew) {
                buffer_clear(&rewritten);
                size = write_anew(w, sequence, &rewritten);
                assert_true(size <= (size_t)(end - at));
                assert_memory_equal(at, rewritten.data, size);
                w->rewritten++;
            }
            assert_true(size <= (size_t)(end - at));
            for (size_t j = 0; j < size && !anew; j++)
                if (at[j] != frame_byte(sequence, j))
                    fail_msg("byte %zu of frame %llu", j, (unsigned long long)sequence);
            at += size;
            total += size;
            offered[frames] = sequence++;
            ends[frames++] = total;
        }
    }
    size_t taken = draw_taken(w, total, ends, frames), whole = 0;
    for (size_t left = taken; left > 0;) {
        for (int i = 0; i < count && left > 0; i++) {
            size_t size = parts[i].iov_len < left ? parts[i].iov_len : left;
            buffer_add(&p->received, parts[i].iov_base, size);
            left -= size;
        }
    }
    buffer_finish(&rewritten);
    void (*expect)(struct player *, uint64_t) = anew ? expect_anew : expect_frame;
    while (whole < frames && ends[whole] <= taken)
        expect(p, offered[whole++]);
    p->came_back = p->came_back && taken < total;
    p->last_anew = anew;
    p->writes++;
    p->last_bytes = total;
    p->last_frames = (uint32_t)frames;
    p->last_parts = count;
    w->bytes += taken;
    w->deliveries += whole;
    p->full = taken < total;
    w->refusals += taken == 0;
    if (whole == frames) {
        p->position = sequence;
    } else if (taken == (whole ? ends[whole - 1] : 0)) {
        p->position = offered[whole];
        w->boundaries += taken > 0;
    } else {
        expect(p, offered[whole]);
        p->position = offered[whole] + 1;
        w->deliveries++;
        w->cuts++;
    }
    return taken;
}

static void on_keep(void *transport, const char *rest, size_t size)
{
    struct player *p = transport;
    assert_true(p->full);
    assert_int_equal(p->kept.size, 0);
    buffer_add(&p->kept, rest, size);
    assert_int_equal(p->received.size + size, p->expected.size);
    assert_memory_equal(p->expected.data + p->received.size, rest, size);
}

static void on_arrived(void *transport, struct session *session)
{
    struct player *p = transport;
    assert_ptr_equal(session, p->session);
    assert_false(p->arrived); /* once, and once more after it was away */
    assert_true(session_is_live(session) || p->came_back);
    p->arrived = true;
}

static const struct transport_hooks hooks = {on_write, on_keep, NULL, on_away, on_arrived};

/* --- what happens --- */

static void append(struct world *w, const struct event *e)
{
    static uint32_t rooms[2 * ROOM_NAMES];
    size_t count = 0, except = 0;
    char text[16];
    for (unsigned i = 0; i < ROOM_NAMES; i++)
        if (e->rooms >> i & 1)
            rooms[count++] = rooms_hold(w->rooms, e->lane, name_of(text, i));
    for (unsigned i = 0; i < ROOM_NAMES; i++)
        if (e->except >> i & 1)
            rooms[count + except++] = rooms_hold(w->rooms, e->lane, name_of(text, i));
    struct event *event = &w->events[w->count];
    *event = *e;
    event->partition = next_random(w) % PARTITIONS;
    w->next[event->partition] += 1 + next_random(w) % 2;
    event->offset = w->next[event->partition];
    char *frame = hotlog_reserve(w->log, e->size);
    for (size_t i = 0; i < e->size; i++)
        frame[i] = frame_byte(w->count, i);
    struct hotlog_append a = {.partition = event->partition,
        .offset = event->offset,
        .head_size = head_of(e->size),
        .tail_size = tail_of(e->size),
        .rooms = rooms,
        .room_count = count,
        .except = rooms + count,
        .except_count = except,
        .ephemeral = e->ephemeral};
    assert_int_equal(hotlog_append(w->log, &a), w->count);
    hotlog_advance(w->log, event->partition, event->offset + 1);
    w->count++;
    assert_true(w->count < EVENTS_MAX);
}

static uint64_t draw_rooms(struct world *w, unsigned most)
{
    uint64_t bits = 0;
    for (unsigned i = 1 + next_random(w) % most; i-- > 0;)
        bits |= (uint64_t)1 << (one_in(w, 2) ? next_random(w) % 4 : next_random(w) % ROOM_NAMES);
    return bits;
}

static void append_random(struct world *w)
{
    append(w, &(struct event){
                  .rooms = draw_rooms(w, one_in(w, 3) ? 6 : 1),
                  .except = one_in(w, 6) ? draw_rooms(w, 2) : 0,
                  .size = 1 + next_random(w) % w->frame_max,
                  .lane = (uint16_t)one_in(w, 4),
                  .ephemeral = one_in(w, 7),
              });
}

static void publish(struct world *w)
{
    hotlog_publish(w->log);
    w->published = w->count;
}

static void join(struct player *p, unsigned room)
{
    char text[16];
    bool changed = !(p->rooms >> room & 1);
    assert_int_equal(session_join(p->session, name_of(text, room)), changed);
    p->rooms |= (uint64_t)1 << room;
}

static void leave(struct player *p, unsigned room)
{
    char text[16];
    bool changed = p->rooms >> room & 1;
    assert_int_equal(session_leave(p->session, name_of(text, room)), changed);
    p->rooms &= ~((uint64_t)1 << room);
}

static void create(struct player *p, uint16_t lane)
{
    struct world *w = p->world;
    *p = (struct player){.world = w, .lane = lane, .held = true, .position = w->fan_position};
    p->session = session_create(w->fanout, lane, &hooks, p);
}

static void start(struct player *p)
{
    p->held = false;
    session_start(p->session);
}

static void freeze(struct player *p, bool frozen)
{
    p->frozen = frozen;
    p->live = p->live && !frozen;
    (frozen ? session_freeze : session_thaw)(p->session);
}

static void check_stream(struct player *p)
{
    buffer_add_slice(&p->received, buffer_slice(&p->kept));
    buffer_clear(&p->kept);
    assert_int_equal(p->received.size, p->expected.size);
    if (p->expected.size > 0)
        assert_memory_equal(p->received.data, p->expected.data, p->expected.size);
}

static void destroy(struct player *p)
{
    check_stream(p);
    session_destroy(p->session);
    origin_release(p->away);
    p->away = NULL;
    buffer_finish(&p->kept);
    buffer_finish(&p->received);
    buffer_finish(&p->expected);
    p->session = NULL;
}

static void writable(struct player *p)
{
    buffer_add_slice(&p->received, buffer_slice(&p->kept)); /* the rest goes out before anything else */
    buffer_clear(&p->kept);
    p->full = false;
    session_writable(p->session);
}

/* Nobody reads for it what is gone: it goes on where the log begins, and nothing is compared there. */
static void come_back(struct player *p)
{
    struct world *w = p->world;
    int64_t place[PARTITIONS];
    uint64_t at = hotlog_place_before(w->log, hotlog_tail(w->log), place, PARTITIONS);
    if (at < hotlog_tail(w->log))
        at = hotlog_head(w->log);
    struct origin *nothing = origin_create(0, false);
    session_enter(p->session, 0, at, nothing);
    origin_release(nothing);
    origin_release(p->away);
    p->away = NULL;
    p->came_back = true;
    p->position = p->delivered_end = at;
}

/* Where the session must stand after a turn, and what must have gone out. */
static void check_player(struct player *p, bool was_live)
{
    struct world *w = p->world;
    bool live = session_is_live(p->session);
    if (p->frozen)
        assert_int_equal(p->writes, 0);
    if (p->held || p->full || p->away || p->frozen) {
        assert_false(live);
    } else if (live) {
        assert_true(was_live || p->position >= w->tail); /* or it was told */
        uint64_t left = next_for(p, p->position, was_live);
        if (left != w->head)
            fail_msg("entry %llu was not delivered", (unsigned long long)left);
        w->ephemerals_skipped += !was_live && next_for(p, p->position, true) != w->head;
        p->position = w->head;
        p->came_back = false;
    } else if (p->writes > 0) {
        p->position = next_for(p, p->position, false);
        assert_true(p->position < w->head);
        check_chunk_was_full(p, p->position);
    }
    p->live = live;
}

static bool turn(struct world *w)
{
    for (size_t i = 0; i < PLAYERS; i++)
        if (w->players[i].away && (w->generous || one_in(w, 3)))
            come_back(&w->players[i]);
    w->head = hotlog_head(w->log);
    w->tail = hotlog_pin(w->reader);
    hotlog_unpin(w->reader);
    assert_int_equal(w->head, w->published);
    bool lost = w->fan_position < w->tail;
    bool was_live[PLAYERS];
    size_t sessions = 0, behind = 0;
    w->bytes = w->deliveries = 0;
    for (size_t i = 0; i < PLAYERS; i++) {
        struct player *p = &w->players[i];
        p->writes = p->aways = 0;
        was_live[i] = p->session && p->live && !lost;
        w->all_behind += p->session && p->live && lost;
    }
    bool more = fanout_turn(w->fanout);
    w->fan_position = w->head;
    for (size_t i = 0; i < PLAYERS; i++) {
        struct player *p = &w->players[i];
        if (!p->session)
            continue;
        check_player(p, was_live[i]);
        sessions++;
        behind += !p->live && !p->held;
        if (!p->live && !p->held && !p->full && !p->away && !p->frozen)
            assert_true(more);
    }
    assert_int_equal(more, fanout_pending(w->fanout));
    struct fanout_counts counts = fanout_counts(w->fanout);
    assert_int_equal(counts.sessions, sessions);
    assert_int_equal(counts.behind, behind);
    assert_int_equal(counts.deliveries, w->deliveries);
    assert_int_equal(counts.bytes, w->bytes);
    return more;
}

static bool anybody_away(const struct world *w)
{
    for (size_t i = 0; i < PLAYERS; i++)
        if (w->players[i].away)
            return true;
    return false;
}

static void settle(struct world *w)
{
    for (int i = 0; turn(w) || anybody_away(w); i++)
        assert_true(i < 10000);
}

static struct world *open_world(size_t bytes, uint32_t entries, uint32_t frame_max)
{
    struct world *w = calloc(1, sizeof *w);
    *w = (struct world){.rooms = rooms_create(), .seed = 20240115, .frame_max = frame_max};
    w->log = hotlog_create(&(struct hotlog_settings){bytes, entries, 2}, w->rooms);
    w->reader = hotlog_reader_create(w->log);
    for (uint32_t i = 0; i < PARTITIONS; i++)
        hotlog_advance(w->log, i, 0);
    w->fanout = fanout_create(&w->log, 1, w->rooms);
    w->events = calloc(EVENTS_MAX, sizeof *w->events);
    for (size_t i = 0; i < PLAYERS; i++)
        w->players[i].world = w;
    hotlog_done(w->reader, UINT64_MAX);
    return w;
}

static void close_world(struct world *w)
{
    for (size_t i = 0; i < PLAYERS; i++)
        if (w->players[i].session)
            destroy(&w->players[i]);
    session_destroy(NULL);
    fanout_destroy(w->fanout);
    fanout_destroy(NULL);
    hotlog_destroy(w->log);
    rooms_destroy(w->rooms);
    free(w->events);
    free(w);
}

/* --- stories --- */

static struct player *enter(struct world *w, size_t number, uint16_t lane, uint64_t rooms)
{
    struct player *p = &w->players[number];
    create(p, lane);
    for (unsigned i = 0; i < ROOM_NAMES; i++)
        if (rooms >> i & 1)
            join(p, i);
    start(p);
    settle(w);
    return p;
}

static void send_to(struct world *w, uint64_t rooms)
{
    append(w, &(struct event){.rooms = rooms, .size = 20});
    publish(w);
}

/* The sequence numbers of all events that have left, as text; with a star, when written anew. */
static void assert_got(struct player *p, const char *expected)
{
    struct buffer text = {0};
    size_t at = 0;
    struct buffer anew = {0};
    for (uint64_t s = 0; s < p->world->count && at < p->received.size; s++) {
        size_t size = p->world->events[s].size, i = 0;
        buffer_clear(&anew);
        write_anew(p->world, s, &anew);
        bool is_anew =
            slice_starts((struct slice){p->received.data + at, p->received.size - at}, buffer_slice(&anew));
        while (i < size && at + i < p->received.size && p->received.data[at + i] == frame_byte(s, i))
            i++;
        if (i == size || is_anew) {
            buffer_print(&text, is_anew ? "%llu* " : "%llu ", (unsigned long long)s);
            at += is_anew ? anew.size : size;
        }
    }
    buffer_finish(&anew);
    assert_int_equal(at, p->received.size);
    assert_string_equal(buffer_text(&text), expected);
    buffer_finish(&text);
}

static void an_event_reaches_those_who_stand_in_its_room(void **state)
{
    (void)state;
    struct world *w = open_world(1 << 16, 64, 100);
    w->generous = true;
    struct player *a = enter(w, 0, 0, 1), *b = enter(w, 1, 0, 2), *both = enter(w, 2, 0, 3),
                  *none = enter(w, 3, 0, 0);
    send_to(w, 1);
    send_to(w, 2);
    send_to(w, 3); /* once to who stands in both */
    send_to(w, 4);
    assert_true(fanout_pending(w->fanout));
    settle(w);
    assert_false(fanout_pending(w->fanout));
    assert_got(a, "0 2 ");
    assert_got(b, "1 2 ");
    assert_got(both, "0 1 2 ");
    assert_got(none, "");
    close_world(w);
}

static void the_same_name_on_another_lane_is_another_room(void **state)
{
    (void)state;
    struct world *w = open_world(1 << 16, 64, 100);
    w->generous = true;
    struct player *a = enter(w, 0, 0, 1), *b = enter(w, 1, 1, 1);
    append(w, &(struct event){.rooms = 1, .size = 9, .lane = 1});
    append(w, &(struct event){.rooms = 1, .size = 9, .lane = 0});
    publish(w);
    settle(w);
    assert_got(a, "1 ");
    assert_got(b, "0 ");
    close_world(w);
}

static void exceptions_are_left_out_wherever_else_they_stand(void **state)
{
    (void)state;
    struct world *w = open_world(1 << 16, 64, 100);
    w->generous = true;
    struct player *author = enter(w, 0, 0, 1 | 4), *reader = enter(w, 1, 0, 1);
    append(w, &(struct event){.rooms = 1, .except = 4, .size = 9});
    send_to(w, 1);
    settle(w);
    assert_got(author, "1 ");
    assert_got(reader, "0 1 ");
    leave(author, 2); /* judged by where one stands at delivery */
    append(w, &(struct event){.rooms = 1, .except = 4, .size = 9});
    publish(w);
    settle(w);
    assert_got(author, "1 2 ");
    close_world(w);
}

static void a_held_session_misses_nothing(void **state)
{
    (void)state;
    struct world *w = open_world(1 << 16, 64, 100);
    w->generous = true;
    struct player *p = &w->players[0];
    send_to(w, 1); /* before it came */
    settle(w);
    create(p, 0);
    send_to(w, 1);
    settle(w);
    assert_got(p, "");
    join(p, 0); /* its rights are known only now */
    send_to(w, 1);
    start(p);
    settle(w);
    assert_got(p, "1 2 ");
    close_world(w);
}

static void joining_counts_from_the_sessions_position(void **state)
{
    (void)state;
    struct world *w = open_world(1 << 16, 64, 100);
    w->generous = true;
    struct player *p = enter(w, 0, 0, 1);
    send_to(w, 2); /* passed by: a live session's position is the head */
    settle(w);
    send_to(w, 2); /* not passed by yet */
    join(p, 1);
    settle(w);
    assert_got(p, "1 ");
    w->generous = false;
    p->full = false;
    while (!p->full) { /* until the socket is full: its position stays here */
        send_to(w, 1);
        settle(w);
    }
    uint64_t stopped = p->position;
    send_to(w, 4);
    settle(w);
    join(p, 2); /* behind: what the log holds from its position on */
    w->generous = true;
    writable(p);
    settle(w);
    assert_true(p->live);
    assert_true(stopped <= w->count - 1);
    check_stream(p);
    assert_memory_equal(p->received.data + p->received.size - 20, ((char[]){frame_byte(w->count - 1, 0)}), 1);
    close_world(w);
}

static void leaving_takes_what_is_pending(void **state)
{
    (void)state;
    struct world *w = open_world(1 << 16, 64, 100);
    w->generous = true;
    struct player *p = enter(w, 0, 0, 3);
    send_to(w, 1);
    send_to(w, 2);
    leave(p, 0);
    settle(w);
    assert_got(p, "1 ");
    close_world(w);
}

static void a_frozen_session_gets_nothing_and_misses_nothing(void **state)
{
    (void)state;
    struct world *w = open_world(1 << 16, 8, 100);
    w->generous = true;
    struct player *p = enter(w, 0, 0, 3);
    freeze(p, true);
    send_to(w, 1);
    send_to(w, 2);
    settle(w);
    session_writable(p->session);
    settle(w);
    assert_got(p, "");
    leave(p, 0); /* what turned out meanwhile: nothing of that is pending */
    freeze(p, false);
    send_to(w, 2);
    settle(w);
    assert_got(p, "1 2 ");
    freeze(p, true);
    for (int i = 0; i < 20; i++) {
        send_to(w, 2);
        settle(w);
    }
    assert_int_equal(w->aways, 0); /* it goes away when it may walk again */
    freeze(p, false);
    settle(w);
    assert_int_equal(w->aways, 1);
    close_world(w);
}

static void ephemeral_events_are_for_those_who_are_live(void **state)
{
    (void)state;
    struct world *w = open_world(1 << 16, 64, 100);
    w->generous = true;
    struct player *live = enter(w, 0, 0, 1), *late = &w->players[1];
    create(late, 0);
    join(late, 0);
    append(w, &(struct event){.rooms = 1, .size = 9, .ephemeral = true});
    append(w, &(struct event){.rooms = 1, .size = 9});
    publish(w);
    turn(w);
    start(late);
    settle(w);
    append(w, &(struct event){.rooms = 1, .size = 9, .ephemeral = true});
    publish(w);
    settle(w);
    assert_got(live, "0 1 2 ");
    assert_got(late, "1 2 ");
    close_world(w);
}

static void who_stands_before_the_log_is_sent_away(void **state)
{
    (void)state;
    struct world *w = open_world(1 << 16, 8, 100);
    w->generous = true;
    struct player *p = enter(w, 0, 0, 1), *late = &w->players[1];
    create(late, 0);
    join(late, 0);
    for (int i = 0; i < 30; i++) {
        send_to(w, 1);
        settle(w);
    }
    assert_int_equal(w->aways, 0); /* who keeps up stays */
    start(late);
    settle(w);
    assert_int_equal(w->aways, 1);
    assert_got(late, "22* 23* 24* 25* 26* 27* 28* 29* ");
    send_to(w, 1);
    settle(w);
    assert_got(late, "22* 23* 24* 25* 26* 27* 28* 29* 30 "); /* like every other */
    assert_true(late->arrived && p->arrived);
    close_world(w);
}

static void a_loop_that_was_overtaken_sends_its_live_sessions_away(void **state)
{
    (void)state;
    struct world *w = open_world(1 << 16, 8, 100);
    w->generous = true;
    struct player *a = enter(w, 0, 0, 1), *b = enter(w, 1, 0, 2);
    for (int i = 0; i < 20; i++)
        append(w, &(struct event){.rooms = 1 + (uint64_t)i % 2, .size = 9});
    publish(w);
    settle(w);
    assert_int_equal(w->aways, 2);
    assert_got(a, "12* 14* 16* 18* ");
    assert_got(b, "13* 15* 17* 19* ");
    close_world(w);
}

/* Of many that are behind, each gets its share before any gets a second one, and who is live does not wait
 * for them. */
static struct {
    struct session *session;
    unsigned writes;
} crowd[300];

static bool was_live_write;

static size_t crowd_write(void *transport, const struct iovec *parts, int count)
{
    size_t number = (size_t)(uintptr_t)transport, total = 0;
    for (int i = 0; i < count; i++)
        total += parts[i].iov_len;
    crowd[number].writes++;
    was_live_write |= session_is_live(crowd[number].session);
    return total;
}

static void crowd_arrived(void *transport, struct session *session)
{
    assert_ptr_equal(crowd[(size_t)(uintptr_t)transport].session, session);
}

static const struct transport_hooks crowd_hooks = {crowd_write, NULL, NULL, NULL, crowd_arrived};

static void those_behind_take_turns_and_the_live_do_not_wait(void **state)
{
    (void)state;
    enum { CROWD = 299, FRAME = 4096, FRAMES = 100 };
    struct rooms *rooms = rooms_create();
    struct hotlog *log = hotlog_create(&(struct hotlog_settings){1 << 20, 1024, 1}, rooms);
    struct fanout *f = fanout_create(&log, 1, rooms);
    memset(crowd, 0, sizeof crowd);
    for (size_t i = 0; i <= CROWD; i++) {
        crowd[i].session = session_create(f, 0, &crowd_hooks, (void *)(uintptr_t)i);
        session_join(crowd[i].session, SLICE("all"));
    }
    session_start(crowd[CROWD].session); /* the one that is live */
    while (fanout_turn(f)) {
    }
    for (unsigned i = 0; i < FRAMES; i++) {
        memset(hotlog_reserve(log, FRAME), 'x', FRAME);
        hotlog_append(log,
            &(struct hotlog_append){
                .rooms = (uint32_t[]){rooms_hold(rooms, 0, SLICE("all"))}, .room_count = 1, .offset = i});
    }
    hotlog_publish(log);
    while (fanout_turn(f)) {
    }
    for (size_t i = 0; i < CROWD; i++)
        session_start(crowd[i].session);
    unsigned turns = 0;
    for (bool more = true; more; turns++) {
        fanout_counts(f);
        memset(hotlog_reserve(log, 10), 'y', 10);
        hotlog_append(log, &(struct hotlog_append){.rooms = (uint32_t[]){rooms_hold(rooms, 0, SLICE("all"))},
                               .room_count = 1,
                               .offset = FRAMES + turns});
        hotlog_publish(log);
        was_live_write = false;
        more = fanout_turn(f);
        assert_true(was_live_write); /* the newest event has gone out in this very turn */
        assert_true(fanout_counts(f).bytes < 3 << 20);
        unsigned least = UINT32_MAX, most = 0;
        for (size_t i = 0; i < CROWD; i++) {
            if (session_is_live(crowd[i].session))
                continue;
            least = crowd[i].writes < least ? crowd[i].writes : least;
            most = crowd[i].writes > most ? crowd[i].writes : most;
        }
        assert_true(most == 0 || most - least <= 1);
        assert_true(turns < 200);
    }
    assert_true(turns > 20);
    for (size_t i = 0; i <= CROWD; i++) {
        assert_true(session_is_live(crowd[i].session));
        session_destroy(crowd[i].session);
    }
    fanout_destroy(f);
    hotlog_destroy(log);
    rooms_destroy(rooms);
}

static void append_for_all(struct hotlog *log, struct rooms *rooms, unsigned count, size_t size)
{
    for (unsigned i = 0; i < count; i++) {
        memset(hotlog_reserve(log, size), 'x', size);
        hotlog_append(log, &(struct hotlog_append){.rooms = (uint32_t[]){rooms_hold(rooms, 0, SLICE("all"))},
                               .room_count = 1,
                               .offset = (int64_t)hotlog_next(log)});
    }
    hotlog_publish(log);
}

/* A loop whose live sessions fill all its turns still catches up with those who were cut. */
static void those_behind_get_as_much_of_a_turn_as_the_live(void **state)
{
    (void)state;
    enum { LIVE = 160, CROWD = 299, FRAME = 4096 };
    struct rooms *rooms = rooms_create();
    struct hotlog *log = hotlog_create(&(struct hotlog_settings){1 << 20, 1024, 1}, rooms);
    struct fanout *f = fanout_create(&log, 1, rooms);
    memset(crowd, 0, sizeof crowd);
    for (size_t i = 0; i < CROWD; i++) {
        crowd[i].session = session_create(f, 0, &crowd_hooks, (void *)(uintptr_t)i);
        session_join(crowd[i].session, SLICE("all"));
        if (i < LIVE)
            session_start(crowd[i].session);
    }
    while (fanout_turn(f)) {
    }
    append_for_all(log, rooms, 40, FRAME);
    while (fanout_turn(f)) {
    }
    for (size_t i = LIVE; i < CROWD; i++)
        session_start(crowd[i].session);
    append_for_all(log, rooms, 10, FRAME);
    fanout_counts(f);
    fanout_turn(f);
    uint64_t live = (uint64_t)LIVE * 10 * FRAME, all = fanout_counts(f).bytes;
    assert_true(all >= 2 * live && all < 2 * live + (1 << 20));
    for (size_t i = 0; i < CROWD; i++)
        session_destroy(crowd[i].session);
    fanout_destroy(f);
    hotlog_destroy(log);
    rooms_destroy(rooms);
}

/* --- thousands of random steps --- */

static void change_rooms(struct player *p)
{
    struct world *w = p->world;
    unsigned room = one_in(w, 2) ? next_random(w) % 4 : next_random(w) % ROOM_NAMES;
    char text[16];
    if (one_in(w, 2))
        join(p, room);
    else
        leave(p, room);
    room = next_random(w) % ROOM_NAMES;
    assert_int_equal(session_stands_in(p->session, name_of(text, room)), p->rooms >> room & 1);
    assert_int_equal(session_rooms(p->session), __builtin_popcountll(p->rooms));
}

static void touch_player(struct player *p)
{
    struct world *w = p->world;
    if (!p->session) {
        create(p, (uint16_t)one_in(w, 3));
        for (unsigned i = next_random(w) % 4; i-- > 0;)
            change_rooms(p);
        if (one_in(w, 2))
            start(p);
        return;
    }
    if (one_in(w, 60))
        destroy(p); /* live, ready, blocked or held */
    else if (p->held && one_in(w, 3))
        start(p);
    else if (p->full ? one_in(w, 4) : one_in(w, 50)) /* now and then one that nobody waits for */
        p->full ? writable(p) : session_writable(p->session);
    else if (p->frozen ? one_in(w, 3) : one_in(w, 20))
        freeze(p, !p->frozen);
    else if (one_in(w, 3))
        change_rooms(p);
}

static void run_random(struct world *w, unsigned steps, unsigned batch, unsigned burst)
{
    for (unsigned step = 0; step < steps; step++) {
        for (size_t i = 0; i < PLAYERS; i++)
            if (one_in(w, 3))
                touch_player(&w->players[i]);
        for (unsigned i = next_random(w) % (one_in(w, 40) ? burst : batch); i-- > 0;)
            append_random(w);
        publish(w);
        if (!one_in(w, 5)) /* sometimes more comes before the loop turns */
            turn(w);
    }
    w->generous = true;
    for (size_t i = 0; i < PLAYERS; i++) {
        struct player *p = &w->players[i];
        if (p->session && p->held)
            start(p);
        if (p->session && p->full)
            writable(p);
        if (p->session && p->frozen)
            freeze(p, false);
    }
    settle(w);
    for (size_t i = 0; i < PLAYERS; i++) {
        struct player *p = &w->players[i];
        if (!p->session)
            continue;
        assert_true(p->live);
        assert_int_equal(p->position, w->head);
    }
    assert_true(w->cuts > 20 && w->boundaries > 5 && w->refusals > 20 && w->ephemerals_skipped > 0);
}

static void random_streams_over_a_tiny_log(void **state)
{
    (void)state;
    struct world *w = open_world(1 << 16, 16, 200);
    run_random(w, 15000, 5, 60);
    assert_true(w->aways > 100 && w->all_behind > 50 && w->rewritten > 500);
    close_world(w);
}

static void random_streams_over_a_small_log(void **state)
{
    (void)state;
    struct world *w = open_world(1 << 14, 256, 120);
    run_random(w, 8000, 12, 400);
    assert_true(w->aways > 20 && w->rewritten > 500);
    close_world(w);
}

static void random_streams_with_large_frames(void **state)
{
    (void)state;
    struct world *w = open_world(1 << 20, 4096, 8000);
    run_random(w, 700, 12, 150);
    assert_true(w->chunks_by_bytes > 5);
    close_world(w);
}

static void random_streams_with_many_small_frames(void **state)
{
    (void)state;
    struct world *w = open_world(1 << 20, 16384, 12);
    run_random(w, 900, 100, 8000);
    assert_true(w->chunks_by_frames + w->chunks_by_parts > 5 && w->chunks_by_parts > 0);
    close_world(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_event_reaches_those_who_stand_in_its_room),
        cmocka_unit_test(the_same_name_on_another_lane_is_another_room),
        cmocka_unit_test(exceptions_are_left_out_wherever_else_they_stand),
        cmocka_unit_test(a_held_session_misses_nothing),
        cmocka_unit_test(joining_counts_from_the_sessions_position),
        cmocka_unit_test(leaving_takes_what_is_pending),
        cmocka_unit_test(a_frozen_session_gets_nothing_and_misses_nothing),
        cmocka_unit_test(ephemeral_events_are_for_those_who_are_live),
        cmocka_unit_test(who_stands_before_the_log_is_sent_away),
        cmocka_unit_test(a_loop_that_was_overtaken_sends_its_live_sessions_away),
        cmocka_unit_test(those_behind_take_turns_and_the_live_do_not_wait),
        cmocka_unit_test(those_behind_get_as_much_of_a_turn_as_the_live),
        cmocka_unit_test(random_streams_over_a_tiny_log),
        cmocka_unit_test(random_streams_over_a_small_log),
        cmocka_unit_test(random_streams_with_large_frames),
        cmocka_unit_test(random_streams_with_many_small_frames),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
