/* Sockets as clients of core: who it is, what it asks for, what it is told. */
#include "sio_guest.h"

#include "causeway/hand_over.h"
#include "causeway/memory.h"
#include "causeway/metrics.h"
#include "causeway/random.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    TICK_MS = 1000,
    DRAIN_STEP_MS = 100,
    DRAIN_STEP_MIN = 200, /* connections per step, so that few are not kept waiting */
};

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
    guest_note_rooms(g, type);
    if (strcmp(type, "connected") == 0)
        accept_socket(g);
    else if (strcmp(type, "cursor") != 0) /* has a form of its own here */
        sio_emit(g->socket, type, data);
    guest_emit_cursor(g, cursor);
}

/* {"ok":true, what there is to say} or {"ok":false,"error":{"code":..}}, under the event's own id. */
static void on_answer(void *owner, uint64_t request, const char *type, struct slice data)
{
    struct guest *g = owner;
    guest_note_rooms(g, type);
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

/* --- what sockets bring --- */

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
    settings.transport = &guest_transport_hooks;
    settings.allowance = engine_allowance(sio_link(s));
    g->client = client_create(&settings, &client_hooks, g, g);
    guest_take_resume(g, j, auth);
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

static void on_leaving(void *app)
{
    guest_tell_cursor(app, client_place_cursor);
}

static void on_heartbeat(void *app)
{
    struct guest *g = app;
    *g->cursor = '\0'; /* in any case: it may have been lost on the way */
    guest_tell_cursor(app, client_ping_cursor);
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
    o->hand_over = hand_over_open();
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
    hand_over_close(o->hand_over);
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
