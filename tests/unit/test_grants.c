#include "unit.h"

#include "catalogue_text.h"

#include "causeway/grants.h"

#include <inttypes.h>

static const char shop[] =
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

enum { ASKED_MAX = 32, LEASE_MS = 30000, PATIENCE_MS = 10000 };

/* Records what grants ask and decide; answers nothing by itself. */
struct fixture {
    struct catalogue *catalogue;
    struct lookups *lookups;
    struct grants *grants;
    uint64_t now;
    struct {
        uint64_t tag;
        char text[256]; /* "lookup param|param" */
    } asked[ASKED_MAX];
    size_t asked_count;
    size_t attached_count, decided_count;
    char attached[512]; /* "allowed: room room" */
    char decided[512];  /* "tag room outcome; " for each */
    char changes[512];  /* what was said of rights that were given: "doubt; -room why; +room at; certain; " */
    bool destroy;       /* from within the decision */
};

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

static void create(struct fixture *f, const char *address, size_t rooms_max)
{
    grants_destroy(f->grants);
    const struct lane *lane = catalogue_find_lane(f->catalogue, DIALECT_WEBSOCKET, slice_of(address));
    char user[] = "42"; /* goes away: it must have been copied */
    f->grants = grants_create(f->catalogue, lane, f->lookups, slice_of(user), rooms_max, &hooks, f);
    memset(user, 'x', sizeof user - 1);
}

static int set_up(void **state)
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

static int tear_down(void **state)
{
    struct fixture *f = *state;
    grants_destroy(f->grants);
    lookups_destroy(f->lookups);
    catalogue_release(f->catalogue);
    free(f);
    return 0;
}

/* "a,b" makes slices in `out`; "-" is NULL. */
static size_t split(const char *text, struct slice *out)
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

/* Answers what was asked as "lookup param|param": the columns, then one text per row, NULL-terminated. */
static void answer_rows(struct fixture *f, const char *asked, const char *const *texts)
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

#define answer(f, asked, ...) answer_rows(f, asked, (const char *const[]){__VA_ARGS__, NULL})

static void answer_failure(struct fixture *f, const char *asked, enum lookup_status status)
{
    for (size_t i = 0; i < f->asked_count; i++) {
        if (strcmp(f->asked[i].text, asked) == 0) {
            lookups_answer(f->lookups, f->asked[i].tag, status, NULL);
            return;
        }
    }
    fail_msg("'%s' was not asked", asked);
}

static void attach_as(struct fixture *f, const char *row)
{
    f->asked_count = 0;
    grants_attach(f->grants);
    assert_int_equal(f->asked_count, 1);
    answer(f, "user 42", "id,role,level,tenant", row);
}

static void check_decided(struct fixture *f, const char *expected)
{
    assert_string_equal(f->decided, expected);
    f->decided[0] = '\0';
}

/* --- attaching --- */

static void the_principal_comes_first(void **state)
{
    struct fixture *f = *state;
    grants_attach(f->grants);
    assert_int_equal(f->asked_count, 1);
    assert_string_equal(f->asked[0].text, "user 42");
    assert_int_equal(f->attached_count, 0);
    assert_null(grants_user_column(f->grants, SLICE("role")).data);
    answer(f, "user 42", "id,role,level,tenant", "42,admin,-,t1");
    assert_int_equal(f->attached_count, 1);
    assert_string_equal(f->attached, "allowed: admin-orders user-42");
    assert_slice(grants_user_column(f->grants, SLICE("role")), "admin");
    assert_null(grants_user_column(f->grants, SLICE("level")).data);
    assert_null(grants_user_column(f->grants, SLICE("rank")).data);
}

static void a_user_is_exactly_one_row(void **state)
{
    struct fixture *f = *state;
    grants_attach(f->grants);
    answer(f, "user 42", "id,role,level,tenant");
    assert_string_equal(f->attached, "no_user:");
    f->asked_count = 0;
    grants_attach(f->grants);
    answer(f, "user 42", "id,role,level,tenant", "42,admin,1,t1", "42,admin,1,t1");
    assert_string_equal(f->attached, "no_user:");
    grants_request(f->grants, SLICE("admin-orders"), 1);
    check_decided(f, "1 admin-orders unavailable; ");
}

