/* What a catalogue says of clients beyond plain WebSocket: dialects, and names for commands. */
#include "unit.h"

#include "catalogue_text.h"
#include "causeway/template.h"

static const char tasks[] =
    "asyncapi: 3.0.0\n"
    "servers:\n"
    "  kafka: {host: h, protocol: kafka}\n"
    "  clients: {host: h, protocol: ws}\n"
    "channels:\n"
    "  tasks:\n"
    "    address: tasks.v1\n"
    "    servers: [{$ref: '#/servers/kafka'}]\n"
    "    messages:\n"
    "      task.updated: {payload: {type: object}}\n"
    "  plain:\n"
    "    address: /\n"
    "    servers: [{$ref: '#/servers/clients'}]\n"
    "  root:\n"
    "    address: /\n"
    "    servers: [{$ref: '#/servers/clients'}]\n"
    "    x-causeway: {dialect: socket.io}\n"
    "    messages:\n"
    "      task.updated: {payload: {type: object}}\n"
    "      subscribe: {name: subscribe.task}\n"
    "      who: {name: 'user:authenticate'}\n"
    "  chat:\n"
    "    address: /chat\n"
    "    servers: [{$ref: '#/servers/clients'}]\n"
    "    x-causeway: {dialect: socket.io}\n"
    "operations:\n"
    "  sendTask:\n"
    "    action: send\n"
    "    channel: {$ref: '#/channels/root'}\n"
    "    messages: [{$ref: '#/channels/root/messages/task.updated'}]\n"
    "    x-causeway: {from: {$ref: '#/channels/tasks/messages/task.updated'}, to: ['task:{id}']}\n"
    "  subscribeTask:\n"
    "    action: receive\n"
    "    channel: {$ref: '#/channels/root'}\n"
    "    messages: [{$ref: '#/channels/root/messages/subscribe'}]\n"
    "    x-causeway: {command: join-room, room: 'task:{task.id}'}\n"
    "  authenticate:\n"
    "    action: receive\n"
    "    channel: {$ref: '#/channels/root'}\n"
    "    messages: [{$ref: '#/channels/root/messages/who'}]\n"
    "    x-causeway: {command: refresh}\n"
    "x-causeway:\n"
    "  principal: {lookup: user}\n"
    "  lookups:\n"
    "    user: {sql: 'SELECT id FROM users WHERE id::text = $1', params: ['{token.user}']}\n"
    "  rooms:\n"
    "    'task:{id}': {join: request, allow: [{}]}\n";

static void one_address_may_be_a_path_and_a_namespace(void **state)
{
    (void)state;
    struct catalogue *c = catalogue_from_text(tasks);
    const struct lane *path = catalogue_find_lane(c, DIALECT_WEBSOCKET, SLICE("/"));
    const struct lane *root = catalogue_find_lane(c, DIALECT_SOCKETIO, SLICE("/"));
    const struct lane *chat = catalogue_find_lane(c, DIALECT_SOCKETIO, SLICE("/chat"));
    assert_true(path && root && chat && path != root);
    assert_int_equal(path->dialect, DIALECT_WEBSOCKET);
    assert_int_equal(chat->dialect, DIALECT_SOCKETIO);
    assert_null(catalogue_find_lane(c, DIALECT_WEBSOCKET, SLICE("/chat")));
    catalogue_release(c);
}

