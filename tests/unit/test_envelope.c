#include "unit.h"

#include "causeway/buffer.h"
#include "causeway/envelope.h"
#include "causeway/frame.h"
#include "causeway/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static const struct lane data_lane = {.index = 0, .address = {"/", 1}, .payload_key = {"data", 4}};
static const struct lane post_lane = {.index = 1, .address = {"/posts", 6}, .payload_key = {"payload", 7}};
static const struct operation new_order = {.name_hash = 0x12345678, .type_json = {"\"new-order\"", 11}};

static struct record order_record(void)
{
    return (struct record){
        .topic = SLICE("orders.v1"), .partition = 3, .offset = 1042, .time_ms = 1705314600000};
}

/* The bytes of an event, written to memory of exactly that size. Free with free(). */
static char *write_event(const struct envelope *e)
{
    char *out = malloc(e->size);
    envelope_write(e, out);
    return out;
}

static void an_event_is_one_text_frame_with_its_payload_byte_for_byte(void **state)
{
    (void)state;
    static const char payload[] = "{ \"total\" : 1.50,\"id\":12345678901234567890 }";
    static const char expected[] =
        "{\"type\":\"new-order\",\"id\":\"%s\",\"time\":\"2024-01-15T10:30:00.000Z\",\"data\":%s}";
    struct record r = order_record();
    struct envelope e;
    char id[128], text[512];
    assert_true(envelope_begin(&e, &data_lane, &new_order, &r,
        SLICE("{ \"total\" : 1.50,\"id\":12345678901234567890 }"), (struct envelope_notes){0}));
    assert_true(envelope_id(id, sizeof id, &r, &new_order) > 0);
    snprintf(text, sizeof text, expected, id, payload);
    char *frame = write_event(&e);
    assert_int_equal(e.size, strlen(text) + 4);
    assert_memory_equal(frame, "\x81\x7e", 2);
    assert_memory_equal(frame + 4, text, strlen(text));
    free(frame);
}

static void a_lane_names_the_member_that_holds_the_payload(void **state)
{
    (void)state;
    struct record r = order_record();
    struct envelope e;
    assert_true(envelope_begin(&e, &post_lane, &new_order, &r, SLICE("[]"), (struct envelope_notes){0}));
    char *frame = write_event(&e);
    assert_memory_equal(frame + e.size - 14, ",\"payload\":[]}", 14);
    free(frame);
}

static void a_trace_stands_before_the_payload_in_every_variant(void **state)
{
    (void)state;
    static const char trace[] =
        ",\"traceparent\":\"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\",\"data\":{}";
    struct envelope_notes notes = {
        SLICE("c"), SLICE("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"), false};
    struct record r = order_record();
    struct envelope e;
    struct buffer variant = {0};
    assert_true(envelope_begin(&e, &data_lane, &new_order, &r, SLICE("{}"), notes));
    char *frame = write_event(&e);
    assert_non_null(memmem(frame, e.size, trace, strlen(trace)));
    envelope_add_variant(
        &variant, (struct slice){frame, e.size}, e.header_size, e.tail_size, ENVELOPE_REDELIVERED, SLICE(""));
    assert_non_null(memmem(variant.data, variant.size, trace, strlen(trace)));
    buffer_finish(&variant);
    free(frame);
}

static void frames_are_whole_at_every_length(void **state)
{
    (void)state;
    struct record r = order_record();
    struct operation short_one = {.type_json = SLICE("\"a\"")};
    struct lane lane = data_lane;
    struct json j = {0};
    r.topic = SLICE("t");
    static const size_t around[] = {0, 65535, 65536, 1 << 20};
    for (size_t i = 0; i < sizeof around / sizeof around[0]; i++) {
        for (size_t size = around[i] > 130 ? around[i] - 130 : 2; size < around[i] + 60; size++) {
            char *payload = malloc(size);
            memset(payload, 'p', size);
            payload[0] = payload[size - 1] = '"';
            struct envelope e;
            assert_true(envelope_begin(
                &e, &lane, &short_one, &r, (struct slice){payload, size}, (struct envelope_notes){0}));
            char *frame = write_event(&e);
            struct frame_decoder d = {.message_max = 1 << 21};
            struct frame_message m;
            size_t used;
            assert_int_equal(frame_decode(&d, frame, e.size, &used, &m), FRAME_MESSAGE);
            assert_int_equal(used, e.size);
            assert_int_equal(m.opcode, FRAME_TEXT);
            assert_true(json_scan(&j, m.payload.data, m.payload.size));
            struct slice data = json_verbatim(&j, json_find(&j, 0, SLICE("data")));
            assert_true(slice_equal(data, (struct slice){payload, size}));
            frame_decoder_finish(&d);
            free(frame);
            free(payload);
            size += size > 1000 ? 6 : 0;
        }
    }
    json_finish(&j);
}

static void id_of(char out[128], const struct record *r, const struct operation *operation)
{
    size_t size = envelope_id(out, 128, r, operation);
    assert_true(size > 0);
    assert_int_equal(size, strlen(out));
}

