/* What a document says that would run, but cannot be meant. Asked by `causeway check` only: a wrong example
   is no reason not to start. */
#include "catalogue_internal.h"

#include <stdlib.h>

/* --- examples --- */

struct example {
    const struct channel_message *message;
    struct slice name;
    struct json json;
    struct buffer text;
    struct schema_checker checker;
};

static void check_value(
    struct compiler *k, struct example *e, const struct schema *s, const struct node *value)
{
    if (!s || !value)
        return;
    buffer_clear(&e->text);
    if (!node_write_json(value, &e->text) || !json_scan(&e->json, e->text.data, e->text.size)) {
        compile_fault(k, value, "example '%.*s' of message '%.*s' is none of JSON: %s", SLICE_ARGS(e->name),
            SLICE_ARGS(e->message->type), e->json.fault ? e->json.fault : "it is too large");
        return;
    }
    if (schema_holds(s, &e->json, 0, &e->checker))
        return;
    const struct schema_fault *f = &e->checker.fault;
    compile_fault(k, value,
        "example '%.*s' of message '%.*s' breaks its schema at '%.*s': %.*s (%s, %.*s:%d); correct one of "
        "the two",
        SLICE_ARGS(e->name), SLICE_ARGS(e->message->type), SLICE_ARGS(f->pointer), SLICE_ARGS(f->message),
        f->keyword, SLICE_ARGS(f->file), f->line);
}

/* A record's type is in its headers; an example that says another type is of another message. */
static void check_type(struct compiler *k, const struct example *e, const struct node *headers)
{
    const struct node *type = node_find(headers, "ce_type");
    type = type ? type : node_find(headers, "type");
    if (type && !slice_equal(node_text(type), e->message->type))
        compile_fault(k, type,
            "example '%.*s' has the type '%.*s', but stands at message '%.*s'; they must agree",
            SLICE_ARGS(e->name), SLICE_ARGS(node_text(type)), SLICE_ARGS(e->message->type));
}

static void check_examples(struct compiler *k, const struct channel *ch,
    const struct channel_message *message, const struct schema *payload, const struct schema *headers)
{
    const struct node *examples = node_find(message->node, "examples");
    struct example e = {.message = message};
    for (size_t i = 0; i < node_count(examples); i++) {
        const struct node *example = node_at(examples, i);
        struct slice name = node_text(node_find(example, "name"));
        e.name = name.size > 0 ? name : SLICE("without a name");
        check_value(k, &e, payload, node_find(example, "payload"));
        check_value(k, &e, headers, node_find(example, "headers"));
        if (ch->kind == CHANNEL_KAFKA)
            check_type(k, &e, node_find(example, "headers"));
    }
    schema_checker_finish(&e.checker);
    json_finish(&e.json);
    buffer_finish(&e.text);
}

/* --- payloads --- */

static const struct schema *payload_of(struct compiler *k, const struct channel_message *message)
{
    const struct node *format, *schema = compile_payload_schema(message->node, &format);
    return schema && !format ? schema_builder_add(k->schemas, schema) : NULL;
}

static const struct schema *headers_of(struct compiler *k, const struct channel_message *message)
{
    const struct node *schema = node_find_raw(message->node, "headers");
    return schema ? schema_builder_add(k->schemas, schema) : NULL;
}

/* By const, enum or alternatives; `type: string` itself is refused by whoever compiles. */
static void check_string(struct compiler *k, const struct channel_message *message, const struct schema *s)
{
    const struct node *format, *schema = node_resolve(compile_payload_schema(message->node, &format));
    if (!s || node_find(schema, "type") || !schema_may_be(s, JSON_STRING) || schema_may_be(s, JSON_NUMBER))
        return;
    compile_fault(k, schema, "the payload of message '%.*s' may be a bare string; wrap it in an object",
        SLICE_ARGS(message->type));
}

static bool seen_before(const struct compiler *k, const struct channel_message *message)
{
    for (size_t i = 0; i < k->channel_count; i++) {
        for (size_t j = 0; j < k->channels[i].message_count; j++) {
            const struct channel_message *other = &k->channels[i].messages[j];
            if (other == message)
                return false;
            if (other->node == message->node)
                return true;
        }
    }
    return false;
}

static void examine_messages(struct compiler *k, const struct channel *ch)
{
    for (size_t i = 0; i < ch->message_count; i++) {
        const struct channel_message *message = &ch->messages[i];
        if (seen_before(k, message))
            continue;
        const struct schema *payload = payload_of(k, message), *headers = headers_of(k, message);
        check_string(k, message, payload);
        check_examples(k, ch, message, payload, headers);
    }
}

