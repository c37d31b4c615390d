#include "schema_internal.h"

#include "causeway/edits.h"
#include "causeway/memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    HOPS_MAX = 100,
    HEIGHT_MAX = 50, /* a check needs the stack for that many at each level of a value */
    TYPO_EDITS = 2
};

/* --- keywords --- */

enum group { ANNOTATION, TYPE, NUMBER, STRING, FORMAT, ARRAY, OBJECT, ANY, FOREIGN, GROUPS };

static const struct keyword {
    const char *name;
    enum group group;
    const char *advice; /* what would be right instead of a foreign one */
} keywords[] = {
    {"$id", ANNOTATION, NULL},
    {"$schema", ANNOTATION, NULL},
    {"$comment", ANNOTATION, NULL},
    {"title", ANNOTATION, NULL},
    {"description", ANNOTATION, NULL},
    {"default", ANNOTATION, NULL},
    {"readOnly", ANNOTATION, NULL},
    {"writeOnly", ANNOTATION, NULL},
    {"deprecated", ANNOTATION, NULL},
    {"examples", ANNOTATION, NULL},
    {"example", ANNOTATION, NULL},
    {"externalDocs", ANNOTATION, NULL},
    {"definitions", ANNOTATION, NULL},
    {"type", TYPE, NULL},
    {"multipleOf", NUMBER, NULL},
    {"maximum", NUMBER, NULL},
    {"exclusiveMaximum", NUMBER, NULL},
    {"minimum", NUMBER, NULL},
    {"exclusiveMinimum", NUMBER, NULL},
    {"maxLength", STRING, NULL},
    {"minLength", STRING, NULL},
    {"pattern", STRING, NULL},
    {"contentEncoding", STRING, NULL},
    {"contentMediaType", STRING, NULL},
    {"format", FORMAT, NULL},
    {"items", ARRAY, NULL},
    {"additionalItems", ARRAY, NULL},
    {"maxItems", ARRAY, NULL},
    {"minItems", ARRAY, NULL},
    {"uniqueItems", ARRAY, NULL},
    {"contains", ARRAY, NULL},
    {"maxProperties", OBJECT, NULL},
    {"minProperties", OBJECT, NULL},
    {"required", OBJECT, NULL},
    {"properties", OBJECT, NULL},
    {"patternProperties", OBJECT, NULL},
    {"additionalProperties", OBJECT, NULL},
    {"dependencies", OBJECT, NULL},
    {"propertyNames", OBJECT, NULL},
    {"enum", ANY, NULL},
    {"const", ANY, NULL},
    {"if", ANY, NULL},
    {"then", ANY, NULL},
    {"else", ANY, NULL},
    {"allOf", ANY, NULL},
    {"anyOf", ANY, NULL},
    {"oneOf", ANY, NULL},
    {"not", ANY, NULL},
    {"id", FOREIGN, "$id"},
    {"$anchor", FOREIGN, "$id: '#name'"},
    {"$recursiveRef", FOREIGN, "$ref"},
    {"$recursiveAnchor", FOREIGN, "$ref"},
    {"$dynamicRef", FOREIGN, "$ref"},
    {"$dynamicAnchor", FOREIGN, "$ref"},
    {"dependentRequired", FOREIGN, "dependencies"},
    {"dependentSchemas", FOREIGN, "dependencies"},
    {"unevaluatedProperties", FOREIGN, "additionalProperties"},
    {"unevaluatedItems", FOREIGN, "additionalItems"},
    {"minContains", FOREIGN, "contains"},
    {"maxContains", FOREIGN, "contains"},
    {"prefixItems", FOREIGN, "items with a list"},
    {"nullable", FOREIGN, "type: [..., 'null']"},
    {"discriminator", FOREIGN, "oneOf, with const in each"},
    {"divisibleBy", FOREIGN, "multipleOf"},
    {"disallow", FOREIGN, "not"},
    {"extends", FOREIGN, "allOf"},
};

static const struct keyword *find_keyword(struct slice name)
{
    for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++)
        if (slice_is(name, keywords[i].name))
            return &keywords[i];
    return NULL;
}

/* The keyword that was meant, if any: x-... is never one, and short words are near too many. */
static const struct keyword *find_meant(struct slice name)
{
    for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++) {
        const struct keyword *k = &keywords[i];
        if (name.size > 4 && k->group != ANNOTATION && k->group != FOREIGN &&
            edits_between(name, slice_of(k->name)) <= TYPO_EDITS)
            return k;
    }
    return NULL;
}

/* --- faults --- */

void schema_complain(
    struct schema_builder *b, const struct schema *s, const struct node *at, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (s)
        b->entries[s->index]->broken = true;
    b->complain(b->owner, at, text);
}

/* --- schemas and what they refer to --- */

static struct slice keep_file(struct schema_builder *b, const struct node *n)
{
    struct slice file = slice_of(node_file(n));
    if (!slice_equal(file, b->last_file))
        b->last_file = arena_copy(&b->set->memory, file);
    return b->last_file;
}

