/* An engine, or a server of Socket.IO on one, behind a front door on a loop of its own thread, with short
   times; the clients are this thread's ends of socket pairs. */
#pragma once

#include "unit.h"

#include "causeway/front.h"
#include "causeway/sio_socket.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    PATIENCE_MS = 5000,
    PING_MS = 300,
    PONG_MS = 300,
    UPGRADE_MS = 150,
    CONNECT_MS = 200,
    MESSAGE_MAX = 256
};

struct stage {
    struct loop *loop;
    pthread_t thread;
    struct front *front;
    struct engine *engine;
    struct sio_server *server; /* NULL: the engine alone, which sends back what it gets */
    unsigned opened, closed, heartbeats;
};

static struct stage stage;

/* --- the loop's side --- */

static void *on_opened(void *owner, struct engine_session *s, const struct http_head *head)
{
    (void)owner;
    (void)head;
    stage.opened++;
    return s;
}

static void on_message(void *app, bool binary, struct slice data)
{
    struct buffer packet = {0};
    if (!binary)
        buffer_add_byte(&packet, '4');
    buffer_add_slice(&packet, data);
    (binary ? engine_send_binary : engine_send)(app, buffer_slice(&packet));
    buffer_finish(&packet);
}

static void ignore(void *app)
{
    (void)app;
}

static void on_heartbeat(void *app)
{
    (void)app;
    stage.heartbeats++;
}

static void on_session_closed(void *app)
{
    (void)app;
    stage.closed++;
}

static void on_answered(void *owner, struct conn *c)
{
    (void)owner;
    front_return(stage.front, c);
}

static int nowhere_else(void *owner, const struct http_head *head)
{
    (void)owner;
    (void)head;
    return -1;
}

static bool on_take(void *owner, struct conn *c, const struct http_head *head)
{
    (void)owner;
    return engine_take(stage.engine, c, head);
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

static bool on_turn(void *owner)
{
    (void)owner;
    if (stage.server)
        sio_server_turn(stage.server);
    else
        engine_turn(stage.engine);
    return false;
}

static bool nothing_pending(void *owner)
{
    (void)owner;
    return false;
}

static void *run_loop(void *argument)
{
    loop_run(argument);
    return NULL;
}

static inline void stage_begin(const struct sio_hooks *hooks)
{
    static const struct engine_hooks echo = {.opened = on_opened,
        .message = on_message,
        .writable = ignore,
        .leaving = ignore,
        .heartbeat = on_heartbeat,
        .closed = on_session_closed,
        .answered = on_answered};
    static const struct front_hooks front = {nowhere_else, NULL, on_take, on_upgrade, on_request};
    static const struct loop_hooks loop = {on_turn, nothing_pending};
    static const struct sio_server_settings settings = {.engine = {.path = "/socket.io/",
                                                            .ping_ms = PING_MS,
                                                            .pong_ms = PONG_MS,
                                                            .upgrade_ms = UPGRADE_MS,
                                                            .message_max = MESSAGE_MAX,
                                                            .origins = ""},
        .connect_ms = CONNECT_MS};
    stage = (struct stage){.loop = loop_create()};
    stage.front = front_create(stage.loop, 5000, &front, &stage);
    if (hooks)
        stage.server = sio_server_create(stage.loop, &settings, hooks, &stage);
    stage.engine = stage.server ? sio_server_engine(stage.server)
                                : engine_create(stage.loop, &settings.engine, &echo, &stage);
    loop_set_hooks(stage.loop, &loop, &stage);
    pthread_create(&stage.thread, NULL, run_loop, stage.loop);
}

static inline void stage_end(void)
{
    loop_stop(stage.loop);
    pthread_join(stage.thread, NULL);
    loop_settle(stage.loop);
    front_destroy(stage.front);
    if (stage.server)
        sio_server_destroy(stage.server);
    else
        engine_destroy(stage.engine);
    loop_destroy(stage.loop);
    assert_int_equal(stage.closed, stage.opened); /* of the bare engine */
}

/* --- clients --- */

struct peer {
    int fd;
    char got[16384];
    size_t size;
};

struct arrival {
    struct loop_task task;
    int fd;
};

static void on_arrival(struct loop_task *task)
{
    struct arrival *a = (struct arrival *)task;
    front_adopt(stage.front, a->fd, (struct slice){NULL, 0});
    free(a);
}

static inline void peer_open(struct peer *p)
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    fcntl(fds[0], F_SETFL, O_NONBLOCK);
    struct arrival *a = calloc(1, sizeof *a);
    *a = (struct arrival){.task.run = on_arrival, .fd = fds[0]};
    loop_post(stage.loop, &a->task);
    *p = (struct peer){.fd = fds[1]};
}

