/* From a record to its operations and rooms: type, payload, limits. */
#include "route_stage.h"

#include "catalogue_text.h"

#include "causeway/hotlog.h"

#include <stdio.h>
#include <stdlib.h>

/* --- type and payload --- */

static void a_record_leaves_under_each_operation_once_per_room(void **state)
{
    struct fixture *f = *state;
    check_value(f, "{\"type\":\"order.created\",\"data\":{\"city_id\":7,\"user_id\":\"u1\"}}",
        "sendNewOrder: admin-orders city-7-orders; sendOrderCreated: user-u1");
    assert_slice(f->routed.type, "order.created");
    assert_slice(f->routed.payload, "{\"city_id\":7,\"user_id\":\"u1\"}");
    check_payload(f, "order.created", "{\"city_id\":7,\"user_id\":\"u1\",\"actor_id\":12}",
        "sendNewOrder: admin-orders city-7-orders but user-12; sendOrderCreated: user-u1");
}

static void payloads_pass_byte_for_byte(void **state)
{
    struct fixture *f = *state;
    begin(f, " {\"data\" : { \"b\": 1.50, \"user_id\" : 9007199254740993, \"city_id\":\"\\u0041\" } "
             ",\"type\":\"order\\u002ecreated\"} ");
    assert_string_equal(
        route(f), "sendNewOrder: admin-orders city-A-orders; sendOrderCreated: user-9007199254740993");
    assert_slice(
        f->routed.payload, "{ \"b\": 1.50, \"user_id\" : 9007199254740993, \"city_id\":\"\\u0041\" }");
    assert_slice(f->routed.type, "order.created");
}

static void a_type_header_makes_the_whole_value_the_payload(void **state)
{
    struct fixture *f = *state;
    const char *value = "{\"type\":\"express\",\"data\":1,\"city_id\":7,\"user_id\":8}";
    begin(f, value);
    add_header(f, "type", "order.created");
    assert_string_equal(route(f), "sendNewOrder: admin-orders city-7-orders; sendOrderCreated: user-8");
    assert_slice(f->routed.payload, value);
    /* ce_type wins over type, the last of several headers counts */
    begin(f, "[1]");
    f->record.key = SLICE("k");
    add_header(f, "ce_type", "order.created");
    add_header(f, "ce_type", "order.changed");
    add_header(f, "type", "order.created");
    assert_string_equal(route(f), "sendOrderChanged: user-k");
    assert_slice(f->routed.payload, "[1]");
    /* an empty header and a null one say nothing */
    begin(f, "{\"city_id\":7,\"user_id\":8}");
    add_header(f, "ce_type", "");
    add_header(f, "type", "order.created");
    assert_string_equal(route(f), "sendNewOrder: admin-orders city-7-orders; sendOrderCreated: user-8");
    begin(f, "{\"type\":\"order.changed\",\"data\":\"text\"}");
    f->record.key = SLICE("k");
    add_header(f, "ce_type", NULL);
    assert_string_equal(route(f), "sendOrderChanged: user-k");
    assert_slice(f->routed.payload, "\"text\"");
}

static void values_that_are_no_message_are_rejected(void **state)
{
    struct fixture *f = *state;
    check_value(f, "", "not_json");
    check_value(f, "{\"type\":\"order.created\",\"data\":{\"city_id\":7,}}", "not_json");
    assert_true(slice_starts(f->routed.detail, SLICE("byte ")));
    check_value(f, "{\"type\":\"order.created\",\"data\":{}} x", "not_json");
    check_value(f, "{\"type\":\"order.created\",\"data\":\"\xff\"}", "not_json");
    check_value(f, "[]", "not_object");
    check_value(f, "\"order.created\"", "not_object");
    check_value(f, "null", "not_object");
    check_value(f, "{}", "no_type");
    check_value(f, "{\"type\":7,\"data\":{}}", "no_type");
    check_value(f, "{\"type\":\"\",\"data\":{}}", "no_type");
    check_value(f, "{\"Type\":\"order.created\",\"data\":{}}", "no_type");
    check_value(f, "{\"type\":\"order.created\"}", "no_data");
    check_value(f, "{\"type\":\"order.created\",\"data\":null}", "missing_field");
    begin(f, "{\"city_id\":7 \"user_id\":8}");
    add_header(f, "type", "order.created");
    assert_string_equal(route(f), "not_json");
}

