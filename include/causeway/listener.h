/* The listening sockets and the thread that accepts. What to do with an accepted socket is the owner's
 * affair. */
#pragma once

#include "causeway/buffer.h"

#include <stdint.h>

struct listener;

struct listener_settings {
    const char *host;  /* address, IPv4 or IPv6; "::": all of both, or all of IPv4 where there is no IPv6 */
    const char *ports; /* "3000,3001"; 0: a free one */
    int send_buffer;   /* SO_SNDBUF of each connection, as the kernel counts it; 0: its default */
};

/* On the listener's thread, with a non-blocking socket that the callee takes over. */
typedef void (*listener_accepted)(void *owner, int fd);

/* Binds all ports, then accepts on its own thread. NULL: `fault` says which port and why. */
struct listener *listener_create(
    const struct listener_settings *settings, listener_accepted accepted, void *owner, struct buffer *fault);
/* Stops accepting and closes the sockets; the thread has ended when this returns. */
void listener_destroy(struct listener *l);
/* The bound ports, "3000,3001". */
void listener_ports(const struct listener *l, struct buffer *out);
