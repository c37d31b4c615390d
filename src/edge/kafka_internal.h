/* What the kafka_*.c files share: kafka_settings.c makes configurations and handles of librdkafka,
   kafka_client.c what every user of a handle needs, kafka_admin.c looks at topics and makes them;
   kafka_topic.c knows where each partition of a topic is read, kafka_probe.c whether it is still the same
   log, kafka_source.c turns the wheel. */
#pragma once

#include "causeway/clock.h"
#include "causeway/kafka.h"
#include "causeway/lock.h"
#include "causeway/metrics.h"

#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <stdatomic.h>

/* --- kafka_settings.c --- */

/* Our values, overridden by the user's properties. NULL: `fault` names the property. The caller's to destroy.
 */
rd_kafka_conf_t *kafka_conf_create(
    rd_kafka_type_t type, const struct kafka_settings *settings, char *fault, size_t size);

/* Leaves `conf` the caller's. NULL: `fault` says why. */
rd_kafka_t *kafka_client_create(rd_kafka_type_t type, const rd_kafka_conf_t *conf, char *fault, size_t size);

/* The log callback of every handle. */
void kafka_log(const rd_kafka_t *client, int level, const char *facility, const char *text);

/* --- kafka_client.c --- */

/* A thread that gets no signals: those are for the thread that waits for them. */
void kafka_thread_start(pthread_t *thread, void *(*run)(void *), void *argument, const char *name);

/* Overrides what the user may have set. The value must be one that librdkafka accepts. */
void kafka_conf_force(rd_kafka_conf_t *conf, const char *name, const char *value);

/* No broker answered, as opposed to: a broker answered with an error. */
bool kafka_unanswered(rd_kafka_resp_err_t error);

/* What lies between [low, high) is in the log; -1: not known. */
struct kafka_ends {
    int64_t low, high;
};

/* Asks for the ends of every partition in the list, out[i] for its i-th element. Blocks for `wait_ms` twice
   at most. Unlike rd_kafka_query_watermark_offsets, which in librdkafka before 2.3 waits without end. */
rd_kafka_resp_err_t kafka_ends_ask(
    rd_kafka_t *client, const rd_kafka_topic_partition_list_t *parts, int wait_ms, struct kafka_ends *out);

int64_t kafka_message_time(const rd_kafka_message_t *m); /* 0: none */
struct anchor kafka_message_anchor(const rd_kafka_message_t *m);
/* Views into the message. */
void kafka_message_record(const rd_kafka_message_t *m, struct slice topic, struct record *out);

/* --- kafka_alarm.c: what librdkafka mends without a word --- */

enum { KAFKA_TOPIC_MAX = 249 };

/* A partition was read with a break: what is fetched from now on may be of another log. */
struct kafka_call {
    char topic[KAFKA_TOPIC_MAX + 1];
    int32_t partition; /* -1: all of all topics */
};

struct kafka_alarm {
    atomic_bool rung;
    bool verbose;     /* the user wants librdkafka's debug log */
    struct lock lock; /* what follows */
    struct kafka_call *calls;
    size_t count;
    bool everywhere;
};

/* Makes handles of this configuration ring. Becomes its opaque: put it first in the struct that callbacks are
 * to find. */
void kafka_alarm_init(struct kafka_alarm *a, rd_kafka_conf_t *conf);
void kafka_alarm_finish(struct kafka_alarm *a); /* after the handles */
/* Asked after a message was taken from a queue: did it ring before that message was fetched? Costs a load. */
bool kafka_alarm_rung(const struct kafka_alarm *a);
bool kafka_alarm_take(struct kafka_alarm *a, struct kafka_call *out); /* false: all are taken */

/* --- kafka_admin.c: topics of our own; every call blocks for `patience_ms` at most, less when stopping ---
 */

struct kafka_admin {
    rd_kafka_t *client; /* a consumer's: a producer's questions make brokers create topics */
    rd_kafka_queue_t *queue;
    const atomic_bool *stopping;
    int patience_ms;
};

/* No partitions: it does not exist. An error: in words by kafka_admin_explain. */
rd_kafka_resp_err_t kafka_admin_look(rd_kafka_t *client, const char *name, int *brokers, int *partitions);
void kafka_admin_explain(rd_kafka_resp_err_t error, const char *name, char *detail, size_t size);

void kafka_admin_begin(
    struct kafka_admin *a, rd_kafka_t *client, int patience_ms, const atomic_bool *stopping);
