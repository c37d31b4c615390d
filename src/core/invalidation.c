#include "causeway/invalidation.h"

/* A text or a number as it is; an array as it stands. */
static bool add_key(const struct json *j, uint32_t key, struct buffer *out)
{
    struct buffer unescaped = {0};
    enum json_type type = json_type(j, key);
    bool fits = type == JSON_STRING || type == JSON_NUMBER || type == JSON_ARRAY;
    buffer_add_byte(out, ':');
    if (fits)
        buffer_add_slice(out, type == JSON_STRING ? json_string(j, key, &unescaped) : json_verbatim(j, key));
    buffer_finish(&unescaped);
    return fits;
}

static const char *add_object(const struct json *j, struct buffer *out)
{
    struct buffer unescaped = {0};
    uint32_t key = json_find(j, 0, SLICE("key"));
    struct slice lookup = json_string(j, json_find(j, 0, SLICE("lookup")), &unescaped);
    bool named = lookup.size > 0 && !memchr(lookup.data, ':', lookup.size);
    if (named)
        buffer_add_slice(out, lookup);
    buffer_finish(&unescaped);
    if (!named)
        return "lookup must be the name of one";
    return key == JSON_NONE || add_key(j, key, out) ? NULL : "key must be a text, a number or an array";
}

static const char *add_text(const struct json *j, struct buffer *out)
{
    struct buffer unescaped = {0};
    struct slice text = json_string(j, 0, &unescaped);
    buffer_add_slice(out, text);
    buffer_finish(&unescaped);
    return text.size > 0 ? NULL : "it is empty";
}

bool invalidation_read(struct json *scratch, struct slice record, struct buffer *out, const char **fault)
{
    size_t before = out->size;
    if (!record.data || !json_scan(scratch, record.data, record.size))
        *fault = record.data ? scratch->fault : "it has no value";
    else if (json_type(scratch, 0) == JSON_OBJECT)
        *fault = add_object(scratch, out);
    else if (json_type(scratch, 0) == JSON_STRING)
        *fault = add_text(scratch, out);
    else
        *fault = "it is neither an object nor a text";
    if (*fault)
        out->size = before;
    return !*fault;
}
