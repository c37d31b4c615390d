#include "kafka_checkpoints_internal.h"

#include "causeway/memory.h"

#include <stdlib.h>

enum { CHAINS = 8192 }; /* a power of two */

struct kept {
    int64_t offset;
    struct kept *chained;
    struct kept *newer, *older; /* by use */
    struct slice raw;           /* until it was asked for */
    struct checkpoint *decoded; /* then this; neither: it cannot be read */
    size_t cost;
};

struct checkpoint_cache {
    size_t bytes, bytes_max;
    struct kept *newest, *oldest;
    struct kept *chains[CHAINS];
};

struct checkpoint_cache *checkpoint_cache_create(size_t bytes_max)
{
    struct checkpoint_cache *c = xcalloc(1, sizeof *c);
    c->bytes_max = bytes_max;
    return c;
}

static struct kept **chain_of(struct checkpoint_cache *c, int64_t offset)
{
    return &c->chains[(uint64_t)offset & (CHAINS - 1)];
}

static struct kept *find(struct checkpoint_cache *c, int64_t offset)
{
    struct kept *k = *chain_of(c, offset);
    while (k && k->offset != offset)
        k = k->chained;
    return k;
}

static void unlink_use(struct checkpoint_cache *c, struct kept *k)
{
    *(k->newer ? &k->newer->older : &c->newest) = k->older;
    *(k->older ? &k->older->newer : &c->oldest) = k->newer;
}

static void link_use(struct checkpoint_cache *c, struct kept *k)
{
    k->newer = NULL;
    k->older = c->newest;
    *(c->newest ? &c->newest->newer : &c->oldest) = k;
    c->newest = k;
}

static void drop(struct checkpoint_cache *c, struct kept *k)
{
    struct kept **at = chain_of(c, k->offset);
    while (*at != k)
        at = &(*at)->chained;
    *at = k->chained;
    unlink_use(c, k);
    c->bytes -= k->cost;
    checkpoint_release(k->decoded);
    free((void *)(uintptr_t)k->raw.data);
    free(k);
}

void checkpoint_cache_clear(struct checkpoint_cache *c)
{
    while (c->oldest)
        drop(c, c->oldest);
}

void checkpoint_cache_destroy(struct checkpoint_cache *c)
{
    if (!c)
        return;
    checkpoint_cache_clear(c);
    free(c);
}

static void make_room(struct checkpoint_cache *c)
{
    while (c->bytes > c->bytes_max && c->oldest != c->newest)
        drop(c, c->oldest); /* NOLINT(clang-analyzer-unix.Malloc): unlink_use leads on to the next oldest */
}

void checkpoint_cache_put(struct checkpoint_cache *c, int64_t offset, struct slice value)
{
    struct kept *k = find(c, offset);
    if (k)
        return; /* a log does not change */
    k = xcalloc(1, sizeof *k);
    k->offset = offset;
    k->raw = (struct slice){xstrndup(value.size ? value.data : "", value.size), value.size};
    k->cost = sizeof *k + value.size;
    k->chained = *chain_of(c, offset);
    *chain_of(c, offset) = k;
    c->bytes += k->cost;
    link_use(c, k);
    make_room(c);
}

static void decode(struct checkpoint_cache *c, struct kept *k)
{
    k->decoded = checkpoint_decode(k->raw);
    size_t parts = k->decoded ? k->decoded->part_count * sizeof *k->decoded->parts : 0;
    k->cost += parts; /* a decoded one has kept a copy of the raw bytes, for the names */
    c->bytes += parts;
    free((void *)(uintptr_t)k->raw.data);
    k->raw = (struct slice){NULL, 0};
}

bool checkpoint_cache_find(struct checkpoint_cache *c, int64_t offset, struct checkpoint **out)
{
    struct kept *k = find(c, offset);
    if (!k)
        return false;
    unlink_use(c, k);
    link_use(c, k);
    if (k->raw.data)
        decode(c, k);
    make_room(c);
    *out = k->decoded;
    return true;
}
