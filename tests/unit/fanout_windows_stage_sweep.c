#include "fanout_windows_stage_sweep.h"

#include "causeway/fanout.h"
#include "causeway/frame.h"

#include <stdio.h>

/* --- the logs --- */

static void append_to(struct world *w, struct hotlog *log, const struct event *e, uint32_t number,
    unsigned log_number, unsigned stretch, uint32_t at)
{
    char text[100], tail[40], name[16];
    uint32_t rooms[2 * ROOM_NAMES];
    size_t count = 0, except = 0;
    int tail_size = snprintf(tail, sizeof tail, ",\"cursor\":\"%u.%u.%u\"}", log_number, stretch, at);
    int size = snprintf(text, sizeof text, "{\"e\":%u%s", number, tail);
    for (unsigned i = 0; i < ROOM_NAMES; i++)
        if (e->rooms >> i & 1)
            rooms[count++] = rooms_hold(w->rooms, w->lane, name_of(name, i));
    for (unsigned i = 0; i < ROOM_NAMES; i++)
        if (e->except >> i & 1)
            rooms[count + except++] = rooms_hold(w->rooms, w->lane, name_of(name, i));
    char header[FRAME_HEADER_MAX];
    size_t header_size = frame_header(header, FRAME_TEXT, (size_t)size);
    char *frame = hotlog_reserve(log, header_size + (size_t)size);
    memcpy(frame, header, header_size);
    memcpy(frame + header_size, text, (size_t)size);
    hotlog_append(log, &(struct hotlog_append){.partition = e->partition,
                           .offset = e->offset,
                           .head_size = (uint16_t)header_size,
                           .tail_size = (uint16_t)tail_size,
                           .rooms = rooms,
                           .room_count = count,
                           .except = rooms + count,
                           .except_count = except,
                           .ephemeral = e->ephemeral});
}

void produce(struct world *w)
{
    uint32_t partition = next_random(w) % PARTITIONS;
    int64_t offset = w->next[partition] + next_random(w) % 2;
    for (unsigned n = next_random(w) % 4; n-- > 0;) {
        struct event *e = &w->events[w->count];
        *e = (struct event){.partition = partition, .offset = offset, .ephemeral = one_in(w, 10)};
        e->rooms = 1U << next_random(w) % ROOM_NAMES;
        if (one_in(w, 3))
            e->rooms |= 1U << next_random(w) % ROOM_NAMES;
        if (one_in(w, 8))
            e->except = 1U << next_random(w) % ROOM_NAMES;
        append_to(w, w->hot, e, w->count, 0, 0, w->count);
        for (size_t i = 0; i < PLAYERS; i++)
            if (offset < w->players[i].had_below[partition])
                w->players[i].had[w->count].count = 1;
        assert_true(++w->count < EVENTS_MAX);
    }
    w->next[partition] = offset + 1;
    hotlog_advance(w->hot, partition, offset + 1);
}

/* --- sweeps --- */

static struct origin **next_request(struct world *w, size_t *at, struct session **session, uint64_t *until)
{
    for (; *at < 2 * PLAYERS; (*at)++) {
        struct player *p = &w->players[*at / 2];
        struct origin **away = *at % 2 ? &p->side_away : &p->away;
        if (!*away)
            continue;
        *session = *at % 2 ? p->side : p->session;
        *until = session_until(*session);
        (*at)++;
        return away;
    }
    return NULL;
}

static void admit(struct sweep *s, struct world *w, struct session *session, struct origin **away)
{
    session_enter(session, (unsigned)(s - w->sweeps) + 1, hotlog_next(s->log), *away);
    fanout_report(w->fanout);
    origin_release(*away);
    *away = NULL;
}

