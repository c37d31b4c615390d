#include "unit.h"

#include "catalogue_text.h"

#include "causeway/map.h"
#include "causeway/template.h"

/* Each fault test changes one place of this document. */
static const char shop[] =
    "asyncapi: 3.0.0\n"
    "info: {title: shop, version: 1.0.0}\n"
    "servers:\n"
    "  log: {host: 'kafka:9092', protocol: kafka}\n"
    "  door: {host: 'shop.example', protocol: wss}\n"
    "  web: {host: 'shop.example', protocol: https}\n"
    "channels:\n"
    "  orders:\n"
    "    address: orders.v1\n"
    "    servers: [{$ref: '#/servers/log'}]\n"
    "    x-causeway: {tombstone: order.deleted}\n"
    "    messages:\n"
    "      orderCreated: {$ref: '#/components/messages/orderCreated'}\n"
    "      orderChanged: {name: order.changed}\n"
    "      order.deleted: {summary: gone}\n"
    "  archive:\n"
    "    address: archive.v1\n"
    "    servers: [{$ref: '#/servers/log'}]\n"
    "    messages:\n"
    "      orderCreated: {$ref: '#/components/messages/orderCreated'}\n"
    "  clients:\n"
    "    address: /\n"
    "    servers: [{$ref: '#/servers/door'}]\n"
    "    messages:\n"
    "      newOrder: {name: new-order, payload: {type: object}}\n"
    "      orderCreated: {name: 'order \"created\"'}\n"
    "      pong: {name: pong}\n"
    "  feed:\n"
    "    address: /post/feed\n"
    "    servers: [{$ref: '#/servers/door'}]\n"
    "    x-causeway: {payload: body}\n"
    "    messages:\n"
    "      post: {name: post}\n"
    "  pages:\n"
    "    address: /pages/{page}\n"
    "    servers: [{$ref: '#/servers/web'}]\n"
    "operations:\n"
    "  sendNewOrder:\n"
    "    action: send\n"
    "    channel: {$ref: '#/channels/clients'}\n"
    "    messages: [{$ref: '#/channels/clients/messages/newOrder'}]\n"
    "    x-causeway:\n"
    "      from: {$ref: '#/channels/orders/messages/orderCreated'}\n"
    "      to: [admin-orders, 'city-{order.city}-orders']\n"
    "      except: ['user-{actor_id?}']\n"
    "      ephemeral: true\n"
    "  sendOrderCreated:\n"
    "    action: send\n"
    "    channel: {$ref: '#/channels/clients'}\n"
    "    messages: [{$ref: '#/channels/clients/messages/orderCreated'}]\n"
    "    x-causeway:\n"
    "      from:\n"
    "        - {$ref: '#/channels/orders/messages/orderCreated'}\n"
    "        - {$ref: '#/channels/orders/messages/orderChanged'}\n"
    "      to: 'user-{$headers.user_id}'\n"
    "  sendPost:\n"
    "    action: send\n"
    "    channel: {$ref: '#/channels/feed'}\n"
    "    x-causeway:\n"
    "      from: {$ref: '#/channels/archive/messages/orderCreated'}\n"
    "      to: [feed]\n"
    "  sendPong:\n"
    "    action: send\n"
    "    channel: {$ref: '#/channels/clients'}\n"
    "    messages: [{$ref: '#/channels/clients/messages/pong'}]\n"
    "  publishOrders:\n"
    "    action: receive\n"
    "    channel: {$ref: '#/channels/orders'}\n"
    "components:\n"
    "  messages:\n"
    "    orderCreated: {name: order.created, payload: {type: object}}\n"
    "x-causeway:\n"
    "  principal: {lookup: user}\n"
    "  lookups:\n"
    "    user: {sql: 'SELECT id, role FROM users WHERE id::text = $1', params: ['{token.user}']}\n"
    "    cities: {sql: 'SELECT city_id FROM cities WHERE user_id = $1', params: ['{user.id}']}\n"
    "    member: {sql: 'SELECT 1 FROM members WHERE t = $2 AND u = $1', params: ['{user.id}', "
    "'{room.taskId}']}\n"
    "  rooms:\n"
    "    admin-orders:\n"
    "      join: automatic\n"
    "      allow:\n"
    "        - when: {role: [admin, ceo], level: 3}\n"
    "    city-{city_id}-orders:\n"
    "      join: automatic\n"
    "      allow:\n"
    "        - when: {role: manager}\n"
    "          lookup: cities\n"
    "        - when: {role: admin}\n"
    "          join: request\n"
    "    user-{user_id}:\n"
    "      join: automatic\n"
    "      allow:\n"
    "        - with: {user_id: '{user.id}'}\n"
    "    task:{taskId}:\n"
    "      join: request\n"
    "      channels: [{$ref: '#/channels/clients'}]\n"
    "      allow:\n"
    "        - lookup: member\n"
    "    feed:\n"
    "      join: automatic\n"
    "      channels: [feed]\n"
    "      allow: [{}]\n";

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

