/* The model of the fan-out: it knows every entry, every room and every byte that a transport took, and says
   of each write whether it is what the session had to get next. */
#pragma once

#include "unit.h"

#include "causeway/buffer.h"
#include "causeway/fanout.h"

enum {
    PLAYERS = 24,
    ROOM_NAMES = 40,
    PARTITIONS = 3,
    EVENTS_MAX = 200000,
    CHUNK_BYTES =
        128 * 1024, /* what one write may offer to a session that is behind: bytes, frames, pieces */
    CHUNK_FRAMES = 2048,
    CHUNK_PARTS = 512,
};

struct event {
    uint64_t rooms, except; /* bits */
    int64_t offset;
    uint32_t partition, size;
    uint16_t lane;
    bool ephemeral;
};

/* A session, its transport, and what the model knows about both. */
struct player {
    struct world *world;
    struct session *session; /* NULL: none at the moment */
    uint64_t rooms;          /* bits */
    uint64_t position;       /* of a live one: the head of the last turn */
    uint16_t lane;
    bool held, full, arrived, frozen;
    bool live;              /* at the end of the last turn */
    struct buffer kept;     /* the rest of a cut frame, as the fan-out gave it */
    struct buffer received; /* all bytes that left */
    struct buffer expected;
    struct origin *away;    /* waits to be let in again; held */
    bool came_back;         /* and what it gets may be written anew */
    uint64_t delivered_end; /* one past the last entry of which anything left */
    unsigned writes, aways; /* of this turn */
    uint32_t last_frames;
    size_t last_bytes;
    int last_parts;
    bool last_anew;
};

struct world {
    struct rooms *rooms;
    struct hotlog *log;
    struct hotlog_reader *reader;
    struct fanout *fanout;
    struct player players[PLAYERS];
    struct event *events;
    uint64_t count, published;
    uint64_t head, tail;   /* as this turn saw them */
    uint64_t fan_position; /* head of the last turn */
    int64_t next[PARTITIONS];
    uint32_t seed, frame_max;
    uint64_t deliveries, bytes; /* of this turn */
    unsigned cuts, boundaries, refusals, aways, rewritten, all_behind, ephemerals_skipped, chunks_by_bytes,
        chunks_by_frames, chunks_by_parts;
    bool generous; /* transports take everything */
};

uint32_t next_random(struct world *w);
bool one_in(struct world *w, uint32_t n);

/* What the frame of that entry has there. */
char frame_byte(uint64_t sequence, size_t at);

/* How many bytes stand before and behind what a variant is made of. */
uint16_t head_of(uint32_t size);
uint16_t tail_of(uint32_t size);

/* The next entry that this session must get, or the head. */
uint64_t next_for(const struct player *p, uint64_t from, bool live);

/* The frame as it is written for one who comes from elsewhere, into `out`. */
size_t write_anew(const struct world *w, uint64_t sequence, struct buffer *out);
void check_chunk_was_full(struct player *p, uint64_t next);

/* The transport of a player; the session that it serves is player.session. */
extern const struct transport_hooks player_hooks;