/* --- the fields of rooms --- */

struct path {
    struct compiler *k;
    const struct compiled_link *link;
    const struct template_field *field;
    const struct node *at;
    const char *where; /* "payload" or "headers" */
};

static void tell_undescribed(const struct path *p, const struct schema *s, struct slice name)
{
    struct slice nearest = schema_nearest_member(s, name);
    compile_fault(p->k, p->at, "{%.*s}: the %s of '%.*s' has no '%.*s'%s%.*s%s; name a field of its schema",
        SLICE_ARGS(p->field->text), p->where, SLICE_ARGS(p->link->from->type), SLICE_ARGS(name),
        nearest.size ? " (nearest is '" : "", SLICE_ARGS(nearest), nearest.size ? "')" : "");
}

/* One step into an object; false: told, or nothing more is known. */
static bool enter_member(const struct path *p, const struct schema **s, struct slice name)
{
    if (!schema_may_be(*s, JSON_OBJECT)) {
        compile_fault(p->k, p->at, "{%.*s}: what should have '%.*s' is no object in the schema of '%.*s'",
            SLICE_ARGS(p->field->text), SLICE_ARGS(name), SLICE_ARGS(p->link->from->type));
        return false;
    }
    if (!schema_describes_members(*s))
        return false;
    struct schema_member member = schema_member(*s, name);
    if (!member.described) {
        tell_undescribed(p, *s, name);
        return false;
    }
    if (!member.required && !p->field->optional)
        compile_fault(p->k, p->at,
            "{%.*s}: the schema of '%.*s' does not require '%.*s', and records without it are rejected; "
            "require it, "
            "or write {%.*s?}",
            SLICE_ARGS(p->field->text), SLICE_ARGS(p->link->from->type), SLICE_ARGS(name),
            SLICE_ARGS(p->field->text));
    *s = member.schema;
    return *s != NULL;
}

static bool enter_element(const struct path *p, const struct schema **s, struct slice name)
{
    if (!schema_may_be(*s, JSON_ARRAY)) {
        compile_fault(p->k, p->at, "{%.*s}: '%.*s' is no array in the schema of '%.*s'; write it without []",
            SLICE_ARGS(p->field->text), SLICE_ARGS(name), SLICE_ARGS(p->link->from->type));
        return false;
    }
    *s = schema_element(*s);
    return *s != NULL;
}

static void check_path(const struct path *p, const struct schema *s)
{
    for (size_t i = 0; i < p->field->step_count; i++) {
        const struct template_step *step = &p->field->steps[i];
        if (!enter_member(p, &s, step->name) || (step->array && !enter_element(p, &s, step->name)))
            return;
    }
    if (!schema_may_be(s, JSON_STRING) && !schema_may_be(s, JSON_NUMBER))
        compile_fault(p->k, p->at,
            "{%.*s} is neither text nor number in the schema of '%.*s'; rooms are named after strings and "
            "integers",
            SLICE_ARGS(p->field->text), SLICE_ARGS(p->link->from->type));
}

/* {$key} and {$record...} have no schema; a header is one member, whatever dots its name has. */
static void check_field(struct path *p)
{
    struct slice root = p->field->steps[0].name;
    const struct schema *s;
    if (root.data[0] != '$') {
        p->where = "payload";
        s = payload_of(p->k, p->link->from);
        if (s)
            check_path(p, s);
    } else if (slice_is(root, "$headers")) {
        p->where = "headers";
        s = headers_of(p->k, p->link->from);
        struct slice name = {p->field->text.data + root.size + 1, p->field->text.size - root.size - 1};
        if (s)
            (void)enter_member(p, &s, name);
    }
}

static void check_fields(struct compiler *k, const struct compiled_link *link, const struct node *rooms)
{
    for (size_t i = 0; i < compile_items(rooms); i++) {
        const struct node *item = compile_item(rooms, i);
        const char *fault;
        struct template *t = template_compile(node_text(item), &fault);
        for (size_t j = 0; t && j < template_placeholders(t); j++) {
            struct path p = {.k = k, .link = link, .field = template_field(t, j), .at = item};
            check_field(&p);
        }
        template_destroy(t);
    }
}

/* --- routes --- */

static bool lists_text(const struct node *list, struct slice text)
{
    for (size_t i = 0; i < compile_items(list); i++)
        if (slice_equal(node_text(compile_item(list, i)), text))
            return true;
    return false;
}

