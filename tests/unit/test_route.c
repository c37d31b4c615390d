#include "unit.h"

#include "catalogue_text.h"

#include "causeway/hotlog.h"
#include "causeway/route.h"

static const char shop[] =
    "asyncapi: 3.0.0\n"
    "servers: {log: {host: k, protocol: kafka}, door: {host: h, protocol: ws}}\n"
    "channels:\n"
    "  orders:\n"
    "    address: orders.v1\n"
    "    servers: [{$ref: '#/servers/log'}]\n"
    "    x-causeway: {tombstone: order.deleted}\n"
    "    messages:\n"
    "      created: {name: order.created}\n"
    "      changed: {name: order.changed}\n"
    "      moved: {name: order.moved}\n"
    "      shared: {name: order.shared}\n"
    "      beside: {name: order.beside}\n"
    "      people: {name: order.people}\n"
    "      order.deleted: {}\n"
    "      unused: {name: order.unused}\n"
    "  idle:\n"
    "    address: idle.v1\n"
    "    servers: [{$ref: '#/servers/log'}]\n"
    "    messages: {seen: {name: seen}}\n"
    "  strict:\n"
    "    address: strict.v1\n"
    "    servers: [{$ref: '#/servers/log'}]\n"
    "    x-causeway: {validation: enforce, tombstone: paid}\n"
    "    messages: {paid: {payload: {$ref: '#/components/schemas/paid'}}}\n"
    "  lenient:\n"
    "    address: lenient.v1\n"
    "    servers: [{$ref: '#/servers/log'}]\n"
    "    x-causeway: {validation: warn}\n"
    "    messages: {paid: {payload: {$ref: '#/components/schemas/paid'}}}\n"
    "  clients:\n"
    "    address: /\n"
    "    servers: [{$ref: '#/servers/door'}]\n"
    "    x-causeway: {traceparent: true}\n"
    "    messages: {event: {name: event}}\n"
    "  untraced:\n"
    "    address: /untraced\n"
    "    servers: [{$ref: '#/servers/door'}]\n"
    "    messages: {event: {name: event}}\n"
    "  sights:\n"
    "    address: sights.v1\n"
    "    servers: [{$ref: '#/servers/log'}]\n"
    "    messages: {seen: {name: seen}}\n"
    "operations:\n"
    "  sendSeen:\n"
    "    action: send\n"
    "    channel: {$ref: '#/channels/untraced'}\n"
    "    x-causeway: {from: {$ref: '#/channels/sights/messages/seen'}, to: [admin-orders]}\n"
    "  sendNewOrder:\n"
    "    action: send\n"
    "    channel: {$ref: '#/channels/clients'}\n"
    "    x-causeway:\n"
    "      from: {$ref: '#/channels/orders/messages/created'}\n"
    "      to: [admin-orders, 'city-{city_id}-orders', admin-orders]\n"
    "      except: ['user-{actor_id?}']\n"
    "  sendOrderCreated:\n"
    "    action: send\n"
    "    channel: {$ref: '#/channels/clients'}\n"
    "    x-causeway:\n"
    "      from: {$ref: '#/channels/orders/messages/created'}\n"
    "      to: ['user-{user_id}']\n"
    "  sendOrderChanged:\n"
    "    action: send\n"
    "    channel: {$ref: '#/channels/clients'}\n"
    "    x-causeway:\n"
    "      from: {$ref: '#/channels/orders/messages/changed'}\n"
    "      to: ['user-{$key}', 'user-{$headers.user.id?}']\n"
    "  sendMoved:\n"
    "    action: send\n"
    "    channel: {$ref: '#/channels/clients'}\n"
    "    x-causeway:\n"
    "      from: {$ref: '#/channels/orders/messages/moved'}\n"
    "      to: ['city-{order.from.city?}-orders', 'city-{order.to.city}-orders']\n"
    "  sendShared:\n"
    "    action: send\n"
    "    channel: {$ref: '#/channels/clients'}\n"
    "    x-causeway:\n"
    "      from: {$ref: '#/channels/orders/messages/shared'}\n"
    "      to: ['user-{ids[]}', 'user-{owner?}']\n"
    "      except: ['user-{muted[]?}']\n"
    "  sendBeside:\n"
    "    action: send\n"
    "    channel: {$ref: '#/channels/clients'}\n"
    "    x-causeway:\n"
    "      from: {$ref: '#/channels/orders/messages/beside'}\n"
    "      to: ['user-{$record.audience.user}', 'user-{$record.watchers[]?}']\n"
    "  sendPeople:\n"
    "    action: send\n"
    "    channel: {$ref: '#/channels/clients'}\n"
    "    x-causeway:\n"
    "      from: {$ref: '#/channels/orders/messages/people'}\n"
    "      to: ['seat-{hall}-{people[].user.id}', 'seat-{hall}-{people[].seat?}']\n"
    "  sendDeleted:\n"
    "    action: send\n"
    "    channel: {$ref: '#/channels/clients'}\n"
    "    x-causeway:\n"
    "      from: {$ref: '#/channels/orders/messages/order.deleted'}\n"
    "      to: ['user-{$key}', 'user-{name?}']\n"
    "  sendPaid:\n"
    "    action: send\n"
    "    channel: {$ref: '#/channels/clients'}\n"
    "    x-causeway:\n"
    "      from:\n"
    "        - {$ref: '#/channels/strict/messages/paid'}\n"
    "        - {$ref: '#/channels/lenient/messages/paid'}\n"
    "      to: ['user-{user_id?}']\n"
    "components:\n"
    "  schemas:\n"
    "    paid: {type: object, required: [amount], properties: {amount: {type: integer, minimum: 1}}}\n"
    "x-causeway:\n"
    "  principal: {lookup: user}\n"
    "  lookups: {user: {sql: 'SELECT $1', params: ['{token.user}']}}\n"
    "  rooms:\n"
    "    admin-orders: {join: automatic, allow: [{}]}\n"
    "    city-{city_id}-orders: {join: request, allow: [{}]}\n"
    "    user-{user_id}: {join: request, allow: [{}]}\n"
    "    seat-{hall}-{seat}: {join: request, allow: [{}]}\n";

