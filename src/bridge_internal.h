/* What the bridge_*.c files share: bridge.c starts and stops, bridge_ingest.c is the Kafka thread's side of
   the hot log, bridge_judge.c routes or rejects a record, bridge_history.c has checkpoints and finds cursors,
   bridge_sweep.c reads what is older, bridge_reload.c exchanges the catalogue, bridge_letters.c writes down
   what cannot be routed, bridge_rights.c brings lookups and changes of rights to the loops,
   bridge_stand_in.c plays all of that with the document's examples, bridge_invalidations.c hears of some
   changes by a topic, bridge_worker.c is one loop with all that lives on it, bridge_status.c what operators
   ask over HTTP. */
#pragma once

#include "causeway/bridge.h"
#include "causeway/catalogue.h"
#include "causeway/front.h"
#include "causeway/journal.h"
#include "causeway/kafka.h"
#include "causeway/listener.h"
#include "causeway/lives.h"
#include "causeway/lookups.h"
#include "causeway/loop.h"
#include "causeway/postgres.h"
#include "causeway/roster.h"
#include "causeway/route.h"
#include "causeway/sio.h"
#include "causeway/token.h"
#include "causeway/ws.h"

#include <pthread.h>
#include <stdatomic.h>

/* The catalogue that is loaded, until a reload brings the next one. Immutable; shared by reference count. */
struct edition {
    atomic_uint references;
    uint64_t number; /* ascending */
    struct catalogue *catalogue;
    struct buffer document; /* all files that were loaded: is it another one? */
    struct buffer json;     /* the document as one file; empty: it refers to itself */
    struct buffer html;     /* ... for people */
    struct examples *examples;
};

struct worker {
    struct bridge *bridge;
    struct edition *edition; /* that its clients know */
    struct loop *loop;
    struct fanout *fanout;
    struct roster *roster;
    struct ws *ws;
    struct sio *sio;
    struct front *front;
    struct lookups *lookups;
    struct timeline *timeline;
    struct question *questions;    /* where cursors stand that name partitions not found yet */
    struct loop_timer pulse_timer; /* how the listening connection is */
    struct loop_timer count_timer; /* metrics of the fan-out */
    int64_t behind;                /* as last counted */
    struct loop_task drain_task;
    pthread_t thread;
    atomic_size_t peers; /* for the thread that waits for the drain */
};

struct ingest;
struct judge;
struct reload;
struct stand_in;
struct history;
struct sweeps;
struct gate;
struct letters;
struct invalidations;

struct bridge {
    const struct config *config;
    struct reload *reload;
    struct stand_in *stand_in; /* stands in for Kafka and PostgreSQL; NULL: the real ones */
    struct rooms *rooms;
    struct partitions *partitions;
    struct limits *limits;
    struct journal *journals[FANOUT_LOGS_MAX]; /* the hot log, then one window per sweeper */
    unsigned journal_count;
    struct gate *gate;
    struct postgres *postgres;
    struct ingest *ingest;
    struct history *history;
    struct sweeps *sweeps;
    struct letters *letters;             /* NULL: there are to be none */
    struct invalidations *invalidations; /* likewise */
    pthread_t starter;
    _Atomic(struct kafka_source *) source; /* NULL until it is known where to begin */
    struct listener *listener;
    struct worker *workers;
    unsigned worker_count;
    atomic_uint next_worker;
    atomic_bool draining;
    atomic_bool refused;
};

/* --- bridge_reload.c: which edition of the catalogue there is ---
   An edition takes effect on the Kafka thread, between two records, while every loop lets its clients know
   and nothing is routed: what was routed by the one before is walked by nobody afterwards. */

/* NULL: `fault` says why. Release it. */
struct edition *edition_load(const struct config *config, struct buffer *fault);
struct edition *edition_hold(struct edition *e);
void edition_release(struct edition *e); /* NULL is fine */
/* The topics that are worth reading; the array is the caller's. */
size_t edition_topics(const struct edition *e, struct slice **names);