static void an_id_never_changes_because_clients_store_it(void **state)
{
    (void)state;
    struct record r = order_record();
    char id[128];
    id_of(id, &r, &new_order);
    assert_string_equal(id, "orders.v1:3:1042:57c27bee");
    r.key = SLICE("another key");
    r.value = SLICE("another value");
    id_of(id, &r, &new_order);
    assert_string_equal(id, "orders.v1:3:1042:57c27bee");
}

static void ids_differ_by_record_operation_and_life_of_the_topic(void **state)
{
    (void)state;
    char ids[6][128];
    struct record r[6];
    struct operation other = new_order;
    for (size_t i = 0; i < 6; i++)
        r[i] = order_record();
    r[1].topic = SLICE("orders.v2");
    r[2].partition = 4;
    r[3].offset = INT64_MAX;
    r[4].time_ms++; /* the topic was made again: the same coordinates at another time */
    other.name_hash++;
    for (size_t i = 0; i < 6; i++)
        id_of(ids[i], &r[i], i == 5 ? &other : &new_order);
    for (size_t i = 0; i < 6; i++)
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(ids[i], ids[j]);
}

static void an_id_that_does_not_fit_is_refused(void **state)
{
    (void)state;
    struct record r = order_record();
    char id[128];
    id_of(id, &r, &new_order);
    size_t size = strlen(id);
    assert_int_equal(envelope_id(id, size + 1, &r, &new_order), size);
    assert_int_equal(envelope_id(id, size, &r, &new_order), 0);
}

static void names_too_long_for_a_frame_are_refused(void **state)
{
    (void)state;
    char topic[250], type[1100];
    memset(topic, 't', sizeof topic);
    memset(type, 'x', sizeof type);
    type[0] = '"';
    struct record r = order_record();
    r.topic = (struct slice){topic, 249}; /* the longest that Kafka has */
    r.partition = INT32_MAX;
    r.offset = INT64_MAX;
    unsigned accepted = 0;
    for (size_t size = 2; size <= sizeof type; size++) {
        struct operation operation = new_order;
        struct envelope e;
        type[size - 1] = '"';
        operation.type_json = (struct slice){type, size};
        if (envelope_begin(&e, &data_lane, &operation, &r, SLICE("{}"), (struct envelope_notes){0})) {
            assert_int_equal(accepted++, size - 2); /* all up to a length, none beyond */
            char *frame = write_event(&e);
            assert_int_equal(frame[e.size - 1], '}');
            free(frame);
        }
        type[size - 1] = 'x';
    }
    assert_in_range(accepted, 512, 1024);
}

static void times_are_rfc_3339_in_utc(void **state)
{
    (void)state;
    char text[32];
    envelope_time(text, 0);
    assert_string_equal(text, "1970-01-01T00:00:00.000Z");
    envelope_time(text, 253402300799999);
    assert_string_equal(text, "9999-12-31T23:59:59.999Z");
    envelope_time(text, 253402300800000);
    assert_string_equal(text, "1970-01-01T00:00:00.000Z");
    envelope_time(text, -1); /* Kafka's "no timestamp" */
    assert_string_equal(text, "1970-01-01T00:00:00.000Z");
    envelope_time(text, 951782399999);
    assert_string_equal(text, "2000-02-28T23:59:59.999Z");
}

static void times_agree_with_the_c_library(void **state)
{
    (void)state;
    for (int64_t second = 0; second <= 253402300799; second += 86400 * 11 - 12347) {
        char text[32], expected[40];
        struct tm tm;
        time_t t = (time_t)second;
        assert_non_null(gmtime_r(&t, &tm));
        strftime(expected, sizeof expected, "%Y-%m-%dT%H:%M:%S", &tm);
        snprintf(expected + 19, sizeof expected - 19, ".%03dZ", (int)(second % 1000));
        envelope_time(text, second * 1000 + second % 1000);
        assert_string_equal(text, expected);
    }
}

/* What a client reads of a frame; free it. */
static char *message_of(struct slice frame)
{
    struct frame_decoder d = {.message_max = 1 << 21};
    struct frame_message m;
    size_t used;
    assert_int_equal(frame_decode(&d, (char *)(uintptr_t)frame.data, frame.size, &used, &m), FRAME_MESSAGE);
    assert_int_equal(used, frame.size);
    assert_int_equal(m.opcode, FRAME_TEXT);
    char *text = strndup(m.payload.data, m.payload.size);
    frame_decoder_finish(&d);
    return text;
}

static void assert_message(struct slice frame, const char *expected)
{
    char *text = message_of(frame);
    assert_string_equal(text, expected);
    free(text);
}

