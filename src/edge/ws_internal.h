/* What ws.c (peers: timers, life, drain), ws_upgrade.c (the handshake) and ws_message.c (frames) share. */
#pragma once

#include "causeway/frame.h"
#include "causeway/hand_over.h"
#include "causeway/handshake.h"
#include "causeway/ws.h"

enum peer_state {
    PEER_PARKED, /* the request is not answered yet: the user is being looked up */
    PEER_OPEN,
    PEER_ENDING /* our close frame is out */
};

struct peer {
    struct ws *ws;
    struct conn *conn;
    struct client *client;
    const struct lane *lane;
    struct frame_decoder decoder;
    uint64_t life_at;  /* when a frame or TCP progress was last seen */
    uint64_t acked;    /* conn_acked at the last ping */
    uint32_t unproven; /* bytes sent since then whose acknowledgement proves no reader: pings */
    uint32_t slot;     /* in ws->slots */
    uint8_t state;
    bool heard;   /* a frame came since the last ping */
    bool browser; /* sent Origin: cannot read an HTTP 401 */
    bool bearer;  /* offered the sub-protocol "bearer" */
    char accept_key[HANDSHAKE_KEY_SIZE + 1];
};

struct slot {
    struct peer *peer;
    uint64_t
        look_at; /* nothing about the peer is due before; here, so that most looks need not touch the peer */
    uint32_t next_free;
};

struct ws {
    struct loop *loop;
    struct client_settings client;
    struct ws_settings settings;
    const struct ws_hooks *hooks;
    void *owner;
    struct slot *slots;
    uint32_t slots_used, slots_capacity, first_free;
    size_t peers;
    struct json scratch;     /* of the message at hand */
    struct buffer text;      /* of the frame at hand */
    struct loop_timer sweep; /* pings and signs of life */
    uint32_t ping_at;        /* which share of the peers is pinged next */
    struct loop_timer drain;
    uint64_t drain_until;
    bool draining;
    uint64_t random;
    struct metric *connections;
    struct hand_over *hand_over; /* NULL: not asked for */
};

size_t peer_data(void *owner, struct conn *c, char *data, size_t size); /* the bytes of an open connection */

extern const struct conn_handler peer_handler;
extern const struct client_hooks peer_client_hooks;

struct peer *peer_create(struct ws *w, struct conn *c, const struct lane *lane);

/* Ends the connection with a close frame (answering a parked request first). `detail`: more precise than the
 * reason's own text, or NULL. */
void peer_end(struct peer *p, enum close_reason reason, const char *detail);

/* Something about it may be due earlier than was thought. */
void peer_look_soon(struct peer *p);

/* A ping frame, and the latest cursor for one who is at the head, at the end of ws->text; returns their
 * length. */
size_t peer_ping_text(struct peer *p);

/* Answers the upgrade with 101. */
void peer_open(struct peer *p);

/* The credential was no good: 401 for those who can read it, else close 4401. */
void peer_refuse(struct peer *p, const char *why);

/* It is over a limit: 429 for those who can read it, else close 4429. */
void peer_limit(struct peer *p, enum limit limit, uint64_t retry_ms);