static void types_that_nobody_wants_are_ignored_early(void **state)
{
    struct fixture *f = *state;
    check_value(f, "{\"type\":\"order.unknown\"}", "ignored");
    check_value(f, "{\"type\":\"order.unused\",\"data\":{}}", "ignored");
    /* by its header alone, whatever the value is */
    begin(f, "not json");
    add_header(f, "type", "order.unknown");
    assert_string_equal(route(f), "ignored");
    add_header(f, "ce_type", "order.unused");
    assert_string_equal(route(f), "ignored");
    /* a topic that no operation reads, and one that is not in the catalogue */
    begin(f, "not json");
    f->record.topic = SLICE("idle.v1");
    assert_string_equal(route(f), "ignored");
    f->record.topic = SLICE("orders.v2");
    assert_string_equal(route(f), "ignored");
    f->record.value = (struct slice){NULL, 0};
    assert_string_equal(route(f), "ignored");
}

static void values_beyond_the_limit_are_too_large(void **state)
{
    struct fixture *f = *state;
    char value[EVENT_MAX + 2];
    memset(value, ' ', sizeof value);
    value[sizeof value - 1] = '\0';
    const char text[] = "{\"type\":\"order.created\",\"data\":{\"city_id\":7,\"user_id\":8}}";
    memcpy(value, text, sizeof text - 1);
    check_value(f, value, "too_large");
    assert_slice(f->routed.detail, "4097 bytes, at most 4096 are carried");
    value[EVENT_MAX] = '\0';
    check_value(f, value, "sendNewOrder: admin-orders city-7-orders; sendOrderCreated: user-8");
}

static void a_null_value_is_what_the_channel_says(void **state)
{
    struct fixture *f = *state;
    check_payload(f, "order.created", "{\"city_id\":7,\"user_id\":8,\"name\":\"x\"}",
        "sendNewOrder: admin-orders city-7-orders; sendOrderCreated: user-8");
    begin(f, NULL);
    f->record.key = SLICE("17");
    add_header(f, "type", "order.created");
    assert_string_equal(route(f), "sendDeleted: user-17");
    assert_slice(f->routed.payload, "null");
    assert_slice(f->routed.type, "order.deleted");
    begin(f, NULL);
    assert_string_equal(route(f), "missing_field");
}

/* --- limits and memory --- */

/* The shop with a room of 500 bytes and a user's id. */
static struct catalogue *long_shop(void)
{
    char prefix[501] = "", to[600], room[600];
    memset(prefix, 'r', sizeof prefix - 1);
    snprintf(to, sizeof to, "to: ['%s{user_id}']", prefix);
    snprintf(room, sizeof room, "    %s{user_id}: {join: request, allow: [{}]}\n    admin-orders: {", prefix);
    char *sending = text_with(shop, "to: ['user-{user_id}']", to);
    char *whole = text_with(sending, "    admin-orders: {", room);
    struct catalogue *c = catalogue_from_text(whole);
    free(sending);
    free(whole);
    return c;
}

static void room_names_have_at_most_512_bytes(void **state)
{
    struct fixture *f = *state;
    catalogue_release(f->catalogue);
    f->catalogue = long_shop();
    check_payload(f, "order.created", "{\"city_id\":1,\"user_id\":\"1234567890123\"}", "bad_field");
    assert_non_null(memmem(f->routed.detail.data, f->routed.detail.size, SLICE("longer than 512").data, 15));
    begin(f, "{\"type\":\"order.created\",\"data\":{\"city_id\":1,\"user_id\":\"123456789012\"}}");
    route(f);
    assert_int_equal(f->routed.delivery_count, 2);
    assert_int_equal(f->routed.deliveries[1].rooms[0].size, 512);
}

