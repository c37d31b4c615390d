#include "fanout_internal.h"

#include "causeway/memory.h"

#include <stdlib.h>

/* What those behind may take of one turn: enough to fill the wire, little enough that the live ones wait 2 ms
   at most; but never less than the live ones took, or who was cut once would stay behind for as long as the
   live ones can fill all turns. */
enum { BEHIND_BYTES_PER_TURN = 2 * 1024 * 1024, BEHIND_SESSIONS_PER_TURN = 128 };

struct fanout *fanout_create(struct hotlog *const *logs, size_t log_count, struct rooms *rooms)
{
    CHECK(log_count > 0 && log_count <= FANOUT_LOGS_MAX);
    struct fanout *f = xcalloc(1, sizeof *f);
    for (size_t i = 0; i < log_count; i++)
        f->views[i] = (struct view){.log = logs[i], .reader = hotlog_reader_create(logs[i])};
    for (size_t i = 1; i < log_count; i++)
        hotlog_done_by(f->views[i].reader, UINT64_MAX, 0, 0);
    f->view_count = log_count;
    f->rooms = rooms;
    f->position = hotlog_head(logs[HOT]);
    f->memo = xcalloc(MEMO_SLOTS, sizeof *f->memo);
    for (size_t i = 0; i < MEMO_SLOTS; i++)
        f->memo[i].room = ROOM_NONE;
    f->own = xcalloc(1, sizeof *f->own);
    return f;
}

void fanout_lend_bases(struct fanout *f, unsigned log, struct cursor_bases *bases)
{
    CHECK(log < f->view_count && !f->views[log].rebase);
    f->views[log].rebase = cursor_rebase_create(bases);
}

void fanout_destroy(struct fanout *f)
{
    if (!f)
        return;
    CHECK(f->sessions == 0);
    for (size_t i = 0; i < f->view_count; i++)
        cursor_rebase_destroy(f->views[i].rebase);
    for (size_t i = 0; i < MEMO_SLOTS; i++)
        chunk_finish(&f->memo[i]);
    chunk_finish(f->own);
    for (size_t i = 0; i < ORIGINS_KEPT; i++)
        origin_release(f->origins[i]);
    for (size_t i = 0; i < f->view_count; i++)
        free(f->views[i].walkers);
    free(f->local);
    free(f->touched);
    free(f->hit);
    free(f->memo);
    free(f->own);
    free(f->runs);
    free(f);
}

/* Has a window that somebody waits for grown, or come to its end? */
static bool has_moved(const struct view *v)
{
    return v->waiting_count > 0 && (hotlog_head(v->log) != v->head || hotlog_ended(v->log, v->head, NULL));
}

bool fanout_pending(const struct fanout *f)
{
    bool pending = hotlog_head(f->views[HOT].log) != f->position || f->ready.first;
    for (size_t i = 1; i < f->view_count && !pending; i++)
        pending = has_moved(&f->views[i]);
    return pending;
}

struct fanout_counts fanout_counts(struct fanout *f)
{
    struct fanout_counts counts = {f->sessions, f->behind, f->deliveries, f->bytes, f->replayed};
    f->deliveries = f->bytes = f->replayed = 0;
    return counts;
}

/* --- live: which sessions do the new entries concern? --- */

static void touch_room(struct fanout *f, uint32_t room)
{
    if (room >= f->local_capacity)
        return;
    struct local_room *local = &f->local[room];
    if (local->count == 0 || local->touched_turn == f->turn)
        return;
    local->touched_turn = f->turn;
    if (f->touched_count == f->touched_capacity) {
        f->touched_capacity = f->touched_capacity ? f->touched_capacity * 2 : 64;
        f->touched = xrealloc(f->touched, f->touched_capacity * sizeof *f->touched);
    }
    f->touched[f->touched_count++] = room;
}