/* `at` is the beginning of the text whose line the fault must name, in the changed document; NULL: any line.
 */
struct fault_case {
    const char *find, *replace, *at, *fault;
};

static int line_of(const char *text, const char *part)
{
    const char *at = strstr(text, part);
    if (!at)
        fail_msg("'%s' is not there", part);
    int line = 1;
    for (; text < at; text++)
        line += *text == '\n';
    return line;
}

static void check_fault(const struct fault_case *f)
{
    struct catalogue_faults faults = {0};
    char *text = text_with(shop, f->find, f->replace), place[64] = "", expected[512];
    struct catalogue *c = catalogue_try_text(text, &faults);
    if (c)
        fail_msg("accepted: '%s'", f->replace);
    if (f->at)
        snprintf(place, sizeof place, ".yaml:%d: #", line_of(text, f->at));
    snprintf(expected, sizeof expected, ": %s\n", f->fault);
    if (faults.count != 1 || !strstr(buffer_text(&faults.text), place) ||
        !strstr(buffer_text(&faults.text), expected))
        fail_msg("'%s' gives\n%sinstead of\n%s", f->replace, buffer_text(&faults.text), expected);
    catalogue_faults_finish(&faults);
    free(text);
}

static void check_faults(const struct fault_case *table, size_t count)
{
    for (size_t i = 0; i < count; i++)
        check_fault(&table[i]);
}

static void faults_of_channels(void **state)
{
    (void)state;
    static const struct fault_case table[] = {
        {"asyncapi: 3.0.0", "asyncapi: 2.6.0",
            "asyncapi:", "asyncapi is '2.6.0'; this program reads AsyncAPI 3.0.x, such as 3.0.0"},
        {"asyncapi: 3.0.0\n", "", NULL, "asyncapi is ''; this program reads AsyncAPI 3.0.x, such as 3.0.0"},
        {"    address: archive.v1\n    servers: [{$ref: '#/servers/log'}]\n", "    address: archive.v1\n",
            "    address: archive.v1",
            "channel 'archive' may be Kafka or WebSocket; name its servers, or give it bindings.kafka or "
            "bindings.ws"},
        {"    address: /\n    servers: [{$ref: '#/servers/door'}]\n",
            "    address: /\n    servers: [{$ref: '#/servers/door'}, {$ref: '#/servers/gone'}]\n", NULL,
            "channel 'clients' names a server that is not there; servers holds {$ref: '#/servers/<name>'}"},
        {"address: archive.v1", "address: orders.v1", NULL,
            "two channels have the address 'orders.v1'; put their messages into one"},
        {"address: /post/feed", "address: /", NULL,
            "two channels have the address '/'; put their messages into one"},
        {"address: /post/feed", "address: post", "address: post",
            "address 'post' is no URL path; it begins with '/'"},
        {"address: archive.v1", "address: archive.{v}", NULL,
            "address 'archive.{v}' has parameters; a channel here has one fixed address"},
        {"    address: archive.v1\n", "", NULL, "the address of a channel is missing; it must be a text"},
        {"address: archive.v1", "address: [a]", NULL,
            "the address of a channel is no text; it must be a text"},
        {"{tombstone: order.deleted}", "{tombstone: order.gone}", "    x-causeway: {tombstone",
            "channel 'orders' has no message named 'order.gone'; tombstone names one of its messages"},
        {"{tombstone: order.deleted}", "{tombstone: order.deleted, validation: strict}", NULL,
            "validation is 'strict'; it must be off, warn or enforce"},
        {"{tombstone: order.deleted}", "{tombstne: order.deleted}", NULL,
            "x-causeway of a Kafka channel has no member 'tombstne'; the nearest known name is 'tombstone'"},
        {"{payload: body}", "{playload: body}", NULL,
            "x-causeway of a WebSocket channel has no member 'playload'; the nearest known name is "
            "'payload'"},
        {"{payload: body}", "{payload: id}", NULL,
            "the member 'id' has a meaning of its own; choose another for the payload"},
        {"{payload: body}", "[payload]", NULL,
            "x-causeway of a WebSocket channel is no map; it has members such as 'dialect'"},
        {"{summary: gone}", "{summary: gone}\n      twin: {name: order.changed}", "      twin",
            "channel 'orders' has two messages named 'order.changed'; each name is one kind of record"},
        {"{summary: gone}", "{summary: gone}\n      orderMoved: {$ref: '#/components/messages/gone'}", NULL,
            "message 'orderMoved' of channel 'orders' is not there; it must be a map or a $ref to one"},
        {"{name: order.changed}", "{name: order.changed, payload: {type: [object, string]}}", NULL,
            "the payload of message 'order.changed' is a bare string; wrap it in an object"},
        {"{name: new-order, payload: {type: object}}",
            "{name: new-order, payload: {schemaFormat: 'application/schema+json', schema: {type: string}}}",
            NULL, "the payload of message 'new-order' is a bare string; wrap it in an object"},
        {"  pages:\n", "  shelf: 3\n  pages:\n", "  shelf: 3",
            "channel 'shelf' is no map; it has address and messages"},
    };
    check_faults(table, sizeof table / sizeof *table);
}

