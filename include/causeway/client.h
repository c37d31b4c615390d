/* One client's conversation: who it is, which rooms it may stand in, where it resumes, and what its commands
   do. Knows neither sockets nor how messages are framed, so that every protocol has the same rules. Owns its
   sessions and its grants.
   @thread the loop of its session. */
#pragma once

#include "causeway/close.h"
#include "causeway/fanout.h"
#include "causeway/grants.h"
#include "causeway/json.h"
#include "causeway/limits.h"
#include "causeway/resume.h"
#include "causeway/timeline.h"

struct client;
struct roster;

/* Where a cursor stands, as far as this process can tell. */
struct client_location {
    enum { LOCATED_POSITION, LOCATED_PLAN, LOCATED_LOST, LOCATED_UNAVAILABLE } status;
    uint64_t position;        /* POSITION: of the hot log */
    struct resume_plan *plan; /* PLAN: lent */
};

/* What a token is worth. */
struct client_verdict {
    enum verdict_status {
        VERDICT_GOOD,
        VERDICT_BAD,
        VERDICT_LATER /* cannot be said now: its key may be one that could not be fetched */
    } status;
    const char *why;              /* BAD, LATER: in words, static */
    const char *user, *user_json; /* GOOD: lent; the id as text, and as it stands in the token */
    int64_t valid_ms;             /* GOOD: until it expires; negative when that is over, but forgiven */
    int64_t leeway_ms;            /* for so long its expiry is forgiven */
};

struct client_hooks {
    /* A message of ours for this client: its type, its data as JSON (NULL data: none), and a cursor (empty:
     * none). */
    void (*emit)(void *owner, const char *type, struct slice data_json, struct slice cursor);
    /* The one answer to a command that came with a request number; "error" says no. */
    void (*answer)(void *owner, uint64_t request, const char *type, struct slice data_json);
    /* The first credential is being judged: refused or attached follows. */
    void (*judging)(void *owner);
    /* The credential was no good, or (VERDICT_LATER) cannot be judged now: the connection is to be ended. */
    void (*refused)(void *owner, enum verdict_status status, const char *why);
    /* The user is known and the rights are decided. On GRANTS_ALLOWED `connected` is emitted right after;
     * otherwise, and when it comes again because no right is left, the connection is to be ended. */
    void (*attached)(void *owner, enum grants_outcome outcome);
    /* The token has expired and no other one came: the connection is to be ended. */
    void (*expired)(void *owner);
    /* It is over a limit so that the connection is to be ended; it may come back after so many ms. */
    void (*limited)(void *owner, enum limit limit, uint64_t retry_ms);
};

/* What all clients of a loop ask of the rest of the program. Answers name the client by its number in the
   roster: it may be gone by then. */
struct client_services {
    uint64_t (*now)(void *owner); /* monotonic ms */
    /* Judge this token (it is lent); client_judged follows, with the tag, possibly at once. */
    void (*judge)(void *owner, struct slice token, uint64_t client, uint64_t tag);
    /* Find out where a cursor stands; client_located follows, with the tag, possibly at once. */
    void (*locate)(void *owner, const struct cursor *cursor, uint64_t client, uint64_t tag);
    /* A cursor of a place in [least, position] of this log (0: the hot log), the last there is; returns its
     * length, 0 when there is none. */
    size_t (*cursor)(
        void *owner, unsigned log, uint64_t least, uint64_t position, char out[CURSOR_TEXT_MAX + 1]);
    /* A session needs what only Kafka still has: everything since `origin` (the callee's), up to `until` of
       the hot log at most (HOTLOG_NOWHERE: no limit). client_enter follows, with the session. */
    void (*away)(void *owner, uint64_t client, uint64_t session, struct origin *origin, uint64_t until);
};

struct client_settings {
    struct roster *roster;
    const struct client_services *services;
    void *services_owner;
    const struct transport_hooks *transport; /* how its sessions write */
    struct fanout *fanout;
    struct hotlog *hotlog;
    struct partitions *partitions;
    struct catalogue *catalogue;
    struct lookups *lookups;
    struct timeline *timeline; /* of the hot log */
    const struct lane *lane;
    struct allowance *allowance; /* of its connection; NULL: no limits */
    size_t rooms_max;
    int64_t expiry_warning_ms; /* `auth-expiring` comes so long before the token expires; 0: never */
    uint64_t backfill_ms;      /* a room that is granted later begins so long before its grant */
    uint64_t ack_ms;           /* what is not acknowledged for so long is sent again */
};

