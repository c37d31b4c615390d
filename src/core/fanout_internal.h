/* What fanout.c (turns), walk.c (from a position), chunk.c (what one write can take), walkers.c (how far
 * those in a window are) and session.c (who stands where) share. */
#pragma once

#include "causeway/buffer.h"
#include "causeway/check.h"
#include "causeway/fanout.h"

enum {
    CHUNK_PARTS = 512,
    CHUNK_FRAMES = 2048,
    CHUNK_BYTES = 128 * 1024, /* near SO_SNDBUF: larger writes gain nothing */
    CHUNK_LOOKS = 8192,       /* entries looked at for one chunk, when most of them are to be skipped */
    MEMO_SLOTS = 16,
    HOT = 0, /* the number of the hot log */
    ORIGINS_KEPT = 16,
};

#define NO_WALKER UINT32_MAX

enum session_state {
    SESSION_HELD,    /* rights are being looked up, or a side walk is under way */
    SESSION_LIVE,    /* position is the fan-out's own */
    SESSION_READY,   /* behind; the socket takes bytes; in the fan-out's queue, unless frozen */
    SESSION_BLOCKED, /* behind; waits for session_writable and costs nothing */
    SESSION_WAITING, /* at the head of a window that is still being filled */
    SESSION_AWAY     /* waits for session_enter */
};

/* A room that a session stands in, and where the session stands in the room's list. */
struct membership {
    uint32_t room;
    uint32_t place;
};

struct session {
    struct fanout *fanout;
    const struct transport_hooks *hooks;
    void *transport;
    uint64_t position;               /* behind: the next entry to look at */
    struct origin *origin;           /* while entries must be compared with where it came from; else NULL */
    struct session *next, *previous; /* all sessions of the fan-out */
    struct session *queue_next, *queue_previous;
    struct membership *rooms;
    uint32_t room_count, room_capacity;
    uint32_t walker; /* where it stands among the walkers of its log, or NO_WALKER */
    uint32_t touched_turn;
    uint32_t touched_room; /* the one room that this turn's entries are in, or ROOM_NONE for several */
    uint64_t until;        /* side walks: where the session they belong to stands, in the hot log */
    struct session *main;  /* side walks: that session; else NULL */
    uint16_t lane;
    uint8_t log;
    uint8_t state;
    bool frozen;   /* whatever its state, nothing is handed over */
    bool stays;    /* held for a side walk: it stands in the hot log like those behind */
    bool side;     /* main is set */
    bool repeat;   /* side walks: of what is to be acknowledged, and nothing else */
    bool strayed;  /* side walks: may have brought more than they were to */
    bool arriving; /* `arrived` is still to be told */
    bool ahead;    /* live, and among those that cannot be held yet */
};

/* The sessions of this loop that stand in one room. */
struct local_room {
    struct session **sessions;
    uint32_t count, capacity;
    uint32_t touched_turn;
};

struct queue {
    struct session *first, *last;
};

/* A log as this loop sees it in this turn. */
struct view {
    struct hotlog *log;
    struct hotlog_reader *reader;
    struct cursor_rebase *rebase; /* NULL: who comes from elsewhere gets no cursors */
    uint64_t tail, head;
    struct session **walkers; /* those behind that stand in it: a heap, see walkers.c */
    uint32_t walker_count, walker_capacity;
    struct queue waiting; /* windows: those of them that wait at its head */
    size_t waiting_count;
};

/* A stretch of frames for one set of rooms from one position: what one write can take, and where each frame
 * ends. */
struct chunk {
    uint64_t position;     /* where it begins */
    uint64_t head;         /* built up to here ... */
    uint64_t next;         /* ... so the session goes on from here */
    struct origin *origin; /* held: filtered and marked for this one */
    uint32_t room; /* the only room with entries in the stretch, or ROOM_NONE when it is one session's own */
    uint8_t log;
    bool live; /* with ephemeral events */
    bool side;
    bool repeat;
    bool whole; /* ended because it was full, not because the log ended: holds for any later head */
    int part_count;
    uint32_t frame_count;
    size_t bytes;
    uint64_t ack_first, ack_last;        /* entries that are to be acknowledged; UINT64_MAX, 0: none */
    struct buffer text;                  /* rewritten frames */
    struct iovec parts[CHUNK_PARTS + 1]; /* the last one is for a trailer */
    uint32_t frame_end[CHUNK_FRAMES];    /* bytes up to and including this frame */
    uint64_t frame_sequence[CHUNK_FRAMES];
};

struct fanout {
    struct view views[FANOUT_LOGS_MAX];
    size_t view_count;
    bool pinned; /* the views are */
    struct rooms *rooms;

    uint64_t position; /* of every live session */
    uint32_t turn;

    struct local_room *local; /* by room number */
    uint32_t local_capacity;
    uint32_t *touched; /* scratch: rooms with new entries and sessions here */
    size_t touched_count, touched_capacity;
    struct session **hit; /* scratch: live sessions with new entries */
    size_t hit_count, hit_capacity;

    struct session *first;
    struct queue ready;
    struct queue ahead; /* live ones whom the log has yet to come up with, before they can be held */
    size_t sessions, behind;
    struct origin *origins[ORIGINS_KEPT]; /* held: those who stand alike get the same one, and share chunks */
    unsigned next_origin;
    uint64_t deliveries, bytes, replayed;

    struct chunk *memo; /* MEMO_SLOTS, shared among sessions that stand alike */
    struct chunk *own;  /* for the session at hand */
    struct merge_run *runs;
    size_t run_capacity;
};

/* One room's entries on the way through a merge. */
struct merge_run {
    struct hotlog_run run;
    uint32_t room;
};

/* The next stretch for this session; NULL: none of its rooms has an entry in [position, head). `only`: the
   one room that can have any, or ROOM_NONE when that is not known. Valid until the next call. */
struct chunk *chunk_choose(
    struct fanout *f, const struct session *s, uint64_t position, uint64_t head, uint32_t only);

void chunk_finish(struct chunk *c);

/* Writes on from `position` up to `head`, at most `chunks` chunks. Sets s->position; returns true when the
 * head was reached. */
bool walk(struct fanout *f, struct session *s, uint64_t position, uint64_t head, uint32_t only, int chunks);

/* --- session.c: the only places that change these --- */
/* The state, and with it the membership in a queue. */
void session_change(struct session *s, enum session_state to);
/* Not of one that waits at the head of a window. */
void session_change_log(struct session *s, unsigned log, uint64_t position);
void session_move(struct session *s, uint64_t position); /* on, in its log */
/* Those who can be held by now. */
void session_tell_holdable(struct fanout *f);
/* Where it comes from; takes over the hold. NULL: it is like every other now. */
void session_change_origin(struct session *s, struct origin *origin);

/* --- place.c --- */
/* From here on it stands in no log. Exact while pinned, and while the log has what lies before its position.
 */
void session_lose_place(struct session *s);
/* A side walk whose window led beyond its end, up to `reached` of the hot log: its session comes to that
 * again, and marks it. */
void session_mark_strayed(struct session *side, uint64_t reached);

/* --- walkers.c --- */
void walkers_add(struct view *v, struct session *s);
void walkers_remove(struct view *v, struct session *s);
void walkers_moved(struct view *v, struct session *s); /* its position has grown */
