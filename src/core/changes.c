#include "changes.h"

#include "causeway/map.h"
#include "causeway/memory.h"

#include <stdlib.h>

enum {
    KEPT = 16384,
    SKEW_MS = 2000, /* one instance hears of a change that much later than another */
};

struct change {
    uint64_t
        name; /* a hash: two names that share one are both walked again, which costs, but loses nothing */
    uint64_t known_ms, heard_ms;
};

struct changes {
    struct change *kept; /* a ring, oldest first, from `first` on */
    size_t first, count;
    uint64_t forgotten_ms; /* when the last one that is not kept any more was heard of; 0: all are kept */
};

struct changes *changes_create(void)
{
    return xcalloc(1, sizeof(struct changes));
}

void changes_destroy(struct changes *c)
{
    if (c)
        free(c->kept);
    free(c);
}

void changes_note(struct changes *c, struct slice name, uint64_t known_ms, uint64_t heard_ms)
{
    if (!c->kept)
        c->kept = xcalloc(KEPT, sizeof *c->kept);
    if (c->count == KEPT) {
        c->forgotten_ms = c->kept[c->first].heard_ms;
        c->first = (c->first + 1) % KEPT;
        c->count--;
    }
    c->kept[(c->first + c->count++) % KEPT] =
        (struct change){hash_bytes(name.data, name.size, 0), known_ms, heard_ms};
}

uint64_t changes_since(const struct changes *c, struct slice name, uint64_t since_ms)
{
    uint64_t wanted = hash_bytes(name.data, name.size, 0), known = UINT64_MAX;
    uint64_t any = hash_bytes(ANY_NAME.data, ANY_NAME.size, 0);
    if (c->forgotten_ms > 0 && c->forgotten_ms + SKEW_MS >= since_ms)
        known = since_ms;
    for (size_t i = c->count; i-- > 0;) {
        const struct change *change = &c->kept[(c->first + i) % KEPT];
        if (change->heard_ms + SKEW_MS < since_ms)
            break;
        if ((change->name == wanted || change->name == any) && change->known_ms < known)
            known = change->known_ms;
    }
    return known;
}
