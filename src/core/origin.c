#include "causeway/origin.h"

#include "causeway/memory.h"

#include <stdlib.h>
#include <string.h>

struct origin *origin_create(uint32_t count, bool stops)
{
    struct origin *o = xcalloc(1, sizeof *o);
    o->references = 1;
    o->count = count;
    o->skip = xcalloc(count + 1, sizeof *o->skip);
    o->mark = xcalloc(count + 1, sizeof *o->mark);
    o->stop = stops ? xcalloc(count + 1, sizeof *o->stop) : NULL;
    return o;
}

struct origin *origin_hold(struct origin *o)
{
    __atomic_add_fetch(&o->references, 1, __ATOMIC_RELAXED);
    return o;
}

void origin_release(struct origin *o)
{
    if (!o || __atomic_sub_fetch(&o->references, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    free(o->skip);
    free(o->mark);
    free(o->stop);
    free(o);
}

bool origin_equal(const struct origin *a, const struct origin *b)
{
    size_t size = a->count * sizeof *a->skip;
    return a->count == b->count && !a->stop == !b->stop && memcmp(a->skip, b->skip, size) == 0 &&
           memcmp(a->mark, b->mark, size) == 0 && (!a->stop || memcmp(a->stop, b->stop, size) == 0);
}
