/* Socket.IO on top of Engine.IO: namespaces, events, acknowledgements, bytes. A socket is one (connection,
   namespace). What connecting and events mean is the affair of the application behind the hooks.
   @thread the loop. A socket belongs to its server; it is gone when `closed` returns. */
#pragma once

#include "causeway/sio_engine.h"
#include "causeway/socketio.h"

struct sio_server;
struct sio_socket;

/* An event from the client: views, valid during the call. */
struct sio_event {
    struct slice name;
    const struct json *json;
    uint32_t name_node; /* the arguments follow it (json_after of node 0) */
    struct slice id;    /* to be acknowledged under; empty: not at all */
    const struct buffer *attachments;
    unsigned attachment_count;
};

struct sio_hooks {
    /* May a connection begin now? */
    bool (*open)(void *owner);
    /* A client wants into a namespace: returns what the other hooks get as `app`, NULL: there is no such
       namespace. sio_accept or sio_refuse follows, now or later. `auth` is an object, or JSON_NONE. */
    void *(*connect)(
        void *owner, struct sio_socket *s, struct slice namespace, const struct json *j, uint32_t auth);
    void (*event)(void *app, const struct sio_event *e);
    /* As those of the engine, per socket. */
    void (*writable)(void *app);
    void (*leaving)(void *app);
    void (*heartbeat)(void *app);
    void (*closed)(void *app);
    void (*answered)(void *owner, struct conn *c);
};

struct sio_server_settings {
    struct engine_settings engine;
    uint64_t connect_ms; /* for the first namespace to be joined */
};

struct sio_server *sio_server_create(struct loop *loop, const struct sio_server_settings *settings,
    const struct sio_hooks *hooks, void *owner);
void sio_server_destroy(struct sio_server *v);
struct engine *sio_server_engine(const struct sio_server *v);
void sio_server_turn(struct sio_server *v); /* at the end of each turn of the loop */
/* Ends a connection of that engine with what its transports have for "come back". */
void sio_server_end(struct engine_session *link, uint16_t code, const char *text);

/* Answers CONNECT. `more` is further members: ",\"pid\":..", or "". */
void sio_accept(struct sio_socket *s, struct slice sid, const char *more);
/* Refuses for good: the client does not come back by itself. `data` is JSON, or empty. The socket is over. */
void sio_refuse(struct sio_socket *s, const char *message, struct slice data);
/* ... because it is over a limit. */
void sio_limit(struct sio_socket *s, const char *why, uint64_t retry_ms);

/* `arguments` is JSON values with commas between them, or empty; names need no escapes. */
void sio_emit(struct sio_socket *s, const char *name, struct slice arguments);
void sio_acknowledge(struct sio_socket *s, struct slice id, struct slice arguments);
/* Any packet: `json` is its array; `attachments` follow it. */
void sio_send(struct sio_socket *s, enum socketio_type type, struct slice id, struct slice json,
    const struct buffer *attachments, unsigned count);

/* Ends the whole connection, so that the client comes back by itself. */
void sio_end(struct sio_socket *s, uint16_t code, const char *text);

struct engine_session *sio_link(const struct sio_socket *s); /* for engine_write and engine_keep */
struct slice sio_namespace(const struct sio_socket *s);
bool sio_over(const struct sio_socket *s);
