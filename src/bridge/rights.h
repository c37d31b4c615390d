/* Rights between PostgreSQL and the loops: lookups go from a loop to the postgres thread and back; changes
   that are heard of go to every loop, which looks up again what rests on them. */
#pragma once

#include "causeway/lookups.h"
#include "causeway/slice.h"

struct bridge;
struct worker;

struct lookups *rights_lookups_create(struct worker *w);
void rights_pulse(struct worker *w); /* @thread loop, several times a second */
/* Any thread. A change of rights was heard of: every loop looks up what it concerns. `source` is for the
 * metric. */
void rights_changed(struct bridge *b, struct slice what, uint64_t number, const char *source);
void rights_notified(void *bridge, struct slice payload, uint64_t mark); /* @thread postgres */
bool rights_ready(struct bridge *b, char *detail, size_t size);          /* any thread */
