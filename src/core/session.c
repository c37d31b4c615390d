#include "fanout_internal.h"

#include "causeway/memory.h"

#include <stdlib.h>

static struct session *create(
    struct fanout *f, uint16_t lane, const struct transport_hooks *hooks, void *transport)
{
    struct session *s = xcalloc(1, sizeof *s);
    s->fanout = f;
    s->lane = lane;
    s->hooks = hooks;
    s->transport = transport;
    s->position = f->position;
    s->walker = NO_WALKER;
    s->state = SESSION_HELD;
    s->next = f->first;
    if (f->first)
        f->first->previous = s;
    f->first = s;
    f->sessions++;
    return s;
}

struct session *session_create(
    struct fanout *f, uint16_t lane, const struct transport_hooks *hooks, void *transport)
{
    struct session *s = create(f, lane, hooks, transport);
    s->arriving = true;
    session_join(s, ROOM_OF_ALL);
    return s;
}

static struct session *create_side(struct session *main, uint64_t until)
{
    CHECK(main->state == SESSION_HELD && main->log == HOT);
    struct session *s = create(main->fanout, main->lane, main->hooks, main->transport);
    s->side = true;
    s->arriving = true;
    s->until = until;
    s->main = main;
    s->frozen = main->frozen;
    return s;
}

struct session *session_side(struct session *main, uint64_t until)
{
    CHECK(until >= main->position);
    return create_side(main, until);
}

struct session *session_repeat(struct session *main, uint64_t until)
{
    struct session *s = create_side(main, until);
    s->repeat = true;
    return s;
}

static bool is_behind(uint8_t state)
{
    return state != SESSION_HELD && state != SESSION_LIVE;
}

/* Among the walkers of its log, or not. */
static void settle(struct session *s)
{
    bool walks = (is_behind(s->state) || s->stays) && s->position != HOTLOG_NOWHERE;
    if (walks && s->walker == NO_WALKER)
        walkers_add(&s->fanout->views[s->log], s);
    else if (!walks && s->walker != NO_WALKER)
        walkers_remove(&s->fanout->views[s->log], s);
}

void session_change_log(struct session *s, unsigned log, uint64_t position)
{
    CHECK(s->state != SESSION_WAITING);
    if (s->walker != NO_WALKER)
        walkers_remove(&s->fanout->views[s->log], s);
    s->log = (uint8_t)log;
    s->position = position;
    settle(s);
}

void session_move(struct session *s, uint64_t position)
{
    if (s->position == position)
        return;
    s->position = position;
    if (s->walker != NO_WALKER)
        walkers_moved(&s->fanout->views[s->log], s);
}

void session_change_origin(struct session *s, struct origin *origin)
{
    struct fanout *f = s->fanout;
    origin_release(s->origin);
    s->origin = origin;
    for (size_t i = 0; i < ORIGINS_KEPT && origin; i++)
        if (f->origins[i] && origin_equal(f->origins[i], origin)) {
            s->origin = origin_hold(f->origins[i]);
            origin_release(origin);
            return;
        }
    if (!origin)
        return;
    struct origin **oldest = &f->origins[f->next_origin++ % ORIGINS_KEPT];
    origin_release(*oldest);
    *oldest = origin_hold(origin);
}

static void queue_remove(struct queue *q, struct session *s)
{
    *(s->queue_previous ? &s->queue_previous->queue_next : &q->first) = s->queue_next;
    *(s->queue_next ? &s->queue_next->queue_previous : &q->last) = s->queue_previous;
    s->queue_next = s->queue_previous = NULL;
}

static void queue_append(struct queue *q, struct session *s)
{
    s->queue_previous = q->last;
    *(q->last ? &q->last->queue_next : &q->first) = s;
    q->last = s;
}

/* The queue that sessions of this state stand in, or NULL. */
static struct queue *queue_of(struct session *s, uint8_t state)
{
    return state == SESSION_READY     ? s->frozen ? NULL : &s->fanout->ready
           : state == SESSION_WAITING ? &s->fanout->views[s->log].waiting
           : state == SESSION_LIVE    ? s->ahead ? &s->fanout->ahead : NULL
                                      : NULL;
}

void session_change(struct session *s, enum session_state to)
{
    struct fanout *f = s->fanout;
    struct queue *from_queue = queue_of(s, s->state);
    if (from_queue)
        queue_remove(from_queue, s);
    if (s->ahead) { /* it will arrive anew */
        s->ahead = false;
        s->arriving = true;
    }
    struct queue *to_queue = queue_of(s, (uint8_t)to);
    if (to_queue)
        queue_append(to_queue, s);
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): every session has one */
    f->behind += (size_t)is_behind((uint8_t)to) - (size_t)is_behind(s->state);
    f->views[s->log].waiting_count += (size_t)(to == SESSION_WAITING) - (size_t)(s->state == SESSION_WAITING);
    s->state = (uint8_t)to;
    settle(s);
}

void session_start(struct session *s)
{
    CHECK(s->state == SESSION_HELD);
    s->stays = false;
    session_change(s, SESSION_READY);
}

void session_set_position(struct session *s, uint64_t position)
{
    CHECK(s->state == SESSION_HELD && s->log == HOT);
    session_change_origin(s, NULL);
    session_move(s, position);
    settle(s);
}

/* Its events are marked in any case, which takes an origin: one that compares nothing. */
void session_set_side_position(struct session *side, uint64_t position)
{
    CHECK(side->side);
    session_set_position(side, position);
    session_change_origin(side, origin_create(0, false));
}

