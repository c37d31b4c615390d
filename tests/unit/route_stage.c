#include "route_stage.h"

#include "catalogue_text.h"

#include <stdlib.h>

const char shop[] =
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

int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    f->catalogue = catalogue_from_text(shop);
    f->router = router_create(EVENT_MAX);
    *state = f;
    return 0;
}

int tear_down(void **state)
{
    struct fixture *f = *state;
    router_destroy(f->router);
    router_destroy(NULL);
    catalogue_release(f->catalogue);
    buffer_finish(&f->text);
    free(f);
    return 0;
}

void begin(struct fixture *f, const char *value)
{
    f->record = (struct record){.topic = SLICE("orders.v1"), .value = slice_of(value)};
}

void add_header(struct fixture *f, const char *name, const char *value)
{
    f->record.headers[f->record.header_count++] = (struct record_header){slice_of(name), slice_of(value)};
}

static void add_names(struct buffer *out, const struct slice *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        buffer_print(out, " %.*s", SLICE_ARGS(names[i]));
}

const char *route(struct fixture *f)
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

void check_value(struct fixture *f, const char *value, const char *expected)
{
    begin(f, value);
    const char *got = route(f);
    if (strcmp(got, expected) != 0)
        fail_msg(
            "%s\ngives '%s' (%.*s)\ninstead of '%s'", value, got, SLICE_ARGS(f->routed.detail), expected);
}

void check_payload(struct fixture *f, const char *type, const char *payload, const char *expected)
{
    struct buffer value = {0};
    buffer_print(&value, "{\"type\":\"%s\",\"data\":%s}", type, payload);
    check_value(f, buffer_text(&value), expected);
    buffer_finish(&value);
}
