/* Sockets as clients of core: who it is, what it asks for, what it is told. */
#include "causeway/sio.h"

#include "causeway/frame.h"
#include "causeway/map.h"
#include "causeway/memory.h"
#include "causeway/metrics.h"
#include "causeway/random.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    TICK_MS = 1000,
    DRAIN_STEP_MS = 100,
    DRAIN_STEP_MIN = 200,   /* connections per step, so that few are not kept waiting */
    ROOMS_TEXT_MAX = 4096,  /* of the rooms that a cursor names ... */
    ROOMS_TEXT_SMALL = 256, /* ... and beyond this it comes at most so often: */
    LONG_CURSOR_MS = 1000,
    PID_MAX = 64,
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
    struct buffer own_trailer; /* ... of one who stands in rooms on request */
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

static const struct slice NONE = {NULL, 0};

/* --- cursors ---
   What a client sends back is all there is to resuming: the cursor, and behind '~' the rooms that it joined
   on request; "~*" when they are too many to be named. */

static void renew_rooms(struct guest *g)
{
    struct buffer names = {0};
    g->rooms_changed = false;
    g->whole = client_requested_rooms(g->client, &names, ROOMS_TEXT_MAX);
    free(g->rooms);
    g->rooms = names.size > 0 ? xstrdup(g->whole ? buffer_text(&names) : "*") : NULL;
    buffer_finish(&names);
}

/* Appends ["cursor","..."]'s argument. */
static void write_cursor(const struct guest *g, struct slice cursor, struct buffer *out)
{
    if (!g->rooms) {
        buffer_print(out, "\"%.*s\"", SLICE_ARGS(cursor));
        return;
    }
    struct buffer text = {0};
    buffer_print(&text, "%.*s~%s", SLICE_ARGS(cursor), g->rooms);
    buffer_add_json_text(out, buffer_slice(&text));
    buffer_finish(&text);
}

/* Is this cursor worth sending? */
static bool is_news(struct guest *g, struct slice cursor)
{
    bool changed = g->rooms_changed;
    if (cursor.size == 0 || (!changed && slice_is(cursor, g->cursor)))
        return false;
    if (changed)
        renew_rooms(g);
    bool large = g->rooms && strlen(g->rooms) > ROOMS_TEXT_SMALL;
    return changed || !large || loop_now(g->sio->loop) - g->told_at >= LONG_CURSOR_MS;
}

static void note_told(struct guest *g, struct slice cursor)
{
    g->told_at = loop_now(g->sio->loop);
    memcpy(g->cursor, cursor.data, cursor.size);
    g->cursor[cursor.size] = '\0';
}

static void emit_cursor(struct guest *g, struct slice cursor)
{
    if (!is_news(g, cursor))
        return;
    note_told(g, cursor);
    struct buffer *out = &g->sio->text;
    buffer_clear(out);
    write_cursor(g, cursor, out);
    sio_emit(g->socket, "cursor", buffer_slice(out));
}

/* Before a client is told that it stands in a room, it must have a cursor that says so. */
static void note_rooms(struct guest *g, const char *type)
{
    if (strcmp(type, "room-joined") != 0 && strcmp(type, "room-left") != 0)
        return;
    char cursor[CURSOR_TEXT_MAX + 1];
    size_t size = client_place_cursor(g->client, cursor);
    g->rooms_changed = true;
    if (size == 0) {
        size = strlen(g->cursor);
        memcpy(cursor, g->cursor, size);
    }
    emit_cursor(g, (struct slice){cursor, size});
}

/* --- what is said --- */

static void accept_socket(struct guest *g)
{
    char more[PID_MAX + 16];
    if (!*g->pid || !client_goes_on(g->client) || !g->whole)
        engine_random_id(g->pid);
    snprintf(more, sizeof more, ",\"pid\":\"%s\"", g->pid);
    sio_accept(g->socket, slice_of(g->sid), more);
    g->connected = true;
    g->rooms_changed = true;
    *g->cursor = '\0';
}

static void on_emit(void *owner, const char *type, struct slice data, struct slice cursor)
{
    struct guest *g = owner;
    note_rooms(g, type);
    if (strcmp(type, "connected") == 0)
        accept_socket(g);
    else if (strcmp(type, "cursor") != 0) /* has a form of its own here */
        sio_emit(g->socket, type, data);
    emit_cursor(g, cursor);
}

