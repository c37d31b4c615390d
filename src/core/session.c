#include "fanout_internal.h"

#include "causeway/memory.h"

#include <stdlib.h>

static struct session *create(struct fanout *f, uint16_t lane, void *transport)
{
    struct session *s = xcalloc(1, sizeof *s);
    s->fanout = f;
    s->lane = lane;
    s->transport = transport;
    s->position = f->position;
    s->state = SESSION_HELD;
    s->next = f->first;
    if (f->first)
        f->first->previous = s;
    f->first = s;
    f->sessions++;
    f->views[HOT].sessions++;
    return s;
}

struct session *session_create(struct fanout *f, uint16_t lane, void *transport)
{
    struct session *s = create(f, lane, transport);
    s->arriving = true;
    session_join(s, ROOM_OF_ALL);
    return s;
}

struct session *session_side(struct session *main)
{
    CHECK(main->state == SESSION_HELD && main->log == HOT);
    struct session *s = create(main->fanout, main->lane, main->transport);
    s->side = true;
    s->arriving = true;
    s->until = main->position;
    s->main = main;
    return s;
}

void session_change_log(struct session *s, unsigned log, uint64_t position)
{
    s->fanout->views[s->log].sessions--;
    s->fanout->views[log].sessions++;
    s->log = (uint8_t)log;
    s->position = position;
}

static void queue_remove(struct session *s)
{
    struct fanout *f = s->fanout;
    *(s->ready_previous ? &s->ready_previous->ready_next : &f->ready_first) = s->ready_next;
    *(s->ready_next ? &s->ready_next->ready_previous : &f->ready_last) = s->ready_previous;
    s->ready_next = s->ready_previous = NULL;
}

static void queue_append(struct session *s)
{
    struct fanout *f = s->fanout;
    s->ready_previous = f->ready_last;
    *(f->ready_last ? &f->ready_last->ready_next : &f->ready_first) = s;
    f->ready_last = s;
}

static bool is_behind(uint8_t state)
{
    return state != SESSION_HELD && state != SESSION_LIVE;
}

void session_change(struct session *s, enum session_state to)
{
    struct fanout *f = s->fanout;
    if (s->state == SESSION_READY)
        queue_remove(s);
    if (to == SESSION_READY)
        queue_append(s);
    f->behind += (size_t)is_behind((uint8_t)to) - (size_t)is_behind(s->state);
    f->waiting += (size_t)(to == SESSION_WAITING) - (size_t)(s->state == SESSION_WAITING);
    s->state = (uint8_t)to;
}

void session_start(struct session *s)
{
    CHECK(s->state == SESSION_HELD);
    session_change(s, SESSION_READY);
}

void session_set_position(struct session *s, unsigned log, uint64_t position)
{
    CHECK(s->state == SESSION_HELD);
    session_change_log(s, log, position);
}

/* Its events are marked in any case, which takes an origin: one that compares nothing. */
void session_set_side_position(struct session *side, unsigned log, uint64_t position)
{
    CHECK(side->side && side->state == SESSION_HELD);
    side->origin = origin_create(0, false);
    session_change_log(side, log, position);
}

void session_set_origin(struct session *s, struct origin *origin)
{
    CHECK(s->state == SESSION_HELD);
    origin_release(s->origin);
    s->origin = origin_hold(origin);
    uint64_t position = hotlog_enter(s->fanout->views[HOT].log, origin->skip, origin->count);
    session_change_log(s, HOT, position); /* nowhere: found to be gone when it is walked */
}

void session_enter(struct session *s, unsigned log, uint64_t position, struct origin *origin)
{
    CHECK(s->state == SESSION_AWAY);
    origin_hold(origin);
    origin_release(s->origin);
    s->origin = origin;
    session_change_log(s, log, position);
    session_change(s, SESSION_READY);
}

bool session_can_be_held(const struct session *s)
{
    bool behind = s->state == SESSION_READY || s->state == SESSION_BLOCKED;
    return s->state == SESSION_LIVE || (behind && s->log == HOT && s->position != HOTLOG_NOWHERE);
}

void session_hold(struct session *s)
{
    CHECK(session_can_be_held(s));
    if (s->state == SESSION_LIVE)
        s->position = s->fanout->position;
    session_change(s, SESSION_HELD);
}

void session_release(struct session *s)
{
    session_start(s);
}

