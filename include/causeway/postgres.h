/* The pool of PostgreSQL connections: the only file that knows libpq. It owns one thread and its connections
   (non-blocking, pipelined, prepared statements); lookups are posted to it from any thread and answered
   through a callback on ITS thread. Identical lookups (same lookup, same parameters) that are in flight at
   the same time share one query.

   One more connection listens: NOTIFY on a channel is handed on as it is. Changes that were heard of, there
   or elsewhere, are numbered (postgres_mark), so that a lookup can ask for an answer that is no older. */
#pragma once

#include "causeway/catalogue.h"
#include "causeway/grants.h"

struct postgres;

struct postgres_settings {
    const char *url; /* DATABASE_URL: any libpq connection string or URI */
    unsigned connections;
    unsigned answer_timeout_ms; /* queued or running longer: LOOKUP_UNAVAILABLE */
    const char *channel;        /* to LISTEN on; a plain identifier. NULL: none */
    /* @thread postgres. What a NOTIFY said, and its number. May be NULL without a channel. */
    void (*notified)(void *owner, struct slice payload, uint64_t mark);
    void *owner;
};

/* Called on the postgres thread, exactly once per accepted lookup; must not block. `rows` is only lent: hold
 * it to keep it; NULL unless LOOKUP_OK. */
typedef void (*postgres_answer)(void *context, enum lookup_status status, struct rows *rows);

/* Starts the thread; connects in the background and reconnects for ever (0.1 s to 2 s between tries). */
struct postgres *postgres_create(const struct postgres_settings *settings);
/* Stops the thread; everything still waiting is answered LOOKUP_UNAVAILABLE first. */
void postgres_destroy(struct postgres *p);

/* Any thread. Copies SQL and parameters. The SQL text identifies the statement (prepared once per
   connection). A value that is not of its parameter's type gives no rows; a fault of the statement, or more
   than 131072 rows, is LOOKUP_FAILED. A lookup outlives its connection: it is sent again until its time is
   over, or it was running when three were lost. Its query is sent after the change of number `after` was
   heard of. */
void postgres_lookup(struct postgres *p, struct slice sql, const struct slice *params, size_t count,
    uint64_t after, postgres_answer answer, void *context);

/* Any thread. A change was heard of elsewhere: the number of its NOTIFY, as it were. */
uint64_t postgres_mark(struct postgres *p);

/* Any thread. What the listening connection says of the time in which no change can have been missed. Times
   are milliseconds of CLOCK_MONOTONIC; 0: never. */
struct postgres_pulse {
    uint64_t epoch;    /* how often it began to listen; 0: not yet */
    uint64_t mark;     /* the last number when it last began */
    int64_t heard_ms;  /* when it was last heard from while it listened */
    int64_t answer_ms; /* ... any connection */
};
struct postgres_pulse postgres_pulse(struct postgres *p);

/* Any thread. Is the database answering (heard of within 2 s; idle connections ask every 0.5 s)? `detail`
   gets a short text either way that may be shown to anybody. */
bool postgres_healthy(struct postgres *p, char *detail, size_t size);

/* Can libpq read this connection string or URI? Asks nobody. The string is not repeated in `fault`, since it
 * may hold a password. */
bool postgres_check_url(const char *url, struct buffer *fault);

/* Checks one statement against the database, blocking, for `causeway check`: false with the server's message
 * in `fault`. */
bool postgres_check_statement(const char *url, struct slice sql, size_t params, struct buffer *fault);

/* Runs one lookup over a connection made for it alone, blocking, for `causeway explain`: its rows, the
 * caller's to release. NULL: `fault` has the server's message. */
struct rows *postgres_ask(
    const char *url, struct slice sql, const struct slice *params, size_t count, struct buffer *fault);
