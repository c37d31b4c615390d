#include "inquiry.h"

#include "causeway/memory.h"

#include <stdlib.h>

void inquiry_finish(struct inquiry *q)
{
    for (size_t i = 0; i < q->count; i++) {
        buffer_finish(&q->asks[i].key);
        rows_release(q->asks[i].rows);
    }
    free(q->asks);
    *q = (struct inquiry){0};
}

/* Size and bytes, so that no two lists of parameters have the same key; SIZE_MAX stands for NULL. */
void inquiry_key(struct buffer *key, struct slice param)
{
    size_t size = param.data ? param.size : SIZE_MAX;
    buffer_add(key, &size, sizeof size);
    buffer_add_slice(key, param);
}

void inquiry_params(const struct buffer *key, struct slice *params, size_t count)
{
    const char *at = key->data;
    for (size_t i = 0; i < count; i++) {
        size_t size;
        memcpy(&size, at, sizeof size);
        at += sizeof size;
        params[i] = size == SIZE_MAX ? (struct slice){NULL, 0} : (struct slice){at, size};
        at += params[i].size;
    }
}

const struct ask *inquiry_find(const struct inquiry *q, const struct lookup *lookup, const struct buffer *key)
{
    for (size_t i = 0; i < q->count; i++) {
        if (q->asks[i].lookup == lookup && slice_equal(buffer_slice(&q->asks[i].key), buffer_slice(key)))
            return &q->asks[i];
    }
    return NULL;
}

void inquiry_add(struct inquiry *q, const struct lookup *lookup, const struct buffer *key, uint64_t tag)
{
    if (q->count == q->capacity) {
        q->capacity = q->capacity ? q->capacity * 2 : 4;
        q->asks = xrealloc(q->asks, q->capacity * sizeof *q->asks);
    }
    struct ask *ask = &q->asks[q->count++];
    *ask = (struct ask){.tag = tag, .lookup = lookup};
    buffer_add_slice(&ask->key, buffer_slice(key));
    q->pending++;
}

bool inquiry_answer(struct inquiry *q, uint64_t tag, enum lookup_status status, struct rows *rows)
{
    for (size_t i = 0; i < q->count; i++) {
        struct ask *ask = &q->asks[i];
        if (ask->tag != tag)
            continue;
        CHECK(q->pending > 0);
        ask->tag = 0; /* an ask is answered once */
        q->pending--;
        if (status == LOOKUP_OK && rows)
            ask->rows = rows_hold(rows);
        else
            q->failed = true;
        return true;
    }
    return false;
}
