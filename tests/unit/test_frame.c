#include "unit.h"

#include "causeway/frame.h"
#include "causeway/utf8.h"

#include <stdio.h>
#include <stdlib.h>

enum { MESSAGE_MAX = 70000 };

/* A generator of its own, so that a failure comes again. */
static uint32_t next_random(uint32_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    *seed ^= *seed << 5;
    return *seed;
}

/* One frame as RFC 6455, 5.2 draws it; `mask` NULL: not masked. */
static void add_frame(struct buffer *out, unsigned first, struct slice payload, const unsigned char *mask)
{
    unsigned flag = mask ? 0x80 : 0;
    buffer_add_byte(out, (char)first);
    if (payload.size < 126) {
        buffer_add_byte(out, (char)(flag | payload.size));
    } else {
        int bytes = payload.size < 65536 ? 2 : 8;
        buffer_add_byte(out, (char)(flag | (bytes == 2 ? 126 : 127)));
        for (int i = bytes - 1; i >= 0; i--)
            buffer_add_byte(out, (char)((uint64_t)payload.size >> (8 * i) & 0xff));
    }
    if (mask)
        buffer_add(out, mask, 4);
    for (size_t i = 0; i < payload.size; i++)
        buffer_add_byte(out, (char)(payload.data[i] ^ (mask ? mask[i % 4] : 0)));
}

static const unsigned char some_mask[4] = {0x37, 0xfa, 0x21, 0x3d};

static void add_masked(struct buffer *out, unsigned first, const char *text)
{
    add_frame(out, first, slice_of(text), some_mask);
}

/* What a decoder makes of bytes that come in pieces, one line per message; ends at a violation. */
struct reading {
    struct frame_decoder decoder;
    struct buffer in, log;
    bool violated;
};

static void note(struct reading *r, enum frame_result result, const struct frame_message *m)
{
    if (result == FRAME_VIOLATION) {
        assert_non_null(m->reason);
        buffer_print(&r->log, "violation %u\n", m->close_code);
        r->violated = true;
        return;
    }
    buffer_print(
        &r->log, "%s %d %zu ", result == FRAME_MESSAGE ? "message" : "control", m->opcode, m->payload.size);
    buffer_add_slice(&r->log, m->payload);
    buffer_add_byte(&r->log, '\n');
}

static void feed(struct reading *r, const char *data, size_t size)
{
    buffer_add(&r->in, data, size);
    while (!r->violated) {
        struct frame_message m = {0};
        size_t used = SIZE_MAX;
        /* Exactly as large as it may be read, so that a sanitizer sees a step too far. */
        char *exact = malloc(r->in.size ? r->in.size : 1);
        memcpy(exact, r->in.data, r->in.size);
        enum frame_result result = frame_decode(&r->decoder, exact, r->in.size, &used, &m);
        assert_true(used <= r->in.size);
        if (result == FRAME_MORE) { /* what is not used must come again as it was */
            assert_memory_equal(exact + used, r->in.data + used, r->in.size - used);
        } else {
            note(r, result, &m);
        }
        buffer_drop(&r->in, used);
        free(exact);
        if (result == FRAME_MORE)
            break;
    }
}

static void begin(struct reading *r, bool expect_mask)
{
    *r = (struct reading){.decoder = {.message_max = MESSAGE_MAX, .expect_mask = expect_mask}};
    buffer_reserve(&r->in, 1);
}

static void end(struct reading *r)
{
    frame_decoder_finish(&r->decoder);
    buffer_finish(&r->in);
    buffer_finish(&r->log);
}

/* The bytes as a whole, and byte by byte, are read as `expected`. */
static void assert_read(struct buffer *bytes, bool expect_mask, const char *expected)
{
    struct reading whole, slow;
    begin(&whole, expect_mask);
    feed(&whole, bytes->data, bytes->size);
    assert_string_equal(buffer_text(&whole.log), expected);
    begin(&slow, expect_mask);
    for (size_t i = 0; i < bytes->size; i++)
        feed(&slow, bytes->data + i, 1);
    assert_string_equal(buffer_text(&slow.log), expected);
    end(&whole);
    end(&slow);
    buffer_finish(bytes);
}

