#include "captured.h"

/* A text of the record, kept until the next one; NULL data when the node is no string. */
static struct slice take_text(struct captured *c, uint32_t node)
{
    if (json_type(&c->json, node) != JSON_STRING)
        return (struct slice){0};
    return json_string(&c->json, node, &c->texts[c->text_count++]);
}

static uint32_t member(const struct captured *c, const char *key)
{
    return json_find(&c->json, 0, slice_of(key));
}

/* A map, or kcat's list in which names and values take turns. */
static void take_headers(struct captured *c, struct record *r)
{
    uint32_t headers = member(c, "headers");
    bool map = json_type(&c->json, headers) == JSON_OBJECT;
    for (uint32_t i = json_first(&c->json, headers); i != JSON_NONE && r->header_count < RECORD_HEADERS_MAX;
         i = json_after(&c->json, headers, i)) {
        uint32_t value = map ? i + 1 : json_after(&c->json, headers, i);
        if (value == JSON_NONE)
            return;
        r->headers[r->header_count++] = (struct record_header){take_text(c, i), take_text(c, value)};
        i = map ? i : value;
    }
}

bool captured_read(struct captured *c, struct slice text, const char *topic, struct record *out)
{
    if (!json_scan(&c->json, text.data, text.size) || json_type(&c->json, 0) != JSON_OBJECT)
        return false;
    uint32_t value = member(c, "value");
    value = value == JSON_NONE ? member(c, "payload") : value;
    c->text_count = 0;
    *out = (struct record){.topic = take_text(c, member(c, "topic")), .key = take_text(c, member(c, "key"))};
    if (!out->topic.data)
        out->topic = slice_of(topic);
    take_headers(c, out);
    if (json_type(&c->json, value) == JSON_STRING)
        out->value = take_text(c, value);
    else if (json_type(&c->json, value) != JSON_NULL)
        out->value = json_verbatim(&c->json, value);
    return true;
}

void captured_finish(struct captured *c)
{
    json_finish(&c->json);
    for (size_t i = 0; i < sizeof c->texts / sizeof *c->texts; i++)
        buffer_finish(&c->texts[i]);
}
