/* Sockets as clients of core: who it is, what it asks for, what it is told. */
#include "causeway/sio.h"

#include "causeway/frame.h"
#include "causeway/map.h"
#include "causeway/memory.h"
#include "causeway/metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

enum {
    TICK_MS = 1000,
    DRAIN_STEP_MS = 100,
    DRAIN_STEP_MIN = 200, /* connections per step, so that few are not kept waiting */
};

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
    struct buffer text;    /* of the message at hand */
    struct buffer trailer; /* the frame of the cursor of ... */
    const struct lane *trailer_lane;
    unsigned trailer_log;
    uint64_t trailer_position;
};

struct guest {
    struct sio *sio;
    struct sio_socket *socket;
    struct client *client;
    const struct lane *lane;
    struct guest *next, *previous;
    struct loop_timer timer; /* for CONNECT to be decided */
    uint64_t told;           /* the cursor that was sent last, as a hash */
    char sid[ENGINE_ID_SIZE + 1];
};

static const struct slice NONE = {NULL, 0};

/* --- what is said --- */

static void emit_cursor(struct guest *g, struct slice cursor)
{
    char quoted[CURSOR_TEXT_MAX + 3];
    uint64_t hash = hash_bytes(cursor.data, cursor.size, 0);
    if (cursor.size == 0 || hash == g->told)
        return;
    g->told = hash;
    int size = snprintf(quoted, sizeof quoted, "\"%.*s\"", SLICE_ARGS(cursor));
    sio_emit(g->socket, "cursor", (struct slice){quoted, (size_t)size});
}

static void on_emit(void *owner, const char *type, struct slice data, struct slice cursor)
{
    struct guest *g = owner;
    if (strcmp(type, "connected") == 0)
        sio_accept(g->socket, slice_of(g->sid), "");
    else
        sio_emit(g->socket, type, data);
    emit_cursor(g, cursor);
}

/* {"ok":true, what there is to say} or {"ok":false,"error":{"code":..}}, under the event's own id. */
static void on_answer(void *owner, uint64_t request, const char *type, struct slice data)
{
    struct guest *g = owner;
    struct buffer *out = &g->sio->text;
    buffer_clear(out);
    if (strcmp(type, "error") == 0)
        buffer_print(out, "{\"ok\":false,\"error\":%.*s}", SLICE_ARGS(data));
    else if (data.size > 2)
        buffer_print(out, "{\"ok\":true,%.*s", (int)data.size - 1, data.data + 1);
    else
        buffer_add_text(out, "{\"ok\":true}");
    char id[24];
    snprintf(id, sizeof id, "%llu", (unsigned long long)request - 1);
    sio_acknowledge(g->socket, slice_of(id), buffer_slice(out));
}

/* A refusal is final: the client does not come back by itself. */
static void refuse(struct guest *g, const char *message, const char *code, const char *why)
{
    struct buffer data = {0};
    loop_timer_clear(g->sio->loop, &g->timer);
    buffer_print(&data, "{\"code\":\"%s\",\"message\":\"%s\"}", code, why);
    sio_refuse(g->socket, message, buffer_slice(&data));
    buffer_finish(&data);
}

static void come_back(struct guest *g, const char *why)
{
    loop_timer_clear(g->sio->loop, &g->timer);
    sio_end(g->socket, close_code(CLOSE_LATER), why);
}

static void on_judging(void *owner)
{
    struct guest *g = owner;
    loop_timer_set(g->sio->loop, &g->timer, g->sio->settings.hold_ms);
}

static void on_refused(void *owner, enum verdict_status status, const char *why)
{
    if (status == VERDICT_LATER) {
        come_back(owner, why);
        return;
    }
    metric_add(metric_label(METRIC_AUTH, why), 1);
    refuse(owner, "Authentication failed", "unauthorized", why);
}

static void on_attached(void *owner, enum grants_outcome outcome)
{
    struct guest *g = owner;
    loop_timer_clear(g->sio->loop, &g->timer);
    if (outcome == GRANTS_ALLOWED) {
        metric_add(metric_label(METRIC_AUTH, "ok"), 1);
    } else if (outcome == GRANTS_NO_USER) {
        metric_add(metric_label(METRIC_AUTH, "User not found"), 1);
        refuse(g, "User not found", "unauthorized", "User not found");
    } else if (outcome == GRANTS_TOO_MANY) {
        refuse(g, "Too many rooms", "too_many_rooms", close_text(CLOSE_ROOMS));
    } else {
        come_back(g, "rights cannot be looked up now; come back later");
    }
}

/* The client comes back by itself, with the token that it has then. */
static void on_expired(void *owner)
{
    struct guest *g = owner;
    sio_emit(g->socket, "error", SLICE("{\"code\":\"unauthorized\",\"message\":\"token expired\"}"));
    sio_end(g->socket, close_code(CLOSE_UNAUTHORIZED), "token expired");
}

static const struct client_hooks client_hooks = {
    on_emit, on_answer, on_judging, on_refused, on_attached, on_expired};