void kafka_admin_end(struct kafka_admin *a);
rd_kafka_AdminOptions_t *kafka_admin_options(const struct kafka_admin *a, rd_kafka_admin_op_t operation);
/* NULL: no answer. What the queue still gets later goes with it. */
rd_kafka_event_t *kafka_admin_await(const struct kafka_admin *a, rd_kafka_event_type_t type);
/* true: it is there now, or will be in a moment. `detail` gets a text either way. */
bool kafka_admin_make(const struct kafka_admin *a, const char *name, int partitions, int brokers,
    const struct kafka_property *properties, size_t count, char *detail, size_t size);

/* --- kafka_probe.c: looks into the log on a thread of its own --- */

struct kafka_probe;

enum kafka_probe_verdict {
    PROBE_UNANSWERED,
    PROBE_SAME,
    PROBE_OTHER,   /* another record is there, or the log ends before */
    PROBE_RETAINED /* it was deleted by now */
};

struct kafka_probe_answer {
    void *context; /* the asker's own */
    int32_t partition;
    struct anchor anchor;
    enum kafka_probe_verdict verdict;
    int64_t low, high; /* of the log, unless unanswered */
};

struct kafka_probe *kafka_probe_create(const struct kafka_settings *settings);
void kafka_probe_destroy(struct kafka_probe *p); /* NULL is fine */
/* Is this record still there? The name must stay until the answer was taken or the probe destroyed. */
void kafka_probe_ask(struct kafka_probe *p, const char *topic, const struct kafka_probe_answer *question);
bool kafka_probe_take(struct kafka_probe *p, struct kafka_probe_answer *out); /* false: none yet */

/* --- kafka_topic.c and kafka_trace.c: everything on the source's thread --- */

/* One handle of librdkafka and where its partitions deliver to. */
struct kafka_reader {
    rd_kafka_t *client; /* NULL: none at the moment */
    rd_kafka_queue_t *queue;
    struct kafka_source_hooks hooks;
    void *owner;
};

enum kafka_partition_state {
    PARTITION_UNPLACED, /* the brokers have not said yet where it starts */
    PARTITION_PLACED,   /* to be started at its position */
    PARTITION_READING,
    PARTITION_LOST, /* the brokers do not have its position */
};

/* Whether the log that is read is still the one that was read. The mark is looked for in the log now and
   then. When it is found, the record that was the last when it was asked for becomes the mark: it was read
   before the log was seen to be the old one, so it is of that one. */
enum { TRACE_TAILS_MAX = 4 };

struct kafka_trace {
    struct anchor last;                   /* handed on last; offset -1: none, as below */
    struct anchor tails[TRACE_TAILS_MAX]; /* handed on last before trouble: the next marks */
    unsigned tail_count;
    struct anchor mark, next_mark;
    struct anchor seam; /* has to come first where reading goes on: the last one, once more */
    struct anchor held[KAFKA_OLDER_MAX]; /* earlier marks, which were found, the latest first */
    unsigned held_count;
    bool asked;   /* a question is out */
    int of_held;  /* it is, or will be, about this one of the held, since the mark was not found; -1: the mark
                   */
    bool awaited; /* reading does not begin before the answer */
    bool deciding; /* the position is not in this log: the answer tells where to go on */
    uint64_t ask_at;
    uint64_t hurried_at;
    uint64_t asked_at, same_at; /* when the question was put; ... the one that was answered well, */
    int64_t same_high;          /* ... and said that the log ended here */
};

struct kafka_partition {
    enum kafka_partition_state state;
    struct kafka_trace trace;
    int64_t start;       /* where it is to begin, if that is there; -1: as below */
    int64_t position;    /* the next offset to hand on */
    bool from_beginning; /* where it starts once placed; otherwise at its head */
    bool unproven;       /* from the beginning only because the topic was missing: the first record decides */
    int64_t head;        /* the high watermark when it was placed */
    bool beyond;         /* the position was already found beyond the head once */
    bool led;            /* has a leader, as of the last metadata; ... */
    uint64_t unled_at;   /* ... if not, since when */
    bool consuming;      /* librdkafka was told to fetch it */
    bool told;           /* the owner knows where it begins */
    struct metric *lag;
};

