/* One client on a stage without sockets: it lives on a log, a fan-out and lookups of its own, and a fixture
   plays its surroundings. What the client says and the events that it gets are one text, read by
   assert_heard(); lookups, verdicts on tokens and places of cursors are answered when the test likes. */
#pragma once

#include "unit.h"

#include "causeway/client.h"

enum {
    ROOMS_MAX = 50,
    PENDING_MAX = 256,
    WARNING_MS = 60000,
    VALID_MS = 3600000,
    LEEWAY_MS = 30000,
    BACKFILL_MS = 1000,
    ACK_MS = 10000,
    LEASE_MS = 30000,
    PATIENCE_MS = 10000
};

struct pending {
    char name[16];
    char params[600]; /* each in brackets */
    uint64_t tag;
};

struct fixture {
    struct catalogue *catalogue;
    struct rooms *rooms;
    struct hotlog *log;
    struct fanout *fanout;
    struct roster *roster;
    struct lookups *lookups;
    struct timeline *timeline;
    struct client *client;
    struct pending pending[PENDING_MAX];
    size_t pending_count;
    struct buffer said; /* all messages and events, in the order they left; cleared by assert_heard() */
    struct buffer token;
    uint64_t judge_tag, now;
    int judging;
    uint64_t request; /* that commands come with */
    bool known;
    int outcome; /* of the attach; -1: not decided */
    int64_t offset;
    struct json json;
    struct partitions *partitions;
    struct hotlog *window;
    bool cursors, full;
    bool due_sooner; /* it was handed what it is to acknowledge */
    struct limits *limits;
    struct allowance *allowance;
    unsigned located; /* questions for a cursor's place */
    uint64_t locate_tag, locate_ahead;
    struct origin *away;
    uint64_t away_tag, until;
};

/* Another client takes the place of the one that is there; what was said and asked is forgotten. */
void create_client(struct fixture *x, size_t rooms_max);
int set_up(void **state);
int tear_down(void **state);

/* What was said since the last call. */
void assert_heard(struct fixture *x, const char *expected);

/* What the client sends, a whole message; x->known says whether it is a command at all. */
void command(struct fixture *x, const char *message);
void join(struct fixture *x, const char *room);
void leave(struct fixture *x, const char *room);

/* Takes the question out of those that wait. */
struct pending take_pending(struct fixture *x, size_t index);

/* The lookup was asked with these parameters; it is answered with rows of one or two columns, "" for none. */
void answer(struct fixture *x, const char *name, const char *params, const char *columns, const char *rows);

/* Answers the oldest question with a failure. */
void fail_lookup(struct fixture *x, enum lookup_status status);

/* The verdict on the last token that was handed on. */
void judge(struct fixture *x, const struct client_verdict *verdict);
void judge_good(struct fixture *x, const char *user, const char *user_json, int64_t valid_ms);

/* A token that is good; the principal is asked for then, and to be answered. */
void attach(struct fixture *x, const char *user, const char *user_json);

/* User 7 comes, and is told nothing yet of rooms that a lookup gives. */
void attach_as(struct fixture *x, const char *role);
void attach_reader(struct fixture *x);

/* An event for a room; its frame is "@room\n". */
void publish(struct fixture *x, const char *room);
void publish_to_acknowledge(struct fixture *x, const char *room);

/* The loop's turns, until nobody has anything left to walk. */
void turn(struct fixture *x);

/* publish() and turn(). */
void event(struct fixture *x, const char *room);

/* Some cursor; where it stands is for the test to say. */
const char *cursor_text(void);

/* Answers the question where the cursor stands: at a position of this log, */
void locate_at(struct fixture *x, uint64_t position);

/* or elsewhere: everything below `skip` was had, what is below `mark` may have been, */
void locate_by_plan(struct fixture *x, int64_t skip, int64_t mark, int64_t gap_to);

/* or by a status alone. */
void locate_as(struct fixture *x, int status);

/* User 7, a reader, comes with a cursor and rooms as they stand in a URL. */
void come_with(struct fixture *x, const char *cursor, const char *rooms);

/* So many events in one turn. */
void send_many(struct fixture *x, const char *room, int count);

#define stage(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
