/* What the files that compile a catalogue share. catalogue.c owns the compiled object and its memory,
   catalogue_compile.c finds channels and their messages, catalogue_schemas.c the schemas of payloads,
   catalogue_lookups.c the lookups, catalogue_rooms.c
   the rooms, catalogue_operations.c what leaves where, catalogue_examine.c what only a check asks,
   catalogue_faults.c reads texts and says what is wrong.
 */
#pragma once

#include "causeway/arena.h"
#include "causeway/catalogue.h"
#include "causeway/map.h"
#include "causeway/template.h"

#include <stdatomic.h>

/* Everything below it lives in `memory` and goes with it. */
struct catalogue {
    atomic_size_t references;
    struct arena memory;
    struct catalogue_template *templates;
    struct topic *topics;
    size_t topic_count;
    struct lane *lanes;
    size_t lane_count;
    struct operation *operations;
    size_t operation_count;
    struct room_pattern *rooms;
    size_t room_count;
    struct command *commands;
    size_t command_count;
    struct lookup *lookups;
    size_t lookup_count;
    const struct lookup *principal;
    struct map *topics_by_name;
    struct schema_set *schemas;
};

struct catalogue *catalogue_create(void);
void *catalogue_allocate(struct catalogue *c, size_t count, size_t size); /* zeroed, lives as long as c */
struct slice catalogue_copy(struct catalogue *c, struct slice text);
struct template *catalogue_keep_template(struct catalogue *c, struct slice text, const char **fault);

int source_message_compare(const void *a, const void *b); /* the order of topic.messages, for qsort */

/* CHANNEL_UNKNOWN: has been told as a fault, so nothing that depends on it is told again. */
enum channel_kind { CHANNEL_OTHER, CHANNEL_KAFKA, CHANNEL_WEBSOCKET, CHANNEL_UNKNOWN };

struct channel_message {
    bool used; /* by some operation */
    struct slice key;
    struct slice type;      /* the message's name, or its key when it has none */
    const struct node *raw; /* as it stands in the channel: often a $ref to a component that others share */
    const struct node *node;
};

struct channel {
    struct slice key;
    const struct node *raw;
    const struct node *node;
    enum channel_kind kind;
    struct topic *topic; /* of a Kafka channel */
    struct lane *lane;   /* of a WebSocket channel */
    struct lane *twin;   /* the same events for Socket.IO clients, in the namespace of its address; or NULL */
    struct channel_message *messages;
    size_t message_count;
};

/* "This message leaves under that operation"; gathered first, since the number per message is known late. */
struct compiled_link {
    const struct source_message *message;
    const struct operation *operation;
    const struct channel_message *from; /* the same message, with its place in the document */
    const struct node *node;            /* of the operation */
};

struct compiler {
    const struct document *document;
    const struct node *root;
    struct catalogue *c;
    struct catalogue_faults *faults;
    struct channel *channels;
    size_t channel_count;
    struct compiled_link *links;
    size_t link_count, link_capacity;
    struct schema_builder *schemas;
    bool strict; /* every channel enforces what schemas it has: for checks */
};

/* --- faults and texts --- */

/* One line at `at` (the head of the document for NULL): "what is wrong; what would be right". */
void compile_fault(struct compiler *k, const struct node *at, const char *format, ...) PRINTF_LIKE(3, 4);

/* `map` must be a map (or absent) that has only these keys; `known` ends with NULL. false: it is no map. */
bool compile_keys(struct compiler *k, const struct node *map, const char *what, const char *const *known);

/* The text of scalar `n`, else a fault (at `holder` when it is missing) and an empty slice. */
struct slice compile_text(
    struct compiler *k, const struct node *n, const struct node *holder, const char *what);

/* The truth value under that key, false when it is not there; else a fault. */
bool compile_flag(struct compiler *k, const struct node *map, const char *key);

/* The template in scalar `n`, else a fault and NULL. */
struct template *compile_template(
    struct compiler *k, const struct node *n, const struct node *holder, const char *what);

/* A list, or one value that stands for a list of one; the raw item may be a $ref. */
size_t compile_items(const struct node *n);
const struct node *compile_item(const struct node *n, size_t index);
const struct node *compile_item_raw(const struct node *n, size_t index);

/* An index of a table as the catalogue keeps it; a fault when the document has too many. */
uint16_t compile_index(struct compiler *k, const struct node *at, size_t index);

/* --- channels and references --- */

/* The channel that a $ref means (or a text that is its key), or NULL. */
struct channel *compile_match_channel(struct compiler *k, const struct node *reference);

/* The message of the channel that a $ref means, or NULL. */
struct channel_message *compile_match_message(struct channel *ch, const struct node *reference);

/* --- schemas --- */

/* The schema of the payload as it stands, a $ref perhaps; it may stand in an envelope that names its format.
 */
const struct node *compile_payload_schema(const struct node *message, const struct node **format);
/* Schemas whose faults are told as this compiler's. */
void compile_begin_schemas(struct compiler *k);
/* A fault when the payload is a bare string, which Socket.IO clients could not tell from a cursor. */
void compile_check_payload(struct compiler *k, const struct channel_message *message);
/* What a Kafka channel says about validation, and the schemas that it needs for that. */
void compile_validation(struct compiler *k, struct channel *ch);

/* --- lookups --- */

/* The lookup of that name, else a fault and NULL. */
const struct lookup *compile_lookup_name(struct compiler *k, const struct node *n, const struct node *holder);

/* A fault and false unless all fields are {token.user}, {user.*} or {room.*}. */
bool compile_param_fields(struct compiler *k, const struct node *at, const struct template *t);
bool compile_has_root(const struct template *t, const char *root); /* a placeholder that begins with it */

/* --- the parts, in this order --- */
void compile_channels(struct compiler *k);
void compile_lookups(struct compiler *k, const struct node *extension);
void compile_rooms(struct compiler *k, const struct node *extension);
void compile_operations(struct compiler *k);
void compile_examine(struct compiler *k); /* only when everything is checked */

/* --- operations --- */

/* The message of an operation (its only one), or a fault and NULL. */
const struct channel_message *compile_only_message(
    struct compiler *k, struct slice name, const struct node *node, struct channel *ch);
/* An operation that receives from clients and has x-causeway; room for it has been made. */
void compile_command(struct compiler *k, struct slice name, const struct node *node, struct channel *ch);
