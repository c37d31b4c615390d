/* What lookups.c (answers, and who uses them) and lookups_changes.c (what puts them in doubt) share. */
#pragma once

#include "changes.h"

#include "causeway/json.h"
#include "causeway/lookups.h"
#include "causeway/map.h"
#include "causeway/metrics.h"

enum {
    FRESH_MS = 2000,  /* heard from within this time: a change would be heard of */
    REUSE_MS = 10000, /* for those whose tables have no triggers an answer that is handed on must be young */
    RETRY_MS = 500,
    DEAF_MS =
        5000, /* for the listening connection to come back by itself, before answers are asked for again */
};

struct use {
    struct answer *answer;
    struct lookups_user *user;
    uint64_t need; /* the number of the question whose answer will do */
    struct use *next, *previous;
};

struct answer {
    const struct lookup *lookup;
    struct buffer name;          /* the lookup's index, then the key: what it is found by */
    struct rows *rows;           /* held; NULL: none, or gone */
    uint64_t asked, answered;    /* numbers of questions; the last one that was answered */
    uint64_t failed;             /* ... that could not be */
    uint64_t tag;                /* of the question under way; 0: none */
    uint64_t asked_ms, retry_ms; /* the last question; not again before */
    uint64_t epoch, good_ms;     /* of the answer: when its question was asked */
    uint64_t asked_epoch;
    uint64_t doubt_ms; /* since when it is in doubt, or never answered, or gone; 0: it is good */
    bool expired;      /* its lease is over */
    bool gone;
    struct use *users;
};

struct lookups {
    struct catalogue *catalogue;
    struct lookups_settings settings;
    struct lookups_hooks hooks;
    void *owner;
    struct map *answers; /* by name */
    struct map *asked;   /* by tag */
    struct changes *changes;
    uint64_t last_tag, last_number;
    struct lookups_pulse pulse;
    uint64_t deaf_ms; /* since when the database answers, but nobody listens; 0: not so */
    bool restless;    /* a tick may have to deal with some of the answers */
    size_t doubted;
    struct lookups_user *first, *last; /* to be reviewed */
    bool reviewing;
    struct json json;
    struct metric *live, *reused;
};

static inline uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static inline uint64_t lookups_now(const struct lookups *l)
{
    return l->hooks.now(l->owner);
}

static inline bool answer_is_good(const struct answer *a)
{
    return a->doubt_ms == 0 && !a->expired;
}

/* Asks anew; an answer to what was under way counts no more. */
void answer_ask(struct lookups *l, struct answer *a, uint64_t now);
void answer_queue_users(struct lookups *l, const struct answer *a, uint64_t known_until);
void answer_write_name(struct buffer *name, const struct lookup *lookup, struct slice key);

/* --- lookups_changes.c --- */
bool lookups_are_heard(const struct lookups *l, uint64_t now); /* would a change be heard of? */
uint64_t answer_good_until(const struct lookups *l, const struct answer *a);
/* Up to when nothing can have changed unnoticed, when it turns out to have changed without notice. */
uint64_t answer_known_until(const struct lookups *l, const struct answer *a);