static void on_hold_over(struct loop_timer *timer)
{
    struct guest *g = (struct guest *)((char *)timer - offsetof(struct guest, timer));
    come_back(g, client_is_judged(g->client) ? "rights cannot be looked up now; come back later"
                                             : "the token cannot be judged now; come back later");
}

/* --- what the fan-out writes --- */

static size_t transport_write(void *transport, const struct iovec *parts, int count)
{
    struct guest *g = transport;
    return sio_over(g->socket) ? 0 : engine_write(sio_link(g->socket), parts, count);
}

static void transport_keep(void *transport, const char *rest, size_t size)
{
    struct guest *g = transport;
    engine_keep(sio_link(g->socket), rest, size);
}

/* Sessions that end at the same place share it. While polling it goes with the answer instead (on_leaving).
 */
static struct slice transport_trailer(void *transport, unsigned log, uint64_t position)
{
    struct guest *g = transport;
    struct sio *o = g->sio;
    if (sio_over(g->socket) || !engine_on_websocket(sio_link(g->socket)))
        return NONE;
    if (o->trailer_lane == g->lane && o->trailer_log == log && o->trailer_position == position)
        return buffer_slice(&o->trailer);
    o->trailer_lane = g->lane;
    o->trailer_log = log;
    o->trailer_position = position;
    buffer_clear(&o->trailer);
    char cursor[CURSOR_TEXT_MAX + 1];
    size_t size = o->client.services->cursor(o->client.services_owner, log, position, cursor);
    if (size == 0)
        return NONE;
    struct buffer *text = &o->text;
    buffer_clear(text);
    socketio_begin(text, SOCKETIO_EVENT, 0, g->lane->address, NONE);
    buffer_print(text, "[\"cursor\",\"%s\"]", cursor);
    char *header = buffer_reserve(&o->trailer, FRAME_HEADER_MAX);
    o->trailer.size = frame_header(header, FRAME_TEXT, text->size);
    buffer_add_slice(&o->trailer, buffer_slice(text));
    return buffer_slice(&o->trailer);
}

static void transport_away(void *transport, struct session *s, struct origin *origin)
{
    struct guest *g = transport;
    client_away(g->client, s, origin);
}

static void transport_arrived(void *transport, struct session *s)
{
    struct guest *g = transport;
    client_arrived(g->client, s);
}

static const struct transport_hooks transport_hooks = {
    transport_write, transport_keep, transport_trailer, transport_away, transport_arrived};

/* --- what sockets bring --- */

/* `auth.cursor` and `auth.rooms`: where to go on, and the rooms that were joined on request. */
static void take_resume(struct guest *g, const struct json *j, uint32_t auth)
{
    struct buffer scratch = {0}, name = {0}, rooms = {0};
    struct slice cursor = json_string(j, json_find(j, auth, SLICE("cursor")), &scratch);
    uint32_t list = json_find(j, auth, SLICE("rooms"));
    for (uint32_t n = json_first(j, list); n != JSON_NONE; n = json_after(j, list, n)) {
        struct slice room = json_string(j, n, &name);
        if (room.size == 0 || memchr(room.data, ',', room.size))
            continue;
        buffer_add_text(&rooms, rooms.size ? "," : "");
        buffer_add_slice(&rooms, room);
    }
    client_set_resume(g->client, cursor, buffer_slice(&rooms));
    buffer_finish(&scratch);
    buffer_finish(&name);
    buffer_finish(&rooms);
}

static void *on_connect(
    void *owner, struct sio_socket *s, struct slice namespace, const struct json *j, uint32_t auth)
{
    struct sio *o = owner;
    const struct lane *lane = catalogue_find_lane(o->client.catalogue, DIALECT_SOCKETIO, namespace);
    if (!lane)
        return NULL;
    struct guest *g = xcalloc(1, sizeof *g);
    *g = (struct guest){.sio = o, .socket = s, .lane = lane, .next = o->first, .timer.on_due = on_hold_over};
    if (o->first)
        o->first->previous = g;
    o->first = g;
    engine_random_id(g->sid);
    struct client_settings settings = o->client;
    settings.lane = lane;
    settings.transport = &transport_hooks;
    g->client = client_create(&settings, &client_hooks, g, g);
    take_resume(g, j, auth);
    struct buffer scratch = {0};
    struct slice token = json_string(j, json_find(j, auth, SLICE("token")), &scratch);
    if (token.size > 0)
        client_authenticate(g->client, token);
    else
        on_refused(g, VERDICT_BAD, "no credential");
    buffer_finish(&scratch);
    return g;
}

/* The request number of core: none is 0, and clients count from 0. */
static uint64_t request_of(struct slice id)
{
    uint64_t number = 0;
    for (size_t i = 0; i < id.size; i++)
        number = number * 10 + (uint64_t)(id.data[i] - '0');
    return id.size > 0 ? number + 1 : 0;
}

