/* What the official conformance suites of Engine.IO and Socket.IO ask of a server under test: a bare echo on
   /engine.io/, or on /socket.io/ the namespaces and events that the suite names. README.md says how to run
   them. Usage: conformance_server engine.io|socket.io PORT */
#include "causeway/front.h"
#include "causeway/listener.h"
#include "causeway/memory.h"
#include "causeway/sio_socket.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

struct stage {
    struct loop *loop;
    struct front *front;
    struct sio_server *server;
    struct engine *engine; /* of the server, or the bare one */
    bool bare;
};

static const struct engine_settings engine_settings = {
    .path = "/engine.io/",
    .ping_ms = 300,
    .pong_ms = 200,
    .upgrade_ms = 10000,
    .message_max = 1000000,
    .origins = "",
};

/* --- a bare engine: every message comes back --- */

static void *on_opened(void *owner, struct engine_session *s, const struct http_head *head)
{
    (void)owner;
    (void)head;
    return s;
}

static void on_message(void *app, bool binary, struct slice data)
{
    struct buffer packet = {0};
    if (!binary)
        buffer_add_byte(&packet, '4');
    buffer_add_slice(&packet, data);
    if (binary)
        engine_send_binary(app, buffer_slice(&packet));
    else
        engine_send(app, buffer_slice(&packet));
    buffer_finish(&packet);
}

static void ignore(void *app)
{
    (void)app;
}

static void on_answered(void *owner, struct conn *c)
{
    struct stage *stage = owner;
    front_return(stage->front, c);
}

static const struct engine_hooks engine_hooks = {
    on_opened, on_message, ignore, ignore, ignore, ignore, on_answered};

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

static const struct sio_hooks sio_hooks = {
    on_open, on_connect, on_event, ignore, ignore, ignore, ignore, on_answered};

/* --- the front door --- */

static int on_elsewhere(void *owner, const struct http_head *head)
{
    (void)owner;
    (void)head;
    return -1;
}

static bool on_take(void *owner, struct conn *c, const struct http_head *head)
{
    struct stage *stage = owner;
    return engine_take(stage->engine, c, head);
}

static bool on_upgrade(void *owner, struct conn *c, const struct http_head *head)
{
    (void)owner;
    (void)c;
    (void)head;
    return false;
}

static bool on_request(void *owner, const struct http_head *head, struct buffer *response)
{
    (void)owner;
    (void)head;
    (void)response;
    return false;
}

static const struct front_hooks front_hooks = {on_elsewhere, NULL, on_take, on_upgrade, on_request};

struct arrival {
    struct loop_task task;
    struct stage *stage;
    int fd;
};

static void on_arrival(struct loop_task *task)
{
    struct arrival *a = (struct arrival *)task;
    front_adopt(a->stage->front, a->fd, (struct slice){NULL, 0});
    free(a);
}

static void on_accepted(void *owner, int fd)
{
    struct stage *stage = owner;
    struct arrival *a = xcalloc(1, sizeof *a);
    *a = (struct arrival){.task.run = on_arrival, .stage = stage, .fd = fd};
    loop_post(stage->loop, &a->task);
}

static bool on_turn(void *owner)
{
    struct stage *stage = owner;
    if (stage->server)
        sio_server_turn(stage->server);
    else
        engine_turn(stage->engine);
    return false;
}

static bool on_pending(void *owner)
{
    (void)owner;
    return false;
}

static const struct loop_hooks loop_hooks = {on_turn, on_pending};

static struct stage stage;

static void on_signal(int number)
{
    (void)number;
    loop_stop(stage.loop);
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: conformance_server engine.io|socket.io PORT\n");
        return 64;
    }
    stage.loop = loop_create();
    stage.front = front_create(stage.loop, 5000, &front_hooks, &stage);
    struct sio_server_settings settings = {engine_settings, 1000};
    settings.engine.path = "/socket.io/";
    if (strcmp(argv[1], "socket.io") == 0)
        stage.server = sio_server_create(stage.loop, &settings, &sio_hooks, &stage);
    stage.engine = stage.server ? sio_server_engine(stage.server)
                                : engine_create(stage.loop, &engine_settings, &engine_hooks, &stage);
    loop_set_hooks(stage.loop, &loop_hooks, &stage);
    struct buffer fault = {0};
    struct listener *listener = listener_create(
        &(struct listener_settings){.host = "127.0.0.1", .ports = argv[2]}, on_accepted, &stage, &fault);
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
    loop_run(stage.loop);
    listener_destroy(listener);
    loop_settle(stage.loop);
    front_destroy(stage.front);
    if (stage.server)
        sio_server_destroy(stage.server);
    else
        engine_destroy(stage.engine);
    loop_destroy(stage.loop);
    buffer_finish(&fault);
    return 0;
}
