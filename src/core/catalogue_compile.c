#include "catalogue_internal.h"

#include "causeway/memory.h"

#include <stdlib.h>

enum { HOPS_MAX = 100 };

/* --- references --- */

/* Components may be shared, so a $ref is followed hop by hop to the place that it means; only one that leads
   past all places is judged by the value at its end. */
struct channel *compile_match_channel(struct compiler *k, const struct node *reference)
{
    bool named = node_type(reference) == DOCUMENT_STRING;
    const struct node *n = reference, *end = node_resolve(reference);
    for (int hops = 0; n && hops < HOPS_MAX; hops++, n = node_follow(n)) {
        for (size_t i = 0; i < k->channel_count; i++) {
            struct channel *ch = &k->channels[i];
            if (ch->raw == n || (named && slice_equal(ch->key, node_text(reference))))
                return ch;
        }
    }
    for (size_t i = 0; end && i < k->channel_count; i++) {
        if (k->channels[i].node == end)
            return &k->channels[i];
    }
    return NULL;
}

struct channel_message *compile_match_message(struct channel *ch, const struct node *reference)
{
    const struct node *n = reference, *end = node_resolve(reference);
    for (int hops = 0; n && hops < HOPS_MAX; hops++, n = node_follow(n)) {
        for (size_t i = 0; i < ch->message_count; i++) {
            if (ch->messages[i].raw == n)
                return &ch->messages[i];
        }
    }
    for (size_t i = 0; end && i < ch->message_count; i++) {
        if (ch->messages[i].node == end)
            return &ch->messages[i];
    }
    return NULL;
}

/* --- what kind a channel is --- */

static unsigned protocol_kind(const struct node *server)
{
    static const struct {
        const char *protocol;
        enum channel_kind kind;
    } table[] = {
        {"kafka", CHANNEL_KAFKA},
        {"kafka-secure", CHANNEL_KAFKA},
        {"ws", CHANNEL_WEBSOCKET},
        {"wss", CHANNEL_WEBSOCKET},
    };
    struct slice protocol = node_text(node_find(server, "protocol"));
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (slice_is(protocol, table[i].protocol))
            return 1u << table[i].kind;
    }
    return 1u << CHANNEL_OTHER;
}

/* The kinds of the channel's servers as bits; a channel that names none is on all of them. */
static unsigned server_kinds(struct compiler *k, const struct channel *ch)
{
    const struct node *own = node_find(ch->node, "servers"), *all = node_find(k->root, "servers");
    unsigned kinds = 0;
    for (size_t i = 0; i < node_count(own); i++) {
        const struct node *server = node_at(own, i);
        if (node_type(server) == DOCUMENT_MAP)
            kinds |= protocol_kind(server);
        else
            compile_fault(k, own,
                "channel '%.*s' names a server that is not there; servers holds {$ref: '#/servers/<name>'}",
                SLICE_ARGS(ch->key));
    }
    for (size_t i = 0; node_count(own) == 0 && i < node_count(all); i++)
        kinds |= protocol_kind(node_value(all, i));
    return kinds;
}

static enum channel_kind channel_kind(struct compiler *k, const struct channel *ch)
{
    const unsigned kafka = 1u << CHANNEL_KAFKA, websocket = 1u << CHANNEL_WEBSOCKET;
    unsigned kinds = server_kinds(k, ch);
    if (kinds == kafka)
        return CHANNEL_KAFKA;
    if (kinds == websocket)
        return CHANNEL_WEBSOCKET;
    if (kinds == 1u << CHANNEL_OTHER)
        return CHANNEL_OTHER;
    const struct node *bindings = node_find(ch->node, "bindings");
    bool has_kafka = node_find(bindings, "kafka"), has_websocket = node_find(bindings, "ws");
    if (has_kafka != has_websocket)
        return has_kafka ? CHANNEL_KAFKA : CHANNEL_WEBSOCKET;
    compile_fault(k, ch->node,
        "channel '%.*s' may be Kafka or WebSocket; name its servers, or give it bindings.kafka or "
        "bindings.ws",
        SLICE_ARGS(ch->key));
    return CHANNEL_UNKNOWN;
}

/* --- messages --- */

static void read_messages(struct compiler *k, struct channel *ch)
{
    const struct node *messages = node_find(ch->node, "messages");
    if (messages && node_type(messages) != DOCUMENT_MAP) {
        compile_fault(k, messages, "messages of channel '%.*s' is no map; it maps names to messages",
            SLICE_ARGS(ch->key));
        return;
    }
    ch->messages = catalogue_allocate(k->c, node_count(messages), sizeof *ch->messages);
    for (size_t i = 0; i < node_count(messages); i++) {
        struct slice key = node_key(messages, i);
        const struct node *node = node_value(messages, i), *name = node_find(node, "name");
        if (node_type(node) != DOCUMENT_MAP) {
            compile_fault(k, node ? node : messages,
                "message '%.*s' of channel '%.*s' is not there; it must be a map or a $ref to one",
                SLICE_ARGS(key), SLICE_ARGS(ch->key));
            continue;
        }
        struct slice type = name ? compile_text(k, name, node, "the name of a message") : key;
        struct channel_message *message = &ch->messages[ch->message_count++];
        *message = (struct channel_message){false, key, type, node_value_raw(messages, i), node};
        compile_check_payload(k, message);
    }
}