static void rows_fill_placeholders_and_rooms_are_distinct(void **state)
{
    struct fixture *f = *state;
    attach_as(f, "42,manager,-,t1");
    /* two rules use one lookup with the same parameters: it is asked once */
    assert_int_equal(f->asked_count, 2);
    assert_string_equal(f->asked[1].text, "cities 42");
    assert_int_equal(f->attached_count, 0);
    answer(f, "cities 42", "name,city_id", "x,7", "y,8", "z,7");
    assert_string_equal(f->attached, "allowed: city-7-orders city-8-orders depot-7-t1 depot-8-t1 user-42");
}

static void all_lookups_are_asked_at_once(void **state)
{
    struct fixture *f = *state;
    attach_as(f, "42,editor,-,t1");
    assert_int_equal(f->asked_count, 3);
    uint64_t cities = f->asked[1].tag;
    answer(f, "cities 42", "city_id", "7");
    lookups_answer(f->lookups, cities, LOOKUP_UNAVAILABLE, NULL); /* an answer counts once */
    assert_int_equal(f->attached_count, 0);
    answer(f, "friends u:42|t1", "who", "9");
    assert_string_equal(f->attached, "allowed: city-7-orders user-42 friends-9");
    /* one failure is enough to know */
    attach_as(f, "42,editor,-,t1");
    answer_failure(f, "friends u:42|t1", LOOKUP_UNAVAILABLE);
    assert_string_equal(f->attached, "unavailable:");
    answer_failure(f, "cities 42", LOOKUP_UNAVAILABLE);
    assert_int_equal(f->attached_count, 2);
}

static void cells_that_no_name_may_have_give_no_room(void **state)
{
    struct fixture *f = *state;
    attach_as(f, "42,manager,-,t1");
    answer(f, "cities 42", "city_id", "-", "", "a b", "7:8", "caf\xc3\xa9", "{x}", "ok.1_2@3-x");
    /* depot-ok.1_2@3-x-t1 could also be read as another city and tenant, so nobody stands in it */
    assert_string_equal(f->attached, "allowed: city-ok.1_2@3-x-orders user-42");
    attach_as(f, "42,manager,-,-");
    answer(f, "cities 42", "city", "7");
    assert_string_equal(f->attached, "allowed: user-42");
    attach_as(f, "42,manager,-,-");
    answer(f, "cities 42", "city_id", "7");
    assert_string_equal(f->attached, "allowed: city-7-orders user-42");
    attach_as(f, "4 2,clerk,-,-");
    assert_string_equal(f->attached, "allowed:");
}

static void conditions_need_every_column(void **state)
{
    struct fixture *f = *state;
    attach_as(f, "1,ceo,-,-");
    assert_string_equal(f->attached, "allowed: admin-orders user-1");
    attach_as(f, "1,Admin,-,-");
    assert_string_equal(f->attached, "allowed: user-1");
    attach_as(f, "1,-,-,-");
    assert_string_equal(f->attached, "allowed: user-1");
}

static void parameters_are_texts_or_null(void **state)
{
    struct fixture *f = *state;
    attach_as(f, "7,reader,-,-");
    assert_int_equal(f->asked_count, 2);
    assert_string_equal(f->asked[1].text, "friends u:42|NULL");
    answer(f, "friends u:42|NULL", "who", "9");
    assert_string_equal(f->attached, "allowed: user-7 friends-9");
    attach_as(f, "7,reader,-,t|1");
    assert_string_equal(f->asked[1].text, "friends u:42|t|1");
}

static void rooms_of_other_lanes_are_not_joined(void **state)
{
    struct fixture *f = *state;
    create(f, "/feed", 1000);
    attach_as(f, "42,clerk,-,-");
    assert_string_equal(f->attached, "allowed: user-42 feed");
    grants_request(f->grants, SLICE("feed"), 5);
    check_decided(f, "5 feed allowed; ");
    create(f, "/", 1000);
    attach_as(f, "42,clerk,-,-");
    grants_request(f->grants, SLICE("feed"), 6);
    check_decided(f, "6 feed forbidden; ");
}