/* {"ok":true, what there is to say} or {"ok":false,"error":{"code":..}}, under the event's own id. */
static void on_answer(void *owner, uint64_t request, const char *type, struct slice data)
{
    struct guest *g = owner;
    note_rooms(g, type);
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

/* A refusal is final: the client does not come back by itself. Who is connected would not hear from one that
   it is cut off: it is told why, and comes back with the token that it has then. */
static void refuse(
    struct guest *g, const char *message, const char *code, const char *why, enum close_reason reason)
{
    struct buffer data = {0};
    loop_timer_clear(g->sio->loop, &g->timer);
    buffer_print(&data, "{\"code\":\"%s\",\"message\":\"%s\"}", code, why);
    if (g->connected) {
        sio_emit(g->socket, "error", buffer_slice(&data));
        sio_end(g->socket, close_code(reason), why);
    } else {
        sio_refuse(g->socket, message, buffer_slice(&data));
    }
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
    refuse(owner, "Authentication failed", "unauthorized", why, CLOSE_UNAUTHORIZED);
}

static void on_attached(void *owner, enum grants_outcome outcome)
{
    struct guest *g = owner;
    loop_timer_clear(g->sio->loop, &g->timer);
    if (outcome == GRANTS_ALLOWED) {
        metric_add(metric_label(METRIC_AUTH, "ok"), 1);
    } else if (outcome == GRANTS_NO_USER) {
        metric_add(metric_label(METRIC_AUTH, "User not found"), 1);
        refuse(g, "User not found", "unauthorized", "User not found", CLOSE_UNAUTHORIZED);
    } else if (outcome == GRANTS_TOO_MANY) {
        refuse(g, "Too many rooms", "too_many_rooms", close_text(CLOSE_ROOMS), CLOSE_ROOMS);
    } else {
        come_back(g, "rights cannot be looked up now; come back later");
    }
}

static void on_expired(void *owner)
{
    refuse(owner, "Authentication failed", "unauthorized", "token expired", CLOSE_UNAUTHORIZED);
}

/* Who may not come in is told so; who sends too much is cut, and comes back by itself. */
static void on_limited(void *owner, enum limit limit, uint64_t retry_ms)
{
    struct guest *g = owner;
    loop_timer_clear(g->sio->loop, &g->timer);
    if (limit == LIMIT_MESSAGES)
        sio_end(g->socket, close_code(CLOSE_RATE), "too many messages");
    else
        sio_limit(g->socket,
            limit == LIMIT_USER_CONNECTIONS ? "too many connections of this user"
                                            : "too many bad credentials from this address",
            retry_ms);
}

static const struct client_hooks client_hooks = {
    on_emit, on_answer, on_judging, on_refused, on_attached, on_expired, on_limited};

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
    struct trailer *t = &g->sio->trailer;
    bool offered = t->offered_to == g;
    t->offered_to = NULL;
    if (sio_over(g->socket))
        return 0;
    size_t taken = engine_write(sio_link(g->socket), parts, count), all = 0;
    for (int i = 0; offered && i < count; i++)
        all += parts[i].iov_len;
    if (offered && taken == all)
        note_told(g, (struct slice){t->cursor, t->cursor_size});
    return taken;
}

static void transport_keep(void *transport, const char *rest, size_t size)
{
    struct guest *g = transport;
    engine_keep(sio_link(g->socket), rest, size);
}

static void write_trailer(struct guest *g, struct slice cursor, struct buffer *out)
{
    struct buffer *text = &g->sio->text;
    buffer_clear(text);
    socketio_begin(text, SOCKETIO_EVENT, 0, g->lane->address, NONE);
    buffer_add_text(text, "[\"cursor\",");
    write_cursor(g, cursor, text);
    buffer_add_byte(text, ']');
    buffer_clear(out);
    char *header = buffer_reserve(out, FRAME_HEADER_MAX);
    out->size = frame_header(header, FRAME_TEXT, text->size);
    buffer_add_slice(out, buffer_slice(text));
}

