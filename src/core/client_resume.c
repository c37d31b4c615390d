/* Resuming: at the upgrade the client's own session begins where the cursor stands; later, a side walk brings
   what was missed, marked as backfill, while the session is held. */
#include "client_internal.h"

#include "causeway/memory.h"
#include "causeway/metrics.h"

#include <stdlib.h>

static void count_resume(const char *result)
{
    metric_add(metric_label(METRIC_RESUMES, result), 1);
}

static void locate(struct client *c, const struct cursor *cursor, uint64_t tag)
{
    c->settings.services->locate(c->settings.services_owner, cursor, c->number, tag);
}

/* --- gaps --- */

void client_gap(struct client *c, const struct gap *gap)
{
    struct buffer data = {0};
    gap_write_json(gap, &data);
    metric_add(metric_label(METRIC_GAPS, gap_reason_text(gap->reason)), 1);
    c->hooks->emit(c->owner, "gap", buffer_slice(&data), NO_SLICE);
    buffer_finish(&data);
}

static void tell_gaps(struct client *c, const struct gap *gaps, size_t count)
{
    for (size_t i = 0; i < count; i++)
        client_gap(c, &gaps[i]);
}

/* The place in Kafka that all before a position of the hot log lies before, by partition number. Free it. */
static int64_t *place_of(struct client *c, uint64_t position, uint32_t *count)
{
    *count = hotlog_place_count(c->settings.hotlog);
    int64_t *next = xcalloc(*count + 1, sizeof *next);
    hotlog_place_after(c->settings.hotlog, position, next, *count);
    return next;
}

/* Nobody knows where the cursor stood: all there was may be missing. */
static void make_lost_plan(struct client *c, struct resume_plan *plan)
{
    uint32_t count;
    int64_t *next = place_of(c, session_position(c->session), &count);
    resume_plan_lost(plan, c->settings.partitions, next, count);
    free(next);
}

/* --- at the upgrade --- */

static void remember_gaps(struct client *c, const struct resume_plan *plan)
{
    c->gaps = xcalloc(plan->gap_count + 1, sizeof *c->gaps);
    c->gap_count = plan->gap_count;
    if (plan->gap_count > 0)
        memcpy(c->gaps, plan->gaps, plan->gap_count * sizeof *c->gaps);
}

static void lose_cursor(struct client *c)
{
    struct resume_plan plan;
    c->begin = session_position(c->session);
    make_lost_plan(c, &plan);
    remember_gaps(c, &plan);
    resume_plan_finish(&plan);
    free(c->resume_cursor); /* `connected` must not repeat it */
    c->resume_cursor = NULL;
}

/* One room of a list that the client has sent, for `side` or for attaching. Each may cost an error message,
   so of a list that is longer than what one may stand in the rest is refused by a single one. false: no more.
 */
static bool ask_for_named(struct client *c, struct slice room, struct side *side, size_t *named)
{
    if (room.size == 0 || room.size > ROOM_NAME_MAX || session_stands_in(c->session, room))
        return true;
    if (++*named > c->settings.rooms_max) {
        limit_hit(LIMIT_ROOMS);
        client_error(c, "too_many_rooms", "more rooms are named than one may stand in", NO_SLICE);
        return false;
    }
    if (side)
        side->deciding++;
    if (!client_ask_to_join(c, room, side, !side) && side)
        side->deciding--;
    return true;
}

static void ask_for_rooms(struct client *c)
{
    size_t named = 0;
    bool more = true;
    for (const char *at = c->resume_rooms; more && at && *at;) {
        size_t size = strcspn(at, ",");
        c->early = true;
        more = ask_for_named(c, (struct slice){at, size}, NULL, &named);
        c->early = false;
        at += size + (at[size] == ',');
    }
    free(c->resume_rooms);
    c->resume_rooms = NULL;
}