static void more_rooms_than_allowed_are_refused(void **state)
{
    struct fixture *f = *state;
    create(f, "/", 3);
    attach_as(f, "42,manager,-,-");
    answer(f, "cities 42", "city_id", "1", "2", "1");
    assert_string_equal(f->attached, "allowed: city-1-orders city-2-orders user-42");
    attach_as(f, "42,manager,-,-");
    answer(f, "cities 42", "city_id", "1", "2", "3");
    assert_string_equal(f->attached, "too_many:");
}

static void doubt_grants_nothing(void **state)
{
    struct fixture *f = *state;
    static const enum lookup_status statuses[] = {LOOKUP_UNAVAILABLE, LOOKUP_FAILED};
    for (size_t i = 0; i < 2; i++) {
        create(f, "/", 1000);
        f->asked_count = 0;
        grants_attach(f->grants);
        answer_failure(f, "user 42", statuses[i]);
        assert_string_equal(f->attached, "unavailable:");
        attach_as(f, "42,manager,-,-");
        f->attached[0] = '\0';
        answer_failure(f, "cities 42", statuses[i]);
        assert_string_equal(f->attached, "unavailable:");
        size_t count = f->attached_count;
        answer_failure(f, "cities 42", LOOKUP_OK); /* too late, and of no use */
        assert_int_equal(f->attached_count, count);
    }
}

/* --- requests --- */

static void before_the_principal_is_known_nothing_is_granted(void **state)
{
    struct fixture *f = *state;
    grants_request(f->grants, SLICE("admin-orders"), 1);
    grants_attach(f->grants);
    grants_request(f->grants, SLICE("nowhere"), 2);
    check_decided(f, "1 admin-orders unavailable; 2 nowhere unavailable; ");
}

static void foreign_and_unknown_rooms_get_the_same_answer(void **state)
{
    struct fixture *f = *state;
    attach_as(f, "42,clerk,-,-");
    grants_request(f->grants, SLICE("admin-orders"), 1);
    grants_request(f->grants, SLICE("nowhere"), 2);
    grants_request(f->grants, SLICE("user-43"), 3);
    grants_request(f->grants, SLICE("city-7-orders"), 4);
    grants_request(f->grants, SLICE(""), 5);
    char name[514] = "user-";
    memset(name + 5, '4', sizeof name - 5);
    grants_request(f->grants, (struct slice){name, 513}, 6);
    assert_int_equal(f->asked_count, 1);
    assert_int_equal(f->decided_count, 6);
    assert_null(strstr(f->decided, "allowed"));
    assert_null(strstr(f->decided, "unavailable"));
}

static void automatic_rooms_can_be_requested_again(void **state)
{
    struct fixture *f = *state;
    attach_as(f, "42,manager,-,t1");
    answer(f, "cities 42", "city_id", "7", "8");
    grants_request(f->grants, SLICE("user-42"), 1);
    check_decided(f, "1 user-42 allowed; ");
    f->asked_count = 0;
    grants_request(f->grants, SLICE("city-8-orders"), 2);
    check_decided(f, "");
    assert_string_equal(f->asked[0].text, "cities 42");
    answer(f, "cities 42", "city_id", "7", "-", "8");
    check_decided(f, "2 city-8-orders allowed; ");
    f->asked_count = 0;
    grants_request(f->grants, SLICE("city-9-orders"), 3);
    answer(f, "cities 42", "city_id", "7", "-", "8");
    check_decided(f, "3 city-9-orders forbidden; ");
    f->asked_count = 0;
    grants_request(f->grants, SLICE("city-9-orders"), 4);
    answer(f, "cities 42", "city", "9");
    check_decided(f, "4 city-9-orders forbidden; ");
    /* with and row together */
    f->asked_count = 0;
    grants_request(f->grants, SLICE("depot-7-t1"), 5);
    answer(f, "cities 42", "city_id", "7");
    check_decided(f, "5 depot-7-t1 allowed; ");
    f->asked_count = 0;
    grants_request(f->grants, SLICE("depot-7-t2"), 6);
    assert_int_equal(f->asked_count, 0);
    check_decided(f, "6 depot-7-t2 forbidden; ");
}

