/* CloudEvents, wire formats, traces, and payloads that are held against their schemas. */
#include "route_stage.h"

#include "catalogue_text.h"

static const char trace[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/* A structured CloudEvent whose further members are `more`. */
static const char *route_structured(struct fixture *f, const char *content_type, const char *value)
{
    begin(f, value);
    add_header(f, "content-type", content_type);
    add_header(f, "ce_type", "order.unknown"); /* a leftover that must not count */
    return route(f);
}

static void a_cloudevent_in_structured_mode_says_all_in_its_value(void **state)
{
    struct fixture *f = *state;
    static const char *const types[] = {"application/cloudevents+json", "application/cloudevents",
        "Application/CloudEvents+JSON; charset=utf-8", "application/cloudevents+json ;x=y"};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        const char *got = route_structured(f, types[i],
            "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/"
            "s\",\"type\":\"order.beside\",\"data\":{\"x\": 1},"
            "\"audience\":{\"user\":5}}");
        assert_string_equal(got, "sendBeside: user-5");
        assert_slice(f->routed.payload, "{\"x\": 1}");
        assert_slice(f->routed.type, "order.beside");
    }
}

static void what_is_announced_as_a_cloudevent_must_be_one(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *type, *value, *reject, *detail;
    } rows[] = {
        {"application/cloudevents+json", "[]", "bad_cloudevent", "it is no JSON object"},
        {"application/cloudevents+json",
            "{\"id\":\"1\",\"source\":\"s\",\"type\":\"order.created\",\"data\":{}}", "bad_cloudevent",
            "member \"specversion\" is missing or no text"},
        {"application/cloudevents+json", "{\"specversion\":\"1.0\",\"id\":1,\"source\":\"s\",\"type\":\"t\"}",
            "bad_cloudevent", "member \"id\" is missing or no text"},
        {"application/cloudevents+json",
            "{\"specversion\":\"0.3\",\"id\":\"1\",\"source\":\"s\",\"type\":\"order.created\"}",
            "bad_cloudevent", "specversion is not 1.0"},
        {"application/cloudevents+json",
            "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"s\",\"type\":\"order.created\"}", "no_data",
            ""},
        {"application/cloudevents+json",
            "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"s\",\"type\":\"order.created\",\"data_"
            "base64\":\"e30=\"}",
            "no_data", "data_base64 is not carried; publish JSON as data"},
        {"application/cloudevents+json",
            "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"s\",\"type\":\"order.gone\"}", "ignored", ""},
        {"application/cloudevents+json", "{", "not_json", "byte 1: the text ends too early"},
        {"application/cloudevents+avro", "{}", "bad_cloudevent",
            "content-type application/cloudevents+avro is not read; it must be application/cloudevents+json"},
        {"application/cloudevents-batch+json", "[]", "bad_cloudevent",
            "content-type application/cloudevents-batch+json is not read; it must be "
            "application/cloudevents+json"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_string_equal(route_structured(f, rows[i].type, rows[i].value), rows[i].reject);
        assert_slice(f->routed.detail, rows[i].detail);
    }
}

static void the_wire_format_of_a_schema_registry_is_named(void **state)
{
    struct fixture *f = *state;
    static const char value[] = "\0\0\0\1\2{\"user_id\":1}";
    begin(f, "");
    f->record.value = (struct slice){value, sizeof value - 1};
    add_header(f, "type", "order.created");
    assert_string_equal(route(f), "confluent");
    assert_slice(f->routed.detail, "schema id 258; publish plain JSON");
    f->record.value.size = 4;
    assert_string_equal(route(f), "not_json");
    add_header(f, "type", "order.unknown");
    assert_string_equal(route(f), "ignored");
}

