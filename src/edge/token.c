/* The verdict on a token. Nothing of it is believed before its signature holds, by a key that was chosen and
   an algorithm that was fixed without asking the token more than which of our keys it means. */
#include "causeway/token.h"

#include "token_internal.h"

#include "causeway/base64.h"
#include "causeway/memory.h"
#include "causeway/metrics.h"

#include <pthread.h>
#include <stdlib.h>

struct token_verifier {
    struct token_rules rules;
    bool fetched;
    size_t cache_max;
    pthread_mutex_t lock; /* of what follows */
    struct token_keys **sources;
    size_t source_count;
    struct token_ring *ring;
};

void token_claims_finish(struct token_claims *claims)
{
    free(claims->user);
    free(claims->user_json);
    *claims = (struct token_claims){0};
}

const char *token_status_text(enum token_status status)
{
    static const char *const texts[] = {
#define X(id, text) [TOKEN_##id] = (text),
        TOKEN_TABLE(X)
#undef X
    };
    return texts[status];
}

/* --- keys --- */

static void count_keys(const struct token_verifier *v)
{
    int64_t keys[ALGORITHM_COUNT] = {0};
    for (size_t i = 0; i < v->source_count; i++)
        for (size_t n = 0; v->sources[i] && n < v->sources[i]->count; n++)
            keys[token_key_algorithm(v->sources[i]->list[n])]++;
    for (int i = 0; i < ALGORITHM_COUNT; i++)
        metric_set(metric_label(METRIC_TOKEN_KEYS, token_algorithm_name((enum token_algorithm)i)), keys[i]);
}

/* Within the lock, or before anybody else knows the verifier. */
static void change_ring(struct token_verifier *v)
{
    token_ring_release(v->ring);
    v->ring = token_ring_create(v->sources, v->source_count, v->cache_max);
    count_keys(v);
}

static struct token_ring *current_ring(struct token_verifier *v)
{
    pthread_mutex_lock(&v->lock);
    struct token_ring *r = token_ring_hold(v->ring);
    pthread_mutex_unlock(&v->lock);
    return r;
}

size_t token_verifier_sources(const struct token_verifier *v)
{
    return v->source_count;
}

static bool are_equal(const struct token_keys *a, const struct token_keys *b)
{
    return a == b || (a && b && memcmp(a->digest, b->digest, TOKEN_DIGEST_BYTES) == 0);
}

bool token_verifier_install(struct token_verifier *v, size_t source, struct token_keys *keys)
{
    pthread_mutex_lock(&v->lock);
    struct token_keys *unused = keys;
    bool changed = !are_equal(v->sources[source], keys);
    if (changed) {
        unused = v->sources[source];
        v->sources[source] = keys;
        change_ring(v);
    }
    pthread_mutex_unlock(&v->lock);
    token_keys_release(unused);
    return changed;
}

/* --- creating --- */

struct token_settings token_settings_of(const struct config *config)
{
    return (struct token_settings){
        .secret = slice_of(config->jwt_secret),
        .key_files = config->jwt_keys,
        .fetched = config->jwks_url[0] != '\0',
        .weak = config->dev,
        .user_claims = config->jwt_user_claims,
        .issuer = config->jwt_issuer,
        .audience = config->jwt_audience,
        .leeway_seconds = config->jwt_leeway,
        .cache_max = (size_t)config->jwt_cache,
    };
}

static void add_source(struct token_verifier *v, struct token_keys *keys)
{
    v->sources = xrealloc(v->sources, (v->source_count + 1) * sizeof(struct token_keys *));
    v->sources[v->source_count++] = keys;
}

static bool add_file(
    struct token_verifier *v, struct slice name, const struct token_settings *settings, struct buffer *fault)
{
    struct buffer notes = {0}, why = {0};
    char *path = xstrndup(name.data, name.size);
    struct token_keys *keys =
        token_keys_of_file(path, &(struct token_keys_rules){.weak = settings->weak}, &notes, &why);
    add_source(v, keys);
    if (!keys)
        buffer_print(fault, "JWT_KEYS: %s: %s", path, buffer_text(&why));
    free(path);
    buffer_finish(&notes);
    buffer_finish(&why);
    return keys != NULL;
}

static bool add_sources(struct token_verifier *v, const struct token_settings *settings, struct buffer *fault)
{
    const char *files = settings->key_files ? settings->key_files : "";
    add_source(
        v, settings->secret.size ? token_keys_of_secret(settings->secret, settings->weak, fault) : NULL);
    if (settings->secret.size && !v->sources[0])
        return false;
    for (struct slice name = token_next_name(&files); name.size; name = token_next_name(&files))
        if (!add_file(v, name, settings, fault))
            return false;
    add_source(v, NULL); /* what the URL will give */
    return true;
}

