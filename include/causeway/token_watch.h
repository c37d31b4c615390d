/* Keeps the keys of a verifier those of today: reads its files when they have changed, and fetches a JWK Set
   from a URL, from time to time and when a token names a key that is not known. It has a thread of its own,
   on which a server that is slow or silent holds nobody else. Whatever fails, the keys that are there stay;
   those of the URL for JWKS_LEASE. */
#pragma once

#include "causeway/token.h"

struct token_watch;

enum token_look {
    LOOK_DONE,   /* everything was looked at since the question */
    LOOK_AGAIN,  /* it was, but that had begun before the question: what is not there now may be there next
                    time */
    LOOK_FAILED, /* the URL could not be fetched */
};

/* A question for newer keys; embedded in what waits for the answer. */
struct token_asker {
    void (*on_looked)(struct token_asker *a, enum token_look look); /* @thread its own */
    struct token_asker *next;
    uint64_t since; /* private */
};

/* Starts the thread. Lent: the verifier and the texts of the config. `second_ms`: what a second of the
 * settings takes; 1000, and less in tests. */
struct token_watch *token_watch_create(
    struct token_verifier *v, const struct config *config, unsigned second_ms);
void token_watch_destroy(struct token_watch *w); /* those who still wait get LOOK_FAILED */

/* @thread any, all below */
void token_watch_reload(struct token_watch *w); /* looks at everything now */
/* Answers once the URL was fetched, at most every JWKS_COOLDOWN. Only when there is one. */
void token_watch_ask(struct token_watch *w, struct token_asker *a);
/* Are there keys to judge tokens with? `detail` says what is wrong, or nothing. */
bool token_watch_ready(struct token_watch *w, char *detail, size_t size);