static void a_trace_is_kept_where_a_channel_asks_for_it(void **state)
{
    struct fixture *f = *state;
    begin(f, "{\"type\":\"order.changed\",\"data\":{}}");
    f->record.key = SLICE("k");
    assert_string_equal(route(f), "sendOrderChanged: user-k");
    assert_int_equal(f->routed.traceparent.size, 0);
    add_header(f, "ce_traceparent", trace);
    assert_string_equal(route(f), "sendOrderChanged: user-k");
    assert_slice(f->routed.traceparent, trace);
    static const char *const broken[] = {"", "00", "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0g",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more"};
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        f->record.header_count = 0;
        add_header(f, "traceparent", broken[i]);
        assert_string_equal(route(f), "sendOrderChanged: user-k");
        assert_int_equal(f->routed.traceparent.size, 0);
    }
    begin(f, "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"s\",\"type\":\"order.changed\",\"data\":{},"
             "\"traceparent\":"
             "\"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\"}");
    f->record.key = SLICE("k");
    add_header(f, "content-type", "application/cloudevents+json");
    assert_string_equal(route(f), "sendOrderChanged: user-k");
    assert_slice(f->routed.traceparent, trace);
    begin(f, "{}");
    f->record.topic = SLICE("sights.v1");
    add_header(f, "type", "seen");
    add_header(f, "traceparent", trace);
    assert_string_equal(route(f), "sendSeen: admin-orders");
    assert_int_equal(f->routed.traceparent.size, 0);
}

static void check_topic(struct fixture *f, const char *topic, const char *value, const char *expected)
{
    begin(f, value);
    f->record.topic = slice_of(topic);
    add_header(f, "type", "paid");
    const char *got = route(f);
    if (strcmp(got, expected) != 0)
        fail_msg("%s: %s gives '%s' instead of '%s'", topic, value, got, expected);
}

static void an_enforced_schema_rejects_with_the_place_of_the_fault(void **state)
{
    struct fixture *f = *state;
    check_topic(f, "strict.v1", "{\"amount\":5,\"user_id\":1}", "sendPaid: user-1");
    assert_null(f->routed.fault);
    check_topic(f, "strict.v1", "{\"amount\":0,\"user_id\":1}", "invalid");
    assert_non_null(f->routed.fault);
    assert_slice(f->routed.fault->pointer, "/amount");
    assert_string_equal(f->routed.fault->keyword, "minimum");
    assert_slice(f->routed.detail, "type paid, at '/amount', minimum: is less than 1");
    check_topic(f, "strict.v1", "{\"user_id\":{}}", "invalid"); /* before the fields of rooms are looked at */
    check_topic(f, "strict.v1", "{\"amount\":1,\"user_id\":{}}", "bad_field");
    assert_null(f->routed.fault);
    f->record.value = (struct slice){NULL, 0};
    assert_string_equal(route(f), "sendPaid:"); /* a tombstone has no payload */
}

static void a_schema_that_only_warns_delivers_and_tells(void **state)
{
    struct fixture *f = *state;
    check_topic(f, "lenient.v1", "{\"amount\":\"5\",\"user_id\":1}", "sendPaid: user-1");
    assert_non_null(f->routed.fault);
    assert_slice(f->routed.fault->pointer, "/amount");
    check_topic(f, "lenient.v1", "{\"amount\":5,\"user_id\":1}", "sendPaid: user-1");
    assert_null(f->routed.fault);
}

static void only_the_payload_is_held_against_its_schema(void **state)
{
    struct fixture *f = *state;
    begin(f, "{\"type\":\"paid\",\"amount\":\"x\",\"data\":{\"amount\":1}}");
    f->record.topic = SLICE("strict.v1");
    assert_string_equal(route(f), "sendPaid:");
    begin(f, "{\"type\":\"paid\",\"data\":{\"amount\":[{}]}}");
    f->record.topic = SLICE("strict.v1");
    assert_string_equal(route(f), "invalid");
    assert_slice(f->routed.fault->pointer, "/amount"); /* as the payload has it, not the value */
}

static void every_rejection_has_a_label_and_a_text(void **state)
{
    (void)state;
    for (int r = 0; r < REJECT_COUNT; r++) {
        assert_true(strlen(reject_label((enum reject)r)) > 0);
        assert_true(strlen(reject_text((enum reject)r)) > 0);
    }
    assert_string_equal(reject_label(REJECT_BAD_FIELD), "bad_field");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        routing_test(a_cloudevent_in_structured_mode_says_all_in_its_value),
        routing_test(what_is_announced_as_a_cloudevent_must_be_one),
        routing_test(the_wire_format_of_a_schema_registry_is_named),
        routing_test(a_trace_is_kept_where_a_channel_asks_for_it),
        routing_test(an_enforced_schema_rejects_with_the_place_of_the_fault),
        routing_test(a_schema_that_only_warns_delivers_and_tells),
        routing_test(only_the_payload_is_held_against_its_schema),
        cmocka_unit_test(every_rejection_has_a_label_and_a_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
