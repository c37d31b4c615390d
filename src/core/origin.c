#include "causeway/origin.h"

#include "causeway/memory.h"

#include <stdlib.h>

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
