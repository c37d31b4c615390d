/* What client.c (attaching, and the commands), client_auth.c (tokens), client_rooms.c (joining and leaving),
   client_rights.c (rights that change) and client_resume.c (cursors, side walks) share. */
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
    bool asked;      /* a `resume` message: to be answered */
    uint64_t request;
    char place[CURSOR_TEXT_MAX + 1]; /* a cursor of where the session stands meanwhile, as it is for all */
    size_t place_size;               /* 0: none is known of just there */
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
