/* libFuzzer: each line is a message of one client, whose token is good and whose lookups are answered when a
   line is empty, or fail when it is "!". Whatever the messages, all that is said is strict JSON, each command
   that came with a request number is answered at most once, and nothing is said to who has no credential but
   errors and pongs. */
#include "fuzz_text.h"

#include "causeway/client.h"
#include "causeway/json.h"
#include "causeway/lookups.h"
#include "causeway/roster.h"
#include "causeway/rows.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char document[] =
    "asyncapi: 3.0.0\n"
    "servers: {log: {host: k, protocol: kafka}, door: {host: h, protocol: ws}}\n"
    "channels:\n"
    "  orders: {address: o, servers: [{$ref: '#/servers/log'}], messages: {a: {name: a}}}\n"
    "  clients: {address: /, servers: [{$ref: '#/servers/door'}], messages: {event: {name: event}, sub: "
    "{name: sub}}}\n"
    "operations:\n"
    "  one: {action: send, channel: {$ref: '#/channels/clients'},\n"
    "    messages: [{$ref: '#/channels/clients/messages/event'}],\n"
    "    x-causeway: {from: {$ref: '#/channels/orders/messages/a'}, to: ['open-{x}', 'task:{t}', mine]}}\n"
    "  two: {action: receive, channel: {$ref: '#/channels/clients'},\n"
    "    messages: [{$ref: '#/channels/clients/messages/sub'}],\n"
    "    x-causeway: {command: join-room, room: 'task:{id}'}}\n"
    "x-causeway:\n"
    "  principal: {lookup: user}\n"
    "  lookups:\n"
    "    user: {sql: 'SELECT id FROM users WHERE id = $1', params: ['{token.user}']}\n"
    "    member: {sql: 'SELECT 1 FROM m WHERE t = $1', params: ['{room.id}']}\n"
    "  rooms:\n"
    "    mine: {join: automatic, allow: [{}]}\n"
    "    open-{x}: {join: request, allow: [{}]}\n"
    "    task:{id}: {join: request, allow: [{lookup: member}]}\n";

enum { PENDING_MAX = 64, REQUESTS_MAX = 256 };

struct stage {
    struct catalogue *catalogue;
    struct rooms *rooms;
    struct hotlog *log;
    struct partitions *partitions;
    struct fanout *fanout;
    struct roster *roster;
    struct timeline *timeline;
    struct lookups *lookups;
    struct limits *limits;
    struct allowance *allowance;
    struct client *client;
    uint64_t now, pending[PENDING_MAX], judge_tag, locate_tag;
    size_t pending_count;
    bool known, over;
    uint8_t answers[REQUESTS_MAX];
};

static void check_json(struct slice text)
{
    static struct json j;
    CHECK(!text.data || json_scan(&j, text.data, text.size));
}

static void on_emit(void *owner, const char *type, struct slice data, struct slice cursor)
{
    struct stage *s = owner;
    CHECK(s->known || strcmp(type, "error") == 0 || strcmp(type, "pong") == 0);
    CHECK(cursor.size <= CURSOR_TEXT_MAX);
    check_json(data);
}

static void on_answer(void *owner, uint64_t request, const char *type, struct slice data)
{
    struct stage *s = owner;
    CHECK(type && request > 0 && request < REQUESTS_MAX);
    CHECK(++s->answers[request] == 1);
    check_json(data);
}

static void on_judging(void *owner)
{
    (void)owner;
}

static void on_refused(void *owner, enum verdict_status status, const char *why)
{
    (void)status;
    CHECK(why);
    ((struct stage *)owner)->over = true;
}

static void on_attached(void *owner, enum grants_outcome outcome)
{
    struct stage *s = owner;
    s->known = true;
    s->over |= outcome != GRANTS_ALLOWED;
}

static void on_expired(void *owner)
{
    ((struct stage *)owner)->over = true;
}

static void on_limited(void *owner, enum limit limit, uint64_t retry_ms)
{
    (void)limit;
    CHECK(retry_ms > 0);
    ((struct stage *)owner)->over = true;
}

static const struct client_hooks client_hooks = {
    on_emit, on_answer, on_judging, on_refused, on_attached, on_expired, on_limited};

static uint64_t on_now(void *owner)
{
    return ((struct stage *)owner)->now;
}

static void on_judge(void *owner, struct slice token, uint64_t client, uint64_t tag)
{
    (void)token;
    (void)client;
    ((struct stage *)owner)->judge_tag = tag;
}

static void on_locate(void *owner, const struct cursor *cursor, uint64_t client, uint64_t tag)
{
    (void)cursor;
    (void)client;
    ((struct stage *)owner)->locate_tag = tag;
}

static size_t on_cursor(
    void *owner, unsigned log, uint64_t least, uint64_t position, char out[CURSOR_TEXT_MAX + 1])
{
    (void)owner;
    (void)log;
    (void)least;
    return (size_t)snprintf(out, CURSOR_TEXT_MAX + 1, "at-%llu", (unsigned long long)position);
}

static void on_away(void *owner, uint64_t client, uint64_t session, struct origin *origin, uint64_t until)
{
    (void)owner;
    (void)client;
    (void)session;
    (void)until;
    origin_release(origin);
}

static const struct client_services services = {on_now, on_judge, on_locate, on_cursor, on_away};

static void on_ask(void *owner, const struct lookup *lookup, const struct slice *params, size_t count,
    uint64_t after, uint64_t tag)
{
    struct stage *s = owner;
    (void)after;
    CHECK(lookup->name.size > 0 && count == 1 && params[0].size <= 600);
    CHECK(s->pending_count < PENDING_MAX);
    s->pending[s->pending_count++] = tag;
}

