/* libFuzzer: whatever key, headers and value a record has, it is rejected with a reason whose place is in the
   value, or its payload stands in the value byte for byte, its rooms have lawful names, and its envelope is
   strict JSON that holds the payload. The first line is the type, the second the content type, the third the
   key; the rest is the value. */
#include "fuzz_text.h"

#include "causeway/envelope.h"
#include "causeway/frame.h"
#include "causeway/rooms.h"
#include "causeway/route.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char document[] =
    "asyncapi: 3.0.0\n"
    "servers: {log: {host: k, protocol: kafka}, door: {host: h, protocol: ws}}\n"
    "channels:\n"
    "  orders:\n"
    "    address: o\n"
    "    servers: [{$ref: '#/servers/log'}]\n"
    "    messages:\n"
    "      created: {name: a, payload: {type: object, properties: {id: {type: integer}}}}\n"
    "      moved: {name: b}\n"
    "      gone: {name: c}\n"
    "  clients:\n"
    "    address: /\n"
    "    servers: [{$ref: '#/servers/door'}]\n"
    "    messages: {event: {name: event}}\n"
    "operations:\n"
    "  one: {action: send, channel: {$ref: '#/channels/clients'},\n"
    "    messages: [{$ref: '#/channels/clients/messages/event'}],\n"
    "    x-causeway: {from: {$ref: '#/channels/orders/messages/created'},\n"
    "      to: [all, 'u-{id}', 'm-{list[].id?}', 'k-{key?}'], except: ['u-{by?}']}}\n"
    "  two: {action: send, channel: {$ref: '#/channels/clients'},\n"
    "    messages: [{$ref: '#/channels/clients/messages/event'}],\n"
    "    x-causeway: {from: {$ref: '#/channels/orders/messages/moved'}, to: ['t-{list[]}']}}\n"
    "x-causeway:\n"
    "  principal: {lookup: user}\n"
    "  lookups: {user: {sql: 'SELECT id FROM users WHERE id = $1', params: ['{token.user}']}}\n"
    "  rooms:\n"
    "    all: {join: automatic, allow: [{}]}\n"
    "    u-{id}: {join: request, allow: [{}]}\n"
    "    m-{id}: {join: request, allow: [{}]}\n"
    "    k-{id}: {join: request, allow: [{}]}\n"
    "    t-{id}: {join: request, allow: [{}]}\n";

static struct slice take_line(struct slice *rest)
{
    const char *end = rest->size ? memchr(rest->data, '\n', rest->size) : NULL;
    struct slice line = {rest->data, end ? (size_t)(end - rest->data) : rest->size};
    size_t used = line.size + (end ? 1 : 0);
    *rest = (struct slice){rest->data + used, rest->size - used};
    return line;
}

static void check_envelope(
    const struct catalogue *c, const struct record *r, const struct routed *routed, const struct operation *o)
{
    static struct json j;
    const struct lane *lanes;
    struct envelope e;
    CHECK(catalogue_lanes(c, &lanes) == 1);
    struct envelope_notes notes = {SLICE("AUiZqTOqbwIX"), routed->traceparent};
    if (!envelope_begin(&e, &lanes[0], o, r, routed->payload, notes))
        return;
    char *frame = malloc(e.size);
    struct slice text;
    envelope_write(&e, frame);
    CHECK(frame_payload(frame, e.size, &text) == e.size);
    CHECK(json_scan(&j, text.data, text.size));
    CHECK(slice_equal(json_verbatim(&j, json_find(&j, 0, lanes[0].payload_key)), routed->payload));
    free(frame);
}

static void check_routed(const struct catalogue *c, const struct record *r, const struct routed *routed)
{
    struct slice p = routed->payload;
    CHECK(p.size > 0 && p.data >= r->value.data && p.data + p.size <= r->value.data + r->value.size);
    for (size_t i = 0; i < routed->delivery_count; i++) {
        const struct delivery *d = &routed->deliveries[i];
        for (size_t n = 0; n < d->room_count; n++)
            CHECK(d->rooms[n].size > 0 && d->rooms[n].size <= ROOM_NAME_MAX);
        check_envelope(c, r, routed, d->operation);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct catalogue *c;
    static struct router *router;
    if (!c) {
        c = text_catalogue(document);
        router = router_create(1 << 16);
    }
    struct slice rest = {(const char *)data, size}, type = take_line(&rest), kind = take_line(&rest),
                 key = take_line(&rest);
    struct record r = {.topic = SLICE("o"), .offset = 7, .time_ms = 1700000000000, .value = rest};
    r.key = key.size > 0 ? key : (struct slice){NULL, 0};
    if (type.size > 0)
        r.headers[r.header_count++] = (struct record_header){SLICE("ce_type"), type};
    if (kind.size > 0)
        r.headers[r.header_count++] = (struct record_header){SLICE("content-type"), kind};
    struct routed routed;
    enum reject reject = route_record(router, c, &r, &routed);
    CHECK(reject < REJECT_COUNT);
    if (reject == REJECT_NONE)
        check_routed(c, &r, &routed);
    return 0;
}