static const size_t edges[] = {
    0, 1, 2, 7, 8, 9, 124, 125, 126, 127, 128, 255, 256, 65534, 65535, 65536, 65537, MESSAGE_MAX};

static char *pattern(size_t size)
{
    char *text = malloc(size + 1);
    for (size_t i = 0; i < size; i++)
        text[i] = (char)('a' + i % 26);
    return text;
}

static void headers_are_as_short_as_their_length_allows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof edges / sizeof edges[0]; i++) {
        char header[FRAME_HEADER_MAX];
        char *text = pattern(edges[i]);
        struct buffer expected = {0};
        add_frame(&expected, 0x81, (struct slice){text, edges[i]}, NULL);
        size_t size = frame_header(header, FRAME_TEXT, edges[i]);
        assert_int_equal(size, edges[i] < 126 ? 2 : edges[i] < 65536 ? 4 : 10);
        assert_int_equal(size, frame_header_size(edges[i]));
        assert_int_equal(size + edges[i], expected.size);
        assert_memory_equal(header, expected.data, size);
        buffer_finish(&expected);
        free(text);
    }
    char header[FRAME_HEADER_MAX];
    assert_int_equal(frame_header(header, FRAME_BINARY, (size_t)1 << 40), 10);
    assert_memory_equal(header, "\x82\x7f\0\0\1\0\0\0\0\0", 10);
}

static void a_close_frame_has_a_code_and_a_reason_of_at_most_123_bytes(void **state)
{
    (void)state;
    char frame[127], reason[200];
    assert_int_equal(frame_close(frame, 1012, ""), 4);
    assert_memory_equal(frame, "\x88\x02\x03\xf4", 4);
    assert_int_equal(frame_close(frame, 4401, "no credential"), 17);
    assert_memory_equal(frame, "\x88\x0f\x11\x31no credential", 17);
    memset(reason, 'x', sizeof reason);
    reason[199] = '\0';
    assert_int_equal(frame_close(frame, 1000, reason), 127);
    assert_int_equal(frame[1], 125);
    reason[123] = '\0';
    assert_int_equal(frame_close(frame, 1000, reason), 127);
}

static void a_reason_is_not_cut_within_a_character(void **state)
{
    (void)state;
    for (size_t before = 116; before < 124; before++) {
        char frame[127], reason[160] = {0};
        memset(reason, 'x', before);
        strcpy(reason + before, "\xf0\x9f\x98\x80\xc3\xa9\xe2\x82\xac and more");
        size_t size = frame_close(frame, 1000, reason);
        assert_true(size > 120 && size <= 127);
        assert_int_equal(frame[1], size - 2);
        assert_true(utf8_valid(frame + 4, size - 4));
        assert_memory_equal(frame + 4, reason, size - 4);
    }
}

static void messages_of_all_lengths_are_read_under_any_mask(void **state)
{
    (void)state;
    static const unsigned char masks[][4] = {{0, 0, 0, 0}, {1, 2, 3, 4}, {0xff, 0, 0xff, 0x80}};
    for (size_t i = 0; i < sizeof edges / sizeof edges[0]; i++) {
        char *text = pattern(edges[i]);
        for (size_t m = 0; m < sizeof masks / sizeof masks[0]; m++) {
            struct reading r;
            struct buffer bytes = {0}, expected = {0};
            begin(&r, true);
            add_frame(&bytes, 0x82, (struct slice){text, edges[i]}, masks[m]);
            buffer_print(&expected, "message 2 %zu %.*s\n", edges[i], (int)edges[i], text);
            feed(&r, bytes.data, bytes.size);
            assert_true(slice_equal(buffer_slice(&r.log), buffer_slice(&expected)));
            assert_int_equal(r.in.size, 0);
            buffer_finish(&bytes);
            buffer_finish(&expected);
            end(&r);
        }
        free(text);
    }
}