static void a_request_rule_asks_about_the_room(void **state)
{
    struct fixture *f = *state;
    attach_as(f, "42,clerk,-,-");
    f->asked_count = 0;
    grants_request(f->grants, SLICE("task:abc"), 1);
    grants_request(f->grants, SLICE("task:def"), 2);
    assert_string_equal(f->asked[0].text, "member abc|42");
    assert_string_equal(f->asked[1].text, "member def|42");
    answer(f, "member def|42", "?column?");
    check_decided(f, "2 task:def forbidden; ");
    answer(f, "member abc|42", "?column?", "1");
    check_decided(f, "1 task:abc allowed; ");
    /* a rule that needs no lookup decides at once */
    attach_as(f, "42,admin,-,-");
    f->asked_count = 0;
    grants_request(f->grants, SLICE("task:abc"), 3);
    assert_int_equal(f->asked_count, 0);
    check_decided(f, "3 task:abc allowed; ");
}

/* A lookup that does not know the room must not open every room of the pattern. */
static void columns_named_like_placeholders_must_agree(void **state)
{
    struct fixture *f = *state;
    attach_as(f, "42,clerk,3,-");
    f->asked_count = 0;
    grants_request(f->grants, SLICE("city-9-stock"), 1);
    answer(f, "cities 42", "city_id", "7", "8");
    check_decided(f, "1 city-9-stock forbidden; ");
    grants_request(f->grants, SLICE("city-8-stock"), 2);
    answer(f, "cities 42", "city_id", "7", "8");
    check_decided(f, "2 city-8-stock allowed; ");
    attach_as(f, "42,clerk,2,-");
    grants_request(f->grants, SLICE("city-8-stock"), 3);
    check_decided(f, "3 city-8-stock forbidden; ");
}

static void fillings_of_a_request_rule_must_agree(void **state)
{
    struct fixture *f = *state;
    attach_as(f, "42,clerk,-,-");
    grants_request(f->grants, SLICE("desk-42-left"), 1);
    grants_request(f->grants, SLICE("desk-43-left"), 2);
    grants_request(f->grants, SLICE("desk-42-43-left"), 3);
    check_decided(f, "1 desk-42-left allowed; 2 desk-43-left forbidden; 3 desk-42-43-left forbidden; ");
}

static void a_request_in_doubt_is_unavailable(void **state)
{
    struct fixture *f = *state;
    attach_as(f, "42,clerk,-,-");
    grants_request(f->grants, SLICE("task:abc"), 1);
    answer_failure(f, "member abc|42", LOOKUP_UNAVAILABLE);
    check_decided(f, "1 task:abc unavailable; ");
    grants_request(f->grants, SLICE("task:def"), 2);
    answer_failure(f, "member def|42", LOOKUP_FAILED);
    check_decided(f, "2 task:def unavailable; ");
}

/* --- rights that change --- */

static void check_changes(struct fixture *f, const char *expected)
{
    assert_string_equal(f->changes, expected);
    f->changes[0] = '\0';
}

static void change(struct fixture *f, const char *what)
{
    f->asked_count = 0;
    f->now += 10;
    assert_true(lookups_changed(f->lookups, slice_of(what), 1));
}

static void attach_manager(struct fixture *f)
{
    attach_as(f, "42,manager,-,t1");
    answer(f, "cities 42", "city_id", "7", "8");
    lookups_review(f->lookups);
    check_changes(f, "");
}

static void a_row_that_is_gone_takes_its_rooms_away(void **state)
{
    struct fixture *f = *state;
    attach_manager(f);
    change(f, "cities:42");
    check_changes(f, "doubt; ");
    assert_int_equal(f->asked_count, 1);
    answer(f, "cities 42", "city_id", "8");
    check_changes(f, "-city-7-orders forbidden; -depot-7-t1 forbidden; certain; ");
    change(f, "cities:42");
    answer(f, "cities 42", "city_id", "8");
    check_changes(f, "doubt; certain; ");
}

static void a_row_that_is_new_gives_rooms_and_says_since_when(void **state)
{
    struct fixture *f = *state;
    attach_manager(f);
    change(f, "cities:42"); /* at 1010 */
    f->now += 500;
    answer(f, "cities 42", "city_id", "7", "8", "9");
    check_changes(f, "doubt; +city-9-orders 1010; +depot-9-t1 1010; certain; ");
}