void session_set_origin(struct session *s, struct origin *origin)
{
    uint64_t position = hotlog_enter(s->fanout->views[HOT].log, origin->skip, origin->count);
    session_set_position(s, position); /* nowhere: found to be gone when it is walked */
    session_change_origin(s, origin_hold(origin));
}

void session_enter(struct session *s, unsigned log, uint64_t position, struct origin *origin)
{
    CHECK(s->state == SESSION_AWAY);
    session_change_origin(s, origin_hold(origin));
    session_change_log(s, log, position);
    session_change(s, SESSION_READY);
}

uint64_t session_done(const struct session *s)
{
    uint64_t position = session_position(s);
    if (!s->origin || position == HOTLOG_NOWHERE)
        return position;
    uint64_t beyond = hotlog_beyond(s->fanout->views[HOT].log, s->origin->skip, s->origin->count);
    return beyond > position ? beyond : position;
}

/* Comes the log's head before the place where the session was elsewhere? What it skips there, a room that it
 * enters late would still need. */
static bool is_ahead(const struct session *s)
{
    return session_position(s) < session_done(s);
}

static bool can_be_held(const struct session *s)
{
    if (is_ahead(s))
        return false;
    bool behind = s->state == SESSION_READY || s->state == SESSION_BLOCKED;
    return s->state == SESSION_LIVE || (behind && s->log == HOT && s->position != HOTLOG_NOWHERE);
}

/* Who is at the head already comes there no more: the log has to come to where it was elsewhere. */
static void await_hold(struct session *s)
{
    if (s->state != SESSION_LIVE) {
        s->arriving = true;
    } else if (!s->ahead) {
        s->ahead = true;
        queue_append(&s->fanout->ahead, s);
    }
}

void session_tell_holdable(struct fanout *f)
{
    struct session *next;
    for (struct session *s = f->ahead.first; s; s = next) {
        next = s->queue_next;
        if (is_ahead(s))
            continue;
        queue_remove(&f->ahead, s);
        s->ahead = false;
        s->hooks->arrived(s->transport, s);
    }
}

bool session_hold(struct session *s)
{
    if (!can_be_held(s)) {
        await_hold(s);
        return false;
    }
    if (s->state == SESSION_LIVE)
        s->position = s->fanout->position;
    s->stays = true;
    session_change(s, SESSION_HELD);
    return true;
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

void session_freeze(struct session *s)
{
    if (s->frozen)
        return;
    if (s->state == SESSION_READY)
        queue_remove(&s->fanout->ready, s);
    s->frozen = true;
    if (s->state != SESSION_LIVE)
        return;
    s->position = s->fanout->position;
    session_change(s, SESSION_READY);
}

void session_thaw(struct session *s)
{
    if (!s->frozen)
        return;
    s->frozen = false;
    if (s->state == SESSION_READY)
        queue_append(&s->fanout->ready, s);
}

bool session_is_side(const struct session *s)
{
    return s->side;
}

bool session_is_repeat(const struct session *s)
{
    return s->repeat;
}

uint64_t session_until(const struct session *s)
{
    return s->side ? s->until : HOTLOG_NOWHERE;
}

uint64_t session_position(const struct session *s)
{
    return s->state == SESSION_LIVE ? s->fanout->position : s->position;
}

bool session_place(const struct session *s, unsigned *log, uint64_t *position)
{
    *log = s->log;
    *position = session_position(s);
    return s->state != SESSION_AWAY && *position != HOTLOG_NOWHERE;
}

bool session_is_live(const struct session *s)
{
    return s->state == SESSION_LIVE;
}

size_t session_cursor(struct session *s, struct slice plain, char out[CURSOR_TEXT_MAX + 1])
{
    struct cursor_rebase *rebase = s->fanout->views[s->log].rebase;
    if (s->origin)
        return rebase ? cursor_rebase(rebase, plain, s->origin, out) : 0;
    memcpy(out, plain.data, plain.size);
    out[plain.size] = '\0';
    return plain.size;
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

bool session_room_name(const struct session *s, size_t index, struct buffer *out)
{
    size_t own = s->side ? 0 : 1; /* behind that of all */
    if (index + own >= s->room_count)
        return false;
    rooms_name(s->fanout->rooms, s->rooms[index + own].room, out);
    return true;
}

/* Takes over the hold of the room. */
static void enter(struct session *s, uint32_t room)
{
    struct fanout *f = s->fanout;
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
    enter(s, room);
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

void session_change_lane(struct session *s, uint16_t lane)
{
    if (s->lane == lane)
        return;
    uint32_t count = s->room_count;
    uint32_t *held = xcalloc(count + 1, sizeof *held);
    struct buffer name = {0};
    for (uint32_t i = 0; i < count; i++, buffer_clear(&name)) {
        rooms_name(s->fanout->rooms, s->rooms[i].room, &name);
        held[i] = rooms_hold(s->fanout->rooms, lane, buffer_slice(&name));
    }
    while (s->room_count > 0)
        leave_at(s, s->room_count - 1);
    s->lane = lane;
    for (uint32_t i = 0; i < count; i++)
        enter(s, held[i]);
    buffer_finish(&name);
    free(held);
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
    s->stays = false;
    session_change(s, SESSION_HELD);
    while (s->room_count > 0)
        leave_at(s, s->room_count - 1);
    *(s->previous ? &s->previous->next : &s->fanout->first) = s->next;
    if (s->next)
        s->next->previous = s->previous;
    s->fanout->sessions--;
    session_change_log(s, HOT, 0);
    origin_release(s->origin);
    free(s->rooms);
    free(s);
}
