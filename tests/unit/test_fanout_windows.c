/* Sessions that come from elsewhere: through windows that are filled beside the hot log, to its head. The
   model knows of every event who has had it, and what the cursor in a frame promises. */
#include "unit.h"

#include "causeway/buffer.h"
#include "causeway/fanout.h"
#include "causeway/frame.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    PLAYERS = 10,
    ROOM_NAMES = 6,
    PARTITIONS = 3,
    WINDOWS = 2,
    EVENTS_MAX = 6000,
    LOGS = WINDOWS + 1,
};

struct event {
    uint32_t rooms, except; /* bits */
    uint32_t partition;
    int64_t offset;
    bool ephemeral;
};

/* What a client has had of an event. */
struct had {
    uint8_t count; /* once before it came counts too */
    bool backfill; /* nothing but backfill so far */
    bool not_asked_for;
};

struct player {
    struct world *world;
    struct session *session, *side; /* NULL: none at the moment */
    uint32_t rooms, side_rooms;     /* bits */
    struct origin *away, *side_away;
    bool full, arrived, refused; /* it could not be held */
    struct buffer stream;
    struct had had[EVENTS_MAX];
    int64_t had_below[PARTITIONS]; /* in an earlier life, elsewhere: also of what comes here later */
    int64_t last[PARTITIONS];      /* the last first receipt, by partition: an event's number */
};

/* A window and the one who fills it. */
struct sweep {
    struct hotlog *log;
    enum { IDLE, FILLING, ENDED, CLEARING } state;
    int64_t begin[PARTITIONS], place[PARTITIONS], target[PARTITIONS];
    uint64_t target_position;
    uint32_t order[EVENTS_MAX]; /* what it holds, as numbers of events */
    uint32_t count, stretch;    /* the cursor of an entry names both */
    unsigned age;
};

