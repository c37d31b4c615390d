/* libFuzzer: whatever the bytes, checkpoint_decode refuses them, or what it reads can be written, and read
   again to the same. */
#include "causeway/checkpoint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_part(const struct checkpoint_part *p, const struct checkpoint_part *q)
{
    CHECK(p->name.topic.size > 0 && slice_equal(p->name.topic, q->name.topic));
    CHECK(p->name.number >= 0 && p->name.number == q->name.number && p->name.life == q->name.life);
    CHECK(p->next >= 0 && p->next == q->next);
    CHECK(p->anchor.offset >= -1 && p->anchor.offset < p->next + (p->next == 0) &&
          p->anchor.offset == q->anchor.offset);
    CHECK(p->anchor.time_ms == q->anchor.time_ms && p->anchor.hash == q->anchor.hash);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct checkpoint *c = checkpoint_decode((struct slice){(const char *)data, size});
    if (!c)
        return 0;
    CHECK(c->part_count <= PARTITIONS_MAX);
    struct buffer again = {0};
    checkpoint_encode(c, &again);
    struct checkpoint *d = checkpoint_decode(buffer_slice(&again));
    CHECK(d && d->nonce == c->nonce && d->sequence == c->sequence && d->part_count == c->part_count);
    for (size_t i = 0; i < c->part_count; i++)
        check_part(&c->parts[i], &d->parts[i]);
    checkpoint_release(d);
    checkpoint_release(c);
    buffer_finish(&again);
    return 0;
}
