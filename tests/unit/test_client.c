/* The conversation with one client: no sockets, no frames, and lookups that are answered when the test likes.
 */
#include "unit.h"

#include "catalogue_text.h"

#include "causeway/client.h"

static const char shop[] =
    "asyncapi: 3.0.0\n"
    "servers: {log: {host: k, protocol: kafka}, door: {host: h, protocol: ws}}\n"
    "channels:\n"
    "  orders:\n"
    "    address: orders.v1\n"
    "    servers: [{$ref: '#/servers/log'}]\n"
    "    messages: {created: {name: order.created}}\n"
    "  clients:\n"
    "    address: /\n"
    "    servers: [{$ref: '#/servers/door'}]\n"
    "    messages: {event: {name: event}}\n"
    "operations:\n"
    "  sendEvent:\n"
    "    action: send\n"
    "    channel: {$ref: '#/channels/clients'}\n"
    "    messages: [{$ref: '#/channels/clients/messages/event'}]\n"
    "    x-causeway:\n"
    "      from: {$ref: '#/channels/orders/messages/created'}\n"
    "      to: [admin-orders, 'city-{city_id}-orders', 'user-{user_id}', 'task:{task}', 'open-{x}']\n"
    "x-causeway:\n"
    "  principal: {lookup: user}\n"
    "  lookups:\n"
    "    user: {sql: 'SELECT id, role FROM users WHERE id = $1', params: ['{token.user}']}\n"
    "    cities: {sql: 'SELECT city_id FROM c WHERE u = $1', params: ['{user.id}']}\n"
    "    member: {sql: 'SELECT 1 FROM m WHERE t = $1 AND u = $2', params: ['{room.taskId}', '{user.id}']}\n"
    "  rooms:\n"
    "    admin-orders: {join: automatic, allow: [{when: {role: admin}}]}\n"
    "    city-{city_id}-orders: {join: automatic, allow: [{when: {role: manager}, lookup: cities}]}\n"
    "    user-{user_id}: {join: automatic, allow: [{with: {user_id: '{user.id}'}}]}\n"
    "    task:{taskId}: {join: request, allow: [{when: {role: admin}}, {lookup: member}]}\n"
    "    open-{x}: {join: request, allow: [{}]}\n";

enum { ROOMS_MAX = 50, PENDING_MAX = 256 };

struct pending {
    char name[16];
    char params[600]; /* each in brackets */
    uint64_t tag;
};

struct fixture {
    struct catalogue *catalogue;
    struct rooms *rooms;
    struct hotlog *log;
    struct fanout *fanout;
    struct client *client;
    struct pending pending[PENDING_MAX];
    size_t pending_count;
    struct buffer said; /* all messages and events, in the order they left; cleared by heard() */
    struct buffer token;
    int outcome; /* of the attach; -1: not decided */
    int64_t offset;
    struct json json;
};

/* --- the client's surroundings --- */

static void on_emit(void *owner, const char *type, struct slice data)
{
    struct fixture *x = owner;
    buffer_print(&x->said, data.data ? "%s " : "%s", type);
    buffer_add_slice(&x->said, data);
    buffer_add_byte(&x->said, '\n');
    struct json j = {0};
    assert_true(!data.data || json_scan(&j, data.data, data.size));
    json_finish(&j);
}

static void on_authenticate(void *owner, struct slice token)
{
    struct fixture *x = owner;
    buffer_add_slice(&x->token, token);
    buffer_add_byte(&x->token, ';');
}

static void on_attached(void *owner, enum grants_outcome outcome)
{
    struct fixture *x = owner;
    assert_int_equal(x->outcome, -1);
    assert_int_equal(x->said.size, 0); /* nothing before it is decided */
    x->outcome = (int)outcome;
}

static void on_lookup(
    void *owner, const struct lookup *lookup, const struct slice *params, size_t count, uint64_t tag)
{
    struct fixture *x = owner;
    assert_true(x->pending_count < PENDING_MAX);
    struct pending *p = &x->pending[x->pending_count++];
    *p = (struct pending){.tag = tag};
    snprintf(p->name, sizeof p->name, "%.*s", SLICE_ARGS(lookup->name));
    for (size_t i = 0, at = 0; i < count; i++)
        at += (size_t)snprintf(p->params + at, sizeof p->params - at, "[%.*s]", SLICE_ARGS(params[i]));
}

