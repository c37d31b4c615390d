/* The compiled AsyncAPI document: topics, operations, lanes, rooms, lookups. Immutable after compile and
   shared by reference count, so any thread may read it. Knows nothing about files, Kafka or PostgreSQL. */
#pragma once

#include "causeway/document.h"
#include "causeway/schema.h"

#include <stdint.h>

struct catalogue;
struct template; /* compiled text with {placeholders}; core/template.c */

/* A fault of the document: where, what is wrong, what would be right. */
struct catalogue_faults {
    struct buffer text; /* one line per fault: "file:line: #/pointer: what is wrong; what would be right" */
    size_t count;
};

/* How what clients get is written. */
enum dialect { DIALECT_WEBSOCKET, DIALECT_SOCKETIO };

/* A way out to clients: one per WebSocket channel. Rooms of different lanes never meet. */
struct lane {
    uint16_t index;
    enum dialect dialect;
    struct slice address;     /* URL path, such as "/"; Socket.IO: namespace */
    struct slice payload_key; /* the member that holds the payload in the message: "data", or the channel's
                                 x-causeway.payload */
    bool traceparent;         /* clients are told the trace of an event */
};

struct operation {
    uint16_t index;
    struct slice name;  /* key in the document */
    uint32_t name_hash; /* stable across processes: part of event ids */
    uint16_t lane;
    struct slice type_json; /* the client's event type, quoted and escaped, ready to paste */
    bool ephemeral;
    bool ack; /* whoever gets it is to acknowledge it; never on a lane of Socket.IO */
    struct template *const *to;
    size_t to_count;
    struct template *const *except;
    size_t except_count;
};

/* What happens to a record whose payload breaks its schema: nothing looks, it is told, it is rejected. */
enum validation { VALIDATION_OFF, VALIDATION_WARN, VALIDATION_ENFORCE };

/* A message that services publish: the operations it leaves under. */
struct source_message {
    struct slice type;
    const struct schema *schema; /* of the payload; NULL when validation is off */
    const struct operation *const *operations;
    size_t operation_count;
};

struct topic {
    uint16_t index;
    struct slice name;
    const struct source_message *messages; /* sorted by size and bytes of the type */
    size_t message_count;
    const struct source_message *tombstone; /* what a null value means here; NULL: ignored */
    enum validation validation;
    bool wanted; /* some message leaves under an operation: worth reading */
};

struct lookup {
    uint16_t index;
    uint64_t id; /* the same in every catalogue that has the same lookup: a hash of name and statement */
    struct slice name;
    struct slice sql;
    struct template *const *params;
    size_t param_count;
};

/* One way to be allowed into the rooms of a pattern. */
struct room_condition { /* when: principal column -> accepted values */
    struct slice column;
    const struct slice *values;
    size_t value_count;
};
struct room_filling { /* with: placeholder -> template over {user.*} */
    struct slice placeholder;
    size_t index; /* of the placeholder in the pattern's name */
    struct template *value;
};
struct room_rule {
    bool automatic; /* joined at attach; otherwise on request (automatic ones may also be requested again) */
    const struct room_condition *conditions;
    size_t condition_count;
    const struct room_filling *fillings;
    size_t filling_count;
    const struct lookup *lookup; /* or NULL */
};
struct room_pattern {
    uint16_t index;
    struct slice text; /* "city-{city_id}-orders" */
    struct template *name;
    const struct room_rule *rules;
    size_t rule_count;
    const uint16_t *lanes; /* the lanes it exists on; all when lane_count is 0 */
    size_t lane_count;
};

/* A message of clients by a name of their own: one of the program's commands, and perhaps the room it is
 * about.
 */
struct command {
    uint16_t index;
    uint16_t lane;
    struct slice type;     /* the client's name for it: "subscribe.task" */
    struct slice name;     /* the program's: "join-room" */
    struct template *room; /* over the message's data; NULL: the data says which */
};

/* Compiles a loaded document. NULL: faults say every fault found. The catalogue holds no reference to the
 * document. */
struct catalogue *catalogue_compile(const struct document *d, struct catalogue_faults *faults);
/* The same, and besides all that would run but cannot be meant: examples that break their schemas, fields
 * that the payload does not have, events that nobody can receive. In this
 * catalogue every channel enforces the schemas it has. */
struct catalogue *catalogue_check(const struct document *d, struct catalogue_faults *faults);
void catalogue_faults_finish(struct catalogue_faults *faults);
struct catalogue *catalogue_hold(struct catalogue *c);
void catalogue_release(struct catalogue *c);
void catalogue_replace(struct catalogue **held, struct catalogue *by); /* holds it, releases the other */

size_t catalogue_topics(const struct catalogue *c, const struct topic **out);
size_t catalogue_lanes(const struct catalogue *c, const struct lane **out);
size_t catalogue_operations(const struct catalogue *c, const struct operation **out);
size_t catalogue_rooms(const struct catalogue *c, const struct room_pattern **out);
size_t catalogue_lookups(const struct catalogue *c, const struct lookup **out);
const struct command *catalogue_find_command(const struct catalogue *c, uint16_t lane, struct slice type);
const struct lookup *catalogue_principal(const struct catalogue *c);
const struct lookup *catalogue_find_lookup(const struct catalogue *c, struct slice name);
const struct topic *catalogue_find_topic(const struct catalogue *c, struct slice name);
const struct source_message *topic_find_message(const struct topic *t, struct slice type);
const struct lane *catalogue_find_lane(const struct catalogue *c, enum dialect dialect, struct slice address);
bool room_pattern_on_lane(const struct room_pattern *p, uint16_t lane);

/* Operation.name_hash of that name. */
uint32_t operation_name_hash(struct slice name);
