#include "causeway/partitions.h"

#include "causeway/check.h"
#include "causeway/memory.h"

#include <stdatomic.h>
#include <stdlib.h>

struct partition {
    char *topic;
    size_t topic_size;
    int64_t first;
    int32_t number;
    _Atomic uint32_t life;
    atomic_bool over; /* a later life has begun */
    atomic_bool truncated;
    bool renewed, past;
};

/* Rows are written whole before the count tells of them, and not moved: readers need no lock. */
struct partitions {
    _Atomic uint32_t count;
    struct partition rows[PARTITIONS_MAX];
};

struct partitions *partitions_create(void)
{
    return xcalloc(1, sizeof(struct partitions));
}

void partitions_destroy(struct partitions *p)
{
    if (!p)
        return;
    for (uint32_t i = 0; i < partitions_count(p); i++)
        free(p->rows[i].topic);
    free(p);
}

uint32_t partitions_count(const struct partitions *p)
{
    return atomic_load_explicit(&p->count, memory_order_acquire);
}

uint32_t partitions_find(const struct partitions *p, struct slice topic, int32_t number)
{
    for (uint32_t i = 0; i < partitions_count(p); i++) {
        const struct partition *row = &p->rows[i];
        if (row->number == number && !atomic_load(&row->over) &&
            slice_equal((struct slice){row->topic, row->topic_size}, topic))
            return i;
    }
    return PARTITION_NONE;
}

static bool is_of(const struct partition *row, struct slice topic, int32_t number)
{
    return row->number == number && slice_equal((struct slice){row->topic, row->topic_size}, topic);
}

uint32_t partitions_find_life(const struct partitions *p, const struct partition_name *name, size_t near)
{
    uint32_t count = partitions_count(p);
    for (size_t i = 0; i < count; i++) {
        size_t at = (near + i) % count;
        if (is_of(&p->rows[at], name->topic, name->number) && atomic_load(&p->rows[at].life) == name->life)
            return (uint32_t)at;
    }
    return PARTITION_NONE;
}

uint32_t partitions_after(const struct partitions *p, uint32_t partition)
{
    struct partition_name name = partitions_name(p, partition);
    for (uint32_t i = partition + 1; i < partitions_count(p); i++)
        if (is_of(&p->rows[i], name.topic, name.number))
            return i;
    return PARTITION_NONE;
}

static uint32_t add(
    struct partitions *p, struct slice topic, int32_t number, uint32_t life, int64_t first, bool renewed)
{
    uint32_t added = partitions_count(p);
    CHECK(added < PARTITIONS_MAX);
    struct partition *row = &p->rows[added];
    row->topic = xstrndup(topic.data, topic.size);
    row->topic_size = topic.size;
    row->number = number;
    row->first = first;
    row->renewed = renewed;
    atomic_store(&row->life, life);
    atomic_store_explicit(&p->count, added + 1, memory_order_release);
    return added;
}

uint32_t partitions_get(struct partitions *p, struct slice topic, int32_t number, int64_t first)
{
    uint32_t found = partitions_find(p, topic, number);
    return found != PARTITION_NONE ? found : add(p, topic, number, 0, first, false);
}

uint32_t partitions_renew(
    struct partitions *p, struct slice topic, int32_t number, uint32_t life, int64_t first)
{
    uint32_t before = partitions_find(p, topic, number);
    if (before != PARTITION_NONE)
        atomic_store(&p->rows[before].over, true);
    return add(p, topic, number, life, first, true);
}

uint32_t partitions_add_past(struct partitions *p, struct slice topic, int32_t number, uint32_t life)
{
    CHECK(partitions_find(p, topic, number) == PARTITION_NONE);
    struct partition *row = &p->rows[partitions_count(p)];
    atomic_store(&row->over, true); /* before anybody sees it */
    row->past = true;
    return add(p, topic, number, life, 0, false);
}

void partitions_set_life(struct partitions *p, uint32_t partition, uint32_t life)
{
    atomic_store(&p->rows[partition].life, life);
}

bool partitions_past(const struct partitions *p, uint32_t partition)
{
    return p->rows[partition].past;
}

bool partitions_renewed(const struct partitions *p, uint32_t partition)
{
    return p->rows[partition].renewed;
}

void partitions_set_truncated(struct partitions *p, uint32_t partition)
{
    atomic_store(&p->rows[partition].truncated, true);
}

bool partitions_truncated(const struct partitions *p, uint32_t partition)
{
    return atomic_load(&p->rows[partition].truncated);
}

struct partition_name partitions_name(const struct partitions *p, uint32_t partition)
{
    const struct partition *row = &p->rows[partition];
    return (struct partition_name){{row->topic, row->topic_size}, row->number, atomic_load(&row->life)};
}

int64_t partitions_first(const struct partitions *p, uint32_t partition)
{
    return p->rows[partition].first;
}

bool partitions_current(const struct partitions *p, uint32_t partition)
{
    return !atomic_load(&p->rows[partition].over);
}