static void a_cursor_stands_behind_the_payload(void **state)
{
    (void)state;
    struct record r = order_record();
    struct envelope e;
    char cursor[65], expected[256];
    memset(cursor, 'c', 64); /* the longest */
    cursor[64] = '\0';
    assert_true(envelope_begin(
        &e, &data_lane, &new_order, &r, SLICE("{}"), (struct envelope_notes){.cursor = slice_of(cursor)}));
    char *frame = write_event(&e);
    snprintf(expected, sizeof expected, "%s,\"data\":{},\"cursor\":\"%s\"}",
        "{\"type\":\"new-order\",\"id\":\"orders.v1:3:1042:57c27bee\",\"time\":\"2024-01-15T10:30:00.000Z\"",
        cursor);
    assert_message((struct slice){frame, e.size}, expected);
    assert_memory_equal(frame + e.size - e.tail_size, ",\"cursor\":\"", 11);
    free(frame);
}

/* Around every change in the length of the header, the payload stays byte for byte, and only the end is
 * another. */
static void variants_differ_from_their_frame_in_the_end_alone(void **state)
{
    (void)state;
    static const char *const marks[] = {
        [ENVELOPE_REPLAYED] = "",
        [ENVELOPE_REDELIVERED] = ",\"redelivered\":true",
        [ENVELOPE_BACKFILL] = ",\"redelivered\":true,\"backfill\":true",
    };
    static const char long_cursor[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    static const size_t around[] = {0, 65535};
    struct record r = order_record();
    struct operation short_one = {.type_json = SLICE("\"a\"")};
    r.topic = SLICE("t");
    for (size_t i = 0; i < 2 * 3 * 2; i++) {
        size_t middle = around[i % 2];
        bool stamped = i / 2 % 2;
        enum envelope_variant variant = (enum envelope_variant)(i / 4);
        for (size_t size = middle ? middle - 200 : 2; size < middle + 60; size++) {
            char *payload = malloc(size);
            memset(payload, 'p', size);
            payload[0] = payload[size - 1] = '"';
            struct envelope e;
            struct slice cursor = stamped ? SLICE("abcdefghijklmnopqrst") : SLICE("");
            assert_true(envelope_begin(&e, &data_lane, &short_one, &r, (struct slice){payload, size},
                (struct envelope_notes){.cursor = cursor}));
            char *frame = write_event(&e), *whole = message_of((struct slice){frame, e.size});
            struct buffer out = {0}, expected = {0};
            buffer_add_text(&out, "before");
            struct slice other = size % 2 ? slice_of(long_cursor) : SLICE("");
            assert_true(slice_equal(envelope_cursor((struct slice){frame, e.size}, e.tail_size), cursor));
            envelope_add_variant(
                &out, (struct slice){frame, e.size}, e.header_size, e.tail_size, variant, other);
            assert_memory_equal(out.data, "before", 6);
            assert_true(out.size - 6 <= e.size + ENVELOPE_VARIANT_EXTRA);
            buffer_add(&expected, whole, strlen(whole) - e.tail_size);
            buffer_add_text(&expected, marks[variant]);
            if (other.size > 0)
                buffer_print(&expected, ",\"cursor\":\"%s\"", long_cursor);
            buffer_add_byte(&expected, '}');
            assert_message((struct slice){out.data + 6, out.size - 6}, buffer_text(&expected));
            buffer_finish(&out);
            buffer_finish(&expected);
            free(whole);
            free(frame);
            free(payload);
        }
    }
}

static void a_message_of_ours_has_its_lanes_payload_key(void **state)
{
    (void)state;
    struct envelope e;
    envelope_begin_plain(&e, &post_lane, "gap", SLICE("{\"from\":\"1\"}"));
    char *frame = write_event(&e);
    assert_message((struct slice){frame, e.size}, "{\"type\":\"gap\",\"payload\":{\"from\":\"1\"}}");
    struct buffer out = {0};
    envelope_add_variant(
        &out, (struct slice){frame, e.size}, e.header_size, e.tail_size, ENVELOPE_REDELIVERED, SLICE(""));
    assert_message(
        buffer_slice(&out), "{\"type\":\"gap\",\"payload\":{\"from\":\"1\"},\"redelivered\":true}");
    buffer_finish(&out);
    free(frame);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_event_is_one_text_frame_with_its_payload_byte_for_byte),
        cmocka_unit_test(a_lane_names_the_member_that_holds_the_payload),
        cmocka_unit_test(a_trace_stands_before_the_payload_in_every_variant),
        cmocka_unit_test(frames_are_whole_at_every_length),
        cmocka_unit_test(a_cursor_stands_behind_the_payload),
        cmocka_unit_test(variants_differ_from_their_frame_in_the_end_alone),
        cmocka_unit_test(a_message_of_ours_has_its_lanes_payload_key),
        cmocka_unit_test(an_id_never_changes_because_clients_store_it),
        cmocka_unit_test(ids_differ_by_record_operation_and_life_of_the_topic),
        cmocka_unit_test(an_id_that_does_not_fit_is_refused),
        cmocka_unit_test(names_too_long_for_a_frame_are_refused),
        cmocka_unit_test(times_are_rfc_3339_in_utc),
        cmocka_unit_test(times_agree_with_the_c_library),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