/* Takes over the edition to begin with. */
struct reload *reload_create(struct bridge *b, struct edition *first);
void reload_destroy(struct reload *r);
/* Any thread. The newest edition that is in effect, or is about to be. Release it. */
struct edition *reload_current(struct reload *r);
bool reload_is_current(struct reload *r, const struct edition *e);
/* @thread main. Loads the catalogue anew; what is wrong changes nothing, and is logged. */
void reload_begin(struct reload *r);
/* @thread kafka. Is there a new edition? Then, with everything published, it is taken: when that returns, all
   loops have come to the head of the hot log, and whoever is not there has left the logs. When the hot log
   has been emptied, the loops adopt the edition. Release it then. */
bool reload_waits(struct reload *r);
struct edition *reload_take(struct reload *r);
void reload_adopt(struct reload *r, struct edition *e);

/* --- bridge_ingest.c: @thread kafka --- */
struct ingest *ingest_create(struct bridge *b);
void ingest_destroy(struct ingest *in);
bool ingest_awaits_life(
    const struct ingest *in); /* any thread: a life began, and its first record has not come */
extern const struct kafka_source_hooks ingest_hooks; /* owner: struct ingest */

/* --- bridge_judge.c: one per thread that reads Kafka --- */
struct judge *judge_create(struct bridge *b);
void judge_destroy(struct judge *g); /* NULL is fine */
const struct edition *judge_edition(const struct judge *g);
/* From now on it judges by this edition, of which it holds its own. */
void judge_adopt(struct judge *g, struct edition *e);
/* What it is; *out is valid until the next call. */
enum reject judge_look(struct judge *g, const struct record *r, struct routed *out);
/* Appends what the record is to clients; returns the number of entries. `first_time`: a rejection is counted
 * and told. */
size_t judge_record(
    struct judge *g, struct journal *j, uint32_t partition, const struct record *r, bool first_time);

/* --- bridge_history.c --- */
struct history *history_create(struct bridge *b, const struct kafka_settings *settings);
void history_stop(struct history *h); /* its threads */
void history_destroy(struct history *h);
bool history_ready(struct history *h, char *detail, size_t size);
bool history_refused(struct history *h, char *detail,
    size_t size); /* the checkpoint topic's settings would lose what cursors point to */
/* Waits until the newest checkpoints have been read, or there are none. false: given up. */
bool history_wait(struct history *h);
void history_give_up(struct history *h);
/* Where reading begins so that the hot log is warm when everybody comes back: 60 s before the last record
 * that a checkpoint knows, but not before what fits; and the records by which it can be seen whether the log
 * is still the same. A topic that no checkpoint knows begins at its head. Free it. After history_wait. */
struct kafka_source_start *history_past(
    struct history *h, const struct kafka_settings *settings, int64_t records_max, size_t *found);
/* NULL: nothing is known. */
const struct life *history_known_life(const struct history *h, struct slice topic, int32_t partition);
/* On the journal's writer thread. */
bool history_checkpoint(struct history *h, unsigned journal, bool even_unmoved);
bool history_take_acknowledgements(struct history *h, unsigned journal);
/* @thread loop: answers through client_located, possibly at once. */
void history_locate(
    struct history *h, struct worker *w, const struct cursor *cursor, uint64_t client, uint64_t tag);
void history_pulse(struct worker *w);  /* @thread loop, several times a second: those that wait */
void history_forget(struct worker *w); /* ... are not answered any more */

/* Has "now" begun: is it settled where each partition is read from, and can a cursor say so? */
bool bridge_started(struct bridge *b);

uint64_t clock_monotonic_ms(void);
uint64_t random_nonce(void);

/* --- bridge_sweep.c --- */
struct sweeps *sweeps_create(struct bridge *b, const struct kafka_settings *settings);
void sweeps_stop(struct sweeps *s);
void sweeps_destroy(struct sweeps *s);
/* @thread loop. Takes over the origin; answers through client_enter. */
void sweeps_request(struct sweeps *s, struct worker *w, uint64_t client, uint64_t session,
    struct origin *origin, uint64_t until);

