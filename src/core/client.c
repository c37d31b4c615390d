#include "client_internal.h"

#include "causeway/memory.h"
#include "causeway/metrics.h"

#include <stdlib.h>

static void on_attached(void *owner, enum grants_outcome outcome, const struct slice *rooms, size_t count);

static const struct grants_hooks grants_hooks = {on_attached, client_on_decided, client_on_doubted,
    client_on_withdrawn, client_on_granted, client_on_ended};

struct client *client_create(
    const struct client_settings *settings, const struct client_hooks *hooks, void *owner, void *transport)
{
    struct client *c = xcalloc(1, sizeof *c);
    c->settings = *settings;
    catalogue_hold(c->settings.catalogue);
    c->hooks = hooks;
    c->owner = owner;
    c->transport = transport;
    c->number = roster_add(settings->roster, c);
    return c;
}

void client_destroy(struct client *c)
{
    if (!c)
        return;
    roster_remove(c->settings.roster, c->number);
    client_forget_joins(c);
    client_forget_notes(c);
    client_forget_sides(c);
    client_forget_acks(c);
    client_forget_rights(c);
    session_destroy(c->session);
    grants_destroy(c->grants);
    allowance_leave(c->settings.allowance, c->account);
    catalogue_release(c->settings.catalogue);
    free(c->user);
    free(c->user_json);
    free(c->resume_cursor);
    free(c->resume_rooms);
    free(c->gaps);
    free(c);
}

void client_set_resume(struct client *c, struct slice cursor, struct slice rooms)
{
    CHECK(!c->resume_cursor && !c->resume_rooms);
    if (cursor.size > 0)
        c->resume_cursor = xstrndup(cursor.data, cursor.size);
    if (rooms.size > 0)
        c->resume_rooms = xstrndup(rooms.data, rooms.size);
}

void client_attach(struct client *c)
{
    CHECK(c->state == CLIENT_WAITING);
    c->state = CLIENT_ATTACHING;
    c->session =
        session_create(c->settings.fanout, c->settings.lane->index, c->settings.transport, c->transport);
    c->begin = c->resume_cursor ? 0 : session_position(c->session);
    c->grants = grants_create(c->settings.catalogue, c->settings.lane, c->settings.lookups, slice_of(c->user),
        c->settings.rooms_max, &grants_hooks, c);
    grants_attach(c->grants);
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
    char cursor[CURSOR_TEXT_MAX + 1];
    size_t size = c->resume_cursor ? 0 : client_cursor(c, session_position(c->session), cursor);
    struct slice shown = c->resume_cursor ? slice_of(c->resume_cursor) : (struct slice){cursor, size};
    c->hooks->emit(c->owner, "connected", buffer_slice(&data), shown);
    buffer_finish(&data);
}

static void on_attached(void *owner, enum grants_outcome outcome, const struct slice *rooms, size_t count)
{
    struct client *c = owner;
    if (outcome != GRANTS_ALLOWED) {
        c->state = CLIENT_REFUSED;
        if (outcome == GRANTS_NO_USER)
            allowance_login_failed(c->settings.allowance, client_now(c));
        if (outcome == GRANTS_TOO_MANY)
            limit_hit(LIMIT_ROOMS);
        c->hooks->attached(c->owner, outcome);
        return;
    }
    for (size_t i = 0; i < count; i++)
        session_join(c->session, rooms[i]);
    client_begin_resume(c);
}

/* Oldest first, though each was put before the others. */
static void say_notes(struct client *c)
{
    struct note *oldest = NULL;
    while (c->notes) {
        struct note *n = c->notes;
        c->notes = n->next;
        n->next = oldest;
        oldest = n;
    }
    c->notes = oldest;
    for (const struct note *n = oldest; n; n = n->next)
        c->hooks->emit(c->owner, n->type, buffer_slice(&n->data), NO_SLICE);
}

void client_forget_notes(struct client *c)
{
    while (c->notes) {
        struct note *next = c->notes->next;
        buffer_finish(&c->notes->data);
        free(c->notes);
        c->notes = next;
    }
}

