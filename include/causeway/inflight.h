/* Single flight: equal lookups (same SQL, same parameters) that are under way at the same time share one
   query and one answer, unless that query was sent too early: each lookup says after which serial (of changes
   that were heard of) its query must have been sent. Pure bookkeeping without clock and I/O: a queue of
   flights to send, a table of those under way, and who waits for each until when. A flight may be made on any
   thread; the table and what it took over live on one thread.

   A flight is queued (owned by the table), or taken (lent to the caller until finish or requeue). Waiters are
   answered in the order in which they came, each exactly once; a flight that nobody waits for any more leaves
   the table, so that the next equal lookup asks anew. Answers must not call back into the table. */
#pragma once

#include "causeway/grants.h"

#include <stdint.h>

/* `rows` is only lent: hold it to keep it; NULL unless LOOKUP_OK. */
typedef void (*flight_answer)(void *context, enum lookup_status status, struct rows *rows);

struct flight;

/* Copies SQL and parameters. A parameter with NULL data is SQL's NULL, which compares with nothing. */
struct flight *flight_create(struct slice sql, const struct slice *params, size_t count, uint64_t after,
    flight_answer answer, void *context);
const char *flight_sql(const struct flight *f); /* NUL-terminated, as all texts below */
const char *const *flight_params(const struct flight *f);
size_t flight_param_count(const struct flight *f);
bool flight_has_nul(const struct flight *f); /* a parameter holds a NUL byte, which no SQL text can */
unsigned flight_blame(struct flight *f);     /* a connection was lost while it ran: how often by now */

/* A chain of flights in order. A zeroed struct is an empty one; a flight is in at most one. */
struct flight_list {
    struct flight *first, *last;
};

void flight_list_add(struct flight_list *list, struct flight *f);
struct flight *flight_list_take(struct flight_list *list); /* the first; NULL when empty */

struct inflight;

/* Each waiter waits at most `patience_ms` from its post on. */
struct inflight *inflight_create(int64_t patience_ms);
/* Nothing may be taken any more; whoever still waits is answered LOOKUP_UNAVAILABLE. NULL is fine. */
void inflight_destroy(struct inflight *t);

/* Takes the flight over: queued, or (true) freed because its waiter joined one that is under way. */
bool inflight_post(struct inflight *t, struct flight *f, int64_t now);
/* Lends the oldest queued flight, to be sent now, at this serial; NULL when the queue is empty. */
struct flight *inflight_take(struct inflight *t, uint64_t serial);
/* A taken flight goes back to the head of the queue: its connection was lost. */
void inflight_requeue(struct inflight *t, struct flight *f);
/* Answers all who wait for a taken flight and frees it. */
void inflight_finish(struct inflight *t, struct flight *f, enum lookup_status status, struct rows *rows);

/* Answers LOOKUP_UNAVAILABLE to those whose time has come. */
void inflight_expire(struct inflight *t, int64_t now);
int64_t inflight_deadline(const struct inflight *t); /* the next one; INT64_MAX when nobody waits */