static const struct client_hooks client_hooks = {on_emit, on_authenticate, on_attached, on_lookup};

static size_t on_write(void *transport, const struct iovec *parts, int count)
{
    struct fixture *x = transport;
    size_t total = 0;
    for (int i = 0; i < count; i++) {
        buffer_add(&x->said, parts[i].iov_base, parts[i].iov_len);
        total += parts[i].iov_len;
    }
    return total;
}

static const struct transport_hooks transport_hooks = {on_write, NULL, NULL};

static void create_client(struct fixture *x, size_t rooms_max)
{
    client_destroy(x->client);
    struct client_settings settings = {
        x->fanout, x->catalogue, catalogue_find_lane(x->catalogue, SLICE("/")), rooms_max};
    x->client = client_create(&settings, &client_hooks, x, x);
    x->outcome = -1;
    x->pending_count = 0;
    buffer_clear(&x->said);
}

static int set_up(void **state)
{
    struct fixture *x = calloc(1, sizeof *x);
    x->catalogue = catalogue_from_text(shop);
    x->rooms = rooms_create();
    x->log = hotlog_create(&(struct hotlog_settings){1 << 20, 1024, 1}, x->rooms);
    x->fanout = fanout_create(x->log, x->rooms, &transport_hooks);
    create_client(x, ROOMS_MAX);
    *state = x;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *x = *state;
    client_destroy(x->client);
    client_destroy(NULL);
    fanout_destroy(x->fanout);
    hotlog_destroy(x->log);
    rooms_destroy(x->rooms);
    catalogue_release(x->catalogue);
    buffer_finish(&x->said);
    buffer_finish(&x->token);
    json_finish(&x->json);
    free(x);
    return 0;
}

/* What was said since the last call. */
static void assert_heard(struct fixture *x, const char *expected)
{
    assert_string_equal(buffer_text(&x->said), expected);
    buffer_clear(&x->said);
}

static void command(struct fixture *x, const char *message)
{
    assert_true(json_scan(&x->json, message, strlen(message)));
    struct buffer scratch = {0};
    struct slice type = json_string(&x->json, json_find(&x->json, 0, SLICE("type")), &scratch);
    client_command(x->client, type, &x->json, json_find(&x->json, 0, SLICE("data")));
    buffer_finish(&scratch);
}

static void room_command(struct fixture *x, const char *type, const char *room)
{
    struct buffer text = {0};
    buffer_print(&text, "{\"type\":\"%s\",\"data\":{\"roomId\":\"%s\"}}", type, room);
    command(x, buffer_text(&text));
    buffer_finish(&text);
}

static void join(struct fixture *x, const char *room)
{
    room_command(x, "join-room", room);
}

static void leave(struct fixture *x, const char *room)
{
    room_command(x, "leave-room", room);
}

static struct pending take_pending(struct fixture *x, size_t index)
{
    assert_true(index < x->pending_count);
    struct pending p = x->pending[index];
    for (size_t i = index + 1; i < x->pending_count; i++)
        x->pending[i - 1] = x->pending[i];
    x->pending_count--;
    return p;
}

/* The lookup was asked with these parameters; it is answered with rows of one or two columns, "" for none. */
static void answer(
    struct fixture *x, const char *name, const char *params, const char *columns, const char *rows)
{
    size_t index = 0;
    while (index < x->pending_count &&
           (strcmp(x->pending[index].name, name) != 0 || strcmp(x->pending[index].params, params) != 0))
        index++;
    if (index == x->pending_count)
        fail_msg("%s%s was not asked", name, params);
    struct slice names[2], cells[2];
    const char *comma = strchr(columns, ',');
    size_t count = comma ? 2 : 1;
    names[0] = (struct slice){columns, comma ? (size_t)(comma - columns) : strlen(columns)};
    names[1] = slice_of(comma ? comma + 1 : "");
    struct rows *r = rows_create(names, count);
    while (*rows) {
        for (size_t i = 0; i < count; i++) {
            cells[i] = (struct slice){rows, strcspn(rows, ",;")};
            rows += cells[i].size + (rows[cells[i].size] != '\0');
        }
        rows_add(r, cells);
    }
    client_answer(x->client, take_pending(x, index).tag, LOOKUP_OK, r);
    rows_release(r);
}

