/* From where to where Kafka's past is read at a time, and what of it is there no more. @thread of its
 * sweeper. */
#pragma once

#include "request.h"

#include "causeway/kafka_replay.h"

struct bridge;

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
/* Are all lives that are read going on? */
bool stretch_lives(const struct stretch *t);
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
