/* All keys at one time. Immutable but for its memory of verified tokens, which goes with it. */
#include "token_internal.h"

#include "causeway/memory.h"

#include <stdlib.h>

struct token_ring {
    atomic_uint references;
    struct token_keys **sources;
    size_t count;
    struct token_cache *cache;
};

struct token_ring *token_ring_create(struct token_keys *const *sources, size_t count, size_t cache_entries)
{
    struct token_ring *r = xcalloc(1, sizeof *r);
    atomic_init(&r->references, 1);
    r->sources = xcalloc(count + 1, sizeof(struct token_keys *));
    r->count = count;
    for (size_t i = 0; i < count; i++)
        r->sources[i] = sources[i] ? token_keys_hold(sources[i]) : NULL;
    r->cache = token_cache_create(cache_entries);
    return r;
}

struct token_ring *token_ring_hold(struct token_ring *r)
{
    atomic_fetch_add_explicit(&r->references, 1, memory_order_relaxed);
    return r;
}

void token_ring_release(struct token_ring *r)
{
    if (!r || atomic_fetch_sub_explicit(&r->references, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < r->count; i++)
        token_keys_release(r->sources[i]);
    token_cache_destroy(r->cache);
    free(r->sources);
    free(r);
}

struct token_cache *token_ring_cache(struct token_ring *r)
{
    return r->cache;
}

struct question {
    enum token_algorithm algorithm;
    struct slice kid, text, signature;
};

enum meant {
    BY_NAME,      /* keys of the token's kid */
    WITHOUT_NAME, /* keys that have none */
    ANY
};

static bool is_meant(const struct token_key *k, enum meant meant, struct slice kid)
{
    struct slice own = token_key_kid(k);
    return meant == ANY || (meant == BY_NAME ? own.data && slice_equal(own, kid) : !own.data);
}

/* How far it got: no key was meant, none of those was for the algorithm, none of those held, one did. */
enum progress { NO_KEY, NO_ALGORITHM, NOT_HELD, HELD };

static enum progress try_keys(const struct token_ring *r, const struct question *q, enum meant meant)
{
    enum progress best = NO_KEY;
    for (size_t i = 0; i < r->count; i++) {
        for (size_t n = 0; r->sources[i] && n < r->sources[i]->count; n++) {
            const struct token_key *k = r->sources[i]->list[n];
            if (!is_meant(k, meant, q->kid))
                continue;
            enum progress here = token_key_algorithm(k) != q->algorithm         ? NO_ALGORITHM
                                 : token_key_verifies(k, q->text, q->signature) ? HELD
                                                                                : NOT_HELD;
            if (here == HELD)
                return HELD;
            best = here > best ? here : best;
        }
    }
    return best;
}

static bool has_algorithm(const struct token_ring *r, enum token_algorithm algorithm)
{
    for (size_t i = 0; i < r->count; i++)
        for (size_t n = 0; r->sources[i] && n < r->sources[i]->count; n++)
            if (token_key_algorithm(r->sources[i]->list[n]) == algorithm)
                return true;
    return false;
}

/* A kid that one of our keys has means that key, and its algorithm with it. Otherwise the keys without a kid
   are tried; and the right one may be one that was not fetched yet, unless the algorithm is that of secrets,
   which are never fetched. */
enum token_status token_ring_verify(const struct token_ring *r, enum token_algorithm algorithm,
    struct slice kid, bool fetched, struct slice text, struct slice signature)
{
    static const enum token_status statuses[] = {
        [NO_ALGORITHM] = TOKEN_ALGORITHM, [NOT_HELD] = TOKEN_SIGNATURE, [HELD] = TOKEN_OK};
    struct question q = {algorithm, kid, text, signature};
    enum progress named = kid.data ? try_keys(r, &q, BY_NAME) : NO_KEY;
    if (named != NO_KEY)
        return statuses[named];
    enum progress other = try_keys(r, &q, kid.data ? WITHOUT_NAME : ANY);
    bool awaited = fetched && algorithm != ALGORITHM_HS256 && (kid.data || other != NOT_HELD);
    if (other != HELD && awaited)
        return TOKEN_KEY;
    if (other == HELD || other == NOT_HELD)
        return statuses[other];
    return kid.data && has_algorithm(r, algorithm) ? TOKEN_KEY : TOKEN_ALGORITHM;
}
