/* An engine, or a server of Socket.IO on one, behind a front door on a loop of its own thread, with short
   times; the clients are this thread's ends of socket pairs. */
#pragma once

#include "unit.h"

#include "sio_stage_door.h"

#include <pthread.h>

enum {
    PATIENCE_MS = 5000,
    PING_MS = 300,
    PONG_MS = 300,
    UPGRADE_MS = 150,
    CONNECT_MS = 200,
    MESSAGE_MAX = 256
};

struct stage {
    struct sio_door door;
    pthread_t thread;
    unsigned opened, closed, heartbeats; /* of the bare engine */
};

extern struct stage stage;

/* NULL: the engine alone, which sends back what it gets. */
void stage_begin(const struct sio_hooks *hooks);
void stage_end(void);

/* --- clients --- */

struct peer {
    int fd;
    char got[16384];
    size_t size;
};

void peer_open(struct peer *p);
void peer_close(struct peer *p);
void peer_say(struct peer *p, const void *bytes, size_t size);
void peer_ask(struct peer *p, const char *method, const char *query, const char *body);

/* More bytes: 1; the end: 0; nothing for so long: -1. */
int peer_read(struct peer *p, int ms);

/* Reads on until this comes, and forgets what came before it. */
bool peer_hears(struct peer *p, const char *text);
bool peer_sees_end(struct peer *p);

/* A session that polls; `query` becomes what its requests add. */
void open_session(struct peer *p, char query[static 32]);
void open_wire(struct peer *p, const char *query);

/* One message; a zero mask key leaves it as it is. */
void wire_say(struct peer *p, const char *text);
