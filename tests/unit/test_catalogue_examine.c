/* What `causeway check` finds in a document that would run. */
#include "unit.h"

#include "catalogue_text.h"

static const char shop[] =
    "asyncapi: 3.0.0\n"
    "servers: {log: {host: k, protocol: kafka}, door: {host: h, protocol: ws}}\n"
    "channels:\n"
    "  orders:\n"
    "    address: orders.v1\n"
    "    servers: [{$ref: '#/servers/log'}]\n"
    "    messages: {created: {$ref: '#/components/messages/created'}}\n"
    "  clients:\n"
    "    address: /\n"
    "    servers: [{$ref: '#/servers/door'}]\n"
    "    messages: {newOrder: {name: new-order, payload: {type: object}}, pong: {name: pong}}\n"
    "operations:\n"
    "  sendNewOrder:\n"
    "    action: send\n"
    "    channel: {$ref: '#/channels/clients'}\n"
    "    messages: [{$ref: '#/channels/clients/messages/newOrder'}]\n"
    "    x-causeway:\n"
    "      from: {$ref: '#/channels/orders/messages/created'}\n"
    "      to: ['city-{city.id}', 'user-{people[].user}', 'user-{$headers.user_id}', 'user-{$key}']\n"
    "      except: ['user-{actor?}']\n"
    "  sendPong:\n"
    "    action: send\n"
    "    channel: {$ref: '#/channels/clients'}\n"
    "    messages: [{$ref: '#/channels/clients/messages/pong'}]\n"
    "components:\n"
    "  messages:\n"
    "    created:\n"
    "      name: order.created\n"
    "      headers: {type: object, required: [user_id], properties: {user_id: {type: string}}}\n"
    "      payload:\n"
    "        type: object\n"
    "        required: [city, people]\n"
    "        allOf: [{properties: {actor: {type: [string, 'null']}}}]\n"
    "        properties:\n"
    "          city: {type: object, required: [id], properties: {id: {type: integer}}}\n"
    "          people: {type: array, items: {type: object, required: [user], properties: {user: {type: "
    "string}}}}\n"
    "      examples:\n"
    "        - name: one\n"
    "          headers: {ce_type: order.created, user_id: '1'}\n"
    "          payload: {city: {id: 1}, people: [{user: a}]}\n"
    "x-causeway:\n"
    "  principal: {lookup: user}\n"
    "  lookups: {user: {sql: 'SELECT $1', params: ['{token.user}']}}\n"
    "  rooms:\n"
    "    'city-{city_id}': {join: request, allow: [{}]}\n"
    "    'user-{user_id}': {join: request, allow: [{}]}\n";

static struct catalogue *check(const char *yaml, struct catalogue_faults *faults)
{
    struct document *d = document_from_text(yaml);
    struct catalogue *c = catalogue_check(d, faults);
    document_destroy(d);
    return c;
}

static void a_good_document_has_no_fault(void **state)
{
    (void)state;
    struct catalogue_faults faults = {0};
    struct catalogue *c = check(shop, &faults);
    if (!c)
        fail_msg("%s", buffer_text(&faults.text));
    catalogue_release(c);
    catalogue_faults_finish(&faults);
}

static void each_fault_is_told_with_its_place(void **state)
{
    (void)state;
    static const struct {
        const char *find, *replace, *pointer, *fault;
    } table[] = {
        /* examples */
        {"{city: {id: 1}", "{city: {id: one}", ": #/components/messages/created/examples/0/payload: ",
            "example 'one' of message 'order.created' breaks its schema at '/city/id': is a string; it must "
            "be a whole "
            "number (type, "},
        {"user_id: '1'}", "user_id: 1}",
            "/examples/0/headers: ", "breaks its schema at '/user_id': is a number"},
        {"ce_type: order.created", "ce_type: order.made", "/examples/0/headers/ce_type: ",
            "example 'one' has the type 'order.made', but stands at message 'order.created'; they must "
            "agree"},
        /* schemas, whether or not a channel validates */
        {"{type: integer}", "{type: integer, format: color}",
            "/city/properties/id/format: ", "format 'color' is none that is checked"},
        {"{name: new-order, payload: {type: object}}", "{name: new-order, payload: {enum: [a, b]}}",
            "#/channels/clients/messages/newOrder/payload: ",
            "the payload of message 'new-order' may be a bare string; wrap it in an object"},
        /* fields */
        {"'city-{city.id}'", "'city-{city.idd}'", ": #/operations/sendNewOrder/x-causeway/to/0: ",
            "{city.idd}: the payload of 'order.created' has no 'idd' (nearest is 'id'); name a field of its "
            "schema"},
        {"'city-{city.id}'", "'city-{city}'",
            "/to/0: ", "{city} is neither text nor number in the schema of 'order.created'"},
        {"'city-{city.id}'", "'city-{people.user}'", "/to/0: ", "what should have 'user' is no object"},
        {"'city-{city.id}'", "'city-{actor}'", "/to/0: ",
            "{actor}: the schema of 'order.created' does not require 'actor', and records without it are "
            "rejected; "
            "require it, or write {actor?}"},
        {"'user-{people[].user}'", "'user-{city[].id}'", "/to/1: ",
            "{city[].id}: 'city' is no array in the schema of 'order.created'; write it without []"},
        {"'user-{people[].user}'", "'user-{people[].name}'", "/to/1: ", "has no 'name' (nearest is 'user')"},
        {"'user-{$headers.user_id}'", "'user-{$headers.user}'", "/to/2: ",
            "{$headers.user}: the headers of 'order.created' has no 'user' (nearest is 'user_id')"},
        {"{actor?}", "{aktor?}", "/except/0: ", "has no 'aktor'"},
        /* routes */
        {"      except: ['user-{actor?}']\n",
            "      except: ['city-{city.id}', 'user-{people[].user}', 'user-{$headers.user_id}', "
            "'user-{$key}']\n",
            "/x-causeway/except: ",
            "nobody can receive what operation 'sendNewOrder' sends: all rooms of to are in except"},
        {"  sendPong:\n",
            "  sendAgain:\n    action: send\n    channel: {$ref: '#/channels/clients'}\n    messages: "
            "[{$ref: "
            "'#/channels/clients/messages/newOrder'}]\n    x-causeway: {from: {$ref: "
            "'#/channels/orders/messages/created'}, to: ['user-{$key}']}\n  sendPong:\n",
            ": #/operations/sendAgain: ",
            "operations 'sendNewOrder' and 'sendAgain' both send \"new-order\" for 'order.created'"},
        {"pong: {name: pong}}", "pong: {name: pong}, ping: {name: ping}}",
            ": #/channels/clients/messages/ping: ",
            "nobody can receive 'ping': no operation sends it; add one, or take it out of channel 'clients'"},
        {"{created: {$ref: '#/components/messages/created'}}",
            "{created: {$ref: '#/components/messages/created'}, gone: {name: order.gone}}",
            ": #/channels/orders/messages/gone: ",
            "nobody can receive 'order.gone': no operation has it as its from"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct catalogue_faults faults = {0};
        char *text = text_with(shop, table[i].find, table[i].replace);
        struct catalogue *c = check(text, &faults);
        const char *said = buffer_text(&faults.text);
        if (c || faults.count != 1 || !strstr(said, table[i].pointer) || !strstr(said, table[i].fault))
            fail_msg(
                "'%s' gives\n%sinstead of\n%s%s", table[i].replace, said, table[i].pointer, table[i].fault);
        catalogue_faults_finish(&faults);
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_document_has_no_fault),
        cmocka_unit_test(each_fault_is_told_with_its_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
