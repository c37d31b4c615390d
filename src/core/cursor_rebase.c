#include "causeway/cursor_rebase.h"

#include "causeway/lock.h"
#include "causeway/memory.h"

#include <stdlib.h>

enum { SPREAD_BITS = 60 };

struct base {
    int64_t checkpoint;
    int64_t *next;
    uint32_t count;
};

struct cursor_bases {
    struct lock lock;  /* what follows */
    struct base *list; /* ascending */
    size_t first, end, capacity;
    size_t bytes, bytes_max;
};

/* A partition in which the origin is, or may be, beyond the checkpoint. */
struct ahead {
    uint32_t part;
    uint64_t had, doubt; /* from the checkpoint on */
};

struct cursor_rebase {
    struct cursor_bases *bases;
    struct origin *origin; /* of the list, as what follows; NULL: none */
    int64_t checkpoint;
    uint64_t doubt; /* of partitions that cannot be listed */
    struct ahead *list;
    uint32_t count, capacity;
};

/* --- bases --- */

struct cursor_bases *cursor_bases_create(size_t bytes_max)
{
    struct cursor_bases *b = xcalloc(1, sizeof *b);
    lock_init(&b->lock);
    b->bytes_max = bytes_max;
    return b;
}

void cursor_bases_destroy(struct cursor_bases *b)
{
    if (!b)
        return;
    cursor_bases_clear(b);
    lock_finish(&b->lock);
    free(b->list);
    free(b);
}

static size_t size_of(uint32_t count)
{
    return sizeof(struct base) + count * sizeof(int64_t);
}

static void drop_first(struct cursor_bases *b)
{
    struct base *gone = &b->list[b->first++];
    b->bytes -= size_of(gone->count);
    free(gone->next);
}

void cursor_bases_clear(struct cursor_bases *b)
{
    lock_take(&b->lock);
    while (b->first < b->end)
        drop_first(b);
    b->first = b->end = 0;
    lock_give(&b->lock);
}

/* Half of it is free after the move, so that moves stay rare. */
static void make_room(struct cursor_bases *b)
{
    if (b->end < b->capacity)
        return;
    if (b->first < b->capacity / 2 || !b->list) {
        b->capacity = b->capacity ? b->capacity * 2 : 64;
        b->list = xrealloc(b->list, b->capacity * sizeof *b->list);
    }
    memmove(b->list, b->list + b->first, (b->end - b->first) * sizeof *b->list);
    b->end -= b->first;
    b->first = 0;
}

void cursor_bases_add(struct cursor_bases *b, int64_t checkpoint, const int64_t *next, uint32_t count)
{
    int64_t *copy = xmalloc((count + 1) * sizeof *copy);
    memcpy(copy, next, count * sizeof *copy);
    lock_take(&b->lock);
    make_room(b);
    b->list[b->end++] = (struct base){checkpoint, copy, count};
    b->bytes += size_of(count);
    while (b->bytes > b->bytes_max && b->end - b->first > 1)
        drop_first(b);
    lock_give(&b->lock);
}

/* NULL: it is not known any more. */
static const struct base *find(const struct cursor_bases *b, int64_t checkpoint)
{
    size_t low = b->first, high = b->end;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (b->list[middle].checkpoint < checkpoint)
            low = middle + 1;
        else
            high = middle;
    }
    return low < b->end && b->list[low].checkpoint == checkpoint ? &b->list[low] : NULL;
}

/* --- rebasing --- */

struct cursor_rebase *cursor_rebase_create(struct cursor_bases *bases)
{
    struct cursor_rebase *r = xcalloc(1, sizeof *r);
    r->bases = bases;
    return r;
}

void cursor_rebase_destroy(struct cursor_rebase *r)
{
    if (!r)
        return;
    origin_release(r->origin);
    free(r->list);
    free(r);
}

static uint64_t beyond(int64_t offset, int64_t base)
{
    return offset > base ? (uint64_t)(offset - base) : 0;
}

static uint64_t greater(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static void add(struct cursor_rebase *r, uint32_t part, uint64_t had, uint64_t doubt)
{
    if (r->count == r->capacity) {
        r->capacity = r->capacity ? r->capacity * 2 : 16;
        r->list = xrealloc(r->list, r->capacity * sizeof *r->list);
    }
    r->list[r->count++] = (struct ahead){part, had, doubt};
}

/* Where the checkpoint stood is not known any more, or it does not know the partition: then all that can be
 * said is how far the origin may be. */
static void compare(struct cursor_rebase *r, const struct origin *origin, const struct base *base)
{
    r->count = 0;
    r->doubt = 0;
    for (uint32_t p = 0; p < origin->count; p++) {
        if (!base || p >= base->count) {
            r->doubt = greater(r->doubt, beyond(origin->mark[p], 0));
            continue;
        }
        uint64_t had = beyond(origin->skip[p], base->next[p]);
        uint64_t doubt = beyond(origin->mark[p], base->next[p]);
        if (had > 0 || doubt > 0)
            add(r, p, had, doubt);
    }
}

static void prepare(struct cursor_rebase *r, struct origin *origin, int64_t checkpoint)
{
    if (r->origin == origin && r->checkpoint == checkpoint)
        return;
    lock_take(&r->bases->lock);
    compare(r, origin, find(r->bases, checkpoint));
    lock_give(&r->bases->lock);
    origin_hold(origin);
    origin_release(r->origin);
    r->origin = origin;
    r->checkpoint = checkpoint;
}

/* The way that the cursor has gone in this partition, or 0. */
static uint64_t *step_of(struct cursor *c, uint32_t part)
{
    for (size_t i = 0; i < c->step_count; i++)
        if (c->steps[i].part == part)
            return &c->steps[i].moved;
    return NULL;
}

/* true: the cursor alone would not say it. */
static bool count_in(struct cursor *c, const struct ahead *a, uint64_t *doubt)
{
    uint64_t *step = step_of(c, a->part), moved = step ? *step : 0;
    bool lacks = a->had > moved;
    if (lacks) {
        moved = a->had;
        c->spread = greater(c->spread, moved);
        if (step)
            *step = moved;
        else if (c->step_count < CURSOR_STEPS_MAX)
            c->steps[c->step_count++] = (struct cursor_step){a->part, moved};
        else
            c->complete = false;
    }
    if (a->doubt > moved)
        *doubt = greater(*doubt, a->doubt);
    return lacks || a->doubt > moved;
}

size_t cursor_rebase(
    struct cursor_rebase *r, struct slice plain, struct origin *origin, char out[CURSOR_TEXT_MAX + 1])
{
    struct cursor c;
    if (cursor_decode(plain, &c) != CURSOR_OK)
        return 0;
    prepare(r, origin, c.checkpoint);
    uint64_t doubt = r->doubt;
    bool changes = doubt > 0;
    for (uint32_t i = 0; i < r->count; i++)
        changes |= count_in(&c, &r->list[i], &doubt);
    if (changes) {
        c.placed = false;
        c.ahead = 0;
    }
    if (doubt > 0) {
        uint64_t most = (UINT64_C(1) << SPREAD_BITS) - 1;
        c.complete = false;
        c.spread = greater(c.spread, doubt < most ? doubt : most);
    }
    return cursor_encode(&c, out);
}
