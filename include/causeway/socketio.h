/* Socket.IO, protocol 5: the packets inside Engine.IO messages. Only their heads are read here; what follows
   is JSON, which the caller scans, with placeholders where bytes belong that come in messages of their own.
   Pure. */
#pragma once

#include "causeway/buffer.h"
#include "causeway/json.h"

enum socketio_type {
    SOCKETIO_CONNECT,
    SOCKETIO_DISCONNECT,
    SOCKETIO_EVENT,
    SOCKETIO_ACK,
    SOCKETIO_CONNECT_ERROR,
    SOCKETIO_BINARY_EVENT,
    SOCKETIO_BINARY_ACK,
};

enum { SOCKETIO_ATTACHMENTS_MAX = 10, SOCKETIO_ID_MAX = 19, SOCKETIO_NAMESPACE_MAX = 512 };

struct socketio_packet {
    enum socketio_type type;
    unsigned attachments;
    struct slice namespace; /* "/" when the packet names none */
    struct slice id;        /* digits, as they are to be sent back; empty: none */
    struct slice json;      /* the rest; may be empty */
};

/* NULL: *out has views of the text. Otherwise what is wrong with it. */
MUST_CHECK const char *socketio_parse(struct slice text, struct socketio_packet *out);

/* Does the scanned JSON of the packet (unless it is empty) suit its type? NULL, or what is wrong. Only what
 * clients may send does. */
MUST_CHECK const char *socketio_check(const struct socketio_packet *p, const struct json *j);

/* Are the placeholders of the JSON those of `attachments` messages: objects {"_placeholder":true,"num":n}
 * with n below it? */
MUST_CHECK bool socketio_placeholders_fit(const struct json *j, unsigned attachments);

/* Appends the head of a packet, the message type of Engine.IO before it: "42/chat,7" and what follows. */
void socketio_begin(struct buffer *out, enum socketio_type type, unsigned attachments, struct slice namespace,
    struct slice id);
