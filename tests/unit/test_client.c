/* The conversation with one client: no sockets, no frames, and lookups that are answered when the test likes.
 */
#include "unit.h"

#include "catalogue_text.h"

#include "causeway/client.h"
#include "causeway/roster.h"

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

enum {
    ROOMS_MAX = 50,
    PENDING_MAX = 256,
    WARNING_MS = 60000,
    VALID_MS = 3600000,
    LEEWAY_MS = 30000,
    BACKFILL_MS = 1000,
    LEASE_MS = 30000,
    PATIENCE_MS = 10000
};

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
    struct roster *roster;
    struct lookups *lookups;
    struct timeline *timeline;
    struct client *client;
    struct pending pending[PENDING_MAX];
    size_t pending_count;
    struct buffer said; /* all messages and events, in the order they left; cleared by heard() */
    struct buffer token;
    uint64_t judge_tag, now;
    int judging;
    uint64_t request; /* that commands come with */
    bool known;
    int outcome; /* of the attach; -1: not decided */
    int64_t offset;
    struct json json;
    struct partitions *partitions;
    struct hotlog *window;
    bool cursors, full;
    struct limits *limits;
    struct allowance *allowance;
    unsigned located; /* questions for a cursor's place */
    uint64_t locate_tag, locate_ahead;
    struct origin *away;
    uint64_t away_tag, until;
};

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

static const struct transport_hooks transport_hooks = {on_write, on_keep, NULL, on_session_away, on_arrived};

static void create_client(struct fixture *x, size_t rooms_max)
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
    };
    x->judging = 0;
    x->locate_tag = 0;
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

static int tear_down(void **state)
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
    lookups_answer(x->lookups, take_pending(x, index).tag, LOOKUP_OK, r);
    rows_release(r);
}

static void fail_lookup(struct fixture *x, enum lookup_status status)
{
    lookups_answer(x->lookups, take_pending(x, 0).tag, status, NULL);
}

static void judge(struct fixture *x, const struct client_verdict *verdict)
{
    client_judged(x->client, x->judge_tag, verdict, x->now);
}

static void judge_good(struct fixture *x, const char *user, const char *user_json, int64_t valid_ms)
{
    judge(x, &(struct client_verdict){VERDICT_GOOD, NULL, user, user_json, valid_ms, LEEWAY_MS});
}

static void attach(struct fixture *x, const char *user, const char *user_json)
{
    client_authenticate(x->client, SLICE("t"));
    judge_good(x, user, user_json, VALID_MS);
}

static void attach_as(struct fixture *x, const char *role)
{
    char row[64];
    snprintf(row, sizeof row, "7,%s", role);
    attach(x, "7", "7");
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
    char *frame = hotlog_reserve(x->log, size);
    frame[0] = '@';
    memcpy(frame + 1, room, size - 2);
    frame[size - 1] = '\n';
    hotlog_append(x->log, &(struct hotlog_append){.rooms = &number, .room_count = 1, .offset = x->offset++});
    hotlog_advance(x->log, 0, x->offset);
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
    assert_false(x->known);
    command(x, "{\"type\":\"\"}");
    assert_false(x->known);
    command(x, "{\"type\":\"pin\"}");
    command(x, "{\"type\":\"pingg\"}");
    assert_false(x->known);
    client_writable(x->client); /* harmless without a session */
    lookups_answer(x->lookups, 1, LOOKUP_UNAVAILABLE, NULL);
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
    assert_false(client_is_waiting(x->client));
    assert_false(client_is_judged(x->client));
    command(x, "{\"type\":\"auth\",\"data\":{\"token\":\"d\"}}"); /* one at a time */
    assert_heard(x, "error {\"code\":\"bad_message\",\"message\":\"already authenticated\"}\n");
    judge_good(x, "7", "7", VALID_MS);
    assert_true(client_is_judged(x->client));
    judge_good(x, "8", "8", VALID_MS); /* twice judged: the first one counts */
    command(x, "{\"type\":\"auth\",\"data\":{\"token\":\"d\"}}");
    assert_heard(x, "error {\"code\":\"bad_message\",\"message\":\"already authenticated\"}\n");
    assert_string_equal(buffer_text(&x->token), "a.b.c;");
    assert_int_equal(x->judging, 1);
}

static void a_token_that_is_no_good_refuses(void **state)
{
    struct fixture *x = *state;
    client_authenticate(x->client, SLICE("t"));
    judge(x, &(struct client_verdict){.status = VERDICT_BAD, .why = "token expired"});
    assert_heard(x, "refused: token expired\n");
    assert_false(client_is_attached(x->client));
    assert_int_equal(x->pending_count, 0); /* nothing is looked up for nobody */
    command(x, "{\"type\":\"auth\",\"data\":{\"token\":\"d\"}}");
    assert_heard(x, "error {\"code\":\"bad_message\",\"message\":\"already authenticated\"}\n");
    judge_good(x, "7", "7", VALID_MS);
    assert_int_equal(x->pending_count, 0);

    create_client(x, ROOMS_MAX);
    client_authenticate(x->client, SLICE("t"));
    judge(x, &(struct client_verdict){.status = VERDICT_LATER, .why = "no keys"});
    assert_heard(x, "refused for now: no keys\n");
}

/* --- refreshing and expiring --- */

