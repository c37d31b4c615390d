/* What the token*.c files share: token.c judges, token_claims.c what a token says about itself, token_key.c
   is one key, token_keys.c what one source gives as keys, token_ring.c all keys at one time, token_cache.c
   which tokens they have verified, token_watch.c and token_fetch.c bring new ones, token_issue.c signs. */
#pragma once

#include "causeway/json.h"
#include "causeway/token.h"

#include <stdatomic.h>

/* X(id, name) */
#define TOKEN_ALGORITHM_TABLE(X)                                                                             \
    X(HS256, "HS256")                                                                                        \
    X(RS256, "RS256")                                                                                        \
    X(ES256, "ES256")

enum token_algorithm {
#define X(id, name) ALGORITHM_##id,
    TOKEN_ALGORITHM_TABLE(X)
#undef X
        ALGORITHM_COUNT
};

/* ALGORITHM_COUNT: none of ours. */
enum token_algorithm token_algorithm_of(struct slice name);
const char *token_algorithm_name(enum token_algorithm algorithm);

/* --- token_key.c: the only file that knows OpenSSL --- */

enum { TOKEN_DIGEST_BYTES = 32 };

struct token_key;

/* NULL: *why says what is wrong with it (static text). Numbers are big-endian bytes. */
struct token_key *token_key_of_secret(struct slice secret, bool weak, const char **why);
struct token_key *token_key_of_rsa(struct slice modulus, struct slice exponent, const char **why);
struct token_key *token_key_of_p256(struct slice x, struct slice y, const char **why);
struct token_key *token_key_of_pem(struct slice text, const char **why);
struct token_key *token_key_of_private_pem(struct slice text, const char **why); /* to sign with */
void token_key_destroy(struct token_key *k);

void token_key_set_kid(struct token_key *k, struct slice kid);
struct slice token_key_kid(const struct token_key *k); /* NULL data: none */
enum token_algorithm token_key_algorithm(const struct token_key *k);

/* By the key's own algorithm, whatever the token says. */
bool token_key_verifies(const struct token_key *k, struct slice text, struct slice signature);
bool token_key_sign(const struct token_key *k, struct slice text, struct buffer *signature);

void token_digest(struct slice text, unsigned char out[TOKEN_DIGEST_BYTES]);

/* --- token_keys.c: the keys of one source; immutable, shared by reference counts --- */

enum { TOKEN_KEYS_MAX = 64, TOKEN_KEYS_MAX_BYTES = 256 * 1024 };

struct token_keys {
    struct token_key *list[TOKEN_KEYS_MAX];
    size_t count;
    unsigned char digest[TOKEN_DIGEST_BYTES]; /* of the text they were read from */
    atomic_uint references;
};

struct token_keys_rules {
    bool fetched; /* from a URL: no secrets; a key that is no good is left out, not refused with all others */
    bool weak;
};

/* A JWK Set, or one PEM public key. Keys that are for something else are left out; `notes` gets a line for
   each. NULL: `fault` says why. */
struct token_keys *token_keys_read(
    struct slice text, const struct token_keys_rules *rules, struct buffer *notes, struct buffer *fault);
struct token_keys *token_keys_of_secret(struct slice secret, bool weak, struct buffer *fault);
struct token_keys *token_keys_of_file(
    const char *path, const struct token_keys_rules *rules, struct buffer *notes, struct buffer *fault);
struct token_keys *token_keys_hold(struct token_keys *s);
void token_keys_release(struct token_keys *s); /* NULL is fine */

/* --- token_claims.c: what a token says about itself --- */

/* What was true of a token when it was verified. */
struct token_facts {
    struct token_claims claims;
    int64_t starts; /* nbf, 0 without */
};

struct token_rules {
    char *user_claims; /* comma list, as configured */
    char *issuer, *audience;
    int64_t leeway;
};

struct token_header {
    enum token_algorithm algorithm;
    struct slice kid; /* NULL data: none; points into `scratch` or the header's text */
};

/* `json` is the decoded header; must outlive the result, and so must `scratch`. */
enum token_status token_header_read(
    const struct json *json, struct buffer *scratch, struct token_header *out);
/* Are its times well-formed? Asked before the signature, so that the answer is `malformed`. */
bool token_times_read(const struct json *json, int64_t *expires, int64_t *starts);
enum token_status token_times_judge(
    const struct token_rules *r, int64_t expires, int64_t starts, int64_t now);
/* Fills *out on TOKEN_OK. */
enum token_status token_claims_judge(
    const struct token_rules *r, const struct json *json, int64_t now, struct token_facts *out);
/* Takes the next name off a comma list; an empty one when the list has ended. */
struct slice token_next_name(const char **list);

/* --- token_cache.c: verified tokens by their hash; thread-safe --- */

struct token_cache;

struct token_cache *token_cache_create(size_t entries);
void token_cache_destroy(struct token_cache *c);
bool token_cache_find(struct token_cache *c, const unsigned char digest[TOKEN_DIGEST_BYTES],
    struct token_facts *out); /* the claims are copied */
void token_cache_put(
    struct token_cache *c, const unsigned char digest[TOKEN_DIGEST_BYTES], const struct token_facts *facts);

/* --- token_ring.c: all keys at one time, with what they have verified. Exchanged as a whole, so that nothing
   that a key has verified outlives it. --- */

struct token_ring;

/* Of these sources; entries may be NULL. Holds them. */
struct token_ring *token_ring_create(struct token_keys *const *sources, size_t count, size_t cache_entries);
struct token_ring *token_ring_hold(struct token_ring *r);
void token_ring_release(struct token_ring *r);
struct token_cache *token_ring_cache(struct token_ring *r);

/* Does one of the keys that the header may mean hold for this? `fetched`: another one may come by URL. */
enum token_status token_ring_verify(const struct token_ring *r, enum token_algorithm algorithm,
    struct slice kid, bool fetched, struct slice text, struct slice signature);

/* --- token.c --- */

/* The sources of a verifier: the secret, its files in the order of the setting, and the URL. */
size_t token_verifier_sources(const struct token_verifier *v);
/* Exchanges what one of them gives (NULL: nothing any more). Takes over the reference. false: it is what it
 * was. */
bool token_verifier_install(struct token_verifier *v, size_t source, struct token_keys *keys);
