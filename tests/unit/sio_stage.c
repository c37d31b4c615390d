#include "sio_stage.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

struct stage stage;

/* --- the loop's side --- */

static void *on_opened(void *door, struct engine_session *s, const struct http_head *head)
{
    stage.opened++;
    return sio_door_opened(door, s, head);
}

static void on_heartbeat(void *app)
{
    (void)app;
    stage.heartbeats++;
}

static void on_closed(void *app)
{
    (void)app;
    stage.closed++;
}

static void *run_loop(void *argument)
{
    loop_run(argument);
    return NULL;
}

void stage_begin(const struct sio_hooks *hooks)
{
    static const struct engine_hooks echo = {.opened = on_opened,
        .message = sio_door_message,
        .writable = sio_door_ignore,
        .leaving = sio_door_ignore,
        .heartbeat = on_heartbeat,
        .closed = on_closed,
        .answered = sio_door_answered};
    static const struct sio_server_settings settings = {.engine = {.path = "/socket.io/",
                                                            .ping_ms = PING_MS,
                                                            .pong_ms = PONG_MS,
                                                            .upgrade_ms = UPGRADE_MS,
                                                            .message_max = MESSAGE_MAX,
                                                            .origins = ""},
        .connect_ms = CONNECT_MS};
    stage = (struct stage){0};
    sio_door_open(&stage.door, &settings, hooks, &echo);
    pthread_create(&stage.thread, NULL, run_loop, stage.door.loop);
}

void stage_end(void)
{
    loop_stop(stage.door.loop);
    pthread_join(stage.thread, NULL);
    sio_door_close(&stage.door);
    assert_int_equal(stage.closed, stage.opened);
}

/* --- clients --- */

void peer_open(struct peer *p)
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    fcntl(fds[0], F_SETFL, O_NONBLOCK);
    sio_door_adopt(&stage.door, fds[0]);
    *p = (struct peer){.fd = fds[1]};
}

void peer_close(struct peer *p)
{
    close(p->fd);
}

void peer_say(struct peer *p, const void *bytes, size_t size)
{
    assert_int_equal(send(p->fd, bytes, size, MSG_NOSIGNAL), size);
}

void peer_ask(struct peer *p, const char *method, const char *query, const char *body)
{
    char text[1024];
    int size = snprintf(text, sizeof text,
        "%s /socket.io/?EIO=4&transport=polling%s HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n%s",
        method, query, strlen(body), body);
    peer_say(p, text, (size_t)size);
}

int peer_read(struct peer *p, int ms)
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

bool peer_hears(struct peer *p, const char *text)
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

bool peer_sees_end(struct peer *p)
{
    int more;
    while ((more = peer_read(p, PATIENCE_MS)) == 1)
        p->size = 0;
    return more == 0;
}

void open_session(struct peer *p, char query[static 32])
{
    peer_open(p);
    peer_ask(p, "GET", "", "");
    assert_true(peer_hears(p, "0{\"sid\":\""));
    while (p->size < ENGINE_ID_SIZE)
        assert_int_equal(peer_read(p, PATIENCE_MS), 1);
    snprintf(query, 32, "&sid=%.20s", p->got);
    assert_true(peer_hears(p, "\"maxPayload\":256}"));
}

void open_wire(struct peer *p, const char *query)
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

void wire_say(struct peer *p, const char *text)
{
    char frame[6 + 125] = {(char)0x81, (char)(0x80 | strlen(text))};
    assert_true(strlen(text) < 126);
    memcpy(frame + 6, text, strlen(text));
    peer_say(p, frame, 6 + strlen(text));
}
