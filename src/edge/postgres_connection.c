/* The pipeline is a ring of what was sent and not yet answered. Every entry is a sync group of its own: an
   error then ends only itself, since the server skips everything up to the next sync. libpq answers each as
   (result, NULL, sync).

   A statement is prepared beside its first use and not before it: as long as the server has not confirmed the
   name, lookups carry the SQL themselves. So a statement that cannot be prepared gives every lookup its true
   error, nothing has to wait a round trip, and a server that lost our names (26000, a pooler in between) or
   our plans (0A000, a column was altered) only costs sending the lookup once more. */
#include "postgres_connection.h"

#include "causeway/check.h"
#include "causeway/log.h"
#include "causeway/map.h"
#include "causeway/memory.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    RING_SIZE = 64,
    ENTRIES_PER_LOOKUP = 2, /* it may bring a prepare along */
    ROWS_MAX = 131072,      /* above what ROOMS_MAX can be */
    HEARTBEAT_MS = 500,
    SILENCE_MS = 2000,
    LISTENER_SILENCE_MS = 1400, /* with the heartbeat less than 2 s; it has no statement that may take long */
    CONNECT_MS = 5000,
    RETRY_LEAST_MS = 100,
    RETRY_MOST_MS = 2000,
};

enum link_state { LINK_CLOSED, LINK_OPENING, LINK_READY };

enum statement_state { STATEMENT_UNKNOWN, STATEMENT_PREPARING, STATEMENT_READY };

struct statement {
    enum statement_state state;
    char name[24];
};

enum entry_kind { ENTRY_HEARTBEAT, ENTRY_LISTEN, ENTRY_PREPARE, ENTRY_LOOKUP };

struct entry {
    enum entry_kind kind;
    bool named;                  /* a lookup that relied on the prepared name */
    struct flight *flight;       /* of a lookup that is not answered yet */
    struct statement *statement; /* of prepares and lookups */
};

struct postgres_connection {
    const struct postgres_target *target;
    const char *channel; /* or NULL */
    const struct postgres_connection_hooks *hooks;
    void *owner;

    enum link_state state;
    PGconn *link;
    PostgresPollingStatusType wants; /* while opening */
    bool flushing;                   /* libpq holds bytes that the socket did not take */
    int64_t due;                     /* closed: next try; opening: give up; ready: heartbeat or silence */
    int64_t retry_ms;

    struct entry ring[RING_SIZE];
    size_t first, used;

    struct map *statements; /* SQL text -> struct statement, of this link */
    unsigned names;
    struct buffer fault;
};

struct postgres_connection *postgres_connection_create(const struct postgres_target *target,
    const char *channel, const struct postgres_connection_hooks *hooks, void *owner)
{
    struct postgres_connection *c = xcalloc(1, sizeof *c);
    c->target = target;
    c->channel = channel;
    c->hooks = hooks;
    c->owner = owner;
    c->retry_ms = RETRY_LEAST_MS;
    c->statements = map_create();
    return c;
}

static void forget_statements(struct postgres_connection *c)
{
    size_t cursor = 0;
    struct slice sql;
    void *statement;
    while (map_next(c->statements, &cursor, &sql, &statement)) {
        map_remove(c->statements, sql);
        free(statement);
    }
}

/* The server was at the oldest lookup, also where an older heartbeat is open: a reset connection drops
 * answers unread. */
static void return_flights(struct postgres_connection *c)
{
    const struct flight *oldest = NULL;
    for (size_t i = 0; i < c->used && !oldest; i++)
        oldest = c->ring[(c->first + i) % RING_SIZE].flight;
    for (; c->used > 0; c->used--) {
        struct flight *f = c->ring[(c->first + c->used - 1) % RING_SIZE].flight;
        if (f)
            c->hooks->returned(c->owner, f, f == oldest);
    }
}

static void close_link(struct postgres_connection *c)
{
    c->state = LINK_CLOSED;
    return_flights(c);
    forget_statements(c);
    PQfinish(c->link);
    c->link = NULL;
    c->flushing = false;
}

