/* libFuzzer: whatever the bytes, the frames of a connection are the same messages, and end the same way, when
   they come at once and when they come in pieces; no message is larger than allowed, and all text is UTF-8.
   The first byte says how large the pieces are. */
#include "causeway/frame.h"
#include "causeway/utf8.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MESSAGE_MAX = 300 };

static void note(struct buffer *story, enum frame_result result, const struct frame_message *m)
{
    if (result == FRAME_VIOLATION) {
        CHECK(m->close_code == 1002 || m->close_code == 1007 || m->close_code == 1009);
        buffer_print(story, "violation %u %s\n", m->close_code, m->reason);
        return;
    }
    CHECK(result == FRAME_CONTROL ? m->opcode >= FRAME_CLOSE && m->opcode <= FRAME_PONG
                                  : m->opcode == FRAME_TEXT || m->opcode == FRAME_BINARY);
    CHECK(m->payload.size <= (result == FRAME_CONTROL ? 125 : MESSAGE_MAX));
    CHECK(m->opcode != FRAME_TEXT || utf8_valid(m->payload.data, m->payload.size));
    buffer_print(story, "%d:", (int)m->opcode);
    buffer_add_slice(story, m->payload);
    buffer_add_byte(story, '\n');
}

/* What a connection sees when `piece` bytes come at a time. */
static void listen(const uint8_t *data, size_t size, size_t piece, struct buffer *story)
{
    struct frame_decoder d = {.message_max = MESSAGE_MAX, .expect_mask = true};
    struct buffer in = {0};
    bool over = false;
    for (size_t at = 0; at < size && !over; at += piece) {
        buffer_add(&in, data + at, piece < size - at ? piece : size - at);
        enum frame_result result = FRAME_MESSAGE;
        while (!over && result != FRAME_MORE && in.size > 0) {
            struct frame_message m;
            size_t used;
            result = frame_decode(&d, in.data, in.size, &used, &m);
            CHECK(used <= in.size);
            if (result != FRAME_MORE)
                note(story, result, &m);
            over = result == FRAME_VIOLATION;
            buffer_drop(&in, used);
        }
        CHECK(d.fragments.size <= MESSAGE_MAX && (over || in.size <= MESSAGE_MAX + 14));
    }
    frame_decoder_finish(&d);
    buffer_finish(&in);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    struct buffer whole = {0}, pieces = {0};
    listen(data + 1, size - 1, size, &whole);
    listen(data + 1, size - 1, 1 + data[0] % 16, &pieces);
    CHECK(slice_equal(buffer_slice(&whole), buffer_slice(&pieces)));
    buffer_finish(&whole);
    buffer_finish(&pieces);
    return 0;
}
