/* Engine.IO sessions of one loop: long polling, WebSocket, the way from one to the other, heartbeats and
   closing. What messages mean is the affair of whoever sits on top (sio_socket.h).
   A session has no queue of events: frames come from a log, and a poll takes what fits one answer. What waits
   here are answers and heartbeats for a client that is not polling right now.
   @thread the loop. A session belongs to the engine; it is gone when `closed` returns. */
#pragma once

#include "causeway/conn.h"
#include "causeway/engineio.h"
#include "causeway/http.h"
#include "causeway/limits.h"

struct engine;
struct engine_session;

/* Why a session ends: for the metric. */
#define ENGINE_END_TABLE(X)                                                                                  \
    X(BY_CLIENT, "client")                                                                                   \
    X(TRANSPORT, "transport")                                                                                \
    X(TIMEOUT, "ping_timeout")                                                                               \
    X(VIOLATION, "violation")                                                                                \
    X(FLOOD, "rate_limited")                                                                                 \
    X(BY_US, "server")

enum engine_end {
#define X(id, label) ENGINE_##id,
    ENGINE_END_TABLE(X)
#undef X
        ENGINE_END_COUNT
};

struct engine_hooks {
    /* A session begins with this request. Returns what the other hooks get as `app`. NULL: none is taken now,
     * the client is to come back later. */
    void *(*opened)(void *owner, struct engine_session *s, const struct http_head *head);
    /* A message from the client; the data is lent. */
    void (*message)(void *app, bool binary, struct slice data);
    /* engine_write took less than it was given, and takes more now. */
    void (*writable)(void *app);
    /* Polling: an answer is about to leave; what else should go with it? */
    void (*leaving)(void *app);
    /* A ping was sent. */
    void (*heartbeat)(void *app);
    /* The session is over; the last call. Never from within another call. */
    void (*closed)(void *app);
    /* This connection was answered and may bring another request. */
    void (*answered)(void *owner, struct conn *c);
};

enum { ENGINE_ID_SIZE = 20 };

struct engine_settings {
    const char *path;                      /* "/socket.io/": all that begins with it */
    uint64_t ping_ms, pong_ms, upgrade_ms; /* between pings; for the answer; from probe to upgrade */
    size_t message_max;
    const char *origins; /* comma list; "": any */
    unsigned loop;       /* number of this loop, at most 255: part of each session's id */
};

struct engine *engine_create(
    struct loop *loop, const struct engine_settings *settings, const struct engine_hooks *hooks, void *owner);
void engine_destroy(struct engine *e); /* cuts what is still connected */

/* A request for this engine's path, upgrades included: takes the connection over. false: another path. */
bool engine_take(struct engine *e, struct conn *c, const struct http_head *head);
/* The loop on which the session of this request lives; -1: it names none. */
int engine_loop(const struct engine_settings *settings, const struct http_head *head);

/* At the end of each turn of the loop: answers polls, ends what is over. */
void engine_turn(struct engine *e);
size_t engine_sessions(const struct engine *e);

/* One packet: a message of text that already begins with its type, or of bytes. Never lost while the session
 * lasts. */
void engine_send(struct engine_session *s, struct slice packet);
void engine_send_binary(struct engine_session *s, struct slice bytes);

/* Whole WebSocket frames of text messages, each in one of the parts. Returns how many bytes were taken, while
   polling always whole frames; after less than all, `writable` follows. */
size_t engine_write(struct engine_session *s, const struct iovec *parts, int count);
/* The rest of a frame that engine_write took the beginning of. */
void engine_keep(struct engine_session *s, const char *rest, size_t size);
/* Can engine_write take what is no whole frame? */
bool engine_on_websocket(const struct engine_session *s);

/* Counts something that the client sent: the engine what are no messages, whoever sits on top the others. 0:
   fine; else it is one too many, and after so many ms it would not be. */
uint64_t engine_heard(struct engine_session *s);

/* Of the connection that it began with; NULL: no limits. */
struct allowance *engine_allowance(const struct engine_session *s);

/* Ends the session; `closed` follows at the end of the turn. `code` and `text` are for the WebSocket close.
 */
void engine_end(struct engine_session *s, enum engine_end why, uint16_t code, const char *text);
bool engine_ended(const struct engine_session *s);

/* What nobody can guess: for ids that are secrets. */
void engine_random_id(char out[ENGINE_ID_SIZE + 1]);
bool engine_could_be_id(struct slice text); /* by its letters */

/* All sessions, in no order; NULL at the end. What ends meanwhile stays in it until the turn is over. */
struct engine_session *engine_first(const struct engine *e);
struct engine_session *engine_next(const struct engine_session *s);
void *engine_app(const struct engine_session *s);