/* `transport` is what the transport hooks get for this client's sessions. */
struct client *client_create(
    const struct client_settings *settings, const struct client_hooks *hooks, void *owner, void *transport);
void client_destroy(struct client *c); /* NULL is fine; not from within a hook */

/* What the upgrade brought for resuming: views, copied. `rooms` is a comma list of rooms that were joined on
 * request. */
void client_set_resume(struct client *c, struct slice cursor, struct slice rooms);

/* Another catalogue takes the place of the one there was, which the caller still holds; the fan-out has left
   its past (fanout_leave_past), the lookups have become those of `catalogue`. `lane` is the client's there;
   NULL: it is no more, nothing is handed over any more, and the caller ends the connection. */
void client_adopt(struct client *c, struct catalogue *catalogue, const struct lane *lane);

/* The credential of the upgrade; later ones come as commands (`auth`, `refresh`). Once it is judged good, the
   position in the log is noted, then the rights are looked up. */
void client_authenticate(struct client *c, struct slice token);
/* @param now monotonic ms, as for client_tick */
void client_judged(struct client *c, uint64_t tag, const struct client_verdict *verdict, uint64_t now);
/* Tells of the expiry that comes, and ends it when it has come; repeats what was not acknowledged. Returns
   when it wants to be called again, at the latest: that moves only together with something that is emitted,
   or when client_unacknowledged says so. UINT64_MAX: not before that. */
uint64_t client_tick(struct client *c, uint64_t now);
void client_located(struct client *c, uint64_t tag, const struct client_location *location);

/* Counts a message, before it is looked at. false: one too many, not to be acted upon; the client was told
   (`rate_limited`), or with client_heard is not told: for what gets no answer of its own. */
bool client_may_speak(struct client *c, uint64_t request);
bool client_heard(struct client *c);

/* A message from the client: its type, and its data (JSON_NONE: none) in `j`. Answers through emit, or, when
   `request` is not 0, through answer, once, now or later. false: there is no such command. */
bool client_command(
    struct client *c, struct slice type, const struct json *j, uint32_t data, uint64_t request);

/* An `error` message; `room` may be empty. */
void client_error(struct client *c, const char *code, const char *message, struct slice room);

/* --- from the fan-out, for this client's sessions --- */
void client_writable(struct client *c);
void client_arrived(struct client *c, struct session *s);
void client_away(struct client *c, struct session *s, struct origin *origin); /* takes over the origin */
/* true: client_tick is due earlier than it last said. */
bool client_unacknowledged(struct client *c, struct session *s, const struct ack_span *span);
/* The session that was away goes on here; `gaps` are told first. false: it is gone. */
bool client_enter(struct client *c, uint64_t session, unsigned log, uint64_t position, struct origin *origin,
    const struct gap *gaps, size_t gap_count);

/* The cursor that goes with a ping, when the client is at the head; 0: none. */
size_t client_ping_cursor(struct client *c, char out[CURSOR_TEXT_MAX + 1]);

/* Appends the rooms that it has joined on request, a comma list: what a resume must name. false: more than
 * one can name, or than `max` bytes. */
bool client_requested_rooms(struct client *c, struct buffer *out, size_t max);
/* While `connected` is emitted: does it go on where its cursor stood, with nothing known to be missing? */
bool client_goes_on(const struct client *c);
/* A cursor of where the client's session stands, in whichever log; 0: what follows may be repeats. */
size_t client_place_cursor(struct client *c, char out[CURSOR_TEXT_MAX + 1]);

const char *client_user(const struct client *c); /* its id as text; NULL before it is known */
bool client_is_attached(const struct client *c);
bool client_is_waiting(const struct client *c); /* no credential came yet */
bool client_is_judged(const struct client *c);  /* ... or the one that came is still being judged */
