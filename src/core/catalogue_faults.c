#include "catalogue_internal.h"

#include "causeway/edits.h"

#include <stdarg.h>
#include <stdio.h>

void compile_fault(struct compiler *k, const struct node *at, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    int written = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    CHECK(written >= 0);
    const struct node *place = at ? at : k->root;
    const char *file = node_file(place);
    struct buffer *out = &k->faults->text;
    buffer_print(out, "%s:%d: ", file ? file : "catalogue", node_line(place));
    node_write_pointer(place, out);
    buffer_print(out, ": %s\n", text);
    k->faults->count++;
}

static const char *nearest(struct slice key, const char *const *known)
{
    const char *best = known[0];
    for (size_t i = 1; known[i]; i++) {
        if (edits_between(key, slice_of(known[i])) < edits_between(key, slice_of(best)))
            best = known[i];
    }
    return best;
}

static bool is_known(struct slice key, const char *const *known)
{
    for (; *known; known++) {
        if (slice_is(key, *known))
            return true;
    }
    return false;
}

bool compile_keys(struct compiler *k, const struct node *map, const char *what, const char *const *known)
{
    if (!map)
        return true;
    if (node_type(map) != DOCUMENT_MAP) {
        compile_fault(k, map, "%s is no map; it has members such as '%s'", what, known[0]);
        return false;
    }
    for (size_t i = 0; i < node_count(map); i++) {
        struct slice key = node_key(map, i);
        const struct node *value = node_value(map, i);
        if (!is_known(key, known))
            compile_fault(k, value ? value : map, "%s has no member '%.*s'; the nearest known name is '%s'",
                what, SLICE_ARGS(key), nearest(key, known));
    }
    return true;
}

static bool is_scalar(const struct node *n)
{
    enum document_type type = node_type(n);
    return type == DOCUMENT_BOOL || type == DOCUMENT_NUMBER || type == DOCUMENT_STRING;
}

struct slice compile_text(
    struct compiler *k, const struct node *n, const struct node *holder, const char *what)
{
    struct slice text = is_scalar(n) ? node_text(n) : (struct slice){NULL, 0};
    if (text.size > 0)
        return text;
    compile_fault(k, n ? n : holder, "%s is %s; it must be a text", what,
        !n             ? "missing"
        : is_scalar(n) ? "empty"
                       : "no text");
    return (struct slice){NULL, 0};
}

bool compile_flag(struct compiler *k, const struct node *map, const char *key)
{
    const struct node *n = node_find(map, key);
    if (n && node_type(n) != DOCUMENT_BOOL)
        compile_fault(k, n, "%s is no truth value; it must be true or false", key);
    return node_bool(n, false);
}

struct template *compile_template(
    struct compiler *k, const struct node *n, const struct node *holder, const char *what)
{
    struct slice text = compile_text(k, n, holder, what);
    if (text.size == 0)
        return NULL;
    const char *fault;
    struct template *t = catalogue_keep_template(k->c, text, &fault);
    if (!t)
        compile_fault(k, n,
            "%s '%.*s' has %s; a template is text with {placeholders} such as 'city-{city_id}'", what,
            SLICE_ARGS(text), fault);
    return t;
}

size_t compile_items(const struct node *n)
{
    if (!n)
        return 0;
    return node_type(n) == DOCUMENT_LIST ? node_count(n) : 1;
}

const struct node *compile_item(const struct node *n, size_t index)
{
    return node_type(n) == DOCUMENT_LIST ? node_at(n, index) : n;
}

const struct node *compile_item_raw(const struct node *n, size_t index)
{
    return node_type(n) == DOCUMENT_LIST ? node_at_raw(n, index) : n;
}

uint16_t compile_index(struct compiler *k, const struct node *at, size_t index)
{
    if (index == UINT16_MAX)
        compile_fault(k, at, "more than 65535 of a kind; split the document");
    return (uint16_t)index;
}
