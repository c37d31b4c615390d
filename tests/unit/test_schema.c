/* What schemas say of themselves and of values; whether they judge as draft-07 wants is what
   tests/schema.test.mjs asks, with the official suite. */
#include "unit.h"

#include "catalogue_text.h"

#include "causeway/schema.h"

struct fixture {
    struct document *document;
    struct schema_set *set;
    const struct schema *schema;
    struct buffer complaints;
};

static void keep(void *owner, const struct node *at, const char *text)
{
    struct fixture *f = owner;
    buffer_print(&f->complaints, "%d: %s\n", node_line(at), text);
}

static void compile(struct fixture *f, const char *yaml)
{
    *f = (struct fixture){.document = document_from_text(yaml)};
    struct schema_builder *b = schema_builder_create(f->document, keep, f);
    f->schema = schema_builder_add(b, document_root(f->document, 0));
    f->set = schema_builder_finish(b);
    document_destroy(f->document); /* what was compiled must live without it */
}

static void release(struct fixture *f)
{
    schema_set_destroy(f->set);
    buffer_finish(&f->complaints);
}

/* --- faults of schemas --- */

static void test_refuses_what_it_cannot_keep(void **state)
{
    (void)state;
    static const struct {
        const char *yaml, *complaint;
    } rows[] = {
        {"type: strin", "1: type 'strin' is unknown"},
        {"type: []", "type is an empty list"},
        {"$schema: https://json-schema.org/draft/2020-12/schema", "which is not read"},
        {"a: 1\nminimum: x", "2: minimum is no number"},
        {"minimum: .inf", "minimum is no number"},
        {"exclusiveMinimum: true", "exclusiveMinimum is no number"},
        {"multipleOf: 0", "must be greater than 0"},
        {"multipleOf: -1", "must be greater than 0"},
        {"multipleOf: 1.2345678901234567891", "at most 18 digits"},
        {"minLength: -1", "a whole number from 0 on"},
        {"maxItems: 1.5", "a whole number from 0 on"},
        {"{minLength: 3, maxLength: 2}", "nothing could hold"},
        {"pattern: '('", "is broken: a '(' without ')'"},
        {"pattern: '(a)\\1'", "cannot be used: back references"},
        {"pattern: 5", "pattern is no text"},
        {"format: idn-hostname", "format 'idn-hostname' is none that is checked"},
        {"items: 3", "this is no schema"},
        {"uniqueItems: yes", "uniqueItems is no truth value"},
        {"properties: [a]", "properties is no map"},
        {"required: true", "required is no list"},
        {"required: [1]", "lists what is no text"},
        {"patternProperties: {'[': true}", "pattern '[' is broken"},
        {"dependencies: {a: [1]}", "dependencies lists what is no text"},
        {"enum: []", "enum is no list"},
        {"allOf: []", "allOf is no list of schemas"},
        {"anyOf: {}", "anyOf is no list of schemas"},
        {"if: 1", "this is no schema"},
        {"{properties: {a: {requierd: [b]}}}", "keyword 'requierd' is unknown; did you mean 'required'?"},
        {"unevaluatedProperties: false", "is none of draft-07; use additionalProperties"},
        {"nullable: true", "is none of draft-07"},
        {"{$ref: 'http://json-schema.org/draft-07/schema#'}", "leads out of the document"},
        {"items: {$ref: '#/definitions/a'}", "$ref '#/definitions/a' points at nothing"},
        {"{$ref: '#/definitions/a', definitions: {a: {$ref: '#/definitions/a'}}}", "leads in a circle"},
        {"anyOf: [{type: string}, {$ref: '#'}]", "refers to itself for the same value"},
        {"allOf: [{$ref: '#/definitions/a'}]\ndefinitions: {a: {not: {$ref: '#/definitions/b'}}, b: {if: "
         "{$ref: "
         "'#/definitions/a'}}}",
            "refers to itself for the same value"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct fixture f;
        compile(&f, rows[i].yaml);
        if (f.schema || !strstr(buffer_text(&f.complaints), rows[i].complaint))
            fail_msg("%s: %s", rows[i].yaml, buffer_text(&f.complaints));
        release(&f);
    }
}

static void test_leaves_annotations_alone(void **state)
{
    (void)state;
    struct fixture f;
    compile(&f, "{title: t, description: d, default: {required: 1}, examples: [1], example: 1, $comment: c, "
                "readOnly: "
                "true, x-anything: {minimum: x}, unit: EUR, deprecated: true, definitions: {unused: {type: "
                "nonsense}}}");
    assert_string_equal(buffer_text(&f.complaints), "");
    assert_non_null(f.schema);
    release(&f);
}

static void test_a_fault_breaks_all_that_contains_it_and_nothing_else(void **state)
{
    (void)state;
    struct fixture f = {.document = document_from_text("good: {items: {type: string}}\n"
                                                       "first: {items: {$ref: '#/bad'}}\n"
                                                       "second: {properties: {a: {$ref: '#/first'}}}\n"
                                                       "bad: {type: nonsense}\n")};
    const struct node *root = document_root(f.document, 0);
    struct schema_builder *b = schema_builder_create(f.document, keep, &f);
    assert_null(schema_builder_add(b, node_find(root, "first")));
    assert_string_equal(buffer_text(&f.complaints),
        "4: type 'nonsense' is unknown; there are null, boolean, integer, number, string, array, object\n");
    assert_null(schema_builder_add(b, node_find(root, "second")));
    const struct schema *good = schema_builder_add(b, node_find(root, "good"));
    assert_non_null(good);
    assert_ptr_equal(schema_builder_add(b, node_find(root, "good")), good);
    schema_set_destroy(schema_builder_finish(b));
    document_destroy(f.document);
    buffer_finish(&f.complaints);
}

/* --- faults of values --- */

static void expect_fault(
    const struct schema *s, const char *text, const char *pointer, const char *keyword, const char *message)
{
    static struct schema_checker checker;
    struct json json = {0};
    if (!json_scan(&json, text, strlen(text)))
        fail_msg("%s", text);
    bool good = schema_holds(s, &json, 0, &checker);
    struct schema_fault *fault = &checker.fault;
    if (good != !keyword)
        fail_msg("%s: %s", text, good ? "it holds" : buffer_text(&checker.message));
    if (!good && (!slice_is(fault->pointer, pointer) || strcmp(fault->keyword, keyword) != 0 ||
                     !strstr(buffer_text(&checker.message), message)))
        fail_msg("%s: '%.*s' %s '%s'", text, SLICE_ARGS(fault->pointer), fault->keyword,
            buffer_text(&checker.message));
    json_finish(&json);
    schema_checker_finish(&checker);
}

struct judgement {
    const char *text, *pointer, *keyword, *message; /* keyword NULL: it holds */
};

static void expect_all(const char *yaml, const struct judgement *rows, size_t count)
{
    struct fixture f;
    compile(&f, yaml);
    if (!f.schema)
        fail_msg("%s", buffer_text(&f.complaints));
    for (size_t i = 0; i < count; i++)
        expect_fault(f.schema, rows[i].text, rows[i].pointer, rows[i].keyword, rows[i].message);
    release(&f);
}

#define EXPECT(yaml, ...)                                                                                    \
    do {                                                                                                     \
        const struct judgement rows_[] = {__VA_ARGS__};                                                      \
        expect_all(yaml, rows_, sizeof rows_ / sizeof *rows_);                                               \
    } while (0)

static void test_says_where_and_what(void **state)
{
    (void)state;
    EXPECT("type: object\n"
           "required: [id, items]\n"
           "properties:\n"
           "  id: {type: integer, minimum: 1, maximum: 10}\n"
           "  name: {type: string, minLength: 2, maxLength: 3, pattern: '^[a-z]+$'}\n"
           "  status: {enum: [open, shut, null]}\n"
           "  items: {type: array, minItems: 1, maxItems: 2, uniqueItems: true, items: {multipleOf: 0.5}}\n"
           "  at: {type: string, format: date-time}\n"
           "  a/b~c: {type: [boolean, 'null']}\n"
           "additionalProperties: false\n",
        {"{\"id\":1,\"items\":[1]}", NULL, NULL, NULL},
        {"[]", "", "type", "is an array; it must be an object"},
        {"{\"items\":[1]}", "", "required", "lacks the member 'id'"},
        {"{\"id\":1}", "", "required", "lacks the member 'items'"},
        {"{\"id\":0,\"items\":[1]}", "/id", "minimum", "is less than 1"},
        {"{\"id\":11,\"items\":[1]}", "/id", "maximum", "is greater than 10"},
        {"{\"id\":1.5,\"items\":[1]}", "/id", "type", "is no whole number; it must be a whole number"},
        {"{\"id\":\"1\",\"items\":[1]}", "/id", "type", "is a string; it must be a whole number"},
        {"{\"id\":1,\"items\":[]}", "/items", "minItems", "has fewer than 1 elements"},
        {"{\"id\":1,\"items\":[1,2,3]}", "/items", "maxItems", "has more than 2 elements"},
        {"{\"id\":1,\"items\":[1,1.0]}", "/items/1", "uniqueItems", "repeats an element"},
        {"{\"id\":1,\"items\":[1,1.2]}", "/items/1", "multipleOf", "is no multiple of 0.5"},
        {"{\"id\":1,\"items\":[1],\"name\":\"a\"}", "/name", "minLength", "is shorter than 2 characters"},
        {"{\"id\":1,\"items\":[1],\"name\":\"\\u00e4\\u00e4\\u00e4\\u00e4\"}", "/name", "maxLength",
            "longer than 3"},
        {"{\"id\":1,\"items\":[1],\"name\":\"A1\"}", "/name", "pattern",
            "does not match the pattern ^[a-z]+$"},
        {"{\"id\":1,\"items\":[1],\"status\":\"ajar\"}", "/status", "enum",
            "is none of \"open\", \"shut\", null"},
        {"{\"id\":1,\"items\":[1],\"at\":\"today\"}", "/at", "format", "is no date-time"},
        {"{\"id\":1,\"items\":[1],\"a/b~c\":1}", "/a~1b~0c", "type", "it must be null or a boolean"},
        {"{\"id\":1,\"items\":[1],\"\\u0061/b~c\":1}", "/a~1b~0c", "type", "it must be null or a boolean"},
        {"{\"id\":1,\"items\":[1],\"more\":1}", "/more", "additionalProperties",
            "that the schema does not have"});
}

static void test_says_what_the_other_keywords_miss(void **state)
{
    (void)state;
    EXPECT("{exclusiveMinimum: 1, exclusiveMaximum: 3}", {"2", NULL, NULL, NULL},
        {"1", "", "exclusiveMinimum", "is not greater than 1"},
        {"3", "", "exclusiveMaximum", "is not less than 3"});
    EXPECT("{items: [true], additionalItems: false}",
        {"[1,2]", "/1", "additionalItems", "one element too many"});
    EXPECT("{contains: {const: 3}}", {"[1]", "", "contains", "no element"}, {"[3]", NULL, NULL, NULL});
    EXPECT("{minProperties: 1, maxProperties: 1}", {"{}", "", "minProperties", "fewer than 1"},
        {"{\"a\":1,\"b\":2}", "", "maxProperties", "more than 1"});
    EXPECT("{dependencies: {a: [b], c: {required: [d]}}}",
        {"{\"a\":1}", "", "dependencies", "lacks the member 'b'"}, {"{\"c\":1}", "", "required", "'d'"},
        {"{\"a\":1,\"b\":1}", NULL, NULL, NULL});
    EXPECT("{propertyNames: {maxLength: 2}}", {"{\"abc\":1}", "/abc", "maxLength", "longer than 2"});
    EXPECT("{not: {type: string}}", {"\"a\"", "", "not", "excludes"});
    EXPECT("{if: {type: string}, then: {minLength: 2}, else: {minimum: 2}}",
        {"\"a\"", "", "minLength", "shorter"}, {"1", "", "minimum", "less than 2"}, {"2", NULL, NULL, NULL});
    EXPECT("{const: {a: [1]}}", {"{\"a\":[1.0]}", NULL, NULL, NULL},
        {"{\"a\":[2]}", "", "const", "is not {\"a\":[1]}"});
    EXPECT("{properties: {a: false}}", {"{\"a\":1}", "/a", "false", "must not be there"});
    EXPECT("{contentEncoding: base64, contentMediaType: application/json}", {"\"e30=\"", NULL, NULL, NULL},
        {"\"e30\"", "", "contentEncoding", "base64"}, {"\"ezo=\"", "", "contentMediaType", "JSON"});
    EXPECT("{anyOf: [{required: [a]}, {properties: {b: {type: string}}, required: [b]}]}",
        {"{\"b\":1}", "", "anyOf", "the nearest fails at '/b', which is a number; it must be a string"});
    EXPECT("{oneOf: [{type: integer}, {minimum: 2}]}", {"1.5", "", "oneOf", "fits no alternative"},
        {"3", "", "oneOf", "or several"}, {"1", NULL, NULL, NULL});
}

static void test_never_shows_the_value(void **state)
{
    (void)state;
    EXPECT("{properties: {card: {type: string, maxLength: 4, pattern: '^x'}}}",
        {"{\"card\":\"4111111111111111\"}", "/card", "maxLength", "is longer than 4 characters"});
}

static void test_numbers_are_exact(void **state)
{
    (void)state;
    EXPECT("{maximum: 9007199254740992}", {"9007199254740992", NULL, NULL, NULL},
        {"9007199254740993", "", "maximum", "9007199254740992"});
    EXPECT("{enum: [9007199254740993]}", {"9007199254740993", NULL, NULL, NULL},
        {"9007199254740992", "", "enum", "9007199254740993"}, {"9007199254740993.0", NULL, NULL, NULL});
    EXPECT("{format: int64}", {"9223372036854775807", NULL, NULL, NULL},
        {"9223372036854775808", "", "format", "int64"}, {"-9223372036854775808", NULL, NULL, NULL});
    EXPECT("{format: int32}", {"2147483647", NULL, NULL, NULL}, {"2147483648", "", "format", "int32"},
        {"1.5", "", "format", "int32"});
    EXPECT("{multipleOf: 0.01}", {"19.99", NULL, NULL, NULL}, {"19.995", "", "multipleOf", "0.01"},
        {"1e300", NULL, NULL, NULL});
}

static void test_many_elements_are_compared_by_hash(void **state)
{
    (void)state;
    struct buffer text = {0};
    buffer_add_text(&text, "[");
    for (int i = 0; i < 20000; i++)
        buffer_print(&text, "{\"id\":%d,\"at\":[%d.0,\"x\"]},", i, i);
    size_t before = text.size;
    buffer_add_text(&text, "{\"at\":[700,\"\\u0078\"],\"id\":7e2}]");
    EXPECT("uniqueItems: true", {buffer_text(&text), "/20000", "uniqueItems", "repeats"});
    text.size = before;
    buffer_add_text(&text, "0]");
    EXPECT("uniqueItems: true", {buffer_text(&text), NULL, NULL, NULL});
    buffer_finish(&text);
}

/* Alternatives within alternatives double at each level. */
static void test_bounds_the_effort(void **state)
{
    (void)state;
    struct buffer text = {0};
    for (int i = 0; i < 60; i++)
        buffer_add_text(&text, "[");
    buffer_add_text(&text, "1");
    for (int i = 0; i < 60; i++)
        buffer_add_text(&text, "]");
    const char *deep =
        "anyOf: [{type: string}, {allOf: [{type: array, items: {$ref: '#'}}, {not: {const: 1}}, false]},"
        "{type: array, items: {$ref: '#'}}]";
    EXPECT(deep, {buffer_text(&text), "", "effort", "too many steps"}, {"[\"a\"]", NULL, NULL, NULL});
    /* ... and what could not be decided is not what `not` wants. */
    const char *negated = "{not: {$ref: '#/definitions/d'}, definitions: {d: {anyOf: [{allOf: [{items: "
                          "{$ref: '#/definitions/d'}}, "
                          "{const: 9}]}, {allOf: [{items: {$ref: '#/definitions/d'}}, {const: 8}]}]}}}";
    EXPECT(negated, {buffer_text(&text), "", "effort", "too many steps"});
    buffer_finish(&text);
}

static void test_references_by_file_and_by_id(void **state)
{
    (void)state;
    EXPECT("{$id: 'http://x/root.json', items: {$ref: item.json}, definitions: {i: {$id: item.json, type: "
           "string}}}",
        {"[1]", "/0", "type", "a string"}, {"[\"a\"]", NULL, NULL, NULL});
    EXPECT("{items: {$ref: '#word'}, definitions: {w: {$id: '#word', type: string}}}",
        {"[1]", "/0", "type", "a string"});
    EXPECT("{$id: 'http://x/a.json', items: {$ref: 'b.json#/definitions/c'}, definitions: {b: {$id: b.json, "
           "definitions: "
           "{c: {$ref: '#/definitions/d'}, d: {type: string}}}}}",
        {"[1]", "/0", "type", "a string"});
    EXPECT("{properties: {$ref: {type: string}, $id: {type: integer}}}",
        {"{\"$ref\":1}", "/$ref", "type", "a string"});
    EXPECT("{const: {$ref: '#/nowhere'}}", {"{\"$ref\":\"#/nowhere\"}", NULL, NULL, NULL});
    EXPECT("{enum: [{$id: a}], items: {$ref: '#'}}", {"{\"$id\":\"a\"}", NULL, NULL, NULL});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refuses_what_it_cannot_keep),
        cmocka_unit_test(test_leaves_annotations_alone),
        cmocka_unit_test(test_a_fault_breaks_all_that_contains_it_and_nothing_else),
        cmocka_unit_test(test_says_where_and_what),
        cmocka_unit_test(test_says_what_the_other_keywords_miss),
        cmocka_unit_test(test_never_shows_the_value),
        cmocka_unit_test(test_numbers_are_exact),
        cmocka_unit_test(test_many_elements_are_compared_by_hash),
        cmocka_unit_test(test_bounds_the_effort),
        cmocka_unit_test(test_references_by_file_and_by_id),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
