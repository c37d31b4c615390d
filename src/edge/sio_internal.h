/* What sio_engine.c (sessions: heartbeats, sending, closing), sio_poll.c (HTTP requests: polling) and
   sio_wire.c (WebSocket, and the way to it) share. */
#pragma once

#include "causeway/frame.h"
#include "causeway/handshake.h"
#include "causeway/map.h"
#include "causeway/sio_engine.h"

enum {
    ID_BYTES = ENGINE_ID_SIZE * 3 / 4,
    POLL_PACKETS = 16,       /* python-engineio refuses more in one answer */
    POLL_BYTES = 128 * 1024, /* ... and then it is full, but for what one packet is larger */
    WAITING_MAX = 64 * 1024, /* beyond this the client's messages wait for its polls */
    BODY_MS = 20000,         /* for the body of a POST to arrive */
    GOODBYE_MS = 2000,       /* for a poll to fetch what was said last */
};

enum engine_state {
    ENGINE_OPEN,
    ENGINE_LEAVING, /* over, but the next poll is to be told */
    ENGINE_OVER,
};

/* One HTTP request that is not answered yet: a poll that is held, or a POST whose body comes. */
struct exchange {
    struct engine *engine;
    struct engine_session *session; /* NULL: answered, or none */
    struct conn *conn;
    struct exchange *next, *previous;
    char *extra; /* header lines of the answer */
    size_t body; /* POST: its length ... */
    size_t used; /* ... and how much of it has been dealt with */
    bool post, keep, waiting;
    bool bare; /* HEAD: the answer has no body */
};

/* One WebSocket connection: of a session, or one that wants to become that. */
struct wire {
    struct engine *engine;
    struct engine_session *session; /* NULL: our close frame is out */
    struct conn *conn;
    struct wire *next, *previous;
    struct frame_decoder decoder;
};

struct engine_session {
    struct engine *engine;
    void *app;
    struct allowance *allowance;
    struct engine_session *next, *previous;
    struct engine_session *next_dirty, *next_retiring;
    struct exchange *get, *post;
    struct wire *wire;   /* the transport, or one that probes */
    struct buffer queue; /* packets for the next poll */
    struct loop_timer timer;
    uint64_t due;      /* of the next ping, or of its answer */
    uint64_t acked;    /* conn_acked at the last ping */
    uint32_t unproven; /* bytes sent since then whose acknowledgement proves no reader: all but events */
    uint16_t queued;   /* packets in the queue */
    uint8_t state;
    bool websocket; /* the transport is the wire */
    bool upgrading; /* its probe was answered */
    bool pinged;
    bool wants_write;
    bool close_follows; /* leaving: what is in the queue first */
    bool dirty;         /* may have something for a poll */
    bool retiring;      /* over, or leaving */
    char sid[ENGINE_ID_SIZE + 1];
};

struct engine {
    struct loop *loop;
    struct engine_settings settings;
    const struct engine_hooks *hooks;
    void *owner;
    struct map *by_sid;
    struct engine_session *first, *first_dirty, *first_retiring;
    struct exchange *exchanges;
    struct wire *wires;
    size_t sessions;
    struct buffer scratch;
    struct metric *polling, *websocket;
};

/* --- sio_engine.c --- */
/* NULL: not now; `*wait`: after how many ms it may be tried again by the limits, 0: not by them. */
struct engine_session *session_begin(
    struct engine *e, const struct conn *c, const struct http_head *head, bool websocket, uint64_t *wait);
/* NULL: unknown, or it has just timed out. */
struct engine_session *session_find(struct engine *e, struct slice sid);
void session_greeting(const struct engine_session *s, struct buffer *out); /* appends its OPEN packet */
void session_packet(struct engine_session *s, const struct engineio_packet *p);
void session_mark(struct engine_session *s); /* its poll may be answered at the end of the turn */
void session_use_websocket(struct engine_session *s);
void session_gone(struct engine_session *s); /* said goodbye: nobody will ask any more */

/* --- sio_poll.c --- */
void poll_answer(struct engine_session *s); /* the held GET, with what the queue has */
void poll_answer_noop(struct engine_session *s);
void exchange_forget(struct exchange *x); /* its session is over */
void exchange_go_on(struct exchange *x);  /* a POST that waited */
/* Header lines that let pages of the request's origin read the answer, and further ones. */
void cors_headers(const struct engine *e, const struct http_head *head, struct buffer *out);
void retry_header(uint64_t wait_ms, struct buffer *out);
struct request_fault {
    int code, status;
    const char *message;
};
/* Is the request one for this engine? NULL; *session is the one it names, or NULL. */
const struct request_fault *request_check(
    struct engine *e, const struct http_head *head, bool upgrade, struct engine_session **session);

/* --- sio_wire.c --- */
void wire_upgrade(struct engine *e, struct conn *c, const struct http_head *head);
/* Returns the bytes of the frame. */
size_t wire_send(struct wire *w, enum frame_opcode opcode, struct slice payload);
void wire_close(struct wire *w, uint16_t code, const char *text); /* the session forgets it */
