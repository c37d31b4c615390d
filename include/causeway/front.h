/* The front door of one loop: takes accepted sockets, reads an HTTP request head, and hands the connection to
   whoever serves it: who took a connection over and has answered may give it back for the next request.
   @thread the loop it was made for. */
#pragma once

#include "causeway/conn.h"
#include "causeway/http.h"
#include "causeway/limits.h"

struct front;

struct front_hooks {
    /* The loop that serves this request, when it is another one: then `move` gets the socket, what has
       been read from it (lent), and what it has spent of its allowance. Negative: this loop. */
    int (*elsewhere)(void *owner, const struct http_head *head);
    void (*move)(void *owner, int loop, int fd, struct slice read, uint64_t spent);
    /* A request whose body or answer needs the connection: true: it has been taken over or answered. */
    bool (*take)(void *owner, struct conn *c, const struct http_head *head);
    /* A request that asks for `Upgrade: websocket`. true: the connection has been taken over or answered. */
    bool (*upgrade)(void *owner, struct conn *c, const struct http_head *head);
    /* Any other request for this path: append a whole response (http_respond). false: not served here (404).
     */
    bool (*request)(void *owner, const struct http_head *head, struct buffer *response);
};

struct front *front_create(
    struct loop *loop, uint64_t head_timeout_ms, const struct front_hooks *hooks, void *owner);
void front_destroy(struct front *f); /* cuts connections that have not sent a head yet */

/* Every connection gets an allowance, its companion; `trusted` lists the proxies whose X-Forwarded-For is
 * believed. Both are lent. Without it nothing is limited. */
void front_set_limits(struct front *f, struct limits *limits, const char *trusted);

/* Takes over an accepted, non-blocking socket; `read` is what another loop has read from it. */
void front_adopt(struct front *f, int fd, struct slice read);
void front_adopt_moved(struct front *f, int fd, struct slice read, uint64_t spent); /* as `move` got it */
/* Takes back a connection that has been answered. */
void front_return(struct front *f, struct conn *c);