static void touch_rooms(struct fanout *f, uint64_t head)
{
    f->touched_count = 0;
    for (uint64_t sequence = f->position; sequence < head; sequence++) {
        struct hotlog_entry e = hotlog_get(f->views[HOT].log, sequence);
        for (uint16_t i = 0; i < e.room_count; i++)
            touch_room(f, e.rooms[i]);
    }
}

static void touch_sessions(struct fanout *f, uint32_t room)
{
    struct local_room *local = &f->local[room];
    if (f->hit_count + local->count > f->hit_capacity) {
        f->hit_capacity = (f->hit_count + local->count) * 2;
        f->hit = xrealloc(f->hit, f->hit_capacity * sizeof(struct session *));
    }
    for (uint32_t i = 0; i < local->count; i++) {
        struct session *s = local->sessions[i];
        if (s->state != SESSION_LIVE)
            continue;
        if (s->touched_turn == f->turn) {
            s->touched_room = ROOM_NONE;
            continue;
        }
        s->touched_turn = f->turn;
        s->touched_room = room;
        f->hit[f->hit_count++] = s;
    }
}

/* Returns how many sessions it concerned. */
static size_t serve_live(struct fanout *f, uint64_t head)
{
    f->turn++;
    touch_rooms(f, head);
    f->hit_count = 0;
    for (size_t i = 0; i < f->touched_count; i++)
        touch_sessions(f, f->touched[i]);
    for (size_t i = 0; i < f->hit_count; i++)
        walk(f, f->hit[i], f->position, head, f->hit[i]->touched_room, INT32_MAX);
    f->position = head;
    return f->hit_count;
}

/* --- behind --- */

/* The writer has overtaken this loop by a whole log: what the live sessions have not seen must come from
 * elsewhere. */
static void all_behind(struct fanout *f, uint64_t head)
{
    for (struct session *s = f->first; s; s = s->next)
        if (s->state == SESSION_LIVE) {
            session_move(s, f->position);
            session_change(s, SESSION_READY);
        }
    f->position = head;
}

/* The log no longer holds where the session stands. */
static void send_away(struct session *s)
{
    if (s->position != HOTLOG_NOWHERE)
        session_lose_place(s);
    session_change(s, SESSION_AWAY);
    s->hooks->away(s->transport, s, origin_hold(s->origin));
}

/* Up to where a side walk may come without that its session has to know. */
static uint64_t reach_of(const struct session *side)
{
    uint64_t stands = side->main->position; /* nowhere, once the log has left it behind */
    return stands != HOTLOG_NOWHERE && stands > side->until ? stands : side->until;
}

static void arrive(struct session *s)
{
    if (s->strayed)
        session_mark_strayed(s, reach_of(s));
    if (s->side)
        session_change(s, SESSION_HELD);
    else if (s->log == HOT)
        session_change(s, SESSION_LIVE);
    if (s->arriving) {
        s->arriving = false;
        s->hooks->arrived(s->transport, s);
    }
}

/* The session has come to the head of a window. */
static void leave_window(struct fanout *f, struct session *s)
{
    uint64_t next;
    if (!hotlog_ended(f->views[s->log].log, s->position, &next))
        session_change(s, SESSION_WAITING);
    else if (s->side && next >= s->until) {
        s->strayed |= next > reach_of(s);
        s->until = next;
        arrive(s);
    } else {
        session_change_log(s, HOT, next);
        session_change(s, SESSION_READY);
    }
}

static void serve_behind(struct fanout *f, struct session *s)
{
    const struct view *v = &f->views[s->log];
    if (s->position == HOTLOG_NOWHERE || s->position < v->tail) {
        send_away(s);
        return;
    }
    if (s->log == HOT &&
        s->position > f->position) { /* from a window, ahead of what this loop has looked at */
        session_change(s, SESSION_READY);
        return;
    }
    uint64_t head = s->log != HOT ? v->head : s->side ? s->until : f->position;
    if (walk(f, s, s->position, head, ROOM_NONE, 1)) {
        if (s->log == HOT)
            arrive(s);
        else
            leave_window(f, s);
    } else if (s->state == SESSION_READY) {
        session_change(s, SESSION_READY); /* to the end of the queue: one chunk each */
    }
}

