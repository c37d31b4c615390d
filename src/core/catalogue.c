#include "catalogue_internal.h"

#include "causeway/memory.h"

#include <stdlib.h>

struct catalogue_template {
    struct catalogue_template *next;
    struct template *template;
};

struct catalogue *catalogue_create(void)
{
    struct catalogue *c = xcalloc(1, sizeof *c);
    atomic_init(&c->references, 1);
    c->topics_by_name = map_create();
    return c;
}

void *catalogue_allocate(struct catalogue *c, size_t count, size_t size)
{
    return arena_allocate(&c->memory, count, size);
}

struct slice catalogue_copy(struct catalogue *c, struct slice text)
{
    return arena_copy(&c->memory, text);
}

struct template *catalogue_keep_template(struct catalogue *c, struct slice text, const char **fault)
{
    struct template *t = template_compile(text, fault);
    if (!t)
        return NULL;
    struct catalogue_template *kept = catalogue_allocate(c, 1, sizeof *kept);
    *kept = (struct catalogue_template){c->templates, t};
    c->templates = kept;
    return t;
}

struct catalogue *catalogue_hold(struct catalogue *c)
{
    atomic_fetch_add_explicit(&c->references, 1, memory_order_relaxed);
    return c;
}

void catalogue_release(struct catalogue *c)
{
    if (!c || atomic_fetch_sub_explicit(&c->references, 1, memory_order_acq_rel) != 1)
        return;
    for (struct catalogue_template *t = c->templates; t; t = t->next)
        template_destroy(t->template);
    map_destroy(c->topics_by_name);
    schema_set_destroy(c->schemas);
    arena_finish(&c->memory);
    free(c);
}

void catalogue_faults_finish(struct catalogue_faults *faults)
{
    buffer_finish(&faults->text);
    faults->count = 0;
}

void catalogue_replace(struct catalogue **held, struct catalogue *by)
{
    catalogue_hold(by);
    catalogue_release(*held);
    *held = by;
}

size_t catalogue_topics(const struct catalogue *c, const struct topic **out)
{
    *out = c->topics;
    return c->topic_count;
}

size_t catalogue_lanes(const struct catalogue *c, const struct lane **out)
{
    *out = c->lanes;
    return c->lane_count;
}

size_t catalogue_operations(const struct catalogue *c, const struct operation **out)
{
    *out = c->operations;
    return c->operation_count;
}

size_t catalogue_rooms(const struct catalogue *c, const struct room_pattern **out)
{
    *out = c->rooms;
    return c->room_count;
}

size_t catalogue_lookups(const struct catalogue *c, const struct lookup **out)
{
    *out = c->lookups;
    return c->lookup_count;
}

const struct lookup *catalogue_principal(const struct catalogue *c)
{
    return c->principal;
}

const struct topic *catalogue_find_topic(const struct catalogue *c, struct slice name)
{
    return map_find(c->topics_by_name, name);
}

int source_message_compare(const void *a, const void *b)
{
    const struct source_message *left = a, *right = b;
    if (left->type.size != right->type.size)
        return left->type.size < right->type.size ? -1 : 1;
    return left->type.size > 0 ? memcmp(left->type.data, right->type.data, left->type.size) : 0;
}

const struct source_message *topic_find_message(const struct topic *t, struct slice type)
{
    const struct source_message wanted = {.type = type};
    if (t->message_count == 0)
        return NULL;
    return bsearch(&wanted, t->messages, t->message_count, sizeof wanted, source_message_compare);
}

const struct lane *catalogue_find_lane(const struct catalogue *c, enum dialect dialect, struct slice address)
{
    for (size_t i = 0; i < c->lane_count; i++) {
        if (c->lanes[i].dialect == dialect && slice_equal(c->lanes[i].address, address))
            return &c->lanes[i];
    }
    return NULL;
}

const struct lookup *catalogue_find_lookup(const struct catalogue *c, struct slice name)
{
    for (size_t i = 0; i < c->lookup_count; i++) {
        if (slice_equal(c->lookups[i].name, name))
            return &c->lookups[i];
    }
    return NULL;
}

const struct command *catalogue_find_command(const struct catalogue *c, uint16_t lane, struct slice type)
{
    for (size_t i = 0; i < c->command_count; i++) {
        if (c->commands[i].lane == lane && slice_equal(c->commands[i].type, type))
            return &c->commands[i];
    }
    return NULL;
}

bool room_pattern_on_lane(const struct room_pattern *p, uint16_t lane)
{
    for (size_t i = 0; i < p->lane_count; i++) {
        if (p->lanes[i] == lane)
            return true;
    }
    return p->lane_count == 0;
}

/* The seed is part of every event id: never change it. */
uint32_t operation_name_hash(struct slice name)
{
    return (uint32_t)hash_bytes(name.data, name.size, 0x6361757365776179u);
}
