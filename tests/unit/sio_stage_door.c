#include "sio_stage_door.h"

#include "causeway/memory.h"

#include <stdlib.h>

void *sio_door_opened(void *door, struct engine_session *s, const struct http_head *head)
{
    (void)door;
    (void)head;
    return s;
}

void sio_door_message(void *app, bool binary, struct slice data)
{
    struct buffer packet = {0};
    if (!binary)
        buffer_add_byte(&packet, '4');
    buffer_add_slice(&packet, data);
    (binary ? engine_send_binary : engine_send)(app, buffer_slice(&packet));
    buffer_finish(&packet);
}

void sio_door_answered(void *door, struct conn *c)
{
    struct sio_door *d = door;
    front_return(d->front, c);
}

void sio_door_ignore(void *app)
{
    (void)app;
}

/* --- the front door: all that is not the engine's is nobody's --- */

static int nowhere_else(void *owner, const struct http_head *head)
{
    (void)owner;
    (void)head;
    return -1;
}

static bool on_take(void *owner, struct conn *c, const struct http_head *head)
{
    struct sio_door *d = owner;
    return engine_take(d->engine, c, head);
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

/* --- the loop --- */

static bool on_turn(void *owner)
{
    struct sio_door *d = owner;
    if (d->server)
        sio_server_turn(d->server);
    else
        engine_turn(d->engine);
    return false;
}

static bool nothing_pending(void *owner)
{
    (void)owner;
    return false;
}

void sio_door_open(struct sio_door *d, const struct sio_server_settings *settings,
    const struct sio_hooks *hooks, const struct engine_hooks *engine_hooks)
{
    static const struct front_hooks front = {nowhere_else, NULL, on_take, on_upgrade, on_request};
    static const struct loop_hooks loop = {on_turn, nothing_pending};
    *d = (struct sio_door){.loop = loop_create()};
    d->front = front_create(d->loop, 5000, &front, d);
    if (hooks)
        d->server = sio_server_create(d->loop, settings, hooks, d);
    d->engine =
        d->server ? sio_server_engine(d->server) : engine_create(d->loop, &settings->engine, engine_hooks, d);
    loop_set_hooks(d->loop, &loop, d);
}

void sio_door_close(struct sio_door *d)
{
    loop_settle(d->loop);
    front_destroy(d->front);
    if (d->server)
        sio_server_destroy(d->server);
    else
        engine_destroy(d->engine);
    loop_destroy(d->loop);
}

struct arrival {
    struct loop_task task;
    struct sio_door *door;
    int fd;
};

static void on_arrival(struct loop_task *task)
{
    struct arrival *a = (struct arrival *)task;
    front_adopt(a->door->front, a->fd, (struct slice){NULL, 0});
    free(a);
}

void sio_door_adopt(struct sio_door *d, int fd)
{
    struct arrival *a = xcalloc(1, sizeof *a);
    *a = (struct arrival){.task.run = on_arrival, .door = d, .fd = fd};
    loop_post(d->loop, &a->task);
}
