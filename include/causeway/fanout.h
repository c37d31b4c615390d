/* The fan-out of one loop: its sessions, the rooms they stand in, and their positions in the logs.
   A session has no queue. Live means that its position is the head of the hot log; joining, resuming, lagging
   behind a slow socket and being held are one state, behind, served by walking on from the position, through
   the entries of its rooms, until the socket is full. What is older than the hot log is walked in a window, a
   log of the same shape that is filled from Kafka.
   @thread the loop that owns it. No lock, no query and no allocation per receiver while live events go out.
 */
#pragma once

#include "causeway/cursor_rebase.h"
#include "causeway/hotlog.h"

#include <sys/uio.h>

struct fanout;
struct session;

enum { FANOUT_LOGS_MAX = 8 /* the hot log is number 0, windows follow */ };

/* Entries that are to be acknowledged: the first and the last one of a write. */
struct ack_span {
    unsigned log;
    uint64_t first, last;
    uint32_t partition; /* of the last */
    int64_t offset;
};

/* How a session's frames leave. `transport` is the session's own pointer. */
struct transport_hooks {
    /* Hands whole frames to the socket; returns how many bytes it took. After less than all, session_writable
     * is called when it takes more. */
    size_t (*write)(void *transport, const struct iovec *parts, int count);
    /* The rest of the one frame that was cut in the middle: goes out before anything else. */
    void (*keep)(void *transport, const char *rest, size_t size);
    /* A frame to follow those that bring the session to this position of the log: its cursor. Empty: none.
     * NULL is fine. */
    struct slice (*trailer)(void *transport, unsigned log, uint64_t position);
    /* The logs no longer hold what the session needs: everything since `origin` (held for the callee). It
     * waits until session_enter. */
    void (*away)(void *transport, struct session *s, struct origin *origin);
    /* The session has come to the head of the hot log, for the first time or after it was away; a side walk,
     * to its end; or the session can be held, which it could not. It may be destroyed here. */
    void (*arrived)(void *transport, struct session *s);
    /* Such entries were handed over just now; session_here is still before them. NULL is fine. */
    void (*unacknowledged)(void *transport, struct session *s, const struct ack_span *span);
};

struct fanout *fanout_create(struct hotlog *const *logs, size_t log_count, struct rooms *rooms);
void fanout_destroy(struct fanout *f); /* its sessions have been destroyed */
/* With this log's bases, those who come into it from elsewhere get cursors too. Before the first turn. */
void fanout_lend_bases(struct fanout *f, unsigned log, struct cursor_bases *bases);

/* One turn: new entries to the live sessions, then a bounded share of work for those behind. true: there is
 * more to do. */
bool fanout_turn(struct fanout *f);
/* Are there entries that no turn has seen? For the moment before the loop sleeps. */
bool fanout_pending(const struct fanout *f);

/* Tells the writers of the windows who walks them, and how far; each turn does. Its price does not depend on
 * how many sessions there are. */
void fanout_report(struct fanout *f);

/* What the logs hold is not to be walked any more, though it is still there. Whoever has not come to the head
   of the hot log stands in no log from now on, but at a place in Kafka. After a turn that has come to the
   head. */
void fanout_leave_past(struct fanout *f);

struct fanout_counts {
    size_t sessions, behind;
    uint64_t deliveries, bytes, replayed; /* since the last call */
};
struct fanout_counts fanout_counts(struct fanout *f);

/* --- sessions --- */

/* Held at the head until session_start: nothing is delivered, nothing is missed. */
struct session *session_create(
    struct fanout *f, uint16_t lane, const struct transport_hooks *hooks, void *transport);
void session_destroy(struct session *s); /* NULL is fine; not from within a transport hook */
void session_start(struct session *s);

/* It stands in rooms of the same names on another lane. */
void session_change_lane(struct session *s, uint16_t lane);

/* For a held session: where it goes on from. By position in the hot log (exact), or by place in Kafka
   (holds the origin). session_enter ends the waiting that `away` began, in any log. */
void session_set_position(struct session *s, uint64_t position);
void session_set_origin(struct session *s, struct origin *origin);
void session_enter(struct session *s, unsigned log, uint64_t position, struct origin *origin);

/* A walk beside the session's own, which is held meanwhile: the same transport, but other rooms, up to
   `until`, which is where the session stands, or beyond it what that leaves out. Its events are marked as
   backfill. After `arrived` it is destroyed by the caller, and the session released. */
struct session *session_side(struct session *main, uint64_t until);
void session_set_side_position(struct session *side, uint64_t position);
/* The same for events that are to be acknowledged, and for no others: all of them that come before `until`,
   which may lie before where the session stands. */
struct session *session_repeat(struct session *main, uint64_t until);
bool session_is_repeat(const struct session *s);
void session_join_all_of(struct session *s, const struct session *other);
/* Up to where of the hot log the session is done: where it stands, or beyond that what it has seen elsewhere.
 * HOTLOG_NOWHERE: not known yet. */
uint64_t session_done(const struct session *s);
/* Only one that stands in the hot log, at or beyond where it was elsewhere, can be held. false: not yet, and
 * `arrived` is called when it is time to try again. */
bool session_hold(struct session *s);
void session_release(struct session *s);

/* Nothing is handed over until it is thawed, whatever else happens to it meanwhile; what comes waits in the
 * log. */
void session_freeze(struct session *s);
void session_thaw(struct session *s);

/* Standing in a room means: what the log holds of it from the session's position on is delivered. Leaving it:
   nothing of it is pending any more. true when that changed something. */
bool session_join(struct session *s, struct slice room);
bool session_leave(struct session *s, struct slice room);
bool session_stands_in(const struct session *s, struct slice room);
size_t session_rooms(const struct session *s);
/* Appends the name of one of its rooms; false: there are not so many. */
bool session_room_name(const struct session *s, size_t index, struct buffer *out);

/* The socket takes bytes again. */
void session_writable(struct session *s);
bool session_is_live(const struct session *s); /* at the head of the hot log */
/* The place in Kafka where it stands, in whichever log; the caller's. From within a turn. */
struct origin *session_here(struct session *s);
/* Where it stands, in whichever log. false: nowhere. */
bool session_place(const struct session *s, unsigned *log, uint64_t *position);
/* `plain`, a cursor of the log's place where the session stands, as it is for this session; returns the
 * length. */
size_t session_cursor(struct session *s, struct slice plain, char out[CURSOR_TEXT_MAX + 1]);
bool session_is_side(const struct session *s);
uint64_t session_until(
    const struct session *s); /* side walks: where they end in the hot log; else HOTLOG_NOWHERE */
uint64_t session_position(const struct session *s); /* in the hot log; of a live or held session */
