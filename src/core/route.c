#include "causeway/route.h"

#include "causeway/hotlog.h"
#include "causeway/memory.h"
#include "causeway/template.h"

#include "decode.h"
#include "nameset.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    VALUE_MAX = 128,
    ROOM_MAX = 512,
};

/* The rooms of one delivery; the memory stays from record to record. */
struct targets {
    struct nameset to, except;
};

struct router {
    struct decoder decoder;
    struct schema_checker checker;
    struct buffer
        scratch[TEMPLATE_PLACEHOLDERS_MAX]; /* one per placeholder: their values are needed together */
    struct targets **targets;               /* by delivery */
    struct delivery *deliveries;
    size_t capacity;
};

/* What expanding one template for one record needs. */
struct expansion {
    struct router *router;
    const struct record *record;
    const struct decoded *decoded;
    const struct template *template;
    struct slice values[TEMPLATE_PLACEHOLDERS_MAX];
    struct nameset *rooms;
    size_t element; /* of the array: the one that is at hand; SIZE_MAX: none */
};

/* What became of a field and its room, and what the log says of it. */
#define FOUND_TABLE(X)                                                                                       \
    X(FOUND, NONE, "is there")                                                                               \
    X(SKIPPED, NONE, "is optional")                                                                          \
    X(MISSING, MISSING_FIELD, "is missing or null")                                                          \
    X(BAD, BAD_FIELD, "is no string or integer of 1 to 128 plain bytes")                                     \
    X(TOO_LONG, BAD_FIELD, "makes a name longer than 512 bytes")                                             \
    X(TOO_MANY, TOO_MANY_ROOMS, "makes more than 16384 rooms")

enum found {
#define X(id, reject, text) id,
    FOUND_TABLE(X)
#undef X
};

const char *reject_label(enum reject r)
{
    static const char *const labels[] = {
#define X(id, label, text) label,
        REJECT_TABLE(X)
#undef X
    };
    CHECK(r < REJECT_COUNT);
    return labels[r];
}

const char *reject_text(enum reject r)
{
    static const char *const texts[] = {
#define X(id, label, text) text,
        REJECT_TABLE(X)
#undef X
    };
    CHECK(r < REJECT_COUNT);
    return texts[r];
}

struct router *router_create(size_t event_max_bytes)
{
    struct router *r = xcalloc(1, sizeof *r);
    r->decoder.event_max_bytes = event_max_bytes;
    return r;
}

void router_destroy(struct router *r)
{
    if (!r)
        return;
    decoder_finish(&r->decoder);
    schema_checker_finish(&r->checker);
    for (size_t i = 0; i < TEMPLATE_PLACEHOLDERS_MAX; i++)
        buffer_finish(&r->scratch[i]);
    for (size_t i = 0; i < r->capacity; i++) {
        nameset_finish(&r->targets[i]->to);
        nameset_finish(&r->targets[i]->except);
        free(r->targets[i]);
    }
    free(r->targets);
    free(r->deliveries);
    free(r);
}

/* --- values --- */

/* 1 to 128 bytes without control characters (C0, DEL, C1); the text is UTF-8. */
static bool is_plain(struct slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c < 0x20 || c == 0x7f ||
            (c == 0xc2 && i + 1 < text.size && (unsigned char)text.data[i + 1] < 0xa0))
            return false;
    }
    return text.size > 0 && text.size <= VALUE_MAX;
}

/* Key and headers: bytes that nobody has looked at yet. */
static enum found take_bytes(struct slice bytes, struct slice *out)
{
    *out = bytes;
    if (!bytes.data)
        return MISSING;
    return bytes.size <= VALUE_MAX && utf8_valid(bytes.data, bytes.size) && is_plain(bytes) ? FOUND : BAD;
}

static enum found take_node(struct expansion *e, uint32_t node, size_t placeholder, struct slice *out)
{
    const struct json *json = &e->router->decoder.json;
    switch (json_type(json, node)) {
    case JSON_NULL:
        return MISSING;
    case JSON_STRING:
        *out = json_string(json, node, &e->router->scratch[placeholder]);
        return is_plain(*out) ? FOUND : BAD;
    case JSON_NUMBER:
        *out = json_raw(json, node);
        return json_is_integer(json, node) && !slice_is(*out, "-0") && is_plain(*out) ? FOUND : BAD;
    default:
        return BAD;
    }
}

/* --- paths --- */

/* Follows steps[*step..count) from *node, at most to behind the first array step. */
static enum found follow(
    struct expansion *e, const struct template_field *field, size_t *step, uint32_t *node)
{
    const struct json *json = &e->router->decoder.json;
    while (*step < field->step_count) {
        if (json_type(json, *node) == JSON_NULL)
            return MISSING;
        if (json_type(json, *node) != JSON_OBJECT)
            return BAD;
        *node = json_find(json, *node, field->steps[*step].name);
        if (field->steps[(*step)++].array)
            break;
    }
    return FOUND;
}