struct token_verifier *token_verifier_create(const struct token_settings *settings, struct buffer *fault)
{
    struct token_verifier *v = xcalloc(1, sizeof *v);
    CHECK(pthread_mutex_init(&v->lock, NULL) == 0);
    v->rules.user_claims = xstrdup(settings->user_claims);
    v->rules.issuer = xstrdup(settings->issuer ? settings->issuer : "");
    v->rules.audience = xstrdup(settings->audience ? settings->audience : "");
    v->rules.leeway = settings->leeway_seconds;
    v->fetched = settings->fetched;
    v->cache_max = settings->cache_max;
    if (!add_sources(v, settings, fault)) {
        token_verifier_destroy(v);
        return NULL;
    }
    change_ring(v);
    return v;
}

void token_verifier_destroy(struct token_verifier *v)
{
    if (!v)
        return;
    token_ring_release(v->ring);
    for (size_t i = 0; i < v->source_count; i++)
        token_keys_release(v->sources[i]);
    free(v->sources);
    free(v->rules.user_claims);
    free(v->rules.issuer);
    free(v->rules.audience);
    pthread_mutex_destroy(&v->lock);
    free(v);
}

/* --- judging --- */

/* One decoded segment. A zeroed struct is empty; finish it in any case. */
struct segment {
    struct buffer bytes;
    struct json json;
};

struct parts {
    struct slice text; /* what is signed: the first two segments, as they came */
    struct segment header, payload, signature;
};

static void parts_finish(struct parts *p)
{
    struct segment *all[] = {&p->header, &p->payload, &p->signature};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        buffer_finish(&all[i]->bytes);
        json_finish(&all[i]->json);
    }
}

static bool decode(struct segment *s, const char *from, const char *to)
{
    struct slice text = {from, (size_t)(to - from)};
    return base64url_decode(text, buffer_reserve(&s->bytes, text.size + 1), &s->bytes.size);
}

/* A fourth segment's dot is no base64url, and so refused as part of the signature. */
static bool split(struct slice token, struct parts *p)
{
    const char *end = token.data + token.size;
    const char *first = token.size ? memchr(token.data, '.', token.size) : NULL;
    const char *second = first ? memchr(first + 1, '.', (size_t)(end - first - 1)) : NULL;
    if (!second)
        return false;
    p->text = (struct slice){token.data, (size_t)(second - token.data)};
    return decode(&p->header, token.data, first) && decode(&p->payload, first + 1, second) &&
           decode(&p->signature, second + 1, end);
}

static bool scan(struct segment *s)
{
    return json_scan(&s->json, s->bytes.data, s->bytes.size);
}

static enum token_status judge_signature(
    const struct token_verifier *v, struct token_ring *r, struct parts *p)
{
    struct token_header header;
    struct buffer scratch = {0};
    int64_t unused;
    enum token_status status = TOKEN_MALFORMED;
    if (scan(&p->header))
        status = token_header_read(&p->header.json, &scratch, &header);
    if (status == TOKEN_OK && (!scan(&p->payload) || !token_times_read(&p->payload.json, &unused, &unused)))
        status = TOKEN_MALFORMED;
    if (status == TOKEN_OK)
        status = token_ring_verify(
            r, header.algorithm, header.kid, v->fetched, p->text, buffer_slice(&p->signature.bytes));
    buffer_finish(&scratch);
    return status;
}

static enum token_status judge(const struct token_verifier *v, struct token_ring *r, struct slice token,
    int64_t now, struct token_facts *facts)
{
    struct parts parts = {0};
    enum token_status status = split(token, &parts) ? judge_signature(v, r, &parts) : TOKEN_MALFORMED;
    if (status == TOKEN_OK)
        status = token_claims_judge(&v->rules, &parts.payload.json, now, facts);
    parts_finish(&parts);
    return status;
}

/* From memory only the times must be judged again: keys are the same as long as this ring lives, and the
   rules never change. */
static enum token_status judge_once(
    struct token_verifier *v, struct slice token, int64_t now, struct token_facts *facts, bool *cached)
{
    unsigned char digest[TOKEN_DIGEST_BYTES];
    struct token_ring *r = current_ring(v);
    enum token_status status;
    token_digest(token, digest);
    *cached = token_cache_find(token_ring_cache(r), digest, facts);
    if (*cached)
        status = token_times_judge(&v->rules, facts->claims.expires, facts->starts, now);
    else
        status = judge(v, r, token, now, facts);
    if (status == TOKEN_OK && !*cached)
        token_cache_put(token_ring_cache(r), digest, facts);
    token_ring_release(r);
    return status;
}

enum token_status token_verify(
    struct token_verifier *v, struct slice token, int64_t now, struct token_claims *claims)
{
    struct token_facts facts = {0};
    bool cached = false;
    enum token_status status = TOKEN_MALFORMED;
    if (token.size <= TOKEN_MAX_BYTES)
        status = judge_once(v, token, now, &facts, &cached);
    const char *result = status == TOKEN_OK ? (cached ? "cached" : "verified") : token_status_text(status);
    metric_add(metric_label(METRIC_TOKENS, result), 1);
    if (status != TOKEN_OK)
        token_claims_finish(&facts.claims);
    *claims = facts.claims;
    return status;
}
