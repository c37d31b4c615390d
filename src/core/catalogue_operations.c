#include "catalogue_internal.h"

#include "causeway/memory.h"

#include <stdlib.h>

/* --- where it goes: to and except --- */

/* {field}, {a.b[]}, {$key}, {$headers.name}, {$record.field} */
static bool is_record_field(const struct template_field *field)
{
    struct slice root = field->steps[0].name;
    if (root.data[0] != '$')
        return true;
    if (slice_is(root, "$key"))
        return field->step_count == 1 && !field->array;
    if (slice_is(root, "$headers"))
        return field->step_count > 1 && !field->array;
    return slice_is(root, "$record") && field->step_count > 1 && !field->steps[0].array;
}

/* The pattern that rules over these rooms on that lane; rooms without one could never be entered. */
static bool has_pattern(const struct catalogue *c, const struct template *t, uint16_t lane)
{
    struct slice captures[TEMPLATE_PLACEHOLDERS_MAX];
    for (size_t i = 0; i < c->room_count; i++) {
        const struct room_pattern *pattern = &c->rooms[i];
        bool same =
            template_same_shape(pattern->name, t) ||
            (template_placeholders(t) == 0 && template_match(pattern->name, template_text(t), captures));
        if (same && room_pattern_on_lane(pattern, lane))
            return true;
    }
    return false;
}

static void check_target(struct compiler *k, const struct template *t, const struct node *node, uint16_t lane)
{
    for (size_t i = 0; i < template_placeholders(t); i++) {
        const struct template_field *field = template_field(t, i);
        if (!is_record_field(field))
            compile_fault(k, node,
                "{%.*s} is nothing that records have; use {field}, {$key}, {$headers.name} or "
                "{$record.field}",
                SLICE_ARGS(field->text));
    }
    if (!has_pattern(k->c, t, lane))
        compile_fault(k, node, "no room pattern matches '%.*s' here; declare it in x-causeway.rooms",
            SLICE_ARGS(template_text(t)));
}

static struct template *const *compile_targets(
    struct compiler *k, const struct node *list, const char *what, uint16_t lane, size_t *count)
{
    struct template **targets = catalogue_allocate(k->c, compile_items(list), sizeof(void *));
    for (size_t i = 0; i < compile_items(list); i++) {
        const struct node *item = compile_item(list, i);
        struct template *t = compile_template(k, item, list, what);
        if (!t)
            continue;
        check_target(k, t, item, lane);
        targets[(*count)++] = t;
    }
    return targets;
}

/* --- where it comes from --- */

struct source {
    const struct channel *channel;
    const struct channel_message *message;
    size_t count; /* places that it may mean */
};

/* The places where message `n` stands (raw), or that lead to it. */
static struct source places_of(const struct compiler *k, const struct node *n, bool raw)
{
    struct source found = {0};
    for (size_t i = 0; i < k->channel_count; i++) {
        const struct channel *ch = &k->channels[i];
        for (size_t j = 0; j < ch->message_count; j++) {
            const struct channel_message *message = &ch->messages[j];
            if (n == (raw ? message->raw : message->node))
                found = (struct source){ch, message, found.count + 1};
        }
    }
    return found;
}

/* Components may be shared, so a $ref is followed hop by hop to the place that it means; see
 * compile_match_message. */
static struct source find_source(const struct compiler *k, const struct node *reference)
{
    const struct node *end = node_resolve(reference);
    struct source found = {0};
    for (const struct node *n = reference; end && found.count == 0 && n; n = n == end ? NULL : node_follow(n))
        found = places_of(k, n, true);
    return found.count > 0 || !end ? found : places_of(k, end, false);
}

static bool is_linked(const struct compiler *k, struct compiled_link link)
{
    for (size_t i = 0; i < k->link_count; i++) {
        if (k->links[i].message == link.message && k->links[i].operation == link.operation)
            return true;
    }
    return false;
}

static void add_link(struct compiler *k, struct compiled_link link)
{
    if (k->link_count == k->link_capacity) {
        k->link_capacity = k->link_capacity ? k->link_capacity * 2 : 64;
        k->links = xrealloc(k->links, k->link_capacity * sizeof *k->links);
    }
    k->links[k->link_count++] = link;
}