static struct slice header_name(const struct template_field *field)
{
    size_t skip = field->steps[0].name.size + 1;
    return (struct slice){field->text.data + skip, field->text.size - skip};
}

/* Where the path of a field begins: in the payload, or beside it. */
static uint32_t path_start(const struct expansion *e, const struct template_field *field, size_t *step)
{
    bool beside = slice_is(field->steps[0].name, "$record");
    *step = beside;
    return beside ? e->decoded->record_node : e->decoded->payload_node;
}

static enum found take_scalar(struct expansion *e, const struct template_field *field, size_t index)
{
    if (slice_is(field->steps[0].name, "$key"))
        return take_bytes(e->record->key, &e->values[index]);
    if (slice_is(field->steps[0].name, "$headers"))
        return take_bytes(record_header_find(e->record, header_name(field)), &e->values[index]);
    size_t step;
    uint32_t node = path_start(e, field, &step);
    enum found found = follow(e, field, &step, &node);
    return found == FOUND ? take_node(e, node, index, &e->values[index]) : found;
}

/* --- rooms --- */

static enum found write_room(struct expansion *e)
{
    size_t start = e->rooms->text.size;
    template_write(e->template, e->values, &e->rooms->text);
    if (e->rooms->text.size - start > ROOM_MAX)
        return TOO_LONG;
    nameset_add(e->rooms, start);
    return e->rooms->count > HOTLOG_ROOMS_MAX ? TOO_MANY : FOUND;
}

/* Each element of the array gives a room; the other placeholders have their values. */
static enum found write_rooms(struct expansion *e, const struct template_field *field, size_t index)
{
    const struct json *json = &e->router->decoder.json;
    size_t step;
    uint32_t array = path_start(e, field, &step);
    enum found found = follow(e, field, &step, &array);
    if (found != FOUND)
        return found;
    if (json_type(json, array) != JSON_ARRAY)
        return json_type(json, array) == JSON_NULL ? MISSING : BAD;
    for (uint32_t child = json_first(json, array); child != JSON_NONE;
         child = json_after(json, array, child)) {
        e->element++;
        size_t rest = step;
        uint32_t node = child;
        found = follow(e, field, &rest, &node);
        if (found == FOUND)
            found = take_node(e, node, index, &e->values[index]);
        if (found == MISSING && field->optional)
            continue;
        if (found != FOUND || (found = write_room(e)) != FOUND)
            return found;
    }
    return FOUND;
}

/* Where in the value the field is, or should be. Key and headers have no place there. */
static void point(struct expansion *e, const struct template_field *field)
{
    struct decoder *d = &e->router->decoder;
    size_t step;
    struct slice first = field->steps[0].name;
    if (slice_is(first, "$key") || slice_is(first, "$headers"))
        return;
    if (path_start(e, field, &step) != e->decoded->record_node && e->decoded->record_node != JSON_NONE)
        decoder_point(d, SLICE("data"));
    for (; step < field->step_count; step++) {
        decoder_point(d, field->steps[step].name);
        if (!field->steps[step].array)
            continue;
        if (e->element == SIZE_MAX)
            return;
        char number[24];
        snprintf(number, sizeof number, "%zu", e->element);
        decoder_point(d, slice_of(number));
    }
}

static enum reject conclude(struct expansion *e, enum found found, const struct template_field *field)
{
    static const struct {
        enum reject reject;
        const char *text;
    } table[] = {
#define X(id, reject, text) {REJECT_##reject, text},
        FOUND_TABLE(X)
#undef X
    };
    if (table[found].reject != REJECT_NONE)
        buffer_print(&e->router->decoder.detail, "{%.*s} of room %.*s %s",
            SLICE_ARGS(field ? field->text : SLICE("")), SLICE_ARGS(template_text(e->template)),
            table[found].text);
    if (table[found].reject != REJECT_NONE && field)
        point(e, field);
    return table[found].reject;
}

/* The rooms of one template; an optional field that is missing gives none. */
static enum reject expand(struct expansion *e)
{
    const struct template_field *array = NULL, *field = NULL;
    size_t array_index = 0;
    enum found found = FOUND;
    e->element = SIZE_MAX;
    for (size_t i = 0; found == FOUND && i < template_placeholders(e->template); i++) {
        field = template_field(e->template, i);
        if (field->array) {
            array = field;
            array_index = i;
        } else {
            found = take_scalar(e, field, i);
        }
    }
    if (found == FOUND && array)
        found = write_rooms(e, field = array, array_index);
    else if (found == FOUND)
        found = write_room(e);
    if (found == MISSING && field && field->optional)
        found = SKIPPED;
    return conclude(e, found, field);
}

/* --- deliveries --- */

static void reserve_deliveries(struct router *r, size_t count)
{
    if (count <= r->capacity)
        return;
    r->deliveries = xrealloc(r->deliveries, count * sizeof *r->deliveries);
    r->targets = xrealloc(r->targets, count * sizeof(struct targets *));
    for (; r->capacity < count; r->capacity++)
        r->targets[r->capacity] = xcalloc(1, sizeof(struct targets));
}

