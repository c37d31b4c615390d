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
    /* Whom does this token speak for? NULL: *user and *user_json are set (free with free()). Otherwise why
     * not, in words. */
    const char *(*judge)(void *owner, struct slice token, char **user, char **user_json);
    /* Run a lookup; ws_answer is called later on this loop's thread with the same peer and tag. */
    void (*lookup)(void *owner, const struct lookup *lookup, const struct slice *params, size_t count,
        uint64_t peer, uint64_t tag);
    /* Has "now" begun? Before, a newcomer could miss events without knowing, and is told to come back (1013).
     */
    bool (*started)(void *owner);
};

struct ws_settings {
    size_t message_max;
    size_t rooms_max;
    uint64_t ping_ms, life_ms, auth_ms, hold_ms;
    const char *origins; /* comma list; "": any */
};

/* Everything is lent and outlives it, but for the catalogue, of which each client holds its own. */
struct ws *ws_create(struct loop *loop, struct fanout *fanout, struct catalogue *catalogue,
    const struct ws_settings *settings, const struct ws_hooks *hooks, void *owner);
void ws_destroy(
    struct ws *w); /* cuts what is still connected; before the fan-out and the loop are destroyed */

/* Takes over a connection whose request head asks for an upgrade on one of the catalogue's lanes. false: no
 * lane of that path. */
bool ws_accept(struct ws *w, struct conn *c, const struct http_head *head);

void ws_answer(struct ws *w, uint64_t peer, uint64_t tag, enum lookup_status status, struct rows *rows);

/* What a fan-out of this loop needs to write to these peers. */
extern const struct transport_hooks ws_transport;

/* Closes every connection with 1012 and a hint when to come back, in stages within `within_ms`. New ones are
 * closed at once. */
void ws_drain(struct ws *w, uint64_t within_ms);
size_t ws_peers(const struct ws *w);
