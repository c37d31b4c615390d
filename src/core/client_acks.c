/* What the client was handed and is to acknowledge. Its acknowledgement is a cursor, and holds for everything
   before that; so all that is kept is the place behind what was acknowledged, and what was handed over last.
   What waits for too long is walked again from there. */
#include "client_internal.h"

#include "causeway/memory.h"
#include "causeway/metrics.h"

#include <stdlib.h>

enum { HOT = 0, ROUNDS_MAX = 3, RETRY_MS = 1000 };

void client_forget_acks(struct client *c)
{
    if (!c->acks)
        return;
    origin_release(c->acks->place);
    free(c->acks);
}

/* Takes over the hold. */
static void go_on_from(struct acks *a, uint64_t from, struct origin *place)
{
    origin_release(a->place);
    a->from = from;
    a->place = place;
}

/* Nothing waits any more. */
static void settle(struct acks *a)
{
    go_on_from(a, HOTLOG_NOWHERE, NULL);
    a->due = UINT64_MAX;
    a->rounds = 0;
}

/* --- what was handed over --- */

static void begin_at(struct acks *a, struct session *s, const struct ack_span *span)
{
    if (span->log == HOT)
        go_on_from(a, span->first, NULL);
    else
        go_on_from(a, HOTLOG_NOWHERE, session_here(s));
}

/* A late room has brought it, so it lies before what waits. */
static bool is_earlier(const struct acks *a, const struct session *s, const struct ack_span *span)
{
    return session_is_side(s) && !a->place && (span->log != HOT || span->first < a->from);
}

bool client_unacknowledged(struct client *c, struct session *s, const struct ack_span *span)
{
    if (!c->acks) {
        c->acks = xcalloc(1, sizeof *c->acks);
        settle(c->acks);
    }
    struct acks *a = c->acks;
    if (session_is_repeat(s))
        a->brought = true;
    if (session_is_repeat(s) || a->ignored)
        return false;
    bool first = a->due == UINT64_MAX;
    if (first || is_earlier(a, s, span))
        begin_at(a, s, span);
    if (first || !session_is_side(s))
        a->last = *span;
    if (!first)
        return false;
    a->ripe = span->log == HOT ? span->last + 1 : HOTLOG_NOWHERE;
    a->due = client_now(c) + c->settings.ack_ms;
    return true;
}

/* --- what is acknowledged --- */

static void progress(struct client *c)
{
    struct acks *a = c->acks;
    uint64_t due = client_now(c) + c->settings.ack_ms;
    a->due = due < a->due ? due : a->due;
    a->rounds = 0;
}

static void refuse(struct client *c, const char *why)
{
    client_error(c, "bad_cursor", why, NO_SLICE);
}

static const char beyond[] = "this cursor lies beyond what you were sent";

static void acknowledge_position(struct client *c, uint64_t position)
{
    struct acks *a = c->acks;
    unsigned log;
    uint64_t at;
    if (session_place(c->session, &log, &at) && log == HOT && position > at)
        refuse(c, beyond);
    else if (!a->place && position <= a->from)
        return; /* it was acknowledged before */
    else if (a->last.log != HOT || a->last.last < position)
        settle(a);
    else {
        go_on_from(a, position, NULL);
        progress(c);
    }
}

/* Does `o` skip nothing beyond this place? What the place does not know is not compared. */
static bool lies_within(const struct origin *o, const int64_t *next, uint32_t count)
{
    for (uint32_t i = 0; i < o->count; i++)
        if (i < count && o->skip[i] > next[i])
            return false;
    return true;
}

static bool lies_before_position(struct client *c, const struct origin *o, uint64_t position, bool after)
{
    struct hotlog *log = c->settings.hotlog;
    uint32_t count = hotlog_place_count(log);
    int64_t *next = xcalloc(count + 1, sizeof *next);
    if (after)
        hotlog_place_after(log, position, next, count);
    else
        hotlog_place_before(log, position, next, count);
    bool within = lies_within(o, next, count);
    free(next);
    return within;
}

static bool is_beyond(struct client *c, const struct origin *o)
{
    unsigned log;
    uint64_t at;
    if (!session_place(c->session, &log, &at) || log != HOT)
        return false; /* it cannot be told */
    uint64_t done = session_done(c->session);
    return done != HOTLOG_NOWHERE && !lies_before_position(c, o, done, true);
}