static void fail_lookup(struct fixture *x, enum lookup_status status)
{
    client_answer(x->client, take_pending(x, 0).tag, status, NULL);
}

static void attach_as(struct fixture *x, const char *role)
{
    char row[64];
    snprintf(row, sizeof row, "7,%s", role);
    client_attach(x->client, "7", "7");
    answer(x, "user", "[7]", "id,role", row);
}

static void attach_reader(struct fixture *x)
{
    attach_as(x, "reader");
    assert_heard(x, "connected {\"userId\":7,\"role\":\"reader\"}\n");
}

/* An event for a room; its frame is "@room\n". */
static void publish(struct fixture *x, const char *room)
{
    size_t size = strlen(room) + 2;
    uint32_t number = rooms_hold(x->rooms, 0, slice_of(room));
    uint32_t partition = hotlog_partition(x->log, SLICE("orders.v1"), 0, 0);
    char *frame = hotlog_reserve(x->log, size);
    frame[0] = '@';
    memcpy(frame + 1, room, size - 2);
    frame[size - 1] = '\n';
    hotlog_append(
        x->log, &(struct hotlog_append){
                    .partition = partition, .rooms = &number, .room_count = 1, .offset = x->offset++});
    hotlog_publish(x->log);
}

static void turn(struct fixture *x)
{
    while (fanout_turn(x->fanout)) {
    }
}

static void event(struct fixture *x, const char *room)
{
    publish(x, room);
    turn(x);
}

/* --- before it is known who it is --- */

static void a_stranger_may_ping_and_authenticate_and_nothing_else(void **state)
{
    struct fixture *x = *state;
    assert_true(client_is_waiting(x->client));
    assert_false(client_is_attached(x->client));
    command(x, "{\"type\":\"ping\"}");
    assert_heard(x, "pong\n");
    join(x, "open-1");
    assert_heard(x, "error {\"code\":\"unauthorized\",\"message\":\"authenticate first\"}\n");
    leave(x, "open-1");
    assert_heard(x, "error {\"code\":\"unauthorized\",\"message\":\"authenticate first\"}\n");
    command(x, "{\"type\":\"hello\"}");
    assert_heard(x, "error {\"code\":\"unknown_type\",\"message\":\"this message type is not known\"}\n");
    command(x, "{\"type\":\"\"}");
    assert_heard(x, "error {\"code\":\"unknown_type\",\"message\":\"this message type is not known\"}\n");
    command(x, "{\"type\":\"pin\"}");
    command(x, "{\"type\":\"pingg\"}");
    assert_non_null(strstr(buffer_text(&x->said), "unknown_type"));
    client_writable(x->client); /* harmless without a session */
    client_answer(x->client, 1, LOOKUP_UNAVAILABLE, NULL);
}

static void a_token_in_a_message_is_handed_on(void **state)
{
    struct fixture *x = *state;
    static const char *const without[] = {"{\"type\":\"auth\"}", "{\"type\":\"auth\",\"data\":null}",
        "{\"type\":\"auth\",\"data\":{}}", "{\"type\":\"auth\",\"data\":{\"token\":1}}",
        "{\"type\":\"auth\",\"data\":\"token\"}"};
    for (size_t i = 0; i < sizeof without / sizeof without[0]; i++) {
        command(x, without[i]);
        assert_heard(x, "error {\"code\":\"bad_message\",\"message\":\"auth needs data.token, a string\"}\n");
    }
    command(x, "{\"type\":\"auth\",\"data\":{\"token\":\"a.b\\u002ec\"}}");
    assert_string_equal(buffer_text(&x->token), "a.b.c;");
    assert_heard(x, "");
    client_attach(x->client, "7", "7");
    assert_false(client_is_waiting(x->client));
    command(x, "{\"type\":\"auth\",\"data\":{\"token\":\"d\"}}");
    assert_heard(x, "error {\"code\":\"bad_message\",\"message\":\"already authenticated\"}\n");
    assert_string_equal(buffer_text(&x->token), "a.b.c;");
}

