/* Engine.IO, protocol 4: packets, and how they share one HTTP body when polling. Pure; docs/SOCKETIO.md has
   what is spoken around it. */
#pragma once

#include "causeway/buffer.h"

enum engineio_type {
    ENGINEIO_OPEN,
    ENGINEIO_CLOSE,
    ENGINEIO_PING,
    ENGINEIO_PONG,
    ENGINEIO_MESSAGE,
    ENGINEIO_UPGRADE,
    ENGINEIO_NOOP,
    ENGINEIO_BINARY, /* a message of bytes: a frame of its own, or base64 behind 'b' */
};

struct engineio_packet {
    enum engineio_type type;
    struct slice data; /* BINARY while polling: still base64 */
};

enum { ENGINEIO_SEPARATOR = 0x1e };

/* The text of one packet. false: it is none. */
MUST_CHECK bool engineio_parse(struct slice text, struct engineio_packet *out);

/* Cuts the next packet off a body of at least one; *more says whether another follows. false: it is none. */
MUST_CHECK bool engineio_next(struct slice *body, struct engineio_packet *out, bool *more);

/* Bodies of packets: appends what comes between two. */
void engineio_separate(struct buffer *body);
