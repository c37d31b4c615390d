/* Rules for objects: their members stand in a small hash table, each with its schema and whether it must be
   there, so that one look per member of a value answers both. */
#include "schema_internal.h"

/* --- the table --- */

static inline uint64_t load(const char *at, size_t size)
{
    uint64_t word = 0;
    memcpy(&word, at, size);
    return word;
}

/* The first and the last eight bytes: all there is of most names. The sizes are constants, so that each load
   is one instruction. */
static inline uint32_t hash_name(struct slice name)
{
    const char *at = name.data, *end = name.data + name.size;
    uint64_t head = 0, tail = 0;
    if (name.size >= 8) {
        head = load(at, 8);
        tail = load(end - 8, 8);
    } else if (name.size >= 4) {
        head = load(at, 4);
        tail = load(end - 4, 4);
    } else if (name.size > 0) {
        head = load(at, 1) << 8 | load(at + name.size / 2, 1);
        tail = load(end - 1, 1);
    }
    uint64_t mixed = (head ^ name.size) * 0x9e3779b97f4a7c15 + tail * 0xc2b2ae3d27d4eb4f;
    return (uint32_t)(mixed >> 32);
}

const struct schema_property *schema_object_find(const struct schema_object *o, struct slice name)
{
    for (uint32_t at = hash_name(name);; at++) {
        uint32_t found = o->slots[at & o->mask];
        if (found == 0)
            return NULL;
        const struct schema_property *p = &o->properties[found - 1];
        if (p->name.size == name.size && memcmp(p->name.data, name.data, name.size) == 0)
            return p;
    }
}

/* The property of that name, made when it is new; the tables have room for it. */
static struct schema_property *property_of(
    struct schema_builder *b, struct schema_object *o, struct slice name)
{
    struct schema_property *known = (struct schema_property *)schema_object_find(o, name);
    if (known)
        return known;
    uint32_t at = hash_name(name);
    while (o->slots[at & o->mask] != 0)
        at++;
    known = &o->properties[o->property_count++];
    o->slots[at & o->mask] = o->property_count;
    known->name = arena_copy(&b->set->memory, name);
    return known;
}

static void make_table(struct schema_builder *b, struct schema_object *o, size_t most)
{
    uint32_t size = 4;
    while (size < most * 2)
        size *= 2;
    o->mask = size - 1;
    o->slots = arena_allocate(&b->set->memory, size, sizeof *o->slots);
    o->properties = arena_allocate(&b->set->memory, most, sizeof *o->properties);
}

/* --- keywords --- */

/* The map under `keyword`; NULL when it is not there, or after a fault. */
static const struct node *map_of(
    struct schema_builder *b, const struct schema *s, const struct node *n, const char *keyword)
{
    const struct node *map = node_find_raw(n, keyword);
    if (!map || node_type(map) == DOCUMENT_MAP)
        return map;
    schema_complain(b, s, map, "%s is no map; it maps names to schemas", keyword);
    return NULL;
}

/* The texts of a list of names; a fault for all that is none. */
static const struct slice *compile_names(struct schema_builder *b, const struct schema *s,
    const struct node *list, const char *what, size_t *count)
{
    struct slice *names = arena_allocate(&b->set->memory, node_count(list), sizeof *names);
    if (node_type(list) != DOCUMENT_LIST)
        schema_complain(b, s, list, "%s is no list; it lists names of members", what);
    for (size_t i = 0; i < node_count(list) && node_type(list) == DOCUMENT_LIST; i++) {
        const struct node *name = node_at_raw(list, i);
        if (node_type(name) == DOCUMENT_STRING)
            names[(*count)++] = arena_copy(&b->set->memory, node_text(name));
        else
            schema_complain(b, s, name, "%s lists what is no text; it lists names of members", what);
    }
    return names;
}

static void compile_properties(
    struct schema_builder *b, const struct schema *s, const struct node *n, struct schema_object *o)
{
    const struct node *properties = map_of(b, s, n, "properties"), *required = node_find_raw(n, "required");
    size_t name_count = 0;
    const struct slice *names = required ? compile_names(b, s, required, "required", &name_count) : NULL;
    make_table(b, o, node_count(properties) + name_count);
    for (size_t i = 0; i < node_count(properties); i++) {
        struct schema_property *p = property_of(b, o, node_key(properties, i));
        p->declared = true;
        p->schema = schema_link_any(b, s, node_value_raw(properties, i));
    }
    for (size_t i = 0; i < name_count; i++) {
        struct schema_property *p = property_of(b, o, names[i]);
        o->required_count += !p->required;
        p->required = true;
    }
}

static void compile_patterns(
    struct schema_builder *b, const struct schema *s, const struct node *n, struct schema_object *o)
{
    const struct node *patterns = map_of(b, s, n, "patternProperties");
    o->patterns = arena_allocate(&b->set->memory, node_count(patterns), sizeof *o->patterns);
    for (size_t i = 0; i < node_count(patterns); i++) {
        const struct node *schema = node_value_raw(patterns, i);
        o->patterns[o->pattern_count++] = (struct schema_name_pattern){
            schema_compile_regex(b, s, schema, node_key(patterns, i)), schema_link_any(b, s, schema)};
    }
}

static void compile_dependencies(
    struct schema_builder *b, const struct schema *s, const struct node *n, struct schema_object *o)
{
    const struct node *all = map_of(b, s, n, "dependencies");
    o->dependencies = arena_allocate(&b->set->memory, node_count(all), sizeof *o->dependencies);
    for (size_t i = 0; i < node_count(all); i++) {
        const struct node *value = node_value_raw(all, i);
        struct schema_dependency *d = &o->dependencies[o->dependency_count++];
        d->name = arena_copy(&b->set->memory, node_key(all, i));
        if (node_type(value) == DOCUMENT_LIST)
            d->names = compile_names(b, s, value, "dependencies", &d->name_count);
        else
            d->schema = schema_link(b, s, value, true);
    }
}

void schema_compile_object(struct schema_builder *b, struct schema *s, const struct node *n)
{
    struct schema_object *o = s->object = arena_allocate(&b->set->memory, 1, sizeof *o);
    const struct node *names = node_find_raw(n, "propertyNames");
    o->size = schema_compile_size(b, s, n, "minProperties", "maxProperties");
    compile_properties(b, s, n, o);
    compile_patterns(b, s, n, o);
    compile_dependencies(b, s, n, o);
    o->additional = schema_link_any(b, s, node_find_raw(n, "additionalProperties"));
    o->names = names ? schema_link_any(b, s, names) : NULL;
}
