/* What bridge_sweep.c (who waits, and the threads that serve them), bridge_stretch.c (from where to where
   Kafka is read) and bridge_window.c (what was read, and who walks it) share. */
#pragma once

#include "bridge_internal.h"

#include "causeway/kafka_replay.h"

struct window;

/* A session that needs history. */
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

/* --- bridge_sweep.c --- */

/* Any thread: it turned out that the window was none for it. */
void sweeps_request_again(struct sweeps *s, struct request *r);

/* --- bridge_stretch.c --- */

/* What is read at a time: of each partition [place, target). Vectors by partition number. */
struct stretch {
    struct bridge *bridge;
    struct kafka_replay_part *parts;
    uint32_t *numbers; /* of the parts */
    size_t part_count;
    uint32_t count;
    int64_t *place; /* where reading stands */
    struct floor {
        int64_t offset; /* below it there is nothing; 0: as far as was asked, there is */
        enum gap_reason why;
    } * floor;
    int64_t *target;   /* the place of ... */
    uint64_t position; /* ... this position of the hot log, which has the rest */
};

/* From the oldest place that anybody waits at to one that the hot log knows exactly. */
void stretch_plan(struct stretch *t, struct bridge *b, const struct request *all);
/* From where reading stands to a later place of the hot log. */
void stretch_go_on(struct stretch *t);
void stretch_finish(struct stretch *t);
/* Takes over what Kafka has told about the ends of the parts. */
void stretch_settle(struct stretch *t);
/* All of it has been read. */
void stretch_close(struct stretch *t);
/* Does it lead beyond where a side walk ends, while it could have led there? */
bool stretch_passes(const struct stretch *t, uint64_t until);
/* Will the hot log still have what follows when those who walk the stretch have come to its end? */
bool stretch_leads_on(const struct stretch *t);
/* The place without what cannot be had any more. Release it. */
struct origin *stretch_reach(const struct stretch *t, const struct origin *from);
/* ... which are gaps of the request, whose place is the other one now: so each is told once. Takes over `to`.
 */
void stretch_declare(const struct stretch *t, struct request *r, struct origin *to);
struct gap stretch_gap(const struct stretch *t, size_t part, int64_t from, int64_t to);

/* --- bridge_window.c --- */

struct window_hooks {
    size_t (*queued)(void *owner); /* requests that nobody serves */
    void (*invite)(void *owner);   /* calls window_join for those that came since the last time */
    bool (*stopping)(void *owner);
};

/* Is it routed by the catalogue that there is? If not it is to end. */
bool window_is_current(const struct window *w);
struct window *window_create(struct bridge *b, unsigned log, const struct window_hooks *hooks, void *owner);
void window_destroy(struct window *w);

/* What comes next is routed by the newest catalogue; before the stretch is planned, so that a window that is
 * still current afterwards does not reach beyond where that took effect in the hot log. */
void window_take_edition(struct window *w);
/* Begins anew where the stretch does, and waits until Kafka has that as a checkpoint, so that no event goes
 * out without a cursor. false: stopping. */
bool window_begin(struct window *w, const struct stretch *t);
/* Answers the request and frees it when its session can walk the window. false: the window has not all of it.
 */
bool window_join(struct window *w, const struct stretch *t, struct request *r);
/* Both wait for those who walk the window, as long as that is fair to those who wait meanwhile. */
void window_record(struct window *w, uint32_t partition, const struct record *record);
void window_gap(struct window *w, uint32_t partition, const struct gap *gap);
/* Shows what was read; now and then a checkpoint. */
void window_show(struct window *w);
/* The stretch has been read: those who come to the end of the window go on in the hot log. */
void window_end(struct window *w, const struct stretch *t);
/* ... or not: more follows. false: stopping. */
bool window_go_on(struct window *w, const struct stretch *t);
/* Does nobody walk it any more, or do those who do keep too many waiting? */
bool window_is_over(struct window *w);
bool window_is_deserted(const struct window *w);
/* Sends everybody away and waits until they have gone. */
void window_clear(struct window *w);
