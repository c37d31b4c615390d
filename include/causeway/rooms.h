/* Room names as small numbers, shared by the log and the loops. A room lives on one lane: the same name on
   another lane is another room. A number is valid while somebody holds it: an entry of a log, or a session;
   then it may be given to another name. Thread-safe; locked for a hash look-up only, and not needed at all
   while events are delivered. */
#pragma once

#include "causeway/slice.h"

#include <stdint.h>

struct buffer;
struct rooms;

enum { ROOM_NONE = UINT32_MAX, ROOM_NAME_MAX = 512 };

struct rooms *rooms_create(void);
void rooms_destroy(struct rooms *r);

/* Where everybody of a lane stands: no name that a client or a catalogue could say. */
#define ROOM_OF_ALL SLICE("\x01")

/* The number of this room, held once more for the caller. Names are 1 to ROOM_NAME_MAX bytes. */
uint32_t rooms_hold(struct rooms *r, uint16_t lane, struct slice name);
void rooms_hold_again(struct rooms *r, uint32_t room);
void rooms_release(struct rooms *r, uint32_t number);

/* The number of a room that somebody holds; ROOM_NONE when nobody does. Holds nothing. */
uint32_t rooms_find(struct rooms *r, uint16_t lane, struct slice name);

/* Appends the name of a held room. */
void rooms_name(struct rooms *r, uint32_t room, struct buffer *out);

size_t rooms_count(struct rooms *r);
