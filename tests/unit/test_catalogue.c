/* What a document is compiled to, other spellings of the same, and what is refused as a whole. */
#include "catalogue_stage.h"

#include "catalogue_text.h"

#include "causeway/map.h"
#include "causeway/template.h"

#include <stdio.h>
#include <stdlib.h>

/* --- what is compiled --- */

static void channels_become_topics_and_lanes_by_their_servers(void **state)
{
    (void)state;
    struct catalogue *c = catalogue_from_text(shop);
    const struct topic *topics;
    const struct lane *lanes;
    assert_int_equal(catalogue_topics(c, &topics), 2);
    assert_slice(topics[0].name, "orders.v1");
    assert_slice(topics[1].name, "archive.v1");
    assert_ptr_equal(catalogue_find_topic(c, SLICE("archive.v1")), &topics[1]);
    assert_null(catalogue_find_topic(c, SLICE("archive")));
    assert_int_equal(catalogue_lanes(c, &lanes), 2);
    assert_slice(lanes[0].address, "/");
    assert_slice(lanes[0].payload_key, "data");
    assert_slice(lanes[1].payload_key, "body");
    assert_ptr_equal(catalogue_find_lane(c, DIALECT_WEBSOCKET, SLICE("/post/feed")), &lanes[1]);
    assert_null(catalogue_find_lane(c, DIALECT_WEBSOCKET, SLICE("/post")));
    assert_int_equal(lanes[1].index, 1);
    catalogue_release(c);
}

static void operations_are_those_with_x_causeway(void **state)
{
    (void)state;
    struct catalogue *c = catalogue_from_text(shop);
    const struct operation *ops;
    assert_int_equal(catalogue_operations(c, &ops), 3);
    assert_slice(ops[0].name, "sendNewOrder");
    assert_slice(ops[0].type_json, "\"new-order\"");
    assert_true(ops[0].ephemeral);
    assert_int_equal(ops[0].to_count, 2);
    assert_slice(template_text(ops[0].to[1]), "city-{order.city}-orders");
    assert_int_equal(ops[0].except_count, 1);
    assert_slice(ops[1].type_json, "\"order \\\"created\\\"\"");
    assert_false(ops[1].ephemeral);
    assert_int_equal(ops[1].to_count, 1);
    assert_int_equal(ops[1].except_count, 0);
    assert_slice(ops[2].type_json, "\"post\"");
    assert_int_equal(ops[2].lane, 1);
    assert_int_equal(ops[2].index, 2);
    assert_int_equal(ops[0].name_hash, operation_name_hash(SLICE("sendNewOrder")));
    assert_int_not_equal(ops[0].name_hash, ops[1].name_hash);
    catalogue_release(c);
}

static void name_hashes_never_change(void **state)
{
    (void)state;
    assert_int_equal(operation_name_hash(SLICE("sendNewOrder")), 0xf57216f4u);
}

static void messages_know_their_operations_in_document_order(void **state)
{
    (void)state;
    struct catalogue *c = catalogue_from_text(shop);
    const struct topic *orders = catalogue_find_topic(c, SLICE("orders.v1"));
    const struct topic *archive = catalogue_find_topic(c, SLICE("archive.v1"));
    const struct source_message *created = topic_find_message(orders, SLICE("order.created"));
    assert_int_equal(orders->message_count, 3);
    assert_int_equal(created->operation_count, 2);
    assert_slice(created->operations[0]->name, "sendNewOrder");
    assert_slice(created->operations[1]->name, "sendOrderCreated");
    assert_int_equal(topic_find_message(orders, SLICE("order.changed"))->operation_count, 1);
    assert_int_equal(orders->tombstone->operation_count, 0);
    assert_slice(orders->tombstone->type, "order.deleted");
    assert_null(topic_find_message(orders, SLICE("orderCreated")));
    assert_null(topic_find_message(orders, SLICE("order.create")));
    assert_null(archive->tombstone);
    /* the same component in another channel is another message */
    const struct source_message *archived = topic_find_message(archive, SLICE("order.created"));
    assert_int_equal(archived->operation_count, 1);
    assert_slice(archived->operations[0]->name, "sendPost");
    assert_true(orders->wanted && archive->wanted);
    catalogue_release(c);
}