static void begin_sweep(struct world *w, struct sweep *s)
{
    struct session *session, *sessions[2 * PLAYERS];
    struct origin **away, **places[2 * PLAYERS];
    uint64_t until, limit = hotlog_head(w->hot);
    size_t at = 0, count = 0;
    for (uint32_t i = 0; i < PARTITIONS; i++)
        s->begin[i] = INT64_MAX;
    while ((away = next_request(w, &at, &session, &until))) {
        limit = until < limit ? until : limit;
        sessions[count] = session;
        places[count++] = away;
        for (uint32_t i = 0; i < PARTITIONS; i++)
            if (origin_skip(*away, i) < s->begin[i])
                s->begin[i] = origin_skip(*away, i);
    }
    if (count == 0)
        return;
    s->target_position = hotlog_place_before(w->hot, limit, s->target, PARTITIONS);
    if (s->target_position < hotlog_tail(w->hot)) {
        s->target_position = hotlog_place_before(w->hot, hotlog_head(w->hot), s->target, PARTITIONS);
    }
    hotlog_restart(s->log);
    s->stretch++;
    s->count = 0;
    for (uint32_t i = 0; i < PARTITIONS; i++) {
        if (s->begin[i] > s->target[i])
            s->begin[i] = s->target[i];
        s->place[i] = s->begin[i];
        hotlog_advance(s->log, i, s->begin[i]);
    }
    hotlog_publish(s->log);
    s->state = FILLING;
    s->age = 0;
    w->sweeps_begun++;
    for (size_t i = 0; i < count; i++) /* not those who are sent away meanwhile */
        admit(s, w, sessions[i], places[i]);
}

static void take_along(struct world *w, struct sweep *s)
{
    struct session *session;
    struct origin **away;
    uint64_t until;
    for (size_t at = 0; (away = next_request(w, &at, &session, &until));) {
        bool can = until >= s->target_position;
        for (uint32_t i = 0; i < PARTITIONS; i++)
            can = can && s->place[i] <= origin_skip(*away, i);
        if (!can)
            continue;
        admit(s, w, session, away);
        w->along++;
    }
}

/* The next record of the partition before the target goes into the window. false: there is none. */
static bool fill_one(struct world *w, struct sweep *s, uint32_t partition)
{
    uint32_t i = 0;
    while (i < w->count && (w->events[i].partition != partition || w->events[i].offset < s->place[partition]))
        i++;
    if (i == w->count || w->events[i].offset >= s->target[partition])
        return false;
    int64_t offset = w->events[i].offset;
    for (; i < w->count && w->events[i].offset == offset && w->events[i].partition == partition; i++) {
        append_to(w, s->log, &w->events[i], i, (unsigned)(s - w->sweeps) + 1, s->stretch, s->count);
        s->order[s->count++] = i;
    }
    s->place[partition] = offset + 1;
    hotlog_advance(s->log, partition, offset + 1);
    return true;
}

static void fill(struct world *w, struct sweep *s)
{
    for (unsigned records = 1 + next_random(w) % (w->brutal ? 30 : 6); records-- > 0;) {
        if (!w->brutal && hotlog_backlog(s->log) > 40)
            break;
        uint32_t first = next_random(w) % PARTITIONS, tried = 0;
        while (tried < PARTITIONS && !fill_one(w, s, (first + tried) % PARTITIONS))
            tried++;
        if (tried < PARTITIONS)
            continue;
        for (uint32_t i = 0; i < PARTITIONS; i++)
            hotlog_advance(s->log, i, s->target[i]);
        hotlog_publish(s->log);
        hotlog_end(s->log, hotlog_head(s->log), s->target_position);
        s->state = ENDED;
        return;
    }
    hotlog_publish(s->log);
    if (one_in(w, 2))
        take_along(w, s);
}

void run_sweep(struct world *w, struct sweep *s)
{
    s->age++;
    if (s->state == IDLE && one_in(w, 2)) {
        begin_sweep(w, s);
    } else if (s->state == FILLING) {
        fill(w, s);
    } else if (s->state == ENDED && (hotlog_walkers(s->log) == 0 || s->age > 150)) {
        w->window_aways += hotlog_walkers(s->log) > 0;
        hotlog_evict_all(s->log);
        s->state = CLEARING;
    } else if (s->state == CLEARING && hotlog_walkers(s->log) == 0) {
        s->state = IDLE;
    }
}
