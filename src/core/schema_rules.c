/* From the keywords of a schema to rules, one set of them per type of value; objects are in schema_object.c.
 */
#include "schema_internal.h"

#include "causeway/memory.h"
#include "causeway/scalar.h"

#include <stdlib.h>

/* --- numbers --- */

/* A number of the document as JSON writes it; empty after a fault. */
static struct slice number_text(
    struct schema_builder *b, const struct schema *s, const struct node *n, const char *keyword)
{
    struct buffer text = {0};
    if (node_type(n) == DOCUMENT_NUMBER)
        scalar_write_number(node_text(n), &text);
    struct slice kept = arena_copy(&b->set->memory, buffer_slice(&text));
    buffer_finish(&text);
    if (kept.size > 0 && !slice_is(kept, "null"))
        return kept;
    schema_complain(b, s, n, "%s is no number; it must be one", keyword);
    return (struct slice){0};
}

static void compile_bound(struct schema_builder *b, const struct schema *s, const struct node *n,
    const char *keyword, struct schema_bound *bound)
{
    const struct node *value = node_find_raw(n, keyword);
    if (!value)
        return;
    struct slice text = number_text(b, s, value, keyword);
    if (text.size == 0)
        return;
    bound->text = text;
    bound->exact = decimal_read(text);
    bound->is_small = decimal_int64(bound->exact, &bound->small);
    bound->there = true;
}

static struct schema_number *number_of(struct schema_builder *b, struct schema *s)
{
    if (!s->number)
        s->number = arena_allocate(&b->set->memory, 1, sizeof *s->number);
    return s->number;
}

void schema_compile_number(struct schema_builder *b, struct schema *s, const struct node *n)
{
    struct schema_number *rules = number_of(b, s);
    compile_bound(b, s, n, "minimum", &rules->minimum);
    compile_bound(b, s, n, "maximum", &rules->maximum);
    compile_bound(b, s, n, "exclusiveMinimum", &rules->above);
    compile_bound(b, s, n, "exclusiveMaximum", &rules->below);
    compile_bound(b, s, n, "multipleOf", &rules->multiple_of);
    struct schema_bound *divisor = &rules->multiple_of;
    bool positive = divisor->exact.first != divisor->exact.end && !divisor->exact.negative;
    if (!divisor->there || (positive && decimal_digits(divisor->exact) <= DECIMAL_DIVISOR_DIGITS))
        return;
    schema_complain(b, s, node_find_raw(n, "multipleOf"),
        "multipleOf is '%.*s'; it must be greater than 0 and have at most %d digits",
        SLICE_ARGS(divisor->text), DECIMAL_DIVISOR_DIGITS);
    divisor->there = false;
}

/* --- sizes --- */

static uint64_t compile_count(struct schema_builder *b, const struct schema *s, const struct node *n,
    const char *keyword, uint64_t fallback)
{
    const struct node *value = node_find_raw(n, keyword);
    if (!value)
        return fallback;
    struct slice text = number_text(b, s, value, keyword);
    int64_t count;
    if (text.size == 0)
        return fallback;
    struct decimal number = decimal_read(text);
    if (number.negative || !decimal_is_whole(number)) {
        schema_complain(
            b, s, value, "%s is '%.*s'; it must be a whole number from 0 on", keyword, SLICE_ARGS(text));
        return fallback;
    }
    return decimal_int64(number, &count) ? (uint64_t)count : UINT64_MAX;
}

struct schema_size schema_compile_size(struct schema_builder *b, const struct schema *s, const struct node *n,
    const char *least, const char *most)
{
    struct schema_size size = {compile_count(b, s, n, least, 0), compile_count(b, s, n, most, UINT64_MAX)};
    if (size.least > size.most)
        schema_complain(
            b, s, node_find_raw(n, least), "%s is greater than %s; nothing could hold", least, most);
    return size;
}

/* --- strings --- */

