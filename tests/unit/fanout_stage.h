/* A world for the fan-out: a log, and players, each a session whose transport and rooms a model follows. What
   happens to a player happens to its model too; turn() compares the two, byte by byte. */
#pragma once

#include "fanout_stage_model.h"

#include "causeway/buffer.h"

struct slice name_of(char text[16], unsigned room);

/* Appends it; partition and offset are drawn. */
void append(struct world *w, const struct event *e);
void publish(struct world *w);
void join(struct player *p, unsigned room);
void leave(struct player *p, unsigned room);

/* A session that is held until start(). */
void create(struct player *p, uint16_t lane);
void start(struct player *p);
void freeze(struct player *p, bool frozen);

/* All that was to leave has left. */
void check_stream(struct player *p);
void destroy(struct player *p);

/* The socket takes more. */
void writable(struct player *p);

/* One turn of the loop, and every player compared with its model. false: nothing is left to do. */
bool turn(struct world *w);

/* Turns until nothing is left to do and nobody is away. */
void settle(struct world *w);
struct world *open_world(size_t bytes, uint32_t entries, uint32_t frame_max);
void close_world(struct world *w);