void postgres_connection_destroy(struct postgres_connection *c)
{
    if (!c)
        return;
    close_link(c);
    map_destroy(c->statements);
    buffer_finish(&c->fault);
    free(c);
}

/* The pause only shrinks again when a server has answered: one that accepts and hangs up is not besieged. */
static void lose(struct postgres_connection *c, const char *fault, int64_t now)
{
    if (fault != c->fault.data)
        postgres_fault(&c->fault, fault);
    close_link(c);
    c->due = now + c->retry_ms;
    c->retry_ms = c->retry_ms * 2 < RETRY_MOST_MS ? c->retry_ms * 2 : RETRY_MOST_MS;
    c->hooks->failed(c->owner, c->fault.data);
}

static void lose_link(struct postgres_connection *c, int64_t now)
{
    lose(c, postgres_link_fault(c->link), now);
}

bool postgres_connection_ready(const struct postgres_connection *c)
{
    return c->state == LINK_READY;
}

size_t postgres_connection_load(const struct postgres_connection *c)
{
    bool takes = c->state == LINK_READY && c->used + ENTRIES_PER_LOOKUP <= RING_SIZE;
    return takes ? c->used : SIZE_MAX;
}

struct pollfd postgres_connection_interest(const struct postgres_connection *c)
{
    struct pollfd interest = {.fd = -1};
    if (c->state == LINK_CLOSED)
        return interest;
    interest.fd = PQsocket(c->link);
    if (c->state == LINK_OPENING)
        interest.events = c->wants == PGRES_POLLING_READING ? POLLIN : POLLOUT;
    else
        interest.events = (short)(POLLIN | (c->flushing ? POLLOUT : 0));
    return interest;
}

int64_t postgres_connection_due(const struct postgres_connection *c)
{
    return c->due;
}

static int64_t patience(const struct postgres_connection *c)
{
    return c->channel ? LISTENER_SILENCE_MS : SILENCE_MS;
}

static void heard(struct postgres_connection *c, int64_t now)
{
    c->due = now + (c->used > 0 ? patience(c) : HEARTBEAT_MS);
    c->hooks->heard(c->owner, now);
}

static bool flush(struct postgres_connection *c)
{
    int left = PQflush(c->link);
    c->flushing = left == 1;
    return left >= 0;
}

/* The silence of a server counts from the moment it owes something. */
static void enter(struct postgres_connection *c, const struct entry *e, int64_t now)
{
    CHECK(c->used < RING_SIZE);
    if (c->used == 0)
        c->due = now + patience(c);
    c->ring[(c->first + c->used++) % RING_SIZE] = *e;
}

/* `sent` is what PQsend* said. The entry is in the ring already, so that a lost link returns its flight. */
static bool end_group(struct postgres_connection *c, int sent, int64_t now)
{
    if (sent && PQpipelineSync(c->link) && flush(c))
        return true;
    lose_link(c, now);
    return false;
}

static void send_heartbeat(struct postgres_connection *c, int64_t now)
{
    enter(c, &(struct entry){.kind = ENTRY_HEARTBEAT}, now);
    end_group(c, PQsendQueryParams(c->link, "SELECT 1", 0, NULL, NULL, NULL, NULL, 0), now);
}

static void send_listen(struct postgres_connection *c, int64_t now)
{
    char sql[128];
    snprintf(sql, sizeof sql, "LISTEN %s", c->channel);
    enter(c, &(struct entry){.kind = ENTRY_LISTEN}, now);
    end_group(c, PQsendQueryParams(c->link, sql, 0, NULL, NULL, NULL, NULL, 0), now);
}

static struct statement *get_statement(struct postgres_connection *c, const char *sql)
{
    struct statement *s = map_find(c->statements, slice_of(sql));
    if (!s) {
        s = xcalloc(1, sizeof *s);
        map_set(c->statements, slice_of(sql), s);
    }
    return s;
}

