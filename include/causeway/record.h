/* A Kafka record as it came: views into memory of the source, valid during one call. Plain data. */
#pragma once

#include "causeway/slice.h"

#include <stdint.h>

enum { RECORD_HEADERS_MAX = 64 };

struct record_header {
    struct slice name;
    struct slice value; /* NULL data: a null header */
};

struct record {
    struct slice topic;
    int32_t partition;
    int64_t offset;
    int64_t time_ms;    /* record timestamp, Unix milliseconds */
    struct slice key;   /* NULL data: none */
    struct slice value; /* NULL data: a tombstone */
    struct record_header headers[RECORD_HEADERS_MAX];
    size_t header_count; /* further headers are not seen */
};

/* The last header of that name (Kafka allows repeats); NULL data when absent. */
struct slice record_header_find(const struct record *r, struct slice name);
