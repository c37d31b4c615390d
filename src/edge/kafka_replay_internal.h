/* What kafka_replay.c (a read, and its records) and kafka_replay_place.c (where in the log each part stands)
   share. */
#pragma once

#include "causeway/kafka_replay.h"

#include "kafka_internal.h"

enum {
    ANSWER_MS = 1000,
    LOCATE_MS = 100, /* between attempts */
    DOUBT_MS = 1000, /* before bad news of a leader that may have just changed is believed */
};

struct history { /* a topic */
    char *name;
    rd_kafka_topic_t *handle;
    struct reel **reels; /* by partition; NULL: not asked for */
    int32_t width;
    bool answered, missing; /* in the last metadata */
    int32_t partition_count;
};

struct reel { /* a partition */
    struct kafka_replay_part *part;
    struct history *history;
    int64_t position; /* the next offset to hand on */
    int64_t end;      /* `to`, unless the log ends before */
    bool proven, reading, done;
    bool nothing_behind; /* the log seemed to end at the anchor */
    uint64_t retry_at, doubted_at;
};

struct kafka_replay {
    struct kafka_alarm alarm; /* first: it is librdkafka's opaque */
    rd_kafka_conf_t *conf;
    struct kafka_replay_hooks hooks;
    void *owner;
    rd_kafka_t *client; /* NULL: none at the moment */
    bool fatal, away;
    uint64_t away_since, heard_at;
    struct metric *replayed;

    /* of the read that is under way */
    rd_kafka_queue_t *queue;
    struct history *histories;
    size_t history_count, recent; /* the one that a message was of */
    struct reel *reels;
    size_t reel_count, open_count, lost_count; /* not done; of these not reading */
    uint64_t locate_at;
    bool begun;
    bool anew;           /* something is read anew, and nobody was told */
    uint64_t stepped_at; /* 0: not yet */
    struct record record;
    size_t bytes_taken, records_taken; /* since the last nudge */
    rd_kafka_message_t **stash;        /* came while the anchors were compared */
    size_t stash_count, stash_next, stash_bytes;
    bool stash_spilt;
};

void replay_set_away(struct kafka_replay *r, bool away);
bool replay_ask_topics(struct kafka_replay *r);
/* Looks for the place of what is not being read, when that is due. */
void replay_locate(struct kafka_replay *r);
/* Reads from `offset` on; when librdkafka refuses, later. */
void replay_start(struct kafka_replay *r, struct reel *reel, int64_t offset);
void replay_lose(struct kafka_replay *r, struct reel *reel, uint64_t again_in_ms);
void replay_complete(struct kafka_replay *r, struct reel *reel);
/* Nothing of what was asked for is there any more; *why is set. */
void replay_end_early(struct kafka_replay *r, struct reel *reel, bool *why);
