/* One loop with all that lives on it, on one thread: its sessions, clients, lookups and connections. What is
   called from elsewhere says so. */
#pragma once

#include "causeway/front.h"
#include "causeway/lookups.h"
#include "causeway/loop.h"
#include "causeway/roster.h"
#include "causeway/sio.h"
#include "causeway/ws.h"

#include <pthread.h>
#include <stdatomic.h>

struct bridge;
struct edition;
struct question;

struct worker {
    struct bridge *bridge;
    struct edition *edition; /* that its clients know */
    struct loop *loop;
    struct fanout *fanout;
    struct roster *roster;
    struct ws *ws;
    struct sio *sio;
    struct front *front;
    struct lookups *lookups;
    struct timeline *timeline;
    struct question *questions;    /* where cursors stand that name partitions not found yet */
    struct loop_timer pulse_timer; /* how the listening connection is */
    struct loop_timer count_timer; /* metrics of the fan-out */
    int64_t behind;                /* as last counted */
    struct loop_task drain_task;
    pthread_t thread;
    atomic_size_t peers; /* for the thread that waits for the drain */
};

void worker_create(struct worker *w, struct bridge *b); /* everything that lives on the loop */
void worker_start(struct worker *w);                    /* its thread */
/* Any thread. `read`: what has been read from it already. */
void worker_adopt(struct worker *w, int fd, struct slice read, uint64_t spent);
/* @thread loop: the two steps of a reload. */
void worker_leave_past(struct worker *w, struct edition *e);
void worker_change_edition(struct worker *w, struct edition *e);
void worker_drain(struct worker *w);  /* any thread */
void worker_stop(struct worker *w);   /* joins; what lives on the loop is freed by worker_finish */
void worker_finish(struct worker *w); /* after nobody posts to the loop any more */
