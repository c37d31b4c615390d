#include "causeway/checkpoint.h"

#include "causeway/map.h"
#include "causeway/memory.h"
#include "causeway/varint.h"

#include <stdatomic.h>
#include <stdlib.h>

enum { ANCHOR_SEED = 0x616e, TOPIC_NAME_MAX = 255 };

/* The public struct first, so that one pointer is both. */
struct shared {
    struct checkpoint checkpoint;
    atomic_uint references;
    char *topics; /* names, which the parts point into */
};

uint32_t anchor_hash(struct slice key, struct slice value)
{
    uint64_t hash = hash_bytes(key.data, key.size, ANCHOR_SEED + (key.data == NULL));
    return (uint32_t)hash_bytes(value.data, value.size, hash + (value.data == NULL));
}

static void encode_part(const struct checkpoint_part *p, struct buffer *out)
{
    varint_add(out, (uint64_t)(uint32_t)p->name.number);
    varint_add(out, p->name.life);
    varint_add(out, (uint64_t)p->next);
    if (p->anchor.offset < 0) {
        varint_add(out, 0);
        return;
    }
    varint_add(out, (uint64_t)(p->next - p->anchor.offset));
    varint_add(out, (uint64_t)p->anchor.time_ms);
    varint_add(out, p->anchor.hash);
}

/* version, nonce, sequence, then runs of parts of one topic: name, count, parts; parts of a topic need not
 * stand together */
void checkpoint_encode(const struct checkpoint *c, struct buffer *out)
{
    buffer_add_byte(out, CHECKPOINT_VERSION);
    varint_add(out, c->nonce);
    varint_add(out, c->sequence);
    varint_add(out, c->part_count);
    for (size_t i = 0; i < c->part_count;) {
        size_t end = i + 1;
        while (end < c->part_count && slice_equal(c->parts[end].name.topic, c->parts[i].name.topic))
            end++;
        varint_add(out, c->parts[i].name.topic.size);
        buffer_add_slice(out, c->parts[i].name.topic);
        varint_add(out, end - i);
        for (; i < end; i++)
            encode_part(&c->parts[i], out);
    }
}

static bool decode_part(struct slice *in, struct checkpoint_part *p)
{
    uint64_t number, life, next, back, time = 0, hash = 0;
    if (!varint_take(in, &number) || !varint_take(in, &life) || !varint_take(in, &next) ||
        !varint_take(in, &back))
        return false;
    if (back > 0 && (!varint_take(in, &time) || !varint_take(in, &hash)))
        return false;
    if (number > INT32_MAX || life > UINT32_MAX || next > INT64_MAX || back > next || hash > UINT32_MAX)
        return false;
    p->name.number = (int32_t)number;
    p->name.life = (uint32_t)life;
    p->next = (int64_t)next;
    p->anchor.offset = back ? (int64_t)(next - back) : -1;
    p->anchor.time_ms = (int64_t)time;
    p->anchor.hash = (uint32_t)hash;
    return true;
}

static bool decode_run(struct slice *in, struct checkpoint *c, size_t *filled)
{
    uint64_t size, count;
    if (!varint_take(in, &size) || size == 0 || size > TOPIC_NAME_MAX || size > in->size)
        return false;
    struct slice topic = {in->data, (size_t)size};
    in->data += size;
    in->size -= (size_t)size;
    if (!varint_take(in, &count) || count == 0 || count > c->part_count - *filled)
        return false;
    for (; count > 0; count--, (*filled)++) {
        c->parts[*filled].name.topic = topic;
        if (!decode_part(in, &c->parts[*filled]))
            return false;
    }
    return true;
}

static bool decode(struct slice in, struct checkpoint *c)
{
    uint64_t count;
    if (in.size == 0 || *in.data != CHECKPOINT_VERSION)
        return false;
    in.data++;
    in.size--;
    if (!varint_take(&in, &c->nonce) || !varint_take(&in, &c->sequence) || !varint_take(&in, &count) ||
        count > PARTITIONS_MAX || count > in.size) /* a part takes more than a byte */
        return false;
    c->part_count = (size_t)count;
    c->parts = xcalloc(c->part_count + 1, sizeof *c->parts);
    size_t filled = 0;
    while (filled < c->part_count)
        if (!decode_run(&in, c, &filled))
            return false;
    return in.size == 0;
}

struct checkpoint *checkpoint_decode(struct slice bytes)
{
    struct shared *s = xcalloc(1, sizeof *s);
    atomic_init(&s->references, 1);
    s->topics = xstrndup(bytes.data, bytes.size);
    if (!decode((struct slice){s->topics, bytes.size}, &s->checkpoint)) {
        checkpoint_release(&s->checkpoint);
        return NULL;
    }
    return &s->checkpoint;
}

struct checkpoint *checkpoint_hold(struct checkpoint *c)
{
    atomic_fetch_add(&((struct shared *)c)->references, 1);
    return c;
}

void checkpoint_release(struct checkpoint *c)
{
    struct shared *s = (struct shared *)c;
    if (!s || atomic_fetch_sub(&s->references, 1) > 1)
        return;
    free(s->topics);
    free(s->checkpoint.parts);
    free(s);
}
