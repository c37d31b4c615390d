/* Routing is pure: a function of record and catalogue. The router owns the scratch memory of one thread (the
   Kafka thread has one); what route_record gives out is valid until the next call. */
#pragma once

#include "causeway/catalogue.h"
#include "causeway/record.h"

/* Why a record was not routed. One row here is the enum, the metric label and the log text. */
#define REJECT_TABLE(X)                                                                                      \
    X(NONE, "none", "accepted")                                                                              \
    X(IGNORED, "ignored", "no operation of the catalogue concerns this type")                                \
    X(CONFLUENT, "confluent",                                                                                \
        "the value is in the Confluent wire format (magic byte 0 and a schema id), which is not read")       \
    X(BAD_CLOUDEVENT, "bad_cloudevent", "content-type announces a CloudEvent, but the value is none")        \
    X(NOT_JSON, "not_json", "the value is not strict JSON")                                                  \
    X(NOT_OBJECT, "not_object", "the value is not a JSON object")                                            \
    X(NO_TYPE, "no_type", "no ce_type or type header and no string member \"type\"")                         \
    X(NO_DATA, "no_data", "the value has a type but no member \"data\"")                                     \
    X(INVALID, "invalid", "the payload breaks its schema, and the channel enforces it")                      \
    X(MISSING_FIELD, "missing_field", "a field that a room needs is missing or null")                        \
    X(BAD_FIELD, "bad_field", "a field that a room needs is no string or integer of 1 to 128 plain bytes")   \
    X(TOO_LARGE, "too_large", "the value is larger than EVENT_MAX_BYTES")                                    \
    X(TOO_MANY_ROOMS, "too_many_rooms", "more than 16384 rooms under one name")

enum reject {
#define X(id, label, text) REJECT_##id,
    REJECT_TABLE(X)
#undef X
        REJECT_COUNT
};

const char *reject_label(enum reject r);
const char *reject_text(enum reject r);

/* One operation that the record leaves under, and the rooms it goes to. */
struct delivery {
    const struct operation *operation;
    const struct slice *rooms; /* distinct names; empty when every optional field was missing */
    size_t room_count;
    const struct slice *except;
    size_t except_count;
};

struct routed {
    struct slice type;        /* as the record says */
    struct slice payload;     /* byte for byte, a JSON value */
    struct slice traceparent; /* of W3C Trace Context; empty when there is none, or nobody asks for it */
    const struct delivery *deliveries;
    size_t delivery_count;
    struct slice detail;  /* after a rejection: which field, or which byte and why */
    struct slice pointer; /* ... JSON pointer to it in the record's value; NULL data: it has no such place */
    /* Where the payload breaks its schema: with REJECT_INVALID, or with REJECT_NONE where the channel only
       warns; else NULL. */
    const struct schema_fault *fault;
};

struct router;

struct router *router_create(size_t event_max_bytes);
void router_destroy(struct router *r);

/* REJECT_NONE: *out says who gets what. Otherwise out->detail says more; nothing is delivered. */
enum reject route_record(
    struct router *r, const struct catalogue *c, const struct record *record, struct routed *out);