static struct schema_entry *entry_of(struct schema_builder *b, const struct node *n)
{
    struct slice key = {(const char *)&n, sizeof(void *)};
    struct schema_entry *e = map_find(b->known, key);
    if (e)
        return e;
    if (b->count == b->capacity) {
        b->capacity = b->capacity ? b->capacity * 2 : 64;
        b->entries = xrealloc(b->entries, b->capacity * sizeof(struct schema_entry *));
    }
    e = arena_allocate(&b->set->memory, 1, sizeof *e);
    e->node = n;
    e->schema.types = SCHEMA_TYPES_ALL;
    e->schema.index = (uint32_t)b->count;
    e->schema.file = keep_file(b, n);
    e->schema.line = node_line(n);
    b->entries[b->count++] = e;
    map_set(b->known, key, e);
    return e;
}

/* A `$ref` takes the place of all that stands beside it. */
static const struct node *follow(struct schema_builder *b, const struct schema *parent, const struct node *n)
{
    for (int hops = 0; hops < HOPS_MAX; hops++) {
        const struct node *reference = node_find_raw(n, "$ref");
        if (node_type(reference) != DOCUMENT_STRING)
            return n;
        const char *why;
        const struct node *target = schema_refs_follow(b->refs, n, node_text(reference), &why);
        if (!target) {
            schema_complain(b, parent, n, "$ref '%.*s' %s", SLICE_ARGS(node_text(reference)), why);
            return NULL;
        }
        n = target;
    }
    schema_complain(b, parent, n, "this $ref leads in a circle; it must end at a schema");
    return NULL;
}

static void add_edge(struct schema_builder *b, struct schema_edge edge)
{
    if (b->edge_count == b->edge_capacity) {
        b->edge_capacity = b->edge_capacity ? b->edge_capacity * 2 : 64;
        b->edges = xrealloc(b->edges, b->edge_capacity * sizeof *b->edges);
    }
    b->edges[b->edge_count++] = edge;
}

const struct schema *schema_link(
    struct schema_builder *b, const struct schema *parent, const struct node *n, bool same_value)
{
    const struct node *target = follow(b, parent, n);
    if (!target)
        return NULL;
    const struct schema *child = &entry_of(b, target)->schema;
    add_edge(b, (struct schema_edge){parent->index, child->index, same_value});
    return child;
}

const struct schema *schema_link_any(
    struct schema_builder *b, const struct schema *parent, const struct node *n)
{
    bool anything = !n || (node_type(n) == DOCUMENT_BOOL && node_bool(n, false));
    return anything ? NULL : schema_link(b, parent, n, false);
}

/* --- one schema --- */

static void compile_type(struct schema_builder *b, struct schema *s, const struct node *n)
{
    static const struct {
        const char *name;
        uint8_t types;
    } table[] = {
        {"null", 1 << JSON_NULL},
        {"boolean", 1 << JSON_FALSE | 1 << JSON_TRUE},
        {"number", 1 << JSON_NUMBER},
        {"string", 1 << JSON_STRING},
        {"array", 1 << JSON_ARRAY},
        {"object", 1 << JSON_OBJECT},
    };
    const struct node *type = node_find_raw(n, "type");
    bool list = node_type(type) == DOCUMENT_LIST;
    size_t count = list ? node_count(type) : 1;
    bool whole = false;
    s->types = 0;
    for (size_t i = 0; i < count; i++) {
        const struct node *item = list ? node_at_raw(type, i) : type;
        uint8_t known = 0;
        for (size_t k = 0; k < sizeof table / sizeof *table; k++)
            if (node_type(item) == DOCUMENT_STRING && slice_is(node_text(item), table[k].name))
                known = table[k].types;
        if (node_type(item) == DOCUMENT_STRING && slice_is(node_text(item), "integer"))
            whole = true;
        else if (!known)
            schema_complain(b, s, item,
                "type '%.*s' is unknown; there are null, boolean, integer, number, string, array, object",
                SLICE_ARGS(node_text(item)));
        s->types |= known;
    }
    s->whole = whole && !(s->types & 1 << JSON_NUMBER);
    s->types |= whole ? 1 << JSON_NUMBER : 0;
    if (count == 0)
        schema_complain(b, s, type, "type is an empty list; it names at least one type");
}

static void check_dialect(struct schema_builder *b, const struct schema *s, const struct node *n)
{
    const struct node *dialect = node_find_raw(n, "$schema");
    struct slice text = node_text(dialect);
    bool known = slice_starts(text, SLICE("http://json-schema.org/draft-07/schema")) ||
                 slice_starts(text, SLICE("https://json-schema.org/draft-07/schema"));
    if (dialect && !known)
        schema_complain(b, s, dialect,
            "$schema is '%.*s', which is not read; it must be http://json-schema.org/draft-07/schema#",
            SLICE_ARGS(text));
}

