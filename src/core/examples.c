#include "causeway/examples.h"

#include "causeway/arena.h"
#include "causeway/memory.h"

#include <stdlib.h>

struct examples {
    struct arena arena;
    struct record *records;
    size_t count;
};

static void add_header(struct examples *e, struct record *r, struct slice name, struct slice value)
{
    if (r->header_count == RECORD_HEADERS_MAX)
        return;
    r->headers[r->header_count++] =
        (struct record_header){arena_copy(&e->arena, name), arena_copy(&e->arena, value)};
}

static void add_headers(struct examples *e, struct record *r, const struct node *headers)
{
    for (size_t i = 0; i < node_count(headers); i++)
        add_header(e, r, node_key(headers, i), node_text(node_value(headers, i)));
}

static bool has_type(const struct record *r)
{
    return record_header_find(r, SLICE("ce_type")).data || record_header_find(r, SLICE("type")).data;
}

static void add_example(
    struct examples *e, const struct topic *topic, struct slice type, const struct node *example)
{
    struct buffer value = {0};
    if (!node_write_json(node_find(example, "payload"), &value))
        return;
    e->records = xrealloc(e->records, (e->count + 1) * sizeof *e->records);
    struct record *r = &e->records[e->count++];
    *r = (struct record){.topic = arena_copy(&e->arena, topic->name)};
    r->value = arena_copy(&e->arena, buffer_slice(&value));
    add_headers(e, r, node_find(example, "headers"));
    if (!has_type(r))
        add_header(e, r, SLICE("ce_type"), type);
    r->key = record_header_find(r, SLICE("ce_partitionkey"));
    buffer_finish(&value);
}

static void add_message(struct examples *e, const struct topic *topic, struct slice key, const struct node *m)
{
    struct slice name = node_text(node_find(m, "name"));
    const struct node *examples = node_find(m, "examples");
    for (size_t i = 0; i < node_count(examples); i++)
        add_example(e, topic, name.size > 0 ? name : key, node_at(examples, i));
}

struct examples *examples_collect(const struct document *d, const struct catalogue *c)
{
    struct examples *e = xcalloc(1, sizeof *e);
    const struct node *channels = node_find(document_root(d, 0), "channels");
    for (size_t i = 0; i < node_count(channels); i++) {
        const struct node *channel = node_value(channels, i), *messages = node_find(channel, "messages");
        const struct topic *topic = catalogue_find_topic(c, node_text(node_find(channel, "address")));
        for (size_t k = 0; topic && k < node_count(messages); k++)
            add_message(e, topic, node_key(messages, k), node_value(messages, k));
    }
    return e;
}

void examples_destroy(struct examples *e)
{
    if (!e)
        return;
    arena_finish(&e->arena);
    free(e->records);
    free(e);
}

size_t examples_count(const struct examples *e)
{
    return e->count;
}

const struct record *examples_at(const struct examples *e, size_t index)
{
    return &e->records[index];
}
