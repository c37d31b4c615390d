/* A log whose entries say where they stand: what a journal stamps leads back into it. */
#include "unit.h"

#include "catalogue_text.h"

#include "causeway/frame.h"
#include "causeway/journal.h"
#include "causeway/json.h"

static const char shop[] =
    "asyncapi: 3.0.0\n"
    "servers: {log: {host: k, protocol: kafka}, door: {host: h, protocol: ws}}\n"
    "channels:\n"
    "  orders:\n"
    "    address: orders.v1\n"
    "    servers: [{$ref: '#/servers/log'}]\n"
    "    messages: {created: {name: order.created}, typing: {name: order.typing}}\n"
    "  clients:\n"
    "    address: /\n"
    "    servers: [{$ref: '#/servers/door'}]\n"
    "    messages: {event: {name: event}, typing: {name: typing}}\n"
    "  posts:\n"
    "    address: /posts\n"
    "    servers: [{$ref: '#/servers/door'}]\n"
    "    messages: {event: {name: event}}\n"
    "operations:\n"
    "  sendEvent:\n"
    "    action: send\n"
    "    channel: {$ref: '#/channels/clients'}\n"
    "    messages: [{$ref: '#/channels/clients/messages/event'}]\n"
    "    x-causeway: {from: {$ref: '#/channels/orders/messages/created'}, to: ['a-{a}'], except: "
    "['b-{b?}']}\n"
    "  sendPost:\n"
    "    action: send\n"
    "    channel: {$ref: '#/channels/posts'}\n"
    "    messages: [{$ref: '#/channels/posts/messages/event'}]\n"
    "    x-causeway: {from: {$ref: '#/channels/orders/messages/created'}, to: ['c-{c?}']}\n"
    "  sendTyping:\n"
    "    action: send\n"
    "    channel: {$ref: '#/channels/clients'}\n"
    "    messages: [{$ref: '#/channels/clients/messages/typing'}]\n"
    "    x-causeway: {from: {$ref: '#/channels/orders/messages/typing'}, to: ['a-{a}'], ephemeral: true}\n"
    "x-causeway:\n"
    "  principal: {lookup: user}\n"
    "  lookups: {user: {sql: 'SELECT 1', params: []}}\n"
    "  rooms:\n"
    "    'a-{a}': {join: request, allow: [{}]}\n"
    "    'b-{b}': {join: request, allow: [{}]}\n"
    "    'c-{c}': {join: request, allow: [{}]}\n";

enum { NONCE = 0x1234567, PARTITIONS = 3 };

struct fixture {
    struct catalogue *catalogue;
    struct rooms *rooms;
    struct partitions *partitions;
    struct router *router;
    struct journal *journal;
    struct hotlog *log;
    struct hotlog_reader *reader;
    int64_t next[PARTITIONS];
    int64_t topic_end;
    uint64_t asked; /* for the pace */
    uint32_t seed;
};

static uint32_t next_random(struct fixture *x)
{
    x->seed ^= x->seed << 13;
    x->seed ^= x->seed >> 17;
    x->seed ^= x->seed << 5;
    return x->seed;
}

static void begin(struct fixture *x)
{
    for (uint32_t p = 0; p < PARTITIONS; p++)
        journal_advance(x->journal, p, x->next[p], NULL);
}

static int set_up(void **state)
{
    struct fixture *x = calloc(1, sizeof *x);
    x->catalogue = catalogue_from_text(shop);
    x->rooms = rooms_create();
    x->partitions = partitions_create();
    x->router = router_create(1 << 16);
    x->seed = 815;
    x->journal = journal_create(
        &(struct hotlog_settings){1 << 20, 1024, 1}, x->rooms, x->partitions, UINT64_C(0xffff) << 48 | NONCE);
    x->log = journal_log(x->journal);
    x->reader = hotlog_reader_create(x->log);
    for (int32_t p = 0; p < PARTITIONS; p++)
        partitions_get(x->partitions, SLICE("orders.v1"), p, 0);
    begin(x);
    *state = x;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *x = *state;
    journal_destroy(x->journal);
    journal_destroy(NULL);
    router_destroy(x->router);
    partitions_destroy(x->partitions);
    rooms_destroy(x->rooms);
    catalogue_release(x->catalogue);
    free(x);
    return 0;
}

