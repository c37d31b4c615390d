/* What client.c (attaching, and the commands), client_auth.c (tokens), client_rooms.c (joining and leaving),
   client_rights.c (rights that change), client_resume.c (cursors, side walks) and client_acks.c (what is to
   be acknowledged) share. */
#pragma once

#include "causeway/client.h"
#include "causeway/roster.h"
#include "causeway/template.h"

enum { JOINS_IN_FLIGHT_MAX = 32, RESUME_ROOMS_MAX = 256 };

enum client_state { CLIENT_WAITING, CLIENT_ATTACHING, CLIENT_ATTACHED, CLIENT_REFUSED };

/* A join that waits for its lookup. A leave that comes in between takes it back. */
struct pending_join {
    struct pending_join *next;
    uint64_t tag;
    struct side *side; /* it is one of the rooms of this side walk; NULL: none */
    bool resuming;     /* named at the upgrade: attaching waits for it */
    bool taken_back;
    uint64_t request;  /* to be answered; 0: by a message */
    struct slice room; /* points behind the struct */
};

/* A walk beside the client's own session: rooms that it enters late, or a `resume` message. One at a time;
 * the others wait. */
struct side {
    struct side *next;
    struct session *session; /* NULL: not begun */
    bool placed;             /* it begins at `position` of the hot log, else where the cursor stands */
    uint64_t position;
    struct cursor cursor;
    uint64_t tag;    /* of locate */
    size_t deciding; /* joins that are not decided yet */
    char **rooms;    /* granted ones, to be joined for good at the end */
    size_t room_count;
    bool everything; /* a `resume` message, or rights younger than the cursor: all rooms of the session too */
    bool repeat;     /* what was not acknowledged; `cursor` is not looked at, `origin` is when it is there */
    uint64_t until;  /* repeats: the position of the hot log that they end before */
    struct origin *origin; /* held */
    bool asked;            /* a `resume` message: to be answered */
    uint64_t request;
    char place[CURSOR_TEXT_MAX + 1]; /* a cursor of where the session stands meanwhile, as it is for all */
    size_t place_size;               /* 0: none is known of just there */
};

/* What the client was handed and is to acknowledge. All of it lies between where `from` and `place` say and
 * `last`. */
struct acks {
    uint64_t from;        /* of the hot log; HOTLOG_NOWHERE: `place` says */
    struct origin *place; /* in Kafka */
    struct ack_span last;
    uint64_t
        ripe;     /* of the hot log: what lies before was sent before this round; HOTLOG_NOWHERE: not known */
    uint64_t due; /* when the round ends; UINT64_MAX: nothing waits */
    unsigned rounds;    /* that repeated something since the client acknowledged anything */
    bool ignored;       /* so many that it is taken for one that does not acknowledge */
    bool brought;       /* the repeat under way has found something */
    uint64_t tag;       /* of the cursor that is being looked up; 0: none is */
    struct cursor next; /* the latest that came meanwhile */
    bool another;       /* there is one */
};

/* An answer that came before the client was told that it is connected. */
struct note {
    struct note *next;
    const char *type; /* static */
    struct buffer data;
};

struct client {
    struct client_settings settings;
    const struct client_hooks *hooks;
    void *owner, *transport;
    uint64_t number; /* in the roster */
    struct session *session;
    struct grants *grants;
    char *user, *user_json;
    struct account *account; /* of the user; NULL: none is kept */
    enum client_state state;

    uint64_t judge_tag;                /* of the token that is being judged; 0: none is */
    uint64_t judge_request;            /* that a refresh came with */
    int64_t expires_at, expiry_leeway; /* of the token that holds: monotonic ms */
    bool expiry_told;

    struct pending_join *joins;
    size_t join_count;
    uint64_t next_tag;

    char *resume_cursor, *resume_rooms; /* of the upgrade; NULL: none */
    uint64_t locate_tag;                /* awaited for attaching; 0: none */
    struct gap *gaps;                   /* to be told once connected */
    size_t gap_count;
    bool resuming;                 /* `resumed` is still to be told */
    bool early;                    /* what is said now is for after `connected` */
    struct note *notes;            /* newest first */
    const struct template *naming; /* of the room that the command at hand is about; NULL: its data says */
    uint64_t answering;            /* the request that the next message answers; 0: none */

    struct side *sides; /* the first one is under way */
    struct acks *acks;  /* NULL: it was never handed anything that is to be acknowledged */

