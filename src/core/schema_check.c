/* Holds a value against a compiled schema, by recursion over both. On the way a fault is only noted: words
   are made of it at the end, when it has turned out to matter. The effort is counted, because alternatives
   within alternatives multiply; and once it is spent nothing holds, not even a `not`. */
#include "schema_internal.h"

#include "causeway/base64.h"

enum {
    EFFORT_LEAST = 10000,
    EFFORT_PER_NODE = 200,
    EFFORT_PER_BYTE = 2,
    DEPTH_MAX = 1500,     /* schemas on the stack at one time: a few hundred KiB of it */
    TEXT_PER_EFFORT = 16, /* bytes of a text that cost as much as a small value */
};

struct check {
    const struct json *json;
    struct schema_checker *checker;
    uint64_t effort; /* what is left */
    uint32_t depth;
    bool spent;
    struct schema_finding finding; /* of the last thing that did not hold */
    struct schema_finding nearest; /* for anyOf and oneOf: of the alternative that came furthest */
};

static bool holds(struct check *c, const struct schema *s, uint32_t node);

__attribute__((cold, noinline)) static bool fail(
    struct check *c, const struct schema *s, enum schema_keyword keyword, uint32_t node)
{
    c->finding = (struct schema_finding){.schema = s, .keyword = keyword, .node = node};
    return false;
}

__attribute__((cold, noinline)) static bool fail_member(
    struct check *c, const struct schema *s, enum schema_keyword keyword, uint32_t node, struct slice name)
{
    c->finding = (struct schema_finding){s, keyword, node, name};
    return false;
}

static bool spend(struct check *c, const struct schema *s, uint32_t node, uint64_t effort)
{
    if (c->effort > effort && !c->spent) {
        c->effort -= effort;
        return true;
    }
    c->spent = true;
    return fail(c, s, SCHEMA_EFFORT, node);
}

/* --- numbers --- */

struct number {
    int64_t small;
    bool is_small;
    struct slice text;
};

/* Less than 0, 0, or more: the number beside the bound. */
static int compare_bound(const struct number *n, const struct schema_bound *bound)
{
    if (n->is_small && bound->is_small)
        return (n->small > bound->small) - (n->small < bound->small);
    return decimal_compare(decimal_read(n->text), bound->exact);
}

static bool is_multiple(const struct number *n, const struct schema_bound *divisor)
{
    if (n->is_small && divisor->is_small)
        return n->small % divisor->small == 0;
    return decimal_is_multiple(decimal_read(n->text), divisor->exact);
}

static bool number_holds(struct check *c, const struct schema *s, uint32_t node)
{
    const struct schema_number *rules = s->number;
    struct number n = {.text = json_raw(c->json, node)};
    n.is_small = json_int64(c->json, node, &n.small);
    if (rules->minimum.there && compare_bound(&n, &rules->minimum) < 0)
        return fail(c, s, SCHEMA_MINIMUM, node);
    if (rules->maximum.there && compare_bound(&n, &rules->maximum) > 0)
        return fail(c, s, SCHEMA_MAXIMUM, node);
    if (rules->above.there && compare_bound(&n, &rules->above) <= 0)
        return fail(c, s, SCHEMA_EXCLUSIVE_MINIMUM, node);
    if (rules->below.there && compare_bound(&n, &rules->below) >= 0)
        return fail(c, s, SCHEMA_EXCLUSIVE_MAXIMUM, node);
    if (rules->multiple_of.there && !is_multiple(&n, &rules->multiple_of))
        return fail(c, s, SCHEMA_MULTIPLE_OF, node);
    if (rules->format && !rules->format->of_number(decimal_read(n.text)))
        return fail(c, s, SCHEMA_FORMAT, node);
    return true;
}

static bool is_whole(const struct json *j, uint32_t node)
{
    return json_is_integer(j, node) || decimal_is_whole(decimal_read(json_raw(j, node)));
}

/* --- strings --- */

static uint64_t count_characters(struct slice text)
{
    uint64_t count = 0;
    for (size_t i = 0; i < text.size; i++)
        count += !utf8_is_tail((unsigned char)text.data[i]);
    return count;
}