/* A record of this value; returns the number of its entries. */
static size_t append(struct fixture *x, uint32_t partition, const char *value)
{
    struct record r = {.topic = SLICE("orders.v1"),
        .partition = (int32_t)partition,
        .offset = x->next[partition] + next_random(x) % 2,
        .time_ms = 1705314600000,
        .value = slice_of(value)};
    struct routed routed;
    size_t appended = 0;
    assert_int_equal(route_record(x->router, x->catalogue, &r, &routed), REJECT_NONE);
    assert_true(journal_append(x->journal, x->catalogue, partition, &r, &routed, &appended));
    x->next[partition] = r.offset + 1;
    journal_advance(x->journal, partition, x->next[partition], &r);
    return appended;
}

static const char one[] = "{\"type\":\"order.created\",\"data\":{\"a\":1}}";
static const char two[] = "{\"type\":\"order.created\",\"data\":{\"a\":1,\"b\":2,\"c\":3}}";
static const char typing[] = "{\"type\":\"order.typing\",\"data\":{\"a\":1}}";

static bool checkpoint(struct fixture *x, uint64_t *tag)
{
    struct buffer bytes = {0};
    bool taken = journal_checkpoint(x->journal, false, &bytes, tag);
    struct checkpoint *c = taken ? checkpoint_decode(buffer_slice(&bytes)) : NULL;
    if (taken) {
        assert_non_null(c);
        assert_int_equal(c->sequence, hotlog_next(x->log));
        assert_int_equal(c->nonce, journal_nonce(x->journal));
        for (size_t p = 0; p < PARTITIONS; p++)
            assert_int_equal(c->parts[p].next, x->next[p]);
    }
    checkpoint_release(c);
    buffer_finish(&bytes);
    return taken;
}

static void acknowledge(struct fixture *x, uint64_t tag)
{
    x->topic_end += 2;
    journal_acknowledge(x->journal, tag, x->topic_end);
}

static void checkpoint_now(struct fixture *x)
{
    uint64_t tag;
    assert_true(checkpoint(x, &tag));
    acknowledge(x, tag);
}

/* The cursor in the frame of this entry. false: there is none. */
static bool cursor_of(struct fixture *x, uint64_t sequence, struct cursor *out)
{
    hotlog_pin(x->reader);
    struct hotlog_entry e = hotlog_get(x->log, sequence);
    struct json j = {0};
    assert_true(json_scan(&j, e.frame + e.head_size, e.frame_size - e.head_size));
    struct buffer scratch = {0};
    struct slice text = json_string(&j, json_find(&j, 0, SLICE("cursor")), &scratch);
    bool found = text.size > 0;
    if (found)
        assert_int_equal(cursor_decode(text, out), CURSOR_OK);
    struct slice tail = {e.frame + e.frame_size - e.tail_size, e.tail_size};
    assert_true(found ? slice_starts(tail, SLICE(",\"cursor\":\"")) : slice_is(tail, "}"));
    buffer_finish(&scratch);
    json_finish(&j);
    hotlog_unpin(x->reader);
    return found;
}

static uint64_t posted(struct fixture *x, uint64_t position)
{
    char text[CURSOR_TEXT_MAX + 1];
    struct cursor c;
    size_t size = journal_cursor(x->journal, 0, position, text);
    if (size == 0)
        return UINT64_MAX;
    assert_int_equal(cursor_decode((struct slice){text, size}, &c), CURSOR_OK);
    return journal_position(x->journal, &c);
}

static void nothing_is_stamped_before_a_checkpoint_is_acknowledged(void **state)
{
    struct fixture *x = *state;
    struct cursor c;
    uint64_t tag;
    char text[CURSOR_TEXT_MAX + 1];
    append(x, 0, one);
    assert_true(checkpoint(x, &tag));
    append(x, 0, one);
    journal_publish(x->journal);
    assert_false(cursor_of(x, 0, &c) || cursor_of(x, 1, &c));
    assert_int_equal(journal_cursor(x->journal, 0, 2, text), 0);
    acknowledge(x, tag);
    assert_int_equal(posted(x, 2), 2); /* at once, for those who see no event */
    assert_int_equal(journal_cursor(x->journal, 0, 1, text), 0);
    append(x, 0, one);
    journal_publish(x->journal);
    assert_true(cursor_of(x, 2, &c));
}

