/* The tree itself, built by hand: reading, references, writing. */
#include "unit.h"

#include "causeway/document.h"

#include <stdio.h>

static struct node *scalar(struct document *d, enum document_type type, const char *text)
{
    struct node *n = node_create(d, type, 0, 1);
    node_set_text(n, slice_of(text));
    return n;
}

static struct node *text(struct document *d, const char *value)
{
    return scalar(d, DOCUMENT_STRING, value);
}

static struct node *map(struct document *d, int file)
{
    return node_create(d, DOCUMENT_MAP, file, 1);
}

static void put(struct node *into, const char *key, struct node *value)
{
    assert_true(node_insert(into, slice_of(key), value));
}

static struct node *reference(struct document *d, int file, const char *target)
{
    struct node *n = map(d, file);
    put(n, "$ref", text(d, target));
    return n;
}

/* A document with one file, "/api/main.yaml", and an empty map as its root. */
static struct document *create(struct node **root)
{
    struct document *d = document_create();
    assert_int_equal(document_add_file(d, "/api/main.yaml"), 0);
    *root = map(d, 0);
    document_set_root(d, 0, *root);
    return d;
}

static void assert_text(const struct node *n, const char *expected)
{
    assert_non_null(n);
    if (!slice_is(node_text(n), expected))
        fail_msg("%.*s is not %s", SLICE_ARGS(node_text(n)), expected);
}

static void what_was_built_can_be_read(void **state)
{
    (void)state;
    struct node *root;
    struct document *d = create(&root);
    struct node *list = node_create(d, DOCUMENT_LIST, 0, 7);
    put(root, "name", text(d, "a\0b"));
    put(root, "list", list);
    put(root, "", scalar(d, DOCUMENT_NUMBER, "1.50"));
    node_append(list, scalar(d, DOCUMENT_BOOL, "True"));
    node_append(list, scalar(d, DOCUMENT_NULL, "~"));

    assert_ptr_equal(document_root(d, 0), root);
    assert_int_equal(node_count(root), 3);
    assert_true(slice_is(node_key(root, 1), "list"));
    assert_ptr_equal(node_value(root, 1), list);
    assert_text(node_find(root, "name"), "a");
    assert_text(node_find(root, ""), "1.50");
    assert_int_equal(node_type(node_find(root, "list")), DOCUMENT_LIST);
    assert_int_equal(node_count(list), 2);
    assert_true(node_bool(node_at(list, 0), false));
    assert_int_equal(node_line(list), 7);
    assert_string_equal(node_file(list), "/api/main.yaml");
    assert_non_null(node_at(list, 1)); /* null is a value */
    assert_int_equal(node_text(node_at(list, 1)).size, 0);
    assert_false(node_insert(root, SLICE("name"), list));
    document_destroy(d);
}

static void what_is_not_there_reads_as_nothing(void **state)
{
    (void)state;
    struct node *root;
    struct document *d = create(&root);
    put(root, "text", text(d, "x"));
    const struct node *x = node_find(root, "text");

    assert_null(node_find(root, "other"));
    assert_null(node_find(NULL, "text"));
    assert_null(node_find(x, "text"));
    assert_null(node_find_raw(NULL, "text"));
    assert_null(node_at(root, 0));
    assert_null(node_at(NULL, 0));
    assert_null(node_value(root, 1));
    assert_null(node_value(x, 0));
    assert_null(node_resolve(NULL));
    assert_null(node_follow(root));
    assert_null(document_root(d, 1));
    assert_null(document_root(d, -1));
    assert_null(document_root(NULL, 0));
    assert_int_equal(document_file(d, "/api/other.yaml"), -1);
    assert_int_equal(node_type(NULL), DOCUMENT_NULL);
    assert_int_equal(node_count(NULL), 0);
    assert_int_equal(node_count(x), 0);
    assert_int_equal(node_key(root, 1).size, 0);
    assert_int_equal(node_text(NULL).size, 0);
    assert_int_equal(node_text(root).size, 0);
    assert_true(node_bool(NULL, true));
    assert_true(node_bool(x, true));
    assert_false(node_bool(x, false));
    assert_int_equal(node_line(NULL), 0);
    assert_string_equal(node_file(NULL), "");
    document_destroy(d);
    document_destroy(NULL);
}