static uint64_t tick(struct fixture *x, uint64_t now)
{
    x->now = now;
    return client_tick(x->client, now);
}

static void refresh(struct fixture *x, const char *token)
{
    struct buffer text = {0};
    buffer_print(&text, "{\"type\":\"refresh\",\"data\":{\"token\":\"%s\"}}", token);
    command(x, buffer_text(&text));
    buffer_finish(&text);
}

static void an_expiry_is_told_and_then_ends_the_connection(void **state)
{
    struct fixture *x = *state;
    assert_true(tick(x, 1000) == UINT64_MAX);
    attach(x, "7", "7");
    tick(x, 1000 + VALID_MS + LEEWAY_MS); /* not attached yet: the next tick sees it */
    answer(x, "user", "[7]", "id,role", "7,reader");
    assert_heard(x, "connected {\"userId\":7,\"role\":\"reader\"}\n");
    assert_int_equal(tick(x, 1000 + VALID_MS - WARNING_MS - 1), 1000 + VALID_MS - WARNING_MS);
    assert_heard(x, "");
    assert_int_equal(tick(x, 1000 + VALID_MS - WARNING_MS), 1000 + VALID_MS + LEEWAY_MS);
    assert_heard(x, "auth-expiring {\"expiresIn\":60}\n");
    assert_int_equal(tick(x, 1000 + VALID_MS + LEEWAY_MS - 1), 1000 + VALID_MS + LEEWAY_MS);
    assert_heard(x, "");
    assert_true(client_is_attached(x->client));
    assert_true(tick(x, 1000 + VALID_MS + LEEWAY_MS) == UINT64_MAX);
    assert_heard(x, "expired\n");
    assert_false(client_is_attached(x->client));
    tick(x, 1000 + VALID_MS + LEEWAY_MS + 1);
    refresh(x, "late");
    assert_heard(x, "error {\"code\":\"unauthorized\",\"message\":\"authenticate first\"}\n");
}

static void a_short_token_is_told_of_at_once_and_an_endless_one_never(void **state)
{
    struct fixture *x = *state;
    static const struct {
        int64_t valid_ms;
        const char *heard;
    } cases[] = {{5999, "auth-expiring {\"expiresIn\":5}\n"}, {-1, "auth-expiring {\"expiresIn\":0}\n"},
        {(INT64_C(1) << 53) * 1000, ""}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        create_client(x, ROOMS_MAX);
        client_authenticate(x->client, SLICE("t"));
        judge_good(x, "7", "7", cases[i].valid_ms);
        answer(x, "user", "[7]", "id", "7");
        assert_heard(x, "connected {\"userId\":7}\n");
        tick(x, x->now);
        assert_heard(x, cases[i].heard);
    }
}

static void a_refresh_extends(void **state)
{
    struct fixture *x = *state;
    attach_reader(x);
    tick(x, VALID_MS - 1000);
    assert_heard(x, "auth-expiring {\"expiresIn\":1}\n");
    refresh(x, "new");
    assert_string_equal(buffer_text(&x->token), "t;new;");
    refresh(x, "newer");
    assert_heard(x, "error {\"code\":\"unavailable\",\"message\":\"another token is being judged\"}\n");
    assert_int_equal(x->judging, 1);
    judge_good(x, "7", "\"7\"", 100000);
    assert_heard(x, "refreshed {\"expiresIn\":100}\n");
    assert_int_equal(x->pending_count, 0); /* rights are another matter */
    tick(x, VALID_MS + LEEWAY_MS);
    assert_heard(x, "");
    tick(x, VALID_MS - 1000 + 100000 - WARNING_MS);
    assert_heard(x, "auth-expiring {\"expiresIn\":60}\n"); /* told anew */
    tick(x, VALID_MS - 1000 + 100000 + LEEWAY_MS);
    assert_heard(x, "expired\n");
}

static void a_refresh_that_is_no_good_changes_nothing(void **state)
{
    struct fixture *x = *state;
    attach_reader(x);
    command(x, "{\"type\":\"refresh\",\"data\":{}}");
    assert_heard(x, "error {\"code\":\"bad_message\",\"message\":\"refresh needs data.token, a string\"}\n");
    refresh(x, "bad");
    judge(x, &(struct client_verdict){.status = VERDICT_BAD, .why = "token expired"});
    assert_heard(x, "error {\"code\":\"refresh_refused\",\"message\":\"token expired\"}\n");
    refresh(x, "other");
    judge_good(x, "8", "8", 10 * VALID_MS);
    assert_heard(x, "error {\"code\":\"refresh_refused\",\"message\":\"token is of another user\"}\n");
    refresh(x, "unsure");
    judge(x, &(struct client_verdict){.status = VERDICT_LATER, .why = "no keys"});
    assert_heard(x, "error {\"code\":\"unavailable\",\"message\":\"no keys\"}\n");
    event(x, "user-7");
    assert_heard(x, "@user-7\n");
    refresh(x, "slow");
    tick(x, VALID_MS + LEEWAY_MS);
    assert_heard(x, "expired\n");
    judge_good(x, "7", "7", VALID_MS); /* too late */
    assert_heard(x, "");
}

/* --- attaching --- */

