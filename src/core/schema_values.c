/* When are two JSON values equal: numbers by what they mean (1, 1.0, 10e-1), objects whatever their order. */
#include "schema_internal.h"

#include "causeway/memory.h"

#include <stdlib.h>

enum { FEW = 16 /* arrays up to this size are compared pair by pair */ };

static bool spend(uint64_t *effort, uint64_t cost)
{
    *effort = *effort > cost ? *effort - cost : 0;
    return *effort > 0;
}

/* --- equality --- */

static bool strings_equal(const struct json *a, uint32_t x, const struct json *b, uint32_t y)
{
    if (!a->nodes[x].escaped)
        return json_string_is(b, y, json_raw(a, x));
    if (!b->nodes[y].escaped)
        return json_string_is(a, x, json_raw(b, y));
    struct buffer scratch = {0};
    bool equal = json_string_is(b, y, json_string(a, x, &scratch));
    buffer_finish(&scratch);
    return equal;
}

static bool numbers_equal(struct slice a, struct slice b)
{
    return slice_equal(a, b) || decimal_compare(decimal_read(a), decimal_read(b)) == 0;
}

static bool arrays_equal(const struct json *a, uint32_t x, const struct json *b, uint32_t y, uint64_t *effort)
{
    uint32_t other = json_first(b, y);
    for (uint32_t i = json_first(a, x); i != JSON_NONE;
         i = json_after(a, x, i), other = json_after(b, y, other))
        if (!schema_equal(a, i, b, other, effort))
            return false;
    return true;
}

static bool objects_equal(
    const struct json *a, uint32_t x, const struct json *b, uint32_t y, uint64_t *effort)
{
    struct buffer scratch = {0};
    bool equal = true;
    for (uint32_t i = json_first(a, x); i != JSON_NONE && equal; i = json_after(a, x, i)) {
        uint32_t other = json_find(b, y, json_string(a, i, &scratch));
        equal = spend(effort, b->nodes[y].count / FEW) && other != JSON_NONE &&
                schema_equal(a, i + 1, b, other, effort);
    }
    buffer_finish(&scratch);
    return equal;
}

bool schema_equal(const struct json *a, uint32_t x, const struct json *b, uint32_t y, uint64_t *effort)
{
    enum json_type type = json_type(a, x);
    if (type != json_type(b, y) || a->nodes[x].count != b->nodes[y].count || !spend(effort, 1))
        return false;
    switch (type) {
    case JSON_NUMBER:
        return numbers_equal(json_raw(a, x), json_raw(b, y));
    case JSON_STRING:
        return strings_equal(a, x, b, y);
    case JSON_ARRAY:
        return arrays_equal(a, x, b, y, effort);
    case JSON_OBJECT:
        return objects_equal(a, x, b, y, effort);
    default:
        return true;
    }
}

/* --- repeated elements --- */

static uint64_t mix(uint64_t hash, uint64_t more)
{
    hash = (hash ^ more) * 0x9e3779b97f4a7c15;
    return hash ^ hash >> 29;
}

/* Equal values have equal hashes. */
static uint64_t hash_value(const struct json *j, uint32_t node, struct buffer *scratch)
{
    enum json_type type = json_type(j, node);
    uint64_t hash = mix(1, type), sum = 0;
    struct slice text;
    switch (type) {
    case JSON_NUMBER:
        return mix(hash, decimal_hash(decimal_read(json_raw(j, node))));
    case JSON_STRING:
        text = json_string(j, node, scratch);
        return mix(hash, hash_bytes(text.data, text.size, 0));
    case JSON_ARRAY:
        for (uint32_t i = json_first(j, node); i != JSON_NONE; i = json_after(j, node, i))
            hash = mix(hash, hash_value(j, i, scratch));
        return hash;
    case JSON_OBJECT: /* a sum, so that the order does not matter */
        for (uint32_t i = json_first(j, node); i != JSON_NONE; i = json_after(j, node, i))
            sum += mix(hash_value(j, i, scratch), hash_value(j, i + 1, scratch));
        return mix(hash, sum);
    default:
        return hash;
    }
}

struct element {
    uint64_t hash;
    uint32_t node;
};

static int compare_elements(const void *a, const void *b)
{
    const struct element *left = a, *right = b;
    if (left->hash != right->hash)
        return left->hash < right->hash ? -1 : 1;
    return (left->node > right->node) - (left->node < right->node);
}

static bool find_in_pairs(
    const struct json *j, uint32_t array, uint64_t *effort, uint32_t *first, uint32_t *second)
{
    for (*second = json_first(j, array); *second != JSON_NONE; *second = json_after(j, array, *second))
        for (*first = json_first(j, array); *first != *second; *first = json_after(j, array, *first))
            if (schema_equal(j, *first, j, *second, effort))
                return true;
    return false;
}

/* Elements whose hashes are the same stand beside each other; whoever makes many such pays with the effort.
 */
static bool find_by_hash(
    const struct json *j, uint32_t array, uint64_t *effort, uint32_t *first, uint32_t *second)
{
    size_t count = j->nodes[array].count, at = 0;
    struct element *elements = xmalloc(count * sizeof *elements);
    struct buffer scratch = {0};
    for (uint32_t i = json_first(j, array); i != JSON_NONE; i = json_after(j, array, i))
        elements[at++] = (struct element){hash_value(j, i, &scratch), i};
    qsort(elements, count, sizeof *elements, compare_elements);
    bool found = false;
    for (size_t i = 1; i < count && !found && *effort > 0; i++) {
        for (size_t k = i; k-- > 0 && elements[k].hash == elements[i].hash && !found && *effort > 0;) {
            found = schema_equal(j, elements[k].node, j, elements[i].node, effort);
            *first = elements[k].node;
            *second = elements[i].node;
        }
    }
    buffer_finish(&scratch);
    free(elements);
    return found;
}

bool schema_find_repeated(
    const struct json *j, uint32_t array, uint64_t *effort, uint32_t *first, uint32_t *second)
{
    /* What hashing reads, equality will not read for free either. */
    if (!spend(effort, j->nodes[array].next - array))
        return false;
    return (j->nodes[array].count <= FEW ? find_in_pairs : find_by_hash)(j, array, effort, first, second);
}

/* --- enum and const --- */

bool schema_constants_have(const struct schema_constants *c, const struct json *j, uint32_t node,
    struct buffer *scratch, uint64_t *effort)
{
    bool string = json_type(j, node) == JSON_STRING;
    struct slice text = string ? json_string(j, node, scratch) : (struct slice){0};
    for (size_t i = 0; i < c->count; i++) {
        if (string ? c->strings[i].data && slice_equal(c->strings[i], text)
                   : schema_equal(j, node, &c->json, c->nodes[i], effort))
            return true;
    }
    return false;
}
