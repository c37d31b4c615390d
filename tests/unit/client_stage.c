#include "client_stage.h"

#include "catalogue_text.h"

#include "causeway/roster.h"

#include <stdio.h>
#include <stdlib.h>

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

/* --- the client's surroundings --- */

static void on_emit(void *owner, const char *type, struct slice data, struct slice cursor)
{
    struct fixture *x = owner;
    buffer_print(&x->said, data.data ? "%s " : "%s", type);
    buffer_add_slice(&x->said, data);
    if (cursor.size > 0)
        buffer_print(&x->said, " <%.*s>", SLICE_ARGS(cursor));
    buffer_add_byte(&x->said, '\n');
    struct json j = {0};
    assert_true(!data.data || json_scan(&j, data.data, data.size));
    json_finish(&j);
}

static void on_judge(void *owner, struct slice token, uint64_t client, uint64_t tag)
{
    struct fixture *x = owner;
    assert_ptr_equal(roster_find(x->roster, client), x->client);
    buffer_add_slice(&x->token, token);
    buffer_add_byte(&x->token, ';');
    x->judge_tag = tag;
}

static void on_limited(void *owner, enum limit limit, uint64_t retry_ms)
{
    struct fixture *x = owner;
    buffer_print(&x->said, "limited: %d for %llu ms\n", (int)limit, (unsigned long long)retry_ms);
}

static void on_refused(void *owner, enum verdict_status status, const char *why)
{
    struct fixture *x = owner;
    buffer_print(&x->said, "refused%s: %s\n", status == VERDICT_LATER ? " for now" : "", why);
}

static void on_expired(void *owner)
{
    struct fixture *x = owner;
    buffer_add_text(&x->said, "expired\n");
}

static void on_attached(void *owner, enum grants_outcome outcome)
{
    struct fixture *x = owner;
    assert_int_equal(x->outcome, -1);
    assert_int_equal(x->said.size, 0); /* nothing before it is decided */
    x->outcome = (int)outcome;
}

static void on_ask(void *owner, const struct lookup *lookup, const struct slice *params, size_t count,
    uint64_t after, uint64_t tag)
{
    (void)after;
    struct fixture *x = owner;
    assert_true(x->pending_count < PENDING_MAX);
    struct pending *p = &x->pending[x->pending_count++];
    *p = (struct pending){.tag = tag};
    snprintf(p->name, sizeof p->name, "%.*s", SLICE_ARGS(lookup->name));
    for (size_t i = 0, at = 0; i < count; i++)
        at += (size_t)snprintf(p->params + at, sizeof p->params - at, "[%.*s]", SLICE_ARGS(params[i]));
}

static uint64_t on_now(void *owner)
{
    struct fixture *x = owner;
    return x->now;
}

static const struct lookups_hooks lookups_hooks = {on_ask, on_now};

static void on_locate(void *owner, const struct cursor *cursor, uint64_t client, uint64_t tag)
{
    struct fixture *x = owner;
    assert_ptr_equal(roster_find(x->roster, client), x->client);
    assert_int_not_equal(tag, x->locate_tag);
    x->located++;
    x->locate_tag = tag;
    x->locate_ahead = cursor->ahead;
}

/* Cursors of this stage are the position, as text. */
static size_t on_cursor(
    void *owner, unsigned log, uint64_t least, uint64_t position, char out[CURSOR_TEXT_MAX + 1])
{
    assert_true(log == 0 && least <= position);
    struct fixture *x = owner;
    if (!x->cursors)
        return 0;
    return (size_t)snprintf(out, CURSOR_TEXT_MAX + 1, "at-%llu", (unsigned long long)position);
}

static void on_away(void *owner, uint64_t client, uint64_t session, struct origin *origin, uint64_t until)
{
    struct fixture *x = owner;
    assert_ptr_equal(roster_find(x->roster, client), x->client);
    x->away_tag = session;
    x->away = origin;
    x->until = until;
}

static void on_answer(void *owner, uint64_t request, const char *type, struct slice data)
{
    struct fixture *x = owner;
    buffer_print(&x->said, "%llu: %s %.*s\n", (unsigned long long)request, type, SLICE_ARGS(data));
}

/* The first credential only: a refresh holds nobody. */
static void on_judging(void *owner)
{
    struct fixture *x = owner;
    x->judging++;
}

static const struct client_hooks client_hooks = {
    on_emit, on_answer, on_judging, on_refused, on_attached, on_expired, on_limited};
static const struct client_services services = {on_now, on_judge, on_locate, on_cursor, on_away};

