/* The front door of one loop: takes accepted sockets, reads one HTTP request head, and hands the connection
   to whoever serves it. One request per connection unless it becomes a WebSocket.
   @thread the loop it was made for. */
#pragma once

#include "causeway/conn.h"
#include "causeway/http.h"

struct front;

struct front_hooks {
    /* A request that asks for `Upgrade: websocket`. true: the connection has been taken over or answered. */
    bool (*upgrade)(void *owner, struct conn *c, const struct http_head *head);
    /* Any other request for this path: append a whole response (http_respond). false: not served here (404).
     */
    bool (*request)(void *owner, const struct http_head *head, struct buffer *response);
};

struct front *front_create(
    struct loop *loop, uint64_t head_timeout_ms, const struct front_hooks *hooks, void *owner);
void front_destroy(struct front *f); /* cuts connections that have not sent a head yet */

/* Takes over an accepted, non-blocking socket. */
void front_adopt(struct front *f, int fd);
