#include "causeway/client.h"

#include "causeway/memory.h"
#include "causeway/metrics.h"

#include <stdlib.h>

enum { JOINS_IN_FLIGHT_MAX = 32 };

enum client_state { CLIENT_WAITING, CLIENT_ATTACHING, CLIENT_ATTACHED, CLIENT_REFUSED };

/* A join that waits for its lookup. A leave that comes in between takes it back. */
struct pending_join {
    struct pending_join *next;
    uint64_t tag;
    bool taken_back;
    size_t size;
    char room[];
};

struct client {
    struct client_settings settings;
    const struct client_hooks *hooks;
    void *owner, *transport;
    struct session *session;
    struct grants *grants;
    char *user_json;
    struct pending_join *joins;
    size_t join_count;
    uint64_t next_tag;
    enum client_state state;
};

static void on_lookup(
    void *owner, const struct lookup *lookup, const struct slice *params, size_t count, uint64_t tag)
{
    struct client *c = owner;
    c->hooks->lookup(c->owner, lookup, params, count, tag);
}

static void on_attached(void *owner, enum grants_outcome outcome, const struct slice *rooms, size_t count);
static void on_decided(void *owner, struct slice room, enum grants_outcome outcome, uint64_t tag);

static const struct grants_hooks grants_hooks = {on_lookup, on_attached, on_decided};

struct client *client_create(
    const struct client_settings *settings, const struct client_hooks *hooks, void *owner, void *transport)
{
    struct client *c = xcalloc(1, sizeof *c);
    c->settings = *settings;
    catalogue_hold(c->settings.catalogue);
    c->hooks = hooks;
    c->owner = owner;
    c->transport = transport;
    return c;
}

void client_destroy(struct client *c)
{
    if (!c)
        return;
    while (c->joins) {
        struct pending_join *next = c->joins->next;
        free(c->joins);
        c->joins = next;
    }
    session_destroy(c->session);
    grants_destroy(c->grants);
    catalogue_release(c->settings.catalogue);
    free(c->user_json);
    free(c);
}

void client_attach(struct client *c, const char *user, const char *user_json)
{
    CHECK(c->state == CLIENT_WAITING);
    c->state = CLIENT_ATTACHING;
    c->user_json = xstrdup(user_json);
    c->session = session_create(c->settings.fanout, c->settings.lane->index, c->transport);
    c->grants = grants_create(
        c->settings.catalogue, c->settings.lane, slice_of(user), c->settings.rooms_max, &grants_hooks, c);
    grants_attach(c->grants);
}

void client_answer(struct client *c, uint64_t tag, enum lookup_status status, struct rows *rows)
{
    if (c->grants)
        grants_answer(c->grants, tag, status, rows);
}

static void emit_connected(struct client *c)
{
    struct buffer data = {0};
    buffer_print(&data, "{\"userId\":%s", c->user_json);
    struct slice role = grants_user_column(c->grants, SLICE("role"));
    if (role.data) {
        buffer_add_text(&data, ",\"role\":");
        buffer_add_json_text(&data, role);
    }
    buffer_add_byte(&data, '}');
    c->hooks->emit(c->owner, "connected", buffer_slice(&data));
    buffer_finish(&data);
}

static void on_attached(void *owner, enum grants_outcome outcome, const struct slice *rooms, size_t count)
{
    struct client *c = owner;
    c->state = outcome == GRANTS_ALLOWED ? CLIENT_ATTACHED : CLIENT_REFUSED;
    for (size_t i = 0; i < count; i++)
        session_join(c->session, rooms[i]);
    c->hooks->attached(c->owner, outcome);
    if (outcome != GRANTS_ALLOWED)
        return;
    emit_connected(c);
    session_start(c->session);
}

/* --- answers --- */

void client_error(struct client *c, const char *code, const char *message, struct slice room)
{
    metric_add(metric_label(METRIC_ERRORS, code), 1);
    struct buffer data = {0};
    buffer_print(&data, "{\"code\":\"%s\",\"message\":\"%s\"", code, message);
    if (room.size > 0) {
        buffer_add_text(&data, ",\"roomId\":");
        buffer_add_json_text(&data, room);
    }
    buffer_add_byte(&data, '}');
    c->hooks->emit(c->owner, "error", buffer_slice(&data));
    buffer_finish(&data);
}

static void emit_room(struct client *c, const char *type, struct slice room)
{
    struct buffer data = {0};
    buffer_add_text(&data, "{\"roomId\":");
    buffer_add_json_text(&data, room);
    buffer_add_byte(&data, '}');
    c->hooks->emit(c->owner, type, buffer_slice(&data));
    buffer_finish(&data);
}

/* --- commands --- */

static void command_ping(struct client *c, const struct json *j, uint32_t data)
{
    (void)j;
    (void)data;
    c->hooks->emit(c->owner, "pong", (struct slice){NULL, 0});
}

static void command_auth(struct client *c, const struct json *j, uint32_t data)
{
    struct buffer scratch = {0};
    struct slice token = json_string(j, json_find(j, data, SLICE("token")), &scratch);
    if (c->state != CLIENT_WAITING)
        client_error(c, "bad_message", "already authenticated", (struct slice){NULL, 0});
    else if (!token.data)
        client_error(c, "bad_message", "auth needs data.token, a string", (struct slice){NULL, 0});
    else
        c->hooks->authenticate(c->owner, token);
    buffer_finish(&scratch);
}

