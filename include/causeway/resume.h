/* From a cursor of another log to what a session still needs: pure arithmetic over the cursor's checkpoint
   and the partitions that this process reads. */
#pragma once

#include "causeway/cursor.h"
#include "causeway/origin.h"

/* What a session is told that it will not get: [from, to) of one partition. X(id, text) */
#define GAP_TABLE(X)                                                                                         \
    X(RETENTION, "retention") /* Kafka no longer has it */                                                   \
    X(TRUNCATED, "truncated") /* the log of the partition ends before the position */                        \
    X(RECREATED, "recreated") /* the topic was deleted and made again */                                     \
    X(CURSOR, "cursor")       /* nobody knows any more where the cursor stood */

enum gap_reason {
#define X(id, text) GAP_##id,
    GAP_TABLE(X)
#undef X
};

const char *gap_reason_text(enum gap_reason reason);

struct gap {
    struct partition_name name;
    int64_t from;
    int64_t to; /* -1: all that followed in a life that is over */
    enum gap_reason reason;
};

/* The data of a gap message. */
void gap_write_json(const struct gap *gap, struct buffer *out);

struct resume_plan {
    struct origin *origin;
    struct gap *gaps;
    size_t gap_count;
    bool ahead; /* the cursor knows of a life, or of records, that this process may be about to come to */
};

/* Where does a client with this cursor stand? Lent during the call. */
struct resume_question {
    const struct cursor *cursor;
    const struct checkpoint *checkpoint; /* the one that the cursor names ... */
    bool own;                            /* ... which this process wrote */
    bool settled; /* since it was asked, the logs were read to their ends: what is not known here is not there
                   */
    const struct partitions *partitions;
    const int64_t *heads; /* how far the hot log has come; head_count of them */
    uint32_t head_count;
};

/* Does this process know each partition that the checkpoint knows, of topics that it reads? If not, it is
   about to find them, and a plan made now would take them for new. */
bool resume_knows_all(const struct checkpoint *checkpoint, const struct partitions *partitions);

/* A partition that the checkpoint does not know is new since then, if the topic is known: all of it is
   needed, and up to the head it may have been delivered. So is a later life of one that it knows; the gap
   before it is told here only when this process has not seen the earlier life end: else an entry of the log
   tells it, or the sweep. Owner of the struct: resume_plan_finish. */
void resume_plan_make(struct resume_plan *plan, const struct resume_question *q);
/* Nothing is known of where it stood: one gap per partition, up to `next` (count of them), from where the
 * session goes on. */
void resume_plan_lost(
    struct resume_plan *plan, const struct partitions *partitions, const int64_t *next, uint32_t count);
void resume_plan_finish(struct resume_plan *plan);
