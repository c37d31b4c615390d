/* Shared sweeps through Kafka's past. A sweep reads from the oldest place that somebody waits at into a
   window, and takes along all it passes; whoever falls out of the window waits for the next one. Each sweeper
   is one thread with one window, so that readers times window bytes is all the memory there is to it. */
#pragma once

#include "causeway/kafka.h"
#include "causeway/origin.h"

struct bridge;
struct request;
struct sweeps;
struct worker;

struct sweeps *sweeps_create(struct bridge *b, const struct kafka_settings *settings);
void sweeps_stop(struct sweeps *s);
void sweeps_destroy(struct sweeps *s);
/* @thread loop. Takes over the origin; answers through client_enter. */
void sweeps_request(struct sweeps *s, struct worker *w, uint64_t client, uint64_t session,
    struct origin *origin, uint64_t until);

/* Any thread: it turned out that the window was none for it. */
void sweeps_request_again(struct sweeps *s, struct request *r);