void client_begin_resume(struct client *c)
{
    struct cursor cursor;
    uint64_t tag = c->locate_tag = ++c->next_tag;
    c->resuming = c->resume_cursor != NULL;
    ask_for_rooms(c);
    if (c->resuming && cursor_decode(slice_of(c->resume_cursor), &cursor) == CURSOR_OK) {
        locate(c, &cursor, tag);
        return;
    }
    if (c->resuming) {
        count_resume("lost");
        lose_cursor(c);
    }
    c->locate_tag = 0;
    client_begin_when_settled(c);
}

static void place_session(struct client *c, const struct client_location *l)
{
    c->locate_tag = 0;
    if (l->status == LOCATED_UNAVAILABLE) {
        c->state = CLIENT_REFUSED;
        c->hooks->attached(c->owner, GRANTS_UNAVAILABLE);
        return;
    }
    if (l->status == LOCATED_POSITION) {
        session_set_position(c->session, l->position);
    } else if (l->status == LOCATED_PLAN) {
        session_set_origin(c->session, l->plan->origin);
        remember_gaps(c, l->plan);
    } else {
        lose_cursor(c);
    }
    client_begin_when_settled(c);
}

/* --- side walks --- */

static void free_side(struct side *side)
{
    session_destroy(side->session);
    origin_release(side->origin);
    for (size_t i = 0; i < side->room_count; i++)
        free(side->rooms[i]);
    free(side->rooms);
    free(side);
}

void client_forget_sides(struct client *c)
{
    while (c->sides) {
        struct side *next = c->sides->next;
        free_side(c->sides);
        c->sides = next;
    }
}

static struct side *append_side(struct client *c)
{
    struct side *side = xcalloc(1, sizeof *side);
    struct side **last = &c->sides;
    while (*last)
        last = &(*last)->next;
    *last = side;
    return side;
}

/* On an open connection the client can choose another way. */
bool client_read_cursor(struct client *c, struct slice text, struct slice room, struct cursor *out)
{
    enum cursor_fault fault = cursor_decode(text, out);
    if (fault != CURSOR_OK)
        client_error(c, "bad_cursor",
            fault == CURSOR_NEWER ? "this cursor is of a later version" : "this is no cursor", room);
    return fault == CURSOR_OK;
}

/* NULL: the cursor is none. */
static struct side *make_side(struct client *c, struct slice text, struct slice room)
{
    struct cursor cursor;
    if (!client_read_cursor(c, text, room, &cursor))
        return NULL;
    struct side *side = append_side(c);
    side->cursor = cursor;
    side->request = c->answering;
    c->answering = 0;
    return side;
}

/* Of just the place where the session is held, or none: an earlier one would lead back. */
static size_t cursor_of_place(struct client *c, char out[CURSOR_TEXT_MAX + 1])
{
    uint64_t position = session_position(c->session);
    return c->settings.services->cursor(c->settings.services_owner, 0, position, position, out);
}

/* The session is held. */
static void begin_side(struct client *c, struct side *side, uint64_t until)
{
    side->session = side->repeat ? session_repeat(c->session, side->until) : session_side(c->session, until);
    for (size_t i = 0; i < side->room_count; i++)
        session_join(side->session, slice_of(side->rooms[i]));
    if (side->everything)
        session_join_all_of(side->session, c->session);
    side->tag = ++c->next_tag;
    side->place_size = cursor_of_place(c, side->place);
    if (side->origin) {
        session_set_origin(side->session, side->origin);
        session_start(side->session);
    } else if (side->placed) {
        session_set_side_position(side->session, side->position);
        session_start(side->session);
    } else {
        locate(c, &side->cursor, side->tag);
    }
}

void client_side_begin(struct client *c)
{
    struct side *side = c->sides;
    if (!side || side->deciding > 0 || side->session || !session_hold(c->session))
        return; /* or not yet: tried again when the session has arrived */
    begin_side(c, side, session_position(c->session));
}

