#include "catalogue_internal.h"

const struct node *compile_payload_schema(const struct node *message, const struct node **format)
{
    const struct node *payload = node_find(message, "payload");
    *format = node_find(payload, "schemaFormat");
    return *format ? node_find_raw(payload, "schema") : node_find_raw(message, "payload");
}

void compile_check_payload(struct compiler *k, const struct channel_message *message)
{
    const struct node *format, *schema = node_resolve(compile_payload_schema(message->node, &format));
    const struct node *type = node_find(schema, "type");
    for (size_t i = 0; i < compile_items(type); i++) {
        if (slice_is(node_text(compile_item(type, i)), "string"))
            compile_fault(k, compile_item(type, i),
                "the payload of message '%.*s' is a bare string; wrap it in an object",
                SLICE_ARGS(message->type));
    }
}

/* --- validation --- */

static enum validation read_validation(struct compiler *k, const struct channel *ch)
{
    static const char *const names[] = {
        [VALIDATION_OFF] = "off", [VALIDATION_WARN] = "warn", [VALIDATION_ENFORCE] = "enforce"};
    const struct node *extension = node_find(ch->node, "x-causeway"),
                      *node = node_find(extension, "validation");
    struct slice text = node ? compile_text(k, node, extension, "validation") : SLICE("off");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (slice_is(text, names[i]))
            return (enum validation)i;
    if (text.size > 0)
        compile_fault(k, node, "validation is '%.*s'; it must be off, warn or enforce", SLICE_ARGS(text));
    return VALIDATION_OFF;
}

static void complain(void *owner, const struct node *at, const char *text)
{
    compile_fault(owner, at, "%s", text);
}

/* Is this a format in which the schema is what we read: JSON Schema, or AsyncAPI's own, which extends it? */
static bool is_known_format(struct slice format)
{
    static const struct slice known[] = {{"application/schema+json", 23}, {"application/schema+yaml", 23},
        {"application/vnd.aai.asyncapi", 28}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (slice_starts(format, known[i]))
            return true;
    return false;
}

static const struct schema *compile_payload(struct compiler *k, const struct channel_message *message)
{
    const struct node *format, *schema = compile_payload_schema(message->node, &format);
    if (!schema)
        compile_fault(k, message->node,
            "message '%.*s' has no schema of its payload, so validation has nothing to go by; describe the "
            "payload",
            SLICE_ARGS(message->type));
    else if (format && !is_known_format(node_text(format)))
        compile_fault(k, format,
            "payloads of schemaFormat '%.*s' are not validated; it must be "
            "application/schema+json;version=draft-07",
            SLICE_ARGS(node_text(format)));
    else
        return schema_builder_add(k->schemas, schema);
    return NULL;
}

void compile_begin_schemas(struct compiler *k)
{
    if (!k->schemas)
        k->schemas = schema_builder_create(k->document, complain, k);
}

void compile_validation(struct compiler *k, struct channel *ch)
{
    enum validation asked = read_validation(k, ch);
    ch->topic->validation = k->strict ? VALIDATION_ENFORCE : asked;
    if (ch->topic->validation == VALIDATION_OFF)
        return;
    compile_begin_schemas(k);
    for (size_t i = 0; i < ch->message_count; i++) {
        const struct channel_message *message = &ch->messages[i];
        struct source_message *source = (struct source_message *)topic_find_message(ch->topic, message->type);
        const struct node *format;
        bool judged = compile_payload_schema(message->node, &format) && !format;
        if (asked != VALIDATION_OFF || judged)
            source->schema = compile_payload(k, message);
    }
}