enum { EVENT_MAX = 4096 };

struct fixture {
    struct catalogue *catalogue;
    struct router *router;
    struct record record;
    struct routed routed;
    struct buffer text; /* of described() */
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    f->catalogue = catalogue_from_text(shop);
    f->router = router_create(EVENT_MAX);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    router_destroy(f->router);
    router_destroy(NULL);
    catalogue_release(f->catalogue);
    buffer_finish(&f->text);
    free(f);
    return 0;
}

static void begin(struct fixture *f, const char *value)
{
    f->record = (struct record){.topic = SLICE("orders.v1"), .value = slice_of(value)};
}

static void add_header(struct fixture *f, const char *name, const char *value)
{
    f->record.headers[f->record.header_count++] = (struct record_header){slice_of(name), slice_of(value)};
}

static void add_names(struct buffer *out, const struct slice *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        buffer_print(out, " %.*s", SLICE_ARGS(names[i]));
}

/* "operation: room room !except; ..." or the label of the rejection. */
static const char *route(struct fixture *f)
{
    buffer_clear(&f->text);
    enum reject reject = route_record(f->router, f->catalogue, &f->record, &f->routed);
    if (reject != REJECT_NONE) {
        assert_int_equal(f->routed.delivery_count, 0);
        assert_null(f->routed.payload.data);
        return reject_label(reject);
    }
    for (size_t i = 0; i < f->routed.delivery_count; i++) {
        const struct delivery *delivery = &f->routed.deliveries[i];
        assert_non_null(delivery->rooms);
        assert_non_null(delivery->except);
        buffer_print(&f->text, "%s%.*s:", i ? "; " : "", SLICE_ARGS(delivery->operation->name));
        add_names(&f->text, delivery->rooms, delivery->room_count);
        if (delivery->except_count > 0)
            buffer_add_text(&f->text, " but");
        add_names(&f->text, delivery->except, delivery->except_count);
    }
    return buffer_text(&f->text);
}

static void check_value(struct fixture *f, const char *value, const char *expected)
{
    begin(f, value);
    const char *got = route(f);
    if (strcmp(got, expected) != 0)
        fail_msg(
            "%s\ngives '%s' (%.*s)\ninstead of '%s'", value, got, SLICE_ARGS(f->routed.detail), expected);
}

/* A record of that type with this payload as its data. */
static void check_payload(struct fixture *f, const char *type, const char *payload, const char *expected)
{
    struct buffer value = {0};
    buffer_print(&value, "{\"type\":\"%s\",\"data\":%s}", type, payload);
    check_value(f, buffer_text(&value), expected);
    buffer_finish(&value);
}

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

/* --- fields --- */

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

#define routing_test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

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
        routing_test(a_missing_field_rejects_the_whole_record),
        routing_test(fields_are_plain_strings_or_integers),
        routing_test(key_and_headers_are_fields_too),
        routing_test(paths_lead_through_objects),
        routing_test(each_element_of_an_array_gives_a_room),
        routing_test(fields_beside_the_data_are_reached_by_record),
        routing_test(room_names_have_at_most_512_bytes),
        routing_test(a_rejection_points_at_its_place_in_the_value),
        routing_test(the_number_of_rooms_is_limited),
        routing_test(results_do_not_leak_into_the_next_record),
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
