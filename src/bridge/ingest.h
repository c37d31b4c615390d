/* From Kafka records to entries of the hot log, and from there to the loops; checkpoints now and then. Never
   waits for PostgreSQL, and for a loop only when the log would overtake it: then Kafka is held back. @thread
   kafka, but for what says otherwise. */
#pragma once

#include "causeway/kafka.h"

struct bridge;
struct ingest;

struct ingest *ingest_create(struct bridge *b);
void ingest_destroy(struct ingest *in);
/* Any thread. Has a life begun whose first record has not come? */
bool ingest_awaits_life(const struct ingest *in);
extern const struct kafka_source_hooks ingest_hooks; /* owner: struct ingest */