static void on_event(void *app, const struct sio_event *e)
{
    struct guest *g = app;
    uint32_t data = json_after(e->json, 0, e->name_node);
    uint64_t request = request_of(e->id);
    static const char unknown[] = "{\"code\":\"unknown_event\",\"message\":\"this event is not known here\"}";
    if (client_command(g->client, e->name, e->json, data, request))
        return;
    metric_add(metric_label(METRIC_ERRORS, "unknown_event"), 1);
    if (request)
        on_answer(g, request, "error", SLICE(unknown));
    else
        sio_emit(g->socket, "error", SLICE(unknown));
}

static void on_writable(void *app)
{
    struct guest *g = app;
    client_writable(g->client);
}

static void tell_cursor(struct guest *g, size_t (*get)(struct client *c, char out[CURSOR_TEXT_MAX + 1]))
{
    char cursor[CURSOR_TEXT_MAX + 1];
    emit_cursor(g, (struct slice){cursor, get(g->client, cursor)});
}

static void on_leaving(void *app)
{
    tell_cursor(app, client_place_cursor);
}

static void on_heartbeat(void *app)
{
    tell_cursor(app, client_ping_cursor);
}

static void on_closed(void *app)
{
    struct guest *g = app;
    *(g->previous ? &g->previous->next : &g->sio->first) = g->next;
    if (g->next)
        g->next->previous = g->previous;
    loop_timer_clear(g->sio->loop, &g->timer);
    client_destroy(g->client);
    free(g);
}

static bool on_open(void *owner)
{
    struct sio *o = owner;
    return !o->draining && o->hooks->started(o->owner);
}

static void on_answered(void *owner, struct conn *c)
{
    struct sio *o = owner;
    o->hooks->answered(o->owner, c);
}

static const struct sio_hooks socket_hooks = {
    on_open, on_connect, on_event, on_writable, on_leaving, on_heartbeat, on_closed, on_answered};

/* --- time --- */

static void on_tick(struct loop_timer *timer)
{
    struct sio *o = (struct sio *)((char *)timer - offsetof(struct sio, tick));
    loop_timer_set(o->loop, &o->tick, TICK_MS);
    for (struct guest *g = o->first; g; g = g->next)
        if (!sio_over(g->socket))
            client_tick(g->client, loop_now(o->loop));
}

static void end_for_restart(struct engine_session *link)
{
    char text[64];
    uint16_t random;
    CHECK(getrandom(&random, sizeof random, 0) == sizeof random);
    snprintf(text, sizeof text, "restart: reconnect after %u ms", 500 + random % 4500U);
    sio_server_end(link, close_code(CLOSE_RESTART), text);
}

static void on_drain(struct loop_timer *timer)
{
    struct sio *o = (struct sio *)((char *)timer - offsetof(struct sio, drain));
    uint64_t now = loop_now(o->loop);
    uint64_t steps = o->drain_until > now ? (o->drain_until - now) / DRAIN_STEP_MS : 0;
    size_t all = sio_connections(o), share = steps ? all / steps + 1 : all;
    if (share < DRAIN_STEP_MIN)
        share = DRAIN_STEP_MIN;
    for (struct engine_session *s = engine_first(sio_server_engine(o->server)); s && share > 0;
         s = engine_next(s)) {
        if (engine_ended(s))
            continue;
        end_for_restart(s);
        share--;
    }
    loop_timer_set(o->loop, &o->drain, DRAIN_STEP_MS);
}

void sio_drain(struct sio *o, uint64_t within_ms)
{
    o->draining = true;
    o->drain_until = loop_now(o->loop) + within_ms;
    on_drain(&o->drain);
}

/* --- the whole --- */

struct sio *sio_create(struct loop *loop, const struct client_settings *client,
    const struct sio_settings *settings, const struct sio_app_hooks *hooks, void *owner)
{
    struct sio *o = xcalloc(1, sizeof *o);
    o->loop = loop;
    o->client = *client;
    catalogue_hold(o->client.catalogue);
    o->settings = *settings;
    o->hooks = hooks;
    o->owner = owner;
    o->server = sio_server_create(loop, &settings->server, &socket_hooks, o);
    o->tick.on_due = on_tick;
    o->drain.on_due = on_drain;
    loop_timer_set(loop, &o->tick, TICK_MS);
    return o;
}

void sio_destroy(struct sio *o)
{
    if (!o)
        return;
    loop_timer_clear(o->loop, &o->tick);
    loop_timer_clear(o->loop, &o->drain);
    sio_server_destroy(o->server);
    CHECK(!o->first);
    buffer_finish(&o->text);
    buffer_finish(&o->trailer);
    catalogue_release(o->client.catalogue);
    free(o);
}

bool sio_take(struct sio *o, struct conn *c, const struct http_head *head)
{
    return engine_take(sio_server_engine(o->server), c, head);
}

int sio_loop(const struct sio *o, const struct http_head *head)
{
    return engine_loop(&o->settings.server.engine, head);
}

void sio_turn(struct sio *o)
{
    sio_server_turn(o->server);
}

size_t sio_connections(const struct sio *o)
{
    return engine_sessions(sio_server_engine(o->server));
}
