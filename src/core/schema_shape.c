/* What a schema says of members and elements, before any value is there. A schema is taken together with all
   that holds for the same value: allOf, the alternatives, then and else. */
#include "schema_internal.h"

#include "causeway/edits.h"

enum { ALTERNATIVES = 4 };

/* The lists of schemas that hold for the same value, and the single ones as lists of one. */
static size_t parts_of(const struct schema *s, struct schema_list out[ALTERNATIVES])
{
    size_t count = 0;
    if (!s->any)
        return 0;
    const struct schema_list *lists[] = {&s->any->all_of, &s->any->any_of, &s->any->one_of};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        if (lists[i]->count > 0)
            out[count++] = *lists[i];
    return count;
}

static void describe_own(const struct schema *s, struct slice name, struct schema_member *out)
{
    const struct schema_object *o = s->object;

    if (!o)
        return;
    const struct schema_property *p = schema_object_find(o, name);
    out->required = out->required || (p && p->required);
    if (p && p->declared) {
        out->described = true;
        out->schema = out->schema ? out->schema : p->schema;
    }
    for (size_t i = 0; i < o->pattern_count && !out->described; i++) {
        struct regex_scratch scratch = {0};
        out->described = regex_search(o->patterns[i].name, name, &scratch);
        out->schema = out->described ? o->patterns[i].schema : out->schema;
        regex_scratch_finish(&scratch);
    }
    if (!out->described && o->additional && !o->additional->never) {
        out->described = true;
        out->schema = o->additional;
    }
}

/* Joins what a part says; in a list of alternatives only what all of them require is required. */
static void describe_list(
    const struct schema *s, const struct schema_list *list, struct slice name, struct schema_member *out)
{
    bool all = true, some = false;
    for (size_t i = 0; i < list->count; i++) {
        struct schema_member part = schema_member(list->items[i], name);
        all = all && part.required;
        some = some || part.required;
        out->described = out->described || part.described;
        out->schema = out->schema ? out->schema : part.schema;
    }
    bool conjunction = list->items == s->any->all_of.items;
    out->required = out->required || (conjunction ? some : all);
}

struct schema_member schema_member(const struct schema *s, struct slice name)
{
    struct schema_member out = {0};
    struct schema_list lists[ALTERNATIVES];
    describe_own(s, name, &out);
    size_t count = parts_of(s, lists);
    for (size_t i = 0; i < count; i++)
        describe_list(s, &lists[i], name, &out);
    const struct schema *branches[] = {s->any ? s->any->then : NULL, s->any ? s->any->otherwise : NULL};
    for (size_t i = 0; i < 2; i++) {
        if (!branches[i])
            continue;
        struct schema_member part = schema_member(branches[i], name);
        out.described = out.described || part.described;
        out.schema = out.schema ? out.schema : part.schema;
    }
    return out;
}

bool schema_describes_members(const struct schema *s)
{
    struct schema_list lists[ALTERNATIVES];
    if (s->object && (s->object->property_count > 0 || s->object->pattern_count > 0 || s->object->additional))
        return true;
    size_t count = parts_of(s, lists);
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < lists[i].count; k++)
            if (schema_describes_members(lists[i].items[k]))
                return true;
    return false;
}

const struct schema *schema_element(const struct schema *s)
{
    struct schema_list lists[ALTERNATIVES];
    if (s->array && s->array->first.count == 0 && s->array->others)
        return s->array->others;
    size_t count = parts_of(s, lists);
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < lists[i].count; k++) {
            const struct schema *element = schema_element(lists[i].items[k]);
            if (element)
                return element;
        }
    }
    return NULL;
}

static bool constants_have_type(const struct schema_constants *c, enum json_type type)
{
    for (size_t i = 0; i < c->count; i++)
        if (json_type(&c->json, c->nodes[i]) == type)
            return true;
    return false;
}

bool schema_may_be(const struct schema *s, enum json_type type)
{
    if (!s)
        return true;
    if (!(s->types >> type & 1))
        return false;
    if (!s->any)
        return true;
    if ((s->any->one_of_values && !constants_have_type(s->any->one_of_values, type)) ||
        (s->any->value && !constants_have_type(s->any->value, type)))
        return false;
    for (size_t i = 0; i < s->any->all_of.count; i++)
        if (!schema_may_be(s->any->all_of.items[i], type))
            return false;
    const struct schema_list *lists[] = {&s->any->any_of, &s->any->one_of};
    for (size_t i = 0; i < 2; i++) {
        bool some = lists[i]->count == 0;
        for (size_t k = 0; k < lists[i]->count && !some; k++)
            some = schema_may_be(lists[i]->items[k], type);
        if (!some)
            return false;
    }
    return true;
}

static void find_nearest(const struct schema *s, struct slice name, struct slice *best)
{
    struct schema_list lists[ALTERNATIVES];
    for (uint32_t i = 0; s->object && i < s->object->property_count; i++) {
        struct slice other = s->object->properties[i].name;
        if (best->size == 0 || edits_between(name, other) < edits_between(name, *best))
            *best = other;
    }
    size_t count = parts_of(s, lists);
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < lists[i].count; k++)
            find_nearest(lists[i].items[k], name, best);
}

struct slice schema_nearest_member(const struct schema *s, struct slice name)
{
    struct slice best = {0};
    find_nearest(s, name, &best);
    return best;
}