static void each_entry_names_the_place_behind_it(void **state)
{
    struct fixture *x = *state;
    uint64_t tags[4] = {0};
    unsigned stamped = 0;
    checkpoint_now(x);
    uint64_t first = hotlog_next(x->log);
    for (unsigned i = 0; i < 600; i++) {
        append(x, next_random(x) % PARTITIONS, next_random(x) % 2 ? one : two);
        if (next_random(x) % 10 == 0 && !tags[i % 4] && !checkpoint(x, &tags[i % 4]))
            tags[i % 4] = 0;
        if (next_random(x) % 10 == 0 && tags[i % 4]) {
            acknowledge(x, tags[i % 4]);
            memset(tags, 0, sizeof tags); /* those before it count as acknowledged */
        }
        if (next_random(x) % 3 == 0)
            journal_publish(x->journal);
    }
    journal_publish(x->journal);
    for (uint64_t s = first; s < hotlog_head(x->log); s++, stamped++) {
        struct cursor c;
        assert_true(s < hotlog_tail(x->log) || cursor_of(x, s, &c));
        if (s < hotlog_tail(x->log))
            continue;
        assert_int_equal(c.nonce, NONCE);
        assert_int_equal(journal_position(x->journal, &c), s + 1);
        c.nonce++;
        assert_int_equal(journal_position(x->journal, &c), UINT64_MAX);
        c.nonce--;
        c.checkpoint++; /* none of this journal's */
        assert_int_equal(journal_position(x->journal, &c), UINT64_MAX);
    }
    assert_true(stamped > 500);
}

static void a_place_beyond_the_head_is_none(void **state)
{
    struct fixture *x = *state;
    struct cursor c;
    checkpoint_now(x);
    append(x, 0, one);
    journal_publish(x->journal);
    assert_true(cursor_of(x, 0, &c));
    c.ahead++;
    assert_int_equal(journal_position(x->journal, &c), UINT64_MAX);
    c.ahead = UINT64_MAX - 5;
    assert_int_equal(journal_position(x->journal, &c), UINT64_MAX);
}

static void what_is_not_for_anybody_takes_no_entry(void **state)
{
    struct fixture *x = *state;
    checkpoint_now(x);
    assert_int_equal(append(x, 0, one), 1);
    assert_int_equal(append(x, 0, two), 2);
    assert_int_equal(append(x, 0, typing), 1);
    journal_publish(x->journal);
    struct cursor c;
    assert_true(cursor_of(x, 0, &c) && cursor_of(x, 1, &c) && cursor_of(x, 2, &c));
    assert_false(cursor_of(x, 3, &c)); /* nobody is to resume from what is never repeated */
    hotlog_pin(x->reader);
    struct hotlog_entry e = hotlog_get(x->log, 1);
    assert_true(e.room_count == 1 && e.except_count == 1 && !e.ephemeral);
    assert_true(hotlog_get(x->log, 3).ephemeral);
    hotlog_unpin(x->reader);
}

/* The recent ones all; older ones ever more sparsely, but never is one beyond the position given out, and so
   far back as there is any, one is not much farther away than the position is old. */
static void what_no_frame_can_carry_is_known_without_a_log(void **state)
{
    struct fixture *x = *state;
    char topic[600];
    memset(topic, 't', sizeof topic);
    struct record r = {.topic = SLICE("orders.v1"), .value = slice_of(two)};
    struct routed routed;
    size_t appended = 0;
    assert_int_equal(route_record(x->router, x->catalogue, &r, &routed), REJECT_NONE);
    assert_true(journal_can_carry(x->catalogue, &r, &routed));
    r.topic = (struct slice){topic, sizeof topic};
    assert_false(journal_can_carry(x->catalogue, &r, &routed));
    assert_false(journal_append(x->journal, x->catalogue, 0, &r, &routed, &appended));
    assert_int_equal(appended, 0);
}

