/* The live lookups of one loop: each question that somebody's rights rest on (a lookup with its parameters,
   its key) is here once, with its last answer, its users, and how far the answer may be trusted. Pure: it
   asks through a hook, and is told answers, changes, and how the listening connection is.

   An answer is good as long as a change would have been heard of, which is up to the last heartbeat of the
   listening connection, and for the lease beyond that. It is in doubt from the moment at which a change of
   its key was heard of until it was looked up again, and when its lease is over: then its users hand nothing
   over. When a changed key cannot be looked up for too long, the answer is gone, as if it had no rows, until
   it can.
   @thread the loop. */
#pragma once

#include "causeway/catalogue.h"
#include "causeway/rows.h"

enum lookup_status {
    LOOKUP_OK,
    LOOKUP_UNAVAILABLE /* database away or answer too late */,
    LOOKUP_FAILED /* the SQL failed */
};

struct lookups;

struct lookups_settings {
    uint64_t lease_ms;
    uint64_t poll_ms;     /* every answer is asked for again after so long; 0: only when there is a reason */
    uint64_t patience_ms; /* a changed key that cannot be looked up for so long is gone */
};

struct lookups_hooks {
    /* Run `lookup` with these parameters (views, copied by the callee) and later call lookups_answer with the
     * tag. Its query must be sent after the change of number `after` was heard of. Never answers from within.
     */
    void (*ask)(void *owner, const struct lookup *lookup, const struct slice *params, size_t count,
        uint64_t after, uint64_t tag);
    uint64_t (*now)(void *owner); /* steady, in milliseconds */
};

/* Holds the catalogue; copies settings and hooks. */
struct lookups *lookups_create(struct catalogue *c, const struct lookups_settings *settings,
    const struct lookups_hooks *hooks, void *owner);
void lookups_destroy(struct lookups *l); /* nobody uses it any more; NULL is fine */

/* Another catalogue takes the place of the one there was, which the caller still holds. Answers of lookups
   that are the same in both stay; the others stay for as long as they are used, and are not asked for again.
 */
void lookups_adopt(struct lookups *l, struct catalogue *c);

/* `rows` stays the caller's, NULL unless LOOKUP_OK. A tag that nobody waits for any more is ignored. */
void lookups_answer(struct lookups *l, uint64_t tag, enum lookup_status status, struct rows *rows);

/* A change was heard of: "<lookup>:<key>", where the key is the one parameter, or a JSON array of all of
   them;
   "<lookup>" alone means all its keys. false: nothing here is called so. */
bool lookups_changed(struct lookups *l, struct slice what, uint64_t number);

/* How the listening connection is: see postgres.h. To be called several times a second. */
struct lookups_pulse {
    uint64_t epoch, mark;
    uint64_t heard_ms, answer_ms;
};
void lookups_tick(struct lookups *l, const struct lookups_pulse *pulse);

size_t lookups_count(const struct lookups *l);   /* distinct ones */
size_t lookups_doubted(const struct lookups *l); /* of them in doubt, as of the last tick */

/* --- using answers --- */

/* Somebody whose rights rest on answers. `review` is called, soon after, when one of them has come, has
   changed, or has fallen into doubt or out of it; the user may forget itself and others from within. */
struct lookups_user {
    void (*review)(struct lookups_user *u);
    uint64_t
        known_until; /* what has changed since it was last reset to UINT64_MAX was known to hold until then */
    struct lookups_user *next, *previous; /* those to be reviewed */
    bool queued;
    bool renewing; /* its rights are looked at anew for a reason that is none of theirs: what is good stays */
};

void lookups_user_init(struct lookups_user *u, void (*review)(struct lookups_user *u));
void lookups_user_finish(struct lookups *l, struct lookups_user *u); /* has dropped all uses */
void lookups_user_queue(struct lookups *l, struct lookups_user *u);  /* to be reviewed once more */
void lookups_review(
    struct lookups *l); /* calls `review` of those who wait for it; called by all of the above */

struct use;

/* `key` as lookups_key writes it. An answer that is fresh enough is taken, else the question is asked. */
struct use *lookups_use(
    struct lookups *l, struct lookups_user *u, const struct lookup *lookup, const struct buffer *key);
void lookups_drop(struct lookups *l, struct use *use);

enum use_state {
    USE_WAITS,
    USE_GOOD,
    USE_DOUBTED,
    USE_FAILED, /* the answer waited for could not be had; asked again as long as it is used */
    USE_GONE,   /* there was one, and now it cannot be had: no rows */
};
enum use_state use_state(const struct use *use);
/* If a change of it may have been heard of at or after `since_ms`, even if nobody used it then: until when it
 * was known not to be there yet. UINT64_MAX: there was none. */
uint64_t use_changed_since(const struct lookups *l, const struct use *use, uint64_t since_ms);
struct rows *use_rows(const struct use *use); /* lent; NULL unless USE_GOOD */
bool use_is(const struct use *use, const struct lookup *lookup, const struct buffer *key);

/* Appends one parameter (NULL data: SQL's NULL) to a key. */
void lookups_key(struct buffer *key, struct slice param);
/* The `count` parameters of a key: views of it. */
void lookups_key_read(struct slice key, struct slice *params, size_t count);