/* --- attaching --- */

static void connected_comes_first_and_then_what_was_missed_meanwhile(void **state)
{
    struct fixture *x = *state;
    event(x, "user-7"); /* before: from now means from the attach on */
    client_attach(x->client, "7", "7");
    event(x, "user-7");
    event(x, "city-3-orders");
    join(x, "open-1");
    assert_heard(x, "error {\"code\":\"unauthorized\",\"message\":\"authenticate first\"}\n");
    answer(x, "user", "[7]", "id,role", "7,manager");
    event(x, "city-4-orders");
    event(x, "admin-orders");
    assert_heard(x, "");
    assert_false(client_is_attached(x->client));
    answer(x, "cities", "[7]", "city_id", "3;4;3");
    assert_int_equal(x->outcome, GRANTS_ALLOWED);
    assert_true(client_is_attached(x->client));
    turn(x);
    assert_heard(
        x, "connected {\"userId\":7,\"role\":\"manager\"}\n@user-7\n@city-3-orders\n@city-4-orders\n");
    event(x, "city-4-orders");
    assert_heard(x, "@city-4-orders\n");
}

static void the_user_keeps_the_json_type_of_the_token(void **state)
{
    struct fixture *x = *state;
    client_attach(x->client, "u \"1\"", "\"u \\\"1\\\"\"");
    answer(x, "user", "[u \"1\"]", "id,role", "7,a \"b\" \\");
    assert_heard(x, "connected {\"userId\":\"u \\\"1\\\"\",\"role\":\"a \\\"b\\\" \\\\\"}\n");
    create_client(x, ROOMS_MAX);
    client_attach(x->client, "7", "7");
    answer(x, "user", "[7]", "id", "7"); /* a principal without a role shows none */
    assert_heard(x, "connected {\"userId\":7}\n");
}

static void whoever_is_refused_gets_nothing_and_may_ask_nothing(void **state)
{
    struct fixture *x = *state;
    static const struct {
        const char *rows; /* NULL: the lookup fails */
        enum grants_outcome outcome;
    } refusals[] = {{"", GRANTS_NO_USER}, {"7,a;8,b", GRANTS_NO_USER}, {NULL, GRANTS_UNAVAILABLE}};
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        create_client(x, ROOMS_MAX);
        client_attach(x->client, "7", "7");
        publish(x, "user-7");
        if (refusals[i].rows)
            answer(x, "user", "[7]", "id,role", refusals[i].rows);
        else
            fail_lookup(x, LOOKUP_FAILED);
        assert_int_equal(x->outcome, refusals[i].outcome);
        assert_false(client_is_attached(x->client));
        assert_false(client_is_waiting(x->client));
        event(x, "user-7");
        assert_heard(x, "");
        join(x, "open-1");
        assert_heard(x, "error {\"code\":\"unauthorized\",\"message\":\"authenticate first\"}\n");
        command(x, "{\"type\":\"auth\",\"data\":{\"token\":\"again\"}}");
        assert_heard(x, "error {\"code\":\"bad_message\",\"message\":\"already authenticated\"}\n");
    }
}

static void a_rule_whose_lookup_fails_refuses_the_attach(void **state)
{
    struct fixture *x = *state;
    client_attach(x->client, "7", "7");
    answer(x, "user", "[7]", "id,role", "7,manager");
    fail_lookup(x, LOOKUP_UNAVAILABLE);
    assert_int_equal(x->outcome, GRANTS_UNAVAILABLE);
    assert_heard(x, "");
}

static void more_automatic_rooms_than_allowed_refuse_the_attach(void **state)
{
    struct fixture *x = *state;
    create_client(x, 3);
    client_attach(x->client, "7", "7");
    answer(x, "user", "[7]", "id,role", "7,manager");
    answer(x, "cities", "[7]", "city_id", "1;2;3"); /* and user-7 */
    assert_int_equal(x->outcome, GRANTS_TOO_MANY);
    create_client(x, 3);
    client_attach(x->client, "7", "7");
    answer(x, "user", "[7]", "id,role", "7,manager");
    answer(x, "cities", "[7]", "city_id", "1;2");
    assert_int_equal(x->outcome, GRANTS_ALLOWED);
}