/* Whoever is in a room that it goes to is left out again. */
static void check_excepted(
    struct compiler *k, const struct compiled_link *link, const struct node *to, const struct node *except)
{
    size_t left = 0;
    for (size_t i = 0; i < compile_items(to); i++)
        left += !lists_text(except, node_text(compile_item(to, i)));
    if (left == 0 && compile_items(to) > 0)
        compile_fault(k, except,
            "nobody can receive what operation '%.*s' sends: all rooms of to are in except; take one of them "
            "out",
            SLICE_ARGS(link->operation->name));
}

/* Two operations that send one event from one record: who stands in rooms of both would get it twice, under
   two ids. */
static void check_alone(struct compiler *k, const struct compiled_link *link)
{
    for (const struct compiled_link *other = k->links; other < link; other++) {
        if (other->message == link->message && other->operation->lane == link->operation->lane &&
            slice_equal(other->operation->type_json, link->operation->type_json))
            compile_fault(k, link->node,
                "operations '%.*s' and '%.*s' both send %.*s for '%.*s', and whoever is in rooms of both "
                "would get it "
                "twice; put the rooms of both under one",
                SLICE_ARGS(other->operation->name), SLICE_ARGS(link->operation->name),
                SLICE_ARGS(link->operation->type_json), SLICE_ARGS(link->from->type));
    }
}

static void examine_links(struct compiler *k)
{
    for (size_t i = 0; i < k->link_count; i++) {
        const struct compiled_link *link = &k->links[i];
        const struct node *extension = node_find(link->node, "x-causeway"), *to = node_find(extension, "to"),
                          *except = node_find(extension, "except");
        check_fields(k, link, to);
        check_fields(k, link, except);
        check_excepted(k, link, to, except);
        check_alone(k, link);
    }
}

/* --- what nobody can receive --- */

static void use_messages(struct compiler *k, const struct node *holder)
{
    const struct node *reference = node_find_raw(holder, "channel"),
                      *messages = node_find_raw(holder, "messages");
    struct channel *ch = node_type(reference) == DOCUMENT_MAP ? compile_match_channel(k, reference) : NULL;
    for (size_t i = 0; ch && !messages && i < ch->message_count; i++)
        ch->messages[i].used = true;
    for (size_t i = 0; ch && i < compile_items(messages); i++) {
        struct channel_message *message = compile_match_message(ch, compile_item_raw(messages, i));
        if (message)
            message->used = true;
    }
}

/* Messages of a Kafka channel count as used where the bridge sends them, and where a route begins. */
static void find_uses(struct compiler *k)
{
    const struct node *operations = node_find(k->root, "operations");
    for (size_t i = 0; i < node_count(operations); i++) {
        const struct node *operation = node_value(operations, i),
                          *reference = node_find_raw(operation, "channel");
        const struct channel *ch =
            node_type(reference) == DOCUMENT_MAP ? compile_match_channel(k, reference) : NULL;
        bool sends = slice_is(node_text(node_find(operation, "action")), "send");
        if (ch && (ch->kind == CHANNEL_WEBSOCKET || sends))
            use_messages(k, operation);
        use_messages(k, node_find(operation, "reply"));
    }
    for (size_t i = 0; i < k->link_count; i++)
        ((struct channel_message *)k->links[i].from)->used = true;
}

static void check_used(struct compiler *k, const struct channel *ch)
{
    for (size_t i = 0; i < ch->message_count; i++) {
        const struct channel_message *message = &ch->messages[i];
        if (message->used)
            continue;
        compile_fault(k, message->raw,
            ch->kind == CHANNEL_KAFKA ? "nobody can receive '%.*s': no operation has it as its from; add "
                                        "one, or take it out of '%.*s'"
                                      : "nobody can receive '%.*s': no operation sends it; add one, or take "
                                        "it out of channel '%.*s'",
            SLICE_ARGS(message->type), SLICE_ARGS(ch->key));
    }
}

void compile_examine(struct compiler *k)
{
    compile_begin_schemas(k);
    find_uses(k);
    for (size_t i = 0; i < k->channel_count; i++) {
        const struct channel *ch = &k->channels[i];
        if (ch->kind != CHANNEL_KAFKA && ch->kind != CHANNEL_WEBSOCKET)
            continue;
        examine_messages(k, ch);
        check_used(k, ch);
    }
    examine_links(k);
}