/* A schema counts where its channel asks for validation, and nowhere else. */
static void faults_of_validation(void **state)
{
    (void)state;
    static const struct {
        const char *payload, *fault;
    } table[] = {
        {"", "message 'order.created' has no schema of its payload, so validation has nothing to go by; "
             "describe the "
             "payload"},
        {", payload: {type: objekt}",
            "type 'objekt' is unknown; there are null, boolean, integer, number, string, array, object"},
        {", payload: {items: {format: color}}", "format 'color' is none that is checked"},
        {", payload: {schemaFormat: 'application/vnd.apache.avro+json', schema: {type: record}}",
            "payloads of schemaFormat 'application/vnd.apache.avro+json' are not validated; it must be "
            "application/schema+json;version=draft-07"},
    };
    char *on = text_with(shop, "    address: archive.v1\n",
        "    address: archive.v1\n    x-causeway: {validation: enforce}\n");
    catalogue_release(catalogue_from_text(on));
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct catalogue_faults faults = {0};
        const char *find = "order.created, payload: {type: object}";
        char replace[256];
        snprintf(replace, sizeof replace, "order.created%s", table[i].payload);
        char *off = text_with(shop, find, replace), *wrong = text_with(on, find, replace);
        catalogue_release(catalogue_from_text(off));
        assert_null(catalogue_try_text(wrong, &faults));
        if (faults.count != 1 || !strstr(buffer_text(&faults.text), table[i].fault))
            fail_msg("'%s' gives\n%s", table[i].payload, buffer_text(&faults.text));
        catalogue_faults_finish(&faults);
        free(off);
        free(wrong);
    }
    free(on);
}

