#include "decode.h"

#include <strings.h>

enum { CONFLUENT_HEADER = 5, TRACEPARENT_SIZE = 55, CONTENT_TYPE_SHOWN = 80 };

void decoder_finish(struct decoder *d)
{
    json_finish(&d->json);
    buffer_finish(&d->scratch);
    buffer_finish(&d->detail);
    buffer_finish(&d->pointer);
}

/* The type that a header says, or an empty slice. */
static struct slice header_type(const struct record *record)
{
    struct slice type = record_header_find(record, SLICE("ce_type"));
    return type.size > 0 ? type : record_header_find(record, SLICE("type"));
}

void decoder_point(struct decoder *d, struct slice member)
{
    d->placed = true;
    buffer_add_byte(&d->pointer, '/');
    for (size_t i = 0; i < member.size; i++) {
        char c = member.data[i];
        if (c == '~' || c == '/')
            buffer_add_text(&d->pointer, c == '~' ? "~0" : "~1");
        else
            buffer_add_byte(&d->pointer, c);
    }
}

/* A rejection because of this member of the value. */
static enum reject reject_at(struct decoder *d, const char *member, enum reject why)
{
    decoder_point(d, slice_of(member));
    return why;
}

static enum reject find_message(const struct topic *topic, struct slice type, struct decoded *out)
{
    out->message = topic_find_message(topic, type);
    return out->message && out->message->operation_count > 0 ? REJECT_NONE : REJECT_IGNORED;
}

static enum reject decode_tombstone(const struct topic *topic, struct decoded *out)
{
    if (!topic->tombstone || topic->tombstone->operation_count == 0)
        return REJECT_IGNORED;
    *out = (struct decoded){topic->tombstone, SLICE("null"), JSON_NONE, JSON_NONE};
    return REJECT_NONE;
}

/* What serializers of a schema registry put before the value: a zero byte, then the schema's number. No JSON
   text begins like that. */
static bool is_confluent(struct decoder *d, struct slice value)
{
    const unsigned char *byte = (const unsigned char *)value.data;
    if (value.size < CONFLUENT_HEADER || byte[0] != 0)
        return false;
    uint32_t id = (uint32_t)byte[1] << 24 | (uint32_t)byte[2] << 16 | (uint32_t)byte[3] << 8 | byte[4];
    buffer_print(&d->detail, "schema id %u; publish plain JSON", id);
    return true;
}

static enum reject scan_value(struct decoder *d, struct slice value)
{
    if (value.size > d->event_max_bytes) {
        buffer_print(&d->detail, "%zu bytes, at most %zu are carried", value.size, d->event_max_bytes);
        return REJECT_TOO_LARGE;
    }
    if (is_confluent(d, value))
        return REJECT_CONFLUENT;
    if (!json_scan(&d->json, value.data, value.size)) {
        buffer_print(&d->detail, "byte %u: %s", d->json.fault_at, d->json.fault);
        return REJECT_NOT_JSON;
    }
    return REJECT_NONE;
}

/* The type that a member says, and the payload beside it. */
static enum reject decode_value(struct decoder *d, const struct topic *topic, struct decoded *out)
{
    d->placed = json_type(&d->json, 0) != JSON_OBJECT; /* all of it */
    if (d->placed)
        return REJECT_NOT_OBJECT;
    struct slice type = json_string(&d->json, json_find(&d->json, 0, SLICE("type")), &d->scratch);
    if (type.size == 0)
        return reject_at(d, "type", REJECT_NO_TYPE);
    enum reject reject = find_message(topic, type, out);
    if (reject != REJECT_NONE)
        return reject;
    out->payload_node = json_find(&d->json, 0, SLICE("data"));
    out->record_node = 0;
    return out->payload_node == JSON_NONE ? reject_at(d, "data", REJECT_NO_DATA) : REJECT_NONE;
}

/* --- CloudEvents in structured mode --- */

enum content { CONTENT_PLAIN, CONTENT_CLOUDEVENT, CONTENT_UNREADABLE };

/* application/cloudevents+json; other formats, and batches, are announced alike. */
static enum content content_of(const struct record *record, struct slice *type)
{
    static const struct slice family = {"application/cloudevents", 23};
    struct slice text = record_header_find(record, SLICE("content-type"));
    const char *parameters = text.size > 0 ? memchr(text.data, ';', text.size) : NULL;
    *type = (struct slice){text.data, parameters ? (size_t)(parameters - text.data) : text.size};
    while (type->size > 0 && type->data[type->size - 1] == ' ')
        type->size--;
    if (type->size < family.size || strncasecmp(type->data, family.data, family.size) != 0)
        return CONTENT_PLAIN;
    struct slice format = {type->data + family.size, type->size - family.size};
    bool json = format.size == 0 || (format.size == 5 && strncasecmp(format.data, "+json", 5) == 0);
    return json ? CONTENT_CLOUDEVENT : CONTENT_UNREADABLE;
}

