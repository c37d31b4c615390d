/* Reads a Kafka record as a message of its topic: which type it has, and where its payload stands. Four
   shapes: a CloudEvent in structured mode (the content-type header says so), one in binary mode (a ce_type
   header), a type header, or a value {"type": ..., "data": ...}. */
#pragma once

#include "causeway/catalogue.h"
#include "causeway/json.h"
#include "causeway/record.h"
#include "causeway/route.h"

struct decoded {
    const struct source_message *message;
    struct slice payload;  /* byte for byte */
    uint32_t payload_node; /* JSON_NONE for a tombstone */
    uint32_t record_node;  /* what stands beside the payload; JSON_NONE when the payload is the whole value */
};

struct decoder {
    size_t event_max_bytes;
    struct json json;      /* of the value, after decode_record */
    struct buffer scratch; /* the type, when it has escapes */
    struct buffer detail;  /* why not */
    struct buffer pointer; /* where in the value */
    bool placed;           /* there is such a place */
};

void decoder_finish(struct decoder *d);

/* Appends a member's name or an element's number to the pointer. */
void decoder_point(struct decoder *d, struct slice member);
/* The record's traceparent (a header, or a member of a CloudEvent), if it is well-formed; else an empty
   slice. After decode_record. */
struct slice decode_traceparent(
    const struct decoder *d, const struct record *record, const struct decoded *decoded);

/* As early as possible: a type that no operation concerns is ignored before its value is looked at, when it
 * can be. */
enum reject decode_record(
    struct decoder *d, const struct topic *topic, const struct record *record, struct decoded *out);