void client_side_repeat(struct client *c, uint64_t from, struct origin *place, uint64_t until)
{
    struct side *side = append_side(c);
    side->everything = side->placed = side->repeat = true;
    side->position = from;
    side->origin = place ? origin_hold(place) : NULL;
    side->until = until;
    client_side_begin(c);
}

void client_side_first(struct client *c, uint64_t from, uint64_t until)
{
    CHECK(!c->sides);
    struct side *side = append_side(c);
    side->everything = side->placed = true;
    side->position = from;
    begin_side(c, side, until);
}

/* What the walk brought lies before the client's place, but behind the last cursor that it had: with that one
 * it would come again, as if it were new. */
static void tell_place(struct client *c, const struct side *side)
{
    char cursor[CURSOR_TEXT_MAX + 1];
    struct slice plain = {side->place, side->place_size};
    size_t size = plain.size > 0 ? session_cursor(c->session, plain, cursor) : 0;
    bool brought = side->repeat && client_repeated(c, side->until);
    if (size > 0 && (side->asked || side->room_count > 0 || brought))
        c->hooks->emit(c->owner, "cursor", NO_SLICE, (struct slice){cursor, size});
}

static struct side *take_side(struct client *c)
{
    struct side *side = c->sides;
    c->sides = side->next;
    return side;
}

/* The session goes on, or is held for the next one. */
static void finish_side(struct client *c, struct side *side)
{
    c->answering = 0;
    session_release(c->session);
    free_side(side);
    client_side_begin(c);
}

static void end_side(struct client *c)
{
    struct side *side = take_side(c);
    tell_place(c, side);
    for (size_t i = 0; i < side->room_count; i++) {
        session_join(c->session, slice_of(side->rooms[i]));
        c->answering = side->asked ? 0 : side->request;
        client_emit_room(c, "room-joined", slice_of(side->rooms[i]));
    }
    c->answering = side->request;
    if (side->asked)
        client_say(c, "resumed", SLICE("{}"));
    finish_side(c, side);
}

static bool stands_elsewhere(const struct client *c, struct slice room)
{
    bool found = session_stands_in(c->session, room);
    for (const struct side *s = c->sides; s && !found; s = s->next)
        for (size_t i = 0; i < s->room_count && !found; i++)
            found = slice_equal(slice_of(s->rooms[i]), room);
    return found;
}

/* As if they had not been asked for: nobody looks after a right that is not used. */
static void forget_rooms(struct client *c, const struct side *side)
{
    for (size_t i = 0; i < side->room_count; i++) {
        struct slice room = slice_of(side->rooms[i]);
        if (stands_elsewhere(c, room))
            continue;
        if (grants_is_automatic(c->grants, room))
            client_note_left(c, room, true);
        grants_leave(c->grants, room);
    }
}

/* Nothing was walked, so nothing is joined: else what the room had since the cursor would be lost. */
static void refuse_side(struct client *c)
{
    struct side *side = take_side(c);
    struct slice room = side->asked || side->room_count == 0 ? NO_SLICE : slice_of(side->rooms[0]);
    c->answering = side->request;
    client_error(c, "unavailable", "the cursor cannot be looked up now; try again", room);
    forget_rooms(c, side);
    finish_side(c, side);
}

void client_join_late(struct client *c, struct slice room, struct slice cursor)
{
    struct side *side = make_side(c, cursor, room);
    if (!side)
        return;
    side->deciding = 1;
    c->answering = side->request; /* a refusal answers it, else the end of the walk */
    if (!client_ask_to_join(c, room, side, false))
        client_side_decided(c, side, room, false);
}

static void add_room(struct side *side, struct slice room)
{
    side->rooms = xrealloc(side->rooms, (side->room_count + 1) * sizeof(char *));
    side->rooms[side->room_count++] = xstrndup(room.data, room.size);
}

struct side *client_side_add(struct client *c, struct side *side, struct slice room, uint64_t position)
{
    if (!side)
        side = append_side(c);
    side->placed = true;
    side->position = position;
    add_room(side, room);
    return side;
}