void client_say(struct client *c, const char *type, struct slice data_json)
{
    uint64_t request = c->answering;
    c->answering = 0;
    if (request) {
        c->hooks->answer(c->owner, request, type, data_json);
        return;
    }
    if (!c->early) {
        c->hooks->emit(c->owner, type, data_json, NO_SLICE);
        return;
    }
    struct note *n = xcalloc(1, sizeof *n);
    *n = (struct note){.next = c->notes, .type = type};
    buffer_add_slice(&n->data, data_json);
    c->notes = n;
}

void client_begin_when_settled(struct client *c)
{
    if (c->state != CLIENT_ATTACHING || c->locate_tag != 0)
        return;
    for (const struct pending_join *p = c->joins; p; p = p->next)
        if (p->resuming)
            return;
    c->state = CLIENT_ATTACHED;
    c->hooks->attached(c->owner, GRANTS_ALLOWED);
    emit_connected(c);
    for (size_t i = 0; i < c->gap_count; i++)
        client_gap(c, &c->gaps[i]);
    c->gap_count = 0;
    say_notes(c);
    client_forget_notes(c);
    if (!client_repeat_grants(c))
        session_start(c->session);
}

/* --- another catalogue --- */

/* Where it begins is not known yet, and nothing was said: it may as well begin now. */
static bool is_nowhere_yet(const struct client *c)
{
    bool located = c->resuming && c->locate_tag == 0 && c->resume_cursor;
    return c->state == CLIENT_ATTACHING && !located;
}

void client_adopt(struct client *c, struct catalogue *catalogue, const struct lane *lane)
{
    if (!lane) {
        c->state = CLIENT_REFUSED;
        if (c->grants)
            grants_give_up(c->grants, GRANTS_UNAVAILABLE);
        return;
    }
    catalogue_replace(&c->settings.catalogue, catalogue);
    c->settings.lane = lane;
    if (!c->session)
        return;
    if (is_nowhere_yet(c))
        session_set_position(c->session, hotlog_head(c->settings.hotlog));
    session_change_lane(c->session, lane->index);
    if (c->sides && c->sides->session)
        session_change_lane(c->sides->session, lane->index);
    grants_adopt(c->grants, catalogue, lane);
}

/* --- answers --- */

void client_error(struct client *c, const char *code, const char *message, struct slice room)
{
    client_error_later(c, code, message, room, 0);
}

void client_error_later(
    struct client *c, const char *code, const char *message, struct slice room, uint64_t retry_ms)
{
    metric_add(metric_label(METRIC_ERRORS, code), 1);
    struct buffer data = {0};
    buffer_print(&data, "{\"code\":\"%s\",\"message\":\"%s\"", code, message);
    if (room.size > 0) {
        buffer_add_text(&data, ",\"roomId\":");
        buffer_add_json_text(&data, room);
    }
    if (retry_ms > 0)
        buffer_print(&data, ",\"retryAfterMs\":%llu", (unsigned long long)retry_ms);
    buffer_add_byte(&data, '}');
    client_say(c, "error", buffer_slice(&data));
    buffer_finish(&data);
}

/* --- limits --- */

uint64_t client_now(const struct client *c)
{
    return c->settings.services->now(c->settings.services_owner);
}

/* After how many ms it may say more; 0: it may. */
static uint64_t count_message(struct client *c)
{
    struct allowance *a = c->settings.allowance;
    if (!a)
        return 0;
    uint64_t wait = allowance_take_message(a, c->account, client_now(c));
    if (wait > 0 && allowance_is_flooding(a))
        c->hooks->limited(c->owner, LIMIT_MESSAGES, wait);
    return wait;
}

bool client_heard(struct client *c)
{
    return count_message(c) == 0;
}

bool client_may_speak(struct client *c, uint64_t request)
{
    uint64_t wait = count_message(c);
    if (wait == 0)
        return true;
    c->answering = request;
    client_error_later(c, "rate_limited", "too many messages; send fewer", NO_SLICE, wait);
    c->answering = 0;
    return false;
}

/* --- commands --- */

static void command_ping(struct client *c, const struct json *j, uint32_t data)
{
    (void)j;
    (void)data;
    client_say(c, "pong", NO_SLICE);
}