struct regex *schema_compile_regex(
    struct schema_builder *b, const struct schema *s, const struct node *at, struct slice pattern)
{
    enum regex_verdict verdict;
    const char *fault;
    struct regex *regex = regex_compile(pattern, &verdict, &fault);
    if (!regex) {
        schema_complain(b, s, at,
            "pattern '%.*s' %s: %s; it must be a regular expression as ECMA-262 has them",
            SLICE_ARGS(pattern), verdict == REGEX_BROKEN ? "is broken" : "cannot be used", fault);
        return NULL;
    }
    struct schema_pattern *kept = arena_allocate(&b->set->memory, 1, sizeof *kept);
    *kept = (struct schema_pattern){b->set->patterns, regex};
    b->set->patterns = kept;
    return regex;
}

static struct schema_string *string_of(struct schema_builder *b, struct schema *s)
{
    if (!s->string) {
        s->string = arena_allocate(&b->set->memory, 1, sizeof *s->string);
        s->string->length.most = UINT64_MAX;
    }
    return s->string;
}

/* The text of a keyword; empty when it is not there, or after a fault. */
static struct slice keyword_text(
    struct schema_builder *b, const struct schema *s, const struct node *n, const char *keyword)
{
    const struct node *value = node_find_raw(n, keyword);
    if (value && node_type(value) != DOCUMENT_STRING)
        schema_complain(b, s, value, "%s is no text; it must be one", keyword);
    return node_type(value) == DOCUMENT_STRING ? node_text(value) : (struct slice){0};
}

void schema_compile_string(struct schema_builder *b, struct schema *s, const struct node *n)
{
    struct schema_string *rules = string_of(b, s);
    rules->length = schema_compile_size(b, s, n, "minLength", "maxLength");
    struct slice pattern = keyword_text(b, s, n, "pattern");
    if (pattern.data) {
        rules->pattern_text = arena_copy(&b->set->memory, pattern);
        rules->pattern = schema_compile_regex(b, s, node_find_raw(n, "pattern"), rules->pattern_text);
    }
    rules->base64 = slice_is(keyword_text(b, s, n, "contentEncoding"), "base64");
    rules->json = slice_is(keyword_text(b, s, n, "contentMediaType"), "application/json");
}

void schema_compile_format(struct schema_builder *b, struct schema *s, const struct node *n)
{
    struct slice name = keyword_text(b, s, n, "format");
    const struct schema_format *format = schema_format_find(name);
    struct buffer known = {0};
    if (format && format->of_text)
        string_of(b, s)->format = format;
    else if (format)
        number_of(b, s)->format = format;
    else if (name.data) {
        schema_format_names(&known);
        schema_complain(b, s, node_find_raw(n, "format"),
            "format '%.*s' is none that is checked; these are: %s", SLICE_ARGS(name), buffer_text(&known));
    }
    buffer_finish(&known);
}

/* --- arrays --- */

static struct schema_list compile_list(
    struct schema_builder *b, const struct schema *s, const struct node *list, bool same_value)
{
    struct schema_list out = {0};
    out.items = arena_allocate(&b->set->memory, node_count(list), sizeof(struct schema *));
    for (size_t i = 0; i < node_count(list); i++)
        out.items[out.count++] = schema_link(b, s, node_at_raw(list, i), same_value);
    return out;
}

static bool compile_flag(
    struct schema_builder *b, const struct schema *s, const struct node *n, const char *keyword)
{
    const struct node *value = node_find_raw(n, keyword);
    if (value && node_type(value) != DOCUMENT_BOOL)
        schema_complain(b, s, value, "%s is no truth value; it must be true or false", keyword);
    return node_bool(value, false);
}