static bool send_prepare(struct postgres_connection *c, struct statement *s, const char *sql, int64_t now)
{
    /* A new name each time: the old one may still stand on the server. */
    snprintf(s->name, sizeof s->name, "causeway_%u", ++c->names);
    s->state = STATEMENT_PREPARING;
    enter(c, &(struct entry){.kind = ENTRY_PREPARE, .statement = s}, now);
    return end_group(c, PQsendPrepare(c->link, s->name, sql, 0, NULL), now);
}

void postgres_connection_send(struct postgres_connection *c, struct flight *f, int64_t now)
{
    CHECK(postgres_connection_load(c) != SIZE_MAX);
    struct statement *s = get_statement(c, flight_sql(f));
    bool named = s->state == STATEMENT_READY;
    int count = (int)flight_param_count(f);
    const char *const *values = flight_params(f);

    enter(c, &(struct entry){.kind = ENTRY_LOOKUP, .named = named, .flight = f, .statement = s}, now);
    int sent = named ? PQsendQueryPrepared(c->link, s->name, count, values, NULL, NULL, 0)
                     : PQsendQueryParams(c->link, flight_sql(f), count, NULL, values, NULL, NULL, 0);
    if (end_group(c, sent, now) && s->state == STATEMENT_UNKNOWN)
        send_prepare(c, s, flight_sql(f), now);
}

/* Ends the flight of an entry; the entry itself stays until its sync. */
static void answer(struct postgres_connection *c, struct entry *e, enum lookup_status status,
    struct rows *rows, const char *fault)
{
    struct flight *f = e->flight;
    e->flight = NULL;
    c->hooks->answered(c->owner, f, status, rows, fault);
    rows_release(rows);
}

static void answer_rows(struct postgres_connection *c, struct entry *e, const PGresult *result)
{
    if (PQntuples(result) > ROWS_MAX) {
        buffer_clear(&c->fault);
        buffer_print(&c->fault, "%d rows, more than %d", PQntuples(result), ROWS_MAX);
        answer(c, e, LOOKUP_FAILED, NULL, buffer_text(&c->fault));
        return;
    }
    answer(c, e, LOOKUP_OK, postgres_read_rows(result), NULL);
}

static void answer_error(
    struct postgres_connection *c, struct entry *e, const char *message, enum postgres_verdict verdict)
{
    postgres_fault(&c->fault, message);
    switch (verdict) {
    case VERDICT_NO_ROWS:
        answer(c, e, LOOKUP_OK, rows_create(NULL, 0), NULL);
        break;
    case VERDICT_UNAVAILABLE:
        answer(c, e, LOOKUP_UNAVAILABLE, NULL, c->fault.data);
        break;
    case VERDICT_FAILED:
        answer(c, e, LOOKUP_FAILED, NULL, c->fault.data);
        break;
    case VERDICT_AGAIN:
        /* Only if nobody has begun to prepare it anew meanwhile. */
        if (e->statement->state == STATEMENT_READY)
            e->statement->state = STATEMENT_UNKNOWN;
        c->hooks->returned(c->owner, e->flight, false);
        e->flight = NULL;
        break;
    case VERDICT_LOST:
        break;
    }
}

static bool on_error(struct postgres_connection *c, struct entry *e, const PGresult *result)
{
    enum postgres_verdict verdict = postgres_judge(result, e->named);
    if (verdict == VERDICT_LOST || e->kind == ENTRY_LISTEN)
        return false;
    if (e->kind == ENTRY_PREPARE)
        e->statement->state = STATEMENT_UNKNOWN;
    else if (e->flight)
        answer_error(c, e, PQresultErrorMessage(result), verdict);
    return true;
}