/* Frames of this stage are "@room\n"; what was written anew has a header, and its mark behind. */
static void show_frames(struct fixture *x, const char *at, size_t size)
{
    for (const char *end = at + size; at < end;) {
        bool anew = (unsigned char)*at == 0x81;
        size_t frame =
            anew ? 2 + (size_t)(unsigned char)at[1] : (size_t)((const char *)memchr(at, '\n', size) - at) + 1;
        assert_true(frame <= (size_t)(end - at));
        struct slice text = anew ? (struct slice){at + 2, frame - 2} : (struct slice){at, frame};
        const char *line = memchr(text.data, '\n', text.size);
        buffer_add(&x->said, text.data, (size_t)(line - text.data));
        if (anew)
            buffer_add_text(&x->said, memmem(text.data, text.size, "backfill", 8)       ? " backfill"
                                      : memmem(text.data, text.size, "redelivered", 11) ? " again"
                                                                                        : " anew");
        buffer_add_byte(&x->said, '\n');
        at += frame;
    }
}

static size_t on_write(void *transport, const struct iovec *parts, int count)
{
    struct fixture *x = transport;
    size_t total = 0;
    if (x->full)
        return 0;
    for (int i = 0; i < count; i++) {
        show_frames(x, parts[i].iov_base, parts[i].iov_len);
        total += parts[i].iov_len;
    }
    return total;
}

static void on_keep(void *transport, const char *rest, size_t size)
{
    struct fixture *x = transport;
    buffer_add(&x->said, rest, size);
}

static void on_session_away(void *transport, struct session *s, struct origin *origin)
{
    struct fixture *x = transport;
    client_away(x->client, s, origin);
}

static void on_arrived(void *transport, struct session *s)
{
    struct fixture *x = transport;
    client_arrived(x->client, s);
}

static void on_unacknowledged(void *transport, struct session *s, const struct ack_span *span)
{
    struct fixture *x = transport;
    x->due_sooner |= client_unacknowledged(x->client, s, span);
}

static const struct transport_hooks transport_hooks = {
    on_write, on_keep, NULL, on_session_away, on_arrived, on_unacknowledged};

void create_client(struct fixture *x, size_t rooms_max)
{
    client_destroy(x->client);
    struct client_settings settings = {
        .roster = x->roster,
        .services = &services,
        .services_owner = x,
        .transport = &transport_hooks,
        .fanout = x->fanout,
        .hotlog = x->log,
        .partitions = x->partitions,
        .catalogue = x->catalogue,
        .lane = catalogue_find_lane(x->catalogue, DIALECT_WEBSOCKET, SLICE("/")),
        .allowance = x->allowance,
        .rooms_max = rooms_max,
        .expiry_warning_ms = WARNING_MS,
        .lookups = x->lookups,
        .timeline = x->timeline,
        .backfill_ms = BACKFILL_MS,
        .ack_ms = ACK_MS,
    };
    x->judging = 0;
    x->locate_tag = 0;
    x->client = client_create(&settings, &client_hooks, x, x);
    x->outcome = -1;
    x->pending_count = 0;
    buffer_clear(&x->said);
}

int set_up(void **state)
{
    struct fixture *x = calloc(1, sizeof *x);
    x->catalogue = catalogue_from_text(shop);
    x->rooms = rooms_create();
    x->log = hotlog_create(&(struct hotlog_settings){1 << 20, 1024, 1}, x->rooms);
    x->window = hotlog_create(&(struct hotlog_settings){1 << 16, 256, 1}, x->rooms);
    x->partitions = partitions_create();
    assert_int_equal(partitions_get(x->partitions, SLICE("orders.v1"), 3, 0), 0);
    hotlog_advance(x->log, 0, 0);
    x->fanout = fanout_create((struct hotlog *[]){x->log, x->window}, 2, x->rooms);
    x->roster = roster_create();
    x->timeline = timeline_create(x->now, 0);
    x->lookups =
        lookups_create(x->catalogue, &(struct lookups_settings){LEASE_MS, 0, PATIENCE_MS}, &lookups_hooks, x);
    create_client(x, ROOMS_MAX);
    *state = x;
    return 0;
}

int tear_down(void **state)
{
    struct fixture *x = *state;
    client_destroy(x->client);
    client_destroy(NULL);
    allowance_release(x->allowance);
    limits_destroy(x->limits);
    roster_destroy(x->roster);
    lookups_destroy(x->lookups);
    timeline_destroy(x->timeline);
    fanout_destroy(x->fanout);
    hotlog_destroy(x->log);
    hotlog_destroy(x->window);
    partitions_destroy(x->partitions);
    origin_release(x->away);
    rooms_destroy(x->rooms);
    catalogue_release(x->catalogue);
    buffer_finish(&x->said);
    buffer_finish(&x->token);
    json_finish(&x->json);
    free(x);
    return 0;
}

void assert_heard(struct fixture *x, const char *expected)
{
    assert_string_equal(buffer_text(&x->said), expected);
    buffer_clear(&x->said);
}

void command(struct fixture *x, const char *message)
{
    assert_true(json_scan(&x->json, message, strlen(message)));
    struct buffer scratch = {0};
    struct slice type = json_string(&x->json, json_find(&x->json, 0, SLICE("type")), &scratch);
    x->known = client_command(x->client, type, &x->json, json_find(&x->json, 0, SLICE("data")), x->request);
    buffer_finish(&scratch);
}

