/* The WebSocket side of one loop: upgrades, frames, pings, closes. It translates between a connection's bytes
   and a client's conversation (client.h), and knows nothing of Kafka, PostgreSQL or how tokens are made.
   @thread the loop it was made for. Owns its peers; conn_* own the sockets. */
#pragma once

#include "causeway/client.h"
#include "causeway/conn.h"
#include "causeway/http.h"

struct ws;

struct ws_hooks {
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
   what all clients have in common; lane and transport are filled in. */
struct ws *ws_create(struct loop *loop, const struct client_settings *client,
    const struct ws_settings *settings, const struct ws_hooks *hooks, void *owner);
void ws_destroy(
    struct ws *w); /* cuts what is still connected; before the fan-out and the loop are destroyed */

/* As client_adopt, for all; who is on a lane that is no more is told to come back later, and then gets 404.
 */
void ws_adopt(struct ws *w, struct catalogue *catalogue);

/* Takes over a connection whose request head asks for an upgrade on one of the catalogue's lanes. false: no
 * lane of that path. */
bool ws_accept(struct ws *w, struct conn *c, const struct http_head *head);

/* Closes every connection with 1012 and a hint when to come back, in stages within `within_ms`. New ones are
 * closed at once. */
void ws_drain(struct ws *w, uint64_t within_ms);
size_t ws_peers(const struct ws *w);