static const struct {
    const char *name;
    bool attached; /* needs an attached client */
    void (*run)(struct client *c, const struct json *j, uint32_t data);
} commands[] = {
    {"ping", false, command_ping},
    {"auth", false, client_command_auth},
    {"refresh", true, client_command_refresh},
    {"join-room", true, client_command_join},
    {"leave-room", true, client_command_leave},
    {"resume", true, client_command_resume},
    {"ack", true, client_command_ack},
};

static bool run_command(struct client *c, struct slice name, const struct json *j, uint32_t data)
{
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (!slice_is(name, commands[i].name))
            continue;
        metric_add(metric_label(METRIC_MESSAGES, commands[i].name), 1);
        if (commands[i].attached && c->state != CLIENT_ATTACHED)
            client_error(c, "unauthorized", "authenticate first", NO_SLICE);
        else
            commands[i].run(c, j, data);
        return true;
    }
    return false;
}

bool client_command(
    struct client *c, struct slice type, const struct json *j, uint32_t data, uint64_t request)
{
    const struct command *named =
        catalogue_find_command(c->settings.catalogue, c->settings.lane->index, type);
    c->naming = named ? named->room : NULL;
    c->answering = request;
    bool known = run_command(c, named ? named->name : type, j, data);
    c->answering = 0;
    if (!known)
        metric_add(metric_label(METRIC_MESSAGES, "unknown"), 1);
    return known;
}

void client_writable(struct client *c)
{
    if (c->session)
        session_writable(c->session);
    if (c->sides && c->sides->session)
        session_writable(c->sides->session);
}

/* The session of the client itself is 0; that of a side walk has the number of its cursor's question. */
void client_away(struct client *c, struct session *s, struct origin *origin)
{
    uint64_t tag = s == c->session ? 0 : c->sides->tag;
    c->settings.services->away(c->settings.services_owner, c->number, tag, origin, session_until(s));
}

bool client_enter(struct client *c, uint64_t session, unsigned log, uint64_t position, struct origin *origin,
    const struct gap *gaps, size_t gap_count)
{
    bool beside = c->sides && c->sides->tag == session;
    struct session *s = session == 0 ? c->session : beside ? c->sides->session : NULL;
    if (!s)
        return false;
    for (size_t i = 0; i < gap_count; i++)
        client_gap(c, &gaps[i]);
    session_enter(s, log, position, origin);
    return true;
}

size_t client_cursor(struct client *c, uint64_t position, char out[CURSOR_TEXT_MAX + 1])
{
    return c->settings.services->cursor(c->settings.services_owner, 0, 0, position, out);
}

static size_t write_cursor(
    struct client *c, unsigned log, uint64_t least, uint64_t position, char out[CURSOR_TEXT_MAX + 1])
{
    char plain[CURSOR_TEXT_MAX + 1];
    size_t size = c->settings.services->cursor(c->settings.services_owner, log, least, position, plain);
    return size > 0 ? session_cursor(c->session, (struct slice){plain, size}, out) : 0;
}

size_t client_place_cursor(struct client *c, char out[CURSOR_TEXT_MAX + 1])
{
    unsigned log;
    uint64_t position;
    bool there = c->state == CLIENT_ATTACHED && session_place(c->session, &log, &position);
    return there ? write_cursor(c, log, 0, position, out) : 0;
}

/* An earlier one would lead the client back before what it was given. */
size_t client_ping_cursor(struct client *c, char out[CURSOR_TEXT_MAX + 1])
{
    bool live = c->state == CLIENT_ATTACHED && session_is_live(c->session);
    return live ? write_cursor(c, 0, session_position(c->session), session_position(c->session), out) : 0;
}

bool client_goes_on(const struct client *c)
{
    return c->resume_cursor && c->gap_count == 0;
}

const char *client_user(const struct client *c)
{
    return c->user;
}

bool client_is_attached(const struct client *c)
{
    return c->state == CLIENT_ATTACHED;
}

bool client_is_waiting(const struct client *c)
{
    return c->state == CLIENT_WAITING && c->judge_tag == 0;
}

bool client_is_judged(const struct client *c)
{
    return c->state != CLIENT_WAITING;
}
