/* The fields of which rooms are made. */
#include "route_stage.h"

#include "catalogue_text.h"

static void a_missing_field_rejects_the_whole_record(void **state)
{
    struct fixture *f = *state;
    check_payload(f, "order.created", "{\"city_id\":7}", "missing_field");
    assert_slice(f->routed.detail,
        "{user_id} of room user-{user_id} is missing or null, in operation sendOrderCreated");
    check_payload(f, "order.created", "{\"user_id\":7}", "missing_field");
    check_payload(f, "order.created", "{\"city_id\":null,\"user_id\":7}", "missing_field");
    check_payload(f, "order.created", "{\"city_id\":1,\"user_id\":7,\"actor_id\":null}",
        "sendNewOrder: admin-orders city-1-orders; sendOrderCreated: user-7");
    check_payload(f, "order.created", "{\"city_id\":1,\"user_id\":7,\"actor_id\":true}", "bad_field");
    check_payload(f, "order.created", "[]", "bad_field");
}

static void check_city(struct fixture *f, const char *city, const char *room)
{
    struct buffer payload = {0}, expected = {0};
    buffer_print(&payload, "{\"city_id\":%s,\"user_id\":1}", city);
    buffer_print(&expected,
        room ? "sendNewOrder: admin-orders city-%s-orders; sendOrderCreated: user-1" : "bad_field", room);
    check_payload(f, "order.created", buffer_text(&payload), buffer_text(&expected));
    buffer_finish(&payload);
    buffer_finish(&expected);
}

static void fields_are_plain_strings_or_integers(void **state)
{
    struct fixture *f = *state;
    check_city(f, "0", "0");
    check_city(f, "-17", "-17");
    check_city(f, "123456789012345678901234567890", "123456789012345678901234567890");
    check_city(f, "-0", NULL);
    check_city(f, "1.0", NULL);
    check_city(f, "1e3", NULL);
    check_city(f, "1E3", NULL);
    check_city(f, "true", NULL);
    check_city(f, "{}", NULL);
    check_city(f, "[1]", NULL);
    check_city(f, "\"\"", NULL);
    check_city(f, "\"a b\"", "a b");
    check_city(f, "\"-0\"", "-0");
    check_city(f, "\"\\ud83d\\ude00\"", "\xf0\x9f\x98\x80");
    check_city(f, "\"a\\nb\"", NULL);
    check_city(f, "\"a\\u007f\"", NULL);
    check_city(f, "\"\\u0085\"", NULL);
    check_city(f, "\"\\u00a0\"", "\xc2\xa0");
    char text[132] = "\"", plain[130] = "";
    memset(text + 1, 'x', 129);
    text[130] = '"';
    check_city(f, text, NULL);
    text[129] = '"';
    text[130] = '\0';
    memset(plain, 'x', 128);
    check_city(f, text, plain);
    memset(text, '7', 129);
    text[129] = '\0';
    check_city(f, text, NULL);
}

static void key_and_headers_are_fields_too(void **state)
{
    struct fixture *f = *state;
    const char *value = "{\"type\":\"order.changed\",\"data\":{}}";
    check_value(f, value, "missing_field");
    f->record.key = SLICE("u1");
    assert_string_equal(route(f), "sendOrderChanged: user-u1");
    add_header(f, "user.id", "u2");
    assert_string_equal(route(f), "sendOrderChanged: user-u1 user-u2");
    add_header(f, "user.id", "u1");
    assert_string_equal(route(f), "sendOrderChanged: user-u1");
    add_header(f, "user.id", NULL);
    assert_string_equal(route(f), "sendOrderChanged: user-u1");
    add_header(f, "user.id", "\xc3(");
    assert_string_equal(route(f), "bad_field");
    add_header(f, "user.id", "");
    assert_string_equal(route(f), "bad_field");
    begin(f, value);
    f->record.key = SLICE("");
    assert_string_equal(route(f), "bad_field");
    f->record.key = SLICE("\xed\xa0\x80");
    assert_string_equal(route(f), "bad_field");
    f->record.key = SLICE("a\0b");
    assert_string_equal(route(f), "bad_field");
}

