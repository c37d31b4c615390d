/* An engine, or a server of Socket.IO on one, behind a front door on a loop: what the stage of the unit tests
   and tests/conformance/server.c have in common. Whoever opens it runs the loop, and what hooks get as their
   owner is the door. An engine alone sends back what it gets. */
#pragma once

#include "causeway/front.h"
#include "causeway/sio_socket.h"

struct sio_door {
    struct loop *loop;
    struct front *front;
    struct engine *engine;     /* of the server, or the bare one */
    struct sio_server *server; /* NULL: the engine alone */
};

/* With the hooks of a server, or else those of an engine. */
void sio_door_open(struct sio_door *d, const struct sio_server_settings *settings,
    const struct sio_hooks *hooks, const struct engine_hooks *engine_hooks);
void sio_door_close(struct sio_door *d); /* the loop has stopped */

/* A connection for the door; @thread any. */
void sio_door_adopt(struct sio_door *d, int fd);

/* For the tables of hooks. `opened` and `message` are those of an engine alone: its session is the app. */
void *sio_door_opened(void *door, struct engine_session *s, const struct http_head *head);
void sio_door_message(void *app, bool binary, struct slice data);
void sio_door_answered(void *door, struct conn *c);
void sio_door_ignore(void *app);