static void faults_of_operations(void **state)
{
    (void)state;
    static const struct fault_case table[] = {
        {"      from: {$ref: '#/channels/orders/messages/orderCreated'}\n      to: [admin",
            "      from: {$ref: '#/channels/orders/messages/gone'}\n      to: [admin",
            "      from: {$ref: '#/channels/orders/messages/gone",
            "from of operation 'sendNewOrder' points at no message of a channel; it must be {$ref: "
            "'#/channels/<Kafka channel>/messages/<message>'}"},
        {"      from: {$ref: '#/channels/orders/messages/orderCreated'}\n      to: [admin",
            "      from: {$ref: '#/channels/clients/messages/pong'}\n      to: [admin", NULL,
            "from of operation 'sendNewOrder' points at a message of a channel that is not Kafka; it must be "
            "{$ref: '#/channels/<Kafka channel>/messages/<message>'}"},
        {"      from: {$ref: '#/channels/orders/messages/orderCreated'}\n      to: [admin",
            "      from: {$ref: '#/components/messages/orderCreated'}\n      to: [admin", NULL,
            "from of operation 'sendNewOrder' points at a message that several channels have; it must be "
            "{$ref: "
            "'#/channels/<Kafka channel>/messages/<message>'}"},
        {"      from: {$ref: '#/channels/orders/messages/orderCreated'}\n      to: [admin",
            "      to: [admin", NULL,
            "operation 'sendNewOrder' has no from; from is the Kafka message it carries"},
        {"        - {$ref: '#/channels/orders/messages/orderChanged'}\n",
            "        - {$ref: '#/channels/orders/messages/orderCreated'}\n", NULL,
            "from of operation 'sendOrderCreated' names message 'order.created' twice; once is enough"},
        {"to: [admin-orders, 'city-{order.city}-orders']", "to: [admin-orders, 'city-{order.city}']",
            "      to: [admin-orders, 'city-{order.city}']",
            "no room pattern matches 'city-{order.city}' here; declare it in x-causeway.rooms"},
        {"to: [admin-orders, 'city-{order.city}-orders']", "to: [admin-order]", NULL,
            "no room pattern matches 'admin-order' here; declare it in x-causeway.rooms"},
        {"to: [feed]", "to: ['task:{id}']", NULL,
            "no room pattern matches 'task:{id}' here; declare it in x-causeway.rooms"},
        {"except: ['user-{actor_id?}']", "except: ['actor-{actor_id?}']", "      except:",
            "no room pattern matches 'actor-{actor_id?}' here; declare it in x-causeway.rooms"},
        {"to: [feed]", "to: []", NULL, "operation 'sendPost' has no to; to lists the rooms it goes to"},
        {"      to: [feed]\n", "", NULL, "operation 'sendPost' has no to; to lists the rooms it goes to"},
        {"to: [feed]", "to: [feed, [feed]]", NULL, "to is no text; it must be a text"},
        {"'user-{$headers.user_id}'", "'user-{user_id'", NULL,
            "to 'user-{user_id' has a '{' without '}'; a template is text with {placeholders} such as "
            "'city-{city_id}'"},
        {"'user-{$headers.user_id}'", "'user-{$header.user_id}'", "      to: 'user-{$header.user_id}'",
            "{$header.user_id} is nothing that records have; use {field}, {$key}, {$headers.name} or "
            "{$record.field}"},
        {"'user-{$headers.user_id}'", "'user-{$key.a}'", NULL,
            "{$key.a} is nothing that records have; use {field}, {$key}, {$headers.name} or {$record.field}"},
        {"'user-{$headers.user_id}'", "'user-{$headers.a[]}'", NULL,
            "{$headers.a[]} is nothing that records have; use {field}, {$key}, {$headers.name} or "
            "{$record.field}"},
        {"'user-{$headers.user_id}'", "'user-{$record}'", NULL,
            "{$record} is nothing that records have; use {field}, {$key}, {$headers.name} or "
            "{$record.field}"},
        {"      ephemeral: true\n", "      ephemeral: sometimes\n",
            "      ephemeral:", "ephemeral is no truth value; it must be true or false"},
        {"      ephemeral: true\n", "      ephemral: true\n", "      ephemral:",
            "x-causeway of an operation has no member 'ephemral'; the nearest known name is 'ephemeral'"},
        {"    messages: [{$ref: '#/channels/clients/messages/newOrder'}]\n", "", NULL,
            "operation 'sendNewOrder' has 3 messages; with x-causeway it has exactly one"},
        {"    messages: [{$ref: '#/channels/clients/messages/newOrder'}]\n",
            "    messages: [{$ref: '#/channels/clients/messages/newOrder'}, {$ref: "
            "'#/channels/clients/messages/pong'}]\n",
            NULL, "operation 'sendNewOrder' has 2 messages; with x-causeway it has exactly one"},
        {"    messages: [{$ref: '#/channels/clients/messages/newOrder'}]\n",
            "    messages: [{$ref: '#/channels/feed/messages/post'}]\n", NULL,
            "the message of operation 'sendNewOrder' is none of its channel 'clients'; it must be {$ref: "
            "'#/channels/clients/messages/<message>'}"},
        {"    channel: {$ref: '#/channels/feed'}\n", "    channel: {$ref: '#/channels/food'}\n",
            "    channel: {$ref: '#/channels/food'}",
            "the channel of operation 'sendPost' is not there; it must be {$ref: '#/channels/<name>'}"},
        {"    channel: {$ref: '#/channels/feed'}\n", "    channel: {$ref: '#/channels/archive'}\n", NULL,
            "operation 'sendPost' has x-causeway but no WebSocket channel; only what clients get or send has "
            "it"},
        {"    action: receive\n", "    action: get\n", NULL,
            "action of operation 'publishOrders' is 'get'; it must be send or receive"},
    };
    check_faults(table, sizeof table / sizeof *table);
}

