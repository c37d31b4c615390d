#include "fanout_windows_stage_client.h"

#include "causeway/buffer.h"

#include <stdio.h>

/* --- what a client reads --- */

bool concerns(const struct event *e, uint32_t rooms)
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

const struct transport_hooks player_hooks = {on_write, on_keep, NULL, on_away, on_arrived, NULL};
