/* Namespaces and packets: between Engine.IO messages and an application. */
#include "causeway/sio_socket.h"

#include "causeway/memory.h"

#include <stdlib.h>

enum socket_state { SOCKET_CONNECTING, SOCKET_CONNECTED, SOCKET_OVER };

struct sio_socket {
    struct link *link;
    void *app;
    struct sio_socket *next;
    uint8_t state;
    struct slice namespace; /* behind the struct */
};

/* One Engine.IO session with its sockets. */
struct link {
    struct sio_server *server;
    struct engine_session *session;
    struct sio_socket *sockets;
    struct loop_timer timer; /* for the first namespace */
    struct awaiting *awaiting;
    struct link *next_reaping;
    bool reaping; /* some socket is over */
    bool joined;  /* some namespace */
};

/* A packet whose bytes are still to come. */
struct awaiting {
    struct buffer text;
    struct buffer attachments[SOCKETIO_ATTACHMENTS_MAX];
    unsigned count, wanted;
};

struct sio_server {
    struct loop *loop;
    struct engine *engine;
    struct sio_server_settings settings;
    const struct sio_hooks *hooks;
    void *owner;
    struct link *first_reaping;
    struct json json;
    struct buffer text, scratch;
};

static const struct slice NONE = {NULL, 0};

static void violation(struct link *l, const char *text)
{
    engine_end(l->session, ENGINE_VIOLATION, 1002, text);
}

/* --- sockets --- */

static struct sio_socket *find_socket(const struct link *l, struct slice namespace)
{
    for (struct sio_socket *s = l->sockets; s; s = s->next)
        if (s->state != SOCKET_OVER && slice_equal(s->namespace, namespace))
            return s;
    return NULL;
}

/* Over now, gone at the end of the turn: its application may be in the middle of something. */
static void close_socket(struct sio_socket *s)
{
    struct link *l = s->link;
    s->state = SOCKET_OVER;
    if (l->reaping)
        return;
    l->reaping = true;
    l->next_reaping = l->server->first_reaping;
    l->server->first_reaping = l;
}

static void free_socket(struct sio_socket *s)
{
    s->link->server->hooks->closed(s->app);
    free(s);
}

/* As at the beginning: whoever has left all namespaces may join one, but is not counted with those who are
 * in. */
static void await_namespace(struct link *l)
{
    l->joined = false;
    allowance_unvouch(engine_allowance(l->session));
    loop_timer_set(l->server->loop, &l->timer, l->server->settings.connect_ms);
}

static void reap(struct link *l)
{
    l->reaping = false;
    for (struct sio_socket **at = &l->sockets; *at;) {
        struct sio_socket *s = *at;
        if (s->state != SOCKET_OVER) {
            at = &s->next;
            continue;
        }
        *at = s->next;
        free_socket(s);
    }
    if (!l->sockets && l->joined)
        await_namespace(l);
}

/* --- writing --- */

static struct buffer *begin(
    struct sio_socket *s, enum socketio_type type, unsigned attachments, struct slice id)
{
    struct buffer *out = &s->link->server->text;
    buffer_clear(out);
    socketio_begin(out, type, attachments, s->namespace, id);
    return out;
}

static void finish(struct sio_socket *s)
{
    if (s->state != SOCKET_OVER)
        engine_send(s->link->session, buffer_slice(&s->link->server->text));
}

void sio_accept(struct sio_socket *s, struct slice sid, const char *more)
{
    struct buffer *out = begin(s, SOCKETIO_CONNECT, 0, NONE);
    buffer_print(out, "{\"sid\":\"%.*s\"%s}", SLICE_ARGS(sid), more);
    finish(s);
    s->state = SOCKET_CONNECTED;
    s->link->joined = true;
    loop_timer_clear(s->link->server->loop, &s->link->timer);
}

static void send_refusal(struct sio_socket *s, const char *message, struct slice data)
{
    struct buffer *out = begin(s, SOCKETIO_CONNECT_ERROR, 0, NONE);
    buffer_add_text(out, "{\"message\":");
    buffer_add_json_text(out, slice_of(message));
    if (data.size > 0)
        buffer_print(out, ",\"data\":%.*s", SLICE_ARGS(data));
    buffer_add_byte(out, '}');
    finish(s);
}

void sio_refuse(struct sio_socket *s, const char *message, struct slice data)
{
    send_refusal(s, message, data);
    close_socket(s);
}

static void send_limit(struct sio_socket *s, const char *why, uint64_t retry_ms)
{
    struct buffer data = {0};
    buffer_print(&data, "{\"code\":\"rate_limited\",\"message\":\"%s\",\"retryAfterMs\":%llu}", why,
        (unsigned long long)retry_ms);
    send_refusal(s, "Too many requests", buffer_slice(&data));
    buffer_finish(&data);
}