static void faults_of_lookups(void **state)
{
    (void)state;
    static const struct fault_case table[] = {
        {"  principal: {lookup: user}\n", "", NULL,
            "principal is missing; principal: {lookup: <name>} says who a user is"},
        {"{lookup: user}", "{lookup: usr}",
            "  principal:", "there is no lookup 'usr'; declare it in x-causeway.lookups"},
        {"{lookup: user}", "{loookup: user, lookup: user}", NULL,
            "principal has no member 'loookup'; the nearest known name is 'lookup'"},
        {"{lookup: user}", "{lookup: cities}",
            "  principal:", "the principal's lookup cannot use '{user.id}'; all it knows is {token.user}"},
        {"['{token.user}']", "['{token.role}']", NULL,
            "{token.role} is nothing that is known here; use {token.user}, {user.<column>} or, in lookups, "
            "{room.<placeholder>}"},
        {"params: ['{user.id}']", "params: ['{id}']", NULL,
            "{id} is nothing that is known here; use {token.user}, {user.<column>} or, in lookups, "
            "{room.<placeholder>}"},
        {"params: ['{user.id}']", "params: ['{user.id?}']", NULL,
            "{user.id} is nothing that is known here; use {token.user}, {user.<column>} or, in lookups, "
            "{room.<placeholder>}"},
        {"params: ['{user.id}']", "params: ['{user.ids[]}']", NULL,
            "{user.ids[]} is nothing that is known here; use {token.user}, {user.<column>} or, in lookups, "
            "{room.<placeholder>}"},
        {"params: ['{user.id}']", "params: ['{user.id']", NULL,
            "a parameter '{user.id' has a '{' without '}'; a template is text with {placeholders} such as "
            "'city-{city_id}'"},
        {"params: ['{user.id}']", "params: []", "    cities:",
            "the sql of lookup 'cities' uses parameters up to $1 but params has 0; they must agree"},
        {"params: ['{user.id}']", "param: '', params: ['{user.id}']", NULL,
            "a lookup has no member 'param'; the nearest known name is 'params'"},
        {"sql: 'SELECT city_id FROM cities WHERE user_id = $1', params: ['{user.id}']", "params: []",
            "    cities:", "sql is missing; it must be a text"},
        {"  rooms:\n", "  room: {}\n  rooms:\n", NULL,
            "x-causeway of the document has no member 'room'; the nearest known name is 'rooms'"},
    };
    check_faults(table, sizeof table / sizeof *table);
}