static void rooms_have_rules_lookups_and_lanes(void **state)
{
    (void)state;
    struct catalogue *c = catalogue_from_text(shop);
    const struct room_pattern *rooms;
    const struct lookup *lookups;
    assert_int_equal(catalogue_lookups(c, &lookups), 3);
    assert_ptr_equal(catalogue_principal(c), &lookups[0]);
    assert_slice(lookups[1].sql, "SELECT city_id FROM cities WHERE user_id = $1");
    assert_int_equal(lookups[2].param_count, 2);
    assert_slice(template_text(lookups[2].params[1]), "{room.taskId}");
    assert_int_equal(catalogue_rooms(c, &rooms), 5);
    const struct room_rule *admin = &rooms[0].rules[0];
    assert_int_equal(admin->condition_count, 2);
    assert_slice(admin->conditions[0].column, "role");
    assert_int_equal(admin->conditions[0].value_count, 2);
    assert_slice(admin->conditions[0].values[1], "ceo");
    assert_slice(admin->conditions[1].values[0], "3");
    assert_null(admin->lookup);
    assert_int_equal(rooms[1].rule_count, 2);
    assert_true(rooms[1].rules[0].automatic);
    assert_ptr_equal(rooms[1].rules[0].lookup, &lookups[1]);
    assert_false(rooms[1].rules[1].automatic);
    assert_slice(rooms[2].rules[0].fillings[0].placeholder, "user_id");
    assert_slice(template_text(rooms[2].rules[0].fillings[0].value), "{user.id}");
    assert_false(rooms[3].rules[0].automatic);
    assert_true(room_pattern_on_lane(&rooms[0], 0) && room_pattern_on_lane(&rooms[0], 1));
    assert_true(room_pattern_on_lane(&rooms[3], 0) && !room_pattern_on_lane(&rooms[3], 1));
    assert_true(!room_pattern_on_lane(&rooms[4], 0) && room_pattern_on_lane(&rooms[4], 1));
    catalogue_release(c);
}

static void a_catalogue_lives_until_its_last_holder_lets_go(void **state)
{
    (void)state;
    struct catalogue *c = catalogue_from_text(shop);
    assert_ptr_equal(catalogue_hold(c), c);
    catalogue_release(c);
    assert_slice(catalogue_principal(c)->name, "user");
    catalogue_release(c);
    catalogue_release(NULL);
}

/* --- variants that are fine --- */

static const char two_ways[] = "  log: {host: 'kafka:9092', protocol: kafka-secure}\n"
                               "  door: {host: 'shop.example', protocol: ws}\n";

static void bindings_decide_when_servers_do_not(void **state)
{
    (void)state;
    char *servers = text_with(shop,
        "  log: {host: 'kafka:9092', protocol: kafka}\n"
        "  door: {host: 'shop.example', protocol: wss}\n",
        two_ways);
    char *kafka = text_with(servers,
        "    address: orders.v1\n"
        "    servers: [{$ref: '#/servers/log'}]\n",
        "    address: orders.v1\n"
        "    bindings: {kafka: {partitions: 3}}\n");
    char *both = text_with(kafka,
        "    address: /\n"
        "    servers: [{$ref: '#/servers/door'}]\n",
        "    address: /\n"
        "    servers: []\n"
        "    bindings: {ws: {}}\n");
    struct catalogue *c = catalogue_from_text(both);
    const struct topic *topics;
    const struct lane *lanes;
    assert_int_equal(catalogue_topics(c, &topics), 2);
    assert_int_equal(catalogue_lanes(c, &lanes), 2);
    assert_slice(lanes[0].address, "/");
    catalogue_release(c);
    free(servers);
    free(kafka);
    free(both);
}

static void check_accepted(const char *find, const char *replace)
{
    char *text = text_with(shop, find, replace);
    catalogue_release(catalogue_from_text(text));
    free(text);
}

static void other_spellings_mean_the_same(void **state)
{
    (void)state;
    check_accepted("asyncapi: 3.0.0", "asyncapi: '3.0.7'");
    /* a constant name below a pattern */
    check_accepted("to: [admin-orders, 'city-{order.city}-orders']", "to: [city-17-orders]");
    /* the reference to a component that just one Kafka channel has */
    check_accepted("        - {$ref: '#/channels/orders/messages/orderChanged'}\n",
        "        - {$ref: '#/channels/orders/messages/order.deleted'}\n");
    check_accepted("params: ['{user.id}']", "params: 'u-{user.id}-{token.user}'");
    check_accepted("SELECT city_id FROM cities WHERE user_id = $1", "SELECT ''$9'' WHERE user_id = $1");
    check_accepted("      allow: [{}]\n", "      allow: {}\n");
    /* the same shape on lanes that never meet */
    check_accepted("    feed:\n      join: automatic\n",
        "    task:{id}:\n      join: request\n      channels: [feed]\n      allow: [{}]\n"
        "    feed:\n      join: automatic\n");
}