static void the_change_of_another_key_changes_nothing(void **state)
{
    struct fixture *f = *state;
    attach_manager(f);
    static const char *const others[] = {
        "cities:43", "cities:4", "cities:", "user:4", "member:[\"7\",\"42\"]"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        change(f, others[i]);
        check_changes(f, "");
        assert_int_equal(f->asked_count, 0);
    }
    assert_false(lookups_changed(f->lookups, SLICE("nothing:42"), 2));
    assert_false(lookups_changed(f->lookups, SLICE("member:42"), 2));
    assert_false(lookups_changed(f->lookups, SLICE("member:[\"7\"]"), 2));
}

static void the_last_of_several_changes_counts(void **state)
{
    struct fixture *f = *state;
    attach_manager(f);
    change(f, "cities:42");
    uint64_t early = f->asked[0].tag;
    change(f, "cities:42");
    struct rows *none = rows_create(&SLICE("city_id"), 1);
    lookups_answer(f->lookups, early, LOOKUP_OK, none);
    rows_release(none);
    check_changes(f, "doubt; ");
    answer(f, "cities 42", "city_id", "7", "8");
    check_changes(f, "certain; ");
}

static void another_role_has_other_rooms(void **state)
{
    struct fixture *f = *state;
    attach_manager(f);
    change(f, "user:42");
    assert_string_equal(f->asked[0].text, "user 42");
    answer(f, "user 42", "id,role,level,tenant", "42,admin,-,t1");
    assert_int_equal(f->asked_count, 1); /* cities no longer matter */
    check_changes(f, "doubt; -city-7-orders forbidden; -city-8-orders forbidden; -depot-7-t1 forbidden; "
                     "-depot-8-t1 forbidden; +admin-orders 1010; certain; ");
    change(f, "cities:42");
    assert_int_equal(f->asked_count, 0);
    change(f, "user:42");
    answer(f, "user 42", "id,role,level,tenant", "42,editor,-,t1");
    check_changes(f, "doubt; "); /* until cities and friends are known */
    assert_int_equal(f->asked_count, 3);
    answer(f, "friends u:42|t1", "who");
    answer(f, "cities 42", "city_id", "7");
    check_changes(f, "-admin-orders forbidden; +city-7-orders 1030; certain; ");
}

static void a_user_who_is_deleted_has_no_rights(void **state)
{
    struct fixture *f = *state;
    attach_manager(f);
    change(f, "user:42");
    answer(f, "user 42", "id,role,level,tenant");
    check_changes(f, "doubt; ended no_user; ");
    f->destroy = true;
    attach_as(f, "42,clerk,-,-");
    assert_null(f->grants);
}

static void too_many_rooms_end_it_later_as_well(void **state)
{
    struct fixture *f = *state;
    create(f, "/", 5);
    attach_manager(f);
    change(f, "cities:42");
    f->destroy = true;
    answer(f, "cities 42", "city_id", "7", "8", "9");
    check_changes(f, "doubt; ended too_many; ");
    assert_null(f->grants);
}

static void a_room_that_was_asked_for_can_be_withdrawn(void **state)
{
    struct fixture *f = *state;
    attach_as(f, "42,clerk,-,-");
    grants_request(f->grants, SLICE("task:abc"), 1);
    answer(f, "member abc|42", "?column?", "1");
    check_decided(f, "1 task:abc allowed; ");
    change(f, "member:[\"abc\", \"42\"]");
    check_changes(f, "doubt; ");
    answer(f, "member abc|42", "?column?");
    check_changes(f, "-task:abc forbidden; certain; ");
    change(f, "member:[\"abc\",\"42\"]");
    assert_int_equal(f->asked_count, 0); /* nobody stands there any more */
    check_changes(f, "");
}

