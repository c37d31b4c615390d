#include "causeway/cursor.h"

#include "causeway/base64.h"
#include "causeway/map.h"
#include "causeway/varint.h"

/* version, nonce (6 bytes), then varints: checkpoint, ahead, spread with its lowest bits for the flags, and
   pairs (part, moved); last 2 bytes of a check sum, so that a cursor that was cut or mistyped is not taken
   for another one. In base64url that is 64 bytes at most. */
enum {
    COMPLETE = 1,
    WHOLE = 2,
    PLACED = 4,
    FLAG_BITS = 3,
    BINARY_MAX = CURSOR_TEXT_MAX * 3 / 4,
    NONCE_BYTES = NONCE_BITS / 8,
    SUM_BYTES = 2,
    SUM_SEED = 0x6375,
};

static uint16_t check_sum(const unsigned char *bytes, size_t size)
{
    return (uint16_t)hash_bytes(bytes, size, SUM_SEED);
}

static size_t put_head(const struct cursor *c, bool complete, unsigned char *out)
{
    size_t n = 0;
    out[n++] = CURSOR_VERSION;
    for (unsigned i = 0; i < NONCE_BYTES; i++)
        out[n++] = (unsigned char)(c->nonce >> (8 * i));
    n += varint_put(out + n, (uint64_t)c->checkpoint);
    n += varint_put(out + n, c->ahead);
    unsigned flags = (complete ? COMPLETE : 0) | (c->whole ? WHOLE : 0) | (c->placed ? PLACED : 0);
    return n + varint_put(out + n, c->spread << FLAG_BITS | flags);
}

static size_t put_step(const struct cursor_step *step, unsigned char *out)
{
    size_t n = varint_put(out, step->part);
    return n + varint_put(out + n, step->moved);
}

size_t cursor_encode(const struct cursor *c, char out[CURSOR_TEXT_MAX + 1])
{
    unsigned char bytes[BINARY_MAX + 2 * VARINT_MAX], scratch[2 * VARINT_MAX];
    size_t head = put_head(c, c->complete, bytes), fitting = 0;
    for (size_t size = head + SUM_BYTES; fitting < c->step_count; fitting++) {
        size += put_step(&c->steps[fitting], scratch);
        if (size > BINARY_MAX)
            break;
    }
    size_t n = put_head(c, c->complete && fitting == c->step_count, bytes);
    for (size_t i = 0; i < fitting; i++)
        n += put_step(&c->steps[i], bytes + n);
    uint16_t sum = check_sum(bytes, n);
    bytes[n++] = (unsigned char)(sum & 0xff);
    bytes[n++] = (unsigned char)(sum >> 8);
    return base64url_encode(bytes, n, out);
}

static bool decode_body(struct slice in, struct cursor *out)
{
    uint64_t checkpoint;
    for (unsigned i = 0; i < NONCE_BYTES; i++)
        out->nonce |= (uint64_t)(unsigned char)in.data[i] << (8 * i);
    in.data += NONCE_BYTES;
    in.size -= NONCE_BYTES;
    if (!varint_take(&in, &checkpoint) || checkpoint > INT64_MAX || !varint_take(&in, &out->ahead) ||
        !varint_take(&in, &out->spread))
        return false;
    out->checkpoint = (int64_t)checkpoint;
    out->complete = out->spread & COMPLETE;
    out->whole = out->spread & WHOLE;
    out->placed = out->spread & PLACED;
    out->spread >>= FLAG_BITS;
    while (in.size > 0) {
        uint64_t part, moved;
        if (out->step_count == CURSOR_STEPS_MAX || !varint_take(&in, &part) || part >= PARTITIONS_MAX ||
            !varint_take(&in, &moved) || moved > INT64_MAX)
            return false;
        out->steps[out->step_count++] = (struct cursor_step){(uint32_t)part, moved};
    }
    return true;
}

enum cursor_fault cursor_decode(struct slice text, struct cursor *out)
{
    unsigned char bytes[BINARY_MAX + 1];
    size_t size;
    *out = (struct cursor){0};
    if (text.size > CURSOR_TEXT_MAX || !base64url_decode(text, bytes, &size) || size < 1 + SUM_BYTES)
        return CURSOR_MALFORMED;
    size -= SUM_BYTES;
    if (check_sum(bytes, size) != (uint16_t)(bytes[size] | bytes[size + 1] << 8))
        return CURSOR_MALFORMED;
    if (bytes[0] > CURSOR_VERSION) /* later versions keep the first byte and the check sum */
        return CURSOR_NEWER;
    if (bytes[0] != CURSOR_VERSION || size < 1 + NONCE_BYTES ||
        !decode_body((struct slice){(const char *)bytes + 1, size - 1}, out))
        return CURSOR_MALFORMED;
    return CURSOR_OK;
}
