/* What was read of Kafka's past, in a log of its own, for all who walk it. Its writer waits for them as long
   as that is fair: what counts is how many wait meanwhile, and for how long. @thread of its sweeper. */
#pragma once

#include "stretch.h"

#include "causeway/record.h"

struct bridge;
struct window;

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