/* --- rooms on request --- */

static void a_join_is_answered_after_its_lookup(void **state)
{
    struct fixture *x = *state;
    attach_reader(x);
    join(x, "task:5");
    event(x, "task:5");
    assert_heard(x, "");
    answer(x, "member", "[5][7]", "one", "1");
    assert_heard(x, "room-joined {\"roomId\":\"task:5\"}\n");
    event(x, "task:5");
    event(x, "task:6");
    assert_heard(x, "@task:5\n");
    join(x, "task:5"); /* stands there already: no lookup */
    assert_heard(x, "room-joined {\"roomId\":\"task:5\"}\n");
    assert_int_equal(x->pending_count, 0);
    leave(x, "task:5");
    assert_heard(x, "room-left {\"roomId\":\"task:5\"}\n");
    event(x, "task:5");
    assert_heard(x, "");
}

static void a_rule_without_a_lookup_answers_at_once(void **state)
{
    struct fixture *x = *state;
    attach_as(x, "admin");
    buffer_clear(&x->said);
    join(x, "task:5");
    join(x, "open-x");
    assert_heard(x, "room-joined {\"roomId\":\"task:5\"}\nroom-joined {\"roomId\":\"open-x\"}\n");
    assert_int_equal(x->pending_count, 0);
}

static void a_foreign_room_and_none_at_all_are_refused_alike(void **state)
{
    struct fixture *x = *state;
    attach_reader(x);
    static const char expected[] =
        "error {\"code\":\"forbidden\",\"message\":\"you may not join this room\",\"roomId\":\"%s\"}\n";
    static const char *const rooms[] = {
        "user-8", "admin-orders", "city-3-orders", "nowhere", "task:", "task:a b"};
    for (size_t i = 0; i < sizeof rooms / sizeof rooms[0]; i++) {
        char text[200];
        join(x, rooms[i]);
        snprintf(text, sizeof text, expected, rooms[i]);
        assert_heard(x, text);
        event(x, rooms[i]);
        assert_heard(x, "");
    }
    join(x, "task:5");
    answer(x, "member", "[5][7]", "one", "");
    assert_heard(x,
        "error {\"code\":\"forbidden\",\"message\":\"you may not join this room\",\"roomId\":\"task:5\"}\n");
    event(x, "task:5");
    assert_heard(x, "");
}

static void a_right_that_cannot_be_looked_up_is_not_given(void **state)
{
    struct fixture *x = *state;
    attach_reader(x);
    static const enum lookup_status statuses[] = {LOOKUP_UNAVAILABLE, LOOKUP_FAILED};
    for (size_t i = 0; i < 2; i++) {
        join(x, "task:5");
        fail_lookup(x, statuses[i]);
        assert_heard(x, "error {\"code\":\"unavailable\",\"message\":\"rights cannot be looked up now; try "
                        "again\",\"roomId\":\"task:5\"}\n");
        event(x, "task:5");
        assert_heard(x, "");
    }
}

static void an_automatic_room_can_be_left_and_joined_again(void **state)
{
    struct fixture *x = *state;
    attach_reader(x);
    leave(x, "user-7");
    leave(x, "user-7"); /* where one does not stand, one has left */
    leave(x, "nowhere");
    event(x, "user-7");
    assert_heard(x, "room-left {\"roomId\":\"user-7\"}\nroom-left {\"roomId\":\"user-7\"}\nroom-left "
                    "{\"roomId\":\"nowhere\"}\n");
    join(x, "user-7");
    event(x, "user-7");
    assert_heard(x, "room-joined {\"roomId\":\"user-7\"}\n@user-7\n");
}