/* A character has one to four bytes, which mostly answers it without counting. */
static int compare_length(struct slice text, struct schema_size size)
{
    if (text.size < size.least)
        return -1;
    if (text.size <= size.most && text.size / 4 >= size.least)
        return 0;
    uint64_t count = count_characters(text);
    return count < size.least ? -1 : count > size.most ? 1 : 0;
}

static bool is_json(struct slice text)
{
    struct json json = {0};
    bool good = json_scan(&json, text.data, text.size);
    json_finish(&json);
    return good;
}

static bool content_holds(struct check *c, const struct schema *s, uint32_t node, struct slice text)
{
    struct buffer decoded = {0};
    bool good = true;
    bool padded = text.size % 4 == 0;
    if (s->string->base64 && !(padded && base64_decode(&decoded, text)))
        good = fail(c, s, SCHEMA_CONTENT_ENCODING, node);
    else if (s->string->json && !is_json(s->string->base64 ? buffer_slice(&decoded) : text))
        good = fail(c, s, SCHEMA_CONTENT_MEDIA_TYPE, node);
    buffer_finish(&decoded);
    return good;
}

static bool string_holds(struct check *c, const struct schema *s, uint32_t node)
{
    const struct schema_string *rules = s->string;
    struct slice text = json_string(c->json, node, &c->checker->text);
    if (!spend(c, s, node, text.size / TEXT_PER_EFFORT))
        return false;
    int length = compare_length(text, rules->length);
    if (length != 0)
        return fail(c, s, length < 0 ? SCHEMA_MIN_LENGTH : SCHEMA_MAX_LENGTH, node);
    if (rules->format && !rules->format->of_text(text))
        return fail(c, s, SCHEMA_FORMAT, node);
    if (rules->pattern && !regex_search(rules->pattern, text, &c->checker->regex))
        return fail(c, s, SCHEMA_PATTERN, node);
    return !(rules->base64 || rules->json) || content_holds(c, s, node, text);
}

/* --- arrays --- */

static bool elements_hold(struct check *c, const struct schema *s, uint32_t node)
{
    const struct schema_array *rules = s->array;
    size_t at = 0;
    if (rules->first.count == 0 && !rules->others)
        return true;
    for (uint32_t i = json_first(c->json, node); i != JSON_NONE; i = json_after(c->json, node, i), at++) {
        const struct schema *element = at < rules->first.count ? rules->first.items[at] : rules->others;
        if (element && element->never && at >= rules->first.count && rules->first.count > 0)
            return fail(c, s, SCHEMA_ADDITIONAL_ITEMS, i);
        if (element && !holds(c, element, i))
            return false;
    }
    return true;
}

static bool contains(struct check *c, const struct schema *wanted, uint32_t node)
{
    for (uint32_t i = json_first(c->json, node); i != JSON_NONE; i = json_after(c->json, node, i))
        if (holds(c, wanted, i))
            return true;
    return false;
}

static bool array_holds(struct check *c, const struct schema *s, uint32_t node)
{
    const struct schema_array *rules = s->array;
    uint32_t count = c->json->nodes[node].count, first, second;
    if (count < rules->size.least)
        return fail(c, s, SCHEMA_MIN_ITEMS, node);
    if (count > rules->size.most)
        return fail(c, s, SCHEMA_MAX_ITEMS, node);
    if (!elements_hold(c, s, node))
        return false;
    if (rules->contains && !contains(c, rules->contains, node))
        return fail(c, s, SCHEMA_CONTAINS, node);
    if (!rules->unique)
        return true;
    if (schema_find_repeated(c->json, node, &c->effort, &first, &second))
        return fail(c, s, SCHEMA_UNIQUE_ITEMS, second);
    return spend(c, s, node, 0);
}

/* --- objects --- */