static bool is_old(struct client *c, const struct origin *o)
{
    const struct acks *a = c->acks;
    return a->place ? lies_within(o, a->place->skip, a->place->count)
                    : lies_before_position(c, o, a->from, false);
}

static void acknowledge_place(struct client *c, struct origin *o)
{
    struct acks *a = c->acks;
    if (is_beyond(c, o))
        refuse(c, beyond);
    else if (a->last.offset < origin_skip(o, a->last.partition))
        settle(a);
    else if (!is_old(c, o)) {
        go_on_from(a, HOTLOG_NOWHERE, origin_hold(o));
        progress(c);
    }
}

static void acknowledge(struct client *c, const struct client_location *l)
{
    if (l->status == LOCATED_UNAVAILABLE)
        client_error(c, "unavailable", "the cursor cannot be looked up now; try again", NO_SLICE);
    else if (l->status == LOCATED_LOST)
        refuse(c, "nobody knows where this cursor stands");
    else if (l->status == LOCATED_POSITION)
        acknowledge_position(c, l->position);
    else
        acknowledge_place(c, l->plan->origin);
}

static void ask(struct client *c, const struct cursor *cursor)
{
    c->acks->tag = ++c->next_tag;
    c->settings.services->locate(c->settings.services_owner, cursor, c->number, c->acks->tag);
}

void client_acks_located(struct client *c, const struct client_location *location)
{
    struct acks *a = c->acks;
    a->tag = 0;
    if (c->state == CLIENT_ATTACHED && a->due != UINT64_MAX)
        acknowledge(c, location);
    if (!a->another)
        return;
    a->another = false;
    struct cursor next = a->next;
    ask(c, &next);
}

void client_command_ack(struct client *c, const struct json *j, uint32_t data)
{
    struct buffer scratch = {0};
    struct cursor cursor;
    bool good = client_read_cursor(
        c, json_string(j, json_find(j, data, SLICE("cursor")), &scratch), NO_SLICE, &cursor);
    buffer_finish(&scratch);
    struct acks *a = c->acks;
    if (!good)
        return;
    if (c->answering)
        client_say(c, "acknowledged", SLICE("{}"));
    if (a)
        a->ignored = false;
    if (!a || a->due == UINT64_MAX)
        return;
    if (a->tag) { /* one at a time: the latest says all */
        a->next = cursor;
        a->another = true;
    } else {
        ask(c, &cursor);
    }
}

/* --- what is sent again --- */

static void count_outcome(const char *outcome)
{
    metric_add(metric_label(METRIC_UNACKNOWLEDGED, outcome), 1);
}

static void repeat(struct client *c, uint64_t until)
{
    struct acks *a = c->acks;
    a->rounds++;
    a->brought = false;
    count_outcome("repeated");
    client_side_repeat(c, a->from, a->place, until);
}

uint64_t client_acks_tick(struct client *c, uint64_t now)
{
    struct acks *a = c->acks;
    if (!a || now < a->due)
        return a ? a->due : UINT64_MAX;
    if (!session_is_live(c->session) || c->sides) {
        a->due = now + RETRY_MS; /* it has not come to what it was sent last */
        return a->due;
    }
    if (a->rounds == ROUNDS_MAX) {
        a->ignored = true;
        settle(a);
        count_outcome("given_up");
        return a->due;
    }
    uint64_t until = a->ripe;
    a->ripe = session_position(c->session);
    if (until != HOTLOG_NOWHERE && (a->place || a->from < until))
        repeat(c, until);
    a->due = now + (c->settings.ack_ms << a->rounds);
    return a->due;
}

/* The rooms were left, or the events are not to be acknowledged any more. */
static void skip_to(struct client *c, uint64_t until)
{
    struct acks *a = c->acks;
    if (a->due == UINT64_MAX || (!a->place && a->from >= until))
        return;
    if (a->last.log != HOT || a->last.last < until) {
        settle(a);
        return;
    }
    go_on_from(a, until, NULL);
    progress(c);
}

bool client_repeated(struct client *c, uint64_t until)
{
    bool brought = c->acks->brought;
    if (!brought)
        skip_to(c, until);
    return brought;
}