static void a_room_that_was_left_is_no_concern(void **state)
{
    struct fixture *f = *state;
    attach_as(f, "42,clerk,-,-");
    grants_request(f->grants, SLICE("task:abc"), 1);
    answer(f, "member abc|42", "?column?", "1");
    change(f, "member:[\"abc\",\"42\"]");
    check_changes(f, "doubt; ");
    grants_leave(f->grants, SLICE("task:abc"));
    check_changes(f, "certain; ");
    grants_leave(f->grants, SLICE("task:abc"));
    assert_int_equal(lookups_count(f->lookups), 1);
}

static void one_rule_that_holds_is_enough(void **state)
{
    struct fixture *f = *state;
    attach_as(f, "42,clerk,-,-");
    grants_request(f->grants, SLICE("task:abc"), 1);
    answer(f, "member abc|42", "?column?", "1");
    change(f, "user:42");
    answer(f, "user 42", "id,role,level,tenant", "42,admin,-,-");
    check_changes(f, "doubt; +admin-orders 1010; certain; ");
    change(f, "member:[\"abc\",\"42\"]");
    check_changes(f, ""); /* an admin needs no membership */
    change(f, "user:42");
    answer(f, "user 42", "id,role,level,tenant", "42,clerk,-,-");
    check_changes(f, "doubt; ");
    answer(f, "member abc|42", "?column?");
    check_changes(f, "-task:abc forbidden; -admin-orders forbidden; certain; ");
}

static void a_request_is_judged_by_who_it_is_when_it_is_decided(void **state)
{
    struct fixture *f = *state;
    attach_as(f, "42,clerk,-,-");
    grants_request(f->grants, SLICE("task:abc"), 1);
    change(f, "user:42");
    grants_request(f->grants, SLICE("task:def"), 2);
    check_decided(f, "");
    answer(f, "user 42", "id,role,level,tenant", "43,clerk,-,-");
    answer(f, "member def|43", "?column?");
    answer(f, "member abc|43", "?column?", "1");
    check_decided(f, "2 task:def forbidden; 1 task:abc allowed; ");
}

static void a_change_that_cannot_be_looked_up_ends_the_right_after_a_while(void **state)
{
    struct fixture *f = *state;
    attach_manager(f);
    change(f, "cities:42");
    answer_failure(f, "cities 42", LOOKUP_UNAVAILABLE);
    check_changes(f, "doubt; ");
    for (int i = 0; i < PATIENCE_MS / 1000; i++) {
        f->asked_count = 0;
        f->now += 1000;
        lookups_tick(f->lookups, &(struct lookups_pulse){0});
        assert_int_equal(f->asked_count, 1); /* again and again */
        answer_failure(f, "cities 42", LOOKUP_FAILED);
    }
    check_changes(f, "-city-7-orders unavailable; -city-8-orders unavailable; -depot-7-t1 unavailable; "
                     "-depot-8-t1 unavailable; certain; ");
    /* It is asked on, and the right that comes back goes back to where it went. */
    f->asked_count = 0;
    f->now += 1000;
    lookups_tick(f->lookups, &(struct lookups_pulse){0});
    answer(f, "cities 42", "city_id", "7");
    check_changes(f, "+city-7-orders 1010; +depot-7-t1 1010; ");
}

static void without_the_principal_for_too_long_it_is_over(void **state)
{
    struct fixture *f = *state;
    attach_as(f, "42,clerk,-,-");
    change(f, "user:42");
    f->now += PATIENCE_MS;
    answer_failure(f, "user 42", LOOKUP_UNAVAILABLE);
    check_changes(f, "doubt; ended unavailable; ");
}

/* --- ends --- */

static void grants_can_be_destroyed_at_any_time(void **state)
{
    struct fixture *f = *state;
    grants_attach(f->grants);
    create(f, "/", 1000);
    attach_as(f, "42,manager,-,-");
    grants_request(f->grants, SLICE("task:a"), 1);
    grants_request(f->grants, SLICE("task:b"), 2);
    create(f, "/", 1000);
    assert_int_equal(f->decided_count, 0);
    f->destroy = true;
    attach_as(f, "42,admin,-,-");
    assert_null(f->grants);
    f->destroy = false;
    create(f, "/", 1000);
    attach_as(f, "42,clerk,-,-");
    grants_request(f->grants, SLICE("task:a"), 1);
    grants_request(f->grants, SLICE("task:b"), 2);
    f->destroy = true;
    answer(f, "member b|42", "?column?", "1");
    assert_null(f->grants);
    check_decided(f, "2 task:b allowed; ");
    create(f, "/", 1000);
    grants_request(f->grants, SLICE("task:a"), 3);
    assert_null(f->grants);
}

