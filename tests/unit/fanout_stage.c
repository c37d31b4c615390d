#include "fanout_stage.h"

#include "causeway/fanout.h"

#include <stdio.h>
#include <stdlib.h>

struct slice name_of(char text[16], unsigned room)
{
    int size = snprintf(text, 16, "room-%u", room);
    return (struct slice){text, (size_t)size};
}

/* --- what happens --- */

void append(struct world *w, const struct event *e)
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

void publish(struct world *w)
{
    hotlog_publish(w->log);
    w->published = w->count;
}

void join(struct player *p, unsigned room)
{
    char text[16];
    bool changed = !(p->rooms >> room & 1);
    assert_int_equal(session_join(p->session, name_of(text, room)), changed);
    p->rooms |= (uint64_t)1 << room;
}

void leave(struct player *p, unsigned room)
{
    char text[16];
    bool changed = p->rooms >> room & 1;
    assert_int_equal(session_leave(p->session, name_of(text, room)), changed);
    p->rooms &= ~((uint64_t)1 << room);
}

void create(struct player *p, uint16_t lane)
{
    struct world *w = p->world;
    *p = (struct player){.world = w, .lane = lane, .held = true, .position = w->fan_position};
    p->session = session_create(w->fanout, lane, &player_hooks, p);
}

void start(struct player *p)
{
    p->held = false;
    session_start(p->session);
}

void freeze(struct player *p, bool frozen)
{
    p->frozen = frozen;
    p->live = p->live && !frozen;
    (frozen ? session_freeze : session_thaw)(p->session);
}

void check_stream(struct player *p)
{
    buffer_add_slice(&p->received, buffer_slice(&p->kept));
    buffer_clear(&p->kept);
    assert_int_equal(p->received.size, p->expected.size);
    if (p->expected.size > 0)
        assert_memory_equal(p->received.data, p->expected.data, p->expected.size);
}

void destroy(struct player *p)
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

void writable(struct player *p)
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

bool turn(struct world *w)
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

void settle(struct world *w)
{
    for (int i = 0; turn(w) || anybody_away(w); i++)
        assert_true(i < 10000);
}

struct world *open_world(size_t bytes, uint32_t entries, uint32_t frame_max)
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

void close_world(struct world *w)
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
