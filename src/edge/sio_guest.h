/* What the parts of sio.c share: sio_cursor.c says where a client stands, sio_transport.c writes what the
   fan-out has for it, sio.c holds the rest of the conversation. A guest is a socket and its client of core.
 */
#pragma once

#include "causeway/sio.h"

enum { PID_MAX = 64 };

struct sio {
    struct loop *loop;
    struct sio_server *server;
    struct client_settings client;
    struct sio_settings settings;
    const struct sio_app_hooks *hooks;
    void *owner;
    struct guest *first;
    struct loop_timer tick, drain;
    uint64_t drain_until;
    bool draining;
    struct buffer text; /* of the message at hand */
    struct trailer {    /* the cursor of a place, as a frame */
        const struct lane *lane;
        unsigned log;
        uint64_t position;
        char cursor[CURSOR_TEXT_MAX + 1];
        size_t cursor_size;
        struct buffer frame;
        const struct guest *offered_to; /* it is part of the write to come */
    } trailer;
    struct hand_over *hand_over; /* NULL: not asked for */
    struct buffer own_trailer;   /* ... of one who stands in rooms on request */
};

struct guest {
    struct sio *sio;
    struct sio_socket *socket;
    struct client *client;
    const struct lane *lane;
    struct guest *next, *previous;
    struct loop_timer timer; /* for CONNECT to be decided */
    char *rooms;             /* joined on request, as cursors name them; NULL: none */
    uint64_t told_at;
    bool connected;                   /* it was told so */
    bool whole;                       /* `rooms` are all of them */
    bool rooms_changed;               /* `rooms` is stale */
    char cursor[CURSOR_TEXT_MAX + 1]; /* the last one that the client has, without rooms */
    char sid[ENGINE_ID_SIZE + 1];
    char pid[PID_MAX + 1];
};

/* --- sio_cursor.c --- */
/* Appends ["cursor","..."]'s argument. */
void guest_write_cursor(const struct guest *g, struct slice cursor, struct buffer *out);
/* Is this cursor worth sending? Brings g->rooms up to date. */
bool guest_has_news(struct guest *g, struct slice cursor);
void guest_note_told(struct guest *g, struct slice cursor); /* the client has it now */
void guest_emit_cursor(struct guest *g, struct slice cursor);
/* Emits the cursor that `get` knows of the client. */
void guest_tell_cursor(struct guest *g, size_t (*get)(struct client *c, char out[CURSOR_TEXT_MAX + 1]));
/* Before a client is told that it stands in a room, it must have a cursor that says so. */
void guest_note_rooms(struct guest *g, const char *type);
/* Where to go on, as a CONNECT says it in `auth`. */
void guest_take_resume(struct guest *g, const struct json *j, uint32_t auth);

/* --- sio_transport.c --- */
extern const struct transport_hooks guest_transport_hooks; /* of the guest */