static void unknown_answers_are_ignored(void **state)
{
    struct fixture *f = *state;
    lookups_answer(f->lookups, 99, LOOKUP_OK, NULL);
    attach_as(f, "42,clerk,-,-");
    lookups_answer(f->lookups, f->asked[0].tag, LOOKUP_UNAVAILABLE, NULL);
    assert_int_equal(f->attached_count, 1);
}

/* --- rows --- */

/* --- another catalogue --- */

/* The catalogue with something else in it, and with the lane in another place. */
static void adopt(struct fixture *f, const char *find, const char *replace)
{
    char *with = text_with(shop, find, replace);
    char *text = text_with(with, "channels:\n  clients:",
        "channels:\n  first: {address: /first, servers: [{$ref: '#/servers/door'}]}\n  clients:");
    struct catalogue *before = f->catalogue;
    f->catalogue = catalogue_from_text(text);
    lookups_adopt(f->lookups, f->catalogue);
    grants_adopt(f->grants, f->catalogue, catalogue_find_lane(f->catalogue, DIALECT_WEBSOCKET, SLICE("/")));
    catalogue_release(before);
    free(with);
    free(text);
}

static void another_catalogue_changes_what_it_says_otherwise(void **state)
{
    struct fixture *f = *state;
    attach_as(f, "42,manager,3,t1");
    answer(f, "cities 42", "city_id", "7");
    grants_request(f->grants, SLICE("city-7-stock"), 1);
    answer(f, "cities 42", "city_id", "7");
    check_decided(f, "1 city-7-stock allowed; ");
    f->changes[0] = '\0';
    f->asked_count = 0;
    adopt(f, "admin-orders:\n      join: automatic\n      allow: [{when: {role: [admin, ceo]}}]",
        "all-orders:\n      join: automatic\n      allow: [{when: {role: manager}}]");
    check_changes(f, "doubt; ");
    lookups_review(f->lookups);
    check_changes(f, "+all-orders 18446744073709551615; certain; ");
    assert_int_equal(f->asked_count, 0); /* nothing that the database had to be asked for */

    adopt(f, "[{when: {role: [manager, clerk], level: 3}, lookup: cities}]",
        "[{when: {role: clerk}, lookup: cities}]");
    lookups_review(f->lookups);
    check_changes(f, "doubt; -city-7-stock forbidden; -all-orders forbidden; certain; ");
    adopt(f, "cities: {sql: 'SELECT $1'", "cities: {sql: 'SELECT 2*$1'");
    lookups_review(f->lookups);
    check_changes(f, "doubt; ");
    answer(f, "cities 42", "city_id", "8");
    check_changes(f, "-city-7-orders forbidden; -depot-7-t1 forbidden; +city-8-orders 18446744073709551615; "
                     "+depot-8-t1 18446744073709551615; certain; ");
}

static void another_catalogue_while_attaching_is_the_one_that_counts(void **state)
{
    struct fixture *f = *state;
    f->asked_count = 0;
    grants_attach(f->grants);
    adopt(f, "user: {sql: 'SELECT $1'", "user: {sql: 'SELECT 1*$1'");
    answer(f, "user 42", "id,role,level,tenant", "41,reader,3,t1"); /* the question of before */
    assert_int_equal(f->attached_count, 0);
    answer(f, "user 42", "id,role,level,tenant", "42,manager,3,t1");
    answer(f, "cities 42", "city_id", "7");
    assert_string_equal(f->attached, "allowed: city-7-orders depot-7-t1 user-42");
}