/* The cursor of this place, written once for all who stand in no rooms of their own. */
static void renew_trailer(struct sio *o, struct guest *g, unsigned log, uint64_t position)
{
    struct trailer *t = &o->trailer;
    if (t->lane == g->lane && t->log == log && t->position == position)
        return;
    *t = (struct trailer){.lane = g->lane, .log = log, .position = position, .frame = t->frame};
    t->cursor_size = o->client.services->cursor(o->client.services_owner, log, 0, position, t->cursor);
    char *rooms = g->rooms;
    g->rooms = NULL;
    write_trailer(g, (struct slice){t->cursor, t->cursor_size}, &t->frame);
    g->rooms = rooms;
}

/* While polling it goes with the answer instead (on_leaving). */
static struct slice transport_trailer(void *transport, unsigned log, uint64_t position)
{
    struct guest *g = transport;
    struct sio *o = g->sio;
    if (sio_over(g->socket) || !engine_on_websocket(sio_link(g->socket)))
        return NONE;
    renew_trailer(o, g, log, position);
    struct slice cursor = {o->trailer.cursor, o->trailer.cursor_size};
    if (!is_news(g, cursor))
        return NONE;
    o->trailer.offered_to = g;
    if (!g->rooms)
        return buffer_slice(&o->trailer.frame);
    write_trailer(g, cursor, &o->own_trailer);
    return buffer_slice(&o->own_trailer);
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

/* Where to go on: what the client's own recovery sends (`offset`, with its `pid`), or the application
   (`cursor`); the rooms are named behind it, or in `rooms`. */
static void take_resume(struct guest *g, const struct json *j, uint32_t auth)
{
    struct buffer scratch = {0}, name = {0}, rooms = {0};
    struct slice pid = json_string(j, json_find(j, auth, SLICE("pid")), &scratch);
    if (pid.size > 0 && pid.size <= PID_MAX && engine_could_be_id(pid))
        memcpy(g->pid, pid.data, pid.size);
    struct slice cursor = json_string(j, json_find(j, auth, SLICE("cursor")), &scratch);
    if (cursor.size == 0)
        cursor = json_string(j, json_find(j, auth, SLICE("offset")), &scratch);
    const char *mark = cursor.size ? memchr(cursor.data, '~', cursor.size) : NULL;
    if (mark) {
        size_t behind = (size_t)(cursor.data + cursor.size - mark) - 1;
        g->whole = !slice_is((struct slice){mark + 1, behind}, "*");
        buffer_add(&rooms, mark + 1, g->whole ? behind : 0);
        cursor.size = (size_t)(mark - cursor.data);
    }
    uint32_t list = json_find(j, auth, SLICE("rooms"));
    for (uint32_t n = json_first(j, list); n != JSON_NONE; n = json_after(j, list, n)) {
        buffer_add_text(&rooms, rooms.size ? "," : "");
        buffer_add_slice(&rooms, json_string(j, n, &name));
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
    *g = (struct guest){
        .sio = o, .socket = s, .lane = lane, .next = o->first, .timer.on_due = on_hold_over, .whole = true};
    if (o->first)
        o->first->previous = g;
    o->first = g;
    engine_random_id(g->sid);
    struct client_settings settings = o->client;
    settings.lane = lane;
    settings.transport = &transport_hooks;
    settings.allowance = engine_allowance(sio_link(s));
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
    if (!client_may_speak(g->client, request))
        return;
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
    struct guest *g = app;
    *g->cursor = '\0'; /* in any case: it may have been lost on the way */
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
    free(g->rooms);
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
    snprintf(text, sizeof text, "restart: reconnect after %u ms", 500 + (unsigned)(random_u64() % 4500));
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

/* --- another catalogue --- */

void sio_adopt(struct sio *o, struct catalogue *catalogue)
{
    o->trailer.lane = NULL;
    for (struct guest *g = o->first; g; g = g->next) {
        const struct lane *lane = catalogue_find_lane(catalogue, DIALECT_SOCKETIO, g->lane->address);
        if (!lane)
            come_back(g, "this namespace is no more");
        client_adopt(g->client, catalogue, lane);
        g->lane = lane ? lane : g->lane;
    }
    catalogue_replace(&o->client.catalogue, catalogue);
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
    buffer_finish(&o->trailer.frame);
    buffer_finish(&o->own_trailer);
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
