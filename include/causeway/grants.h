/* What one principal may see: the room rules of the catalogue applied to one user, as a state machine without
   I/O. It rests on live lookups (lookups.h), never waits, and when their answers change it says which rooms
   that takes away and which it gives.
   @thread the loop of its session. */
#pragma once

#include "causeway/catalogue.h"
#include "causeway/lookups.h"
#include "causeway/rows.h"

enum grants_outcome {
    GRANTS_ALLOWED,
    GRANTS_NO_USER, /* the principal lookup gave no row, or more than one */
    GRANTS_FORBIDDEN,
    GRANTS_TOO_MANY,    /* more automatic rooms than allowed */
    GRANTS_UNAVAILABLE, /* in doubt: not granted */
};

struct grants;

struct grants_hooks {
    /* grants_attach is decided. On GRANTS_ALLOWED: the distinct automatic rooms (views, valid during the
     * call).
     */
    void (*attached)(void *owner, enum grants_outcome outcome, const struct slice *rooms, size_t count);
    /* grants_request for `room` is decided; `tag` is the caller's. An allowed one is kept in mind until
     * grants_leave. */
    void (*decided)(void *owner, struct slice room, enum grants_outcome outcome, uint64_t tag);
    /* Rights are in doubt: nothing may be handed over until they are not. */
    void (*doubted)(void *owner, bool doubt);
    /* The right to a room is over: GRANTS_FORBIDDEN, or GRANTS_UNAVAILABLE when it could not be looked up. No
     * other function of g from within, nor from granted. */
    void (*withdrawn)(void *owner, struct slice room, enum grants_outcome why);
    /* Further automatic rooms; until `known_until` (ms) it was known that they were not granted. */
    void (*granted)(void *owner, const struct slice *rooms, size_t count, uint64_t known_until);
    /* No right at all is left: as attached says it, but later. The last call. */
    void (*ended)(void *owner, enum grants_outcome why);
};

/* `user` is the token's user id as text. Holds the catalogue; lends the lookups, which are of that catalogue;
   copies user and hooks. */
struct grants *grants_create(struct catalogue *c, const struct lane *lane, struct lookups *lookups,
    struct slice user, size_t rooms_max, const struct grants_hooks *hooks, void *owner);
/* NULL is fine; legal from within attached, decided and ended too (nothing of g is touched after them). What
   is undecided stays undecided. */
void grants_destroy(struct grants *g);

/* Another catalogue takes the place of the one there was, which the caller still holds until after that, and
   whose lookups have become those of `c` (lookups_adopt): whatever was decided is looked at anew and reported
   as a change of rights, rights being in doubt until then. */
void grants_adopt(struct grants *g, struct catalogue *c, const struct lane *lane);
/* Nothing is granted any more; no further call of a hook but ended(why). */
void grants_give_up(struct grants *g, enum grants_outcome why);

/* Who is it, and which automatic rooms? Always decided later, through hooks.attached: the principal's lookup
   first, then all others at once, none twice. May be called again once decided; not before. */
void grants_attach(struct grants *g);

/* May this principal join `room`? Decided at once or after lookups, always through hooks.decided (possibly
   within the call). Several may be in flight. A name that no pattern matches and one whose rules do not hold
   get the same GRANTS_FORBIDDEN; before the principal is known, GRANTS_UNAVAILABLE. A rule with a lookup
   holds when one row agrees with the name: columns that are named like a placeholder have its text. In
   automatic rules each placeholder that `with` does not fill needs such a column; in request rules a lookup
   without such columns says yes by any row: its parameters should ask about {room.*}. */
void grants_request(struct grants *g, struct slice room, uint64_t tag);
/* The principal stands in it by request no more. */
void grants_leave(struct grants *g, struct slice room);

/* Is it one of the automatic rooms? */
bool grants_is_automatic(const struct grants *g, struct slice room);

/* After GRANTS_ALLOWED: of what its rooms rest on, has anything changed that may have been heard of since?
 * Until when it was known not to have; UINT64_MAX: nothing has. */
uint64_t grants_changed_since(const struct grants *g, uint64_t since_ms);

/* After GRANTS_ALLOWED: a column of the principal's row, NULL data when there is none. */
struct slice grants_user_column(const struct grants *g, struct slice column);