static void a_room_must_be_named(void **state)
{
    struct fixture *x = *state;
    attach_reader(x);
    static const char *const data[] = {"", ",\"data\":null", ",\"data\":{}", ",\"data\":{\"roomId\":5}",
        ",\"data\":{\"roomId\":null}", ",\"data\":{\"roomId\":\"\"}", ",\"data\":[\"task:5\"]",
        ",\"data\":\"task:5\"", ",\"data\":{\"roomid\":\"task:5\"}"};
    static const char *const types[] = {"join-room", "leave-room"};
    for (size_t i = 0; i < 2 * sizeof data / sizeof data[0]; i++) {
        char text[100];
        snprintf(text, sizeof text, "{\"type\":\"%s\"%s}", types[i % 2], data[i / 2]);
        command(x, text);
        assert_heard(x, "error {\"code\":\"bad_message\",\"message\":\"data.roomId must be a string of 1 to "
                        "512 bytes\"}\n");
    }
}

static void a_name_has_at_most_512_bytes(void **state)
{
    struct fixture *x = *state;
    attach_reader(x);
    char room[514];
    memset(room, 'x', sizeof room);
    memcpy(room, "open-", 5);
    room[513] = '\0';
    join(x, room);
    leave(x, room);
    assert_non_null(strstr(buffer_text(&x->said), "bad_message"));
    assert_null(strstr(buffer_text(&x->said), "room-"));
    buffer_clear(&x->said);
    room[512] = '\0';
    join(x, room);
    leave(x, room);
    assert_null(strstr(buffer_text(&x->said), "bad_message"));
}

static void names_are_quoted_in_answers(void **state)
{
    struct fixture *x = *state;
    attach_reader(x);
    join(x, "a\\\"b\\n\\u00e9");
    leave(x, "a\\\"b");
    assert_heard(x, "error {\"code\":\"forbidden\",\"message\":\"you may not join this "
                    "room\",\"roomId\":\"a\\\"b\\n\xc3\xa9\"}\n"
                    "room-left {\"roomId\":\"a\\\"b\"}\n");
}

/* --- races --- */

static void a_leave_takes_back_a_join_that_waits(void **state)
{
    struct fixture *x = *state;
    attach_reader(x);
    join(x, "task:5");
    leave(x, "task:5");
    answer(x, "member", "[5][7]", "one", "1");
    event(x, "task:5");
    assert_heard(x, "room-left {\"roomId\":\"task:5\"}\n");
    join(x, "task:5");
    leave(x, "task:5");
    join(x, "task:5"); /* and this one counts */
    buffer_clear(&x->said);
    answer(x, "member", "[5][7]", "one", "1");
    assert_heard(x, "");
    answer(x, "member", "[5][7]", "one", "1");
    event(x, "task:5");
    assert_heard(x, "room-joined {\"roomId\":\"task:5\"}\n@task:5\n");
}

static void a_leave_takes_back_nothing_of_another_room(void **state)
{
    struct fixture *x = *state;
    attach_reader(x);
    join(x, "task:5");
    leave(x, "task:55");
    leave(x, "task:");
    buffer_clear(&x->said);
    answer(x, "member", "[5][7]", "one", "1");
    assert_heard(x, "room-joined {\"roomId\":\"task:5\"}\n");
}

static void each_of_two_joins_is_answered_but_events_come_once(void **state)
{
    struct fixture *x = *state;
    attach_reader(x);
    join(x, "task:5");
    join(x, "task:5");
    answer(x, "member", "[5][7]", "one", "1");
    answer(x, "member", "[5][7]", "one", "");
    event(x, "task:5");
    assert_heard(x, "room-joined {\"roomId\":\"task:5\"}\n"
                    "error {\"code\":\"forbidden\",\"message\":\"you may not join this "
                    "room\",\"roomId\":\"task:5\"}\n@task:5\n");
    join(x, "task:6");
    join(x, "task:6");
    answer(x, "member", "[6][7]", "one", "1");
    answer(x, "member", "[6][7]", "one", "1");
    event(x, "task:6");
    assert_heard(x, "room-joined {\"roomId\":\"task:6\"}\nroom-joined {\"roomId\":\"task:6\"}\n@task:6\n");
}