void schema_compile_array(struct schema_builder *b, struct schema *s, const struct node *n)
{
    struct schema_array *rules = s->array = arena_allocate(&b->set->memory, 1, sizeof *rules);
    const struct node *items = node_find_raw(n, "items"), *contains = node_find_raw(n, "contains");
    rules->size = schema_compile_size(b, s, n, "minItems", "maxItems");
    rules->unique = compile_flag(b, s, n, "uniqueItems");
    rules->contains = contains ? schema_link(b, s, contains, false) : NULL;
    if (node_type(items) == DOCUMENT_LIST) {
        rules->first = compile_list(b, s, items, false);
        rules->others = schema_link_any(b, s, node_find_raw(n, "additionalItems"));
    } else {
        rules->others = schema_link_any(b, s, items);
    }
}

/* --- values of any type --- */

/* Values on a tape of their own: as JSON, so that they compare as the values of records do. */
static struct schema_constants *compile_constants(
    struct schema_builder *b, const struct schema *s, const struct node *values, bool list)
{
    struct schema_constants *c = arena_allocate(&b->set->memory, 1, sizeof *c);
    c->next = b->set->constants;
    b->set->constants = c;
    if (!node_write_json_raw(values, &c->text) || !json_scan(&c->json, c->text.data, c->text.size)) {
        schema_complain(b, s, values, "this value is none of JSON: %s; a value has at most %d levels",
            c->json.fault ? c->json.fault : "it is too large", JSON_DEPTH_MAX);
        return NULL;
    }
    c->nodes = arena_allocate(&b->set->memory, list ? c->json.nodes[0].count : 1, sizeof *c->nodes);
    c->strings = arena_allocate(&b->set->memory, list ? c->json.nodes[0].count : 1, sizeof *c->strings);
    if (!list)
        c->nodes[c->count++] = 0;
    for (uint32_t i = list ? json_first(&c->json, 0) : JSON_NONE; i != JSON_NONE;
         i = json_after(&c->json, 0, i))
        c->nodes[c->count++] = i;
    struct buffer scratch = {0};
    for (size_t i = 0; i < c->count; i++)
        if (json_type(&c->json, c->nodes[i]) == JSON_STRING)
            c->strings[i] = arena_copy(&b->set->memory, json_string(&c->json, c->nodes[i], &scratch));
    buffer_finish(&scratch);
    return c;
}

static const struct schema_constants *compile_enum(
    struct schema_builder *b, const struct schema *s, const struct node *values)
{
    if (!values)
        return NULL;
    if (node_type(values) == DOCUMENT_LIST && node_count(values) > 0)
        return compile_constants(b, s, values, true);
    schema_complain(b, s, values, "enum is no list of values; it must name at least one");
    return NULL;
}

static struct schema_list compile_all(
    struct schema_builder *b, const struct schema *s, const struct node *n, const char *keyword)
{
    const struct node *list = node_find_raw(n, keyword);
    if (list && (node_type(list) != DOCUMENT_LIST || node_count(list) == 0))
        schema_complain(b, s, list, "%s is no list of schemas; it must have at least one", keyword);
    return compile_list(b, s, node_type(list) == DOCUMENT_LIST ? list : NULL, true);
}

static const struct schema *compile_one(
    struct schema_builder *b, const struct schema *s, const struct node *n, const char *keyword)
{
    const struct node *schema = node_find_raw(n, keyword);
    return schema ? schema_link(b, s, schema, true) : NULL;
}

void schema_compile_any(struct schema_builder *b, struct schema *s, const struct node *n)
{
    struct schema_any *rules = s->any = arena_allocate(&b->set->memory, 1, sizeof *rules);
    const struct node *constant = node_find_raw(n, "const");
    rules->one_of_values = compile_enum(b, s, node_find_raw(n, "enum"));
    rules->value = constant ? compile_constants(b, s, constant, false) : NULL;
    rules->all_of = compile_all(b, s, n, "allOf");
    rules->any_of = compile_all(b, s, n, "anyOf");
    rules->one_of = compile_all(b, s, n, "oneOf");
    rules->not = compile_one(b, s, n, "not");
    rules->condition = compile_one(b, s, n, "if");
    rules->then = compile_one(b, s, n, "then");
    rules->otherwise = compile_one(b, s, n, "else");
}