static bool has_text(struct decoder *d, const char *member)
{
    uint32_t node = json_find(&d->json, 0, slice_of(member));
    if (json_string(&d->json, node, &d->scratch).size > 0)
        return true;
    buffer_print(&d->detail, "member \"%s\" is missing or no text", member);
    return false;
}

static bool is_cloudevent(struct decoder *d)
{
    static const char *const needed[] = {"specversion", "id", "source", "type"};
    if (json_type(&d->json, 0) != JSON_OBJECT) {
        buffer_add_text(&d->detail, "it is no JSON object");
        return false;
    }
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
        if (!has_text(d, needed[i]))
            return false;
    if (json_string_is(&d->json, json_find(&d->json, 0, SLICE("specversion")), SLICE("1.0")))
        return true;
    buffer_add_text(&d->detail, "specversion is not 1.0");
    return false;
}

static enum reject decode_cloudevent(struct decoder *d, const struct topic *topic, struct decoded *out)
{
    if (!is_cloudevent(d))
        return REJECT_BAD_CLOUDEVENT;
    enum reject reject = decode_value(d, topic, out);
    if (reject == REJECT_NO_DATA && json_find(&d->json, 0, SLICE("data_base64")) != JSON_NONE)
        buffer_add_text(&d->detail, "data_base64 is not carried; publish JSON as data");
    return reject;
}

/* --- traces --- */

static bool are_hex(struct slice text, size_t from, size_t count)
{
    bool something = false;
    for (size_t i = from; i < from + count; i++) {
        char c = text.data[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
            return false;
        something = something || c != '0';
    }
    return something || count == 2; /* ids of nothing but zeros are none */
}

/* "00-<32 digits>-<16 digits>-<2 digits>" */
static bool is_traceparent(struct slice text)
{
    return text.data && text.size == TRACEPARENT_SIZE && text.data[2] == '-' && text.data[35] == '-' &&
           text.data[52] == '-' && are_hex(text, 0, 2) && are_hex(text, 3, 32) && are_hex(text, 36, 16) &&
           are_hex(text, 53, 2) && !slice_starts(text, SLICE("ff"));
}

struct slice decode_traceparent(
    const struct decoder *d, const struct record *record, const struct decoded *decoded)
{
    struct slice text = record_header_find(record, SLICE("traceparent"));
    if (!text.data)
        text = record_header_find(record, SLICE("ce_traceparent"));
    if (!text.data && decoded->record_node != JSON_NONE)
        text = json_raw(&d->json, json_find(&d->json, decoded->record_node, SLICE("traceparent")));
    return is_traceparent(text) ? text : (struct slice){0};
}

/* --- the whole --- */

/* After the scan; `type` is what a header says. */
static enum reject decode_shape(struct decoder *d, const struct topic *topic, enum content content,
    struct slice type, struct decoded *out)
{
    if (content == CONTENT_CLOUDEVENT)
        return decode_cloudevent(d, topic, out);
    if (type.size == 0)
        return decode_value(d, topic, out);
    out->payload_node = 0;
    return REJECT_NONE;
}

enum reject decode_record(
    struct decoder *d, const struct topic *topic, const struct record *record, struct decoded *out)
{
    buffer_clear(&d->detail);
    buffer_clear(&d->pointer);
    d->placed = false;
    *out = (struct decoded){NULL, {NULL, 0}, JSON_NONE, JSON_NONE};
    if (!record->value.data)
        return decode_tombstone(topic, out);
    struct slice announced;
    enum content content = content_of(record, &announced);
    /* In structured mode the value says the type. */
    struct slice type = content == CONTENT_PLAIN ? header_type(record) : (struct slice){0};
    if (!topic->wanted || (type.size > 0 && find_message(topic, type, out) != REJECT_NONE))
        return REJECT_IGNORED;
    if (content == CONTENT_UNREADABLE) {
        buffer_print(&d->detail, "content-type %.*s is not read; it must be application/cloudevents+json",
            (int)(announced.size < CONTENT_TYPE_SHOWN ? announced.size : CONTENT_TYPE_SHOWN), announced.data);
        return REJECT_BAD_CLOUDEVENT;
    }
    enum reject reject = scan_value(d, record->value);
    if (reject == REJECT_NONE)
        reject = decode_shape(d, topic, content, type, out);
    if (reject == REJECT_NONE)
        out->payload = json_verbatim(&d->json, out->payload_node);
    return reject;
}
