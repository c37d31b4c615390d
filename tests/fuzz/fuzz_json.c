/* libFuzzer: whatever the bytes, json_scan either tells a fault inside the text or leaves a tape whose every
   node can be read, stands within its parent, and scans alone to the same value. */
#include "causeway/json.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { RESCANS_MAX = 200 }; /* a scan per node is quadratic in long inputs */

static void check_string(const struct json *j, uint32_t node)
{
    struct buffer scratch = {0};
    struct slice text = json_string(j, node, &scratch);
    CHECK(text.data && text.size <= json_raw(j, node).size);
    CHECK(utf8_valid(text.data, text.size) && !memchr(text.data, '\0', text.size));
    CHECK(json_string_is(j, node, text));
    CHECK(j->nodes[node].escaped == (text.data == scratch.data && scratch.data));
    buffer_finish(&scratch);
}

static void check_alone(const struct json *j, uint32_t node)
{
    struct slice text = json_verbatim(j, node);
    struct json alone = {0};
    CHECK(json_scan(&alone, text.data, text.size));
    CHECK(json_type(&alone, 0) == json_type(j, node));
    CHECK(alone.used == j->nodes[node].next - node);
    CHECK(alone.nodes[0].count == j->nodes[node].count);
    CHECK(slice_equal(json_verbatim(&alone, 0), text));
    json_finish(&alone);
}

static void check_node(const struct json *j, uint32_t node, size_t size)
{
    const struct json_node *n = &j->nodes[node];
    int64_t value;
    CHECK(n->start <= n->end && n->end <= size);
    CHECK(n->next > node && n->next <= j->used);
    if (json_type(j, node) == JSON_STRING)
        check_string(j, node);
    else
        CHECK(n->end > n->start);
    if (json_int64(j, node, &value))
        CHECK(json_is_integer(j, node));
    if (node < RESCANS_MAX)
        check_alone(j, node);
}

static void check_children(const struct json *j, uint32_t container)
{
    const struct json_node *parent = &j->nodes[container];
    bool object = parent->type == JSON_OBJECT;
    uint32_t count = 0, behind = parent->start;
    struct buffer scratch = {0};
    for (uint32_t i = json_first(j, container); i != JSON_NONE; i = json_after(j, container, i), count++) {
        uint32_t value = object ? i + 1 : i;
        CHECK(j->nodes[i].start > behind && j->nodes[value].end < parent->end);
        behind = j->nodes[value].end - 1;
        if (object && count < RESCANS_MAX)
            CHECK(json_find(j, container, json_string(j, i, &scratch)) == value);
    }
    CHECK(count == parent->count);
    buffer_finish(&scratch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct json j; /* used again and again, as the program does */
    if (!json_scan(&j, (const char *)data, size)) {
        CHECK(j.fault && j.fault_at <= size && j.used == 0);
        return 0;
    }
    CHECK(!j.fault && utf8_valid((const char *)data, size));
    CHECK(j.nodes[0].next == j.used);
    for (uint32_t i = 0; i < j.used; i++) {
        check_node(&j, i, size);
        if (json_type(&j, i) == JSON_ARRAY || json_type(&j, i) == JSON_OBJECT)
            check_children(&j, i);
    }
    return 0;
}
