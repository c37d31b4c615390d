/* Cutting the entries of a session's rooms, merged in the order of the log, into stretches that one write can
   take. Sessions that stand at the same place in the same room share the stretch. */
#include "fanout_internal.h"

#include "causeway/envelope.h"
#include "causeway/memory.h"

static void chunk_begin(struct chunk *c, const struct session *s, uint64_t position, uint64_t head)
{
    c->position = position;
    c->head = head;
    c->next = head;
    origin_release(c->origin);
    c->origin = s->origin ? origin_hold(s->origin) : NULL; /* so that no other one gets its address */
    c->room = ROOM_NONE;
    c->log = s->log;
    c->live = s->state == SESSION_LIVE;
    c->side = s->side;
    c->repeat = s->repeat;
    c->ack_first = UINT64_MAX;
    c->ack_last = 0;
    c->whole = false;
    c->part_count = 0;
    c->frame_count = 0;
    c->bytes = 0;
    buffer_clear(&c->text);
}

void chunk_finish(struct chunk *c)
{
    origin_release(c->origin);
    buffer_finish(&c->text);
}

/* The chunk is full: this entry begins the next one. */
static bool chunk_end(struct chunk *c, uint64_t sequence)
{
    c->next = sequence;
    c->whole = true;
    return false;
}

static void note_frame(struct chunk *c, const struct hotlog_entry *e, size_t size, uint64_t sequence)
{
    if (e->ack) {
        c->ack_first = c->ack_first == UINT64_MAX ? sequence : c->ack_first;
        c->ack_last = sequence;
    }
    c->bytes += size;
    c->frame_end[c->frame_count] = (uint32_t)c->bytes;
    c->frame_sequence[c->frame_count++] = sequence;
}

/* A frame as it stands in the log. false: the chunk is full. */
static bool add_plain(struct chunk *c, const struct hotlog_entry *e, uint64_t sequence)
{
    struct iovec *last = c->part_count ? &c->parts[c->part_count - 1] : NULL;
    bool joins = last && (char *)last->iov_base + last->iov_len == e->frame;
    if (c->frame_count == CHUNK_FRAMES || (!joins && c->part_count == CHUNK_PARTS) ||
        (c->bytes > 0 && c->bytes + e->frame_size > CHUNK_BYTES))
        return chunk_end(c, sequence);
    if (joins)
        last->iov_len += e->frame_size;
    else
        c->parts[c->part_count++] = (struct iovec){(void *)(uintptr_t)e->frame, e->frame_size};
    note_frame(c, e, e->frame_size, sequence);
    return true;
}

/* The frame's cursor promises that nothing behind it can be a repeat, which does not hold for one who comes
 * from elsewhere. */
static size_t cursor_for(
    struct fanout *f, const struct chunk *c, const struct hotlog_entry *e, char out[CURSOR_TEXT_MAX + 1])
{
    struct slice plain = envelope_cursor((struct slice){e->frame, e->frame_size}, e->tail_size);
    struct cursor_rebase *rebase = f->views[c->log].rebase;
    return rebase && plain.size > 0 && !c->side ? cursor_rebase(rebase, plain, c->origin, out) : 0;
}

/* A frame as it is for one who comes from elsewhere: left out, marked, with a cursor of its own. false: the
 * chunk is full. */
static bool add_compared(struct fanout *f, struct chunk *c, const struct hotlog_entry *e, uint64_t sequence)
{
    const struct origin *o = c->origin;
    if (e->offset < origin_skip(o, e->partition) || origin_stops(o, e->partition, e->offset))
        return true;
    if (c->frame_count == CHUNK_FRAMES ||
        (c->bytes > 0 && c->bytes + e->frame_size + ENVELOPE_VARIANT_EXTRA > CHUNK_BYTES))
        return chunk_end(c, sequence);
    size_t before = c->text.size;
    enum envelope_variant variant = c->side                                    ? ENVELOPE_BACKFILL
                                    : e->offset < origin_mark(o, e->partition) ? ENVELOPE_REDELIVERED
                                                                               : ENVELOPE_REPLAYED;
    char cursor[CURSOR_TEXT_MAX + 1];
    struct slice frame = {e->frame, e->frame_size};
    if (e->uniform)
        buffer_add_slice(&c->text, frame);
    else
        envelope_add_variant(&c->text, frame, e->head_size, e->tail_size, variant,
            (struct slice){cursor, cursor_for(f, c, e, cursor)});
    note_frame(c, e, c->text.size - before, sequence);
    return true;
}

static bool add(struct fanout *f, struct chunk *c, const struct hotlog_entry *e, uint64_t sequence)
{
    if ((e->ephemeral && !c->live) || (c->repeat && !e->ack))
        return true;
    return c->origin ? add_compared(f, c, e, sequence) : add_plain(c, e, sequence);
}

static void chunk_close(struct chunk *c)
{
    if (c->origin && c->bytes > 0) {
        c->parts[0] = (struct iovec){c->text.data, c->text.size};
        c->part_count = 1;
    }
}

/* For every session that has nothing else in the stretch. false: an entry leaves somebody out, so it cannot
 * be shared. */
