/* A fault in words. They tell what the schema wants and what kind of value is there, never the value: they go
   into logs and dead letters. */
#include "schema_internal.h"

enum { VALUES_SHOWN = 8, SHOWN_BYTES = 200 };

static const char *const keyword_names[] = {
#define X(id, name) name,
    SCHEMA_KEYWORD_TABLE(X)
#undef X
};

static const char *const type_names[] = {[JSON_NULL] = "null",
    [JSON_FALSE] = "a boolean",
    [JSON_TRUE] = "a boolean",
    [JSON_NUMBER] = "a number",
    [JSON_STRING] = "a string",
    [JSON_ARRAY] = "an array",
    [JSON_OBJECT] = "an object"};

/* --- where --- */

/* The pointer from `root` to `target`: at each level the child that contains it. */
static void write_pointer(
    const struct json *j, uint32_t root, uint32_t target, struct buffer *out, struct buffer *scratch)
{
    uint32_t node = root;
    while (node != target) {
        bool object = json_type(j, node) == JSON_OBJECT;
        uint32_t index = 0, child = json_first(j, node), value = object ? child + 1 : child;
        for (; j->nodes[value].next <= target; index++) {
            child = json_after(j, node, child);
            value = object ? child + 1 : child;
        }
        if (object)
            buffer_add_pointer_token(out, json_string(j, child, scratch));
        else
            buffer_print(out, "/%u", index);
        if (child == target) /* a key: what it is the key of */
            return;
        node = value;
    }
}

/* --- what --- */

static void add_types(const struct schema *s, struct buffer *out)
{
    const char *separator = "";
    for (int type = JSON_NULL; type <= JSON_OBJECT; type++) {
        if (!(s->types >> type & 1) || type == JSON_TRUE)
            continue;
        buffer_add_text(out, separator);
        buffer_add_text(out, type == JSON_NUMBER && s->whole ? "a whole number" : type_names[type]);
        separator = " or ";
    }
}

static void add_values(const struct schema_constants *c, struct buffer *out)
{
    for (size_t i = 0; i < c->count && i < VALUES_SHOWN; i++) {
        struct slice value = json_verbatim(&c->json, c->nodes[i]);
        buffer_add_text(out, i > 0 ? ", " : "");
        if (value.size <= SHOWN_BYTES)
            buffer_add_slice(out, value);
        else
            buffer_add_text(out, "...");
    }
    if (c->count > VALUES_SHOWN)
        buffer_print(out, " and %zu more", c->count - VALUES_SHOWN);
}

static void add_size(struct buffer *out, const char *what, uint64_t limit, const char *unit)
{
    buffer_print(out, "%s %llu %s", what, (unsigned long long)limit, unit);
}

