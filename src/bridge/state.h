/* What the parts of the bridge find each other by. bridge.c makes it and takes it apart; everything in it is
   set before the threads start and stays until they have ended, but for what is atomic. */
#pragma once

#include "worker.h"

#include "causeway/config.h"
#include "causeway/journal.h"
#include "causeway/kafka.h"
#include "causeway/limits.h"
#include "causeway/listener.h"
#include "causeway/partitions.h"
#include "causeway/postgres.h"
#include "causeway/rooms.h"

#include <pthread.h>
#include <stdatomic.h>

struct gate;
struct history;
struct ingest;
struct invalidations;
struct letters;
struct reload;
struct stand_in;
struct sweeps;

struct bridge {
    const struct config *config;
    struct reload *reload;
    struct stand_in *stand_in; /* stands in for Kafka and PostgreSQL; NULL: the real ones */
    struct rooms *rooms;
    struct partitions *partitions;
    struct limits *limits;
    struct journal *journals[FANOUT_LOGS_MAX]; /* the hot log, then one window per sweeper */
    unsigned journal_count;
    struct gate *gate;
    struct postgres *postgres;
    struct ingest *ingest;
    struct history *history;
    struct sweeps *sweeps;
    struct letters *letters;             /* NULL: there are to be none */
    struct invalidations *invalidations; /* likewise */
    pthread_t starter;
    _Atomic(struct kafka_source *) source; /* NULL until it is known where to begin */
    struct listener *listener;
    struct worker *workers;
    unsigned worker_count;
    atomic_uint next_worker;
    atomic_bool draining;
    atomic_bool refused;
};

/* Any thread. Has "now" begun: is it settled where each partition is read from, and can a cursor say so? */
bool bridge_started(struct bridge *b);