static void a_rejection_points_at_its_place_in_the_value(void **state)
{
    static const struct {
        const char *type; /* of a header; NULL: the value is the record as a whole */
        const char *value, *pointer;
    } cases[] = {
        {NULL, "[]", ""}, {NULL, "{}", "/type"}, {NULL, "{\"type\":\"order.created\"}", "/data"},
        {NULL, "{\"type\":\"order.created\",\"data\":{\"city_id\":1}}", "/data/user_id"},
        {NULL, "{\"type\":\"order.beside\",\"data\":{},\"audience\":{\"user\":true}}", "/audience/user"},
        {NULL,
            "{\"type\":\"order.people\",\"data\":{\"hall\":1,\"people\":[{\"user\":{\"id\":1}},{\"user\":{}}]"
            "}}",
            "/data/people/1/user/id"},
        {"order.created", "{\"city_id\":{},\"user_id\":1}", "/city_id"},
        {"order.moved", "{\"order\":{\"to\":{}}}", "/order/to/city"},
        {"order.shared", "{\"ids\":[1,2,1.5]}", "/ids/2"}, {"order.shared", "{\"ids\":7}", "/ids"},
        {"order.created", "{", NULL}, {"order.changed", "{}", NULL}, /* the key is no place in the value */
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        begin(f, cases[i].value);
        if (cases[i].type)
            add_header(f, "ce_type", cases[i].type);
        assert_int_not_equal(route_record(f->router, f->catalogue, &f->record, &f->routed), REJECT_NONE);
        if (cases[i].pointer)
            assert_slice(f->routed.pointer, cases[i].pointer);
        assert_int_equal(f->routed.pointer.data != NULL, cases[i].pointer != NULL);
    }
}

static void the_number_of_rooms_is_limited(void **state)
{
    struct fixture *f = *state;
    struct router *wide = router_create(1u << 20);
    struct buffer value = {0};
    for (int extra = 0; extra < 2; extra++) {
        buffer_clear(&value);
        buffer_add_text(&value, "{\"type\":\"order.shared\",\"data\":{\"ids\":[0");
        for (int i = 1; i < HOTLOG_ROOMS_MAX + extra; i++)
            buffer_print(&value, ",%d,%d", i, i - 1);
        buffer_add_text(&value, "]}}");
        begin(f, buffer_text(&value));
        enum reject reject = route_record(wide, f->catalogue, &f->record, &f->routed);
        assert_int_equal(reject, extra ? REJECT_TOO_MANY_ROOMS : REJECT_NONE);
        if (!extra)
            assert_int_equal(f->routed.deliveries[0].room_count, HOTLOG_ROOMS_MAX);
    }
    buffer_finish(&value);
    router_destroy(wide);
}

static void results_do_not_leak_into_the_next_record(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 3; i++) {
        check_payload(f, "order.shared", "{\"ids\":[1,2,3,4,5,6,7,8,9,10,11,12],\"muted\":[1]}",
            "sendShared: user-1 user-2 user-3 user-4 user-5 user-6 user-7 user-8 user-9 user-10 user-11 "
            "user-12 but user-1");
        check_payload(f, "order.shared", "{\"ids\":[2,1]}", "sendShared: user-2 user-1");
        check_payload(f, "order.shared", "{\"ids\":[2,{}]}", "bad_field");
        assert_true(f->routed.detail.size > 0);
        check_value(f, "{\"type\":\"order.unknown\"}", "ignored");
        assert_int_equal(f->routed.detail.size, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        routing_test(a_record_leaves_under_each_operation_once_per_room),
        routing_test(payloads_pass_byte_for_byte),
        routing_test(a_type_header_makes_the_whole_value_the_payload),
        routing_test(values_that_are_no_message_are_rejected),
        routing_test(types_that_nobody_wants_are_ignored_early),
        routing_test(values_beyond_the_limit_are_too_large),
        routing_test(a_null_value_is_what_the_channel_says),
        routing_test(room_names_have_at_most_512_bytes),
        routing_test(a_rejection_points_at_its_place_in_the_value),
        routing_test(the_number_of_rooms_is_limited),
        routing_test(results_do_not_leak_into_the_next_record),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
