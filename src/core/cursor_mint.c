#include "causeway/cursor.h"

#include "causeway/memory.h"

#include <stdlib.h>

enum {
    TAKEN_MAX = 64
}; /* checkpoints under way; beyond it the oldest is forgotten, and its acknowledgement with it */

/* Where the log stood when a checkpoint was taken. */
struct taken {
    uint64_t tag, sequence;
    int64_t offset; /* in the checkpoint topic; -1: not acknowledged */
    int64_t *next;
    uint32_t count;
};

/* Where the writer stands in one partition. */
struct place {
    int64_t first, next;
    struct anchor anchor;
    bool known;
};

struct cursor_mint {
    uint64_t nonce;
    struct place *places; /* per partition */
    uint32_t count, capacity;
    struct taken current; /* the newest acknowledged one */
    struct taken pending[TAKEN_MAX];
    size_t pending_count;
    uint64_t spread;                  /* of the places beyond `current` */
    uint32_t moved[CURSOR_STEPS_MAX]; /* partitions that are beyond it */
    size_t moved_count;
    bool more_moved; /* than could be listed */
    bool dirty;      /* since the last checkpoint was taken */
};

struct cursor_mint *cursor_mint_create(uint64_t nonce)
{
    struct cursor_mint *m = xcalloc(1, sizeof *m);
    m->nonce = nonce & ((UINT64_C(1) << NONCE_BITS) - 1);
    m->current.offset = -1;
    m->dirty = true;
    return m;
}

void cursor_mint_destroy(struct cursor_mint *m)
{
    if (!m)
        return;
    for (size_t i = 0; i < m->pending_count; i++)
        free(m->pending[i].next);
    free(m->current.next);
    free(m->places);
    free(m);
}

static int64_t base_of(const struct cursor_mint *m, uint32_t partition)
{
    return partition < m->current.count ? m->current.next[partition] : m->places[partition].first;
}

static uint64_t moved_since(const struct cursor_mint *m, uint32_t partition)
{
    return (uint64_t)(m->places[partition].next - base_of(m, partition));
}

/* A partition stands beyond the current checkpoint. One that the checkpoint does not know cannot be listed.
 */
static void note_moved(struct cursor_mint *m, uint32_t partition)
{
    if (moved_since(m, partition) > m->spread)
        m->spread = moved_since(m, partition);
    for (size_t i = 0; i < m->moved_count; i++)
        if (m->moved[i] == partition)
            return;
    if (m->moved_count < CURSOR_STEPS_MAX && partition < m->current.count)
        m->moved[m->moved_count++] = partition;
    else
        m->more_moved = true;
}

static void grow(struct cursor_mint *m, uint32_t count)
{
    if (count > m->capacity) {
        m->capacity = count * 2;
        m->places = xrealloc(m->places, m->capacity * sizeof *m->places);
    }
    while (m->count < count)
        m->places[m->count++] = (struct place){.anchor.offset = -1};
}

void cursor_mint_advance(struct cursor_mint *m, uint32_t partition, int64_t next, struct anchor anchor)
{
    if (partition >= m->count)
        grow(m, partition + 1);
    struct place *p = &m->places[partition];
    if (!p->known)
        *p = (struct place){.first = next, .known = true};
    p->next = next;
    p->anchor = anchor;
    m->dirty = true;
    if (moved_since(m, partition) > 0)
        note_moved(m, partition);
}

static void forget_oldest(struct cursor_mint *m)
{
    free(m->pending[0].next);
    m->pending_count--;
    memmove(m->pending, m->pending + 1, m->pending_count * sizeof m->pending[0]);
}

void cursor_mint_checkpoint(struct cursor_mint *m, const struct partitions *partitions, uint64_t sequence,
    uint64_t tag, struct buffer *out)
{
    uint32_t count = partitions_count(partitions);
    if (count > m->count) /* the others have not begun in this log: it knows no place of theirs */
        count = m->count;
    struct checkpoint c = {m->nonce, sequence, xcalloc(count + 1, sizeof *c.parts), count};
    for (uint32_t i = 0; i < count; i++)
        c.parts[i] =
            (struct checkpoint_part){partitions_name(partitions, i), m->places[i].next, m->places[i].anchor};
    checkpoint_encode(&c, out);
    free(c.parts);

    if (m->pending_count == TAKEN_MAX)
        forget_oldest(m);
    struct taken *t = &m->pending[m->pending_count++];
    *t = (struct taken){tag, sequence, -1, xmalloc((count + 1) * sizeof *t->next), count};
    for (uint32_t i = 0; i < count; i++)
        t->next[i] = m->places[i].next;
    m->dirty = false;
}

static size_t find_pending(const struct cursor_mint *m, uint64_t tag)
{
    size_t i = 0;
    while (i < m->pending_count && m->pending[i].tag != tag)
        i++;
    return i;
}

void cursor_mint_acknowledged(struct cursor_mint *m, uint64_t tag, int64_t offset)
{
    size_t found = find_pending(m, tag);
    if (found == m->pending_count)
        return;
    for (; found > 0; found--)
        forget_oldest(m);
    free(m->current.next);
    m->current = m->pending[0];
    m->current.offset = offset;
    m->pending[0].next = NULL;
    forget_oldest(m);
    m->spread = 0;
    m->moved_count = 0;
    m->more_moved = false;
    for (uint32_t i = 0; i < m->count; i++)
        if (moved_since(m, i) > 0)
            note_moved(m, i);
}

/* The step of the record at hand comes first. One of a partition that the checkpoint does not know cannot be
 * listed. */
static void step_into(const struct cursor_mint *m, const struct cursor_record *at, struct cursor *c)
{
    CHECK(at->partition < m->count);
    uint64_t moved = (uint64_t)(at->offset - base_of(m, at->partition)) + at->ended;
    c->spread = moved > c->spread ? moved : c->spread;
    c->spread += !at->ended; /* it is not counted as dealt with, but parts of it have gone out */
    if (at->partition < m->current.count)
        c->steps[c->step_count++] = (struct cursor_step){at->partition, moved};
    else
        c->complete = false;
}

size_t cursor_mint_stamp(const struct cursor_mint *m, uint64_t sequence, const struct cursor_record *at,
    char out[CURSOR_TEXT_MAX + 1])
{
    if (m->current.offset < 0)
        return 0;
    struct cursor c = {
        .nonce = m->nonce,
        .checkpoint = m->current.offset,
        .ahead = sequence - m->current.sequence,
        .spread = m->spread,
        .complete = !m->more_moved,
        .whole = !at || at->ended,
        .placed = true,
    };
    if (at)
        step_into(m, at, &c);
    for (size_t i = 0; i < m->moved_count; i++) {
        if (at && m->moved[i] == at->partition)
            continue;
        if (c.step_count == CURSOR_STEPS_MAX) {
            c.complete = false;
            break;
        }
        c.steps[c.step_count++] = (struct cursor_step){m->moved[i], moved_since(m, m->moved[i])};
    }
    return cursor_encode(&c, out);
}

const int64_t *cursor_mint_base(const struct cursor_mint *m, uint32_t *count)
{
    *count = m->current.count;
    return m->current.next;
}

bool cursor_mint_moved(const struct cursor_mint *m)
{
    return m->dirty;
}
