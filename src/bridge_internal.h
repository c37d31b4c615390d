/* What the bridge_*.c files share: bridge.c starts and stops, bridge_ingest.c is the Kafka thread's side of
   the hot log, bridge_worker.c one loop with all that lives on it, bridge_status.c what operators ask over
   HTTP. */
#pragma once

#include "causeway/bridge.h"
#include "causeway/catalogue.h"
#include "causeway/front.h"
#include "causeway/hotlog.h"
#include "causeway/kafka.h"
#include "causeway/listener.h"
#include "causeway/loop.h"
#include "causeway/postgres.h"
#include "causeway/route.h"
#include "causeway/token.h"
#include "causeway/ws.h"

#include <pthread.h>
#include <stdatomic.h>

struct worker {
    struct bridge *bridge;
    struct loop *loop;
    struct fanout *fanout;
    struct ws *ws;
    struct front *front;
    struct loop_timer count_timer; /* metrics of the fan-out */
    int64_t behind;                /* as last counted */
    struct loop_task drain_task;
    pthread_t thread;
    atomic_size_t peers; /* for the thread that waits for the drain */
};

struct ingest;

struct bridge {
    const struct config *config;
    struct catalogue *catalogue;
    struct rooms *rooms;
    struct hotlog *hotlog;
    struct token_verifier *verifier;
    struct postgres *postgres;
    struct ingest *ingest;
    struct kafka_source *source;
    struct listener *listener;
    struct worker *workers;
    unsigned worker_count;
    atomic_uint next_worker;
    atomic_bool draining;
};

/* --- bridge_ingest.c: @thread kafka --- */
struct ingest *ingest_create(struct bridge *b);
void ingest_destroy(struct ingest *in);
extern const struct kafka_source_hooks ingest_hooks; /* owner: struct ingest */

/* --- bridge_worker.c --- */
void worker_start(struct worker *w, struct bridge *b);
void worker_adopt(struct worker *w, int fd); /* any thread */
void worker_drain(struct worker *w);         /* any thread */
void worker_stop(struct worker *w);          /* joins; what lives on the loop is freed by worker_finish */
void worker_finish(struct worker *w);        /* after nobody posts to the loop any more */

/* --- bridge_status.c --- */
bool status_request(struct bridge *b, const struct http_head *head, struct buffer *response);
