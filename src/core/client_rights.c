/* Rights that change while the client is connected. */
#include "client_internal.h"

#include "causeway/memory.h"
#include "causeway/metrics.h"

#include <stdlib.h>

/* --- automatic rooms that were left --- */

static size_t find_left(const struct client *c, struct slice room)
{
    size_t i = 0;
    while (i < c->left_count && !slice_equal(slice_of(c->left[i]), room))
        i++;
    return i;
}

void client_note_left(struct client *c, struct slice room, bool left)
{
    size_t at = find_left(c, room);
    if (left && at == c->left_count) {
        c->left = xrealloc(c->left, (c->left_count + 1) * sizeof(char *));
        c->left[c->left_count++] = xstrndup(room.data, room.size);
    } else if (!left && at < c->left_count) {
        free(c->left[at]);
        c->left[at] = c->left[--c->left_count];
    }
}

void client_forget_rights(struct client *c)
{
    for (size_t i = 0; i < c->left_count; i++)
        free(c->left[i]);
    free(c->left);
    if (c->doubted)
        metric_add(metric_get(METRIC_SESSIONS_HELD), -1);
}

/* --- what grants say --- */

void client_on_doubted(void *owner, bool doubt)
{
    struct client *c = owner;
    c->doubted = doubt;
    metric_add(metric_get(METRIC_SESSIONS_HELD), doubt ? 1 : -1);
    void (*change)(struct session * s) = doubt ? session_freeze : session_thaw;
    change(c->session);
    if (c->sides && c->sides->session)
        change(c->sides->session);
}

static const char *reason_of(enum grants_outcome why)
{
    return why == GRANTS_UNAVAILABLE ? "unavailable" : "withdrawn";
}

void client_on_withdrawn(void *owner, struct slice room, enum grants_outcome why)
{
    struct client *c = owner;
    bool stood = session_leave(c->session, room), stands_late = client_sides_leave(c, room);
    metric_add(metric_label(METRIC_WITHDRAWN, reason_of(why)), 1);
    if ((!stood && !stands_late) || c->state != CLIENT_ATTACHED)
        return;
    struct buffer data = {0};
    buffer_add_text(&data, "{\"roomId\":");
    buffer_add_json_text(&data, room);
    buffer_print(&data, ",\"reason\":\"%s\"}", reason_of(why));
    client_say(c, "room-left", buffer_slice(&data));
    buffer_finish(&data);
}

/* Where what the rooms had is walked from: some time before anybody could know of the grant, since an event
   may have outrun it. */
static uint64_t begin_of(const struct client *c, uint64_t known_until)
{
    uint64_t back = c->settings.backfill_ms;
    uint64_t from = timeline_before(c->settings.timeline, known_until > back ? known_until - back : 0);
    return from > c->begin ? from : c->begin;
}

bool client_repeat_grants(struct client *c)
{
    uint64_t done = session_done(c->session);
    if (!c->resuming || done == HOTLOG_NOWHERE)
        return false;
    uint64_t known_until = grants_changed_since(c->grants, timeline_until(c->settings.timeline, done));
    uint64_t from = known_until < UINT64_MAX ? begin_of(c, known_until) : done;
    if (from >= done)
        return false;
    client_side_first(c, from, done);
    return true;
}

void client_on_granted(void *owner, const struct slice *rooms, size_t count, uint64_t known_until)
{
    struct client *c = owner;
    struct side *side = NULL;
    uint64_t position = begin_of(c, known_until);
    for (size_t i = 0; i < count; i++) {
        if (find_left(c, rooms[i]) < c->left_count || session_stands_in(c->session, rooms[i]))
            continue;
        if (c->state == CLIENT_ATTACHED)
            side = client_side_add(c, side, rooms[i], position);
        else
            session_join(c->session, rooms[i]);
    }
    if (side)
        client_side_begin(c);
}

void client_on_ended(void *owner, enum grants_outcome why)
{
    struct client *c = owner;
    c->state = CLIENT_REFUSED;
    c->hooks->attached(c->owner, why);
}