static enum reject expand_all(
    struct expansion *e, struct template *const *templates, size_t count, struct nameset *rooms)
{
    nameset_clear(rooms);
    e->rooms = rooms;
    for (size_t i = 0; i < count; i++) {
        e->template = templates[i];
        enum reject reject = expand(e);
        if (reject != REJECT_NONE)
            return reject;
    }
    return REJECT_NONE;
}

static enum reject deliver(struct expansion *e, const struct operation *op, size_t index)
{
    struct targets *targets = e->router->targets[index];
    enum reject reject = expand_all(e, op->to, op->to_count, &targets->to);
    if (reject == REJECT_NONE)
        reject = expand_all(e, op->except, op->except_count, &targets->except);
    if (reject == REJECT_NONE && targets->to.count + targets->except.count > HOTLOG_ROOMS_MAX) {
        buffer_print(&e->router->decoder.detail, "%zu to go to and %zu excepted", targets->to.count,
            targets->except.count);
        reject = REJECT_TOO_MANY_ROOMS;
    }
    e->router->deliveries[index] = (struct delivery){.operation = op,
        .rooms = nameset_names(&targets->to),
        .room_count = targets->to.count,
        .except = nameset_names(&targets->except),
        .except_count = targets->except.count};
    return reject;
}

/* A tombstone has no payload that a schema could describe. */
static enum reject validate(
    struct router *r, const struct topic *topic, const struct decoded *decoded, struct routed *out)
{
    const struct schema *schema = decoded->message->schema;
    const struct schema_fault *f = &r->checker.fault;
    if (!schema || decoded->payload_node == JSON_NONE ||
        schema_holds(schema, &r->decoder.json, decoded->payload_node, &r->checker))
        return REJECT_NONE;
    out->fault = f;
    if (topic->validation != VALIDATION_ENFORCE)
        return REJECT_NONE;
    buffer_print(&r->decoder.detail, "type %.*s, at '%.*s', %s: %.*s", SLICE_ARGS(decoded->message->type),
        SLICE_ARGS(f->pointer), f->keyword, SLICE_ARGS(f->message));
    if (decoded->record_node != JSON_NONE)
        decoder_point(&r->decoder, SLICE("data"));
    buffer_add_slice(&r->decoder.pointer, f->pointer);
    r->decoder.placed = true;
    return REJECT_INVALID;
}

static bool wants_trace(const struct catalogue *c, const struct source_message *message)
{
    const struct lane *lanes;
    (void)catalogue_lanes(c, &lanes);
    for (size_t i = 0; i < message->operation_count; i++)
        if (lanes[message->operations[i]->lane].traceparent)
            return true;
    return false;
}

static enum reject route(
    struct router *r, const struct catalogue *c, const struct record *record, struct routed *out)
{
    const struct topic *topic = catalogue_find_topic(c, record->topic);
    struct decoded decoded;
    buffer_clear(&r->decoder.detail);
    buffer_clear(&r->decoder.pointer);
    r->decoder.placed = false;
    enum reject reject = topic ? decode_record(&r->decoder, topic, record, &decoded) : REJECT_IGNORED;
    if (reject == REJECT_NONE)
        reject = validate(r, topic, &decoded, out);
    if (reject != REJECT_NONE)
        return reject;
    const struct source_message *message = decoded.message;
    struct expansion e = {.router = r, .record = record, .decoded = &decoded};
    reserve_deliveries(r, message->operation_count);
    for (size_t i = 0; i < message->operation_count; i++) {
        reject = deliver(&e, message->operations[i], i);
        if (reject != REJECT_NONE) {
            buffer_print(&r->decoder.detail, ", in operation %.*s", SLICE_ARGS(message->operations[i]->name));
            return reject;
        }
    }
    out->type = message->type;
    out->payload = decoded.payload;
    if (wants_trace(c, message))
        out->traceparent = decode_traceparent(&r->decoder, record, &decoded);
    out->deliveries = r->deliveries;
    out->delivery_count = message->operation_count;
    return REJECT_NONE;
}

/* The empty pointer is all of the value, no pointer is no place. */
static struct slice pointer_of(const struct decoder *d)
{
    return d->pointer.size > 0 ? buffer_slice(&d->pointer) : SLICE("");
}

enum reject route_record(
    struct router *r, const struct catalogue *c, const struct record *record, struct routed *out)
{
    *out = (struct routed){0};
    enum reject reject = route(r, c, record, out);
    if (reject != REJECT_NONE)
        *out = (struct routed){.detail = buffer_slice(&r->decoder.detail),
            .pointer = r->decoder.placed ? pointer_of(&r->decoder) : (struct slice){NULL, 0},
            .fault = reject == REJECT_INVALID ? out->fault : NULL};
    return reject;
}