static void the_mask_is_taken_off_at_every_alignment(void **state)
{
    (void)state;
    char room[96];
    for (size_t offset = 0; offset < 16; offset++) {
        for (size_t size = 0; size <= 40; size++) {
            struct buffer bytes = {0};
            char *text = pattern(size);
            add_frame(&bytes, 0x81, (struct slice){text, size}, some_mask);
            memset(room, '#', sizeof room);
            memcpy(room + offset, bytes.data, bytes.size);
            struct frame_decoder d = {.message_max = MESSAGE_MAX, .expect_mask = true};
            struct frame_message m;
            size_t used;
            assert_int_equal(frame_decode(&d, room + offset, bytes.size, &used, &m), FRAME_MESSAGE);
            assert_int_equal(used, bytes.size);
            assert_true(slice_equal(m.payload, (struct slice){text, size}));
            for (size_t i = 0; i < sizeof room; i++)
                assert_true((i >= offset && i < offset + bytes.size) || room[i] == '#');
            frame_decoder_finish(&d);
            buffer_finish(&bytes);
            free(text);
        }
    }
}

static void a_client_reads_unmasked_frames(void **state)
{
    (void)state;
    struct buffer bytes = {0};
    add_frame(&bytes, 0x81, SLICE("one"), NULL);
    add_frame(&bytes, 0x8a, SLICE("two"), NULL);
    add_frame(&bytes, 0x82, SLICE(""), NULL);
    assert_read(&bytes, false, "message 1 3 one\ncontrol 10 3 two\nmessage 2 0 \n");
}

static void each_side_refuses_the_other_sides_frames(void **state)
{
    (void)state;
    struct buffer bytes = {0};
    add_frame(&bytes, 0x81, SLICE("one"), NULL);
    assert_read(&bytes, true, "violation 1002\n");
    add_masked(&bytes, 0x81, "one");
    assert_read(&bytes, false, "violation 1002\n");
}

static void fragments_are_put_together_with_control_frames_in_between(void **state)
{
    (void)state;
    struct buffer bytes = {0};
    add_masked(&bytes, 0x01, "he");
    add_masked(&bytes, 0x89, "are you there");
    add_masked(&bytes, 0x00, "");
    add_masked(&bytes, 0x00, "ll");
    add_masked(&bytes, 0x8a, "");
    add_masked(&bytes, 0x8a, "x");
    add_masked(&bytes, 0x80, "o");
    add_masked(&bytes, 0x02, "");
    add_masked(&bytes, 0x80, "");
    add_masked(&bytes, 0x81, "whole");
    add_masked(&bytes, 0x88,
        "\x03\xe8"
        "bye");
    assert_read(&bytes, true,
        "control 9 13 are you there\ncontrol 10 0 \ncontrol 10 1 x\nmessage 1 5 hello\n"
        "message 2 0 \nmessage 1 5 whole\ncontrol 8 5 \x03\xe8"
        "bye\n");
}

static void text_is_judged_as_a_whole_message(void **state)
{
    (void)state;
    struct buffer bytes = {0};
    add_masked(&bytes, 0x01, "\xe2\x82"); /* a character may lie in two fragments */
    add_masked(&bytes, 0x80, "\xac");
    assert_read(&bytes, true, "message 1 3 \xe2\x82\xac\n");
    add_masked(&bytes, 0x01, "\xe2\x82");
    add_masked(&bytes, 0x80, "a");
    assert_read(&bytes, true, "violation 1007\n");
    add_masked(&bytes, 0x81, "\xed\xa0\x80");
    assert_read(&bytes, true, "violation 1007\n");
    add_masked(&bytes, 0x82, "\xed\xa0\x80"); /* binary may be anything */
    assert_read(&bytes, true, "message 2 3 \xed\xa0\x80\n");
}