static bool build_shared(struct fanout *f, struct chunk *c, uint32_t room)
{
    struct hotlog *log = f->views[c->log].log;
    struct hotlog_run run = hotlog_find(log, room, c->position, c->head);
    for (size_t i = 0; i < run.count; i++) {
        struct hotlog_entry e = hotlog_get(log, run.at[i]);
        if (e.except_count > 0)
            return false;
        if (i == CHUNK_LOOKS ? !chunk_end(c, run.at[i]) : !add(f, c, &e, run.at[i]))
            break;
    }
    c->room = room;
    chunk_close(c);
    return true;
}

static bool is_except(const struct session *s, const struct hotlog_entry *e)
{
    const uint32_t *except = e->rooms + e->room_count;
    for (uint16_t i = 0; i < e->except_count; i++)
        for (uint32_t j = 0; j < s->room_count; j++)
            if (s->rooms[j].room == except[i])
                return true;
    return false;
}

/* A side walk is the same client: where its session stands counts too. */
static bool left_out(const struct session *s, const struct hotlog_entry *e)
{
    return e->except_count > 0 && (is_except(s, e) || (s->main && is_except(s->main, e)));
}

static void sift_down(struct merge_run *heap, size_t count, size_t at)
{
    for (;;) {
        size_t least = at, left = 2 * at + 1, right = left + 1;
        if (left < count && heap[left].run.at[0] < heap[least].run.at[0])
            least = left;
        if (right < count && heap[right].run.at[0] < heap[least].run.at[0])
            least = right;
        if (least == at)
            return;
        struct merge_run moved = heap[at];
        heap[at] = heap[least];
        heap[least] = moved;
        at = least;
    }
}

static size_t collect_runs(struct fanout *f, const struct session *s, const struct chunk *c)
{
    if (s->room_count > f->run_capacity) {
        f->run_capacity = s->room_count * 2;
        f->runs = xrealloc(f->runs, f->run_capacity * sizeof *f->runs);
    }
    struct hotlog *log = f->views[c->log].log;
    size_t count = 0;
    for (uint32_t i = 0; i < s->room_count; i++) {
        if (hotlog_room_end(log, s->rooms[i].room) <= c->position)
            continue;
        struct hotlog_run run = hotlog_find(log, s->rooms[i].room, c->position, c->head);
        if (run.count > 0)
            f->runs[count++] = (struct merge_run){run, s->rooms[i].room};
    }
    for (size_t i = count / 2; i-- > 0;)
        sift_down(f->runs, count, i);
    return count;
}

/* All rooms of one session: its runs merged; an entry that is in several of them goes out once. */
static void build_own(struct fanout *f, struct chunk *c, const struct session *s)
{
    struct hotlog *log = f->views[c->log].log;
    size_t count = collect_runs(f, s, c), looks = 0;
    uint64_t last = UINT64_MAX;
    while (count > 0) {
        struct merge_run *top = &f->runs[0];
        uint64_t sequence = top->run.at[0];
        if (sequence != last) {
            struct hotlog_entry e = hotlog_get(log, sequence);
            if (looks++ == CHUNK_LOOKS ? !chunk_end(c, sequence)
                                       : !left_out(s, &e) && !add(f, c, &e, sequence))
                break;
            last = sequence;
        }
        top->run.at++;
        if (--top->run.count == 0)
            f->runs[0] = f->runs[--count];
        sift_down(f->runs, count, 0);
    }
    chunk_close(c);
}

/* The one room of the session that can have entries at or after `position`; ROOM_NONE when there are several;
 * *none when there is none. */
static uint32_t only_room(const struct fanout *f, const struct session *s, uint64_t position, bool *none)
{
    const struct hotlog *log = f->views[s->log].log;
    uint32_t found = ROOM_NONE;
    for (uint32_t i = 0; i < s->room_count; i++) {
        if (hotlog_room_end(log, s->rooms[i].room) <= position)
            continue;
        if (found != ROOM_NONE) {
            *none = false;
            return ROOM_NONE;
        }
        found = s->rooms[i].room;
    }
    *none = found == ROOM_NONE;
    return found;
}

static bool fits(
    const struct chunk *c, const struct session *s, uint32_t room, uint64_t position, uint64_t head)
{
    return c->room == room && c->position == position && c->log == s->log && c->origin == s->origin &&
           c->side == s->side && c->repeat == s->repeat && c->live == (s->state == SESSION_LIVE) &&
           (c->whole || c->head == head);
}

struct chunk *chunk_choose(
    struct fanout *f, const struct session *s, uint64_t position, uint64_t head, uint32_t only)
{
    bool none = false;
    if (only == ROOM_NONE)
        only = only_room(f, s, position, &none);
    if (none)
        return NULL;
    if (only != ROOM_NONE) {
        struct chunk *c = &f->memo[(only * 31 + position) % MEMO_SLOTS];
        if (fits(c, s, only, position, head))
            return c;
        chunk_begin(c, s, position, head);
        if (build_shared(f, c, only))
            return c;
    }
    chunk_begin(f->own, s, position, head);
    build_own(f, f->own, s);
    return f->own;
}