/* A member that is declared nowhere by name: patterns, else additionalProperties. */
static bool other_member_holds(struct check *c, const struct schema *s, uint32_t key, bool declared)
{
    const struct schema_object *rules = s->object;
    for (size_t i = 0; i < rules->pattern_count; i++) {
        /* Asked for again each time: what is checked meanwhile uses the same scratch. */
        struct slice name = json_string(c->json, key, &c->checker->key);
        if (!spend(c, s, key, 1 + name.size / TEXT_PER_EFFORT))
            return false;
        if (!regex_search(rules->patterns[i].name, name, &c->checker->regex))
            continue;
        declared = true;
        if (rules->patterns[i].schema && !holds(c, rules->patterns[i].schema, key + 1))
            return false;
    }
    if (declared || !rules->additional)
        return true;
    if (rules->additional->never)
        return fail(c, s, SCHEMA_ADDITIONAL_PROPERTIES, key + 1);
    return holds(c, rules->additional, key + 1);
}

static bool members_hold(struct check *c, const struct schema *s, uint32_t node, uint32_t *required)
{
    const struct schema_object *rules = s->object;
    const struct json_node *nodes = c->json->nodes;
    bool others = rules->pattern_count > 0 || rules->additional;
    uint32_t key = node + 1;
    for (uint32_t i = 0; i < nodes[node].count; i++, key = nodes[key + 1].next) {
        struct slice name = json_string(c->json, key, &c->checker->key);
        const struct schema_property *p = schema_object_find(rules, name);
        if (p) {
            *required += p->required;
            if (p->schema && !holds(c, p->schema, key + 1))
                return false;
        }
        if (others && !other_member_holds(c, s, key, p && p->declared))
            return false;
        if (rules->names && !holds(c, rules->names, key))
            return false;
    }
    return true;
}

/* The first required member that is not there. */
static bool tell_missing(struct check *c, const struct schema *s, uint32_t node)
{
    const struct schema_object *rules = s->object;
    struct slice missing = {0};
    for (uint32_t i = 0; i < rules->property_count && !missing.data; i++) {
        const struct schema_property *p = &rules->properties[i];
        if (p->required && json_find(c->json, node, p->name) == JSON_NONE)
            missing = p->name;
    }
    return fail_member(c, s, SCHEMA_REQUIRED, node, missing);
}

static bool dependencies_hold(struct check *c, const struct schema *s, uint32_t node)
{
    const struct schema_object *rules = s->object;
    for (size_t i = 0; i < rules->dependency_count; i++) {
        const struct schema_dependency *d = &rules->dependencies[i];
        if (!spend(c, s, node, 1 + c->json->nodes[node].count * (1 + d->name_count) / TEXT_PER_EFFORT))
            return false;
        if (json_find(c->json, node, d->name) == JSON_NONE)
            continue;
        if (d->schema && !holds(c, d->schema, node))
            return false;
        for (size_t k = 0; k < d->name_count; k++)
            if (json_find(c->json, node, d->names[k]) == JSON_NONE)
                return fail_member(c, s, SCHEMA_DEPENDENCIES, node, d->names[k]);
    }
    return true;
}

static bool object_holds(struct check *c, const struct schema *s, uint32_t node)
{
    const struct schema_object *rules = s->object;
    uint32_t count = c->json->nodes[node].count, required = 0;
    if (count < rules->size.least)
        return fail(c, s, SCHEMA_MIN_PROPERTIES, node);
    if (count > rules->size.most)
        return fail(c, s, SCHEMA_MAX_PROPERTIES, node);
    if (!members_hold(c, s, node, &required))
        return false;
    if (required < rules->required_count)
        return tell_missing(c, s, node);
    return rules->dependency_count == 0 || dependencies_hold(c, s, node);
}

/* --- values of any type --- */

/* How many of the alternatives hold, up to `enough`; the fault of the one that came furthest is kept. */
static size_t count_holding(
    struct check *c, const struct schema_list *alternatives, uint32_t node, size_t enough)
{
    struct schema_finding nearest = {0};
    size_t count = 0;
    for (size_t i = 0; i < alternatives->count && count < enough && !c->spent; i++) {
        if (holds(c, alternatives->items[i], node))
            count++;
        else if (!nearest.schema || c->finding.node > nearest.node)
            nearest = c->finding;
    }
    c->nearest = nearest;
    return count;
}

