/* The fan-out of one loop: its sessions, the rooms they stand in, and their positions in the hot log.
   A session has no queue. Live means that its position is the head; joining, lagging behind a slow socket and
   being held are one state, behind, served by walking on from the position, through the entries of its rooms,
   until the socket is full.
   @thread the loop that owns it. No lock, no query and no allocation per receiver while events go out. */
#pragma once

#include "causeway/hotlog.h"

#include <sys/uio.h>

struct fanout;
struct session;

/* How a session's frames leave. `transport` is the session's own pointer. */
struct transport_hooks {
    /* Hands whole frames to the socket; returns how many bytes it took. After less than all, session_writable
     * is called when it takes more. */
    size_t (*write)(void *transport, const struct iovec *parts, int count);
    /* The rest of the one frame that was cut in the middle: goes out before anything else. */
    void (*keep)(void *transport, const char *rest, size_t size);
    /* Records [from, to) of this partition are no longer held and were not looked at for this session. */
    void (*gap)(void *transport, struct slice topic, int32_t partition, int64_t from, int64_t to);
};

struct fanout *fanout_create(struct hotlog *log, struct rooms *rooms, const struct transport_hooks *hooks);
void fanout_destroy(struct fanout *f); /* its sessions have been destroyed */

/* One turn: new entries to the live sessions, then a bounded share of work for those behind. true: there is
 * more to do. */
bool fanout_turn(struct fanout *f);
/* Are there entries that no turn has seen? For the moment before the loop sleeps. */
bool fanout_pending(const struct fanout *f);

struct fanout_counts {
    size_t sessions, behind;
    uint64_t deliveries, bytes; /* since the last call */
};
struct fanout_counts fanout_counts(struct fanout *f);

/* --- sessions --- */

/* Held at the current position until session_start: nothing is delivered, nothing is missed. */
struct session *session_create(struct fanout *f, uint16_t lane, void *transport);
void session_destroy(struct session *s); /* NULL is fine; not from within a transport hook */
void session_start(struct session *s);

/* Standing in a room means: what the log holds of it from the session's position on is delivered. Leaving it:
   nothing of it is pending any more. true when that changed something. */
bool session_join(struct session *s, struct slice room);
bool session_leave(struct session *s, struct slice room);
bool session_stands_in(const struct session *s, struct slice room);
size_t session_rooms(const struct session *s);

/* The socket takes bytes again. */
void session_writable(struct session *s);
bool session_is_live(const struct session *s);
