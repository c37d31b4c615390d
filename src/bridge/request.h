/* A session that needs what is older than the hot log: asked for on its loop, served by a sweeper, answered
   on the loop. Whoever holds it last frees it (window_join, or the sweeps when they end). */
#pragma once

#include "causeway/loop.h"
#include "causeway/origin.h"
#include "causeway/resume.h"

struct window;
struct worker;

struct request {
    struct loop_task task;
    struct request *next;
    uint64_t number; /* ascending */
    uint64_t since;  /* monotonic ms */
    struct worker *worker;
    uint64_t client, session;
    struct origin *origin;
    uint64_t until;
    /* the answer */
    struct window *window;
    uint64_t edition; /* by which the window was routed */
    unsigned log;
    uint64_t position;
    struct gap *gaps;
    size_t gap_count;
};
