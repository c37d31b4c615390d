/* What a client gets for one event: {"type":..,"id":..,"time":..,"traceparent":"..","data":<payload, byte for
   byte>,"cursor":".."} as one WebSocket text frame, written once and shared by everybody. Those who may have
   had it, or get it late, get a variant with another end. In the dialect of Socket.IO it is
   42/namespace,[<type>,<payload>]: nothing but what the application expects, so there are no variants. Pure.
 */
#pragma once

#include "causeway/catalogue.h"
#include "causeway/record.h"

/* The parts of a frame around the payload; measured first, so that it can be written straight into the log.
 */
struct envelope {
    char head[1024]; /* frame header, then the message up to the payload */
    size_t head_size;
    struct slice payload;
    char tail[128]; /* from behind the payload to the closing brace */
    size_t tail_size;
    bool uniform;       /* there are no variants */
    size_t header_size; /* of the frame header alone */
    size_t size;        /* of the whole frame */
};

/* What is told about an event besides its payload; either may be empty. */
struct envelope_notes {
    struct slice cursor, traceparent;
    bool repeat; /* it may have gone out before, to anybody */
};

/* false: names too long for a frame (a fault of the catalogue). */
bool envelope_begin(struct envelope *e, const struct lane *lane, const struct operation *operation,
    const struct record *record, struct slice payload, struct envelope_notes notes);
/* A message of ours that goes through a log: {"type":..,<payload key>:<data>}. */
void envelope_begin_plain(struct envelope *e, const struct lane *lane, const char *type, struct slice data);
void envelope_write(const struct envelope *e, char *out); /* e->size bytes */

enum envelope_variant { ENVELOPE_REPLAYED, ENVELOPE_REDELIVERED, ENVELOPE_BACKFILL };
enum { ENVELOPE_VARIANT_EXTRA = 128 };

/* The cursor in a frame that envelope_write wrote; empty: it has none. */
struct slice envelope_cursor(struct slice frame, size_t tail_size);
/* Appends the variant of such a frame: with another cursor (empty: none), and marked. */
void envelope_add_variant(struct buffer *out, struct slice frame, size_t header_size, size_t tail_size,
    enum envelope_variant variant, struct slice cursor);

/* The event's id: the same on any instance and at any repeat, another one under another operation, and
   another one when the topic was deleted and made again. "topic:partition:offset:hash of record time and
   operation". Returns its length. */
size_t envelope_id(char *out, size_t size, const struct record *record, const struct operation *operation);

/* RFC 3339 with milliseconds, UTC: 24 characters and a NUL. */
void envelope_time(char out[32], int64_t time_ms);
