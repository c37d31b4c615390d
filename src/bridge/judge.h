/* What a record is to the clients: routed into a journal, or rejected with a reason that is logged once and
   counted always. One per thread that reads Kafka, and of that thread. */
#pragma once

#include "reload.h"

#include "causeway/journal.h"
#include "causeway/record.h"
#include "causeway/route.h"

struct bridge;
struct judge;

struct judge *judge_create(struct bridge *b);
void judge_destroy(struct judge *g); /* NULL is fine */
const struct edition *judge_edition(const struct judge *g);
/* From now on it judges by this edition, of which it holds its own. */
void judge_adopt(struct judge *g, struct edition *e);
/* What it is; *out is valid until the next call. */
enum reject judge_look(struct judge *g, const struct record *r, struct routed *out);
/* Appends what the record is to clients; returns the number of entries. `first_time`: a rejection is counted
 * and told. */
size_t judge_record(
    struct judge *g, struct journal *j, uint32_t partition, const struct record *r, bool first_time);