static void a_topic_without_operations_is_not_wanted(void **state)
{
    (void)state;
    char *text = text_with(
        shop, "#/channels/archive/messages/orderCreated", "#/channels/orders/messages/orderCreated");
    struct catalogue *c = catalogue_from_text(text);
    assert_false(catalogue_find_topic(c, SLICE("archive.v1"))->wanted);
    assert_true(catalogue_find_topic(c, SLICE("orders.v1"))->wanted);
    catalogue_release(c);
    free(text);
}

/* --- faults --- */

static void documents_that_are_nothing_of_the_kind_are_refused(void **state)
{
    (void)state;
    static const char *const table[] = {"[]\n", "3\n", "asyncapi: 3.0.0\n", "asyncapi: 3.0.0\nchannels: []\n",
        "asyncapi: 3.0.0\nchannels: {}\noperations: 3\nx-causeway: []\n",
        "asyncapi: 3.0.0\nchannels: {a: {address: b, messages: 3, servers: 4}}\nx-causeway: {lookups: [], "
        "rooms: 3}\n",
        "asyncapi: 3.0.0\nchannels: {}\noperations: {a: 3, b: {}, c: {channel: x}}\n"
        "x-causeway: {principal: 3, lookups: {a: null, b: 3}, rooms: {a: null, b: 3, c: {allow: [null]}}}\n"};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct catalogue_faults faults = {0};
        assert_null(catalogue_try_text(table[i], &faults));
        assert_true(faults.count > 0);
        catalogue_faults_finish(&faults);
    }
}

/* Two names with one hash on one lane would make two events one. */
static void names_with_the_same_hash_are_refused(void **state)
{
    (void)state;
    struct map *seen = map_create();
    char name[32] = "", first[32] = "";
    for (unsigned i = 0; first[0] == '\0'; i++) {
        snprintf(name, sizeof name, "op%u", i);
        uint32_t hash = operation_name_hash(slice_of(name));
        const char *other =
            map_set(seen, (struct slice){(const char *)&hash, sizeof hash}, (void *)(uintptr_t)(i + 1));
        if (other)
            snprintf(first, sizeof first, "op%u", (unsigned)(uintptr_t)other - 1);
    }
    map_destroy(seen);
    char to[64], expected[160];
    struct catalogue_faults faults = {0};
    snprintf(to, sizeof to, "  %s:\n    action", first);
    char *one = text_with(shop, "  sendNewOrder:\n    action", to);
    snprintf(to, sizeof to, "  %s:\n    action", name);
    char *two = text_with(one, "  sendOrderCreated:\n    action", to);
    assert_null(catalogue_try_text(two, &faults));
    snprintf(expected, sizeof expected, "operations '%s' and '%s' have names with the same hash; rename one",
        first, name);
    assert_int_equal(faults.count, 1);
    assert_non_null(strstr(buffer_text(&faults.text), expected));
    catalogue_faults_finish(&faults);
    free(two);
    /* on different lanes they never meet */
    two = text_with(one, "  sendPost:\n    action", to);
    catalogue_release(catalogue_from_text(two));
    free(one);
    free(two);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(channels_become_topics_and_lanes_by_their_servers),
        cmocka_unit_test(operations_are_those_with_x_causeway),
        cmocka_unit_test(name_hashes_never_change),
        cmocka_unit_test(messages_know_their_operations_in_document_order),
        cmocka_unit_test(rooms_have_rules_lookups_and_lanes),
        cmocka_unit_test(a_catalogue_lives_until_its_last_holder_lets_go),
        cmocka_unit_test(bindings_decide_when_servers_do_not),
        cmocka_unit_test(other_spellings_mean_the_same),
        cmocka_unit_test(a_topic_without_operations_is_not_wanted),
        cmocka_unit_test(documents_that_are_nothing_of_the_kind_are_refused),
        cmocka_unit_test(names_with_the_same_hash_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