static void a_request_under_way_is_decided_by_the_other_catalogue(void **state)
{
    struct fixture *f = *state;
    attach_as(f, "42,reader,3,t1");
    answer(f, "friends u:42|t1", "who", "9");
    grants_request(f->grants, SLICE("task:abc"), 5);
    adopt(f, "task:{taskId}:\n      join: request\n      allow: [{when: {role: admin}}, {lookup: member}]",
        "task:{taskId}:\n      join: request\n      allow: [{when: {role: admin}}]");
    check_decided(f, "");
    lookups_review(f->lookups);
    check_decided(f, "5 task:abc forbidden; ");
    grants_give_up(f->grants, GRANTS_UNAVAILABLE);
    check_changes(f, "doubt; certain; doubt; ended unavailable; ");
    assert_int_equal(lookups_count(f->lookups), 0);
}

static void rows_are_a_table_of_texts(void **state)
{
    (void)state;
    struct slice cells[8];
    struct rows *r = rows_create(cells, split("a,b,a", cells));
    for (int i = 0; i < 100; i++)
        rows_add(r, (struct slice[]){SLICE("x"), {NULL, 0}, SLICE("")});
    rows_add(r, (struct slice[]){SLICE(""), SLICE("y"), SLICE("z")});
    assert_int_equal(rows_count(r), 101);
    assert_int_equal(rows_columns(r), 3);
    assert_slice(rows_column(r, 1), "b");
    assert_slice(rows_cell(r, 99, SLICE("a")), "x");
    assert_null(rows_cell(r, 99, SLICE("b")).data);
    assert_null(rows_cell(r, 100, SLICE("c")).data);
    assert_non_null(rows_cell(r, 100, SLICE("a")).data);
    assert_int_equal(rows_cell(r, 100, SLICE("a")).size, 0);
    assert_slice(rows_cell(r, 100, SLICE("b")), "y");
    assert_ptr_equal(rows_hold(r), r);
    rows_release(r);
    assert_int_equal(rows_count(r), 101);
    rows_release(r);
    rows_release(NULL);
    r = rows_create(NULL, 0);
    for (int i = 0; i < 9; i++)
        rows_add(r, NULL);
    assert_int_equal(rows_count(r), 9);
    rows_release(r);
}

#define grants_test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        grants_test(the_principal_comes_first),
        grants_test(a_user_is_exactly_one_row),
        grants_test(rows_fill_placeholders_and_rooms_are_distinct),
        grants_test(all_lookups_are_asked_at_once),
        grants_test(cells_that_no_name_may_have_give_no_room),
        grants_test(conditions_need_every_column),
        grants_test(parameters_are_texts_or_null),
        grants_test(rooms_of_other_lanes_are_not_joined),
        grants_test(more_rooms_than_allowed_are_refused),
        grants_test(doubt_grants_nothing),
        grants_test(before_the_principal_is_known_nothing_is_granted),
        grants_test(foreign_and_unknown_rooms_get_the_same_answer),
        grants_test(automatic_rooms_can_be_requested_again),
        grants_test(a_request_rule_asks_about_the_room),
        grants_test(columns_named_like_placeholders_must_agree),
        grants_test(fillings_of_a_request_rule_must_agree),
        grants_test(a_request_in_doubt_is_unavailable),
        grants_test(a_row_that_is_gone_takes_its_rooms_away),
        grants_test(a_row_that_is_new_gives_rooms_and_says_since_when),
        grants_test(the_change_of_another_key_changes_nothing),
        grants_test(the_last_of_several_changes_counts),
        grants_test(another_role_has_other_rooms),
        grants_test(a_user_who_is_deleted_has_no_rights),
        grants_test(too_many_rooms_end_it_later_as_well),
        grants_test(a_room_that_was_asked_for_can_be_withdrawn),
        grants_test(a_room_that_was_left_is_no_concern),
        grants_test(one_rule_that_holds_is_enough),
        grants_test(a_request_is_judged_by_who_it_is_when_it_is_decided),
        grants_test(a_change_that_cannot_be_looked_up_ends_the_right_after_a_while),
        grants_test(without_the_principal_for_too_long_it_is_over),
        grants_test(grants_can_be_destroyed_at_any_time),
        grants_test(unknown_answers_are_ignored),
        grants_test(another_catalogue_changes_what_it_says_otherwise),
        grants_test(another_catalogue_while_attaching_is_the_one_that_counts),
        grants_test(a_request_under_way_is_decided_by_the_other_catalogue),
        cmocka_unit_test(rows_are_a_table_of_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