static void connected_comes_first_and_then_what_was_missed_meanwhile(void **state)
{
    struct fixture *x = *state;
    event(x, "user-7"); /* before: from now means from the attach on */
    attach(x, "7", "7");
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
    attach(x, "u \"1\"", "\"u \\\"1\\\"\"");
    answer(x, "user", "[u \"1\"]", "id,role", "7,a \"b\" \\");
    assert_heard(x, "connected {\"userId\":\"u \\\"1\\\"\",\"role\":\"a \\\"b\\\" \\\\\"}\n");
    create_client(x, ROOMS_MAX);
    attach(x, "7", "7");
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
        attach(x, "7", "7");
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
    attach(x, "7", "7");
    answer(x, "user", "[7]", "id,role", "7,manager");
    fail_lookup(x, LOOKUP_UNAVAILABLE);
    assert_int_equal(x->outcome, GRANTS_UNAVAILABLE);
    assert_heard(x, "");
}

static void more_automatic_rooms_than_allowed_refuse_the_attach(void **state)
{
    struct fixture *x = *state;
    create_client(x, 3);
    attach(x, "7", "7");
    answer(x, "user", "[7]", "id,role", "7,manager");
    answer(x, "cities", "[7]", "city_id", "1;2;3"); /* and user-7 */
    assert_int_equal(x->outcome, GRANTS_TOO_MANY);
    create_client(x, 3);
    attach(x, "7", "7");
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
    join(x, "task:6");
    join(x, "task:6");
    assert_int_equal(x->pending_count, 1); /* it is the same question */
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
    lookups_answer(x->lookups, tag, LOOKUP_FAILED, NULL); /* nobody waits for it any more */
    lookups_answer(x->lookups, 123456789, LOOKUP_FAILED, NULL);
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
    attach(x, "7", "7");
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

/* --- resuming --- */

/* Some cursor; where it stands is for the test to say. */
static const char *cursor_text(void)
{
    static char text[CURSOR_TEXT_MAX + 1];
    cursor_encode(&(struct cursor){.nonce = 1, .checkpoint = 2, .ahead = 77}, text);
    return text;
}

static void locate_at(struct fixture *x, uint64_t position)
{
    struct client_location l = {.status = LOCATED_POSITION, .position = position};
    assert_int_equal(x->locate_ahead, 77);
    client_located(x->client, x->locate_tag, &l);
}

/* Everything below `skip` was had, what is below `mark` may have been. */
static void locate_by_plan(struct fixture *x, int64_t skip, int64_t mark, int64_t gap_to)
{
    struct gap gap = {{SLICE("orders.v1"), 3, 0}, 0, gap_to, GAP_RETENTION};
    struct resume_plan plan = {origin_create(1, false), &gap, gap_to > 0, false};
    plan.origin->skip[0] = skip;
    plan.origin->mark[0] = mark;
    client_located(
        x->client, x->locate_tag, &(struct client_location){.status = LOCATED_PLAN, .plan = &plan});
    origin_release(plan.origin);
}

static void locate_as(struct fixture *x, int status)
{
    struct client_location l = {0};
    l.status = status;
    client_located(x->client, x->locate_tag, &l);
}

static void come_with(struct fixture *x, const char *cursor, const char *rooms)
{
    client_set_resume(x->client, slice_of(cursor), slice_of(rooms));
    attach(x, "7", "7");
    answer(x, "user", "[7]", "id,role", "7,reader");
}

static void send_many(struct fixture *x, const char *room, int count)
{
    while (count-- > 0)
        publish(x, room);
    turn(x);
}

static void who_comes_without_a_cursor_is_given_one(void **state)
{
    struct fixture *x = *state;
    x->cursors = true;
    char cursor[CURSOR_TEXT_MAX + 1];
    send_many(x, "user-7", 3);
    assert_int_equal(client_ping_cursor(x->client, cursor), 0);
    attach_as(x, "reader");
    assert_heard(x, "connected {\"userId\":7,\"role\":\"reader\"} <at-3>\n");
    turn(x);
    assert_int_equal(x->located, 0);
    assert_heard(x, ""); /* nothing was resumed */
    event(x, "user-7");
    assert_int_equal(client_ping_cursor(x->client, cursor), 4);
    assert_string_equal(cursor, "at-4");
    x->full = true;
    event(x, "user-7");
    assert_int_equal(client_ping_cursor(x->client, cursor), 0); /* it has not come to the head */
}

static void a_cursor_of_this_log_is_exact(void **state)
{
    struct fixture *x = *state;
    x->cursors = true;
    char expected[300];
    send_many(x, "user-7", 3);
    come_with(x, cursor_text(), "");
    event(x, "user-7");
    assert_heard(x, ""); /* not before it is known where it stands */
    assert_false(client_is_attached(x->client));
    locate_at(x, 2);
    snprintf(expected, sizeof expected, "connected {\"userId\":7,\"role\":\"reader\"} <%s>\n", cursor_text());
    assert_heard(x, expected); /* what it has is still the truth */
    turn(x);
    assert_heard(x, "@user-7\n@user-7\nresumed {} <at-4>\n");
    event(x, "user-7");
    assert_heard(x, "@user-7\n");
}

static void a_place_elsewhere_is_walked_to_and_marked(void **state)
{
    struct fixture *x = *state;
    x->cursors = true;
    send_many(x, "user-7", 6);
    come_with(x, cursor_text(), "");
    locate_by_plan(x, 2, 4, 1);
    assert_non_null(strstr(buffer_text(&x->said), "connected "));
    assert_non_null(
        strstr(buffer_text(&x->said), ">\ngap {\"topic\":\"orders.v1\",\"partition\":3,\"from\":\"0\","
                                      "\"to\":\"1\",\"reason\":\"retention\"}\n"));
    buffer_clear(&x->said);
    turn(x);
    assert_heard(x, "@user-7 again\n@user-7 again\n@user-7 anew\n@user-7 anew\nresumed {} <at-6>\n");
    event(x, "user-7");
    assert_heard(x, "@user-7\n");
}

static void a_cursor_that_says_nothing_any_more_is_a_gap_and_goes_on_from_now(void **state)
{
    struct fixture *x = *state;
    static const char *const cursors[] = {"no cursor", "A", "", NULL};
    x->cursors = true;
    send_many(x, "user-7", 3);
    for (size_t i = 0; i < 4; i++) {
        create_client(x, ROOMS_MAX);
        bool known = !cursors[i];
        if (cursors[i] && !*cursors[i])
            continue;
        come_with(x, known ? cursor_text() : cursors[i], "");
        if (known)
            locate_as(x, LOCATED_LOST);
        turn(x);
        assert_heard(x, "connected {\"userId\":7,\"role\":\"reader\"} <at-3>\ngap {\"topic\":\"orders.v1\","
                        "\"partition\":3,\"from\":\"0\",\"to\":\"3\",\"reason\":\"cursor\"}\n"
                        "resumed {} <at-3>\n");
    }
    event(x, "user-7");
    assert_heard(x, "@user-7\n");
}

static void a_cursor_that_cannot_be_looked_up_now_ends_the_attach(void **state)
{
    struct fixture *x = *state;
    come_with(x, cursor_text(), "");
    locate_as(x, LOCATED_UNAVAILABLE);
    assert_int_equal(x->outcome, GRANTS_UNAVAILABLE);
    assert_false(client_is_attached(x->client));
    assert_heard(x, "");
    locate_at(x, 0); /* said twice */
    event(x, "user-7");
    assert_heard(x, "");
}

static void rooms_that_were_joined_are_part_of_what_is_resumed(void **state)
{
    struct fixture *x = *state;
    publish(x, "task:5");
    publish(x, "task:6");
    publish(x, "user-7");
    come_with(x, cursor_text(), ",task:5,user-7,task:6,,nowhere,");
    locate_at(x, 0);
    assert_heard(x, "");
    answer(x, "member", "[5][7]", "one", "1");
    assert_heard(x, ""); /* the other one is not decided */
    answer(x, "member", "[6][7]", "one", "");
    turn(x);
    const char *said = buffer_text(&x->said);
    const char *connected = strstr(said, "connected "),
               *joined = strstr(said, "room-joined {\"roomId\":\"task:5\"}"),
               *refused = strstr(said, "task:6"), *nowhere = strstr(said, "nowhere"),
               *events = strstr(said, "@");
    assert_true(connected == said && joined && refused && nowhere && events);
    assert_true(joined < events && refused < events && nowhere < events); /* answers first */
    assert_string_equal(events, "@task:5\n@user-7\nresumed {}\n");
}

static void join_late(struct fixture *x, const char *room, const char *cursor)
{
    struct buffer text = {0};
    buffer_print(
        &text, "{\"type\":\"join-room\",\"data\":{\"roomId\":\"%s\",\"cursor\":\"%s\"}}", room, cursor);
    command(x, buffer_text(&text));
    buffer_finish(&text);
}

static void a_room_that_is_entered_late_brings_what_was_missed_and_is_joined_then(void **state)
{
    struct fixture *x = *state;
    attach_reader(x);
    event(x, "task:5");
    event(x, "open-1");
    event(x, "task:5");
    join_late(x, "task:5", cursor_text());
    assert_int_equal(x->located, 0); /* first the right */
    answer(x, "member", "[5][7]", "one", "1");
    event(x, "task:5");
    event(x, "user-7"); /* held meanwhile */
    assert_heard(x, "");
    locate_by_plan(x, 1, 1, 0);
    turn(x);
    assert_heard(x, "@task:5 backfill\nroom-joined {\"roomId\":\"task:5\"}\n@task:5\n@user-7\n");
    event(x, "task:5");
    assert_heard(x, "@task:5\n");
    join_late(x, "task:5", cursor_text()); /* stands there already */
    assert_heard(x, "room-joined {\"roomId\":\"task:5\"}\n");
    join_late(x, "open-9", "no cursor");
    assert_heard(
        x, "error {\"code\":\"bad_cursor\",\"message\":\"this is no cursor\",\"roomId\":\"open-9\"}\n");
}

/* The session was elsewhere, with an instance that had read more. */
static void a_late_room_waits_until_the_log_has_come_to_where_the_session_was(void **state)
{
    struct fixture *x = *state;
    send_many(x, "user-7", 2);
    come_with(x, cursor_text(), "");
    locate_by_plan(x, 4, 4, 0);
    turn(x);
    assert_non_null(strstr(buffer_text(&x->said), "resumed "));
    buffer_clear(&x->said);
    join_late(x, "task:5", cursor_text());
    answer(x, "member", "[5][7]", "one", "1");
    event(x, "task:5");
    assert_int_equal(x->located, 1); /* that of the session itself */
    event(x, "open-1");
    assert_int_equal(x->located, 2);
    assert_heard(x, "");
    locate_by_plan(x, 2, 2, 0);
    turn(x);
    assert_heard(x, "@task:5 backfill\nroom-joined {\"roomId\":\"task:5\"}\n");
    event(x, "task:5");
    assert_heard(x, "@task:5\n");
}

static void a_late_room_without_the_right_is_refused_and_holds_nothing(void **state)
{
    struct fixture *x = *state;
    attach_reader(x);
    event(x, "task:5");
    join_late(x, "task:5", cursor_text());
    answer(x, "member", "[5][7]", "one", "");
    assert_int_equal(x->located, 0);
    assert_heard(x,
        "error {\"code\":\"forbidden\",\"message\":\"you may not join this room\",\"roomId\":\"task:5\"}\n");
    event(x, "user-7");
    assert_heard(x, "@user-7\n");
    join_late(x, "task:5", cursor_text());
    leave(x, "task:5");
    answer(x, "member", "[5][7]", "one", "1");
    event(x, "user-7");
    assert_heard(x, "room-left {\"roomId\":\"task:5\"}\n@user-7\n");
}

static void late_rooms_wait_for_each_other(void **state)
{
    struct fixture *x = *state;
    attach_reader(x);
    event(x, "open-1");
    event(x, "open-2");
    join_late(x, "open-1", cursor_text());
    join_late(x, "open-2", cursor_text());
    assert_int_equal(x->located, 1);
    locate_at(x, 0);
    turn(x);
    assert_int_equal(x->located, 2);
    assert_heard(x, "@open-1 backfill\nroom-joined {\"roomId\":\"open-1\"}\n");
    locate_as(x, LOCATED_UNAVAILABLE);
    assert_non_null(strstr(buffer_text(&x->said), "\"code\":\"unavailable\""));
    buffer_clear(&x->said);
    event(x, "user-7");
    assert_heard(x, "@user-7\n");
}

static void a_resume_message_repeats_all_rooms(void **state)
{
    struct fixture *x = *state;
    char text[300];
    attach_reader(x);
    event(x, "user-7");
    event(x, "task:5");
    event(x, "open-1");
    buffer_clear(&x->said);
    snprintf(text, sizeof text,
        "{\"type\":\"resume\",\"data\":{\"cursor\":\"%s\",\"rooms\":[\"task:5\",5,\"user-7\",\"task:5\","
        "\"open-1\"]}}",
        cursor_text());
    command(x, text);
    answer(x, "member", "[5][7]", "one", "1");
    locate_by_plan(x, 0, 3, 2);
    turn(x);
    const char *said = buffer_text(&x->said), *events = strstr(said, "@");
    assert_true(strstr(said, "gap ") == said);
    assert_true(strstr(events, "@user-7 backfill\n@task:5 backfill\n@open-1 backfill\n") == events);
    assert_non_null(strstr(events, "room-joined {\"roomId\":\"task:5\"}"));
    assert_non_null(strstr(events, "room-joined {\"roomId\":\"open-1\"}"));
    assert_non_null(strstr(events, "\nresumed {}\n"));
    buffer_clear(&x->said);
    event(x, "task:5");
    assert_heard(x, "@task:5\n");
    command(x, "{\"type\":\"resume\",\"data\":{}}");
    command(x, "{\"type\":\"resume\"}");
    command(x, "{\"type\":\"resume\",\"data\":{\"cursor\":\"x\",\"rooms\":5}}");
    assert_null(strstr(buffer_text(&x->said), "resumed"));
    buffer_clear(&x->said);
    event(x, "user-7");
    assert_heard(x, "@user-7\n");
}

static void nobody_leaves_where_everybody_stands(void **state)
{
    struct fixture *x = *state;
    static const char told[] =
        "error {\"code\":\"bad_message\",\"message\":\"data.roomId must be a string of 1 to 512 "
        "bytes\"}\n";
    attach_reader(x);
    leave(x, "\\u0001");
    assert_heard(x, told);
    join(x, "\\u0001");
    assert_heard(x, told);
    uint32_t everybody = rooms_hold(x->rooms, 0, ROOM_OF_ALL);
    memcpy(hotlog_reserve(x->log, 5), "@all\n", 5);
    hotlog_append(x->log, &(struct hotlog_append){.rooms = &everybody, .room_count = 1, .offset = x->offset});
    hotlog_publish(x->log);
    turn(x);
    assert_heard(x, "@all\n");
}

/* More than the log holds goes by while the socket is full. */
static void fall_out_of_the_log(struct fixture *x)
{
    x->full = true;
    event(x, "user-7");
    for (int i = 0; i < 1100; i++)
        event(x, "nowhere");
    x->full = false;
    client_writable(x->client);
    turn(x);
    assert_non_null(x->away);
    assert_int_equal(x->away_tag, 0);
}

static void enter_again(struct fixture *x, uint64_t tag)
{
    hotlog_restart(x->window);
    hotlog_advance(x->window, 0, 0);
    uint64_t start = hotlog_next(x->window);
    for (int64_t offset = origin_skip(x->away, 0); offset < 1; offset++) { /* the one event that it missed */
        uint32_t room = rooms_hold(x->rooms, 0, SLICE("user-7"));
        memcpy(hotlog_reserve(x->window, 8), "@user-7\n", 8);
        hotlog_append(x->window, &(struct hotlog_append){.rooms = &room, .room_count = 1, .offset = offset});
        hotlog_advance(x->window, 0, offset + 1);
    }
    hotlog_publish(x->window);
    hotlog_end(x->window, hotlog_head(x->window), hotlog_head(x->log));
    assert_true(client_enter(x->client, tag, 1, start, x->away, NULL, 0));
    origin_release(x->away);
    x->away = NULL;
}

static void who_is_away_asks_for_late_rooms_in_vain_until_it_is_back(void **state)
{
    struct fixture *x = *state;
    attach_reader(x);
    fall_out_of_the_log(x);
    join_late(x, "open-1", cursor_text());
    turn(x);
    assert_int_equal(x->located, 0);
    enter_again(x, 0);
    turn(x);
    assert_int_equal(x->located, 1);
    assert_heard(x, "@user-7 anew\n");
    locate_at(x, hotlog_head(x->log));
    turn(x);
    assert_heard(x, "room-joined {\"roomId\":\"open-1\"}\n");
    event(x, "user-7");
    assert_heard(x, "@user-7\n");
}

static void a_client_may_go_while_it_is_away_or_beside_itself(void **state)
{
    struct fixture *x = *state;
    attach_reader(x);
    fall_out_of_the_log(x);
    join_late(x, "open-1", cursor_text());
    create_client(x, ROOMS_MAX);
    attach_reader(x);
    join_late(x, "open-1", cursor_text());
    uint64_t tag = x->locate_tag;
    locate_at(x, 0); /* long gone: the side walk is sent away */
    origin_release(x->away);
    x->away = NULL;
    turn(x);
    assert_non_null(x->away);
    assert_int_equal(x->away_tag, tag);
    assert_int_equal(x->until, hotlog_head(x->log));
    assert_false(client_enter(x->client, tag + 1, 1, 0, x->away, NULL, 0));
    create_client(x, ROOMS_MAX);
    assert_false(client_enter(x->client, tag, 1, 0, x->away, NULL, 0));
}

/* --- rights that are younger than the cursor --- */

static void move_on(struct fixture *x, uint64_t ms)
{
    x->now += ms;
    timeline_note(x->timeline, x->now, hotlog_head(x->log));
}

static void come_as_manager(struct fixture *x, const char *cities)
{
    client_set_resume(x->client, slice_of(cursor_text()), SLICE(""));
    attach_as(x, "manager");
    answer(x, "cities", "[7]", "city_id", cities);
}

/* An event of city 2 outruns the right to it, which is heard of when its manager has gone. */
static void be_cut_before_the_grant(struct fixture *x)
{
    move_on(x, 5000);
    event(x, "city-2-orders");
    event(x, "user-7");
    move_on(x, 100);
    assert_true(lookups_changed(x->lookups, SLICE("cities:7"), 1));
    move_on(x, 100);
}

static void forget_connected(struct fixture *x)
{
    assert_non_null(strstr(buffer_text(&x->said), "connected"));
    buffer_clear(&x->said);
}

static void what_outran_a_right_that_is_younger_than_the_cursor_is_brought_first(void **state)
{
    struct fixture *x = *state;
    be_cut_before_the_grant(x);
    come_as_manager(x, "2;");
    locate_at(x, 2);
    forget_connected(x);
    event(x, "city-2-orders");
    assert_heard(x, "@city-2-orders backfill\n@user-7 backfill\n@city-2-orders\nresumed {}\n");
    event(x, "city-2-orders");
    assert_heard(x, "@city-2-orders\n");
}

static void who_is_cut_amid_the_walk_for_a_new_right_gets_it_again(void **state)
{
    struct fixture *x = *state;
    attach_as(x, "manager");
    answer(x, "cities", "[7]", "city_id", "");
    turn(x);
    be_cut_before_the_grant(x);
    x->full = true;
    answer(x, "cities", "[7]", "city_id", "2;");
    turn(x);
    create_client(x, ROOMS_MAX);
    x->full = false;
    come_as_manager(x, "2;");
    locate_at(x, 2);
    forget_connected(x);
    turn(x);
    assert_heard(x, "@city-2-orders backfill\n@user-7 backfill\nresumed {}\n");
}

static void it_is_brought_too_when_the_cursor_is_of_elsewhere(void **state)
{
    struct fixture *x = *state;
    be_cut_before_the_grant(x);
    come_as_manager(x, "2;");
    locate_by_plan(x, 2, 2, 0);
    forget_connected(x);
    event(x, "city-2-orders");
    assert_heard(x, "@city-2-orders backfill\n@user-7 backfill\n@city-2-orders anew\nresumed {}\n");
}

static void changes_that_nobody_heard_of_may_have_been_any(void **state)
{
    struct fixture *x = *state;
    lookups_tick(x->lookups, &(struct lookups_pulse){.epoch = 1, .heard_ms = x->now, .answer_ms = x->now});
    move_on(x, 5000);
    event(x, "city-2-orders");
    move_on(x, 100);
    lookups_tick(x->lookups, &(struct lookups_pulse){.epoch = 2, .heard_ms = x->now, .answer_ms = x->now});
    come_as_manager(x, "2;");
    locate_at(x, 1);
    forget_connected(x);
    turn(x);
    assert_heard(x, "@city-2-orders backfill\nresumed {}\n");
}

static void a_change_of_all_keys_is_one_of_each(void **state)
{
    struct fixture *x = *state;
    move_on(x, 5000);
    event(x, "city-2-orders");
    assert_true(lookups_changed(x->lookups, SLICE("cities"), 2));
    come_as_manager(x, "2;");
    locate_at(x, 1);
    forget_connected(x);
    turn(x);
    assert_heard(x, "@city-2-orders backfill\nresumed {}\n");
}

static void an_older_right_and_one_of_others_bring_nothing_twice(void **state)
{
    struct fixture *x = *state;
    be_cut_before_the_grant(x);
    move_on(x, 10000);
    event(x, "city-2-orders");
    move_on(x, 100);
    assert_true(lookups_changed(x->lookups, SLICE("cities:8"), 2));
    come_as_manager(x, "2;");
    locate_at(x, 3);
    forget_connected(x);
    turn(x);
    assert_heard(x, "resumed {}\n");
}

static void who_stood_before_all_that_outran_a_right_gets_it_once(void **state)
{
    struct fixture *x = *state;
    be_cut_before_the_grant(x);
    come_as_manager(x, "2;");
    locate_at(x, 0);
    forget_connected(x);
    turn(x);
    assert_heard(x, "@city-2-orders\n@user-7\nresumed {}\n");
}

/* --- any order of commands and answers --- */

enum { TASKS = 4, STEPS = 20000, EXPECTED_MAX = 64 };

struct expected_join {
    unsigned task;
    bool taken_back;
};

/* The joins in the order in which they came; equal ones wait for one answer. */
struct expected {
    struct expected_join waits[EXPECTED_MAX];
    size_t count;
    bool standing[TASKS];
};

static void expect_answer(struct expected *e, unsigned task, bool allowed, struct buffer *out)
{
    size_t kept = 0;
    for (size_t i = 0; i < e->count; i++) {
        struct expected_join w = e->waits[i];
        if (w.task != task) {
            e->waits[kept++] = w;
            continue;
        }
        if (!allowed)
            buffer_print(out,
                "error {\"code\":\"forbidden\",\"message\":\"you may not join this "
                "room\",\"roomId\":\"task:%u\"}\n",
                task);
        else if (!w.taken_back)
            buffer_print(out, "room-joined {\"roomId\":\"task:%u\"}\n", task);
        e->standing[task] |= allowed && !w.taken_back;
    }
    e->count = kept;
}

static void memberships_follow_the_commands_whatever_the_order_of_answers(void **state)
{
    struct fixture *x = *state;
    attach_reader(x);
    struct expected e = {0};
    struct buffer text = {0};
    uint32_t seed = 1;
    for (unsigned step = 0; step < STEPS; step++) {
        seed = seed * 1664525 + 1013904223;
        unsigned task = (seed >> 10) % TASKS, choice = (seed >> 20) % 4;
        char room[16], event_text[20];
        buffer_clear(&text);
        snprintf(room, sizeof room, "task:%u", task);
        if (choice < 2 && e.count < 20) {
            join(x, room);
            if (e.standing[task])
                buffer_print(&text, "room-joined {\"roomId\":\"%s\"}\n", room);
            else
                e.waits[e.count++] = (struct expected_join){task, false};
        } else if (choice == 2) {
            leave(x, room);
            buffer_print(&text, "room-left {\"roomId\":\"%s\"}\n", room);
            e.standing[task] = false;
            for (size_t i = 0; i < e.count; i++)
                e.waits[i].taken_back |= e.waits[i].task == task;
        } else if (x->pending_count > 0) {
            struct pending p = take_pending(x, (seed >> 8) % x->pending_count);
            bool allowed = (seed >> 5) % 3 != 0;
            struct rows *rows = rows_create(&SLICE("one"), 1);
            if (allowed)
                rows_add(rows, &SLICE("1"));
            lookups_answer(x->lookups, p.tag, LOOKUP_OK, rows);
            rows_release(rows);
            expect_answer(&e, (unsigned)(p.params[1] - '0'), allowed, &text);
        }
        assert_heard(x, buffer_text(&text));
        event(x, room);
        snprintf(event_text, sizeof event_text, "@%s\n", room);
        assert_heard(x, e.standing[task] ? event_text : "");
    }
    buffer_finish(&text);
}

/* --- limits --- */

static void limit(struct fixture *x, enum limit which, uint32_t most)
{
    uint32_t all[LIMIT_COUNT] = {0};
    all[which] = most;
    client_destroy(x->client);
    x->client = NULL;
    allowance_release(x->allowance);
    limits_destroy(x->limits);
    x->limits = limits_create(all);
    x->allowance = allowance_create(x->limits, SLICE("somewhere"), x->now);
    create_client(x, ROOMS_MAX);
}

static void who_says_too_much_is_told_when_to_go_on_and_then_cut(void **state)
{
    struct fixture *x = *state;
    limit(x, LIMIT_MESSAGES, 20);
    for (int i = 0; i < 200; i++)
        assert_true(client_may_speak(x->client, 0));
    assert_heard(x, "");
    assert_false(client_may_speak(x->client, 0));
    assert_heard(x, "error {\"code\":\"rate_limited\",\"message\":\"too many messages; send fewer\","
                    "\"retryAfterMs\":50}\n");
    assert_false(client_may_speak(x->client, 8));
    assert_memory_equal(x->said.data, "8: error ", 9);
    buffer_clear(&x->said);
    assert_false(client_heard(x->client));
    assert_heard(x, "");
    x->now += 50;
    assert_true(client_heard(x->client));
    for (int i = 0; i < 198; i++)
        assert_false(client_heard(x->client));
    assert_heard(x, "");
    assert_false(client_heard(x->client));
    assert_heard(x, "limited: 0 for 50 ms\n");
}

static void who_asks_for_too_many_rooms_is_told_when_to_go_on(void **state)
{
    struct fixture *x = *state;
    limit(x, LIMIT_USER_JOINS, 1);
    attach(x, "7", "7");
    answer(x, "user", "[7]", "id,role", "7,buyer");
    buffer_clear(&x->said);
    for (int i = 0; i < 10; i++) {
        join(x, "open-1");
        leave(x, "open-1");
    }
    buffer_clear(&x->said);
    join(x, "open-1");
    assert_heard(x, "error {\"code\":\"rate_limited\",\"message\":\"too many joins; ask for fewer\","
                    "\"roomId\":\"open-1\",\"retryAfterMs\":1000}\n");
    x->now += 1000;
    join(x, "open-1");
    assert_heard(x, "room-joined {\"roomId\":\"open-1\"}\n");
}

static void bad_credentials_of_an_address_end_its_further_ones_unjudged(void **state)
{
    struct fixture *x = *state;
    limit(x, LIMIT_ADDRESS_FAILURES, 2);
    for (int i = 0; i < 2; i++) {
        client_authenticate(x->client, SLICE("t"));
        judge(x, &(struct client_verdict){.status = VERDICT_BAD, .why = "no good"});
        create_client(x, ROOMS_MAX);
    }
    buffer_clear(&x->token);
    client_authenticate(x->client, SLICE("t"));
    assert_int_equal(x->token.size, 0);
    assert_heard(x, "limited: 8 for 30000 ms\n");
    x->now += 30000;
    create_client(x, ROOMS_MAX);
    client_authenticate(x->client, SLICE("t"));
    assert_int_equal(x->token.size, 2);
}

static void a_user_has_so_many_connections_and_no_more(void **state)
{
    struct fixture *x = *state;
    limit(x, LIMIT_USER_CONNECTIONS, 1);
    struct allowance *other = allowance_create(x->limits, SLICE("elsewhere"), x->now);
    struct account *account;
    assert_int_equal(allowance_identify(other, SLICE("7"), &account, x->now), 0);
    attach(x, "7", "7");
    assert_heard(x, "limited: 5 for 5000 ms\n");
    allowance_leave(other, account);
    allowance_release(other);
    create_client(x, ROOMS_MAX);
    attach(x, "7", "7");
    assert_heard(x, "");
    assert_true(allowance_is_vouched(x->allowance));
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
        stage(a_token_that_is_no_good_refuses),
        stage(an_expiry_is_told_and_then_ends_the_connection),
        stage(a_short_token_is_told_of_at_once_and_an_endless_one_never),
        stage(a_refresh_extends),
        stage(a_refresh_that_is_no_good_changes_nothing),
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
        stage(who_comes_without_a_cursor_is_given_one),
        stage(a_cursor_of_this_log_is_exact),
        stage(a_place_elsewhere_is_walked_to_and_marked),
        stage(a_cursor_that_says_nothing_any_more_is_a_gap_and_goes_on_from_now),
        stage(a_cursor_that_cannot_be_looked_up_now_ends_the_attach),
        stage(rooms_that_were_joined_are_part_of_what_is_resumed),
        stage(a_room_that_is_entered_late_brings_what_was_missed_and_is_joined_then),
        stage(a_late_room_waits_until_the_log_has_come_to_where_the_session_was),
        stage(a_late_room_without_the_right_is_refused_and_holds_nothing),
        stage(late_rooms_wait_for_each_other),
        stage(a_resume_message_repeats_all_rooms),
        stage(nobody_leaves_where_everybody_stands),
        stage(who_is_away_asks_for_late_rooms_in_vain_until_it_is_back),
        stage(a_client_may_go_while_it_is_away_or_beside_itself),
        stage(memberships_follow_the_commands_whatever_the_order_of_answers),
        stage(what_outran_a_right_that_is_younger_than_the_cursor_is_brought_first),
        stage(who_is_cut_amid_the_walk_for_a_new_right_gets_it_again),
        stage(it_is_brought_too_when_the_cursor_is_of_elsewhere),
        stage(changes_that_nobody_heard_of_may_have_been_any),
        stage(a_change_of_all_keys_is_one_of_each),
        stage(an_older_right_and_one_of_others_bring_nothing_twice),
        stage(who_stood_before_all_that_outran_a_right_gets_it_once),
        stage(who_says_too_much_is_told_when_to_go_on_and_then_cut),
        stage(who_asks_for_too_many_rooms_is_told_when_to_go_on),
        stage(bad_credentials_of_an_address_end_its_further_ones_unjudged),
        stage(a_user_has_so_many_connections_and_no_more),
        cmocka_unit_test(close_reasons_have_codes_and_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