static void answers_may_come_in_any_order_and_twice(void **state)
{
    struct fixture *x = *state;
    attach_reader(x);
    join(x, "task:1");
    join(x, "task:2");
    uint64_t tag = x->pending[0].tag;
    answer(x, "member", "[2][7]", "one", "1");
    assert_heard(x, "room-joined {\"roomId\":\"task:2\"}\n");
    answer(x, "member", "[1][7]", "one", "");
    assert_non_null(strstr(buffer_text(&x->said), "forbidden"));
    buffer_clear(&x->said);
    client_answer(x->client, tag, LOOKUP_FAILED, NULL); /* nobody waits for it any more */
    client_answer(x->client, 123456789, LOOKUP_FAILED, NULL);
    assert_heard(x, "");
}

static void joins_that_wait_count_as_rooms(void **state)
{
    struct fixture *x = *state;
    create_client(x, 3);
    attach_reader(x); /* stands in user-7 */
    static const char refused[] = "error {\"code\":\"too_many_rooms\",\"message\":\"leave a room before "
                                  "joining another\",\"roomId\":\"%s\"}\n";
    char text[200];
    join(x, "task:1");
    join(x, "task:2");
    join(x, "task:3");
    snprintf(text, sizeof text, refused, "task:3");
    assert_heard(x, text);
    answer(x, "member", "[1][7]", "one", ""); /* a refusal makes room */
    buffer_clear(&x->said);
    join(x, "open-1");
    assert_heard(x, "room-joined {\"roomId\":\"open-1\"}\n");
    join(x, "open-2");
    snprintf(text, sizeof text, refused, "open-2");
    assert_heard(x, text);
    answer(x, "member", "[2][7]", "one", "1");
    leave(x, "user-7");
    buffer_clear(&x->said);
    join(x, "open-2");
    assert_heard(x, "room-joined {\"roomId\":\"open-2\"}\n");
    join(x, "open-2"); /* where one stands already costs nothing */
    assert_heard(x, "room-joined {\"roomId\":\"open-2\"}\n");
}

static void only_so_many_joins_may_wait_at_once(void **state)
{
    struct fixture *x = *state;
    attach_reader(x);
    for (unsigned i = 0; i < 32; i++) {
        char room[16];
        snprintf(room, sizeof room, "task:%u", i);
        join(x, room);
    }
    assert_heard(x, "");
    join(x, "task:99");
    assert_heard(x, "error {\"code\":\"unavailable\",\"message\":\"too many joins at once; wait for the "
                    "answers\",\"roomId\":\"task:99\"}\n");
    assert_int_equal(x->pending_count, 32);
    answer(x, "member", "[0][7]", "one", "1");
    join(x, "task:99");
    assert_int_equal(x->pending_count, 32);
}

static void a_client_may_go_while_lookups_are_under_way(void **state)
{
    struct fixture *x = *state;
    client_attach(x->client, "7", "7");
    create_client(x, ROOMS_MAX);
    attach_reader(x);
    join(x, "task:5");
    join(x, "task:6");
    event(x, "user-7");
    publish(x, "user-7");
    create_client(x, ROOMS_MAX);
    turn(x);
    assert_heard(x, "");
}

/* --- any order of commands and answers --- */

enum { TASKS = 4, STEPS = 20000, EXPECTED_MAX = 64 };

struct expected_join {
    unsigned task;
    bool taken_back;
};

