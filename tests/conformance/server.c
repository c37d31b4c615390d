/* What the official conformance suites of Engine.IO and Socket.IO ask of a server under test: a bare echo on
   /engine.io/, or on /socket.io/ the namespaces and events that the suite names. README.md says how to run
   them. Usage: conformance_server engine.io|socket.io PORT */
#include "sio_stage_door.h"

#include "causeway/listener.h"

#include <signal.h>
#include <stdio.h>

static struct sio_door door;

static const struct sio_server_settings settings = {.engine = {.path = "/socket.io/",
                                                        .ping_ms = 300,
                                                        .pong_ms = 200,
                                                        .upgrade_ms = 10000,
                                                        .message_max = 1000000,
                                                        .origins = ""},
    .connect_ms = 1000};

static const struct engine_hooks echo = {sio_door_opened, sio_door_message, sio_door_ignore, sio_door_ignore,
    sio_door_ignore, sio_door_ignore, sio_door_answered};

/* --- Socket.IO: "auth" on connect, "message" and "message-with-ack" --- */

static bool on_open(void *owner)
{
    (void)owner;
    return true;
}

static void *on_connect(
    void *owner, struct sio_socket *s, struct slice namespace, const struct json *j, uint32_t auth)
{
    (void)owner;
    if (!slice_is(namespace, "/") && !slice_is(namespace, "/custom"))
        return NULL;
    char sid[ENGINE_ID_SIZE + 1];
    engine_random_id(sid);
    sio_accept(s, slice_of(sid), "");
    sio_emit(s, "auth", auth == JSON_NONE ? SLICE("{}") : json_verbatim(j, auth));
    return s;
}

static void on_event(void *app, const struct sio_event *e)
{
    bool binary = e->attachment_count > 0, wants = slice_is(e->name, "message-with-ack");
    struct buffer json = {0};
    buffer_add_text(&json, wants ? "[" : "[\"message-back\"");
    for (uint32_t n = json_after(e->json, 0, e->name_node); n != JSON_NONE; n = json_after(e->json, 0, n)) {
        buffer_add_text(&json, json.size > 1 ? "," : "");
        buffer_add_slice(&json, json_verbatim(e->json, n));
    }
    buffer_add_byte(&json, ']');
    if (wants)
        sio_send(app, binary ? SOCKETIO_BINARY_ACK : SOCKETIO_ACK, e->id, buffer_slice(&json), e->attachments,
            e->attachment_count);
    else if (slice_is(e->name, "message"))
        sio_send(app, binary ? SOCKETIO_BINARY_EVENT : SOCKETIO_EVENT, (struct slice){NULL, 0},
            buffer_slice(&json), e->attachments, e->attachment_count);
    buffer_finish(&json);
}

static const struct sio_hooks sio_hooks = {on_open, on_connect, on_event, sio_door_ignore, sio_door_ignore,
    sio_door_ignore, sio_door_ignore, sio_door_answered};

/* --- the listener --- */

static void on_accepted(void *owner, int fd)
{
    (void)owner;
    sio_door_adopt(&door, fd);
}

static void on_signal(int number)
{
    (void)number;
    loop_stop(door.loop);
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: conformance_server engine.io|socket.io PORT\n");
        return 64;
    }
    if (strcmp(argv[1], "socket.io") == 0) {
        sio_door_open(&door, &settings, &sio_hooks, NULL);
    } else {
        struct sio_server_settings bare = settings;
        bare.engine.path = "/engine.io/";
        sio_door_open(&door, &bare, NULL, &echo);
    }
    struct buffer fault = {0};
    struct listener *listener = listener_create(
        &(struct listener_settings){.host = "127.0.0.1", .ports = argv[2]}, on_accepted, NULL, &fault);
    if (!listener) {
        fprintf(stderr, "%s\n", buffer_text(&fault));
        return 71;
    }
    buffer_clear(&fault);
    listener_ports(listener, &fault);
    printf("%s\n", buffer_text(&fault));
    fflush(stdout);
    signal(SIGTERM, on_signal);
    signal(SIGINT, on_signal);
    loop_run(door.loop);
    listener_destroy(listener);
    sio_door_close(&door);
    buffer_finish(&fault);
    return 0;
}