static void breaches_of_the_protocol_are_1002(void **state)
{
    (void)state;
    static const unsigned lone[] = {0xc1, 0xa1, 0x91, 0xf1, 0xc9, 0x83, 0x84, 0x85, 0x86, 0x87, 0x8b, 0x8c,
        0x8f, 0x03, 0x0b, 0x08, 0x09, 0x0a, 0x80, 0x00};
    for (size_t i = 0; i < sizeof lone / sizeof lone[0]; i++) {
        struct buffer bytes = {0};
        add_masked(&bytes, lone[i], "{}");
        assert_read(&bytes, true, "violation 1002\n");
    }
    static const unsigned inside[] = {0x81, 0x82, 0x01, 0x02, 0x83, 0xa0, 0x0b};
    for (size_t i = 0; i < sizeof inside / sizeof inside[0]; i++) {
        struct buffer bytes = {0};
        add_masked(&bytes, 0x01, "{");
        add_masked(&bytes, inside[i], "}");
        assert_read(&bytes, true, "violation 1002\n");
    }
}

static void a_message_that_has_ended_cannot_be_continued(void **state)
{
    (void)state;
    struct buffer bytes = {0};
    add_masked(&bytes, 0x01, "a");
    add_masked(&bytes, 0x80, "b");
    add_masked(&bytes, 0x80, "c");
    assert_read(&bytes, true, "message 1 2 ab\nviolation 1002\n");
}

static void control_frames_are_short_and_whole(void **state)
{
    (void)state;
    char text[127];
    memset(text, 'p', sizeof text);
    for (unsigned opcode = 9; opcode <= 10; opcode++) {
        struct buffer bytes = {0}, expected = {0};
        add_frame(&bytes, 0x80 | opcode, (struct slice){text, 125}, some_mask);
        buffer_print(&expected, "control %u 125 %.125s\n", opcode, text);
        assert_read(&bytes, true, buffer_text(&expected));
        add_frame(&bytes, 0x80 | opcode, (struct slice){text, 126}, some_mask);
        assert_read(&bytes, true, "violation 1002\n");
        buffer_finish(&expected);
    }
}

static void a_length_must_be_in_its_shortest_form(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
    } long_forms[] = {
        {"\x81\xfe\x00\x01\0\0\0\0a", 9},
        {"\x81\xfe\x00\x7d\0\0\0\0", 8},
        {"\x81\xff\0\0\0\0\0\0\0\x01\0\0\0\0a", 15},
        {"\x81\xff\0\0\0\0\0\0\xff\xff\0\0\0\0a", 15},
        {"\x89\xfe\x00\x01\0\0\0\0a", 9}, /* a control frame has no longer form at all */
        {"\x89\xff\0\0\0\0\0\0\0\x01\0\0\0\0a", 15},
    };
    for (size_t i = 0; i < sizeof long_forms / sizeof long_forms[0]; i++) {
        struct buffer bytes = {0};
        buffer_add(&bytes, long_forms[i].bytes, long_forms[i].size);
        assert_read(&bytes, true, "violation 1002\n");
    }
}

static void a_close_code_must_be_one_that_may_be_sent(void **state)
{
    (void)state;
    for (unsigned code = 0; code < 5100; code++) {
        bool defined = (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014);
        bool allowed = defined || (code >= 3000 && code <= 4999);
        char payload[2] = {(char)(code >> 8), (char)(code & 0xff)};
        struct reading r;
        struct buffer bytes = {0};
        begin(&r, true);
        add_frame(&bytes, 0x88, (struct slice){payload, 2}, some_mask);
        feed(&r, bytes.data, bytes.size);
        if (slice_starts(buffer_slice(&r.log), SLICE("control 8")) != allowed)
            fail_msg("close code %u", code);
        end(&r);
        buffer_finish(&bytes);
    }
}