static void memberships_follow_the_commands_whatever_the_order_of_answers(void **state)
{
    struct fixture *x = *state;
    attach_reader(x);
    struct expected_join waits[EXPECTED_MAX];
    bool standing[TASKS] = {false};
    uint32_t seed = 1;
    for (unsigned step = 0; step < STEPS; step++) {
        seed = seed * 1664525 + 1013904223;
        unsigned task = (seed >> 10) % TASKS, choice = (seed >> 20) % 4;
        char room[16], expected[200] = "";
        snprintf(room, sizeof room, "task:%u", task);
        if (choice < 2 && x->pending_count < 20) {
            waits[x->pending_count] = (struct expected_join){task, false};
            join(x, room);
            if (standing[task])
                snprintf(expected, sizeof expected, "room-joined {\"roomId\":\"%s\"}\n", room);
        } else if (choice == 2) {
            leave(x, room);
            snprintf(expected, sizeof expected, "room-left {\"roomId\":\"%s\"}\n", room);
            standing[task] = false;
            for (size_t i = 0; i < x->pending_count; i++)
                waits[i].taken_back |= waits[i].task == task;
        } else if (x->pending_count > 0) {
            size_t index = (seed >> 8) % x->pending_count;
            struct expected_join w = waits[index];
            memmove(&waits[index], &waits[index + 1], (x->pending_count - index - 1) * sizeof waits[0]);
            bool allowed = (seed >> 5) % 3 != 0;
            struct rows *rows = rows_create(&SLICE("one"), 1);
            if (allowed)
                rows_add(rows, &SLICE("1"));
            client_answer(x->client, take_pending(x, index).tag, LOOKUP_OK, rows);
            rows_release(rows);
            if (!allowed)
                snprintf(expected, sizeof expected,
                    "error {\"code\":\"forbidden\",\"message\":\"you may not join this "
                    "room\",\"roomId\":\"task:%u\"}\n",
                    w.task);
            else if (!w.taken_back)
                snprintf(expected, sizeof expected, "room-joined {\"roomId\":\"task:%u\"}\n", w.task);
            standing[w.task] |= allowed && !w.taken_back;
        }
        assert_heard(x, expected);
        event(x, room);
        snprintf(expected, sizeof expected, "@%s\n", room);
        assert_heard(x, standing[task] ? expected : "");
    }
}

static void a_gap_names_offsets_as_strings(void **state)
{
    (void)state;
    struct buffer out = {0};
    client_gap_json(&out, SLICE("orders.v1"), 3, 9007199254740993, INT64_MAX, "evicted");
    assert_string_equal(buffer_text(&out),
        "{\"topic\":\"orders.v1\",\"partition\":3,\"from\":\"9007199254740993\","
        "\"to\":\"9223372036854775807\",\"reason\":\"evicted\"}");
    buffer_finish(&out);
}

static void close_reasons_have_codes_and_texts(void **state)
{
    (void)state;
    assert_int_equal(close_code(CLOSE_RESTART), 1012);
    assert_int_equal(close_code(CLOSE_UNAUTHORIZED), 4401);
    for (int i = 0; i < CLOSE_COUNT; i++) {
        assert_in_range(close_code((enum close_reason)i), 1000, 4999);
        assert_in_range(strlen(close_text((enum close_reason)i)), 1, 123);
    }
}

#define stage(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        stage(a_stranger_may_ping_and_authenticate_and_nothing_else),
        stage(a_token_in_a_message_is_handed_on),
        stage(connected_comes_first_and_then_what_was_missed_meanwhile),
        stage(the_user_keeps_the_json_type_of_the_token),
        stage(whoever_is_refused_gets_nothing_and_may_ask_nothing),
        stage(a_rule_whose_lookup_fails_refuses_the_attach),
        stage(more_automatic_rooms_than_allowed_refuse_the_attach),
        stage(a_join_is_answered_after_its_lookup),
        stage(a_rule_without_a_lookup_answers_at_once),
        stage(a_foreign_room_and_none_at_all_are_refused_alike),
        stage(a_right_that_cannot_be_looked_up_is_not_given),
        stage(an_automatic_room_can_be_left_and_joined_again),
        stage(a_room_must_be_named),
        stage(a_name_has_at_most_512_bytes),
        stage(names_are_quoted_in_answers),
        stage(a_leave_takes_back_a_join_that_waits),
        stage(a_leave_takes_back_nothing_of_another_room),
        stage(each_of_two_joins_is_answered_but_events_come_once),
        stage(answers_may_come_in_any_order_and_twice),
        stage(joins_that_wait_count_as_rooms),
        stage(only_so_many_joins_may_wait_at_once),
        stage(a_client_may_go_while_lookups_are_under_way),
        stage(memberships_follow_the_commands_whatever_the_order_of_answers),
        cmocka_unit_test(a_gap_names_offsets_as_strings),
        cmocka_unit_test(close_reasons_have_codes_and_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