static void room_command(struct fixture *x, const char *type, const char *room)
{
    struct buffer text = {0};
    buffer_print(&text, "{\"type\":\"%s\",\"data\":{\"roomId\":\"%s\"}}", type, room);
    command(x, buffer_text(&text));
    buffer_finish(&text);
}

void join(struct fixture *x, const char *room)
{
    room_command(x, "join-room", room);
}

void leave(struct fixture *x, const char *room)
{
    room_command(x, "leave-room", room);
}

struct pending take_pending(struct fixture *x, size_t index)
{
    assert_true(index < x->pending_count);
    struct pending p = x->pending[index];
    for (size_t i = index + 1; i < x->pending_count; i++)
        x->pending[i - 1] = x->pending[i];
    x->pending_count--;
    return p;
}

void answer(struct fixture *x, const char *name, const char *params, const char *columns, const char *rows)
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
    lookups_answer(x->lookups, take_pending(x, index).tag, LOOKUP_OK, r);
    rows_release(r);
}

void fail_lookup(struct fixture *x, enum lookup_status status)
{
    lookups_answer(x->lookups, take_pending(x, 0).tag, status, NULL);
}

void judge(struct fixture *x, const struct client_verdict *verdict)
{
    client_judged(x->client, x->judge_tag, verdict, x->now);
}

void judge_good(struct fixture *x, const char *user, const char *user_json, int64_t valid_ms)
{
    judge(x, &(struct client_verdict){VERDICT_GOOD, NULL, user, user_json, valid_ms, LEEWAY_MS});
}

void attach(struct fixture *x, const char *user, const char *user_json)
{
    client_authenticate(x->client, SLICE("t"));
    judge_good(x, user, user_json, VALID_MS);
}

void attach_as(struct fixture *x, const char *role)
{
    char row[64];
    snprintf(row, sizeof row, "7,%s", role);
    attach(x, "7", "7");
    answer(x, "user", "[7]", "id,role", row);
}

void attach_reader(struct fixture *x)
{
    attach_as(x, "reader");
    assert_heard(x, "connected {\"userId\":7,\"role\":\"reader\"}\n");
}

static void publish_as(struct fixture *x, const char *room, bool ack)
{
    size_t size = strlen(room) + 2;
    uint32_t number = rooms_hold(x->rooms, 0, slice_of(room));
    char *frame = hotlog_reserve(x->log, size);
    frame[0] = '@';
    memcpy(frame + 1, room, size - 2);
    frame[size - 1] = '\n';
    hotlog_append(x->log,
        &(struct hotlog_append){.rooms = &number, .room_count = 1, .offset = x->offset++, .ack = ack});
    hotlog_advance(x->log, 0, x->offset);
    hotlog_publish(x->log);
}

void publish(struct fixture *x, const char *room)
{
    publish_as(x, room, false);
}

void publish_to_acknowledge(struct fixture *x, const char *room)
{
    publish_as(x, room, true);
}

void turn(struct fixture *x)
{
    while (fanout_turn(x->fanout)) {
    }
}

void event(struct fixture *x, const char *room)
{
    publish(x, room);
    turn(x);
}

/* --- resuming --- */

const char *cursor_text(void)
{
    static char text[CURSOR_TEXT_MAX + 1];
    cursor_encode(&(struct cursor){.nonce = 1, .checkpoint = 2, .ahead = 77}, text);
    return text;
}

void locate_at(struct fixture *x, uint64_t position)
{
    struct client_location l = {.status = LOCATED_POSITION, .position = position};
    assert_int_equal(x->locate_ahead, 77);
    client_located(x->client, x->locate_tag, &l);
}

void locate_by_plan(struct fixture *x, int64_t skip, int64_t mark, int64_t gap_to)
{
    struct gap gap = {{SLICE("orders.v1"), 3, 0}, 0, gap_to, GAP_RETENTION};
    struct resume_plan plan = {origin_create(1, false), &gap, gap_to > 0, false};
    plan.origin->skip[0] = skip;
    plan.origin->mark[0] = mark;
    client_located(
        x->client, x->locate_tag, &(struct client_location){.status = LOCATED_PLAN, .plan = &plan});
    origin_release(plan.origin);
}

void locate_as(struct fixture *x, int status)
{
    struct client_location l = {0};
    l.status = status;
    client_located(x->client, x->locate_tag, &l);
}

void come_with(struct fixture *x, const char *cursor, const char *rooms)
{
    client_set_resume(x->client, slice_of(cursor), slice_of(rooms));
    attach(x, "7", "7");
    answer(x, "user", "[7]", "id,role", "7,reader");
}

void send_many(struct fixture *x, const char *room, int count)
{
    while (count-- > 0)
        publish(x, room);
    turn(x);
}
