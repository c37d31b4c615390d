/* A WebSocket client's connection as simple as can be: blocking, on one thread. */
#pragma once

#include "causeway/frame.h"

/* Owner of the strings: caller_url_finish. */
struct caller_url {
    char *host, *port, *path; /* the path with its query */
};

/* ws://host[:port][/path]. false: something else. */
bool caller_url_parse(const char *text, struct caller_url *out);
void caller_url_finish(struct caller_url *url);

struct caller {
    int fd;
    struct buffer in;
    size_t taken; /* of these bytes */
    struct frame_decoder decoder;
};

/* How an attempt, or a conversation, ended. */
struct caller_end {
    int status; /* of HTTP, when there was an answer other than 101 */
    int code;   /* of the close frame; 0: none came */
};

/* Connects and shakes hands; `query` is added to the path. false: what went wrong is on stderr; *end says
 * whether the server refused. Finish it in any case. */
bool caller_open(struct caller *c, const struct caller_url *url, struct slice query, const char *token,
    size_t message_max, struct caller_end *end);
void caller_finish(struct caller *c);

bool caller_send(struct caller *c, enum frame_opcode opcode, struct slice payload);
/* The next message of those that have come; FRAME_MORE: there is none, caller_receive waits for bytes. Valid
 * until the next call. */
enum frame_result caller_next(struct caller *c, struct frame_message *out);
/* false: the connection is gone. */
bool caller_receive(struct caller *c);