static void compile_source(struct compiler *k, const struct operation *op, const struct node *node,
    const struct node *reference, const struct node *holder)
{
    struct source source = find_source(k, reference);
    const struct node *at = reference ? reference : holder;
    if (source.count == 1 && source.channel->kind == CHANNEL_UNKNOWN)
        return;
    if (source.count != 1 || source.channel->kind != CHANNEL_KAFKA) {
        compile_fault(k, at,
            "from of operation '%.*s' points at %s; it must be {$ref: '#/channels/<Kafka "
            "channel>/messages/<message>'}",
            SLICE_ARGS(op->name),
            source.count == 0  ? "no message of a channel"
            : source.count > 1 ? "a message that several channels have"
                               : "a message of a channel that is not Kafka");
        return;
    }
    if (!source.channel->topic)
        return; /* its own fault has been told */
    struct compiled_link link = {
        topic_find_message(source.channel->topic, source.message->type), op, source.message, node};
    if (is_linked(k, link))
        compile_fault(k, at, "from of operation '%.*s' names message '%.*s' twice; once is enough",
            SLICE_ARGS(op->name), SLICE_ARGS(source.message->type));
    add_link(k, link);
}

static void compile_from(
    struct compiler *k, const struct operation *op, const struct node *node, const struct node *extension)
{
    const struct node *from = node_find_raw(extension, "from");
    if (compile_items(from) == 0)
        compile_fault(k, from ? from : extension,
            "operation '%.*s' has no from; from is the Kafka message it carries", SLICE_ARGS(op->name));
    for (size_t i = 0; i < compile_items(from); i++)
        compile_source(k, op, node, compile_item_raw(from, i), from);
}

/* --- one operation --- */

/* An operation that lists no messages has all of its channel. */
const struct channel_message *compile_only_message(
    struct compiler *k, struct slice name, const struct node *node, struct channel *ch)
{
    const struct node *messages = node_find_raw(node, "messages");
    size_t count = messages ? compile_items(messages) : ch->message_count;
    if (count != 1) {
        compile_fault(k, messages ? messages : node,
            "operation '%.*s' has %zu messages; with x-causeway it has exactly one", SLICE_ARGS(name), count);
        return NULL;
    }
    const struct channel_message *message =
        messages ? compile_match_message(ch, compile_item_raw(messages, 0)) : &ch->messages[0];
    if (!message)
        compile_fault(k, messages,
            "the message of operation '%.*s' is none of its channel '%.*s'; it must be {$ref: "
            "'#/channels/%.*s/messages/<message>'}",
            SLICE_ARGS(name), SLICE_ARGS(ch->key), SLICE_ARGS(ch->key));
    return message;
}

static struct slice quote(struct catalogue *c, struct slice text)
{
    struct buffer quoted = {0};
    buffer_add_json_text(&quoted, text);
    struct slice copy = catalogue_copy(c, buffer_slice(&quoted));
    buffer_finish(&quoted);
    return copy;
}

static void check_hash(struct compiler *k, const struct operation *op, const struct node *node)
{
    for (const struct operation *other = k->c->operations; other < op; other++) {
        if (other->lane == op->lane && other->name_hash == op->name_hash)
            compile_fault(k, node, "operations '%.*s' and '%.*s' have names with the same hash; rename one",
                SLICE_ARGS(other->name), SLICE_ARGS(op->name));
    }
}

static void compile_rooms_of(struct compiler *k, struct operation *op, const struct node *extension)
{
    const struct node *to = node_find(extension, "to");
    if (compile_items(to) == 0)
        compile_fault(k, to ? to : extension, "operation '%.*s' has no to; to lists the rooms it goes to",
            SLICE_ARGS(op->name));
    op->to = compile_targets(k, to, "to", op->lane, &op->to_count);
    op->except = compile_targets(k, node_find(extension, "except"), "except", op->lane, &op->except_count);
}

/* The same operation on the channel's other lane. */
static void add_twin(
    struct compiler *k, const struct operation *op, const struct lane *lane, const struct node *node)
{
    struct operation *twin = &k->c->operations[k->c->operation_count];
    *twin = *op;
    twin->index = compile_index(k, node, k->c->operation_count++);
    twin->lane = lane->index;
    twin->ack = op->ack && lane->dialect == DIALECT_WEBSOCKET;
    size_t count = k->link_count;
    for (size_t i = 0; i < count; i++) {
        struct compiled_link link = k->links[i];
        if (link.operation != op)
            continue;
        link.operation = twin;
        add_link(k, link);
    }
}

