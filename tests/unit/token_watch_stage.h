/* A watch over keys, and the server that has those of the URL: it answers in the manner that the test sets.
   Keys in files are secrets, since those of a URL may not be; at the URL are the public halves of `pairs`. */
#pragma once

#include "unit.h"

#include "token_forge.h"

#include "causeway/token_watch.h"

#include <pthread.h>
#include <stdatomic.h>

enum { NOW = 1700000000, PATIENCE_MS = 10000, SECOND_MS = 100 };

enum manner {
    SERVES,
    SERVES_WHEN_TOLD,
    STATUS_500,
    STATUS_404,
    REDIRECTS,
    FLOODS,
    BREAKS_OFF,
    IS_SILENT,
    TALKS_NONSENSE
};

struct server {
    pthread_t thread;
    int listener;
    uint16_t port;
    atomic_int manner, requests;
    atomic_bool stopping, told;
    pthread_mutex_t lock;
    struct buffer body;
};

extern struct server server;

void sleep_ms(long ms);

extern EVP_PKEY *pairs[3];

int set_up(void **state);
int tear_down(void **state);

/* The server's set has these keys, named by their numbers. */
void publish(const char *numbers);

/* A token by one of the pairs, which it names. */
struct buffer token_by(int number);
enum token_status verify(struct token_verifier *v, struct slice token);

/* The verdict on a token by that pair. */
enum token_status status_of(struct token_verifier *v, int number);

struct fixture {
    struct config config;
    char url[64];
    struct token_verifier *verifier;
    struct token_watch *watch;
    unsigned second_ms; /* 0: SECOND_MS */
};

/* A verifier and its watch, of these files and, if it fetches, of the URL; the rest is as x->config says. */
void create(struct fixture *x, const char *files, bool fetches);
void destroy(struct fixture *x);
int64_t clock_ms(void);

#define wait_until(condition)                                                                                \
    do {                                                                                                     \
        int64_t deadline_ = clock_ms() + PATIENCE_MS;                                                        \
        while (!(condition)) {                                                                               \
            if (clock_ms() > deadline_)                                                                      \
                fail_msg("in vain: %s", #condition);                                                         \
            sleep_ms(5);                                                                                     \
        }                                                                                                    \
    } while (0)

/* The watch is ready, and says this of it. */
bool is_ready(struct fixture *x, const char *detail);
