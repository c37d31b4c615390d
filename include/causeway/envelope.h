/* What a client gets for one event: {"type":..,"id":..,"time":..,"data":<payload, byte for byte>} as one
   WebSocket text frame, written once and shared by everybody. Pure. */
#pragma once

#include "causeway/catalogue.h"
#include "causeway/record.h"

/* The parts of a frame around the payload; measured first, so that it can be written straight into the log.
 */
struct envelope {
    char head[1024]; /* frame header, then the message up to the payload */
    size_t head_size;
    struct slice payload;
    size_t size; /* of the whole frame */
};

/* false: names too long for a frame (a fault of the catalogue). */
bool envelope_begin(struct envelope *e, const struct lane *lane, const struct operation *operation,
    const struct record *record, struct slice payload);
void envelope_write(const struct envelope *e, char *out); /* e->size bytes */

/* The event's id: the same on any instance and at any repeat, another one under another operation, and
   another one when the topic was deleted and made again. "topic:partition:offset:hash of record time and
   operation". Returns its length. */
size_t envelope_id(char *out, size_t size, const struct record *record, const struct operation *operation);

/* RFC 3339 with milliseconds, UTC: 24 characters and a NUL. */
void envelope_time(char out[32], int64_t time_ms);
