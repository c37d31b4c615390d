#include "causeway/lives.h"

#include "causeway/memory.h"

#include <stdlib.h>

struct lives {
    struct life *list; /* their topics are copies */
    size_t count, capacity;
};

struct lives *lives_create(void)
{
    return xcalloc(1, sizeof(struct lives));
}

void lives_clear(struct lives *l)
{
    for (size_t i = 0; i < l->count; i++)
        free((char *)(uintptr_t)l->list[i].name.topic.data);
    l->count = 0;
}

void lives_destroy(struct lives *l)
{
    if (!l)
        return;
    lives_clear(l);
    free(l->list);
    free(l);
}

static bool is_of(const struct partition_name *name, struct slice topic, int32_t partition)
{
    return name->number == partition && slice_equal(name->topic, topic);
}

static struct life *find(const struct lives *l, struct slice topic, int32_t partition)
{
    for (size_t i = 0; i < l->count; i++)
        if (is_of(&l->list[i].name, topic, partition))
            return &l->list[i];
    return NULL;
}

static struct life *add(struct lives *l, const struct checkpoint_part *p)
{
    if (l->count == l->capacity) {
        l->capacity = l->capacity ? l->capacity * 2 : 16;
        l->list = xrealloc(l->list, l->capacity * sizeof *l->list);
    }
    struct life *added = &l->list[l->count++];
    *added = (struct life){.name = p->name};
    added->name.topic.data = xstrndup(p->name.topic.data, p->name.topic.size);
    return added;
}

/* Of several lives of a partition in one checkpoint the last one is the present one. */
static bool is_superseded(const struct checkpoint *c, size_t part)
{
    for (size_t i = part + 1; i < c->part_count; i++)
        if (is_of(&c->parts[i].name, c->parts[part].name.topic, c->parts[part].name.number))
            return true;
    return false;
}

/* Is what comes after this life one without a record? */
static bool is_before_unborn(const struct checkpoint *c, size_t part)
{
    for (size_t i = part + 1; i < c->part_count; i++)
        if (is_of(&c->parts[i].name, c->parts[part].name.topic, c->parts[part].name.number))
            return c->parts[i].name.life == LIFE_UNBORN;
    return false;
}

/* Of the life of this part, the one before. */
static void note_before(struct life *life, const struct checkpoint *c, size_t part)
{
    for (size_t i = part; i > 0 && !life->follows; i--) {
        const struct partition_name *name = &c->parts[i - 1].name;
        life->follows = is_of(name, life->name.topic, life->name.number) && name->life != LIFE_UNBORN;
        life->before = life->follows ? name->life : 0;
    }
}

void lives_add(struct lives *l, const struct checkpoint *c)
{
    for (size_t i = 0; i < c->part_count; i++) {
        const struct checkpoint_part *p = &c->parts[i];
        bool superseded = is_superseded(c, i);
        struct life *life = find(l, p->name.topic, p->name.number);
        if (!life && superseded && is_before_unborn(c, i))
            add(l, p)->ended = true;
        if (superseded || p->name.life == LIFE_UNBORN || (life && life->ended))
            continue;
        life = life ? life : add(l, p);
        if (life->name.life == p->name.life)
            note_before(life, c, i);
        unsigned n = life->anchor_count;
        bool earlier = p->anchor.offset >= 0 && (n == 0 || p->anchor.offset < life->anchors[n - 1].offset);
        if (life->name.life == p->name.life && earlier && n < LIFE_ANCHORS_MAX)
            life->anchors[life->anchor_count++] = p->anchor;
    }
}

bool lives_complete(const struct lives *l, const struct slice *topics, size_t count)
{
    for (size_t i = 0; i < l->count; i++)
        if (l->list[i].anchor_count == 0 && !l->list[i].ended)
            return false;
    for (size_t i = 0; i < count; i++)
        if (!lives_know(l, topics[i]))
            return false;
    return true;
}

size_t lives_count(const struct lives *l)
{
    return l->count;
}

const struct life *lives_get(const struct lives *l, size_t i)
{
    return &l->list[i];
}

const struct life *lives_find(const struct lives *l, struct slice topic, int32_t partition)
{
    return find(l, topic, partition);
}

bool lives_know(const struct lives *l, struct slice topic)
{
    for (size_t i = 0; i < l->count; i++)
        if (slice_equal(l->list[i].name.topic, topic))
            return true;
    return false;
}

int64_t lives_newest_ms(const struct lives *l)
{
    int64_t newest = 0;
    for (size_t i = 0; i < l->count; i++)
        if (l->list[i].anchor_count > 0 && l->list[i].anchors[0].time_ms > newest)
            newest = l->list[i].anchors[0].time_ms;
    return newest;
}
