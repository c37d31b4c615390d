#include "causeway/frame.h"

#include "causeway/utf8.h"

enum { EMPTY_MAX = 100 }; /* fragments of one message without a byte */

struct head {
    size_t size; /* of the header, mask included */
    uint64_t payload;
    enum frame_opcode opcode;
    bool final, masked;
    bool wasteful; /* the length is not in its shortest form */
};

size_t frame_header_size(size_t payload)
{
    return payload < 126 ? 2 : payload < 65536 ? 4 : 10;
}

size_t frame_header(char *out, enum frame_opcode opcode, size_t payload)
{
    size_t size = frame_header_size(payload);
    out[0] = (char)(0x80 | opcode);
    if (size == 2) {
        out[1] = (char)payload;
        return size;
    }
    out[1] = size == 4 ? 126 : 127;
    for (size_t i = size; i-- > 2; payload >>= 8)
        out[i] = (char)(payload & 0xff);
    return size;
}

size_t frame_close(char *out, uint16_t code, const char *reason)
{
    size_t length = strlen(reason);
    if (length > 123) { /* not in the middle of a character */
        length = 123;
        while (length > 0 && utf8_is_tail((unsigned char)reason[length]))
            length--;
    }
    size_t at = frame_header(out, FRAME_CLOSE, length + 2);
    out[at] = (char)(code >> 8);
    out[at + 1] = (char)(code & 0xff);
    memcpy(out + at + 2, reason, length);
    return at + 2 + length;
}

void frame_decoder_finish(struct frame_decoder *d)
{
    buffer_finish(&d->fragments);
}

/* false: not all of the header is there. */
static bool read_head(const unsigned char *p, size_t size, struct head *h)
{
    if (size < 2)
        return false;
    h->final = p[0] & 0x80;
    h->opcode = (enum frame_opcode)(p[0] & 0x0f);
    h->masked = p[1] & 0x80;
    h->payload = p[1] & 0x7f;
    size_t extra = h->payload == 126 ? 2 : h->payload == 127 ? 8 : 0;
    h->size = 2 + extra + (h->masked ? 4 : 0);
    if (size < 2 + extra)
        return false;
    if (extra > 0) {
        h->payload = 0;
        for (size_t i = 0; i < extra; i++)
            h->payload = h->payload << 8 | p[2 + i];
    }
    h->wasteful = extra > 0 && h->payload < (extra == 2 ? 126 : 65536);
    return true;
}

size_t frame_payload(const char *frame, size_t size, struct slice *payload)
{
    struct head h;
    CHECK(read_head((const unsigned char *)frame, size, &h) && !h.masked && h.payload <= size - h.size);
    *payload = (struct slice){frame + h.size, (size_t)h.payload};
    return h.size + (size_t)h.payload;
}

static const char *fault_of(const struct frame_decoder *d, const struct head *h, unsigned char first)
{
    if (first & 0x70)
        return "reserved bits set";
    if (h->masked != d->expect_mask)
        return d->expect_mask ? "frame not masked" : "frame masked";
    if (h->wasteful)
        return "length not in its shortest form";
    if (h->opcode >= FRAME_CLOSE) {
        if (h->opcode > FRAME_PONG)
            return "unknown opcode";
        if (!h->final || h->payload > 125)
            return "control frame too long or fragmented";
        return h->opcode == FRAME_CLOSE && h->payload == 1 ? "close code cut short" : NULL;
    }
    if (h->opcode > FRAME_BINARY)
        return "unknown opcode";
    bool inside = d->opcode != FRAME_CONTINUATION;
    if (inside != (h->opcode == FRAME_CONTINUATION))
        return inside ? "message inside a fragmented message" : "continuation of nothing";
    return NULL;
}

static void unmask(char *data, size_t size, const char *mask)
{
    uint64_t wide;
    uint32_t narrow;
    memcpy(&narrow, mask, 4);
    wide = (uint64_t)narrow << 32 | narrow;
    size_t i = 0;
    for (; i + 8 <= size; i += 8) {
        uint64_t word;
        memcpy(&word, data + i, 8);
        word ^= wide;
        memcpy(data + i, &word, 8);
    }
    for (; i < size; i++)
        data[i] = (char)(data[i] ^ mask[i & 3]);
}

static enum frame_result violation(struct frame_message *out, uint16_t code, const char *reason)
{
    out->close_code = code;
    out->reason = reason;
    return FRAME_VIOLATION;
}

static enum frame_result whole(struct frame_message *out, enum frame_opcode opcode, struct slice payload)
{
    if (opcode == FRAME_TEXT && !utf8_valid(payload.data, payload.size))
        return violation(out, 1007, "text is not UTF-8");
    out->opcode = opcode;
    out->payload = payload;
    return FRAME_MESSAGE;
}

/* 1004 to 1006 are never sent; what is not defined here is for libraries and applications from 3000 on. */
static bool is_close_code(unsigned code)
{
    return (code >= 1000 && code <= 1014 && (code < 1004 || code > 1006)) || (code >= 3000 && code <= 4999);
}

static enum frame_result control(struct frame_message *out, enum frame_opcode opcode, struct slice payload)
{
    if (opcode == FRAME_CLOSE && payload.size > 0) {
        const unsigned char *code = (const unsigned char *)payload.data;
        if (!is_close_code((unsigned)code[0] << 8 | code[1]))
            return violation(out, 1002, "close code not allowed");
        if (!utf8_valid(payload.data + 2, payload.size - 2))
            return violation(out, 1007, "close reason is not UTF-8");
    }
    out->opcode = opcode;
    out->payload = payload;
    return FRAME_CONTROL;
}

static enum frame_result assemble(
    struct frame_decoder *d, const struct head *h, struct slice payload, struct frame_message *out)
{
    if (h->opcode != FRAME_CONTINUATION && h->final)
        return whole(out, h->opcode, payload);
    if (h->opcode != FRAME_CONTINUATION) {
        d->opcode = h->opcode;
        buffer_clear(&d->fragments);
        d->empty = 0;
    }
    if (!h->final && payload.size == 0 && ++d->empty > EMPTY_MAX)
        return violation(out, 1002, "too many empty fragments");
    buffer_add_slice(&d->fragments, payload);
    if (!h->final)
        return FRAME_MORE;
    enum frame_opcode opcode = d->opcode;
    d->opcode = FRAME_CONTINUATION;
    return whole(out, opcode, buffer_slice(&d->fragments));
}

enum frame_result frame_decode(
    struct frame_decoder *d, char *data, size_t size, size_t *used, struct frame_message *out)
{
    *used = 0;
    for (;;) {
        struct head h;
        char *at = data + *used;
        size_t left = size - *used;
        if (!read_head((unsigned char *)at, left, &h))
            return FRAME_MORE;
        const char *fault = fault_of(d, &h, (unsigned char)at[0]);
        if (fault)
            return violation(out, 1002, fault);
        size_t before = h.opcode == FRAME_CONTINUATION ? d->fragments.size : 0;
        if (h.opcode < FRAME_CLOSE && h.payload > d->message_max - before)
            return violation(out, 1009, "message too large");
        if (left < h.size + h.payload)
            return FRAME_MORE;
        struct slice payload = {at + h.size, (size_t)h.payload};
        if (h.masked)
            unmask(at + h.size, payload.size, at + h.size - 4);
        *used += h.size + payload.size;
        if (h.opcode >= FRAME_CLOSE)
            return control(out, h.opcode, payload);
        enum frame_result result = assemble(d, &h, payload, out);
        if (result != FRAME_MORE)
            return result;
    }
}