/* --- windows --- */

static void wake_waiting(struct view *v)
{
    while (v->waiting.first)
        session_change(v->waiting.first, SESSION_READY);
}

static void pin_all(struct fanout *f)
{
    for (size_t i = 0; i < f->view_count; i++) {
        f->views[i].tail = hotlog_pin(f->views[i].reader);
        f->views[i].head = hotlog_head(f->views[i].log);
    }
    f->pinned = true;
}

static void unpin_all(struct fanout *f)
{
    f->pinned = false;
    for (size_t i = 0; i < f->view_count; i++)
        hotlog_unpin(f->views[i].reader);
}

/* Those whose entries go, or are wanted gone: they leave while it can still be told where exactly they stand.
 */
static void let_go(struct fanout *f, struct view *v)
{
    uint64_t limit = v == &f->views[HOT] ? hotlog_staying(v->log) : hotlog_tail(v->log);
    if (limit < hotlog_dismissed(v->log))
        limit = hotlog_dismissed(v->log);
    if (v->walker_count == 0 || v->walkers[0]->position >= limit)
        return;
    bool pinned = f->pinned;
    if (!pinned)
        pin_all(f);
    while (v->walker_count > 0 && v->walkers[0]->position < limit)
        session_lose_place(v->walkers[0]);
    if (!pinned)
        unpin_all(f);
}

static bool stands_in_past(const struct fanout *f, const struct session *s)
{
    bool walks = s->state != SESSION_LIVE && s->state != SESSION_AWAY && s->position != HOTLOG_NOWHERE;
    return walks && (s->log != HOT || s->position < f->position);
}

void fanout_leave_past(struct fanout *f)
{
    pin_all(f);
    for (struct session *s = f->first; s; s = s->next)
        if (stands_in_past(f, s))
            session_lose_place(s);
    unpin_all(f);
}

/* Up to where have all sessions of this loop walked each window? Its writer waits for that. Who falls out of
   a log loses its place even when its socket is full, so that a window can begin anew; it asks for another
   one when the socket takes bytes again, so that one who has stopped reading costs no sweep. */
void fanout_report(struct fanout *f)
{
    for (size_t i = 0; i < f->view_count; i++) {
        struct view *v = &f->views[i];
        let_go(f, v);
        uint64_t done = v->walker_count ? v->walkers[0]->position : UINT64_MAX;
        if (i != HOT)
            hotlog_done_by(v->reader, done, v->walker_count, v->waiting_count);
    }
}

static void serve_ready(struct fanout *f, uint64_t live_bytes, size_t live_sessions)
{
    uint64_t until = f->bytes + (live_bytes > BEHIND_BYTES_PER_TURN ? live_bytes : BEHIND_BYTES_PER_TURN);
    size_t left = live_sessions > BEHIND_SESSIONS_PER_TURN ? live_sessions : BEHIND_SESSIONS_PER_TURN;
    for (; left > 0 && f->ready.first && f->bytes < until; left--)
        serve_behind(f, f->ready.first);
}

bool fanout_turn(struct fanout *f)
{
    if (!fanout_pending(f)) {
        fanout_report(f); /* who walked a window may be gone */
        session_tell_holdable(f);
        return f->ready.first != NULL;
    }
    for (size_t i = 1; i < f->view_count; i++)
        if (has_moved(&f->views[i]))
            wake_waiting(&f->views[i]);
    pin_all(f);
    uint64_t head = f->views[HOT].head;
    if (f->position < f->views[HOT].tail)
        all_behind(f, head);
    uint64_t before = f->bytes;
    size_t live = head > f->position ? serve_live(f, head) : 0;
    hotlog_done(f->views[HOT].reader, f->position);
    serve_ready(f, f->bytes - before, live);
    fanout_report(f);
    unpin_all(f);
    session_tell_holdable(f);
    return f->ready.first != NULL;
}