static void large_maps_find_their_members_and_their_duplicates(void **state)
{
    (void)state;
    struct node *root;
    struct document *d = create(&root);
    char key[32];
    for (int i = 0; i < 50000; i++) {
        (void)snprintf(key, sizeof(key), "key%d", i);
        put(root, key, text(d, key));
    }
    assert_text(node_find(root, "key0"), "key0");
    assert_text(node_find(root, "key49999"), "key49999");
    assert_null(node_find(root, "key50000"));
    assert_false(node_insert(root, SLICE("key3"), root));
    assert_true(slice_is(node_key(root, 16), "key16"));
    document_destroy(d);
}

static void references_name_files_beside_their_own(void **state)
{
    (void)state;
    static const struct {
        const char *reference, *path; /* from /api/v1/main.yaml */
    } rows[] = {
        {"other.json", "/api/v1/other.json"},
        {"other.json#/a", "/api/v1/other.json"},
        {"./other.json#", "/api/v1/other.json"},
        {"../schemas/order.json", "/api/schemas/order.json"},
        {"a/../b//c.yaml", "/api/v1/b/c.yaml"},
        {"../../../../x", "/x"},
        {"with%20space%2Ejson", "/api/v1/with space.json"},
        {"a:b/c", NULL},
        {"./a:b", "/api/v1/a:b"},
        {"", NULL},
        {"#", NULL},
        {"#/a/b", NULL},
        {"/etc/passwd", NULL},
        {"http://example.com/x.json", NULL},
        {"urn:x", NULL},
        {"file:///x.json", NULL},
        {"//host/x", NULL},
        {"bad%2", NULL},
        {"bad%zz", NULL},
        {"bad%00", NULL},
    };
    struct document *d = document_create();
    struct buffer path = {0};
    int file = document_add_file(d, "/api/v1/main.yaml");
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        bool ok = document_reference_path(d, file, slice_of(rows[i].reference), &path);
        if (ok != (rows[i].path != NULL) || (ok && strcmp(buffer_text(&path), rows[i].path) != 0))
            fail_msg("%s: %s", rows[i].reference, ok ? buffer_text(&path) : "none");
    }
    buffer_finish(&path);
    document_destroy(d);
}

static void pointers_are_followed(void **state)
{
    (void)state;
    static const struct {
        const char *reference, *found;
    } rows[] = {
        {"#/name", "main"},
        {"#/map/inner", "in"},
        {"#/list/0", "zero"},
        {"#/list/1", "one"},
        {"#/a~1b", "slash"},
        {"#/m~0n", "tilde"},
        {"#/m%7E0n", "tilde"},
        {"#/with%20space", "space"},
        {"#/%C3%A9", "accent"},
        {"#/", "empty"},
        {"#/~01", "not a slash"},
        {"other.yaml#/name", "other"},
        {"../api/other.yaml#/name", "other"},
        {"#/detour/name", "other"},
        {"#/chain", "other"},
        {"#/missing", NULL},
        {"#/name/deeper", NULL},
        {"#/list/2", NULL},
        {"#/list/01", NULL},
        {"#/list/-", NULL},
        {"#/list/", NULL},
        {"#/list/99999999999999999999", NULL},
        {"#name", NULL},
        {"#/m~n", NULL},
        {"#/m~", NULL},
        {"#/bad%2", NULL},
        {"unknown.yaml#/name", NULL},
        {"unknown.yaml", NULL},
        {"http://example.com/#/name", NULL},
        {"#/loop", NULL},
        {"#/loop/name", NULL},
    };
    struct node *root;
    struct document *d = create(&root);
    struct node *other = map(d, document_add_file(d, "/api/other.yaml"));
    document_set_root(d, 1, other);
    struct node *list = node_create(d, DOCUMENT_LIST, 0, 1), *inner = map(d, 0);
    node_append(list, text(d, "zero"));
    node_append(list, text(d, "one"));
    put(inner, "inner", text(d, "in"));
    put(root, "name", text(d, "main"));
    put(root, "map", inner);
    put(root, "list", list);
    put(root, "a/b", text(d, "slash"));
    put(root, "m~n", text(d, "tilde"));
    put(root, "with space", text(d, "space"));
    put(root, "\xc3\xa9", text(d, "accent"));
    put(root, "", text(d, "empty"));
    put(root, "~1", text(d, "not a slash"));
    put(root, "detour", reference(d, 0, "other.yaml"));
    put(root, "chain", reference(d, 0, "other.yaml#/back"));
    put(root, "loop", reference(d, 0, "#/loop"));
    put(other, "name", text(d, "other"));
    put(other, "back", reference(d, 1, "main.yaml#/there"));
    put(root, "there", reference(d, 0, "#/detour/name"));

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct node *holder = map(d, 0);
        put(holder, "x", reference(d, 0, rows[i].reference));
        const struct node *found = node_find(holder, "x");
        if (rows[i].found ? !slice_is(node_text(found), rows[i].found) : found != NULL)
            fail_msg("%s: %.*s", rows[i].reference, SLICE_ARGS(node_text(found)));
        assert_ptr_equal(node_value(holder, 0), found);
        assert_ptr_equal(node_resolve(node_find_raw(holder, "x")), found);
    }
    document_destroy(d);
}

