#include "catalogue_internal.h"

#include <stdlib.h>

/* --- the parameters: {token.user}, {user.<column>}, {room.<placeholder>} --- */

static bool is_param_field(const struct template_field *field)
{
    static const char *const roots[] = {"token", "user", "room"};
    if (field->step_count != 2 || field->array || field->optional)
        return false;
    for (size_t i = 0; i < sizeof roots / sizeof *roots; i++) {
        if (slice_is(field->steps[0].name, roots[i]))
            return i > 0 || slice_is(field->steps[1].name, "user");
    }
    return false;
}

bool compile_has_root(const struct template *t, const char *root)
{
    for (size_t i = 0; i < template_placeholders(t); i++) {
        if (slice_is(template_field(t, i)->steps[0].name, root))
            return true;
    }
    return false;
}

bool compile_param_fields(struct compiler *k, const struct node *at, const struct template *t)
{
    for (size_t i = 0; i < template_placeholders(t); i++) {
        const struct template_field *field = template_field(t, i);
        if (is_param_field(field))
            continue;
        compile_fault(k, at,
            "{%.*s} is nothing that is known here; use {token.user}, {user.<column>} or, in lookups, "
            "{room.<placeholder>}",
            SLICE_ARGS(field->text));
        return false;
    }
    return true;
}

static void compile_params(struct compiler *k, struct lookup *lookup, const struct node *node)
{
    size_t count = compile_items(node);
    struct template **params = catalogue_allocate(k->c, count, sizeof(void *));
    for (size_t i = 0; i < count; i++) {
        const struct node *item = compile_item(node, i);
        struct template *t = compile_template(k, item, node, "a parameter");
        if (t && compile_param_fields(k, item, t))
            params[lookup->param_count++] = t;
    }
    lookup->params = params;
}

/* The highest $n of the statement, not looking into 'literals'. */
static size_t highest_parameter(struct slice sql)
{
    size_t highest = 0;
    bool literal = false;
    for (size_t i = 0; i < sql.size; i++) {
        literal = literal != (sql.data[i] == '\'');
        if (literal || sql.data[i] != '$')
            continue;
        size_t number = 0;
        for (; i + 1 < sql.size && sql.data[i + 1] >= '0' && sql.data[i + 1] <= '9' && number < 100000; i++)
            number = number * 10 + (size_t)(sql.data[i + 1] - '0');
        highest = number > highest ? number : highest;
    }
    return highest;
}

static void compile_lookup(
    struct compiler *k, struct slice name, const struct node *node, const struct node *holder)
{
    static const char *const known[] = {"sql", "params", NULL};
    if (!node) {
        compile_fault(k, holder, "lookup '%.*s' is not there; it has sql and params", SLICE_ARGS(name));
        return;
    }
    if (!compile_keys(k, node, "a lookup", known))
        return;
    if (memchr(name.data, ':', name.size))
        compile_fault(k, node,
            "lookup '%.*s' has a colon in its name, where notifications begin the key; leave it out",
            SLICE_ARGS(name));
    struct lookup *lookup = &k->c->lookups[k->c->lookup_count];
    lookup->index = compile_index(k, node, k->c->lookup_count++);
    lookup->name = catalogue_copy(k->c, name);
    lookup->sql = catalogue_copy(k->c, compile_text(k, node_find(node, "sql"), node, "sql"));
    size_t before = k->faults->count;
    compile_params(k, lookup, node_find(node, "params"));
    lookup->id = hash_bytes(lookup->sql.data, lookup->sql.size, hash_bytes(name.data, name.size, 0));
    size_t highest = highest_parameter(lookup->sql);
    if (k->faults->count == before && highest != lookup->param_count)
        compile_fault(k, node,
            "the sql of lookup '%.*s' uses parameters up to $%zu but params has %zu; they must agree",
            SLICE_ARGS(name), highest, lookup->param_count);
}

const struct lookup *compile_lookup_name(struct compiler *k, const struct node *n, const struct node *holder)
{
    struct slice name = compile_text(k, n, holder, "lookup");
    const struct lookup *found = catalogue_find_lookup(k->c, name);
    if (!found && name.size > 0)
        compile_fault(k, n, "there is no lookup '%.*s'; declare it in x-causeway.lookups", SLICE_ARGS(name));
    return found;
}

static void compile_principal(struct compiler *k, const struct node *extension)
{
    static const char *const known[] = {"lookup", NULL};
    const struct node *principal = node_find(extension, "principal");
    if (!principal) {
        compile_fault(k, extension, "principal is missing; principal: {lookup: <name>} says who a user is");
        return;
    }
    if (!compile_keys(k, principal, "principal", known))
        return;
    const struct lookup *lookup = compile_lookup_name(k, node_find(principal, "lookup"), principal);
    k->c->principal = lookup;
    for (size_t i = 0; lookup && i < lookup->param_count; i++) {
        if (compile_has_root(lookup->params[i], "user") || compile_has_root(lookup->params[i], "room"))
            compile_fault(k, principal,
                "the principal's lookup cannot use '%.*s'; all it knows is {token.user}",
                SLICE_ARGS(template_text(lookup->params[i])));
    }
}

void compile_lookups(struct compiler *k, const struct node *extension)
{
    const struct node *lookups = node_find(extension, "lookups");
    if (lookups && node_type(lookups) != DOCUMENT_MAP)
        compile_fault(k, lookups, "lookups is no map; it maps names to {sql, params}");
    else {
        k->c->lookups = catalogue_allocate(k->c, node_count(lookups), sizeof *k->c->lookups);
        for (size_t i = 0; i < node_count(lookups); i++)
            compile_lookup(k, node_key(lookups, i), node_value(lookups, i), lookups);
    }
    compile_principal(k, extension);
}