static inline void peer_close(struct peer *p)
{
    close(p->fd);
}

static inline void peer_say(struct peer *p, const void *bytes, size_t size)
{
    assert_int_equal(send(p->fd, bytes, size, MSG_NOSIGNAL), size);
}

static inline void peer_ask(struct peer *p, const char *method, const char *query, const char *body)
{
    char text[1024];
    int size = snprintf(text, sizeof text,
        "%s /socket.io/?EIO=4&transport=polling%s HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n%s",
        method, query, strlen(body), body);
    peer_say(p, text, (size_t)size);
}

/* More bytes: 1; the end: 0; nothing for so long: -1. */
static inline int peer_read(struct peer *p, int ms)
{
    struct pollfd fd = {.fd = p->fd, .events = POLLIN};
    if (poll(&fd, 1, ms) <= 0)
        return -1;
    ssize_t n = recv(p->fd, p->got + p->size, sizeof p->got - p->size - 1, 0);
    if (n <= 0)
        return 0;
    for (ssize_t i = 0; i < n; i++)
        if (p->got[p->size + (size_t)i] == '\0')
            p->got[p->size + (size_t)i] = '0'; /* text, so that strstr finds it */
    p->size += (size_t)n;
    p->got[p->size] = '\0';
    return 1;
}

/* Reads on until this comes, and forgets what came before it. */
static inline bool peer_hears(struct peer *p, const char *text)
{
    for (;;) {
        char *found = p->size > 0 ? strstr(p->got, text) : NULL;
        if (found) {
            size_t used = (size_t)(found - p->got) + strlen(text);
            memmove(p->got, p->got + used, p->size - used + 1);
            p->size -= used;
            return true;
        }
        if (peer_read(p, PATIENCE_MS) != 1)
            return false;
    }
}

static inline bool peer_sees_end(struct peer *p)
{
    int more;
    while ((more = peer_read(p, PATIENCE_MS)) == 1)
        p->size = 0;
    return more == 0;
}

/* A session that polls; `query` becomes what its requests add. */
static inline void open_session(struct peer *p, char query[static 32])
{
    peer_open(p);
    peer_ask(p, "GET", "", "");
    assert_true(peer_hears(p, "0{\"sid\":\""));
    while (p->size < ENGINE_ID_SIZE)
        assert_int_equal(peer_read(p, PATIENCE_MS), 1);
    snprintf(query, 32, "&sid=%.20s", p->got);
    assert_true(peer_hears(p, "\"maxPayload\":256}"));
}

static inline void open_wire(struct peer *p, const char *query)
{
    char text[512];
    peer_open(p);
    int size = snprintf(text, sizeof text,
        "GET /socket.io/?EIO=4&transport=websocket%s HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: "
        "13\r\n\r\n",
        query);
    peer_say(p, text, (size_t)size);
}

/* One message; a zero mask key leaves it as it is. */
static inline void wire_say(struct peer *p, const char *text)
{
    char frame[6 + 125] = {(char)0x81, (char)(0x80 | strlen(text))};
    assert_true(strlen(text) < 126);
    memcpy(frame + 6, text, strlen(text));
    peer_say(p, frame, 6 + strlen(text));
}
