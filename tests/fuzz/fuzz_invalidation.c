/* libFuzzer: a record of changed rights is refused with a reason, and leaves nothing behind, or it names a
   lookup and perhaps a key. Lookups take whatever it names: what it puts in doubt is asked for again, and is
   good again with the answer; nothing else is touched. */
#include "fuzz_text.h"

#include "causeway/invalidation.h"
#include "causeway/lookups.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char document[] =
    "asyncapi: 3.0.0\n"
    "servers: {log: {host: k, protocol: kafka}, door: {host: h, protocol: ws}}\n"
    "channels:\n"
    "  orders: {address: o, servers: [{$ref: '#/servers/log'}], messages: {a: {name: a}}}\n"
    "  clients: {address: /, servers: [{$ref: '#/servers/door'}], messages: {event: {name: event}}}\n"
    "operations:\n"
    "  one: {action: send, channel: {$ref: '#/channels/clients'},\n"
    "    messages: [{$ref: '#/channels/clients/messages/event'}],\n"
    "    x-causeway: {from: {$ref: '#/channels/orders/messages/a'}, to: ['task:{t}', mine]}}\n"
    "x-causeway:\n"
    "  principal: {lookup: user}\n"
    "  lookups:\n"
    "    user: {sql: 'SELECT id FROM users WHERE id = $1', params: ['{token.user}']}\n"
    "    member: {sql: 'SELECT 1 FROM m WHERE t = $1 AND u = $2', params: ['{room.id}', '{user.id}']}\n"
    "    open: {sql: 'SELECT 1 FROM open', params: []}\n"
    "  rooms:\n"
    "    mine: {join: automatic, allow: [{lookup: open}]}\n"
    "    task:{id}: {join: request, allow: [{lookup: member}]}\n";

enum { USES = 4 };

static struct lookups *lookups;
static struct lookups_user user;
static struct use *uses[USES];
static uint64_t tags[USES];
static size_t tag_count;

static void on_ask(void *owner, const struct lookup *lookup, const struct slice *params, size_t count,
    uint64_t after, uint64_t tag)
{
    (void)owner;
    (void)params;
    (void)after;
    CHECK(lookup->param_count == count && tag_count < USES);
    tags[tag_count++] = tag;
}

static uint64_t on_now(void *owner)
{
    (void)owner;
    return 1000;
}

static void on_review(struct lookups_user *u)
{
    CHECK(u == &user);
}

static void answer_all(void)
{
    static struct rows *rows;
    if (!rows)
        rows = rows_create(NULL, 0);
    while (tag_count > 0)
        lookups_answer(lookups, tags[--tag_count], LOOKUP_OK, rows);
    for (size_t i = 0; i < USES; i++)
        CHECK(use_state(uses[i]) == USE_GOOD);
}

static void use_lookup(
    struct catalogue *c, size_t at, const char *name, const char *first, const char *second)
{
    struct buffer key = {0};
    if (first)
        lookups_key(&key, slice_of(first));
    if (second)
        lookups_key(&key, slice_of(second));
    uses[at] = lookups_use(lookups, &user, catalogue_find_lookup(c, slice_of(name)), &key);
    buffer_finish(&key);
}

static void begin(void)
{
    static const struct lookups_hooks hooks = {on_ask, on_now};
    struct catalogue *c = text_catalogue(document);
    lookups =
        lookups_create(c, &(struct lookups_settings){.lease_ms = 30000, .patience_ms = 10000}, &hooks, NULL);
    lookups_tick(lookups, &(struct lookups_pulse){.epoch = 1, .heard_ms = 1000, .answer_ms = 1000});
    lookups_user_init(&user, on_review);
    use_lookup(c, 0, "user", "7", NULL);
    use_lookup(c, 1, "member", "5", "7");
    use_lookup(c, 2, "member", "6", "7");
    use_lookup(c, 3, "open", NULL, NULL);
    catalogue_release(c);
    answer_all();
}

/* How many answers of ours the text names. */
static size_t named_by(struct slice what)
{
    static const struct {
        const char *text;
        size_t count;
    } names[] = {{"user", 1}, {"user:7", 1}, {"member", 2}, {"member:[\"5\",\"7\"]", 1}, {"open", 1}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (slice_is(what, names[i].text))
            return names[i].count;
    return SIZE_MAX;
}

static void check_change(struct slice what)
{
    size_t expected = named_by(what);
    bool known = lookups_changed(lookups, what, 1);
    CHECK(known || tag_count == 0);
    CHECK(expected == SIZE_MAX || (known && tag_count == expected));
    size_t doubted = 0;
    for (size_t i = 0; i < USES; i++)
        doubted += use_state(uses[i]) == USE_DOUBTED;
    CHECK(doubted == tag_count);
    answer_all();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct json scratch;
    struct slice record = {(const char *)data, size};
    struct buffer out = {0};
    const char *fault = NULL;
    if (!lookups)
        begin();
    buffer_add_byte(&out, '>');
    bool said = invalidation_read(&scratch, record, &out, &fault);
    CHECK(said == !fault && (said ? out.size > 1 : out.size == 1));
    if (said)
        check_change((struct slice){out.data + 1, out.size - 1});
    check_change(record); /* as a notification that was written by hand */
    buffer_finish(&out);
    return 0;
}