static void posts_are_kept_as_near_as_may_be(void **state)
{
    struct fixture *x = *state;
    checkpoint_now(x);
    for (unsigned i = 0; i < 5000; i++) {
        append(x, 0, one);
        append(x, 1, two);
        journal_publish(x->journal); /* every three entries */
        journal_publish(x->journal); /* and once more for nothing */
    }
    uint64_t head = hotlog_head(x->log);
    assert_int_equal(head, 15000);
    for (uint64_t back = 0; back < 3 * 255; back++)
        assert_int_equal(posted(x, head - back), head - (back + 2) / 3 * 3);
    for (uint64_t back = 3 * 255; back < head - 100; back += 7) {
        uint64_t found = posted(x, head - back);
        assert_true(found <= head - back);
        assert_true(head - back - found <= back);
    }
    assert_int_equal(posted(x, UINT64_MAX), head);
    char text[CURSOR_TEXT_MAX + 1];
    assert_true(journal_cursor(x->journal, head, head, text) > 0);
    assert_true(journal_cursor(x->journal, head - 1, head - 1, text) == 0 &&
                journal_cursor(x->journal, head - 3, head - 1, text) > 0);
}

static void records_without_entries_move_the_cursor(void **state)
{
    struct fixture *x = *state;
    char before[CURSOR_TEXT_MAX + 1], after[CURSOR_TEXT_MAX + 1];
    checkpoint_now(x);
    journal_publish(x->journal);
    assert_true(journal_cursor(x->journal, 0, 0, before) > 0);
    journal_advance(x->journal, 0, x->next[0] += 10, NULL);
    journal_publish(x->journal);
    assert_true(journal_cursor(x->journal, 0, 0, after) > 0);
    assert_string_not_equal(before, after);
}

static void a_checkpoint_is_taken_when_something_has_moved(void **state)
{
    struct fixture *x = *state;
    uint64_t tag = 0, again;
    assert_true(checkpoint(x, &tag));
    assert_false(checkpoint(x, &again));
    struct buffer bytes = {0};
    assert_true(journal_checkpoint(x->journal, true, &bytes, &again));
    assert_int_not_equal(again, tag);
    buffer_finish(&bytes);
    append(x, 0, one);
    assert_true(checkpoint(x, &tag));
}

static void a_gap_goes_to_everybody_on_every_lane(void **state)
{
    struct fixture *x = *state;
    struct gap gap = {{SLICE("orders.v1"), 2, 0}, 7, 9, GAP_RETENTION};
    journal_append_gap(x->journal, x->catalogue, 2, &gap);
    journal_publish(x->journal);
    assert_int_equal(hotlog_head(x->log), 2);
    hotlog_pin(x->reader);
    for (uint16_t lane = 0; lane < 2; lane++) {
        uint32_t room = rooms_find(x->rooms, lane, ROOM_OF_ALL);
        struct hotlog_run run = hotlog_find(x->log, room, 0, 2);
        assert_int_equal(run.count, 1);
        struct hotlog_entry e = hotlog_get(x->log, run.at[0]);
        assert_true(e.partition == 2 && e.offset == 8 && !e.ephemeral);
        struct slice body = {e.frame + e.head_size, e.frame_size - e.head_size};
        assert_true(slice_is(body,
            "{\"type\":\"gap\",\"data\":{\"topic\":\"orders.v1\",\"partition\":2,\"from\":\"7\","
            "\"to\":\"9\",\"reason\":\"retention\"}}"));
    }
    hotlog_unpin(x->reader);
}

static void publish_at_once(void *owner)
{
    struct fixture *x = owner;
    assert_int_equal(hotlog_next(x->log), x->asked++);
    journal_publish(x->journal);
}