static void references_stand_in_lists_and_beside_other_members(void **state)
{
    (void)state;
    struct node *root;
    struct document *d = create(&root);
    struct node *list = node_create(d, DOCUMENT_LIST, 0, 1), *item = map(d, 0);
    put(item, "description", text(d, "is ignored"));
    put(item, "$ref", text(d, "#/name"));
    node_append(list, item);
    put(root, "name", text(d, "found"));
    put(root, "list", list);
    assert_text(node_at(list, 0), "found");
    assert_ptr_equal(node_at_raw(list, 0), item);
    assert_text(node_find(item, "description"), "is ignored"); /* as it stands */
    document_destroy(d);
}

static void a_property_called_ref_is_no_reference(void **state)
{
    (void)state;
    struct node *root;
    struct document *d = create(&root);
    struct node *properties = map(d, 0), *schema = map(d, 0);
    put(schema, "type", text(d, "string"));
    put(properties, "$ref", schema);
    put(root, "properties", properties);
    assert_ptr_equal(node_find(root, "properties"), properties);
    assert_null(node_follow(properties));
    document_destroy(d);
}

static void targets_are_compared_by_address_one_hop_at_a_time(void **state)
{
    (void)state;
    struct node *root;
    struct document *d = create(&root);
    struct node *messages = map(d, 0), *components = map(d, 0), *from;
    put(root, "messages", messages);
    put(root, "components", components);
    put(components, "Order", text(d, "order"));
    put(messages, "created", reference(d, 0, "#/components/Order"));
    put(messages, "updated", reference(d, 0, "#/components/Order"));
    from = reference(d, 0, "#/messages/created");
    put(root, "from", from);
    assert_ptr_equal(node_follow(from), node_find_raw(messages, "created"));
    assert_ptr_not_equal(node_follow(from), node_find_raw(messages, "updated"));
    assert_ptr_equal(node_follow(from), node_value_raw(messages, 0));
    assert_ptr_equal(node_resolve(from), node_find_raw(components, "Order"));
    document_destroy(d);
}

static void circles_end(void **state)
{
    (void)state;
    struct node *root;
    struct document *d = create(&root);
    struct buffer out = {0};
    put(root, "a", reference(d, 0, "#/b"));
    put(root, "b", reference(d, 0, "#/c"));
    put(root, "c", reference(d, 0, "#/a"));
    put(root, "within", reference(d, 0, "#/within/within"));
    put(root, "whole", reference(d, 0, "#"));
    assert_null(node_find(root, "a"));
    assert_null(node_find(root, "within"));
    assert_ptr_equal(node_find(root, "whole"), root);
    assert_false(node_write_json(node_find_raw(root, "a"), &out));
    assert_false(node_write_json(root, &out));
    assert_int_equal(out.size, 0);
    buffer_finish(&out);
    document_destroy(d);
}

