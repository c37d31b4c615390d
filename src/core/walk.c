/* Walking on from a position: the entries of a session's rooms, merged in the order of the log, cut into
   chunks that one write can take. Sessions that stand at the same place in the same room share the chunk. */
#include "fanout_internal.h"

#include "causeway/memory.h"

/* --- building a chunk --- */

static void chunk_begin(struct chunk *c, uint64_t position, uint64_t head, bool live)
{
    c->position = position;
    c->head = head;
    c->next = head;
    c->room = ROOM_NONE;
    c->live = live;
    c->whole = false;
    c->part_count = 0;
    c->frame_count = 0;
    c->bytes = 0;
}

/* false: the chunk is full, and this entry begins the next one. */
static bool chunk_add(struct chunk *c, const struct hotlog_entry *e, uint64_t sequence)
{
    struct iovec *last = c->part_count ? &c->parts[c->part_count - 1] : NULL;
    bool joins = last && (char *)last->iov_base + last->iov_len == e->frame;
    bool full = c->frame_count == CHUNK_FRAMES || (!joins && c->part_count == CHUNK_PARTS) ||
                (c->bytes > 0 && c->bytes + e->frame_size > CHUNK_BYTES);
    if (full) {
        c->next = sequence;
        c->whole = true;
        return false;
    }
    if (joins)
        last->iov_len += e->frame_size;
    else
        c->parts[c->part_count++] = (struct iovec){(void *)(uintptr_t)e->frame, e->frame_size};
    c->bytes += e->frame_size;
    c->frame_end[c->frame_count] = (uint32_t)c->bytes;
    c->frame_sequence[c->frame_count++] = sequence;
    return true;
}

/* A chunk of one room, for every session that has nothing else in the stretch. false: an entry leaves
 * somebody out, so it cannot be shared. */
static bool build_shared(struct fanout *f, struct chunk *c, uint32_t room)
{
    struct hotlog_run run = hotlog_find(f->log, room, c->position, c->head);
    for (size_t i = 0; i < run.count; i++) {
        struct hotlog_entry e = hotlog_get(f->log, run.at[i]);
        if (e.except_count > 0)
            return false;
        if (e.ephemeral && !c->live)
            continue;
        if (!chunk_add(c, &e, run.at[i]))
            break;
    }
    c->room = room;
    return true;
}

static bool left_out(const struct session *s, const struct hotlog_entry *e)
{
    const uint32_t *except = e->rooms + e->room_count;
    for (uint16_t i = 0; i < e->except_count; i++)
        for (uint32_t j = 0; j < s->room_count; j++)
            if (s->rooms[j].room == except[i])
                return true;
    return false;
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
    size_t count = 0;
    for (uint32_t i = 0; i < s->room_count; i++) {
        if (hotlog_room_end(f->log, s->rooms[i].room) <= c->position)
            continue;
        struct hotlog_run run = hotlog_find(f->log, s->rooms[i].room, c->position, c->head);
        if (run.count > 0)
            f->runs[count++] = (struct merge_run){run, s->rooms[i].room};
    }
    for (size_t i = count / 2; i-- > 0;)
        sift_down(f->runs, count, i);
    return count;
}

/* A chunk of all rooms of one session: its runs merged; an entry that is in several of them goes out once. */
static void build_own(struct fanout *f, struct chunk *c, const struct session *s)
{
    size_t count = collect_runs(f, s, c);
    uint64_t last = UINT64_MAX;
    while (count > 0) {
        struct merge_run *top = &f->runs[0];
        uint64_t sequence = top->run.at[0];
        if (sequence != last) {
            struct hotlog_entry e = hotlog_get(f->log, sequence);
            bool skip = (e.ephemeral && !c->live) || left_out(s, &e);
            if (!skip && !chunk_add(c, &e, sequence))
                return;
            last = sequence;
        }
        top->run.at++;
        if (--top->run.count == 0)
            f->runs[0] = f->runs[--count];
        sift_down(f->runs, count, 0);
    }
}

/* --- choosing a chunk --- */

/* The one room of the session that can have entries at or after `position`; ROOM_NONE when there are several;
 * *none when there is none. */
static uint32_t only_room(const struct fanout *f, const struct session *s, uint64_t position, bool *none)
{
    uint32_t found = ROOM_NONE;
    for (uint32_t i = 0; i < s->room_count; i++) {
        if (hotlog_room_end(f->log, s->rooms[i].room) <= position)
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

static const struct chunk *shared_chunk(
    struct fanout *f, uint32_t room, uint64_t position, uint64_t head, bool live)
{
    struct chunk *c = &f->memo[(room * 31 + position) % MEMO_SLOTS];
    if (c->room == room && c->position == position && c->live == live && (c->whole || c->head == head))
        return c;
    chunk_begin(c, position, head, live);
    return build_shared(f, c, room) ? c : NULL;
}

static const struct chunk *choose(
    struct fanout *f, const struct session *s, uint64_t position, uint64_t head, uint32_t only, bool live)
{
    bool none = false;
    if (only == ROOM_NONE)
        only = only_room(f, s, position, &none);
    if (none)
        return NULL;
    const struct chunk *shared = only == ROOM_NONE ? NULL : shared_chunk(f, only, position, head, live);
    if (shared)
        return shared;
    chunk_begin(f->own, position, head, live);
    build_own(f, f->own, s);
    return f->own;
}

/* --- writing it --- */

/* The socket took only `taken` bytes: the session goes on behind the last frame of which anything was taken,
 * whose rest is kept. */
static uint64_t stop_in(struct fanout *f, struct session *s, const struct chunk *c, size_t taken)
{
    uint32_t low = 0, high = c->frame_count; /* the first frame that ends beyond what was taken */
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (c->frame_end[middle] <= taken)
            low = middle + 1;
        else
            high = middle;
    }
    uint32_t begins = low ? c->frame_end[low - 1] : 0;
    f->deliveries += low;
    if (taken == begins)
        return c->frame_sequence[low];
    struct hotlog_entry cut = hotlog_get(f->log, c->frame_sequence[low]);
    size_t sent = taken - begins;
    f->hooks->keep(s->transport, cut.frame + sent, cut.frame_size - sent);
    f->deliveries++;
    return c->frame_sequence[low] + 1;
}

bool walk(struct fanout *f, struct session *s, uint64_t position, uint64_t head, uint32_t only, int chunks)
{
    bool live = s->state == SESSION_LIVE;
    while (position < head && chunks-- > 0) {
        const struct chunk *c = choose(f, s, position, head, only, live);
        if (c && c->bytes > 0) {
            size_t taken = f->hooks->write(s->transport, c->parts, c->part_count);
            f->bytes += taken;
            if (taken < c->bytes) {
                s->position = stop_in(f, s, c, taken);
                session_change(s, SESSION_BLOCKED);
                return false;
            }
            f->deliveries += c->frame_count;
        }
        position = c ? c->next : head;
    }
    s->position = position;
    return position >= head;
}
