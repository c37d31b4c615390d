/* `serve --replay-examples`: what stands in for Kafka and PostgreSQL when consumer teams try their clients. A
   thread routes every example of the document, again and again; lookups are answered from the token's claims
   and from the rooms that the examples go to. Nothing outlives the process. */
#pragma once

#include "causeway/catalogue.h"
#include "causeway/cursor.h"
#include "causeway/origin.h"
#include "causeway/rows.h"

struct bridge;
struct stand_in;
struct worker;

struct stand_in *stand_in_create(struct bridge *b);
void stand_in_stop(struct stand_in *r);    /* its thread; NULL is fine */
void stand_in_destroy(struct stand_in *r); /* NULL is fine */
bool stand_in_started(struct stand_in *r); /* any thread */
/* @thread loop, all below. What the services of clients and lookups are otherwise asked. */
void stand_in_note_token(struct stand_in *r, struct slice user, struct slice token);
struct rows *stand_in_answer(struct stand_in *r, const struct catalogue *c, const struct lookup *lookup,
    const struct slice *params, size_t count); /* release it */
void stand_in_locate(struct worker *w, const struct cursor *cursor, uint64_t client, uint64_t tag);
void stand_in_away(struct worker *w, uint64_t client, uint64_t session, struct origin *origin);
