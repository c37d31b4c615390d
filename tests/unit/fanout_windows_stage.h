/* A world of sessions that come from elsewhere, through windows that are filled beside the hot log, to its
   head. The model knows of every event who has had it, and what the cursor in a frame promises. */
#pragma once

#include "unit.h"

#include "causeway/buffer.h"
#include "causeway/fanout.h"

enum {
    PLAYERS = 10,
    ROOM_NAMES = 6,
    PARTITIONS = 3,
    WINDOWS = 2,
    EVENTS_MAX = 6000,
    LOGS = WINDOWS + 1,
};

struct event {
    uint32_t rooms, except; /* bits */
    uint32_t partition;
    int64_t offset;
    bool ephemeral;
};

/* What a client has had of an event. */
struct had {
    uint8_t count; /* once before it came counts too */
    bool backfill; /* nothing but backfill so far */
    bool not_asked_for;
};

struct player {
    struct world *world;
    struct session *session, *side; /* NULL: none at the moment */
    uint32_t rooms, side_rooms;     /* bits */
    struct origin *away, *side_away;
    bool full, arrived, refused; /* it could not be held */
    struct buffer stream;
    struct had had[EVENTS_MAX];
    int64_t had_below[PARTITIONS]; /* in an earlier life, elsewhere: also of what comes here later */
    int64_t last[PARTITIONS];      /* the last first receipt, by partition: an event's number */
};

/* A window and the one who fills it. */
struct sweep {
    struct hotlog *log;
    enum { IDLE, FILLING, ENDED, CLEARING } state;
    int64_t begin[PARTITIONS], place[PARTITIONS], target[PARTITIONS];
    uint64_t target_position;
    uint32_t order[EVENTS_MAX]; /* what it holds, as numbers of events */
    uint32_t count, stretch;    /* the cursor of an entry names both */
    unsigned age;
};

struct world {
    struct rooms *rooms;
    struct hotlog *hot;
    struct sweep sweeps[WINDOWS];
    struct fanout *fanout;
    struct player players[PLAYERS];
    struct event *events; /* by position in the hot log */
    uint32_t count;
    int64_t next[PARTITIONS];
    uint16_t lane;
    uint32_t seed;
    bool generous;        /* transports take everything */
    bool brutal;          /* windows do not wait */
    uint32_t leaves_past; /* one step in so many; 0: never */
    unsigned plain, replayed, redelivered, backfilled, repeats, aways, window_aways, sides, sweeps_begun,
        along, promises;
};

uint32_t next_random(struct world *w);
bool one_in(struct world *w, uint32_t n);
struct slice name_of(char text[16], unsigned room);