/* What one record is to many must not run over those who walk the log, either. */
static void the_pace_is_asked_for_before_each_entry(void **state)
{
    struct fixture *x = *state;
    struct gap gap = {{SLICE("orders.v1"), 2, 0}, 7, 9, GAP_RETENTION};
    checkpoint_now(x);
    journal_publish(x->journal);
    journal_set_pace(x->journal, publish_at_once, x);
    assert_int_equal(append(x, 0, two), 2);
    assert_int_equal(x->asked, 2);
    assert_int_equal(hotlog_head(x->log), 1);
    char text[CURSOR_TEXT_MAX + 1];
    struct cursor c;
    assert_int_equal(posted(x, 1), 1);
    size_t size = journal_cursor(x->journal, 0, 1, text);
    assert_int_equal(cursor_decode((struct slice){text, size}, &c), CURSOR_OK);
    assert_false(c.whole); /* the other half of the record follows */
    assert_int_equal(c.steps[0].part, 0);
    journal_append_gap(x->journal, x->catalogue, 2, &gap);
    assert_int_equal(x->asked, 4);
}

static const char both[] =
    "asyncapi: 3.0.0\n"
    "servers: {log: {host: k, protocol: kafka}, door: {host: h, protocol: ws}}\n"
    "channels:\n"
    "  orders:\n"
    "    address: orders.v1\n"
    "    servers: [{$ref: '#/servers/log'}]\n"
    "    messages: {created: {name: order.created}, typing: {name: order.typing}}\n"
    "  clients:\n"
    "    address: /\n"
    "    servers: [{$ref: '#/servers/door'}]\n"
    "    x-causeway: {namespace: true}\n"
    "    messages: {event: {name: event}, copy: {name: copy}}\n"
    "  chat:\n"
    "    address: /chat\n"
    "    servers: [{$ref: '#/servers/door'}]\n"
    "    x-causeway: {dialect: socket.io}\n"
    "    messages: {other: {name: other}}\n"
    "operations:\n"
    "  sendEvent:\n"
    "    action: send\n"
    "    channel: {$ref: '#/channels/clients'}\n"
    "    messages: [{$ref: '#/channels/clients/messages/event'}]\n"
    "    x-causeway: {from: {$ref: '#/channels/orders/messages/created'}, to: ['a-{a}']}\n"
    "  sendCopy:\n"
    "    action: send\n"
    "    channel: {$ref: '#/channels/clients'}\n"
    "    messages: [{$ref: '#/channels/clients/messages/copy'}]\n"
    "    x-causeway: {from: {$ref: '#/channels/orders/messages/created'}, to: ['b-{b?}']}\n"
    "  sendOther:\n"
    "    action: send\n"
    "    channel: {$ref: '#/channels/chat'}\n"
    "    messages: [{$ref: '#/channels/chat/messages/other'}]\n"
    "    x-causeway: {from: {$ref: '#/channels/orders/messages/created'}, to: ['c-{c?}']}\n"
    "x-causeway:\n"
    "  principal: {lookup: user}\n"
    "  lookups: {user: {sql: 'SELECT 1', params: []}}\n"
    "  rooms:\n"
    "    'a-{a}': {join: request, allow: [{}]}\n"
    "    'b-{b}': {join: request, allow: [{}]}\n"
    "    'c-{c}': {join: request, allow: [{}]}\n";

static void take_catalogue(struct fixture *x, const char *text)
{
    catalogue_release(x->catalogue);
    x->catalogue = catalogue_from_text(text);
}

static void publish_each(void *owner)
{
    journal_publish(((struct fixture *)owner)->journal);
}

/* Which of a record's entries carry a cursor, and is it whole? "+-" are one that is, and one that is not. */
static void assert_wholes(struct fixture *x, const char *value, const char *expected)
{
    char wholes[8] = "";
    uint64_t first = hotlog_next(x->log);
    size_t count = append(x, 0, value), carrying = 0;
    journal_publish(x->journal);
    for (uint64_t s = first; s < first + count; s++) {
        hotlog_pin(x->reader);
        struct hotlog_entry e = hotlog_get(x->log, s);
        bool is_websocket = (unsigned char)e.frame[e.head_size] == '{';
        hotlog_unpin(x->reader);
        struct cursor c;
        if (is_websocket && cursor_of(x, s, &c))
            wholes[carrying++] = c.whole ? '+' : '-';
    }
    assert_string_equal(wholes, expected);
}

