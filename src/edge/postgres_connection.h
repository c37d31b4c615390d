/* One connection to PostgreSQL: non-blocking, pipelined, with prepared statements, as a state machine that a
   poll() loop turns. It connects by itself, tries again for ever, asks `SELECT 1` when it is idle, and gives
   itself up when the server owes it an answer and says nothing. Internal to the edge; one thread. */
#pragma once

#include "causeway/inflight.h"
#include "causeway/postgres.h"

#include <libpq-fe.h>
#include <poll.h>

/* How to connect; made once, shared by all connections of a pool. */
struct postgres_target;

struct postgres_target *postgres_target_create(const char *url, unsigned statement_timeout_ms);
void postgres_target_destroy(struct postgres_target *target);
bool postgres_target_legible(const struct postgres_target *target); /* can libpq read the URL? */
/* Begins a connection, to be carried on with PQconnectPoll; or makes one, blocking. As every PGconn it may be
   bad; it is NULL when the URL cannot be read, because libpq would repeat it, password and all, in its
   message. */
PGconn *postgres_target_begin(const struct postgres_target *target);
PGconn *postgres_target_connect(const struct postgres_target *target);

/* What is wrong with a bad one, or with NULL. */
const char *postgres_link_fault(const PGconn *link);

/* The first line of a message of the server or of libpq, without its "ERROR: " and line end. */
void postgres_fault(struct buffer *out, const char *message);

/* What an error of the server means for the lookup that met it. */
enum postgres_verdict {
    VERDICT_FAILED,      /* the statement is at fault, or what it stands on */
    VERDICT_NO_ROWS,     /* a client's value is not of the parameter's type: nothing can match it */
    VERDICT_UNAVAILABLE, /* the server is in trouble; the same lookup may succeed later */
    VERDICT_LOST,        /* the connection is over */
    VERDICT_AGAIN,       /* the prepared name is no good any more */
};

/* `named`: the lookup relied on a prepared statement. */
enum postgres_verdict postgres_judge(const PGresult *result, bool named);
struct rows *postgres_read_rows(const PGresult *result);

struct postgres_connection;

struct postgres_connection_hooks {
    /* The flight is over. `rows` is lent, and NULL unless LOOKUP_OK; `fault` is what the server said, or
     * NULL. */
    void (*answered)(
        void *owner, struct flight *f, enum lookup_status status, struct rows *rows, const char *fault);
    /* Without an answer, mostly because the connection was lost: the flight may be sent again. `running`: it
       was the one that the server was at then, as far as can be told. Newest first. */
    void (*returned)(void *owner, struct flight *f, bool running);
    /* The server has said something: it is alive. */
    void (*heard)(void *owner, int64_t now);
    /* It could not be made, or was lost. */
    void (*failed)(void *owner, const char *fault);
    /* With a channel only: it listens from now on, until it fails; somebody said something there. */
    void (*listening)(void *owner);
    void (*notified)(void *owner, struct slice payload);
};

/* All pointers are kept, not copied. Connects at the first turn. `channel`: to LISTEN on whenever it has
 * connected; NULL: none. */
struct postgres_connection *postgres_connection_create(const struct postgres_target *target,
    const char *channel, const struct postgres_connection_hooks *hooks, void *owner);
/* Returns what is under way. NULL is fine. */
void postgres_connection_destroy(struct postgres_connection *c);

/* What to poll for (fd -1: nothing), and when to turn it at the latest. Times are milliseconds of one steady
 * clock. */
struct pollfd postgres_connection_interest(const struct postgres_connection *c);
int64_t postgres_connection_due(const struct postgres_connection *c);
void postgres_connection_turn(struct postgres_connection *c, short events, int64_t now);

bool postgres_connection_ready(const struct postgres_connection *c);
size_t postgres_connection_load(
    const struct postgres_connection *c); /* under way; SIZE_MAX: takes no more now */
/* Only when the load says that it takes more. */
void postgres_connection_send(struct postgres_connection *c, struct flight *f, int64_t now);
