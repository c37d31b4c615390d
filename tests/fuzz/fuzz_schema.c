/* libFuzzer: the first line is a schema, the rest a value. Whatever they are, the compiler refuses the schema
   with a complaint, or the checker decides: twice the same, the opposite of what {"not": schema} says (unless
   the effort was spent), and with a pointer that leads to a place in the value. */
#include "causeway/schema.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct complaints {
    size_t count;
};

static void complain(void *owner, const struct node *at, const char *text)
{
    (void)at;
    CHECK(text[0] != '\0');
    ((struct complaints *)owner)->count++;
}

static struct node *make_node(struct document *d, const struct json *j, uint32_t at)
{
    static const enum document_type types[] = {DOCUMENT_NULL, DOCUMENT_BOOL, DOCUMENT_BOOL, DOCUMENT_NUMBER,
        DOCUMENT_STRING, DOCUMENT_LIST, DOCUMENT_MAP};
    enum json_type type = json_type(j, at);
    struct node *n = node_create(d, types[type], 0, 1);
    struct buffer scratch = {0};
    if (type < JSON_ARRAY)
        node_set_text(n, type == JSON_STRING ? json_string(j, at, &scratch) : json_raw(j, at));
    for (uint32_t i = type < JSON_ARRAY ? JSON_NONE : json_first(j, at); i != JSON_NONE;
         i = json_after(j, at, i)) {
        if (type == JSON_ARRAY)
            node_append(n, make_node(d, j, i));
        else
            CHECK(node_insert(n, json_string(j, i, &scratch), make_node(d, j, i + 1)));
    }
    buffer_finish(&scratch);
    return n;
}

/* The document is the schema; what negates it stands beside, so that references keep their meaning. */
static struct document *make_document(const struct json *schema, struct node **negation)
{
    struct document *d = document_create();
    (void)document_add_file(d, "/schema.json");
    document_set_root(d, 0, make_node(d, schema, 0));
    struct node *reference = node_create(d, DOCUMENT_MAP, 0, 1),
                *text = node_create(d, DOCUMENT_STRING, 0, 1);
    node_set_text(text, SLICE("#"));
    CHECK(node_insert(reference, SLICE("$ref"), text));
    *negation = node_create(d, DOCUMENT_MAP, 0, 1);
    CHECK(node_insert(*negation, SLICE("not"), reference));
    return d;
}

static void check_pointer(const struct json *j, struct slice pointer)
{
    struct buffer token = {0};
    uint32_t node = 0;
    while (pointer.size > 0) {
        CHECK(pointer.data[0] == '/');
        const char *end = memchr(pointer.data + 1, '/', pointer.size - 1);
        size_t size = end ? (size_t)(end - pointer.data) : pointer.size;
        buffer_clear(&token);
        for (size_t i = 1; i < size; i++) {
            bool escape = pointer.data[i] == '~';
            buffer_add_byte(&token, escape ? (pointer.data[++i] == '0' ? '~' : '/') : pointer.data[i]);
        }
        uint32_t child = json_first(j, node);
        if (json_type(j, node) == JSON_OBJECT)
            child = json_find(j, node, buffer_slice(&token));
        else
            for (unsigned long i = strtoul(buffer_text(&token), NULL, 10); i > 0 && child != JSON_NONE; i--)
                child = json_after(j, node, child);
        CHECK(child != JSON_NONE);
        node = child;
        pointer = (struct slice){pointer.data + size, pointer.size - size};
    }
    buffer_finish(&token);
}

static void check_value(const struct schema *s, const struct schema *negation, const struct json *value)
{
    static struct schema_checker checker;
    bool good = schema_holds(s, value, 0, &checker), spent = false;
    if (!good) {
        CHECK(checker.fault.keyword && checker.fault.message.size > 0);
        check_pointer(value, checker.fault.pointer);
        spent = strcmp(checker.fault.keyword, "effort") == 0;
    }
    CHECK(schema_holds(s, value, 0, &checker) == good);
    if (negation && schema_holds(negation, value, 0, &checker) == good)
        CHECK(spent || (!good && strcmp(checker.fault.keyword, "effort") == 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct json schema, value;
    const uint8_t *end = size > 0 ? memchr(data, '\n', size) : NULL;
    if (!end || !json_scan(&schema, (const char *)data, (size_t)(end - data)) ||
        !json_scan(&value, (const char *)end + 1, size - (size_t)(end - data) - 1))
        return 0;
    struct complaints complaints = {0};
    struct node * not ;
    struct document *d = make_document(&schema, &not );
    struct schema_builder *b = schema_builder_create(d, complain, &complaints);
    const struct schema *s = schema_builder_add(b, document_root(d, 0)),
                        *negation = schema_builder_add(b, not );
    CHECK((s != NULL) == (complaints.count == 0) || negation == NULL);
    struct schema_set *set = schema_builder_finish(b);
    document_destroy(d);
    if (s)
        check_value(s, negation, &value);
    schema_set_destroy(set);
    return 0;
}