/* --- bridge_letters.c --- */
struct letters *letters_create(struct bridge *b, const struct kafka_settings *settings);
void letters_stop(struct letters *t); /* NULL is fine, as below */
void letters_destroy(struct letters *t);
bool letters_ready(struct letters *t, char *detail, size_t size);
void letters_set_topics(
    struct letters *t, const struct slice *names, size_t count); /* any thread; NULL is fine */

/* --- bridge_rights.c --- */
struct lookups *rights_lookups_create(struct worker *w);
void rights_pulse(struct worker *w); /* @thread loop, several times a second */
/* Any thread. A change of rights was heard of: every loop looks up what it concerns. `source` is for the
 * metric. */
void rights_changed(struct bridge *b, struct slice what, uint64_t number, const char *source);
void rights_notified(void *bridge, struct slice payload, uint64_t mark); /* @thread postgres */
bool rights_ready(struct bridge *b, char *detail, size_t size);          /* any thread */

/* --- bridge_invalidations.c: changes of rights that a topic tells of --- */
struct invalidations *invalidations_create(struct bridge *b, const struct kafka_settings *settings);
void invalidations_destroy(struct invalidations *v); /* NULL is fine, as below; before postgres is gone */
/* Any thread. Lowers the pulse of the listening connection to what holds for the topic, too. */
void invalidations_pulse(struct invalidations *v, struct lookups_pulse *pulse);
bool invalidations_ready(
    struct invalidations *v, char *detail, size_t size); /* any thread; true says nothing */

/* --- bridge_gate.c: tokens and the keys that they are judged by --- */
struct gate *gate_create(const struct config *config, struct buffer *fault); /* NULL: a setting is at fault */
void gate_stop(struct gate *g); /* its thread; who still waits is answered */
void gate_destroy(struct gate *g);
void gate_reload(struct gate *g); /* any thread */
bool gate_ready(struct gate *g, char *detail, size_t size);
/* @thread loop. Answers through client_judged, possibly at once. */
void gate_judge(struct gate *g, struct worker *w, struct slice token, uint64_t client, uint64_t tag);

/* --- bridge_stand_in.c: a server that knows nothing but the document's examples --- */
struct stand_in *stand_in_create(struct bridge *b);
void stand_in_stop(struct stand_in *r);    /* its thread; NULL is fine */
void stand_in_destroy(struct stand_in *r); /* NULL is fine */
bool stand_in_started(struct stand_in *r); /* any thread */
/* @thread loop, all below. What the services of clients and lookups are otherwise asked. */
void stand_in_note_token(struct stand_in *r, struct slice user, struct slice token);
struct rows *stand_in_answer(struct stand_in *r, const struct catalogue *c, const struct lookup *lookup,
    const struct slice *params, size_t count); /* release it */
void stand_in_locate(struct worker *w, const struct cursor *cursor, uint64_t client, uint64_t tag);
void stand_in_away(struct worker *w, uint64_t client, uint64_t session, struct origin *origin);

/* --- bridge_worker.c --- */
void worker_create(struct worker *w, struct bridge *b); /* everything that lives on the loop */
void worker_start(struct worker *w);                    /* its thread */
/* Any thread. `read`: what has been read from it already. */
void worker_adopt(struct worker *w, int fd, struct slice read);
/* @thread loop: the two steps of a reload. */
void worker_leave_past(struct worker *w, struct edition *e);
void worker_change_edition(struct worker *w, struct edition *e);
void worker_drain(struct worker *w);  /* any thread */
void worker_stop(struct worker *w);   /* joins; what lives on the loop is freed by worker_finish */
void worker_finish(struct worker *w); /* after nobody posts to the loop any more */

/* --- bridge_status.c --- */
/* @thread loop */
bool status_request(struct worker *w, const struct http_head *head, struct buffer *response);