/* --- Kafka channels --- */

static void check_distinct_types(struct compiler *k, const struct channel *ch)
{
    for (size_t i = 1; i < ch->message_count; i++) {
        for (size_t j = 0; j < i; j++) {
            if (slice_equal(ch->messages[i].type, ch->messages[j].type))
                compile_fault(k, ch->messages[i].node,
                    "channel '%.*s' has two messages named '%.*s'; each name is one kind of record",
                    SLICE_ARGS(ch->key), SLICE_ARGS(ch->messages[i].type));
        }
    }
}

static const struct source_message *find_tombstone(struct compiler *k, const struct channel *ch)
{
    static const char *const known[] = {"tombstone", "validation", NULL};
    const struct node *extension = node_find(ch->node, "x-causeway"),
                      *name = node_find(extension, "tombstone");
    if (!compile_keys(k, extension, "x-causeway of a Kafka channel", known) || !name)
        return NULL;
    struct slice type = compile_text(k, name, extension, "tombstone");
    for (size_t i = 0; i < ch->message_count; i++) {
        if (slice_equal(ch->messages[i].type, type))
            return topic_find_message(ch->topic, type);
    }
    if (type.size > 0)
        compile_fault(k, name,
            "channel '%.*s' has no message named '%.*s'; tombstone names one of its messages",
            SLICE_ARGS(ch->key), SLICE_ARGS(type));
    return NULL;
}

static void compile_topic(struct compiler *k, struct channel *ch, struct slice address)
{
    struct catalogue *c = k->c;
    struct topic *topic = &c->topics[c->topic_count];
    topic->index = compile_index(k, ch->node, c->topic_count++);
    topic->name = catalogue_copy(c, address);
    struct source_message *messages = catalogue_allocate(c, ch->message_count, sizeof *messages);
    for (size_t i = 0; i < ch->message_count; i++)
        messages[i].type = catalogue_copy(c, ch->messages[i].type);
    if (ch->message_count > 0)
        qsort(messages, ch->message_count, sizeof *messages, source_message_compare);
    topic->messages = messages;
    topic->message_count = ch->message_count;
    map_set(c->topics_by_name, topic->name, topic);
    ch->topic = topic;
    check_distinct_types(k, ch);
    topic->tombstone = find_tombstone(k, ch);
    compile_validation(k, ch);
}

/* --- WebSocket channels --- */

static enum dialect dialect_of(struct compiler *k, const struct channel *ch)
{
    const struct node *extension = node_find(ch->node, "x-causeway"), *name = node_find(extension, "dialect");
    struct slice text = name ? compile_text(k, name, extension, "dialect") : (struct slice){NULL, 0};
    if (slice_is(text, "socket.io"))
        return DIALECT_SOCKETIO;
    if (text.size > 0 && !slice_is(text, "websocket"))
        compile_fault(k, name, "dialect is '%.*s'; it must be websocket or socket.io", SLICE_ARGS(text));
    return DIALECT_WEBSOCKET;
}

/* The member that holds the payload, beside the members that the bridge writes itself. */
static struct slice payload_key(struct compiler *k, const struct channel *ch)
{
    static const char *const known[] = {"dialect", "namespace", "payload", "traceparent", NULL};
    static const char *const taken[] = {
        "type", "id", "time", "cursor", "redelivered", "backfill", "traceparent"};
    const struct node *extension = node_find(ch->node, "x-causeway"), *name = node_find(extension, "payload");
    if (!compile_keys(k, extension, "x-causeway of a WebSocket channel", known) || !name)
        return SLICE("data");
    struct slice key = compile_text(k, name, extension, "payload");
    if (dialect_of(k, ch) == DIALECT_SOCKETIO)
        compile_fault(k, name, "payload is for plain WebSocket; Socket.IO has its own form of messages");
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++) {
        if (slice_is(key, taken[i]))
            compile_fault(k, name, "the member '%s' has a meaning of its own; choose another for the payload",
                taken[i]);
    }
    return key.size > 0 ? catalogue_copy(k->c, key) : SLICE("data");
}

/* One channel may serve both kinds of clients: a second lane then gets all that the first one gets. */
static void compile_twin(struct compiler *k, struct channel *ch)
{
    const struct node *extension = node_find(ch->node, "x-causeway");
    if (!compile_flag(k, extension, "namespace"))
        return;
    if (ch->lane->dialect == DIALECT_SOCKETIO ||
        catalogue_find_lane(k->c, DIALECT_SOCKETIO, ch->lane->address))
        compile_fault(k, node_find(extension, "namespace"),
            "namespace '%.*s' is there already; one channel makes it", SLICE_ARGS(ch->lane->address));
    struct lane *twin = &k->c->lanes[k->c->lane_count];
    *twin = *ch->lane;
    twin->index = compile_index(k, ch->node, k->c->lane_count++);
    twin->dialect = DIALECT_SOCKETIO;
    twin->payload_key = SLICE("data");
    ch->twin = twin;
}