void sio_limit(struct sio_socket *s, const char *why, uint64_t retry_ms)
{
    send_limit(s, why, retry_ms);
    close_socket(s);
}

void sio_emit(struct sio_socket *s, const char *name, struct slice arguments)
{
    struct buffer *out = begin(s, SOCKETIO_EVENT, 0, NONE);
    buffer_print(out, "[\"%s\"%s", name, arguments.size ? "," : "");
    buffer_add_slice(out, arguments);
    buffer_add_byte(out, ']');
    finish(s);
}

void sio_acknowledge(struct sio_socket *s, struct slice id, struct slice arguments)
{
    struct buffer *out = begin(s, SOCKETIO_ACK, 0, id);
    buffer_add_byte(out, '[');
    buffer_add_slice(out, arguments);
    buffer_add_byte(out, ']');
    finish(s);
}

void sio_send(struct sio_socket *s, enum socketio_type type, struct slice id, struct slice json,
    const struct buffer *attachments, unsigned attachment_count)
{
    buffer_add_slice(begin(s, type, attachment_count, id), json);
    finish(s);
    for (unsigned i = 0; i < attachment_count && s->state != SOCKET_OVER; i++)
        engine_send_binary(s->link->session, buffer_slice(&attachments[i]));
}

void sio_end(struct sio_socket *s, uint16_t code, const char *text)
{
    sio_server_end(s->link->session, code, text);
}

void sio_server_end(struct engine_session *link, uint16_t code, const char *text)
{
    engine_end(link, ENGINE_BY_US, code, text);
}

struct engine_session *sio_link(const struct sio_socket *s)
{
    return s->link->session;
}

struct slice sio_namespace(const struct sio_socket *s)
{
    return s->namespace;
}

bool sio_over(const struct sio_socket *s)
{
    return s->state == SOCKET_OVER || engine_ended(s->link->session);
}

/* --- packets --- */

static void on_connect(struct link *l, const struct socketio_packet *p)
{
    struct sio_server *v = l->server;
    if (find_socket(l, p->namespace)) {
        violation(l, "connected to this namespace already");
        return;
    }
    struct sio_socket *s = xcalloc(1, sizeof *s + p->namespace.size);
    char *name = (char *)(s + 1);
    memcpy(name, p->namespace.data, p->namespace.size);
    *s = (struct sio_socket){.link = l, .next = l->sockets, .namespace = {name, p->namespace.size}};
    l->sockets = s;
    uint64_t wait = engine_heard(l->session);
    if (wait == 0)
        s->app = v->hooks->connect(v->owner, s, s->namespace, &v->json, p->json.size ? 0 : JSON_NONE);
    if (s->app)
        return;
    if (wait > 0)
        send_limit(s, "too many messages", wait);
    else
        send_refusal(s, "Invalid namespace", NONE);
    l->sockets = s->next;
    free(s);
}

static void on_event(
    struct link *l, struct sio_socket *s, const struct socketio_packet *p, const struct buffer *attachments)
{
    const struct json *j = &l->server->json;
    struct sio_event e = {
        .json = j,
        .name_node = json_first(j, 0),
        .id = p->id,
        .attachments = attachments,
        .attachment_count = p->attachments,
    };
    e.name = json_string(j, e.name_node, &l->server->scratch);
    if (!e.name.data)
        e.name = json_raw(j, e.name_node);
    l->server->hooks->event(s->app, &e);
}

static void on_packet(struct link *l, const struct socketio_packet *p, const struct buffer *attachments)
{
    struct sio_socket *s = find_socket(l, p->namespace);
    if (p->type == SOCKETIO_DISCONNECT || p->type == SOCKETIO_ACK || p->type == SOCKETIO_BINARY_ACK)
        engine_heard(l->session); /* done or ignored at once, but counted */
    if (p->type == SOCKETIO_CONNECT)
        on_connect(l, p);
    else if (!s || s->state != SOCKET_CONNECTED)
        violation(l, "not connected to this namespace");
    else if (p->type == SOCKETIO_DISCONNECT)
        close_socket(s);
    else if (p->type == SOCKETIO_EVENT || p->type == SOCKETIO_BINARY_EVENT)
        on_event(l, s, p, attachments);
    /* Acknowledgements: nothing here asks for one. */
}

/* The packet, with its JSON on the server's tape; what is wrong with it, or NULL. */
static const char *read_packet(struct sio_server *v, struct slice text, struct socketio_packet *p)
{
    const char *fault = socketio_parse(text, p);
    if (!fault && p->json.size > 0 && !json_scan(&v->json, p->json.data, p->json.size))
        fault = "the packet is not strict JSON";
    if (!fault)
        fault = socketio_check(p, &v->json);
    if (!fault && p->attachments > 0 && !socketio_placeholders_fit(&v->json, p->attachments))
        fault = "a placeholder of no attachment";
    return fault;
}

