/* WebSocket frames (RFC 6455), both ways, without I/O. Stateless but for the reassembly of fragmented
   messages, which the decoder owns (frame_decoder_finish frees). No extensions, so RSV bits are errors. */
#pragma once

#include "causeway/buffer.h"

#include <stdint.h>

enum frame_opcode {
    FRAME_CONTINUATION = 0,
    FRAME_TEXT = 1,
    FRAME_BINARY = 2,
    FRAME_CLOSE = 8,
    FRAME_PING = 9,
    FRAME_PONG = 10,
};

enum { FRAME_HEADER_MAX = 10 };

/* Writes the header of an unmasked, final frame; returns its length (2, 4 or 10). */
size_t frame_header(char *out, enum frame_opcode opcode, size_t payload);

/* Bytes that the header of an unmasked frame with this payload takes. */
size_t frame_header_size(size_t payload);

/* The payload of the unmasked, whole frame at `frame`; returns the length of the frame. */
size_t frame_payload(const char *frame, size_t size, struct slice *payload);

/* A close payload (code, reason cut to at most 123 bytes) as a whole frame; returns its length, at most 127.
 */
size_t frame_close(char *out, uint16_t code, const char *reason);

enum frame_result {
    FRAME_MORE,     /* not whole yet: call again with more bytes */
    FRAME_MESSAGE,  /* a whole text or binary message */
    FRAME_CONTROL,  /* a close (its payload: two bytes of code and a reason, or nothing), ping or pong */
    FRAME_VIOLATION /* close with .close_code: 1002, 1007 or 1009 */
};

struct frame_message {
    enum frame_opcode opcode;
    struct slice payload; /* unmasked, in the caller's bytes or in the decoder; valid until the next call */
    uint16_t close_code;
    const char *reason;
};

struct frame_decoder {
    struct buffer fragments;
    unsigned empty;           /* of them, since these cost the sender nothing that message_max bounds */
    enum frame_opcode opcode; /* of the message that is being put together; FRAME_CONTINUATION: none */
    size_t message_max;
    bool expect_mask; /* servers expect it, clients refuse it */
};

void frame_decoder_finish(struct frame_decoder *d);

/* Takes one message off `data` (which it unmasks in place). *used is what need not come again: fragments are
   kept in the decoder, so it may be more than 0 for FRAME_MORE. Text and close reasons are checked to be
   UTF-8, close codes to be allowed ones. */
enum frame_result frame_decode(
    struct frame_decoder *d, char *data, size_t size, size_t *used, struct frame_message *out);
