/* JSON Web Tokens: the only file that knows libjwt. Stateless but for the keys; any thread may verify with
   one verifier. One algorithm, HS256, is pinned before a signature is looked at; claims count only after it
   held. */
#pragma once

#include "causeway/buffer.h"

#include <stdint.h>

#define TOKEN_TABLE(X)                                                                                       \
    X(OK, "ok")                                                                                              \
    X(MALFORMED, "token malformed")                                                                          \
    X(ALGORITHM, "token algorithm not allowed")                                                              \
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
    struct slice secret;     /* HS256 key; never empty */
    const char *user_claims; /* "sub,userId,id": the first present one names the user */
    const char *issuer;      /* NULL or "": not checked */
    const char *audience;    /* likewise; the claim may be a string or an array */
    int64_t leeway_seconds;
};

/* Who the token speaks for. Owner of the struct: token_claims_finish. */
struct token_claims {
    char *user;      /* the id as text, as lookups and rooms see it */
    char *user_json; /* the id as it stands in the token: 123 or "abc" */
    int64_t expires; /* Unix seconds */
};

struct token_verifier;

struct token_verifier *token_verifier_create(
    const struct token_settings *settings); /* copies what it needs */
void token_verifier_destroy(struct token_verifier *v);

/* `now` in Unix seconds. On TOKEN_OK fills *claims; otherwise leaves it zeroed. */
enum token_status token_verify(
    const struct token_verifier *v, struct slice token, int64_t now, struct token_claims *claims);
void token_claims_finish(struct token_claims *claims);
const char *token_status_text(enum token_status status);

/* A development token: HS256 over {first user claim, iat, exp, and iss and aud when configured}; members of
   `extra_json` (an object, or NULL) come on top and win. NULL: a JSON text is not what it should be, or the
   token would be too long. Free with free(). */
char *token_issue(const struct token_settings *settings, const char *user_json, int64_t now,
    int64_t ttl_seconds, const char *extra_json);