static bool combinations_hold(struct check *c, const struct schema *s, uint32_t node)
{
    const struct schema_any *rules = s->any;
    for (size_t i = 0; i < rules->all_of.count; i++)
        if (!holds(c, rules->all_of.items[i], node))
            return false;
    if (rules->any_of.count > 0 && count_holding(c, &rules->any_of, node, 1) == 0)
        return fail(c, s, SCHEMA_ANY_OF, node);
    if (rules->one_of.count > 0) {
        size_t count = count_holding(c, &rules->one_of, node, 2);
        if (count != 1) {
            c->nearest = count == 0 ? c->nearest : (struct schema_finding){0};
            return fail(c, s, SCHEMA_ONE_OF, node);
        }
    }
    if (rules->not &&holds(c, rules->not, node))
        return fail(c, s, SCHEMA_NOT, node);
    if (!rules->condition)
        return true;
    const struct schema *branch = holds(c, rules->condition, node) ? rules->then : rules->otherwise;
    return !branch || holds(c, branch, node);
}

static bool any_holds(struct check *c, const struct schema *s, uint32_t node)
{
    const struct schema_any *rules = s->any;
    struct buffer *scratch = &c->checker->text;
    if (rules->one_of_values &&
        !schema_constants_have(rules->one_of_values, c->json, node, scratch, &c->effort))
        return fail(c, s, SCHEMA_ENUM, node);
    if (rules->value && !schema_constants_have(rules->value, c->json, node, scratch, &c->effort))
        return fail(c, s, SCHEMA_CONST, node);
    return combinations_hold(c, s, node);
}

/* --- the whole --- */

static bool rules_hold(struct check *c, const struct schema *s, uint32_t node, enum json_type type)
{
    if (type == JSON_NUMBER) {
        if (s->whole && !is_whole(c->json, node))
            return fail(c, s, SCHEMA_TYPE, node);
        if (s->number && !number_holds(c, s, node))
            return false;
    } else if (type == JSON_STRING) {
        if (s->string && !string_holds(c, s, node))
            return false;
    } else if (type == JSON_OBJECT) {
        if (s->object && !object_holds(c, s, node))
            return false;
    } else if (type == JSON_ARRAY) {
        if (s->array && !array_holds(c, s, node))
            return false;
    }
    return !s->any || any_holds(c, s, node);
}

static bool holds(struct check *c, const struct schema *s, uint32_t node)
{
    enum json_type type = (enum json_type)c->json->nodes[node].type;
    if (c->effort == 0 || c->depth == DEPTH_MAX || c->spent) {
        c->spent = true;
        return fail(c, s, SCHEMA_EFFORT, node);
    }
    c->effort--;
    if (!(s->types >> type & 1))
        return fail(c, s, s->never ? SCHEMA_NEVER : SCHEMA_TYPE, node);
    c->depth++;
    bool good = rules_hold(c, s, node, type);
    c->depth--;
    return good;
}

bool schema_holds(const struct schema *s, const struct json *j, uint32_t node, struct schema_checker *checker)
{
    CHECK(node < j->used);
    uint64_t nodes = j->nodes[node].next - node, bytes = j->nodes[node].end - j->nodes[node].start;
    struct check c = {.json = j,
        .checker = checker,
        .effort = EFFORT_LEAST + nodes * EFFORT_PER_NODE + bytes * EFFORT_PER_BYTE};
    bool good = holds(&c, s, node);
    c.spent = c.spent || c.effort == 0;
    if (good && !c.spent)
        return true;
    if (c.spent)
        c.finding = (struct schema_finding){.schema = s, .keyword = SCHEMA_EFFORT, .node = node};
    schema_fault_tell(&c.finding, &c.nearest, j, node, checker);
    return false;
}

void schema_checker_finish(struct schema_checker *checker)
{
    buffer_finish(&checker->pointer);
    buffer_finish(&checker->message);
    buffer_finish(&checker->text);
    buffer_finish(&checker->key);
    regex_scratch_finish(&checker->regex);
    *checker = (struct schema_checker){0};
}
