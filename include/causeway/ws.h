/* The WebSocket side of one loop: upgrades, frames, pings, closes. It translates between a connection's bytes
   and a client's conversation (client.h), and knows nothing of Kafka, PostgreSQL or how tokens are made: that
   comes in through hooks.
   @thread the loop it was made for. Owns its peers; conn_* own the sockets. */
#pragma once

#include "causeway/client.h"
#include "causeway/conn.h"
#include "causeway/http.h"

struct ws;

struct ws_hooks {
    /* Whom does this token (lent) speak for? ws_judged is called with the same peer and tag, possibly at
     * once. */
    void (*judge)(void *owner, struct slice token, uint64_t peer, uint64_t tag);
    /* Run a lookup; ws_answer is called later on this loop's thread with the same peer and tag. */
    void (*lookup)(void *owner, const struct lookup *lookup, const struct slice *params, size_t count,
        uint64_t peer, uint64_t tag);
    /* Find out where a cursor stands; ws_located is called with the same peer and tag, possibly at once. */
    void (*locate)(void *owner, const struct cursor *cursor, uint64_t peer, uint64_t tag);
    /* A cursor of a place at or before `position` of the hot log, or 0. */
    size_t (*cursor)(void *owner, uint64_t position, char out[CURSOR_TEXT_MAX + 1]);
    /* A session needs what only Kafka still has: everything since `origin` (the callee's), up to `until` of
       the hot log at most (HOTLOG_NOWHERE: no limit). ws_enter is called with the same peer and session. */
    void (*away)(void *owner, uint64_t peer, uint64_t session, struct origin *origin, uint64_t until);
    /* Has "now" begun? Before, a newcomer could miss events without knowing, and is told to come back (1013).
     */
    bool (*started)(void *owner);
};

struct ws_settings {
    size_t message_max;
    uint64_t ping_ms, life_ms, auth_ms, hold_ms;
    const char *origins; /* comma list; "": any */
};

/* Everything is lent and outlives it, but for the catalogue, of which each client holds its own. `client` is
   what all clients have in common; its lane is filled in. */
struct ws *ws_create(struct loop *loop, const struct client_settings *client,
    const struct ws_settings *settings, const struct ws_hooks *hooks, void *owner);
void ws_destroy(
    struct ws *w); /* cuts what is still connected; before the fan-out and the loop are destroyed */

/* Takes over a connection whose request head asks for an upgrade on one of the catalogue's lanes. false: no
 * lane of that path. */
bool ws_accept(struct ws *w, struct conn *c, const struct http_head *head);

void ws_answer(struct ws *w, uint64_t peer, uint64_t tag, enum lookup_status status, struct rows *rows);
void ws_judged(struct ws *w, uint64_t peer, uint64_t tag, const struct client_verdict *verdict);
void ws_located(struct ws *w, uint64_t peer, uint64_t tag, const struct client_location *location);
/* The session that was away goes on here; `gaps` are told first. false: it is gone. */
bool ws_enter(struct ws *w, uint64_t peer, uint64_t session, unsigned log, uint64_t position,
    struct origin *origin, const struct gap *gaps, size_t gap_count);

/* What a fan-out of this loop needs to write to these peers. */
extern const struct transport_hooks ws_transport;

/* Closes every connection with 1012 and a hint when to come back, in stages within `within_ms`. New ones are
 * closed at once. */
void ws_drain(struct ws *w, uint64_t within_ms);
size_t ws_peers(const struct ws *w);
