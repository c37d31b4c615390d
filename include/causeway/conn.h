/* One non-blocking stream socket on a loop: what has been read but not yet understood, and the little that
   must still be written. It is not a queue: whoever has events to send asks conn_write what the socket takes,
   and keeps the rest to itself; only the rest of a frame that was cut in the middle, and bounded replies,
   wait here.
   @thread loop. Created by whoever accepted the socket; freed by itself at the end of the turn in which
   on_closed was called. */
#pragma once

#include "causeway/loop.h"
#include "causeway/slice.h"

#include <stdint.h>
#include <sys/uio.h>

struct conn;

struct conn_handler {
    /* Bytes have come. Returns how many were used up; the rest comes again, with more behind it. `data` may
     * be written to. */
    size_t (*on_data)(void *owner, struct conn *c, char *data, size_t size);
    /* The socket takes bytes again after conn_write took less than all, and nothing waits here any more. NULL
     * is fine. */
    void (*on_writable)(void *owner, struct conn *c);
    /* The deadline of conn_set_deadline has passed. NULL is fine. */
    void (*on_deadline)(void *owner, struct conn *c);
    /* The connection is gone; the last call. `owner` must forget `c`. */
    void (*on_closed)(void *owner, struct conn *c);
};

/* Takes over `fd` (non-blocking). Input that is not understood may grow to `input_max` bytes; a peer that
 * sends more is cut off. */
struct conn *conn_create(struct loop *l, int fd, size_t input_max);
void conn_set_handler(struct conn *c, const struct conn_handler *handler, void *owner, size_t input_max);

/* Writes what the socket takes now and returns how much that was; 0 while an earlier rest waits. After less
 * than all, on_writable follows. */
size_t conn_write(struct conn *c, const struct iovec *parts, int count);

/* The rest of a frame of which conn_write took the beginning. Copied; goes out before anything else. */
void conn_keep(struct conn *c, const char *rest, size_t size);

/* A reply: written now or kept. While more than 64 KiB wait, nothing more is read from the peer, so that
 * replies stay bounded. */
void conn_send(struct conn *c, const void *data, size_t size);

/* Is everything that was given to conn_send and conn_keep with the kernel, and the socket not known to be
 * full? */
bool conn_ready(const struct conn *c);

/* No data is read (and none delivered) until resumed; what was delivered but not used comes again then. */
void conn_pause(struct conn *c);
void conn_resume(struct conn *c);
/* As if these bytes had just come from the peer. */
void conn_take_input(struct conn *c, struct slice bytes);
/* What was delivered but not used comes again, in a later turn: to a new handler, mostly. */
void conn_deliver_again(struct conn *c);

void conn_set_deadline(struct conn *c, uint64_t delay_ms); /* 0 clears it */

/* Ends the connection: at once, or after what waits has been written and the peer has closed too (2 s at
 * most). on_closed follows, never within this call. */
void conn_abort(struct conn *c);
void conn_finish(struct conn *c);
bool conn_closing(const struct conn *c);

/* Gives the socket away: it stays open and is the caller's. on_closed follows as if it had ended. */
int conn_detach(struct conn *c);

uint64_t conn_acked(const struct conn *c);    /* bytes that the peer's kernel has acknowledged */
size_t conn_waiting(const struct conn *c);    /* bytes kept here */
const void *conn_owner(const struct conn *c); /* of the handler set last */
int conn_descriptor(const struct conn *c);    /* to ask the kernel about; reading and writing is done here */

/* Something that goes with the connection, whoever handles it, and is released with it. Replaces and releases
 * the one before. */
void conn_set_companion(struct conn *c, void *companion, void (*release)(void *companion));
void *conn_companion(const struct conn *c); /* NULL: none */
