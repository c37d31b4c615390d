/* What one principal may see: the room rules of the catalogue applied to one user, as a state machine without
   I/O. It asks for lookups through a hook and is told the answers; it never waits. Lives on the thread of its
   session. */
#pragma once

#include "causeway/catalogue.h"
#include "causeway/rows.h"

enum lookup_status {
    LOOKUP_OK,
    LOOKUP_UNAVAILABLE /* database away or answer too late */,
    LOOKUP_FAILED /* the SQL failed */
};

enum grants_outcome {
    GRANTS_ALLOWED,
    GRANTS_NO_USER, /* the principal lookup gave no row, or more than one */
    GRANTS_FORBIDDEN,
    GRANTS_TOO_MANY,    /* more automatic rooms than allowed */
    GRANTS_UNAVAILABLE, /* in doubt: not granted */
};

struct grants;

struct grants_hooks {
    /* Run `lookup` with these parameters (views, copied by the callee) and later call grants_answer(g, tag,
     * ...). Never answers from within this call. */
    void (*lookup)(
        void *owner, const struct lookup *lookup, const struct slice *params, size_t count, uint64_t tag);
    /* grants_attach is decided. On GRANTS_ALLOWED: the distinct automatic rooms (views, valid during the
     * call). */
    void (*attached)(void *owner, enum grants_outcome outcome, const struct slice *rooms, size_t count);
    /* grants_request for `room` is decided; `tag` is the caller's. */
    void (*decided)(void *owner, struct slice room, enum grants_outcome outcome, uint64_t tag);
};

/* `user` is the token's user id as text. Holds the catalogue; copies user and hooks. `lane` is of that
 * catalogue. */
struct grants *grants_create(struct catalogue *c, const struct lane *lane, struct slice user,
    size_t rooms_max, const struct grants_hooks *hooks, void *owner);
/* NULL is fine; legal at any time, from within attached and decided as well (nothing of g is touched after
   them). Later answers must no longer be delivered to it, and what is undecided stays undecided. */
void grants_destroy(struct grants *g);

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

/* What hooks.lookup asked for; `rows` stays the caller's (g takes a hold of its own), NULL unless LOOKUP_OK.
   Unknown tags are ignored: a decision may have been clear before all answers came. */
void grants_answer(struct grants *g, uint64_t tag, enum lookup_status status, struct rows *rows);

/* After GRANTS_ALLOWED: a column of the principal's row, NULL data when there is none. */
struct slice grants_user_column(const struct grants *g, struct slice column);