/* The room that a command names; empty after an error message. */
static struct slice room_of(struct client *c, const struct json *j, uint32_t data, struct buffer *scratch)
{
    struct slice room = json_string(j, json_find(j, data, SLICE("roomId")), scratch);
    if (room.size > 0 && room.size <= ROOM_NAME_MAX)
        return room;
    client_error(c, "bad_message", "data.roomId must be a string of 1 to 512 bytes", (struct slice){NULL, 0});
    return (struct slice){NULL, 0};
}

static void ask_to_join(struct client *c, struct slice room)
{
    struct pending_join *p = xcalloc(1, sizeof *p + room.size);
    p->tag = ++c->next_tag;
    p->size = room.size;
    memcpy(p->room, room.data, room.size);
    p->next = c->joins;
    c->joins = p;
    c->join_count++;
    grants_request(c->grants, room, p->tag);
}

static void command_join(struct client *c, const struct json *j, uint32_t data)
{
    struct buffer scratch = {0};
    struct slice room = room_of(c, j, data, &scratch);
    if (room.size == 0)
        goto done;
    if (session_stands_in(c->session, room))
        emit_room(c, "room-joined", room);
    else if (session_rooms(c->session) + c->join_count >= c->settings.rooms_max)
        client_error(c, "too_many_rooms", "leave a room before joining another", room);
    else if (c->join_count >= JOINS_IN_FLIGHT_MAX)
        client_error(c, "unavailable", "too many joins at once; wait for the answers", room);
    else
        ask_to_join(c, room);
done:
    buffer_finish(&scratch);
}

static void command_leave(struct client *c, const struct json *j, uint32_t data)
{
    struct buffer scratch = {0};
    struct slice room = room_of(c, j, data, &scratch);
    if (room.size > 0) {
        for (struct pending_join *p = c->joins; p; p = p->next)
            p->taken_back |= slice_equal((struct slice){p->room, p->size}, room);
        session_leave(c->session, room);
        emit_room(c, "room-left", room);
    }
    buffer_finish(&scratch);
}

static const struct {
    const char *name;
    bool attached; /* needs an attached client */
    void (*run)(struct client *c, const struct json *j, uint32_t data);
} commands[] = {
    {"ping", false, command_ping},
    {"auth", false, command_auth},
    {"join-room", true, command_join},
    {"leave-room", true, command_leave},
};

void client_command(struct client *c, struct slice type, const struct json *j, uint32_t data)
{
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (!slice_is(type, commands[i].name))
            continue;
        metric_add(metric_label(METRIC_MESSAGES, commands[i].name), 1);
        if (commands[i].attached && c->state != CLIENT_ATTACHED)
            client_error(c, "unauthorized", "authenticate first", (struct slice){NULL, 0});
        else
            commands[i].run(c, j, data);
        return;
    }
    metric_add(metric_label(METRIC_MESSAGES, "unknown"), 1);
    client_error(c, "unknown_type", "this message type is not known", (struct slice){NULL, 0});
}

static const struct {
    const char *label, *code, *message;
} outcomes[] = {
    [GRANTS_ALLOWED] = {"allowed", "", ""},
    [GRANTS_NO_USER] = {"no_user", "forbidden", "you may not join this room"},
    [GRANTS_FORBIDDEN] = {"forbidden", "forbidden", "you may not join this room"},
    [GRANTS_TOO_MANY] = {"too_many", "too_many_rooms", "leave a room before joining another"},
    [GRANTS_UNAVAILABLE] = {"unavailable", "unavailable", "rights cannot be looked up now; try again"},
};

static struct pending_join *take_join(struct client *c, uint64_t tag)
{
    for (struct pending_join **at = &c->joins; *at; at = &(*at)->next) {
        struct pending_join *p = *at;
        if (p->tag == tag) {
            *at = p->next;
            c->join_count--;
            return p;
        }
    }
    return NULL;
}

static void on_decided(void *owner, struct slice room, enum grants_outcome outcome, uint64_t tag)
{
    struct client *c = owner;
    struct pending_join *p = take_join(c, tag);
    CHECK(p);
    bool taken_back = p->taken_back;
    free(p);
    metric_add(metric_label(METRIC_JOINS, outcomes[outcome].label), 1);
    if (outcome != GRANTS_ALLOWED) {
        client_error(c, outcomes[outcome].code, outcomes[outcome].message, room);
    } else if (!taken_back) {
        session_join(c->session, room);
        emit_room(c, "room-joined", room);
    }
}

void client_writable(struct client *c)
{
    if (c->session)
        session_writable(c->session);
}

bool client_is_attached(const struct client *c)
{
    return c->state == CLIENT_ATTACHED;
}

bool client_is_waiting(const struct client *c)
{
    return c->state == CLIENT_WAITING;
}

void client_gap_json(
    struct buffer *out, struct slice topic, int32_t partition, int64_t from, int64_t to, const char *reason)
{
    buffer_add_text(out, "{\"topic\":");
    buffer_add_json_text(out, topic);
    buffer_print(out, ",\"partition\":%d,\"from\":\"%lld\",\"to\":\"%lld\",\"reason\":\"%s\"}", partition,
        (long long)from, (long long)to, reason);
}
