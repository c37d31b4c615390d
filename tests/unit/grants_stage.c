#include "grants_stage.h"

#include <inttypes.h>
#include <stdlib.h>

const char shop[] =
    "asyncapi: 3.0.0\n"
    "servers: {log: {host: k, protocol: kafka}, door: {host: h, protocol: ws}}\n"
    "channels:\n"
    "  clients: {address: /, servers: [{$ref: '#/servers/door'}]}\n"
    "  feed: {address: /feed, servers: [{$ref: '#/servers/door'}]}\n"
    "x-causeway:\n"
    "  principal: {lookup: user}\n"
    "  lookups:\n"
    "    user: {sql: 'SELECT $1', params: ['{token.user}']}\n"
    "    cities: {sql: 'SELECT $1', params: ['{user.id}']}\n"
    "    friends: {sql: 'SELECT $1, $2', params: ['u:{token.user}', '{user.tenant}']}\n"
    "    member: {sql: 'SELECT $1, $2', params: ['{room.taskId}', '{user.id}']}\n"
    "  rooms:\n"
    "    admin-orders:\n"
    "      join: automatic\n"
    "      allow: [{when: {role: [admin, ceo]}}]\n"
    "    city-{city_id}-orders:\n"
    "      join: automatic\n"
    "      allow: [{when: {role: [manager, editor]}, lookup: cities}]\n"
    "    city-{city_id}-stock:\n"
    "      join: request\n"
    "      allow: [{when: {role: [manager, clerk], level: 3}, lookup: cities}]\n"
    "    depot-{city_id}-{tenant}:\n"
    "      join: automatic\n"
    "      allow: [{when: {role: manager}, lookup: cities, with: {tenant: '{user.tenant}'}}]\n"
    "    user-{user_id}:\n"
    "      join: automatic\n"
    "      allow: [{with: {user_id: '{user.id}'}}]\n"
    "    friends-{who}:\n"
    "      join: automatic\n"
    "      allow: [{when: {role: [reader, editor]}, lookup: friends}]\n"
    "    task:{taskId}:\n"
    "      join: request\n"
    "      allow: [{when: {role: admin}}, {lookup: member}]\n"
    "    desk-{user_id}-{part}:\n"
    "      join: request\n"
    "      allow: [{when: {role: clerk}, with: {user_id: '{user.id}'}}]\n"
    "    feed:\n"
    "      join: automatic\n"
    "      channels: [{$ref: '#/channels/feed'}]\n"
    "      allow: [{}]\n";

static const char *const outcomes[] = {"allowed", "no_user", "forbidden", "too_many", "unavailable"};

static void append(char *text, size_t size, const char *format, ...) PRINTF_LIKE(3, 4);
static void append(char *text, size_t size, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    size_t used = strlen(text);
    assert_true(used < size);
    vsnprintf(text + used, size - used, format, args);
    va_end(args);
}

static void on_ask(void *owner, const struct lookup *lookup, const struct slice *params, size_t count,
    uint64_t after, uint64_t tag)
{
    (void)after;
    struct fixture *f = owner;
    assert_true(f->asked_count < ASKED_MAX);
    char *text = f->asked[f->asked_count].text;
    text[0] = '\0';
    append(text, 256, "%.*s", SLICE_ARGS(lookup->name));
    for (size_t i = 0; i < count; i++) {
        struct slice param = params[i].data ? params[i] : SLICE("NULL");
        append(text, 256, "%s%.*s", i ? "|" : " ", SLICE_ARGS(param));
    }
    f->asked[f->asked_count++].tag = tag;
}

static void destroy_if_told(struct fixture *f)
{
    if (!f->destroy)
        return;
    grants_destroy(f->grants);
    f->grants = NULL;
}

static void on_attached(void *owner, enum grants_outcome outcome, const struct slice *rooms, size_t count)
{
    struct fixture *f = owner;
    f->attached_count++;
    f->attached[0] = '\0';
    append(f->attached, sizeof f->attached, "%s:", outcomes[outcome]);
    for (size_t i = 0; i < count; i++)
        append(f->attached, sizeof f->attached, " %.*s", SLICE_ARGS(rooms[i]));
    destroy_if_told(f);
}

static void on_decided(void *owner, struct slice room, enum grants_outcome outcome, uint64_t tag)
{
    struct fixture *f = owner;
    f->decided_count++;
    append(f->decided, sizeof f->decided, "%" PRIu64 " %.*s %s; ", tag, SLICE_ARGS(room), outcomes[outcome]);
    destroy_if_told(f);
}

