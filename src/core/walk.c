/* Walking on from a position until the socket is full. */
#include "fanout_internal.h"

static void count(struct fanout *f, const struct session *s, uint32_t frames)
{
    f->deliveries += frames;
    if (s->state != SESSION_LIVE)
        f->replayed += frames;
}

/* Tells of what was handed over and is to be acknowledged: all of the chunk's entries before `end`. */
static void tell_unacknowledged(struct fanout *f, struct session *s, const struct chunk *c, uint64_t end)
{
    if (c->ack_first >= end || !s->hooks->unacknowledged)
        return;
    struct ack_span span = {.log = c->log, .first = c->ack_first, .last = c->ack_last};
    for (uint32_t i = c->frame_count; span.last >= end; i--)
        if (c->frame_sequence[i - 1] < end && hotlog_get(f->views[c->log].log, c->frame_sequence[i - 1]).ack)
            span.last = c->frame_sequence[i - 1];
    struct hotlog_entry last = hotlog_get(f->views[c->log].log, span.last);
    span.partition = last.partition;
    span.offset = last.offset;
    s->hooks->unacknowledged(s->transport, s, &span);
}

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
    count(f, s, low + (taken > begins));
    if (taken == begins)
        return c->frame_sequence[low];
    size_t sent = taken - begins, size = c->frame_end[low] - begins;
    const char *frame =
        c->origin ? c->text.data + begins : hotlog_get(f->views[c->log].log, c->frame_sequence[low]).frame;
    s->hooks->keep(s->transport, frame + sent, size - sent);
    return c->frame_sequence[low] + 1;
}

/* From here on nothing can have been delivered before: the session is like every other. */
static void forget_origin_when_beyond(struct fanout *f, struct session *s)
{
    if (!s->origin || s->side)
        return;
    if (s->position >= hotlog_beyond(f->views[s->log].log, s->origin->mark, s->origin->count))
        session_change_origin(s, NULL);
}

/* The chunk, and behind it what says where it ends. Returns how much of the chunk was taken. */
static size_t write_chunk(struct fanout *f, struct session *s, struct chunk *c)
{
    struct slice trailer = {NULL, 0};
    if (s->hooks->trailer && !s->origin && !s->side)
        trailer = s->hooks->trailer(s->transport, s->log, c->next);
    c->parts[c->part_count] = (struct iovec){(void *)(uintptr_t)trailer.data, trailer.size};
    size_t taken = s->hooks->write(s->transport, c->parts, c->part_count + (trailer.size > 0));
    f->bytes += taken;
    if (taken <= c->bytes)
        return taken;
    size_t sent = taken - c->bytes;
    if (sent < trailer.size)
        s->hooks->keep(s->transport, trailer.data + sent, trailer.size - sent);
    return c->bytes;
}

bool walk(struct fanout *f, struct session *s, uint64_t position, uint64_t head, uint32_t only, int chunks)
{
    while (position < head && chunks-- > 0) {
        struct chunk *c = chunk_choose(f, s, position, head, only);
        if (c && c->bytes > 0) {
            size_t taken = write_chunk(f, s, c);
            if (taken < c->bytes) {
                uint64_t stop = stop_in(f, s, c, taken);
                tell_unacknowledged(f, s, c, stop);
                session_move(s, stop);
                session_change(s, SESSION_BLOCKED);
                return false;
            }
            count(f, s, c->frame_count);
            tell_unacknowledged(f, s, c, c->next);
        }
        position = c ? c->next : head;
    }
    session_move(s, position);
    forget_origin_when_beyond(f, s);
    return position >= head;
}
