/* A checkpoint: where a log stood in Kafka when it had come to a certain sequence. Written to the checkpoint
   topic, so that a cursor, which names it by its offset there, means something on any instance. Pure; the
   decoded form is immutable and shared by reference count between threads. */
#pragma once

#include "causeway/buffer.h"
#include "causeway/partitions.h"

enum { CHECKPOINT_VERSION = 1, NONCE_BITS = 48 };

/* The last record before the position, so that a topic that was made again can be told from one that was not.
 */
struct anchor {
    int64_t offset; /* -1: none was read yet */
    int64_t time_ms;
    uint32_t hash; /* of key and value */
};

struct checkpoint_part {
    struct partition_name name;
    int64_t next;
    struct anchor anchor;
};

struct checkpoint {
    uint64_t nonce;    /* of the log that wrote it */
    uint64_t sequence; /* ... which stood here */
    struct checkpoint_part *parts;
    size_t part_count;
};

void checkpoint_encode(const struct checkpoint *c, struct buffer *out);

/* NULL: no checkpoint of a version that this program reads. */
struct checkpoint *checkpoint_decode(struct slice bytes);
struct checkpoint *checkpoint_hold(struct checkpoint *c); /* decoded ones only, as below */
void checkpoint_release(struct checkpoint *c);            /* NULL is fine */

uint32_t anchor_hash(struct slice key, struct slice value);