static void on_doubted(void *owner, bool doubt)
{
    struct fixture *f = owner;
    append(f->changes, sizeof f->changes, doubt ? "doubt; " : "certain; ");
}

static void on_withdrawn(void *owner, struct slice room, enum grants_outcome why)
{
    struct fixture *f = owner;
    append(f->changes, sizeof f->changes, "-%.*s %s; ", SLICE_ARGS(room), outcomes[why]);
}

static void on_granted(void *owner, const struct slice *rooms, size_t count, uint64_t known_until)
{
    struct fixture *f = owner;
    for (size_t i = 0; i < count; i++)
        append(f->changes, sizeof f->changes, "+%.*s %" PRIu64 "; ", SLICE_ARGS(rooms[i]), known_until);
}

static void on_ended(void *owner, enum grants_outcome why)
{
    struct fixture *f = owner;
    append(f->changes, sizeof f->changes, "ended %s; ", outcomes[why]);
    destroy_if_told(f);
}

static const struct grants_hooks hooks = {
    on_attached, on_decided, on_doubted, on_withdrawn, on_granted, on_ended};

static uint64_t on_now(void *owner)
{
    struct fixture *f = owner;
    return f->now;
}

static const struct lookups_hooks lookups_hooks = {on_ask, on_now};

void create(struct fixture *f, const char *address, size_t rooms_max)
{
    grants_destroy(f->grants);
    const struct lane *lane = catalogue_find_lane(f->catalogue, DIALECT_WEBSOCKET, slice_of(address));
    char user[] = "42"; /* goes away: it must have been copied */
    f->grants = grants_create(f->catalogue, lane, f->lookups, slice_of(user), rooms_max, &hooks, f);
    memset(user, 'x', sizeof user - 1);
}

int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    f->catalogue = catalogue_from_text(shop);
    f->now = 1000;
    f->lookups =
        lookups_create(f->catalogue, &(struct lookups_settings){LEASE_MS, 0, PATIENCE_MS}, &lookups_hooks, f);
    create(f, "/", 1000);
    *state = f;
    return 0;
}

int tear_down(void **state)
{
    struct fixture *f = *state;
    grants_destroy(f->grants);
    lookups_destroy(f->lookups);
    catalogue_release(f->catalogue);
    free(f);
    return 0;
}

size_t split(const char *text, struct slice *out)
{
    size_t count = 0;
    for (const char *at = text; at; count++) {
        const char *comma = strchr(at, ',');
        size_t size = comma ? (size_t)(comma - at) : strlen(at);
        out[count] = (struct slice){at, size};
        if (slice_is(out[count], "-"))
            out[count] = (struct slice){NULL, 0};
        at = comma ? comma + 1 : NULL;
    }
    return count;
}

void answer_rows(struct fixture *f, const char *asked, const char *const *texts)
{
    struct slice cells[8];
    struct rows *rows = rows_create(cells, split(texts[0], cells));
    for (size_t i = 1; texts[i]; i++) {
        assert_int_equal(split(texts[i], cells), rows_columns(rows));
        rows_add(rows, cells);
    }
    for (size_t i = 0; i < f->asked_count; i++) {
        if (strcmp(f->asked[i].text, asked) == 0) {
            f->asked[i].text[0] = '\0';
            lookups_answer(f->lookups, f->asked[i].tag, LOOKUP_OK, rows);
            rows_release(rows);
            return;
        }
    }
    fail_msg("'%s' was not asked", asked);
}

void answer_failure(struct fixture *f, const char *asked, enum lookup_status status)
{
    for (size_t i = 0; i < f->asked_count; i++) {
        if (strcmp(f->asked[i].text, asked) == 0) {
            lookups_answer(f->lookups, f->asked[i].tag, status, NULL);
            return;
        }
    }
    fail_msg("'%s' was not asked", asked);
}

void attach_as(struct fixture *f, const char *row)
{
    f->asked_count = 0;
    grants_attach(f->grants);
    assert_int_equal(f->asked_count, 1);
    answer(f, "user 42", "id,role,level,tenant", row);
}

void check_decided(struct fixture *f, const char *expected)
{
    assert_string_equal(f->decided, expected);
    f->decided[0] = '\0';
}