/* The same event for clients of the other dialect is nothing that could still follow. */
static void a_cursor_does_not_wait_for_the_twin_of_what_was_had(void **state)
{
    struct fixture *x = *state;
    take_catalogue(x, both);
    checkpoint_now(x);
    assert_wholes(x, "{\"type\":\"order.created\",\"data\":{\"a\":1}}", "+");
    assert_wholes(x, "{\"type\":\"order.created\",\"data\":{\"a\":1,\"b\":2}}", "-+");
    assert_wholes(x, "{\"type\":\"order.created\",\"data\":{\"a\":1,\"b\":2,\"c\":3}}", "--");
}

/* ... but those clients stand at that place, and have not had it. */
static void a_place_before_a_twin_is_amid_the_record(void **state)
{
    struct fixture *x = *state;
    char text[CURSOR_TEXT_MAX + 1];
    struct cursor c;
    take_catalogue(x, both);
    checkpoint_now(x);
    journal_set_pace(x->journal, publish_each, x);
    assert_int_equal(append(x, 0, "{\"type\":\"order.created\",\"data\":{\"a\":1}}"), 2);
    journal_publish(x->journal);
    for (uint64_t position = 1; position <= 2; position++) {
        assert_int_equal(posted(x, position), position);
        size_t size = journal_cursor(x->journal, position, position, text);
        assert_int_equal(cursor_decode((struct slice){text, size}, &c), CURSOR_OK);
        assert_int_equal(c.whole, position == 2);
    }
}

static void a_journal_that_begins_anew_knows_nothing_of_its_past(void **state)
{
    struct fixture *x = *state;
    struct cursor before, after;
    uint64_t late, tag;
    checkpoint_now(x);
    append(x, 0, two);
    assert_true(checkpoint(x, &late));
    journal_publish(x->journal);
    assert_true(cursor_of(x, 1, &before));
    assert_int_equal(journal_position(x->journal, &before), 2);
    hotlog_evict_all(x->log);
    journal_restart(x->journal, NONCE + 1);
    assert_int_equal(journal_nonce(x->journal), NONCE + 1);
    assert_int_equal(journal_position(x->journal, &before), UINT64_MAX);
    assert_int_equal(posted(x, hotlog_head(x->log)), UINT64_MAX);
    begin(x);
    journal_acknowledge(x->journal, late, x->topic_end += 2); /* of what is over */
    uint64_t start = hotlog_next(x->log);
    append(x, 0, one);
    journal_publish(x->journal);
    assert_false(cursor_of(x, start, &after));
    assert_int_equal(posted(x, start + 1), UINT64_MAX);
    assert_true(checkpoint(x, &tag));
    assert_int_not_equal(tag, late);
    acknowledge(x, tag);
    append(x, 0, one);
    journal_publish(x->journal);
    assert_true(cursor_of(x, start + 1, &after));
    assert_int_equal(after.nonce, NONCE + 1);
    assert_int_equal(journal_position(x->journal, &after), start + 2);
    assert_int_equal(journal_position(x->journal, &before), UINT64_MAX);
    after.checkpoint -= 2; /* the one that was too late is none of the new journal's */
    assert_int_equal(journal_position(x->journal, &after), UINT64_MAX);
}

#define stage(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        stage(nothing_is_stamped_before_a_checkpoint_is_acknowledged),
        stage(each_entry_names_the_place_behind_it),
        stage(a_place_beyond_the_head_is_none),
        stage(what_is_not_for_anybody_takes_no_entry),
        stage(what_no_frame_can_carry_is_known_without_a_log),
        stage(posts_are_kept_as_near_as_may_be),
        stage(records_without_entries_move_the_cursor),
        stage(a_checkpoint_is_taken_when_something_has_moved),
        stage(a_gap_goes_to_everybody_on_every_lane),
        stage(the_pace_is_asked_for_before_each_entry),
        stage(a_cursor_does_not_wait_for_the_twin_of_what_was_had),
        stage(a_place_before_a_twin_is_amid_the_record),
        stage(a_journal_that_begins_anew_knows_nothing_of_its_past),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
