#include "causeway/json.h"

#include "causeway/json_escape.h"

#include <stdlib.h>

void json_finish(struct json *j)
{
    free(j->nodes);
    free(j->keys.slots);
    buffer_finish(&j->keys.name);
    *j = (struct json){0};
}

static bool is_node(const struct json *j, uint32_t node)
{
    return node < j->used;
}

enum json_type json_type(const struct json *j, uint32_t node)
{
    return is_node(j, node) ? (enum json_type)j->nodes[node].type : JSON_NULL;
}

struct slice json_raw(const struct json *j, uint32_t node)
{
    if (!is_node(j, node))
        return (struct slice){0};
    const struct json_node *n = &j->nodes[node];
    return (struct slice){j->text + n->start, n->end - n->start};
}

struct slice json_verbatim(const struct json *j, uint32_t node)
{
    struct slice raw = json_raw(j, node);
    if (is_node(j, node) && j->nodes[node].type == JSON_STRING)
        raw = (struct slice){raw.data - 1, raw.size + 2};
    return raw;
}

struct slice json_string(const struct json *j, uint32_t node, struct buffer *scratch)
{
    if (!is_node(j, node) || j->nodes[node].type != JSON_STRING)
        return (struct slice){0};
    struct slice raw = json_raw(j, node);
    if (!j->nodes[node].escaped)
        return raw;
    buffer_clear(scratch);
    const char *end = raw.data + raw.size;
    for (const char *p = raw.data; p < end;) {
        const char *escape = memchr(p, '\\', (size_t)(end - p));
        buffer_add(scratch, p, (size_t)((escape ? escape : end) - p));
        if (!escape)
            break;
        char unit[4];
        size_t size;
        p = json_escape_decode(escape, unit, &size);
        buffer_add(scratch, unit, size);
    }
    return buffer_slice(scratch);
}

static bool escaped_equal(struct slice raw, struct slice text)
{
    const char *p = raw.data;
    while (p < raw.data + raw.size) {
        char unit[4];
        size_t size = 1;
        unit[0] = *p;
        p = *p == '\\' ? json_escape_decode(p, unit, &size) : p + 1;
        if (size > text.size || memcmp(unit, text.data, size) != 0)
            return false;
        text = (struct slice){text.data + size, text.size - size};
    }
    return text.size == 0;
}

static bool has_text(const struct json *j, uint32_t string, struct slice text)
{
    struct slice raw = json_raw(j, string);
    return j->nodes[string].escaped ? escaped_equal(raw, text) : slice_equal(raw, text);
}

bool json_string_is(const struct json *j, uint32_t node, struct slice text)
{
    return is_node(j, node) && j->nodes[node].type == JSON_STRING && has_text(j, node, text);
}

uint32_t json_first(const struct json *j, uint32_t container)
{
    return is_node(j, container) && j->nodes[container].count > 0 ? container + 1 : JSON_NONE;
}

uint32_t json_after(const struct json *j, uint32_t container, uint32_t child)
{
    if (!is_node(j, container) || !is_node(j, child))
        return JSON_NONE;
    uint32_t last = j->nodes[container].type == JSON_OBJECT ? child + 1 : child;
    uint32_t next = j->nodes[last].next;
    return next < j->nodes[container].next ? next : JSON_NONE;
}

uint32_t json_find(const struct json *j, uint32_t node, struct slice key)
{
    if (!is_node(j, node) || j->nodes[node].type != JSON_OBJECT)
        return JSON_NONE;
    uint32_t member = node + 1;
    for (uint32_t i = 0; i < j->nodes[node].count; i++, member = j->nodes[member + 1].next)
        if (has_text(j, member, key))
            return member + 1;
    return JSON_NONE;
}

bool json_is_integer(const struct json *j, uint32_t node)
{
    if (json_type(j, node) != JSON_NUMBER)
        return false;
    struct slice raw = json_raw(j, node);
    for (size_t i = slice_starts(raw, SLICE("-")); i < raw.size; i++)
        if (raw.data[i] < '0' || raw.data[i] > '9')
            return false;
    return true;
}

bool json_int64(const struct json *j, uint32_t node, int64_t *out)
{
    if (!json_is_integer(j, node))
        return false;
    struct slice raw = json_raw(j, node);
    bool negative = slice_starts(raw, SLICE("-"));
    int64_t value = 0; /* counted downwards, because INT64_MIN has no positive */
    for (size_t i = negative; i < raw.size; i++)
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_sub_overflow(value, raw.data[i] - '0', &value))
            return false;
    if (!negative && __builtin_mul_overflow(value, -1, &value))
        return false;
    *out = value;
    return true;
}