static const struct lookups_hooks lookups_hooks = {on_ask, on_now};

static size_t on_write(void *transport, const struct iovec *parts, int count)
{
    size_t all = 0;
    (void)transport;
    for (int i = 0; i < count; i++)
        all += parts[i].iov_len;
    return all;
}

static void on_keep(void *transport, const char *rest, size_t size)
{
    (void)transport;
    CHECK(rest && size > 0);
}

static void on_session_away(void *transport, struct session *session, struct origin *origin)
{
    client_away(((struct stage *)transport)->client, session, origin);
}

static void on_arrived(void *transport, struct session *session)
{
    client_arrived(((struct stage *)transport)->client, session);
}

static void on_unacknowledged(void *transport, struct session *session, const struct ack_span *span)
{
    (void)client_unacknowledged(((struct stage *)transport)->client, session, span);
}

static const struct transport_hooks transport_hooks = {
    on_write, on_keep, NULL, on_session_away, on_arrived, on_unacknowledged};

/* What knows nothing of a client when it is gone is made once: mapping a log takes its time. */
static void make_surroundings(struct stage *s)
{
    s->catalogue = text_catalogue(document);
    s->rooms = rooms_create();
    s->log = hotlog_create(&(struct hotlog_settings){1 << 16, 64, 1}, s->rooms);
    s->partitions = partitions_create();
    s->fanout = fanout_create((struct hotlog *[]){s->log}, 1, s->rooms);
    s->timeline = timeline_create(0, 0);
}

static void set_up(struct stage *s)
{
    static struct stage surroundings;
    if (!surroundings.catalogue)
        make_surroundings(&surroundings);
    *s = surroundings;
    s->now = 1000;
    s->roster = roster_create();
    static const uint32_t most[LIMIT_COUNT] = {[LIMIT_MESSAGES] = 5, [LIMIT_JOINS] = 2};
    s->lookups = lookups_create(s->catalogue, &(struct lookups_settings){30000, 0, 10000}, &lookups_hooks, s);
    s->limits = limits_create(most);
    s->allowance = allowance_create(s->limits, SLICE("here"), s->now);
    struct client_settings settings = {
        .roster = s->roster,
        .services = &services,
        .services_owner = s,
        .transport = &transport_hooks,
        .fanout = s->fanout,
        .hotlog = s->log,
        .partitions = s->partitions,
        .catalogue = s->catalogue,
        .lookups = s->lookups,
        .timeline = s->timeline,
        .lane = catalogue_find_lane(s->catalogue, DIALECT_WEBSOCKET, SLICE("/")),
        .allowance = s->allowance,
        .rooms_max = 8,
        .expiry_warning_ms = 1000,
        .backfill_ms = 1000,
        .ack_ms = 1000,
    };
    s->client = client_create(&settings, &client_hooks, s, s);
}

static void tear_down(struct stage *s)
{
    client_destroy(s->client);
    allowance_release(s->allowance);
    limits_destroy(s->limits);
    roster_destroy(s->roster);
    lookups_destroy(s->lookups);
}

/* Everything that waits for the world outside is answered. */
static void answer(struct stage *s, bool good)
{
    s->now += 100;
    if (s->judge_tag) {
        uint64_t tag = s->judge_tag;
        s->judge_tag = 0;
        struct client_verdict verdict = {good ? VERDICT_GOOD : VERDICT_BAD, "bad", "7", "7", 60000, 0};
        client_judged(s->client, tag, &verdict, s->now);
    }
    if (s->locate_tag && !s->over) {
        uint64_t tag = s->locate_tag;
        s->locate_tag = 0;
        struct client_location location = {.status = good ? LOCATED_POSITION : LOCATED_UNAVAILABLE};
        client_located(s->client, tag, &location);
    }
    while (s->pending_count > 0 && !s->over) {
        struct rows *rows = rows_create(&SLICE("id"), 1);
        rows_add(rows, &SLICE("7"));
        uint64_t tag = s->pending[--s->pending_count];
        lookups_answer(s->lookups, tag, good ? LOOKUP_OK : LOOKUP_UNAVAILABLE, good ? rows : NULL);
        rows_release(rows);
    }
    while (fanout_turn(s->fanout)) {
    }
}

static void say(struct stage *s, struct slice text, uint64_t request)
{
    static struct json j;
    struct buffer scratch = {0};
    if (!client_may_speak(s->client, request) || !json_scan(&j, text.data, text.size))
        return;
    struct slice type = json_string(&j, json_find(&j, 0, SLICE("type")), &scratch);
    if (type.data)
        (void)client_command(s->client, type, &j, json_find(&j, 0, SLICE("data")), request);
    buffer_finish(&scratch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct stage s;
    struct slice rest = {(const char *)data, size};
    set_up(&s);
    for (uint64_t line = 1; rest.size > 0 && line < REQUESTS_MAX && !s.over; line++) {
        const char *end = memchr(rest.data, '\n', rest.size);
        struct slice text = {rest.data, end ? (size_t)(end - rest.data) : rest.size};
        size_t used = text.size + (end ? 1 : 0);
        rest = (struct slice){rest.data + used, rest.size - used};
        if (text.size == 0 || slice_is(text, "!"))
            answer(&s, text.size == 0);
        else if (s.pending_count < PENDING_MAX / 2)
            say(&s, text, line % 2 ? line : 0);
    }
    tear_down(&s);
    return 0;
}