/* false: the connection is over. */
static bool on_result(struct postgres_connection *c, struct entry *e, const PGresult *result)
{
    switch (PQresultStatus(result)) {
    case PGRES_TUPLES_OK:
        if (e->flight)
            answer_rows(c, e, result);
        return true;
    case PGRES_COMMAND_OK:
        if (e->kind == ENTRY_PREPARE)
            e->statement->state = STATEMENT_READY;
        else if (e->flight)
            answer(c, e, LOOKUP_FAILED, NULL, "the statement gives no rows");
        return true;
    case PGRES_PIPELINE_SYNC:
        if (e->flight)
            c->hooks->returned(c->owner, e->flight, false);
        if (e->kind == ENTRY_LISTEN) /* it counts from its commit on, which is the sync */
            c->hooks->listening(c->owner);
        c->first = (c->first + 1) % RING_SIZE;
        c->used--;
        c->retry_ms = RETRY_LEAST_MS;
        return true;
    case PGRES_FATAL_ERROR:
        return on_error(c, e, result);
    case PGRES_PIPELINE_ABORTED: /* its flight is returned at the sync */
        return true;
    default: /* COPY: nothing can follow it on this connection */
        if (e->flight)
            answer(c, e, LOOKUP_FAILED, NULL, "the statement is no query");
        return false;
    }
}

static void read_notifications(struct postgres_connection *c)
{
    for (PGnotify *n = PQnotifies(c->link); n; n = PQnotifies(c->link)) {
        c->hooks->notified(c->owner, slice_of(n->extra));
        PQfreemem(n);
    }
}

static void read_results(struct postgres_connection *c, int64_t now)
{
    bool good = PQconsumeInput(c->link);
    unsigned pauses =
        0; /* one NULL parts a result from its sync; two mean that the ring and libpq disagree */
    while (c->used > 0 && !PQisBusy(c->link)) {
        PGresult *result = PQgetResult(c->link);
        if (!result && ++pauses < 2)
            continue;
        pauses = result ? 0 : pauses;
        bool goes_on = result && on_result(c, &c->ring[c->first], result);
        if (!goes_on)
            postgres_fault(&c->fault, PQresultErrorMessage(result)); /* "" for NULL */
        PQclear(result);
        if (!goes_on) {
            lose(c, c->fault.size > 0 ? c->fault.data : "unexpected answer", now);
            return;
        }
    }
    if (c->channel)
        read_notifications(c);
    if (!good || PQstatus(c->link) != CONNECTION_OK)
        lose_link(c, now);
    else
        heard(c, now);
}

static void swallow_notice(void *context, const char *message)
{
    (void)context;
    log_debug("postgres", "notice=\"%.*s\"", (int)strcspn(message, "\r\n"), message);
}

static void open_link(struct postgres_connection *c, int64_t now)
{
    c->link = postgres_target_begin(c->target);
    if (!c->link || PQstatus(c->link) == CONNECTION_BAD) {
        lose_link(c, now);
        return;
    }
    PQsetNoticeProcessor(c->link, swallow_notice, NULL);
    c->state = LINK_OPENING;
    c->wants = PGRES_POLLING_WRITING;
    c->due = now + CONNECT_MS;
}

static void carry_on_opening(struct postgres_connection *c, int64_t now)
{
    c->wants = PQconnectPoll(c->link);
    if (c->wants == PGRES_POLLING_FAILED) {
        lose_link(c, now);
        return;
    }
    if (c->wants != PGRES_POLLING_OK)
        return;
    if (PQsetnonblocking(c->link, 1) != 0 || !PQenterPipelineMode(c->link)) {
        lose_link(c, now);
        return;
    }
    c->state = LINK_READY;
    heard(c, now);
    if (c->channel)
        send_listen(c, now);
    else
        send_heartbeat(c, now);
}

static void turn_ready(struct postgres_connection *c, short events, int64_t now)
{
    if (events & (POLLIN | POLLERR | POLLHUP))
        read_results(c, now);
    if (c->state == LINK_READY && c->flushing && !flush(c))
        lose_link(c, now);
    if (c->state != LINK_READY || now < c->due)
        return;
    if (c->used > 0)
        lose(c, "the server does not answer", now);
    else
        send_heartbeat(c, now);
}

void postgres_connection_turn(struct postgres_connection *c, short events, int64_t now)
{
    switch (c->state) {
    case LINK_CLOSED:
        if (now >= c->due)
            open_link(c, now);
        break;
    case LINK_OPENING:
        if (events)
            carry_on_opening(c, now);
        if (c->state == LINK_OPENING && now >= c->due)
            lose(c, "no connection within 5 s", now);
        break;
    case LINK_READY:
        turn_ready(c, events, now);
        break;
    }
}
