#include "fanout_internal.h"

#include "causeway/memory.h"

#include <stdlib.h>

/* What those behind may take of one turn: enough to fill the wire, little enough that the live ones wait 2 ms
 * at most. */
enum { BEHIND_BYTES_PER_TURN = 2 * 1024 * 1024, BEHIND_SESSIONS_PER_TURN = 128 };

struct fanout *fanout_create(struct hotlog *log, struct rooms *rooms, const struct transport_hooks *hooks)
{
    struct fanout *f = xcalloc(1, sizeof *f);
    f->log = log;
    f->reader = hotlog_reader_create(log);
    f->rooms = rooms;
    f->hooks = hooks;
    f->position = hotlog_head(log);
    f->memo = xcalloc(MEMO_SLOTS, sizeof *f->memo);
    for (size_t i = 0; i < MEMO_SLOTS; i++)
        f->memo[i].room = ROOM_NONE;
    f->own = xcalloc(1, sizeof *f->own);
    return f;
}

void fanout_destroy(struct fanout *f)
{
    if (!f)
        return;
    CHECK(f->sessions == 0);
    free(f->local);
    free(f->touched);
    free(f->hit);
    free(f->memo);
    free(f->own);
    free(f->runs);
    free(f);
}

bool fanout_pending(const struct fanout *f)
{
    return hotlog_head(f->log) != f->position || f->ready_first != NULL;
}

struct fanout_counts fanout_counts(struct fanout *f)
{
    struct fanout_counts counts = {f->sessions, f->behind, f->deliveries, f->bytes};
    f->deliveries = f->bytes = 0;
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
        struct hotlog_entry e = hotlog_get(f->log, sequence);
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

static void serve_live(struct fanout *f, uint64_t head)
{
    f->turn++;
    touch_rooms(f, head);
    f->hit_count = 0;
    for (size_t i = 0; i < f->touched_count; i++)
        touch_sessions(f, f->touched[i]);
    for (size_t i = 0; i < f->hit_count; i++)
        walk(f, f->hit[i], f->position, head, f->hit[i]->touched_room, INT32_MAX);
    f->position = head;
}

/* --- behind --- */

/* The writer has overtaken this loop by a whole log: what the live sessions have not seen is gone, and each
 * must be told. */
static void all_behind(struct fanout *f, uint64_t head)
{
    for (struct session *s = f->first; s; s = s->next)
        if (s->state == SESSION_LIVE) {
            s->position = f->position;
            session_change(s, SESSION_READY);
        }
    f->position = head;
}

/* The log no longer holds where the session stands: say so, partition by partition, and go on from what there
 * is. */
static void declare_gap(struct fanout *f, struct session *s)
{
    struct hotlog_gap gap;
    s->position = hotlog_skip(f->log, s->position, &gap);
    for (uint32_t i = 0; i < gap.partitions; i++)
        if (gap.from[i] < gap.to[i])
            f->hooks->gap(s->transport, hotlog_partition_topic(f->log, i), hotlog_partition_number(f->log, i),
                gap.from[i], gap.to[i]);
    free(gap.from);
}

static void serve_behind(struct fanout *f, struct session *s)
{
    if (s->position < f->tail)
        declare_gap(f, s);
    /* Behind a gap it may stand beyond what this turn looks at: then it has to wait for the others. */
    if (s->position <= f->position && walk(f, s, s->position, f->position, ROOM_NONE, 1))
        session_change(s, SESSION_LIVE);
    else if (s->state == SESSION_READY)
        session_change(s, SESSION_READY); /* to the end of the queue: one chunk each */
}

bool fanout_turn(struct fanout *f)
{
    if (!fanout_pending(f))
        return false;
    f->tail = hotlog_pin(f->reader);
    uint64_t head = hotlog_head(f->log); /* read behind the pin, so that it is not below the tail */
    if (f->position < f->tail)
        all_behind(f, head);
    if (head > f->position)
        serve_live(f, head);
    hotlog_done(f->reader, f->position);
    uint64_t until = f->bytes + BEHIND_BYTES_PER_TURN;
    for (int i = 0; i < BEHIND_SESSIONS_PER_TURN && f->ready_first && f->bytes < until; i++)
        serve_behind(f, f->ready_first);
    hotlog_unpin(f->reader);
    return f->ready_first != NULL;
}