static void a_close_frame_may_be_empty_but_not_cut_short(void **state)
{
    (void)state;
    struct buffer bytes = {0};
    add_masked(&bytes, 0x88, "");
    assert_read(&bytes, true, "control 8 0 \n");
    add_masked(&bytes, 0x88, "\x03");
    assert_read(&bytes, true, "violation 1002\n");
    add_masked(&bytes, 0x88, "\x03\xe8\xc3\xa9");
    assert_read(&bytes, true, "control 8 4 \x03\xe8\xc3\xa9\n");
    add_masked(&bytes, 0x88, "\x03\xe8\xc3");
    assert_read(&bytes, true, "violation 1007\n");
}

static void a_message_larger_than_allowed_is_1009_before_it_has_come(void **state)
{
    (void)state;
    static const char huge[] = "\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff";
    static const char beyond[] = "\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff"; /* the first bit must be 0 */
    struct buffer bytes = {0};
    char *text = pattern(MESSAGE_MAX + 1);
    add_frame(&bytes, 0x82, (struct slice){text, MESSAGE_MAX + 1}, some_mask);
    bytes.size = 10; /* the header without the mask decides */
    assert_read(&bytes, true, "violation 1009\n");
    buffer_add(&bytes, huge, sizeof huge - 1);
    assert_read(&bytes, true, "violation 1009\n");
    buffer_add(&bytes, beyond, sizeof beyond - 1);
    assert_read(&bytes, true, "violation 1009\n");
    free(text);
}

static void fragments_without_a_byte_are_counted(void **state)
{
    (void)state;
    for (int more = 0; more < 2; more++) {
        struct reading r;
        struct buffer bytes = {0};
        begin(&r, true);
        add_frame(&bytes, 0x01, SLICE("{"), some_mask);
        for (int i = 0; i < 100 + more; i++)
            add_frame(&bytes, 0x00, SLICE(""), some_mask);
        add_frame(&bytes, 0x80, SLICE("}"), some_mask);
        feed(&r, bytes.data, bytes.size);
        assert_int_equal(r.violated, more);
        end(&r);
        buffer_finish(&bytes);
    }
}

static void fragments_count_together_for_the_largest_message(void **state)
{
    (void)state;
    struct reading r;
    struct buffer bytes = {0};
    char *text = pattern(MESSAGE_MAX);
    begin(&r, true);
    add_frame(&bytes, 0x02, (struct slice){text, MESSAGE_MAX - 10}, some_mask);
    add_frame(&bytes, 0x80, (struct slice){text, 10}, some_mask);
    add_frame(&bytes, 0x02, (struct slice){text, MESSAGE_MAX - 10}, some_mask);
    add_frame(&bytes, 0x89, (struct slice){text, 20}, some_mask); /* a control frame does not count */
    add_frame(&bytes, 0x00, (struct slice){text, 10}, some_mask);
    feed(&r, bytes.data, bytes.size);
    assert_true(slice_starts(buffer_slice(&r.log), SLICE("message 2 70000 ")));
    assert_false(r.violated);
    buffer_clear(&bytes);
    add_frame(&bytes, 0x80, (struct slice){text, 1}, some_mask);
    feed(&r, bytes.data, bytes.size);
    assert_true(r.violated);
    assert_non_null(strstr(buffer_text(&r.log) + MESSAGE_MAX, "violation 1009\n"));
    end(&r);
    buffer_finish(&bytes);
    free(text);
}

/* --- random streams --- */