static void paths_lead_through_objects(void **state)
{
    struct fixture *f = *state;
    check_payload(f, "order.moved", "{\"order\":{\"from\":{\"city\":1},\"to\":{\"city\":2}}}",
        "sendMoved: city-1-orders city-2-orders");
    check_payload(f, "order.moved", "{\"order\":{\"from\":{\"city\":2},\"to\":{\"city\":2}}}",
        "sendMoved: city-2-orders");
    check_payload(
        f, "order.moved", "{\"order\":{\"from\":null,\"to\":{\"city\":2}}}", "sendMoved: city-2-orders");
    check_payload(f, "order.moved", "{\"order\":{\"to\":{\"city\":2}}}", "sendMoved: city-2-orders");
    check_payload(f, "order.moved", "{\"order\":{\"from\":{\"city\":1},\"to\":{}}}", "missing_field");
    check_payload(f, "order.moved", "{\"order\":{\"from\":5,\"to\":{\"city\":2}}}", "bad_field");
    check_payload(f, "order.moved", "{\"order\":{\"from\":[{\"city\":1}],\"to\":{\"city\":2}}}", "bad_field");
    check_payload(f, "order.moved", "{\"order\":null}", "missing_field");
    check_payload(f, "order.moved", "{\"from\":{\"city\":1},\"to\":{\"city\":2}}", "missing_field");
}

static void each_element_of_an_array_gives_a_room(void **state)
{
    struct fixture *f = *state;
    check_payload(f, "order.shared", "{\"ids\":[3,\"a\",3,\"3\",1]}", "sendShared: user-3 user-a user-1");
    check_payload(f, "order.shared", "{\"ids\":[3],\"owner\":3,\"muted\":[4,null,5]}",
        "sendShared: user-3 but user-4 user-5");
    check_payload(f, "order.shared", "{\"ids\":[]}", "sendShared:");
    check_payload(f, "order.shared", "{}", "missing_field");
    check_payload(f, "order.shared", "{\"ids\":null}", "missing_field");
    check_payload(f, "order.shared", "{\"ids\":3}", "bad_field");
    check_payload(f, "order.shared", "{\"ids\":{\"0\":3}}", "bad_field");
    check_payload(f, "order.shared", "{\"ids\":[3,null]}", "missing_field");
    check_payload(f, "order.shared", "{\"ids\":[3,[4]]}", "bad_field");
    check_payload(f, "order.shared", "{\"ids\":[3],\"muted\":4}", "bad_field");
    check_payload(f, "order.people",
        "{\"hall\":1,\"people\":[{\"user\":{\"id\":7},\"seat\":\"a\"},{\"user\":{\"id\":8}}]}",
        "sendPeople: seat-1-7 seat-1-8 seat-1-a");
    check_payload(
        f, "order.people", "{\"hall\":1,\"people\":[{\"user\":{\"id\":7}},{\"user\":{}}]}", "missing_field");
    check_payload(f, "order.people", "{\"hall\":1,\"people\":[{\"user\":{\"id\":7}},8]}", "bad_field");
    check_payload(f, "order.people", "{\"people\":[]}", "missing_field");
    check_payload(f, "order.people", "{\"hall\":\"\\u0031\",\"people\":[{\"user\":{\"id\":\"\\u0032\"}}]}",
        "sendPeople: seat-1-2");
}

static void fields_beside_the_data_are_reached_by_record(void **state)
{
    struct fixture *f = *state;
    check_value(f,
        "{\"type\":\"order.beside\",\"audience\":{\"user\":5},\"data\":{\"audience\":{\"user\":6}}}",
        "sendBeside: user-5");
    check_value(f, "{\"type\":\"order.beside\",\"watchers\":[1,5],\"audience\":{\"user\":5},\"data\":0}",
        "sendBeside: user-5 user-1");
    check_value(f, "{\"type\":\"order.beside\",\"data\":{\"audience\":{\"user\":6}}}", "missing_field");
    /* nothing stands beside a payload that is the whole value */
    begin(f, "{\"audience\":{\"user\":6}}");
    add_header(f, "type", "order.beside");
    assert_string_equal(route(f), "missing_field");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        routing_test(a_missing_field_rejects_the_whole_record),
        routing_test(fields_are_plain_strings_or_integers),
        routing_test(key_and_headers_are_fields_too),
        routing_test(paths_lead_through_objects),
        routing_test(each_element_of_an_array_gives_a_room),
        routing_test(fields_beside_the_data_are_reached_by_record),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
