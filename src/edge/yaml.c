#include "causeway/yaml.h"

#include "causeway/loader.h"
#include "causeway/map.h"
#include "causeway/memory.h"
#include "causeway/scalar.h"

#include <stdlib.h>
#include <yaml.h>

/* One YAML file on its way into the document. */
struct composer {
    struct loader *loader;
    int file;
    struct slice text;
    int depth;
    yaml_parser_t parser;
    struct map *anchors; /* name to struct anchor */
};

struct anchor {
    struct node *node;
    size_t values; /* what an alias to it adds */
};

static struct place event_place(const struct composer *c, const yaml_event_t *event)
{
    return (struct place){c->file, (int)event->start_mark.line + 1};
}

static struct slice event_text(const yaml_event_t *event)
{
    return (struct slice){(const char *)event->data.scalar.value, event->data.scalar.length};
}

static bool next_event(struct composer *c, yaml_event_t *event)
{
    if (yaml_parser_parse(&c->parser, event))
        return true;
    const yaml_parser_t *p = &c->parser;
    struct place at = {c->file, (int)p->problem_mark.line + 1};
    if (p->error == YAML_READER_ERROR) /* it reads ahead and gives no mark */
        at = loader_place(c->file, c->text, p->problem_offset);
    return loader_fail(c->loader, at, "%s%s%s", p->problem ? p->problem : "not YAML", p->context ? ", " : "",
        p->context ? p->context : "");
}

static void add_anchor(struct composer *c, const yaml_char_t *name, struct node *node, size_t values)
{
    struct anchor *a = xmalloc(sizeof(*a));
    *a = (struct anchor){node, values};
    free(map_set(c->anchors, slice_of((const char *)name), a)); /* a later anchor of that name replaces it */
}

static struct node *compose_alias(struct composer *c, const yaml_event_t *event)
{
    const char *name = (const char *)event->data.alias.anchor;
    const struct anchor *a = map_find(c->anchors, slice_of(name));
    if (a)
        return loader_count(c->loader, a->values, event_place(c, event)) ? a->node : NULL;
    loader_fail(c->loader, event_place(c, event), "unknown alias *%s (an anchor must end before it)", name);
    return NULL;
}

/* Whether `tag` may stand on a value of `type`; the non-specific "!" makes every scalar a string. */
static bool tag_fits(const char *tag, enum document_type type)
{
    static const struct {
        const char *tag;
        enum document_type type;
    } tags[] = {
        {YAML_NULL_TAG, DOCUMENT_NULL},
        {YAML_BOOL_TAG, DOCUMENT_BOOL},
        {YAML_INT_TAG, DOCUMENT_NUMBER},
        {YAML_FLOAT_TAG, DOCUMENT_NUMBER},
        {YAML_STR_TAG, DOCUMENT_STRING},
        {YAML_SEQ_TAG, DOCUMENT_LIST},
        {YAML_MAP_TAG, DOCUMENT_MAP},
    };
    if (!tag || strcmp(tag, "!") == 0)
        return true;
    for (size_t i = 0; i < sizeof(tags) / sizeof(*tags); i++)
        if (tags[i].type == type && strcmp(tags[i].tag, tag) == 0)
            return true;
    return false;
}

static struct node *add_tagged(
    struct composer *c, enum document_type type, const yaml_char_t *tag, struct place at)
{
    if (tag_fits((const char *)tag, type))
        return loader_add(c->loader, type, at);
    loader_fail(c->loader, at, "tag %s is unknown, or not one for this value", (const char *)tag);
    return NULL;
}

static struct node *compose_scalar(struct composer *c, const yaml_event_t *event)
{
    struct slice text = event_text(event);
    struct place at = event_place(c, event);
    const char *tag = (const char *)event->data.scalar.tag;
    bool quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    bool string = tag ? strcmp(tag, "!") == 0 || strcmp(tag, YAML_STR_TAG) == 0 : quoted;
    if (memchr(text.data, '\0', text.size)) {
        loader_fail(c->loader, at, "a NUL character");
        return NULL;
    }
    struct node *n = add_tagged(c, string ? DOCUMENT_STRING : scalar_type(text), event->data.scalar.tag, at);
    if (n)
        node_set_text(n, text);
    return n;
}

static struct node *compose(struct composer *c, const yaml_event_t *event);

static struct node *compose_list(struct composer *c, const yaml_event_t *start)
{
    struct node *list = add_tagged(c, DOCUMENT_LIST, start->data.sequence_start.tag, event_place(c, start));
    while (list) {
        yaml_event_t event;
        if (!next_event(c, &event))
            return NULL;
        bool end = event.type == YAML_SEQUENCE_END_EVENT;
        struct node *value = end ? NULL : compose(c, &event);
        yaml_event_delete(&event);
        if (end)
            return list;
        if (!value)
            return NULL;
        node_append(list, value);
    }
    return NULL;
}