static void add_random_message(struct buffer *bytes, struct buffer *expected, uint32_t *seed)
{
    static const size_t sizes[] = {0, 1, 5, 60, 125, 126, 127, 300, 1000};
    unsigned opcode = 1 + next_random(seed) % 2, parts = 1 + next_random(seed) % 4;
    struct buffer message = {0};
    for (unsigned part = 0; part < parts; part++) {
        if (next_random(seed) % 3 == 0) {
            add_masked(bytes, 0x89, "in between");
            buffer_add_text(expected, "control 9 10 in between\n");
        }
        unsigned char mask[4];
        uint32_t drawn = next_random(seed);
        memcpy(mask, &drawn, 4);
        size_t size = sizes[next_random(seed) % (sizeof sizes / sizeof sizes[0])];
        char *text = pattern(size);
        add_frame(
            bytes, (part ? 0 : opcode) | (part == parts - 1 ? 0x80 : 0), (struct slice){text, size}, mask);
        buffer_add(&message, text, size);
        free(text);
    }
    buffer_print(expected, "message %u %zu ", opcode, message.size);
    buffer_add_slice(expected, buffer_slice(&message));
    buffer_add_byte(expected, '\n');
    buffer_finish(&message);
}

static void a_stream_is_read_the_same_however_it_is_cut(void **state)
{
    (void)state;
    uint32_t seed = 20250117;
    for (int round = 0; round < 200; round++) {
        struct reading r;
        struct buffer bytes = {0}, expected = {0};
        for (unsigned i = 0; i < 8; i++)
            add_random_message(&bytes, &expected, &seed);
        if (round % 4 == 0) {
            add_masked(&bytes, 0x8f, "");
            buffer_add_text(&expected, "violation 1002\n");
        }
        begin(&r, true);
        for (size_t at = 0, size; at < bytes.size; at += size) {
            size = 1 + next_random(&seed) % (round % 2 ? 700 : 40);
            if (size > bytes.size - at)
                size = bytes.size - at;
            feed(&r, bytes.data + at, size);
        }
        assert_true(slice_equal(buffer_slice(&r.log), buffer_slice(&expected)));
        end(&r);
        buffer_finish(&bytes);
        buffer_finish(&expected);
    }
}

static void noise_harms_nobody(void **state)
{
    (void)state;
    uint32_t seed = 77;
    for (int round = 0; round < 3000; round++) {
        struct reading r;
        char noise[64];
        begin(&r, round % 2);
        for (size_t i = 0; i < sizeof noise; i++)
            noise[i] = (char)next_random(&seed);
        if (round % 3 == 0)
            noise[0] = (char)(0x80 | (noise[0] & 0x0f));
        feed(&r, noise, sizeof noise);
        end(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_are_as_short_as_their_length_allows),
        cmocka_unit_test(a_close_frame_has_a_code_and_a_reason_of_at_most_123_bytes),
        cmocka_unit_test(a_reason_is_not_cut_within_a_character),
        cmocka_unit_test(messages_of_all_lengths_are_read_under_any_mask),
        cmocka_unit_test(the_mask_is_taken_off_at_every_alignment),
        cmocka_unit_test(a_client_reads_unmasked_frames),
        cmocka_unit_test(each_side_refuses_the_other_sides_frames),
        cmocka_unit_test(fragments_are_put_together_with_control_frames_in_between),
        cmocka_unit_test(text_is_judged_as_a_whole_message),
        cmocka_unit_test(breaches_of_the_protocol_are_1002),
        cmocka_unit_test(a_message_that_has_ended_cannot_be_continued),
        cmocka_unit_test(control_frames_are_short_and_whole),
        cmocka_unit_test(a_length_must_be_in_its_shortest_form),
        cmocka_unit_test(a_close_code_must_be_one_that_may_be_sent),
        cmocka_unit_test(a_close_frame_may_be_empty_but_not_cut_short),
        cmocka_unit_test(a_message_larger_than_allowed_is_1009_before_it_has_come),
        cmocka_unit_test(fragments_without_a_byte_are_counted),
        cmocka_unit_test(fragments_count_together_for_the_largest_message),
        cmocka_unit_test(a_stream_is_read_the_same_however_it_is_cut),
        cmocka_unit_test(noise_harms_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