struct kafka_topic {
    char *name;
    rd_kafka_topic_t *handle;
    struct kafka_partition *partitions; /* all that were ever seen; index is id */
    int32_t partition_count;
    int32_t live_count;          /* those in the last metadata */
    bool seen;                   /* has been there at least once */
    bool missing;                /* the brokers said last that it does not exist; ... */
    uint64_t missing_at;         /* ... when they said so first */
    bool left;                   /* read no more; kept, since librdkafka may still point to it */
    rd_kafka_resp_err_t trouble; /* of the last check */
    rd_kafka_resp_err_t fetch_trouble;
    uint64_t fetch_trouble_until;      /* over when it is not repeated before */
    uint64_t check_at;                 /* monotonic ms */
    unsigned failures;                 /* checks in a row */
    int64_t known_since;               /* wall clock ms */
    struct kafka_source_start *starts; /* their topics are this one */
    size_t start_count;
    struct metric *records;
};

/* Takes from `starts` what is of this topic. */
struct kafka_topic *kafka_topic_create(
    struct slice name, const struct kafka_source_start *starts, size_t start_count);
void kafka_topic_destroy(struct kafka_topic *t);

/* A new handle of librdkafka was made, or is about to be destroyed. */
void kafka_topic_attach(struct kafka_topic *t, struct kafka_reader *r);
void kafka_topic_detach(struct kafka_topic *t);

/* It is to be read no more; or again, from its head. */
void kafka_topic_leave(struct kafka_topic *t);
void kafka_topic_take_up(struct kafka_topic *t, struct kafka_reader *r);

/* Asks the brokers about the topic and starts what can be started; sets the time of the next check.
   Blocks for a few short timeouts at most. false: no broker answered. */
bool kafka_topic_check(struct kafka_topic *t, struct kafka_reader *r, uint64_t now);

/* Is this record the next one of its partition (then the position moves behind it), or one to be skipped? */
bool kafka_topic_accept(struct kafka_topic *t, const rd_kafka_message_t *m, int64_t time_ms);

/* A partition's fetch failed. */
void kafka_topic_on_error(struct kafka_topic *t, const rd_kafka_message_t *m, uint64_t now);

/* This partition (-1: each) was read with a break: it is started anew, one record before its position. */
void kafka_topic_on_alarm(struct kafka_topic *t, int32_t id, uint64_t now);

/* Everything there is of the topic is being read? Otherwise `detail` says why not. */
bool kafka_topic_ready(const struct kafka_topic *t, char *detail, size_t size);

/* Is it settled where each of its partitions starts? A topic that does not exist will be read from its
 * beginning. */
bool kafka_topic_placed(const struct kafka_topic *t);
/* ... and has everything been handed on that there was when that was settled? Offsets without records
   (control records) can keep it short of that for ever. */
bool kafka_topic_caught_up(const struct kafka_topic *t);

/* Tells the owner, unless that was done, where reading of this partition begins. */
void kafka_topic_tell(struct kafka_topic *t, struct kafka_reader *r, int32_t id);
/* Reading of this partition goes on at `to`, soon. */
void kafka_topic_jump(
    struct kafka_topic *t, struct kafka_reader *r, int32_t id, int64_t to, enum kafka_jump why);
/* ... is over until then. */
void kafka_topic_halt(struct kafka_topic *t, int32_t id);

void kafka_trace_reset(struct kafka_trace *trace);
void kafka_trace_begin(struct kafka_trace *trace, const struct kafka_source_start *start);
void kafka_trace_record(struct kafka_trace *trace, const rd_kafka_message_t *m);
/* Something went wrong: time to look. */
void kafka_trace_hurry(struct kafka_topic *t);
/* Where reading has to begin so that the seam shows whether `position` is still of the same log. */
int64_t kafka_trace_begin_at(struct kafka_trace *trace, int64_t position);
/* false: another record is where the last one was. */
bool kafka_trace_fits(struct kafka_trace *trace, const rd_kafka_message_t *m);
/* It did not fit: reading waits for the probe. */
void kafka_trace_doubt(struct kafka_topic *t, int32_t id);
/* The log begins here by now. */
void kafka_trace_retained(struct kafka_trace *trace, int64_t low);
/* Has every partition been seen to be the same, by a question put since? What has been away for long, or of
 * which nothing is known, is not waited for. */
bool kafka_trace_verified(struct kafka_topic *t, uint64_t since);
/* ... and been read to where it ended then? */
bool kafka_trace_read_out(const struct kafka_topic *t);
/* Looks at what is due. */
void kafka_trace_ask(struct kafka_topic *t, struct kafka_probe *probe);
void kafka_trace_answer(
    struct kafka_reader *r, const struct kafka_probe_answer *answer); /* context: the topic */

void kafka_topic_measure_lag(struct kafka_topic *t, rd_kafka_t *client);
