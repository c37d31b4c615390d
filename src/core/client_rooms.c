#include "client_internal.h"

#include "causeway/memory.h"
#include "causeway/metrics.h"

#include <stdlib.h>

enum { VALUE_MAX = 128 };

void client_emit_room(struct client *c, const char *type, struct slice room)
{
    struct buffer data = {0};
    buffer_add_text(&data, "{\"roomId\":");
    buffer_add_json_text(&data, room);
    buffer_add_byte(&data, '}');
    client_say(c, type, buffer_slice(&data));
    buffer_finish(&data);
}

static uint32_t follow(const struct json *j, uint32_t node, const struct template_field *field)
{
    for (size_t i = 0; i < field->step_count; i++)
        node = json_find(j, node, field->steps[i].name);
    return node;
}

/* The name that the catalogue makes of the message's data; empty after an error message. */
static struct slice write_room(struct client *c, const struct json *j, uint32_t data, struct buffer *out)
{
    struct slice values[TEMPLATE_PLACEHOLDERS_MAX];
    struct buffer scratch[TEMPLATE_PLACEHOLDERS_MAX] = {0};
    bool fine = true;
    for (size_t i = 0; i < template_placeholders(c->naming) && fine; i++) {
        uint32_t node = follow(j, data, template_field(c->naming, i));
        values[i] = json_is_integer(j, node) ? json_raw(j, node) : json_string(j, node, &scratch[i]);
        fine = values[i].size > 0 && values[i].size <= VALUE_MAX;
    }
    buffer_clear(out);
    if (fine)
        template_write(c->naming, values, out);
    if (!fine || out->size > ROOM_NAME_MAX) {
        buffer_clear(out);
        client_error(
            c, "bad_message", "the room's names must be strings or integers of 1 to 128 bytes", NO_SLICE);
    }
    for (size_t i = 0; i < TEMPLATE_PLACEHOLDERS_MAX; i++)
        buffer_finish(&scratch[i]);
    return buffer_slice(out);
}

/* The room that a command is about; empty after an error message. */
static struct slice room_of(struct client *c, const struct json *j, uint32_t data, struct buffer *scratch)
{
    if (c->naming)
        return write_room(c, j, data, scratch);
    struct slice room = json_string(j, json_find(j, data, SLICE("roomId")), scratch);
    if (room.size > 0 && room.size <= ROOM_NAME_MAX && !slice_equal(room, ROOM_OF_ALL))
        return room;
    client_error(c, "bad_message", "data.roomId must be a string of 1 to 512 bytes", NO_SLICE);
    return NO_SLICE;
}

bool client_ask_to_join(struct client *c, struct slice room, struct side *side, bool resuming)
{
    if (session_rooms(c->session) + c->join_count >= c->settings.rooms_max) {
        limit_hit(LIMIT_ROOMS);
        client_error(c, "too_many_rooms", "leave a room before joining another", room);
        return false;
    }
    if (c->join_count >= (resuming || side ? RESUME_ROOMS_MAX : JOINS_IN_FLIGHT_MAX)) {
        client_error(c, "unavailable", "too many joins at once; wait for the answers", room);
        return false;
    }
    uint64_t wait = allowance_take_join(c->settings.allowance, c->account, client_now(c));
    if (wait > 0) {
        client_error_later(c, "rate_limited", "too many joins; ask for fewer", room, wait);
        return false;
    }
    struct pending_join *p = xcalloc(1, sizeof *p + room.size);
    char *name = (char *)(p + 1);
    memcpy(name, room.data, room.size);
    *p = (struct pending_join){
        c->joins, ++c->next_tag, side, resuming, false, c->answering, {name, room.size}};
    c->answering = 0;
    c->joins = p;
    c->join_count++;
    grants_request(c->grants, room, p->tag);
    return true;
}

void client_command_join(struct client *c, const struct json *j, uint32_t data)
{
    struct buffer scratch = {0}, cursor_scratch = {0};
    struct slice room = room_of(c, j, data, &scratch);
    struct slice cursor = json_string(j, json_find(j, data, SLICE("cursor")), &cursor_scratch);
    if (room.size > 0 && session_stands_in(c->session, room))
        client_emit_room(c, "room-joined", room);
    else if (room.size > 0 && cursor.size > 0)
        client_join_late(c, room, cursor);
    else if (room.size > 0)
        client_ask_to_join(c, room, NULL, false);
    buffer_finish(&scratch);
    buffer_finish(&cursor_scratch);
}

void client_command_leave(struct client *c, const struct json *j, uint32_t data)
{
    struct buffer scratch = {0};
    struct slice room = room_of(c, j, data, &scratch);
    if (room.size > 0) {
        for (struct pending_join *p = c->joins; p; p = p->next)
            p->taken_back |= slice_equal(p->room, room);
        session_leave(c->session, room);
        client_sides_leave(c, room);
        if (grants_is_automatic(c->grants, room))
            client_note_left(c, room, true);
        grants_leave(c->grants, room);
        client_emit_room(c, "room-left", room);
    }
    buffer_finish(&scratch);
}

bool client_requested_rooms(struct client *c, struct buffer *out, size_t max)
{
    struct buffer name = {0};
    size_t start = out->size, count = 0;
    bool fits = true;
    for (size_t i = 0; fits && session_room_name(c->session, i, &name); i++, buffer_clear(&name)) {
        struct slice room = buffer_slice(&name);
        if (grants_is_automatic(c->grants, room))
            continue;
        buffer_add_text(out, count > 0 ? "," : "");
        buffer_add_slice(out, room);
        fits = ++count <= RESUME_ROOMS_MAX && out->size - start <= max && !memchr(room.data, ',', room.size);
    }
    buffer_finish(&name);
    return fits;
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

void client_on_decided(void *owner, struct slice room, enum grants_outcome outcome, uint64_t tag)
{
    struct client *c = owner;
    struct pending_join *p = take_join(c, tag);
    CHECK(p);
    bool allowed = outcome == GRANTS_ALLOWED && !p->taken_back;
    c->early = p->resuming;
    c->answering = p->request;
    metric_add(metric_label(METRIC_JOINS, outcomes[outcome].label), 1);
    if (outcome != GRANTS_ALLOWED)
        client_error(c, outcomes[outcome].code, outcomes[outcome].message, room);
    if (allowed)
        client_note_left(c, room, false);
    else if (outcome == GRANTS_ALLOWED)
        grants_leave(c->grants, room);
    if (outcome == GRANTS_ALLOWED && p->taken_back && p->request)
        client_error(c, "left", "the room was left meanwhile", room);
    if (p->side) {
        c->answering = 0;
        client_side_decided(c, p->side, room, allowed);
    } else if (allowed) {
        session_join(c->session, room);
        client_emit_room(c, "room-joined", room);
    }
    bool resuming = p->resuming;
    c->early = false;
    c->answering = 0;
    free(p);
    if (resuming)
        client_begin_when_settled(c);
}

void client_forget_joins(struct client *c)
{
    while (c->joins) {
        struct pending_join *next = c->joins->next;
        free(c->joins);
        c->joins = next;
    }
}