struct world {
    struct rooms *rooms;
    struct hotlog *hot;
    struct sweep sweeps[WINDOWS];
    struct fanout *fanout;
    struct player players[PLAYERS];
    struct event *events; /* by position in the hot log */
    uint32_t count;
    int64_t next[PARTITIONS];
    uint16_t lane;
    uint32_t seed;
    bool generous;        /* transports take everything */
    bool brutal;          /* windows do not wait */
    uint32_t leaves_past; /* one step in so many; 0: never */
    unsigned plain, replayed, redelivered, backfilled, repeats, aways, window_aways, sides, sweeps_begun,
        along, promises;
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

/* --- what a client reads --- */

static bool concerns(const struct event *e, uint32_t rooms)
{
    return (e->rooms & rooms) && !(e->except & rooms);
}

/* A cursor promises that everything before it in its log has been had. */
static void check_promise(struct player *p, unsigned log, unsigned stretch, uint32_t at)
{
    struct world *w = p->world;
    const struct sweep *sweep = log ? &w->sweeps[log - 1] : NULL;
    static bool before[EVENTS_MAX];
    if (sweep && sweep->stretch != stretch)
        return;
    w->promises++;
    for (uint32_t i = 0; i < w->count; i++)
        before[i] = sweep ? w->events[i].offset < sweep->begin[w->events[i].partition] : i <= at;
    for (uint32_t i = 0; sweep && i <= at; i++)
        before[sweep->order[i]] = true;
    for (uint32_t i = 0; i < w->count; i++)
        if (before[i] && !w->events[i].ephemeral && concerns(&w->events[i], p->rooms) && !p->had[i].count)
            fail_msg("the cursor of %u in log %u was sent, but event %u was not", at, log, i);
}

enum kind { PLAIN, REPLAYED, REDELIVERED, BACKFILL };

static void receive(struct player *p, uint32_t number, enum kind kind)
{
    struct world *w = p->world;
    assert_true(number < w->count);
    const struct event *e = &w->events[number];
    struct had *had = &p->had[number];
    assert_true(concerns(e, p->rooms | (kind == BACKFILL ? p->side_rooms : 0)));
    assert_true(kind != BACKFILL || (e->rooms & p->side_rooms));
    if (had->count > 0) {
        bool marked = kind == REDELIVERED || kind == BACKFILL;
        if (!marked)
            fail_msg("event %u came again without a mark", number);
        w->repeats++;
    } else if (kind != BACKFILL) {
        if ((int64_t)number <= p->last[e->partition])
            fail_msg("event %u came after %lld", number, (long long)p->last[e->partition]);
        p->last[e->partition] = number;
    }
    had->backfill = kind == BACKFILL && (had->backfill || had->count == 0);
    had->count = 1;
}

static void read_frame(struct player *p, struct slice text)
{
    struct world *w = p->world;
    unsigned number, log, stretch, at;
    char line[128];
    snprintf(line, sizeof line, "%.*s", SLICE_ARGS(text));
    assert_int_equal(sscanf(line, "{\"e\":%u", &number), 1);
    const char *end = strchr(line, ',');
    if (!end) {
        w->replayed++;
        receive(p, number, REPLAYED);
    } else if (sscanf(end, ",\"cursor\":\"%u.%u.%u\"}", &log, &stretch, &at) == 3) {
        w->plain++;
        receive(p, number, PLAIN);
        if (one_in(w, 4))
            check_promise(p, log, stretch, at);
    } else if (strcmp(end, ",\"redelivered\":true}") == 0) {
        w->redelivered++;
        receive(p, number, REDELIVERED);
    } else {
        assert_string_equal(end, ",\"redelivered\":true,\"backfill\":true}");
        w->backfilled++;
        receive(p, number, BACKFILL);
    }
}

static void read_stream(struct player *p)
{
    size_t at = 0;
    while (p->stream.size - at >= 2) {
        assert_int_equal((unsigned char)p->stream.data[at], 0x81);
        size_t size = (unsigned char)p->stream.data[at + 1];
        assert_true(size < 126);
        if (p->stream.size - at < 2 + size)
            break;
        read_frame(p, (struct slice){p->stream.data + at + 2, size});
        at += 2 + size;
    }
    buffer_drop(&p->stream, at);
}

/* --- hooks --- */

static size_t on_write(void *transport, const struct iovec *parts, int count)
{
    struct player *p = transport;
    struct world *w = p->world;
    size_t total = 0;
    if (p->full) /* another session of the same transport may try */
        return 0;
    for (int i = 0; i < count; i++)
        total += parts[i].iov_len;
    size_t taken = w->generous || !one_in(w, 3) ? total : next_random(w) % (total + 1), left = taken;
    for (int i = 0; i < count && left > 0; i++) {
        size_t size = parts[i].iov_len < left ? parts[i].iov_len : left;
        buffer_add(&p->stream, parts[i].iov_base, size);
        left -= size;
    }
    p->full = taken < total;
    read_stream(p);
    return taken;
}

static void on_keep(void *transport, const char *rest, size_t size)
{
    struct player *p = transport;
    assert_true(p->full && p->stream.size > 0);
    buffer_add(&p->stream, rest, size); /* nothing else goes out before it */
    read_stream(p);
    assert_int_equal(p->stream.size, 0);
}

static void on_away(void *transport, struct session *s, struct origin *origin)
{
    struct player *p = transport;
    struct world *w = p->world;
    bool side = s == p->side;
    assert_true(side || s == p->session);
    struct origin **place = side ? &p->side_away : &p->away;
    assert_null(*place);
    *place = origin;
    p->arrived = p->arrived && side; /* told anew */
    w->aways++;
    for (uint32_t i = 0; i < PARTITIONS; i++)
        assert_true(origin_skip(origin, i) <= origin_mark(origin, i));
    for (uint32_t i = 0; i < w->count && !side; i++) {
        const struct event *e = &w->events[i];
        if (!concerns(e, p->rooms) || e->ephemeral)
            continue;
        if (!p->had[i].count && e->offset < origin_skip(origin, e->partition))
            fail_msg("event %u was not had, and lies before the place; rooms %x in %x except %x, offset %lld "
                     "of %u",
                i, e->rooms, p->rooms, e->except, (long long)e->offset, e->partition);
        if (p->had[i].count && !p->had[i].backfill && e->offset >= origin_mark(origin, e->partition))
            fail_msg("event %u was had, and lies beyond the mark", i);
    }
}

static void on_arrived(void *transport, struct session *s)
{
    struct player *p = transport;
    char text[16];
    if (s == p->session) {
        assert_true(!p->arrived || p->refused);
        p->arrived = true;
        p->refused = false;
        return;
    }
    assert_ptr_equal(s, p->side);
    for (unsigned i = 0; i < ROOM_NAMES; i++)
        if (p->side_rooms >> i & 1)
            session_join(p->session, name_of(text, i));
    p->rooms |= p->side_rooms;
    p->side = NULL;
    session_release(p->session);
    session_destroy(s);
}

static const struct transport_hooks hooks = {on_write, on_keep, NULL, on_away, on_arrived};

/* --- the logs --- */

static void append_to(struct world *w, struct hotlog *log, const struct event *e, uint32_t number,
    unsigned log_number, unsigned stretch, uint32_t at)
{
    char text[100], tail[40], name[16];
    uint32_t rooms[2 * ROOM_NAMES];
    size_t count = 0, except = 0;
    int tail_size = snprintf(tail, sizeof tail, ",\"cursor\":\"%u.%u.%u\"}", log_number, stretch, at);
    int size = snprintf(text, sizeof text, "{\"e\":%u%s", number, tail);
    for (unsigned i = 0; i < ROOM_NAMES; i++)
        if (e->rooms >> i & 1)
            rooms[count++] = rooms_hold(w->rooms, w->lane, name_of(name, i));
    for (unsigned i = 0; i < ROOM_NAMES; i++)
        if (e->except >> i & 1)
            rooms[count + except++] = rooms_hold(w->rooms, w->lane, name_of(name, i));
    char header[FRAME_HEADER_MAX];
    size_t header_size = frame_header(header, FRAME_TEXT, (size_t)size);
    char *frame = hotlog_reserve(log, header_size + (size_t)size);
    memcpy(frame, header, header_size);
    memcpy(frame + header_size, text, (size_t)size);
    hotlog_append(log, &(struct hotlog_append){.partition = e->partition,
                           .offset = e->offset,
                           .head_size = (uint16_t)header_size,
                           .tail_size = (uint16_t)tail_size,
                           .rooms = rooms,
                           .room_count = count,
                           .except = rooms + count,
                           .except_count = except,
                           .ephemeral = e->ephemeral});
}

/* A record: up to three events in a row. */
static void produce(struct world *w)
{
    uint32_t partition = next_random(w) % PARTITIONS;
    int64_t offset = w->next[partition] + next_random(w) % 2;
    for (unsigned n = next_random(w) % 4; n-- > 0;) {
        struct event *e = &w->events[w->count];
        *e = (struct event){.partition = partition, .offset = offset, .ephemeral = one_in(w, 10)};
        e->rooms = 1U << next_random(w) % ROOM_NAMES;
        if (one_in(w, 3))
            e->rooms |= 1U << next_random(w) % ROOM_NAMES;
        if (one_in(w, 8))
            e->except = 1U << next_random(w) % ROOM_NAMES;
        append_to(w, w->hot, e, w->count, 0, 0, w->count);
        for (size_t i = 0; i < PLAYERS; i++)
            if (offset < w->players[i].had_below[partition])
                w->players[i].had[w->count].count = 1;
        assert_true(++w->count < EVENTS_MAX);
    }
    w->next[partition] = offset + 1;
    hotlog_advance(w->hot, partition, offset + 1);
}

/* --- sweeps --- */

static struct origin **next_request(struct world *w, size_t *at, struct session **session, uint64_t *until)
{
    for (; *at < 2 * PLAYERS; (*at)++) {
        struct player *p = &w->players[*at / 2];
        struct origin **away = *at % 2 ? &p->side_away : &p->away;
        if (!*away)
            continue;
        *session = *at % 2 ? p->side : p->session;
        *until = session_until(*session);
        (*at)++;
        return away;
    }
    return NULL;
}

static void admit(struct sweep *s, struct world *w, struct session *session, struct origin **away)
{
    session_enter(session, (unsigned)(s - w->sweeps) + 1, hotlog_next(s->log), *away);
    fanout_report(w->fanout);
    origin_release(*away);
    *away = NULL;
}

static void begin_sweep(struct world *w, struct sweep *s)
{
    struct session *session, *sessions[2 * PLAYERS];
    struct origin **away, **places[2 * PLAYERS];
    uint64_t until, limit = hotlog_head(w->hot);
    size_t at = 0, count = 0;
    for (uint32_t i = 0; i < PARTITIONS; i++)
        s->begin[i] = INT64_MAX;
    while ((away = next_request(w, &at, &session, &until))) {
        limit = until < limit ? until : limit;
        sessions[count] = session;
        places[count++] = away;
        for (uint32_t i = 0; i < PARTITIONS; i++)
            if (origin_skip(*away, i) < s->begin[i])
                s->begin[i] = origin_skip(*away, i);
    }
    if (count == 0)
        return;
    s->target_position = hotlog_place_before(w->hot, limit, s->target, PARTITIONS);
    if (s->target_position < hotlog_tail(w->hot)) {
        s->target_position = hotlog_place_before(w->hot, hotlog_head(w->hot), s->target, PARTITIONS);
    }
    hotlog_restart(s->log);
    s->stretch++;
    s->count = 0;
    for (uint32_t i = 0; i < PARTITIONS; i++) {
        if (s->begin[i] > s->target[i])
            s->begin[i] = s->target[i];
        s->place[i] = s->begin[i];
        hotlog_advance(s->log, i, s->begin[i]);
    }
    hotlog_publish(s->log);
    s->state = FILLING;
    s->age = 0;
    w->sweeps_begun++;
    for (size_t i = 0; i < count; i++) /* not those who are sent away meanwhile */
        admit(s, w, sessions[i], places[i]);
}

static void take_along(struct world *w, struct sweep *s)
{
    struct session *session;
    struct origin **away;
    uint64_t until;
    for (size_t at = 0; (away = next_request(w, &at, &session, &until));) {
        bool can = until >= s->target_position;
        for (uint32_t i = 0; i < PARTITIONS; i++)
            can = can && s->place[i] <= origin_skip(*away, i);
        if (!can)
            continue;
        admit(s, w, session, away);
        w->along++;
    }
}

/* The next record of the partition before the target goes into the window. false: there is none. */
static bool fill_one(struct world *w, struct sweep *s, uint32_t partition)
{
    uint32_t i = 0;
    while (i < w->count && (w->events[i].partition != partition || w->events[i].offset < s->place[partition]))
        i++;
    if (i == w->count || w->events[i].offset >= s->target[partition])
        return false;
    int64_t offset = w->events[i].offset;
    for (; i < w->count && w->events[i].offset == offset && w->events[i].partition == partition; i++) {
        append_to(w, s->log, &w->events[i], i, (unsigned)(s - w->sweeps) + 1, s->stretch, s->count);
        s->order[s->count++] = i;
    }
    s->place[partition] = offset + 1;
    hotlog_advance(s->log, partition, offset + 1);
    return true;
}

static void fill(struct world *w, struct sweep *s)
{
    for (unsigned records = 1 + next_random(w) % (w->brutal ? 30 : 6); records-- > 0;) {
        if (!w->brutal && hotlog_backlog(s->log) > 40)
            break;
        uint32_t first = next_random(w) % PARTITIONS, tried = 0;
        while (tried < PARTITIONS && !fill_one(w, s, (first + tried) % PARTITIONS))
            tried++;
        if (tried < PARTITIONS)
            continue;
        for (uint32_t i = 0; i < PARTITIONS; i++)
            hotlog_advance(s->log, i, s->target[i]);
        hotlog_publish(s->log);
        hotlog_end(s->log, hotlog_head(s->log), s->target_position);
        s->state = ENDED;
        return;
    }
    hotlog_publish(s->log);
    if (one_in(w, 2))
        take_along(w, s);
}

static void run_sweep(struct world *w, struct sweep *s)
{
    s->age++;
    if (s->state == IDLE && one_in(w, 2)) {
        begin_sweep(w, s);
    } else if (s->state == FILLING) {
        fill(w, s);
    } else if (s->state == ENDED && (hotlog_walkers(s->log) == 0 || s->age > 150)) {
        w->window_aways += hotlog_walkers(s->log) > 0;
        hotlog_evict_all(s->log);
        s->state = CLEARING;
    } else if (s->state == CLEARING && hotlog_walkers(s->log) == 0) {
        s->state = IDLE;
    }
}

/* --- players --- */

static void join_rooms(struct session *s, uint32_t rooms)
{
    char text[16];
    for (unsigned i = 0; i < ROOM_NAMES; i++)
        if (rooms >> i & 1)
            session_join(s, name_of(text, i));
}

static uint32_t draw_rooms(struct world *w)
{
    return 1 + next_random(w) % ((1U << ROOM_NAMES) - 1);
}

static void create(struct player *p)
{
    struct world *w = p->world;
    p->session = session_create(w->fanout, w->lane, &hooks, p);
    p->rooms = draw_rooms(w);
    p->arrived = p->refused = p->full = false;
    memset(p->had, 0, sizeof p->had);
    memset(p->had_below, 0, sizeof p->had_below);
    for (uint32_t i = 0; i < PARTITIONS; i++)
        p->last[i] = -1;
    join_rooms(p->session, p->rooms);
}

/* All before this place was had, in an earlier life. */
static void had_before(struct player *p, const int64_t place[PARTITIONS])
{
    memcpy(p->had_below, place, sizeof p->had_below);
    for (uint32_t i = 0; i < p->world->count; i++) {
        const struct event *e = &p->world->events[i];
        p->had[i].count = e->offset < place[e->partition];
    }
}

static void start_now(struct player *p)
{
    uint64_t position = session_position(p->session);
    for (uint32_t i = 0; i < position; i++)
        p->had[i].count = 1;
    session_start(p->session);
}

/* Some place that another log may have come to: any prefix of each partition. What the cursor says of it is
 * below in `skip`, above in `mark`. */
static struct origin *draw_origin(struct world *w, int64_t place[PARTITIONS], bool ahead)
{
    struct origin *o = origin_create(PARTITIONS, false);
    int64_t back = (int64_t)(next_random(w) % (one_in(w, 3) ? 20 : 200));
    for (uint32_t i = 0; i < PARTITIONS; i++) {
        place[i] = w->next[i] - (back + (int64_t)(next_random(w) % 15));
        if (ahead) /* this log has not come so far yet */
            place[i] = w->next[i] + (int64_t)(next_random(w) % 20);
        if (place[i] < 0)
            place[i] = 0;
        bool exact = one_in(w, 2);
        o->skip[i] = exact ? place[i] : place[i] - (int64_t)(next_random(w) % 10);
        o->mark[i] = exact ? place[i] : place[i] + (int64_t)(next_random(w) % 10);
        if (o->skip[i] < 0)
            o->skip[i] = 0;
    }
    return o;
}

static void start_from_elsewhere(struct player *p)
{
    int64_t place[PARTITIONS];
    struct origin *o = draw_origin(p->world, place, one_in(p->world, 3));
    had_before(p, place);
    session_set_origin(p->session, o);
    origin_release(o);
    session_start(p->session);
}

static void start_exactly(struct player *p)
{
    struct world *w = p->world;
    uint64_t back = next_random(w) % 100, head = hotlog_head(w->hot);
    uint64_t position = head > back ? head - back : 0;
    for (uint32_t i = 0; i < position; i++)
        p->had[i].count = 1;
    session_set_position(p->session, position);
    session_start(p->session);
}

/* A cursor is looked up when the log has come to where it stands: it leads nowhere beyond the session. */
static void draw_back(struct world *w, struct origin *o, int64_t place[PARTITIONS], uint64_t position)
{
    for (uint64_t i = position; i < w->count; i++) {
        const struct event *e = &w->events[i];
        int64_t *values[] = {&place[e->partition], &o->skip[e->partition]};
        for (size_t n = 0; n < 2; n++)
            if (*values[n] > e->offset)
                *values[n] = e->offset;
    }
}

/* Another room, from some place on, beside the session itself. */
static void begin_side(struct player *p)
{
    struct world *w = p->world;
    uint32_t more = draw_rooms(w) & ~p->rooms;
    int64_t place[PARTITIONS];
    if (p->side || p->away || !session_is_live(p->session) || !more)
        return;
    p->refused = !session_hold(p->session);
    if (p->refused)
        return;
    p->side = session_side(p->session, session_position(p->session));
    p->side_rooms = more;
    join_rooms(p->side, more);
    struct origin *o = draw_origin(w, place, false);
    draw_back(w, o, place, session_position(p->session));
    uint64_t position = session_position(p->session);
    position -= next_random(w) % (position / 2 + 1);
    bool exact = one_in(w, 3);
    for (uint32_t i = 0; i < w->count; i++) { /* what is not asked for */
        const struct event *e = &w->events[i];
        if (!concerns(e, p->rooms) && (exact ? i < position : e->offset < place[e->partition]))
            p->had[i].count = 1;
    }
    if (exact)
        session_set_side_position(p->side, position);
    else
        session_set_origin(p->side, o);
    origin_release(o);
    session_start(p->side);
    w->sides++;
}

static void destroy(struct player *p)
{
    session_destroy(p->side);
    session_destroy(p->session);
    origin_release(p->away);
    origin_release(p->side_away);
    buffer_finish(&p->stream);
    p->full = false;
    p->session = p->side = NULL;
    p->away = p->side_away = NULL;
}

static void writable(struct player *p)
{
    p->full = false;
    session_writable(p->session);
    if (p->side)
        session_writable(p->side);
}

static void touch(struct player *p)
{
    struct world *w = p->world;
    if (!p->session) {
        static void (*const starts[])(struct player *) = {start_now, start_from_elsewhere, start_exactly};
        create(p);
        starts[next_random(w) % 3](p);
    } else if (one_in(w, 150)) {
        destroy(p);
    } else if (p->full && one_in(w, 3)) {
        writable(p);
    } else if (one_in(w, 20)) {
        begin_side(p);
    }
}

/* Everything that concerns it, since it came, has been had. */
static void check_complete(struct player *p)
{
    struct world *w = p->world;
    for (uint32_t i = 0; i < w->count; i++)
        if (!w->events[i].ephemeral && concerns(&w->events[i], p->rooms) && !p->had[i].count)
            fail_msg("player %d never had event %u", (int)(p - w->players), i);
}

/* --- the stage --- */

static struct world *open_world(uint32_t hot_entries, uint32_t window_entries, uint32_t seed)
{
    struct world *w = calloc(1, sizeof *w);
    struct hotlog *logs[LOGS];
    *w = (struct world){.rooms = rooms_create(), .seed = seed};
    w->events = calloc(EVENTS_MAX, sizeof *w->events);
    w->hot = logs[0] = hotlog_create(&(struct hotlog_settings){1 << 18, hot_entries, 1}, w->rooms);
    for (unsigned i = 0; i < WINDOWS; i++) {
        w->sweeps[i].log = hotlog_create(&(struct hotlog_settings){1 << 16, window_entries, 1}, w->rooms);
        logs[i + 1] = w->sweeps[i].log;
    }
    for (uint32_t i = 0; i < PARTITIONS; i++)
        hotlog_advance(w->hot, i, 0);
    w->fanout = fanout_create(logs, LOGS, w->rooms);
    for (size_t i = 0; i < PLAYERS; i++)
        w->players[i].world = w;
    return w;
}

static void close_world(struct world *w)
{
    for (size_t i = 0; i < PLAYERS; i++)
        destroy(&w->players[i]);
    fanout_destroy(w->fanout);
    hotlog_destroy(w->hot);
    for (unsigned i = 0; i < WINDOWS; i++)
        hotlog_destroy(w->sweeps[i].log);
    rooms_destroy(w->rooms);
    free(w->events);
    free(w);
}

static void step(struct world *w)
{
    for (unsigned i = 0; i < WINDOWS; i++)
        run_sweep(w, &w->sweeps[i]);
    if (!one_in(w, 4))
        fanout_turn(w->fanout);
}

/* As when the catalogue is exchanged: what the logs hold is walked by nobody any more. */
static void leave_past(struct world *w)
{
    hotlog_publish(w->hot);
    fanout_turn(w->fanout);
    fanout_leave_past(w->fanout);
    w->lane ^= 1;
    for (size_t i = 0; i < PLAYERS; i++) {
        if (w->players[i].session)
            session_change_lane(w->players[i].session, w->lane);
        if (w->players[i].side)
            session_change_lane(w->players[i].side, w->lane);
    }
    hotlog_empty(w->hot);
    assert_int_equal(hotlog_tail(w->hot), hotlog_head(w->hot));
    for (unsigned i = 0; i < WINDOWS; i++) {
        if (w->sweeps[i].state != FILLING && w->sweeps[i].state != ENDED)
            continue;
        hotlog_evict_all(w->sweeps[i].log);
        w->sweeps[i].state = CLEARING;
    }
}

static bool is_settled(const struct world *w)
{
    for (size_t i = 0; i < PLAYERS; i++) {
        const struct player *p = &w->players[i];
        if (p->session && (p->side || !p->arrived || p->away || fanout_pending(w->fanout)))
            return false;
    }
    for (unsigned i = 0; i < WINDOWS; i++)
        if (w->sweeps[i].state != IDLE)
            return false;
    return true;
}

static void settle(struct world *w)
{
    w->generous = true;
    w->brutal = false;
    for (size_t i = 0; i < PLAYERS; i++)
        if (w->players[i].full)
            writable(&w->players[i]);
    for (unsigned i = 0; !is_settled(w); i++) {
        step(w);
        assert_true(i < 20000);
    }
    for (size_t i = 0; i < PLAYERS; i++)
        if (w->players[i].session)
            check_complete(&w->players[i]);
}

static void run_random(struct world *w, unsigned steps)
{
    for (unsigned i = 0; i < steps; i++) {
        for (size_t j = 0; j < PLAYERS; j++)
            if (one_in(w, 4))
                touch(&w->players[j]);
        if (one_in(w, 4))
            for (unsigned n = next_random(w) % (one_in(w, 30) ? 40 : 4); n-- > 0;)
                produce(w);
        hotlog_publish(w->hot);
        if (w->leaves_past && one_in(w, w->leaves_past))
            leave_past(w);
        step(w);
    }
    settle(w);
}

static void nothing_is_lost_and_repeats_are_marked(void **state)
{
    (void)state;
    unsigned repeats = 0, deliveries = 0, along = 0;
    for (uint32_t seed = 1; seed <= 12; seed++) {
        struct world *w = open_world(64, 64, seed * 7919);
        run_random(w, 2500);
        assert_true(w->aways > 20 && w->sweeps_begun > 10 && w->sides > 5);
        assert_true(w->plain > 500 && w->replayed > 100 && w->redelivered > 20 && w->backfilled > 50);
        assert_true(w->promises > 100);
        repeats += w->repeats;
        deliveries += w->plain + w->replayed + w->redelivered;
        along += w->along;
        close_world(w);
    }
    assert_true(along > 0);
    assert_true(repeats > 0 && repeats < deliveries / 5);
}

static void so_it_is_when_windows_do_not_wait_for_those_who_walk_them(void **state)
{
    (void)state;
    unsigned late = 0;
    for (uint32_t seed = 1; seed <= 12; seed++) {
        struct world *w = open_world(32, 16, seed * 104729);
        w->brutal = true;
        run_random(w, 2000);
        assert_true(w->aways > 50 && w->sweeps_begun > 10);
        late += w->window_aways;
        close_world(w);
    }
    assert_true(late > 0);
}

static void so_it_is_when_the_past_is_left(void **state)
{
    (void)state;
    unsigned repeats = 0, deliveries = 0;
    for (uint32_t seed = 1; seed <= 12; seed++) {
        struct world *w = open_world(512, 64, seed * 15485863);
        w->leaves_past = 40;
        run_random(w, 2000);
        assert_true(w->aways > 20 && w->sweeps_begun > 10 && w->sides > 5);
        repeats += w->repeats;
        deliveries += w->plain + w->replayed + w->redelivered;
        close_world(w);
    }
    assert_true(repeats < deliveries / 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_lost_and_repeats_are_marked),
        cmocka_unit_test(so_it_is_when_windows_do_not_wait_for_those_who_walk_them),
        cmocka_unit_test(so_it_is_when_the_past_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