static void check_keyword(struct schema_builder *b, const struct schema *s, const struct node *n, size_t at)
{
    struct slice name = node_key(n, at);
    const struct keyword *k = find_keyword(name), *meant = k ? NULL : find_meant(name);
    const struct node *place = node_value_raw(n, at);
    if (k && k->group == FOREIGN)
        schema_complain(b, s, place, "keyword '%s' is none of draft-07; use %s", k->name, k->advice);
    if (meant)
        schema_complain(
            b, s, place, "keyword '%.*s' is unknown; did you mean '%s'?", SLICE_ARGS(name), meant->name);
}

static void compile_keywords(struct schema_builder *b, struct schema *s, const struct node *n)
{
    static void (*const groups[GROUPS])(struct schema_builder *, struct schema *, const struct node *) = {
        [TYPE] = compile_type,
        [NUMBER] = schema_compile_number,
        [STRING] = schema_compile_string,
        [FORMAT] = schema_compile_format, /* behind both: it adds to them */
        [ARRAY] = schema_compile_array,
        [OBJECT] = schema_compile_object,
        [ANY] = schema_compile_any,
    };
    bool has[GROUPS] = {false};
    check_dialect(b, s, n);
    for (size_t i = 0; i < node_count(n); i++) {
        const struct keyword *k = find_keyword(node_key(n, i));
        if (k)
            has[k->group] = true;
        check_keyword(b, s, n, i);
    }
    for (size_t i = 0; i < GROUPS; i++)
        if (has[i] && groups[i])
            groups[i](b, s, n);
}

static void compile(struct schema_builder *b, struct schema_entry *e)
{
    struct schema *s = &e->schema;
    if (node_type(e->node) == DOCUMENT_BOOL) {
        s->never = !node_bool(e->node, true);
        s->types = s->never ? 0 : SCHEMA_TYPES_ALL;
    } else if (node_type(e->node) == DOCUMENT_MAP) {
        compile_keywords(b, s, e->node);
    } else {
        schema_complain(b, s, e->node, "this is no schema; a schema is a map of keywords, true or false");
    }
}

/* --- what holds for all of them together --- */

static bool raise_heights(struct schema_builder *b)
{
    bool changed = false;
    for (size_t i = 0; i < b->edge_count; i++) {
        struct schema_entry *parent = b->entries[b->edges[i].parent], *child = b->entries[b->edges[i].child];
        if (b->edges[i].same_value && parent->height <= child->height && parent->height <= HEIGHT_MAX) {
            parent->height = child->height + 1;
            changed = true;
        }
    }
    return changed;
}

/* A schema that holds for a value if it holds for the value could never be decided. */
static void check_heights(struct schema_builder *b)
{
    bool told = false;
    while (raise_heights(b))
        ;
    for (size_t i = 0; i < b->count; i++) {
        struct schema_entry *e = b->entries[i];
        if (e->height <= HEIGHT_MAX || e->broken)
            continue;
        e->broken = true;
        if (!told) /* the others of the circle would only repeat it */
            schema_complain(b, NULL, e->node,
                "this schema refers to itself for the same value, or more than %d schemas lie on each other; "
                "a "
                "circle must lead through properties or items",
                HEIGHT_MAX);
        told = true;
    }
}

static void spread_brokenness(struct schema_builder *b)
{
    for (bool changed = true; changed;) {
        changed = false;
        for (size_t i = 0; i < b->edge_count; i++) {
            struct schema_entry *parent = b->entries[b->edges[i].parent];
            if (!parent->broken && b->entries[b->edges[i].child]->broken)
                changed = parent->broken = true;
        }
    }
}

struct schema_builder *schema_builder_create(
    const struct document *d, schema_complaint *complain, void *owner)
{
    struct schema_builder *b = xcalloc(1, sizeof *b);
    *b = (struct schema_builder){.document = d, .complain = complain, .owner = owner};
    b->set = xcalloc(1, sizeof *b->set);
    b->refs = schema_refs_create(d);
    b->known = map_create();
    return b;
}

const struct schema *schema_builder_add(struct schema_builder *b, const struct node *n)
{
    const struct node *target = follow(b, NULL, n);
    if (!target)
        return NULL;
    struct schema_entry *e = entry_of(b, target);
    for (; b->done < b->count; b->done++)
        compile(b, b->entries[b->done]);
    check_heights(b);
    spread_brokenness(b);
    return e->broken ? NULL : &e->schema;
}

struct schema_set *schema_builder_finish(struct schema_builder *b)
{
    struct schema_set *set = b->set;
    schema_refs_destroy(b->refs);
    map_destroy(b->known);
    free(b->entries);
    free(b->edges);
    free(b);
    return set;
}

void schema_set_destroy(struct schema_set *set)
{
    if (!set)
        return;
    for (struct schema_pattern *p = set->patterns; p; p = p->next)
        regex_destroy(p->regex);
    for (struct schema_constants *c = set->constants; c; c = c->next) {
        json_finish(&c->json);
        buffer_finish(&c->text);
    }
    arena_finish(&set->memory);
    free(set);
}
