/* What may be wrong with a document, and where it is said to be. */
#include "catalogue_stage.h"

#include "catalogue_text.h"

#include <stdio.h>
#include <stdlib.h>

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
        {"      ephemeral: true\n", "      ack: maybe\n", "      ack:",
            "ack of operation 'sendNewOrder' must be required; without it nothing is to be acknowledged"},
        {"      ephemeral: true\n", "      ack: true\n", "      ack:",
            "ack of operation 'sendNewOrder' must be required; without it nothing is to be acknowledged"},
        {"      ephemeral: true\n", "      ephemeral: true\n      ack: required\n", "      ack:",
            "operation 'sendNewOrder' is ephemeral, so it is never repeated; leave out ephemeral or ack"},
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(faults_of_channels),
        cmocka_unit_test(faults_of_validation),
        cmocka_unit_test(faults_of_operations),
        cmocka_unit_test(faults_of_lookups),
        cmocka_unit_test(faults_of_rooms),
        cmocka_unit_test(all_faults_are_told_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