void session_writable(struct session *s)
{
    if (s->state == SESSION_BLOCKED)
        session_change(s, SESSION_READY);
}

bool session_is_side(const struct session *s)
{
    return s->side;
}

uint64_t session_until(const struct session *s)
{
    return s->side ? s->until : HOTLOG_NOWHERE;
}

uint64_t session_position(const struct session *s)
{
    return s->state == SESSION_LIVE ? s->fanout->position : s->position;
}

bool session_is_live(const struct session *s)
{
    return s->state == SESSION_LIVE && !s->origin;
}

/* --- rooms --- */

static struct local_room *get_local(struct fanout *f, uint32_t room)
{
    if (room >= f->local_capacity) {
        uint32_t capacity = f->local_capacity ? f->local_capacity : 64;
        while (capacity <= room)
            capacity *= 2;
        f->local = xrealloc(f->local, capacity * sizeof *f->local);
        memset(f->local + f->local_capacity, 0, (capacity - f->local_capacity) * sizeof *f->local);
        f->local_capacity = capacity;
    }
    return &f->local[room];
}

static uint32_t find_membership(const struct session *s, uint32_t room)
{
    for (uint32_t i = 0; i < s->room_count; i++)
        if (s->rooms[i].room == room)
            return i;
    return ROOM_NONE;
}

bool session_stands_in(const struct session *s, struct slice name)
{
    uint32_t room = rooms_find(s->fanout->rooms, s->lane, name);
    return room != ROOM_NONE && find_membership(s, room) != ROOM_NONE;
}

size_t session_rooms(const struct session *s)
{
    return s->side ? s->room_count : s->room_count - 1; /* that of all does not count */
}

bool session_join(struct session *s, struct slice name)
{
    struct fanout *f = s->fanout;
    if (name.size == 0 || name.size > ROOM_NAME_MAX)
        return false;
    uint32_t room = rooms_hold(f->rooms, s->lane, name);
    if (find_membership(s, room) != ROOM_NONE) {
        rooms_release(f->rooms, room);
        return false;
    }
    if (s->room_count == s->room_capacity) {
        s->room_capacity = s->room_capacity ? s->room_capacity * 2 : 2;
        s->rooms = xrealloc(s->rooms, s->room_capacity * sizeof *s->rooms);
    }
    struct local_room *local = get_local(f, room);
    if (local->count == local->capacity) {
        local->capacity = local->capacity ? local->capacity * 2 : 1;
        local->sessions = xrealloc(local->sessions, local->capacity * sizeof(struct session *));
    }
    s->rooms[s->room_count++] = (struct membership){room, local->count};
    local->sessions[local->count++] = s;
    return true;
}

void session_join_all_of(struct session *s, const struct session *other)
{
    struct buffer name = {0};
    for (uint32_t i = 0; i < other->room_count; i++) {
        buffer_clear(&name);
        rooms_name(s->fanout->rooms, other->rooms[i].room, &name);
        session_join(s, buffer_slice(&name));
    }
    buffer_finish(&name);
}

static void leave_at(struct session *s, uint32_t index)
{
    struct fanout *f = s->fanout;
    struct membership gone = s->rooms[index];
    s->rooms[index] = s->rooms[--s->room_count];
    struct local_room *local = &f->local[gone.room];
    struct session *moved = local->sessions[--local->count];
    if (moved != s) {
        local->sessions[gone.place] = moved;
        moved->rooms[find_membership(moved, gone.room)].place = gone.place;
    }
    if (local->count == 0) {
        free(local->sessions);
        *local = (struct local_room){0};
    }
    rooms_release(f->rooms, gone.room);
}

bool session_leave(struct session *s, struct slice name)
{
    uint32_t room = rooms_find(s->fanout->rooms, s->lane, name);
    uint32_t index = room == ROOM_NONE ? ROOM_NONE : find_membership(s, room);
    if (index == ROOM_NONE)
        return false;
    leave_at(s, index);
    return true;
}

void session_destroy(struct session *s)
{
    if (!s)
        return;
    session_change(s, SESSION_HELD);
    while (s->room_count > 0)
        leave_at(s, s->room_count - 1);
    *(s->previous ? &s->previous->next : &s->fanout->first) = s->next;
    if (s->next)
        s->next->previous = s->previous;
    s->fanout->sessions--;
    s->fanout->views[s->log].sessions--;
    origin_release(s->origin);
    free(s->rooms);
    free(s);
}