static void forget_awaiting(struct link *l)
{
    struct awaiting *a = l->awaiting;
    if (!a)
        return;
    l->awaiting = NULL;
    for (unsigned i = 0; i < a->count; i++)
        buffer_finish(&a->attachments[i]);
    buffer_finish(&a->text);
    free(a);
}

static void on_text(struct link *l, struct slice text)
{
    struct socketio_packet p;
    const char *fault = l->awaiting ? "bytes are missing" : read_packet(l->server, text, &p);
    if (fault) {
        violation(l, fault);
    } else if (p.attachments == 0) {
        on_packet(l, &p, NULL);
    } else {
        l->awaiting = xcalloc(1, sizeof *l->awaiting);
        l->awaiting->wanted = p.attachments;
        buffer_add_slice(&l->awaiting->text, text);
    }
}

static void on_bytes(struct link *l, struct slice bytes)
{
    struct awaiting *a = l->awaiting;
    if (!a) {
        violation(l, "bytes that no packet announced");
        return;
    }
    buffer_add_slice(&a->attachments[a->count++], bytes);
    if (a->count < a->wanted)
        return;
    struct socketio_packet p;
    const char *fault = read_packet(l->server, buffer_slice(&a->text), &p);
    CHECK(!fault);
    on_packet(l, &p, a->attachments);
    forget_awaiting(l);
}

/* --- the engine's hooks --- */

static void on_connect_deadline(struct loop_timer *timer)
{
    struct link *l = (struct link *)((char *)timer - offsetof(struct link, timer));
    limit_hit(LIMIT_HANDSHAKE);
    sio_server_end(l->session, 1000, "no namespace was joined");
}

static void *on_opened(void *owner, struct engine_session *session, const struct http_head *head)
{
    (void)head;
    struct sio_server *v = owner;
    if (!v->hooks->open(v->owner))
        return NULL;
    struct link *l = xcalloc(1, sizeof *l);
    l->server = v;
    l->session = session;
    l->timer.on_due = on_connect_deadline;
    loop_timer_set(v->loop, &l->timer, v->settings.connect_ms);
    return l;
}

static void on_message(void *app, bool binary, struct slice data)
{
    if (binary)
        on_bytes(app, data);
    else
        on_text(app, data);
}

static void for_each(struct link *l, void (*hook)(void *app))
{
    for (struct sio_socket *s = l->sockets; s; s = s->next)
        if (s->state == SOCKET_CONNECTED)
            hook(s->app);
}

static void on_writable(void *app)
{
    struct link *l = app;
    for_each(l, l->server->hooks->writable);
}

static void on_leaving(void *app)
{
    struct link *l = app;
    for_each(l, l->server->hooks->leaving);
}

static void on_heartbeat(void *app)
{
    struct link *l = app;
    for_each(l, l->server->hooks->heartbeat);
}

static void on_closed(void *app)
{
    struct link *l = app;
    if (l->reaping) {
        struct link **at = &l->server->first_reaping;
        while (*at != l)
            at = &(*at)->next_reaping;
        *at = l->next_reaping;
    }
    loop_timer_clear(l->server->loop, &l->timer);
    forget_awaiting(l);
    while (l->sockets) {
        struct sio_socket *s = l->sockets;
        l->sockets = s->next;
        free_socket(s);
    }
    free(l);
}

static void on_answered(void *owner, struct conn *c)
{
    struct sio_server *v = owner;
    v->hooks->answered(v->owner, c);
}

static const struct engine_hooks engine_hooks = {
    on_opened, on_message, on_writable, on_leaving, on_heartbeat, on_closed, on_answered};

/* --- the whole --- */

struct sio_server *sio_server_create(
    struct loop *loop, const struct sio_server_settings *settings, const struct sio_hooks *hooks, void *owner)
{
    struct sio_server *v = xcalloc(1, sizeof *v);
    v->loop = loop;
    v->settings = *settings;
    v->hooks = hooks;
    v->owner = owner;
    v->engine = engine_create(loop, &settings->engine, &engine_hooks, v);
    return v;
}

void sio_server_destroy(struct sio_server *v)
{
    if (!v)
        return;
    engine_destroy(v->engine);
    json_finish(&v->json);
    buffer_finish(&v->text);
    buffer_finish(&v->scratch);
    free(v);
}

struct engine *sio_server_engine(const struct sio_server *v)
{
    return v->engine;
}

void sio_server_turn(struct sio_server *v)
{
    engine_turn(v->engine);
    while (v->first_reaping) {
        struct link *l = v->first_reaping;
        v->first_reaping = l->next_reaping;
        reap(l);
    }
}
