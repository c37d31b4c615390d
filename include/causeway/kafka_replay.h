/* One bounded read of history at a time, on the caller's thread. The connections are kept between reads. A
   struct kafka_replay belongs to one thread. */
#pragma once

#include "causeway/checkpoint.h"
#include "causeway/kafka.h"

struct kafka_replay;

/* One partition, at most once per read. The caller's memory, from begin to end. */
struct kafka_replay_part {
    struct slice topic; /* valid until the end of the read */
    int32_t partition;
    int64_t from, to;     /* [from,to) */
    struct anchor anchor; /* the last record before `from`; offset -1: none is known */

    /* Set by kafka_replay_begin. [from,low) cannot be read any more: low is `from` when all is there, `to`
       when nothing is left. A part that is replaced or missing has low = to, and no record of it is handed
       on. */
    int64_t low;
    bool replaced; /* the topic is another one: made again, or truncated below `from` */
    bool missing;  /* topic or partition does not exist any more */
};

/* On the caller's thread. What they are given is valid during the call. */
struct kafka_replay_hooks {
    /* In kafka_replay_step. Offsets ascend per part; all are in [low,to). */
    void (*record)(void *owner, size_t part, const struct record *record);
    /* [from,to) is not coming, beyond what begin says at `low`: it was taken away while it was being read
       (the part's `replaced` or `missing` may have been set), or the log ends before `to`. Called in begin,
       too. May be NULL. */
    void (*lost)(void *owner, size_t part, int64_t from, int64_t to);
};

/* Opens no connection yet. `settings` must have passed kafka_settings_check; copied, as are the hooks. */
struct kafka_replay *kafka_replay_create(
    const struct kafka_settings *settings, const struct kafka_replay_hooks *hooks, void *owner);
void kafka_replay_destroy(struct kafka_replay *r); /* NULL is fine */

/* Asks for watermarks, compares the anchors with what stands in the log, and begins to read. Blocks; false
   after about 10 s without brokers or leaders, and then there is nothing to end. A log that is seen to be the
   right one after this is the one that is read, up to a break. */
bool kafka_replay_begin(struct kafka_replay *r, struct kafka_replay_part *parts, size_t count);

enum kafka_replay_step {
    REPLAY_MORE,   /* call again */
    REPLAY_DONE,   /* every part has come to its `to` */
    REPLAY_AWAY,   /* no broker at the moment; call again, nothing is lost */
    REPLAY_BROKEN, /* something was read with a break, and is read anew from where it stood: it need not be
                      the same log. Whoever can tell looks now, and calls again when it is. */
};

/* Hands on at most `records_max` records; waits up to `wait_ms` for the first, and some seconds more where a
   broker has to be asked. */
enum kafka_replay_step kafka_replay_step(struct kafka_replay *r, size_t records_max, int wait_ms);

/* After begin returned true, done or not. */
void kafka_replay_end(struct kafka_replay *r);