static void compile_lane(struct compiler *k, struct channel *ch, struct slice address)
{
    if (address.data[0] != '/')
        compile_fault(k, node_find(ch->node, "address"), "address '%.*s' is no URL path; it begins with '/'",
            SLICE_ARGS(address));
    struct lane *lane = &k->c->lanes[k->c->lane_count];
    lane->index = compile_index(k, ch->node, k->c->lane_count++);
    lane->dialect = dialect_of(k, ch);
    lane->address = catalogue_copy(k->c, address);
    lane->payload_key = payload_key(k, ch);
    lane->traceparent = compile_flag(k, node_find(ch->node, "x-causeway"), "traceparent");
    ch->lane = lane;
    compile_twin(k, ch);
}

/* --- all channels --- */

static bool is_taken(struct compiler *k, const struct channel *ch, struct slice address)
{
    if (ch->kind == CHANNEL_KAFKA)
        return catalogue_find_topic(k->c, address) != NULL;
    return catalogue_find_lane(k->c, dialect_of(k, ch), address) != NULL;
}

static void compile_channel(struct compiler *k, struct channel *ch)
{
    ch->kind = channel_kind(k, ch);
    if (ch->kind == CHANNEL_OTHER)
        return;
    read_messages(k, ch);
    if (ch->kind == CHANNEL_UNKNOWN)
        return;
    const struct node *node = node_find(ch->node, "address");
    struct slice address = compile_text(k, node, ch->node, "the address of a channel");
    if (address.size == 0)
        return;
    if (memchr(address.data, '{', address.size))
        compile_fault(k, node, "address '%.*s' has parameters; a channel here has one fixed address",
            SLICE_ARGS(address));
    else if (is_taken(k, ch, address))
        compile_fault(k, node, "two channels have the address '%.*s'; put their messages into one",
            SLICE_ARGS(address));
    else if (ch->kind == CHANNEL_KAFKA)
        compile_topic(k, ch, address);
    else
        compile_lane(k, ch, address);
}

void compile_channels(struct compiler *k)
{
    const struct node *channels = node_find(k->root, "channels");
    if (node_type(channels) != DOCUMENT_MAP) {
        compile_fault(k, channels, "the document has no channels; channels maps names to channels");
        return;
    }
    size_t count = node_count(channels);
    k->channels = catalogue_allocate(k->c, count, sizeof *k->channels);
    k->c->topics = catalogue_allocate(k->c, count, sizeof *k->c->topics);
    k->c->lanes = catalogue_allocate(k->c, 2 * count, sizeof *k->c->lanes);
    for (size_t i = 0; i < count; i++) {
        struct channel *ch = &k->channels[k->channel_count];
        *ch = (struct channel){.key = node_key(channels, i),
            .raw = node_value_raw(channels, i),
            .node = node_value(channels, i)};
        if (node_type(ch->node) != DOCUMENT_MAP) {
            compile_fault(k, ch->node ? ch->node : channels,
                "channel '%.*s' is no map; it has address and messages", SLICE_ARGS(ch->key));
            continue;
        }
        k->channel_count++;
        compile_channel(k, ch);
    }
}

/* --- the whole --- */

static void check_version(struct compiler *k)
{
    const struct node *node = node_find(k->root, "asyncapi");
    struct slice version = node_text(node);
    if (!slice_starts(version, SLICE("3.0.")))
        compile_fault(k, node, "asyncapi is '%.*s'; this program reads AsyncAPI 3.0.x, such as 3.0.0",
            SLICE_ARGS(version));
}

static void compile_document(struct compiler *k)
{
    static const char *const known[] = {"principal", "lookups", "rooms", NULL};
    if (node_type(k->root) != DOCUMENT_MAP) {
        compile_fault(k, k->root, "the document is no map; it is an AsyncAPI document");
        return;
    }
    check_version(k);
    compile_channels(k);
    const struct node *extension = node_find(k->root, "x-causeway");
    if (!extension)
        compile_fault(k, NULL, "x-causeway is missing; it has principal, lookups and rooms");
    else if (compile_keys(k, extension, "x-causeway of the document", known)) {
        compile_lookups(k, extension);
        compile_rooms(k, extension);
    }
    compile_operations(k);
}

static struct catalogue *compile(
    const struct document *d, struct catalogue_faults *faults, void (*examine)(struct compiler *k))
{
    struct compiler k = {.document = d,
        .root = document_root(d, 0),
        .c = catalogue_create(),
        .faults = faults,
        .strict = examine};
    size_t before = faults->count;
    compile_document(&k);
    if (examine && k.channels)
        examine(&k);
    if (k.schemas)
        k.c->schemas = schema_builder_finish(k.schemas);
    free(k.links);
    if (faults->count == before)
        return k.c;
    catalogue_release(k.c);
    return NULL;
}

struct catalogue *catalogue_compile(const struct document *d, struct catalogue_faults *faults)
{
    return compile(d, faults, NULL);
}

struct catalogue *catalogue_check(const struct document *d, struct catalogue_faults *faults)
{
    return compile(d, faults, compile_examine);
}