static void add_number(const struct schema_finding *f, struct buffer *out)
{
    const struct schema_number *n = f->schema->number;
    const struct {
        enum schema_keyword keyword;
        const char *text;
        const struct schema_bound *bound;
    } table[] = {
        {SCHEMA_MINIMUM, "is less than", &n->minimum},
        {SCHEMA_MAXIMUM, "is greater than", &n->maximum},
        {SCHEMA_EXCLUSIVE_MINIMUM, "is not greater than", &n->above},
        {SCHEMA_EXCLUSIVE_MAXIMUM, "is not less than", &n->below},
        {SCHEMA_MULTIPLE_OF, "is no multiple of", &n->multiple_of},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (table[i].keyword == f->keyword)
            buffer_print(out, "%s %.*s", table[i].text, SLICE_ARGS(table[i].bound->text));
}

static void add_text(const struct schema_finding *f, struct buffer *out)
{
    const struct schema_string *s = f->schema->string;
    if (f->keyword == SCHEMA_MIN_LENGTH)
        add_size(out, "is shorter than", s->length.least, "characters");
    else if (f->keyword == SCHEMA_MAX_LENGTH)
        add_size(out, "is longer than", s->length.most, "characters");
    else if (f->keyword == SCHEMA_PATTERN)
        buffer_print(out, "does not match the pattern %.*s", SLICE_ARGS(s->pattern_text));
    else if (f->keyword == SCHEMA_CONTENT_ENCODING)
        buffer_add_text(out, "is not base64");
    else
        buffer_add_text(out, "holds what is no JSON");
}

static void add_format(const struct schema_finding *f, struct buffer *out)
{
    const struct schema *s = f->schema;
    const struct schema_format *of_text = s->string ? s->string->format : NULL;
    buffer_print(out, "is no %s", of_text ? of_text->name : s->number->format->name);
}

static void add_container(const struct schema_finding *f, struct buffer *out)
{
    const struct schema_array *a = f->schema->array;
    const struct schema_object *o = f->schema->object;
    switch (f->keyword) {
    case SCHEMA_MIN_ITEMS:
        add_size(out, "has fewer than", a->size.least, "elements");
        break;
    case SCHEMA_MAX_ITEMS:
        add_size(out, "has more than", a->size.most, "elements");
        break;
    case SCHEMA_MIN_PROPERTIES:
        add_size(out, "has fewer than", o->size.least, "members");
        break;
    case SCHEMA_MAX_PROPERTIES:
        add_size(out, "has more than", o->size.most, "members");
        break;
    case SCHEMA_REQUIRED:
    case SCHEMA_DEPENDENCIES:
        buffer_print(out, "lacks the member '%.*s'", SLICE_ARGS(f->name));
        break;
    default:
        break;
    }
}

static void add_constant(const struct schema_finding *f, struct buffer *out)
{
    bool one_of_many = f->keyword == SCHEMA_ENUM;
    buffer_add_text(out, one_of_many ? "is none of " : "is not ");
    add_values(one_of_many ? f->schema->any->one_of_values : f->schema->any->value, out);
}

static void add_type(const struct schema_finding *f, const struct json *j, struct buffer *out)
{
    enum json_type type = json_type(j, f->node);
    bool broken = type == JSON_NUMBER && f->schema->whole;
    buffer_print(out, "is %s; it must be ", broken ? "no whole number" : type_names[type]);
    add_types(f->schema, out);
}

static const char *fixed_words(enum schema_keyword keyword)
{
    switch (keyword) {
    case SCHEMA_NEVER:
        return "must not be there";
    case SCHEMA_ADDITIONAL_ITEMS:
        return "is one element too many";
    case SCHEMA_ADDITIONAL_PROPERTIES:
        return "is a member that the schema does not have";
    case SCHEMA_UNIQUE_ITEMS:
        return "repeats an element before it";
    case SCHEMA_CONTAINS:
        return "has no element that contains asks for";
    case SCHEMA_ANY_OF:
        return "fits no alternative of anyOf";
    case SCHEMA_ONE_OF:
        return "fits no alternative of oneOf, or several";
    case SCHEMA_NOT:
        return "is what not excludes";
    case SCHEMA_EFFORT:
        return "takes too many steps to check";
    default:
        return NULL;
    }
}

static void add_words(const struct schema_finding *f, const struct json *j, struct buffer *out)
{
    const char *fixed = fixed_words(f->keyword);
    if (fixed)
        buffer_add_text(out, fixed);
    else if (f->keyword == SCHEMA_TYPE)
        add_type(f, j, out);
    else if (f->keyword == SCHEMA_ENUM || f->keyword == SCHEMA_CONST)
        add_constant(f, out);
    else if (f->keyword == SCHEMA_FORMAT)
        add_format(f, out);
    else if (f->keyword >= SCHEMA_MULTIPLE_OF && f->keyword <= SCHEMA_EXCLUSIVE_MINIMUM)
        add_number(f, out);
    else if (f->keyword >= SCHEMA_MAX_LENGTH && f->keyword <= SCHEMA_CONTENT_MEDIA_TYPE)
        add_text(f, out);
    else
        add_container(f, out);
}

void schema_fault_tell(const struct schema_finding *f, const struct schema_finding *nearest,
    const struct json *j, uint32_t root, struct schema_checker *checker)
{
    struct buffer *pointer = &checker->pointer, *message = &checker->message;
    buffer_clear(pointer);
    buffer_clear(message);
    write_pointer(j, root, f->node, pointer, &checker->text);
    add_words(f, j, message);
    if ((f->keyword == SCHEMA_ANY_OF || f->keyword == SCHEMA_ONE_OF) && nearest->schema) {
        buffer_add_text(message, "; the nearest fails at '");
        write_pointer(j, root, nearest->node, message, &checker->text);
        buffer_add_text(message, "', which ");
        add_words(nearest, j, message);
    }
    checker->fault = (struct schema_fault){.pointer = buffer_slice(pointer),
        .keyword = keyword_names[f->keyword],
        .message = buffer_slice(message),
        .file = f->schema->file,
        .line = f->schema->line};
}