static bool drop_room(struct side *side, struct slice room)
{
    for (size_t i = 0; i < side->room_count; i++) {
        if (!slice_equal(slice_of(side->rooms[i]), room))
            continue;
        free(side->rooms[i]);
        side->rooms[i] = side->rooms[--side->room_count];
        return true;
    }
    return false;
}

bool client_sides_leave(struct client *c, struct slice room)
{
    bool left = false;
    for (struct side *side = c->sides; side; side = side->next) {
        left |= drop_room(side, room);
        if (side->session)
            left |= session_leave(side->session, room);
    }
    return left;
}

void client_side_decided(struct client *c, struct side *side, struct slice room, bool allowed)
{
    if (allowed)
        add_room(side, room);
    if (--side->deciding > 0)
        return;
    if (side->room_count == 0 && !side->everything) {
        struct side **at = &c->sides;
        while (*at != side)
            at = &(*at)->next;
        *at = side->next;
        free_side(side);
    }
    client_side_begin(c);
}

void client_command_resume(struct client *c, const struct json *j, uint32_t data)
{
    struct buffer scratch = {0};
    struct slice cursor = json_string(j, json_find(j, data, SLICE("cursor")), &scratch);
    struct side *side = make_side(c, cursor, NO_SLICE);
    buffer_finish(&scratch);
    if (!side)
        return;
    side->everything = side->asked = true;
    side->deciding = 1; /* until all are asked for */
    uint32_t rooms = json_find(j, data, SLICE("rooms"));
    size_t named = 0;
    bool more = true;
    for (uint32_t n = json_first(j, rooms); more && n != JSON_NONE; n = json_after(j, rooms, n)) {
        struct buffer name = {0};
        more = ask_for_named(c, json_string(j, n, &name), side, &named);
        buffer_finish(&name);
    }
    client_side_decided(c, side, NO_SLICE, false);
}

static void place_side(struct client *c, struct side *side, const struct client_location *l)
{
    struct resume_plan lost;
    if (l->status == LOCATED_UNAVAILABLE) {
        refuse_side(c);
    } else if (l->status == LOCATED_LOST) {
        make_lost_plan(c, &lost);
        tell_gaps(c, lost.gaps, lost.gap_count);
        resume_plan_finish(&lost);
        end_side(c);
    } else if (l->status == LOCATED_POSITION) {
        session_set_side_position(side->session, l->position);
        session_start(side->session);
    } else {
        tell_gaps(c, l->plan->gaps, l->plan->gap_count);
        session_set_origin(side->session, l->plan->origin);
        session_start(side->session);
    }
}

/* --- both --- */

static const char *result_of(const struct client_location *l)
{
    return l->status == LOCATED_POSITION      ? "exact"
           : l->status == LOCATED_LOST        ? "lost"
           : l->status == LOCATED_UNAVAILABLE ? "unavailable"
           : l->plan->gap_count > 0           ? "gap"
                                              : "elsewhere";
}

void client_located(struct client *c, uint64_t tag, const struct client_location *location)
{
    if (tag == c->locate_tag) {
        count_resume(result_of(location));
        place_session(c, location);
    } else if (c->acks && c->acks->tag == tag) {
        client_acks_located(c, location);
    } else if (c->sides && c->sides->tag == tag) {
        count_resume(result_of(location));
        place_side(c, c->sides, location);
    }
}

static void tell_resumed(struct client *c)
{
    c->resuming = false;
    char cursor[CURSOR_TEXT_MAX + 1];
    size_t size = client_ping_cursor(c, cursor);
    c->hooks->emit(c->owner, "resumed", SLICE("{}"), (struct slice){cursor, size});
}

void client_arrived(struct client *c, struct session *s)
{
    if (session_is_side(s)) {
        end_side(c);
        return;
    }
    if (c->resuming)
        tell_resumed(c);
    client_side_begin(c);
}
