/* What the parts of grants.c share: grants_requests.c has the rooms that were asked for. */
#pragma once

#include "causeway/grants.h"

#include "inquiry.h"
#include "rules.h"

enum phase { IDLE, ATTACHING, ATTACHED };

/* A room that was asked for: not decided yet, or granted. */
struct request {
    struct request *next;
    uint64_t tag; /* the caller's */
    struct slice room;
    struct inquiry inquiry;
    bool granted;
};

struct grants {
    struct lookups_user in_lookups;
    struct lookups *lookups;
    struct catalogue *catalogue;
    uint16_t lane;
    struct slice user;
    size_t rooms_max;
    struct grants_hooks hooks;
    void *owner;
    enum phase phase;
    bool doubted;
    bool stale;             /* what rests on the principal was asked under another catalogue */
    struct inquiry who;     /* the principal's lookup */
    struct rows *principal; /* held; what the inquiries below were made for; NULL: not known */
    struct inquiry rules;   /* of the automatic rooms */
    struct nameset sets[2];
    struct nameset *rooms, *rooms_before; /* automatic ones; in `sets` */
    struct request *requests;
};

/* --- grants.c --- */
/* Of the rules for this room; of all, when it is no room. */
struct rules_walk grants_walk(const struct grants *g, struct slice room);
void grants_ask(struct grants *g, struct inquiry *q, const struct rules_walk *w, const struct lookup *lookup);
/* The rows of the rule's lookup; NULL when there are none to rely on. */
const struct rows *grants_answer(const struct inquiry *q, const struct rules_walk *w);
void grants_count_room(const struct grants *g, struct slice room, const char *result);
void grants_withdraw(struct grants *g, struct slice room, const struct inquiry *rests_on);

/* --- grants_requests.c --- */
void requests_forget(struct grants *g);
/* For another principal. The old questions are dropped last, so that an answer that is needed again is not
   asked for again. */
void requests_ask_anew(struct grants *g);
void requests_drop_answers(struct grants *g);
bool requests_settled(const struct grants *g); /* none that was granted is in doubt */
uint64_t requests_changed_since(const struct grants *g, uint64_t since_ms); /* as grants_changed_since */
bool requests_have(const struct grants *g, struct slice room);              /* was it granted on request? */
void requests_withdraw(struct grants *g); /* those that no rule holds for any more */
/* Decides one request, and has itself called again for further ones: the owner may destroy g meanwhile. */
void requests_decide_next(struct grants *g);