    bool doubted;   /* its rights are: nothing is handed over */
    uint64_t begin; /* nothing of the hot log before this position is its concern; 0: all may be */
    char **left;    /* automatic rooms that it left: not joined again by themselves */
    size_t left_count;
};

static const struct slice NO_SLICE = {NULL, 0};

/* --- client.c --- */
/* A message without a cursor: the answer to `answering`, or else now or behind `connected`. `type` is static.
 */
void client_say(struct client *c, const char *type, struct slice data_json);
void client_forget_notes(struct client *c);
uint64_t client_now(const struct client *c);
/* client_error, and when it may be tried again. */
void client_error_later(
    struct client *c, const char *code, const char *message, struct slice room, uint64_t retry_ms);
/* Notes the position in the log, then looks up the rights of client->user. */
void client_attach(struct client *c);
/* Everything that attaching waits for has come: connected, and off. */
void client_begin_when_settled(struct client *c);
size_t client_cursor(struct client *c, uint64_t position, char out[CURSOR_TEXT_MAX + 1]);

/* --- client_auth.c --- */
void client_command_auth(struct client *c, const struct json *j, uint32_t data);
void client_command_refresh(struct client *c, const struct json *j, uint32_t data);

/* --- client_rooms.c --- */
/* Asks whether the client may join; the pending join takes over `side`. false: too many at once, answered. */
bool client_ask_to_join(struct client *c, struct slice room, struct side *side, bool resuming);
void client_forget_joins(struct client *c);
void client_on_decided(void *owner, struct slice room, enum grants_outcome outcome, uint64_t tag);
void client_emit_room(struct client *c, const char *type, struct slice room);
void client_command_join(struct client *c, const struct json *j, uint32_t data);
void client_command_leave(struct client *c, const struct json *j, uint32_t data);

/* --- client_rights.c --- */
void client_on_doubted(void *owner, bool doubt);
void client_on_withdrawn(void *owner, struct slice room, enum grants_outcome why);
void client_on_granted(void *owner, const struct slice *rooms, size_t count, uint64_t known_until);
void client_on_ended(void *owner, enum grants_outcome why);
/* What it may see of before its cursor by rights that are younger than that, walked before all else. false:
 * nothing. */
bool client_repeat_grants(struct client *c);
void client_note_left(struct client *c, struct slice room, bool left);
void client_forget_rights(struct client *c);

/* --- client_resume.c --- */
void client_gap(struct client *c, const struct gap *gap);
/* false: it is none, and that was answered. */
bool client_read_cursor(struct client *c, struct slice text, struct slice room, struct cursor *out);
/* Asks where the upgrade's cursor stands, and for its rooms. */
void client_begin_resume(struct client *c);
void client_command_resume(struct client *c, const struct json *j, uint32_t data);
/* A side walk for one room, from this cursor; answered with an error when the cursor is none. */
void client_join_late(struct client *c, struct slice room, struct slice cursor);
/* One of a side's joins is decided. */
void client_side_decided(struct client *c, struct side *side, struct slice room, bool allowed);
/* Adds a room that is granted late to a side walk from this position of the hot log; NULL makes one. Then
   client_side_begin. */
struct side *client_side_add(struct client *c, struct side *side, struct slice room, uint64_t position);
/* The first of the side walks that wait, when it can begin. */
void client_side_begin(struct client *c);
/* Holds the session, which is at its beginning, for a walk of all its rooms from `from` to `until` of the hot
 * log. */
void client_side_first(struct client *c, uint64_t from, uint64_t until);
/* The room is not to be joined at the end of a side walk. true: it would have been. */
bool client_sides_leave(struct client *c, struct slice room);
void client_forget_sides(struct client *c);
/* A walk of what is to be acknowledged, up to `until`: from this position of the hot log, or else from the
 * place in Kafka (held). */
void client_side_repeat(struct client *c, uint64_t from, struct origin *place, uint64_t until);

/* --- client_acks.c --- */
void client_command_ack(struct client *c, const struct json *j, uint32_t data);
/* Repeats what is due. Returns when it wants to be called again. */
uint64_t client_acks_tick(struct client *c, uint64_t now);
void client_acks_located(struct client *c, const struct client_location *location);
/* A repeat has ended. false: it has found nothing. */
bool client_repeated(struct client *c, uint64_t until);
void client_forget_acks(struct client *c);
