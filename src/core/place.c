/* Where in Kafka a session stands when its log does not hold it any longer. */
#include "fanout_internal.h"

#include "causeway/memory.h"

#include <stdlib.h>

static int64_t greater(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static bool stands_in_one_of(const struct session *s, const struct hotlog_entry *e)
{
    for (uint16_t i = 0; i < e->room_count; i++)
        for (uint32_t k = 0; k < s->room_count; k++)
            if (s->rooms[k].room == e->rooms[i])
                return true;
    return false;
}

/* Does the record before the position go on behind it, for this session? */
static bool is_amid_record(const struct view *v, const struct session *s, struct hotlog_entry *before)
{
    if (s->position <= v->tail)
        return false;
    *before = hotlog_get(v->log, s->position - 1);
    for (uint64_t at = s->position; at < v->head; at++) {
        struct hotlog_entry e = hotlog_get(v->log, at);
        if (e.partition != before->partition || e.offset != before->offset)
            return false;
        if (stands_in_one_of(s, &e))
            return true;
    }
    return false;
}

/* From a place that is known at `from` to the one at the session's position: by what it had in between. */
static void sharpen(const struct view *v, const struct session *s, uint64_t from, struct origin *o)
{
    struct hotlog_entry e;
    for (uint32_t i = 0; i < s->room_count; i++) {
        struct hotlog_run run = hotlog_find(v->log, s->rooms[i].room, from, s->position);
        for (size_t k = 0; k < run.count; k++) {
            e = hotlog_get(v->log, run.at[k]);
            o->skip[e.partition] = greater(o->skip[e.partition], e.offset + 1);
        }
    }
    if (is_amid_record(v, s, &e) && o->skip[e.partition] == e.offset + 1)
        o->skip[e.partition] = e.offset;
}

static struct origin *place_of(struct session *s)
{
    struct fanout *f = s->fanout;
    const struct view *v = &f->views[s->log];
    const struct origin *before = s->origin;
    uint32_t count = hotlog_place_count(v->log);
    if (before && before->count > count)
        count = before->count;
    struct origin *o = origin_create(count, before && before->stop);
    uint64_t known = hotlog_place_before(v->log, s->position, o->skip, count);
    hotlog_place_after(v->log, s->position, o->mark, count); /* also of rooms that it has left by now */
    if (f->pinned && known >= v->tail)
        sharpen(v, s, known, o);
    for (uint32_t i = 0; before && i < count; i++) {
        o->skip[i] = greater(o->skip[i], origin_skip(before, i));
        o->mark[i] = greater(o->mark[i], origin_mark(before, i));
        if (o->stop)
            o->stop[i] = i < before->count ? before->stop[i] : 0;
    }
    return o;
}

struct origin *session_here(struct session *s)
{
    struct origin *o = place_of(s);
    free(o->stop); /* where a side walk ends is no concern of others */
    o->stop = NULL;
    return o;
}

void session_mark_strayed(struct session *side, uint64_t reached)
{
    struct hotlog *hot = side->fanout->views[HOT].log;
    const struct origin *before = side->main->origin;
    uint32_t count = hotlog_place_count(hot);
    if (before && before->count > count)
        count = before->count;
    struct origin *o = origin_create(count, before && before->stop);
    hotlog_place_after(hot, reached, o->mark, count);
    for (uint32_t i = 0; i < count; i++) {
        o->skip[i] = before ? origin_skip(before, i) : 0;
        o->mark[i] = greater(o->mark[i], before ? origin_mark(before, i) : 0);
        o->mark[i] = greater(o->mark[i], side->origin ? origin_mark(side->origin, i) : 0);
        if (before && o->stop)
            o->stop[i] = i < before->count ? before->stop[i] : 0;
    }
    session_change_origin(side->main, o);
}

void session_lose_place(struct session *s)
{
    struct origin *o = place_of(s);
    s->strayed |= s->side && s->log != HOT;
    if (s->state == SESSION_WAITING)
        session_change(s, SESSION_READY);
    session_change_origin(s, o);
    session_change_log(s, HOT, HOTLOG_NOWHERE);
    s->arriving = true;
}