/* On a path whose twin is a namespace: the namespace knows no repeats, so nobody is to acknowledge there. */
static void only_websocket_clients_are_to_acknowledge(void **state)
{
    (void)state;
    char *twin = text_with(tasks,
        "  root:\n    address: /\n    servers: [{$ref: '#/servers/clients'}]\n    x-causeway: {dialect: "
        "socket.io}\n",
        "  root:\n    address: /both\n    servers: [{$ref: '#/servers/clients'}]\n    x-causeway: "
        "{namespace: true}\n");
    char *asking = text_with(twin, "to: ['task:{id}']}", "to: ['task:{id}'], ack: required}");
    char *alone = text_with(tasks, "to: ['task:{id}']}", "to: ['task:{id}'], ack: required}");
    struct catalogue *both = catalogue_from_text(asking), *sio = catalogue_from_text(alone);
    const struct operation *ops;
    assert_int_equal(catalogue_operations(both, &ops), 2);
    assert_true(ops[0].ack && !ops[1].ack);
    assert_int_equal(ops[0].lane, catalogue_find_lane(both, DIALECT_WEBSOCKET, SLICE("/both"))->index);
    assert_int_equal(catalogue_operations(sio, &ops), 1);
    assert_false(ops[0].ack);
    catalogue_release(both);
    catalogue_release(sio);
    free(twin);
    free(asking);
    free(alone);
}

static void clients_have_names_of_their_own_for_commands(void **state)
{
    (void)state;
    struct catalogue *c = catalogue_from_text(tasks);
    uint16_t root = catalogue_find_lane(c, DIALECT_SOCKETIO, SLICE("/"))->index;
    uint16_t chat = catalogue_find_lane(c, DIALECT_SOCKETIO, SLICE("/chat"))->index;
    const struct command *subscribe = catalogue_find_command(c, root, SLICE("subscribe.task"));
    assert_slice(subscribe->name, "join-room");
    assert_slice(template_text(subscribe->room), "task:{task.id}");
    const struct command *who = catalogue_find_command(c, root, SLICE("user:authenticate"));
    assert_slice(who->name, "refresh");
    assert_null(who->room);
    assert_null(catalogue_find_command(c, chat, SLICE("subscribe.task")));
    assert_null(catalogue_find_command(c, root, SLICE("join-room")));
    catalogue_release(c);
}

static void assert_fault(const char *find, const char *replace, const char *expected)
{
    struct catalogue_faults faults = {0};
    char *text = text_with(tasks, find, replace);
    assert_null(catalogue_try_text(text, &faults));
    if (!strstr(buffer_text(&faults.text), expected))
        fail_msg("'%s' gives\n%s\ninstead of\n%s", replace, buffer_text(&faults.text), expected);
    catalogue_faults_finish(&faults);
    free(text);
}

static void faults_say_what_would_be_right(void **state)
{
    (void)state;
    static const char join[] = "{command: join-room, room: 'task:{task.id}'}";
    assert_fault("    address: /chat\n", "    address: /\n", "two channels have the address '/'; put their");
    assert_fault("    x-causeway: {dialect: socket.io}\n    messages",
        "    x-causeway: {dialect: sockjs}\n    messages",
        "dialect is 'sockjs'; it must be websocket or socket.io");
    assert_fault("    x-causeway: {dialect: socket.io}\noperations",
        "    x-causeway: {dialect: socket.io, payload: body}\noperations",
        "payload is for plain WebSocket; Socket.IO has its own form of messages");
    assert_fault(join, "{command: joinroom}",
        "command is 'joinroom'; it must be join-room, leave-room, refresh or ping");
    assert_fault(join, "{room: 'task:{id}'}", "command is missing; it must be a text");
    assert_fault(join, "{command: ping, room: 'task:{id}'}", "command 'ping' is about no room");
    assert_fault(
        join, "{command: join-room, room: 'task:{ids[]}'}", "{ids[]} names no one member of the data");
    assert_fault(join, "{command: join-room, room: 'task:{$key}'}", "{$key} names no one member of the data");
    assert_fault(join, "{command: join-room, rom: 'task:{id}'}", "has no member 'rom'");
    assert_fault("'user:authenticate'", "subscribe.task", "two operations receive 'subscribe.task' here");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_address_may_be_a_path_and_a_namespace),
        cmocka_unit_test(only_websocket_clients_are_to_acknowledge),
        cmocka_unit_test(clients_have_names_of_their_own_for_commands),
        cmocka_unit_test(faults_say_what_would_be_right),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
