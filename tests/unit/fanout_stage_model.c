#include "fanout_stage_model.h"

#include "causeway/envelope.h"

uint32_t next_random(struct world *w)
{
    w->seed ^= w->seed << 13;
    w->seed ^= w->seed >> 17;
    w->seed ^= w->seed << 5;
    return w->seed;
}

bool one_in(struct world *w, uint32_t n)
{
    return next_random(w) % n == 0;
}

char frame_byte(uint64_t sequence, size_t at)
{
    if (at == 0)
        return 'P'; /* as it stands in the log; what is written anew begins with a frame's header */
    return (char)((sequence * 2654435761u + at * 40503u) >> 5);
}

uint16_t head_of(uint32_t size)
{
    return size > 8 ? 1 : 0;
}

uint16_t tail_of(uint32_t size)
{
    return size > 8 ? 3 : 0;
}

/* --- the model --- */

static bool concerns(const struct player *p, const struct event *e, bool live)
{
    return e->lane == p->lane && (e->rooms & p->rooms) && !(e->except & p->rooms) && (live || !e->ephemeral);
}

uint64_t next_for(const struct player *p, uint64_t from, bool live)
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

size_t write_anew(const struct world *w, uint64_t sequence, struct buffer *out)
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

void check_chunk_was_full(struct player *p, uint64_t next)
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

const struct transport_hooks player_hooks = {on_write, on_keep, NULL, on_away, on_arrived, NULL};
