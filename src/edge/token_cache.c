/* A table of fixed size, of four places per hash. The key is a SHA-256, so nobody can choose a token that is
   taken for another one; and only verified tokens come in, so who has none can push out none. */
#include "token_internal.h"

#include "causeway/memory.h"

#include <pthread.h>
#include <stdlib.h>

enum { WAYS = 4 };

struct place {
    unsigned char digest[TOKEN_DIGEST_BYTES];
    struct token_facts facts; /* without a user: empty */
};

struct token_cache {
    pthread_mutex_t lock;
    struct place *places;
    size_t rows; /* of WAYS places */
};

struct token_cache *token_cache_create(size_t entries)
{
    struct token_cache *c = xcalloc(1, sizeof *c);
    CHECK(pthread_mutex_init(&c->lock, NULL) == 0);
    c->rows = (entries + WAYS - 1) / WAYS;
    c->places = xcalloc(c->rows * WAYS + 1, sizeof *c->places);
    return c;
}

void token_cache_destroy(struct token_cache *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->rows * WAYS; i++)
        token_claims_finish(&c->places[i].facts.claims);
    free(c->places);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

static struct place *row_of(struct token_cache *c, const unsigned char *digest)
{
    uint64_t number;
    memcpy(&number, digest, sizeof number);
    return &c->places[number % c->rows * WAYS];
}

static struct token_facts copy(const struct token_facts *f)
{
    struct token_facts out = *f;
    out.claims.user = xstrdup(f->claims.user);
    out.claims.user_json = xstrdup(f->claims.user_json);
    return out;
}

static struct place *find(struct token_cache *c, const unsigned char *digest)
{
    struct place *row = row_of(c, digest);
    for (int i = 0; i < WAYS; i++)
        if (row[i].facts.claims.user && memcmp(row[i].digest, digest, TOKEN_DIGEST_BYTES) == 0)
            return &row[i];
    return NULL;
}

bool token_cache_find(
    struct token_cache *c, const unsigned char digest[TOKEN_DIGEST_BYTES], struct token_facts *out)
{
    if (c->rows == 0)
        return false;
    pthread_mutex_lock(&c->lock);
    const struct place *found = find(c, digest);
    if (found)
        *out = copy(&found->facts);
    pthread_mutex_unlock(&c->lock);
    return found != NULL;
}

/* The place that is lost with the least: an empty one, or else the one that expires first. */
static struct place *choose(struct token_cache *c, const unsigned char *digest)
{
    struct place *row = row_of(c, digest), *chosen = row;
    for (int i = 0; i < WAYS; i++) {
        if (!row[i].facts.claims.user)
            return &row[i];
        if (row[i].facts.claims.expires < chosen->facts.claims.expires)
            chosen = &row[i];
    }
    return chosen;
}

void token_cache_put(
    struct token_cache *c, const unsigned char digest[TOKEN_DIGEST_BYTES], const struct token_facts *facts)
{
    if (c->rows == 0)
        return;
    pthread_mutex_lock(&c->lock);
    if (!find(c, digest)) { /* another loop may have been faster */
        struct place *p = choose(c, digest);
        token_claims_finish(&p->facts.claims);
        memcpy(p->digest, digest, TOKEN_DIGEST_BYTES);
        p->facts = copy(facts);
    }
    pthread_mutex_unlock(&c->lock);
}