static void long_chains_are_followed(void **state)
{
    (void)state;
    struct node *root;
    struct document *d = create(&root);
    char key[16], target[16];
    for (int i = 0; i < 90; i++) {
        (void)snprintf(key, sizeof(key), "r%d", i);
        (void)snprintf(target, sizeof(target), "#/r%d", i + 1);
        put(root, key, reference(d, 0, target));
    }
    put(root, "r90", text(d, "the end"));
    assert_text(node_find(root, "r0"), "the end");
    document_destroy(d);
}

static void values_are_written_as_json(void **state)
{
    (void)state;
    struct node *root;
    struct document *d = create(&root);
    struct node *list = node_create(d, DOCUMENT_LIST, 0, 1);
    struct buffer out = {0};
    node_append(list, scalar(d, DOCUMENT_NUMBER, "9007199254740993"));
    node_append(list, scalar(d, DOCUMENT_NUMBER, "1.50e+3"));
    node_append(list, scalar(d, DOCUMENT_NUMBER, "+.5"));
    node_append(list, scalar(d, DOCUMENT_NULL, "~"));
    node_append(list, scalar(d, DOCUMENT_BOOL, "TRUE"));
    node_append(list, scalar(d, DOCUMENT_BOOL, "false"));
    node_append(list, reference(d, 0, "#/q%22"));
    put(root, "q\"", text(d, "a\"b\n"));
    put(root, "list", list);
    put(root, "map", map(d, 0));
    buffer_add_text(&out, "> ");
    assert_true(node_write_json(root, &out));
    assert_string_equal(buffer_text(&out),
        "> {\"q\\\"\":\"a\\\"b\\n\",\"list\":[9007199254740993,1.50e+3,0.5,null,"
        "true,false,\"a\\\"b\\n\"],\"map\":{}}");
    put(root, "bad", reference(d, 0, "#/nowhere"));
    size_t before = out.size;
    assert_false(node_write_json(root, &out));
    assert_int_equal(out.size, before);
    assert_false(node_write_json(NULL, &out));
    buffer_finish(&out);
    document_destroy(d);
}

static void references_that_multiply_are_not_written(void **state)
{
    (void)state;
    struct node *root;
    struct document *d = create(&root);
    struct buffer out = {0};
    char key[16], target[16];
    for (int i = 0; i < 30; i++) { /* each level stands for ten of the next */
        struct node *list = node_create(d, DOCUMENT_LIST, 0, 1);
        (void)snprintf(key, sizeof(key), "l%d", i);
        (void)snprintf(target, sizeof(target), "#/l%d", i + 1);
        for (int k = 0; k < 10; k++)
            node_append(list, reference(d, 0, target));
        put(root, key, list);
    }
    put(root, "l30", text(d, "x"));
    assert_false(node_write_json(node_find(root, "l0"), &out));
    assert_true(node_write_json(node_find(root, "l27"), &out));
    buffer_finish(&out);
    document_destroy(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_built_can_be_read),
        cmocka_unit_test(what_is_not_there_reads_as_nothing),
        cmocka_unit_test(large_maps_find_their_members_and_their_duplicates),
        cmocka_unit_test(references_name_files_beside_their_own),
        cmocka_unit_test(pointers_are_followed),
        cmocka_unit_test(references_stand_in_lists_and_beside_other_members),
        cmocka_unit_test(a_property_called_ref_is_no_reference),
        cmocka_unit_test(targets_are_compared_by_address_one_hop_at_a_time),
        cmocka_unit_test(circles_end),
        cmocka_unit_test(long_chains_are_followed),
        cmocka_unit_test(values_are_written_as_json),
        cmocka_unit_test(references_that_multiply_are_not_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
