/* Which edition of the catalogue there is. Editions are loaded on the main thread, and in effect from a
   moment on the Kafka thread, between two records, at which every loop stands still between two of its turns
   and nothing is routed: what was routed by the one before is walked by nobody afterwards. */
#pragma once

#include "causeway/catalogue.h"
#include "causeway/config.h"

#include <stdatomic.h>

struct bridge;
struct examples;

/* The catalogue that is loaded, until a reload brings the next one. Immutable; shared by reference count. */
struct edition {
    atomic_uint references;
    uint64_t number; /* ascending */
    struct catalogue *catalogue;
    struct buffer document; /* all files that were loaded: is it another one? */
    struct buffer json;     /* the document as one file; empty: it refers to itself */
    struct buffer html;     /* ... for people */
    struct examples *examples;
};

/* NULL: `fault` says why. Release it. */
struct edition *edition_load(const struct config *config, struct buffer *fault);
struct edition *edition_hold(struct edition *e);
void edition_release(struct edition *e); /* NULL is fine */
/* The topics that are worth reading; the array is the caller's. */
size_t edition_topics(const struct edition *e, struct slice **names);

/* Takes over the edition to begin with. */
struct reload *reload_create(struct bridge *b, struct edition *first);
void reload_destroy(struct reload *r);
/* Any thread. The newest edition that is in effect, or is about to be. Release it. */
struct edition *reload_current(struct reload *r);
bool reload_is_current(struct reload *r, const struct edition *e);
/* @thread main. Loads the catalogue anew; what is wrong changes nothing, and is logged. */
void reload_begin(struct reload *r);
/* @thread kafka. Is there a new edition? Then, with everything published, it is taken: when that returns, all
   loops have come to the head of the hot log, and whoever is not there has left the logs. When the hot log
   has been emptied, the loops adopt the edition. Release it then. */
bool reload_waits(struct reload *r);
struct edition *reload_take(struct reload *r);
void reload_adopt(struct reload *r, struct edition *e);
