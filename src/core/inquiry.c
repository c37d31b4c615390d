#include "inquiry.h"

#include "causeway/memory.h"

#include <stdlib.h>

void inquiry_finish(struct inquiry *q, struct lookups *l)
{
    for (size_t i = 0; i < q->count; i++)
        lookups_drop(l, q->uses[i]);
    free(q->uses);
    *q = (struct inquiry){0};
}

const struct use *inquiry_find(const struct inquiry *q, const struct lookup *lookup, const struct buffer *key)
{
    for (size_t i = 0; i < q->count; i++) {
        if (use_is(q->uses[i], lookup, key))
            return q->uses[i];
    }
    return NULL;
}

void inquiry_ask(struct inquiry *q, struct lookups *l, struct lookups_user *u, const struct lookup *lookup,
    const struct buffer *key)
{
    if (inquiry_find(q, lookup, key))
        return;
    if (q->count == q->capacity) {
        q->capacity = q->capacity ? q->capacity * 2 : 2;
        q->uses = xrealloc(q->uses, q->capacity * sizeof(struct use *));
    }
    q->uses[q->count++] = lookups_use(l, u, lookup, key);
}

bool inquiry_any(const struct inquiry *q, enum use_state state)
{
    for (size_t i = 0; i < q->count; i++) {
        if (use_state(q->uses[i]) == state)
            return true;
    }
    return false;
}

bool inquiry_open(const struct inquiry *q)
{
    return inquiry_any(q, USE_WAITS) || inquiry_any(q, USE_DOUBTED);
}

bool inquiry_settled(const struct inquiry *q)
{
    return !inquiry_open(q) && !inquiry_any(q, USE_FAILED);
}

uint64_t inquiry_changed_since(const struct inquiry *q, const struct lookups *l, uint64_t since_ms)
{
    uint64_t least = UINT64_MAX;
    for (size_t i = 0; i < q->count; i++) {
        uint64_t of_use = use_changed_since(l, q->uses[i], since_ms);
        least = of_use < least ? of_use : least;
    }
    return least;
}
