/* The Socket.IO side of one loop: each socket, that is a (connection, namespace), is a client of core, with
   the rules of every other protocol. Knows nothing of Kafka, PostgreSQL or how tokens are made.
   @thread the loop it was made for. */
#pragma once

#include "causeway/client.h"
#include "causeway/sio_socket.h"

struct sio;

struct sio_app_hooks {
    /* Has "now" begun? Before, nobody is let in. */
    bool (*started)(void *owner);
    /* This connection was answered and may bring another request. */
    void (*answered)(void *owner, struct conn *c);
};

struct sio_settings {
    struct sio_server_settings server;
    uint64_t hold_ms; /* for a CONNECT to be decided */
};

/* Everything is lent and outlives it, but for the catalogue, of which each client holds its own. `client` is
   what all clients have in common; lane and transport are filled in. */
struct sio *sio_create(struct loop *loop, const struct client_settings *client,
    const struct sio_settings *settings, const struct sio_app_hooks *hooks, void *owner);
void sio_destroy(struct sio *o); /* before the fan-out and the loop are destroyed */

/* As client_adopt, for all; a connection with a namespace that is no more is ended. */
void sio_adopt(struct sio *o, struct catalogue *catalogue);

bool sio_take(struct sio *o, struct conn *c, const struct http_head *head); /* as engine_take */
int sio_loop(const struct sio *o, const struct http_head *head);            /* as engine_loop */
void sio_turn(struct sio *o); /* at the end of each turn of the loop, behind the fan-out's */

/* Ends all connections in stages within `within_ms`, so that clients come back by themselves. */
void sio_drain(struct sio *o, uint64_t within_ms);
size_t sio_connections(const struct sio *o);
