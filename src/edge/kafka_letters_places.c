#include "kafka_letters_places.h"

#include "causeway/memory.h"

#include <stdlib.h>
#include <time.h>

enum {
    SEEK_MS = 5000,
    COMMITTED_MS = 90000, /* longer than an open transaction of one who was killed */
    COMMITTED_STEP_MS = 500,
};

void letter_places_own(struct letter_places *p, const rd_kafka_topic_partition_list_t *partitions)
{
    if (p->owned)
        rd_kafka_topic_partition_list_destroy(p->owned);
    p->owned =
        partitions ? rd_kafka_topic_partition_list_copy(partitions) : rd_kafka_topic_partition_list_new(0);
    p->starts = xrealloc(p->starts, ((size_t)p->owned->cnt + 1) * sizeof *p->starts);
    for (int i = 0; i < p->owned->cnt; i++) {
        p->owned->elems[i].offset = RD_KAFKA_OFFSET_INVALID;
        p->starts[i] = -1;
    }
    p->last = 0;
}

void letter_places_finish(struct letter_places *p)
{
    rd_kafka_topic_partition_list_destroy(p->owned);
    free(p->starts);
    *p = (struct letter_places){0};
}

/* Neighbours in a batch are mostly of one partition. */
int letter_places_find(struct letter_places *p, const char *topic, int32_t partition)
{
    for (int i = 0; i < p->owned->cnt; i++) {
        int at = (p->last + i) % p->owned->cnt;
        const rd_kafka_topic_partition_t *elem = &p->owned->elems[at];
        if (elem->partition == partition && strcmp(elem->topic, topic) == 0)
            return p->last = at;
    }
    return -1;
}

void letter_places_note(struct letter_places *p, int at, int64_t offset)
{
    if (p->starts[at] < 0)
        p->starts[at] = offset;
    p->owned->elems[at].offset = offset + 1;
}

void letter_places_end_batch(struct letter_places *p)
{
    for (int i = 0; i < p->owned->cnt; i++)
        p->starts[i] = -1;
}

bool letter_places_rewind(struct letter_places *p, rd_kafka_t *consumer)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(p->owned->cnt);
    for (int i = 0; i < p->owned->cnt; i++) {
        rd_kafka_topic_partition_t *elem = &p->owned->elems[i];
        if (p->starts[i] < 0)
            continue;
        elem->offset = p->starts[i];
        rd_kafka_topic_partition_list_add(list, elem->topic, elem->partition)->offset = elem->offset;
    }
    rd_kafka_error_t *error = list->cnt > 0 ? rd_kafka_seek_partitions(consumer, list, SEEK_MS) : NULL;
    bool done = !error;
    if (error)
        rd_kafka_error_destroy(error);
    for (int i = 0; i < list->cnt; i++)
        done = done && !list->elems[i].err;
    rd_kafka_topic_partition_list_destroy(list);
    return done;
}

bool letter_places_ask(
    rd_kafka_t *consumer, rd_kafka_topic_partition_list_t *partitions, const atomic_bool *stopping)
{
    uint64_t deadline = clock_monotonic_ms() + COMMITTED_MS;
    bool known = false;
    while (!known && !atomic_load(stopping) && clock_monotonic_ms() < deadline) {
        known = !rd_kafka_committed(consumer, partitions, COMMITTED_STEP_MS);
        for (int i = 0; i < partitions->cnt; i++)
            known = known && !partitions->elems[i].err;
        if (!known)
            (void)nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    }
    for (int i = 0; i < partitions->cnt; i++)
        if (partitions->elems[i].offset < 0)
            partitions->elems[i].offset = RD_KAFKA_OFFSET_BEGINNING;
    return known;
}

int64_t letter_places_lag(const struct letter_places *p, rd_kafka_t *consumer)
{
    int64_t lag = 0;
    for (int i = 0; i < p->owned->cnt; i++) {
        const rd_kafka_topic_partition_t *elem = &p->owned->elems[i];
        int64_t low = 0, high = -1;
        if (elem->offset >= 0 &&
            !rd_kafka_get_watermark_offsets(consumer, elem->topic, elem->partition, &low, &high) &&
            high > elem->offset)
            lag += high - elem->offset;
    }
    return lag;
}