/* The key's text: as written, so that `200:` and `null:` are keys like others. */
static bool compose_key(struct composer *c, const yaml_event_t *event, struct buffer *key)
{
    struct place at = event_place(c, event);
    struct node *n = compose(c, event); /* for its anchor and its tag */
    if (!n)
        return false;
    buffer_clear(key);
    if (event->type == YAML_SCALAR_EVENT) {
        buffer_add_slice(key, event_text(event));
        bool plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
        if (plain && slice_is(buffer_slice(key), "<<"))
            return loader_fail(c->loader, at, "merge keys (<<) are not supported");
        return true;
    }
    buffer_add_slice(key, node_text(n));
    bool scalar = node_type(n) != DOCUMENT_LIST && node_type(n) != DOCUMENT_MAP;
    return scalar || loader_fail(c->loader, at, "a key must be a plain text");
}

/* Composes the key in `event` and the value behind it. */
static bool compose_member(
    struct composer *c, const yaml_event_t *event, struct node *map, struct buffer *key)
{
    yaml_event_t value_event;
    if (!compose_key(c, event, key) || !next_event(c, &value_event))
        return false;
    struct node *value = compose(c, &value_event);
    yaml_event_delete(&value_event);
    return value && loader_insert(c->loader, map, buffer_slice(key), value, event_place(c, event));
}

static struct node *compose_map(struct composer *c, const yaml_event_t *start)
{
    struct node *map = add_tagged(c, DOCUMENT_MAP, start->data.mapping_start.tag, event_place(c, start));
    struct buffer key = {0};
    bool end = false;
    while (map && !end) {
        yaml_event_t event;
        if (!next_event(c, &event)) {
            map = NULL;
            break;
        }
        end = event.type == YAML_MAPPING_END_EVENT;
        if (!end && !compose_member(c, &event, map, &key))
            map = NULL;
        yaml_event_delete(&event);
    }
    buffer_finish(&key);
    return map;
}

static struct node *compose_value(struct composer *c, const yaml_event_t *event, const yaml_char_t **anchor)
{
    switch (event->type) {
    case YAML_ALIAS_EVENT:
        return compose_alias(c, event);
    case YAML_SCALAR_EVENT:
        *anchor = event->data.scalar.anchor;
        return compose_scalar(c, event);
    case YAML_SEQUENCE_START_EVENT:
        *anchor = event->data.sequence_start.anchor;
        return compose_list(c, event);
    case YAML_MAPPING_START_EVENT:
        *anchor = event->data.mapping_start.anchor;
        return compose_map(c, event);
    default:
        loader_fail(c->loader, event_place(c, event), "a value is expected here");
        return NULL;
    }
}

/* The value that begins with `event`. Its anchor is known only behind it, so no value can contain itself. */
static struct node *compose(struct composer *c, const yaml_event_t *event)
{
    if (c->depth == LOADER_DEPTH) {
        loader_fail(c->loader, event_place(c, event), "nested deeper than %d levels", LOADER_DEPTH);
        return NULL;
    }
    size_t before = loader_values(c->loader);
    const yaml_char_t *anchor = NULL;
    c->depth++;
    struct node *n = compose_value(c, event, &anchor);
    c->depth--;
    if (n && anchor)
        add_anchor(c, anchor, n, loader_values(c->loader) - before);
    return n;
}

static bool is_frame(yaml_event_type_t type)
{
    return type == YAML_STREAM_START_EVENT || type == YAML_DOCUMENT_START_EVENT ||
           type == YAML_DOCUMENT_END_EVENT;
}

/* One step through the stream: its one value goes to *root. False: a fault, or the end (*ended). */
static bool compose_step(struct composer *c, struct node **root, bool *ended)
{
    yaml_event_t event;
    if (!next_event(c, &event))
        return false;
    bool ok = true;
    *ended = event.type == YAML_STREAM_END_EVENT;
    if (*root && event.type == YAML_DOCUMENT_START_EVENT)
        ok = loader_fail(c->loader, event_place(c, &event), "more than one document in the file");
    else if (!*ended && !is_frame(event.type))
        ok = (*root = compose(c, &event)) != NULL;
    yaml_event_delete(&event);
    return ok && !*ended;
}

static struct node *compose_stream(struct composer *c)
{
    struct node *root = NULL;
    bool ended = false;
    while (compose_step(c, &root, &ended))
        ;
    if (ended && !root)
        loader_fail(c->loader, (struct place){c->file, 1}, "the file is empty");
    return ended ? root : NULL;
}

static struct node *load_yaml(struct loader *l, int file, struct slice text)
{
    struct composer c = {.loader = l, .file = file, .text = text, .anchors = map_create()};
    CHECK(yaml_parser_initialize(&c.parser));
    yaml_parser_set_input_string(&c.parser, (const unsigned char *)text.data, text.size);
    struct node *root = compose_stream(&c);
    yaml_parser_delete(&c.parser);
    size_t cursor = 0;
    struct slice name;
    void *anchor;
    while (map_next(c.anchors, &cursor, &name, &anchor))
        free(anchor);
    map_destroy(c.anchors);
    return root;
}

struct document *yaml_document_load(const char *path, struct buffer *fault)
{
    return loader_run(path, load_yaml, fault);
}
