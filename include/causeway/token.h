/* JSON Web Tokens: HS256, RS256, ES256, by keys of which each has one algorithm, fixed before a signature is
   looked at; claims count only after it held. A verifier has the keys, the rules and a memory of tokens that
   it has verified; any thread may use it, also while keys are exchanged. Loading keys anew is token_watch.h.
 */
#pragma once

#include "causeway/buffer.h"
#include "causeway/config.h"

#include <stdint.h>

#define TOKEN_TABLE(X)                                                                                       \
    X(OK, "ok")                                                                                              \
    X(MALFORMED, "token malformed")                                                                          \
    X(ALGORITHM, "token algorithm not allowed")                                                              \
    X(KEY, "token key not known")                                                                            \
    X(SIGNATURE, "token signature invalid")                                                                  \
    X(NO_EXPIRY, "token has no exp")                                                                         \
    X(EXPIRED, "token expired")                                                                              \
    X(EARLY, "token not yet valid")                                                                          \
    X(ISSUER, "token issuer not accepted")                                                                   \
    X(AUDIENCE, "token audience not accepted")                                                               \
    X(NO_USER, "token has no user")

enum token_status {
#define X(id, text) TOKEN_##id,
    TOKEN_TABLE(X)
#undef X
};

enum { TOKEN_MAX_BYTES = 8192 };

struct token_settings {
    struct slice secret;     /* an HS256 key without a kid; empty: none */
    const char *key_files;   /* comma list of JWK Sets and PEM public keys; NULL or "": none */
    bool fetched;            /* further keys come from a URL: an unknown one may be fetched (TOKEN_KEY) */
    bool weak;               /* HMAC keys of less than 32 bytes are accepted */
    const char *user_claims; /* "sub,userId,id": the first present one names the user */
    const char *issuer;      /* NULL or "": not checked */
    const char *audience;    /* likewise; the claim may be a string or an array */
    int64_t leeway_seconds;
    size_t cache_max; /* verified tokens that are remembered */
};

struct token_settings token_settings_of(const struct config *config); /* views of its texts */

/* Who the token speaks for. Owner of the struct: token_claims_finish. */
struct token_claims {
    char *user;      /* the id as text, as lookups and rooms see it */
    char *user_json; /* the id as it stands in the token: 123 or "abc" */
    int64_t expires; /* Unix seconds */
};

struct token_verifier;

/* Reads the files. NULL: `fault` names the setting and says what is wrong with its keys. */
struct token_verifier *token_verifier_create(const struct token_settings *settings, struct buffer *fault);
void token_verifier_destroy(struct token_verifier *v);

/* `now` in Unix seconds. On TOKEN_OK fills *claims; otherwise leaves it zeroed. */
enum token_status token_verify(
    struct token_verifier *v, struct slice token, int64_t now, struct token_claims *claims);
void token_claims_finish(struct token_claims *claims);
const char *token_status_text(enum token_status status);

/* A token for development. */
struct token_issue {
    const struct token_settings
        *settings;        /* its user claims, issuer, audience and, without a key file, secret */
    const char *key_file; /* PEM private key for RS256 or ES256; NULL: HS256 with the secret */
    const char *kid;      /* NULL: none */
    const char *user_json;
    int64_t now, ttl_seconds;
    const char *extra_json; /* an object, whose members come on top and win; NULL: none */
};

/* Has {first user claim, iat, exp, and iss and aud when configured}. NULL: `fault` says why. Free with
 * free(). */
char *token_issue(const struct token_issue *what, struct buffer *fault);