static void faults_of_rooms(void **state)
{
    (void)state;
    static const struct fault_case table[] = {
        {"lookup: cities", "lookup: city", "          lookup: city",
            "there is no lookup 'city'; declare it in x-causeway.lookups"},
        {"lookup: cities", "lookup: member", NULL,
            "lookup 'member' uses {room.taskId}, but an automatic rule has no room yet; use join: request"},
        {"          join: request\n", "          lookup: member\n          join: request\n",
            "        - when: {role: admin}",
            "lookup 'member' uses {room.taskId}, but room 'city-{city_id}-orders' has no such placeholder; "
            "name one "
            "of its own"},
        {"          lookup: cities\n", "", "        - when: {role: manager}",
            "nothing fills {city_id} of the automatic room 'city-{city_id}-orders'; use with or a lookup "
            "with that "
            "column"},
        {"        - with: {user_id: '{user.id}'}\n", "        - {}\n", "        - {}",
            "nothing fills {user_id} of the automatic room 'user-{user_id}'; use with or a lookup with that "
            "column"},
        {"with: {user_id: '{user.id}'}", "with: {userId: '{user.id}'}", NULL,
            "room 'user-{user_id}' has no placeholder {userId}; with fills placeholders of the room"},
        {"with: {user_id: '{user.id}'}", "with: {user_id: '{room.user_id}'}", NULL,
            "with cannot fill a room from {room.*}; use {user.<column>} or {token.user}"},
        {"with: {user_id: '{user.id}'}", "with: '{user.id}'", NULL,
            "with is no map; it maps placeholders to texts, such as {user_id: '{user.id}'}"},
        {"when: {role: manager}", "when: manager", "        - when: manager",
            "when is no map; it maps columns of the principal to values, such as {role: admin}"},
        {"when: {role: manager}", "when: {role: []}", NULL,
            "when accepts no value of 'role'; name one value or a list of them"},
        {"when: {role: manager}", "when: {role: null}", NULL,
            "a value of when is no text; it must be a text"},
        {"when: {role: manager}", "whn: {role: manager}", NULL,
            "a rule has no member 'whn'; the nearest known name is 'when'"},
        {"          join: request\n", "          join: never\n", "          join: never",
            "join is 'never'; it must be automatic or request"},
        {"    user-{user_id}:\n      join: automatic\n", "    user-{user_id}:\n", "        - with",
            "join is missing; it must be a text"},
        {"      allow: [{}]\n", "", NULL, "room 'feed' has no rule under allow; nobody could enter it"},
        {"      allow: [{}]\n", "      allow: [everybody]\n", NULL,
            "a rule of room 'feed' is no map; {} allows everybody"},
        {"      channels: [feed]\n", "      channels: [orders, feed]\n", "      channels: [orders, feed]",
            "room 'feed' is on a channel that is no WebSocket channel; channels names some or is left out"},
        {"      channels: [feed]\n", "      channels: [feed]\n      jion: request\n", NULL,
            "a room has no member 'jion'; the nearest known name is 'join'"},
        {"    feed:\n      join: automatic\n",
            "    city-{id}-orders:\n      join: request\n      allow: [{}]\n    feed:\n      join: "
            "automatic\n",
            NULL,
            "rooms 'city-{city_id}-orders' and 'city-{id}-orders' are the same rooms; put the rules of both "
            "under "
            "one"},
        {"    feed:\n      join: automatic\n",
            "    user-{id}-admin:\n      join: request\n      allow: [{}]\n    feed:\n      join: "
            "automatic\n",
            NULL,
            "rooms 'user-{user_id}' and 'user-{id}-admin' overlap: some name could be one of either, and who "
            "may "
            "enter it a guess; part them by a character that placeholders do not take, such as ':'"},
        {"    feed:\n      join: automatic\n",
            "    a-{id}-{id}:\n      join: request\n      allow: [{}]\n    feed:\n      join: automatic\n",
            NULL, "room 'a-{id}-{id}' has {id} twice; give each placeholder a name of its own"},
        {"    feed:\n      join: automatic\n",
            "    a-{x.id}:\n      join: request\n      allow: [{}]\n    feed:\n      join: automatic\n", NULL,
            "{x.id} in room 'a-{x.id}' is no plain name; a room's placeholder is like {city_id}"},
        {"    feed:\n      join: automatic\n",
            "    'a-{id':\n      join: request\n      allow: [{}]\n    feed:\n      join: automatic\n", NULL,
            "room 'a-{id' has a '{' without '}'; a room is text with {placeholders} such as "
            "'city-{city_id}'"},
    };
    check_faults(table, sizeof table / sizeof *table);
}

static void all_faults_are_told_at_once(void **state)
{
    (void)state;
    struct catalogue_faults faults = {0};
    char *one = text_with(shop, "lookup: cities", "lookup: city");
    char *two = text_with(one, "address: archive.v1", "address: orders.v1");
    char *three = text_with(two, "to: [feed]", "to: [food]");
    char *four = text_with(three, "ephemeral: true", "ephemeral: 7");
    assert_null(catalogue_try_text(four, &faults));
    assert_int_equal(faults.count, 4);
    const char *text = buffer_text(&faults.text);
    assert_non_null(strstr(text, "there is no lookup 'city'"));
    assert_non_null(strstr(text, "two channels have the address 'orders.v1'"));
    assert_non_null(strstr(text, "no room pattern matches 'food'"));
    assert_non_null(strstr(text, "ephemeral is no truth value"));
    catalogue_faults_finish(&faults);
    free(one);
    free(two);
    free(three);
    free(four);
}

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
        cmocka_unit_test(faults_of_channels),
        cmocka_unit_test(faults_of_validation),
        cmocka_unit_test(faults_of_operations),
        cmocka_unit_test(faults_of_lookups),
        cmocka_unit_test(faults_of_rooms),
        cmocka_unit_test(all_faults_are_told_at_once),
        cmocka_unit_test(documents_that_are_nothing_of_the_kind_are_refused),
        cmocka_unit_test(names_with_the_same_hash_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