/* Must it be acknowledged? */
static bool compile_ack(struct compiler *k, const struct operation *op, const struct node *extension)
{
    const struct node *ack = node_find(extension, "ack");
    if (!ack)
        return false;
    bool required = slice_is(node_text(ack), "required");
    if (!required)
        compile_fault(k, ack,
            "ack of operation '%.*s' must be required; without it nothing is to be acknowledged",
            SLICE_ARGS(op->name));
    else if (op->ephemeral)
        compile_fault(k, ack,
            "operation '%.*s' is ephemeral, so it is never repeated; leave out ephemeral or ack",
            SLICE_ARGS(op->name));
    return required;
}

static void compile_sending(
    struct compiler *k, struct slice name, const struct node *node, struct channel *ch)
{
    static const char *const known[] = {"from", "to", "except", "ephemeral", "ack", NULL};
    const struct node *extension = node_find(node, "x-causeway");
    if (!ch->lane || !compile_keys(k, extension, "x-causeway of an operation", known))
        return;
    struct operation *op = &k->c->operations[k->c->operation_count];
    op->index = compile_index(k, node, k->c->operation_count++);
    op->name = catalogue_copy(k->c, name);
    op->name_hash = operation_name_hash(name);
    op->lane = ch->lane->index;
    check_hash(k, op, node);
    const struct channel_message *message = compile_only_message(k, name, node, ch);
    op->type_json = quote(k->c, message ? message->type : name);
    op->ephemeral = compile_flag(k, extension, "ephemeral");
    op->ack = compile_ack(k, op, extension) && ch->lane->dialect == DIALECT_WEBSOCKET;
    compile_from(k, op, node, extension);
    compile_rooms_of(k, op, extension);
    if (ch->twin)
        add_twin(k, op, ch->twin, node);
}

static void compile_operation(
    struct compiler *k, struct slice name, const struct node *node, const struct node *holder)
{
    if (node_type(node) != DOCUMENT_MAP) {
        compile_fault(k, node ? node : holder, "operation '%.*s' is no map; it has action and channel",
            SLICE_ARGS(name));
        return;
    }
    const struct node *reference = node_find_raw(node, "channel");
    struct channel *ch = node_type(reference) == DOCUMENT_MAP ? compile_match_channel(k, reference) : NULL;
    struct slice action = node_text(node_find(node, "action"));
    if (!ch)
        compile_fault(k, reference ? reference : node,
            "the channel of operation '%.*s' is not there; it must be {$ref: '#/channels/<name>'}",
            SLICE_ARGS(name));
    if (!slice_is(action, "send") && !slice_is(action, "receive"))
        compile_fault(k, node, "action of operation '%.*s' is '%.*s'; it must be send or receive",
            SLICE_ARGS(name), SLICE_ARGS(action));
    if (!ch || ch->kind == CHANNEL_UNKNOWN || !node_find_raw(node, "x-causeway"))
        return; /* documentation: connected, pong, what services send */
    if (ch->kind == CHANNEL_WEBSOCKET && slice_is(action, "send"))
        compile_sending(k, name, node, ch);
    else if (ch->kind == CHANNEL_WEBSOCKET)
        compile_command(k, name, node, ch);
    else
        compile_fault(k, node,
            "operation '%.*s' has x-causeway but no WebSocket channel; only what clients get or send has it",
            SLICE_ARGS(name));
}

/* --- messages know their operations --- */

static void link_message(struct compiler *k, struct source_message *message)
{
    size_t count = 0;
    for (size_t i = 0; i < k->link_count; i++)
        count += k->links[i].message == message;
    const struct operation **operations = catalogue_allocate(k->c, count, sizeof(void *));
    for (size_t i = 0; i < k->link_count; i++) {
        if (k->links[i].message == message)
            operations[message->operation_count++] = k->links[i].operation;
    }
    message->operations = operations;
}

void compile_operations(struct compiler *k)
{
    const struct node *operations = node_find(k->root, "operations");
    if (operations && node_type(operations) != DOCUMENT_MAP) {
        compile_fault(k, operations, "operations is no map; it maps names to operations");
        return;
    }
    k->c->operations = catalogue_allocate(k->c, 2 * node_count(operations), sizeof *k->c->operations);
    k->c->commands = catalogue_allocate(k->c, 2 * node_count(operations), sizeof *k->c->commands);
    for (size_t i = 0; i < node_count(operations); i++)
        compile_operation(k, node_key(operations, i), node_value(operations, i), operations);
    for (size_t i = 0; i < k->c->topic_count; i++) {
        struct topic *topic = &k->c->topics[i];
        for (size_t j = 0; j < topic->message_count; j++) {
            struct source_message *message = (struct source_message *)&topic->messages[j];
            link_message(k, message);
            topic->wanted = topic->wanted || message->operation_count > 0;
        }
    }
}
