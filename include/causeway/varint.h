/* Unsigned numbers in seven-bit groups, lowest first: what checkpoints and cursors are made of. */
#pragma once

#include "causeway/buffer.h"

#include <stdint.h>

enum { VARINT_MAX = 10 };

/* Returns the number of bytes, at most VARINT_MAX. */
static inline size_t varint_put(unsigned char *out, uint64_t value)
{
    size_t n = 0;
    while (value >= 0x80) {
        out[n++] = (unsigned char)(value | 0x80);
        value >>= 7;
    }
    out[n++] = (unsigned char)value;
    return n;
}

static inline void varint_add(struct buffer *out, uint64_t value)
{
    unsigned char bytes[VARINT_MAX];
    buffer_add(out, bytes, varint_put(bytes, value));
}

/* Takes one off the front. false: cut short, or longer than a number can be. */
static inline bool varint_take(struct slice *in, uint64_t *out)
{
    *out = 0;
    for (unsigned shift = 0; shift < 64 && in->size > 0; shift += 7) {
        unsigned char byte = (unsigned char)*in->data++;
        in->size--;
        if (shift == 63 && byte > 1)
            return false;
        *out |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return true;
    }
    return false;
}
