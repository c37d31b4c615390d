/* Who walks a log: a heap of positions, the one that is furthest behind on top. So a window's writer is told
   how far everybody is, and who falls out is found, at the price of those who moved, not of all there are. */
#include "fanout_internal.h"

#include "causeway/memory.h"

static void put(struct view *v, uint32_t at, struct session *s)
{
    v->walkers[at] = s;
    s->walker = at;
}

static void rise(struct view *v, struct session *s)
{
    uint32_t at = s->walker;
    while (at > 0 && v->walkers[(at - 1) / 2]->position > s->position) {
        put(v, at, v->walkers[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    put(v, at, s);
}

void walkers_moved(struct view *v, struct session *s)
{
    uint32_t at = s->walker;
    for (;;) {
        uint32_t least = 2 * at + 1;
        if (least + 1 < v->walker_count && v->walkers[least + 1]->position < v->walkers[least]->position)
            least++;
        if (least >= v->walker_count || v->walkers[least]->position >= s->position)
            break;
        put(v, at, v->walkers[least]);
        at = least;
    }
    put(v, at, s);
}

void walkers_add(struct view *v, struct session *s)
{
    if (v->walker_count == v->walker_capacity) {
        v->walker_capacity = v->walker_capacity ? v->walker_capacity * 2 : 64;
        v->walkers = xrealloc(v->walkers, v->walker_capacity * sizeof(struct session *));
    }
    put(v, v->walker_count++, s);
    rise(v, s);
}

void walkers_remove(struct view *v, struct session *s)
{
    uint32_t at = s->walker;
    struct session *last = v->walkers[--v->walker_count];
    s->walker = NO_WALKER;
    if (last == s)
        return;
    put(v, at, last);
    rise(v, last);
    walkers_moved(v, last);
}
