#include "decode.h"

void decoder_finish(struct decoder *d)
{
    json_finish(&d->json);
    buffer_finish(&d->scratch);
    buffer_finish(&d->detail);
}

/* The type that a header says, or an empty slice. */
static struct slice header_type(const struct record *record)
{
    struct slice type = record_header_find(record, SLICE("ce_type"));
    return type.size > 0 ? type : record_header_find(record, SLICE("type"));
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

static enum reject scan_value(struct decoder *d, struct slice value)
{
    if (value.size > d->event_max_bytes) {
        buffer_print(&d->detail, "%zu bytes, at most %zu are carried", value.size, d->event_max_bytes);
        return REJECT_TOO_LARGE;
    }
    if (!json_scan(&d->json, value.data, value.size)) {
        buffer_print(&d->detail, "byte %u: %s", d->json.fault_at, d->json.fault);
        return REJECT_NOT_JSON;
    }
    return REJECT_NONE;
}

static enum reject decode_value(struct decoder *d, const struct topic *topic, struct decoded *out)
{
    if (json_type(&d->json, 0) != JSON_OBJECT)
        return REJECT_NOT_OBJECT;
    struct slice type = json_string(&d->json, json_find(&d->json, 0, SLICE("type")), &d->scratch);
    if (type.size == 0)
        return REJECT_NO_TYPE;
    enum reject reject = find_message(topic, type, out);
    if (reject != REJECT_NONE)
        return reject;
    out->payload_node = json_find(&d->json, 0, SLICE("data"));
    out->record_node = 0;
    return out->payload_node == JSON_NONE ? REJECT_NO_DATA : REJECT_NONE;
}

enum reject decode_record(
    struct decoder *d, const struct topic *topic, const struct record *record, struct decoded *out)
{
    buffer_clear(&d->detail);
    *out = (struct decoded){NULL, {NULL, 0}, JSON_NONE, JSON_NONE};
    if (!record->value.data)
        return decode_tombstone(topic, out);
    struct slice type = header_type(record);
    if (!topic->wanted || (type.size > 0 && find_message(topic, type, out) != REJECT_NONE))
        return REJECT_IGNORED;
    enum reject reject = scan_value(d, record->value);
    if (reject != REJECT_NONE)
        return reject;
    if (type.size > 0)
        out->payload_node = 0;
    else if ((reject = decode_value(d, topic, out)) != REJECT_NONE)
        return reject;
    out->payload = json_verbatim(&d->json, out->payload_node);
    return REJECT_NONE;
}
