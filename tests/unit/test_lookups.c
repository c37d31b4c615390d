/* The live lookups of a loop: what is asked when, whose answer may be relied on, and for how long. */
#include "unit.h"

#include "catalogue_text.h"

#include "causeway/lookups.h"

static const char shop[] = "asyncapi: 3.0.0\n"
                           "servers: {door: {host: h, protocol: ws}}\n"
                           "channels: {clients: {address: /, servers: [{$ref: '#/servers/door'}]}}\n"
                           "x-causeway:\n"
                           "  principal: {lookup: user}\n"
                           "  lookups:\n"
                           "    user: {sql: 'SELECT $1', params: ['{token.user}']}\n"
                           "    pair: {sql: 'SELECT $1, $2', params: ['{token.user}', '{user.id}']}\n"
                           "    all: {sql: 'SELECT 1'}\n";

enum { LEASE = 30000, PATIENCE = 10000, ASKED_MAX = 64, USERS = 4 };

struct person {
    struct lookups_user user;
    struct fixture *fixture;
    struct use *use;
    unsigned reviews;
    bool drops; /* when reviewed */
};

struct fixture {
    struct catalogue *catalogue;
    struct lookups *lookups;
    uint64_t now;
    struct {
        char text[64]; /* "lookup param|param" */
        uint64_t tag, after;
    } asked[ASKED_MAX];
    size_t asked_count;
    struct lookups_pulse pulse;
    struct person people[USERS];
};

static void on_ask(void *owner, const struct lookup *lookup, const struct slice *params, size_t count,
    uint64_t after, uint64_t tag)
{
    struct fixture *f = owner;
    assert_true(f->asked_count < ASKED_MAX);
    struct buffer text = {0};
    buffer_print(&text, "%.*s", SLICE_ARGS(lookup->name));
    for (size_t i = 0; i < count; i++) {
        buffer_add_byte(&text, i ? '|' : ' ');
        buffer_add_slice(&text, params[i].data ? params[i] : SLICE("NULL"));
    }
    snprintf(f->asked[f->asked_count].text, 64, "%s", buffer_text(&text));
    f->asked[f->asked_count].tag = tag;
    f->asked[f->asked_count++].after = after;
    buffer_finish(&text);
}

static uint64_t on_now(void *owner)
{
    return ((struct fixture *)owner)->now;
}

static const struct lookups_hooks hooks = {on_ask, on_now};

static void drop(struct person *p)
{
    if (p->use)
        lookups_drop(p->fixture->lookups, p->use);
    p->use = NULL;
}

static void on_review(struct lookups_user *u)
{
    struct person *p = (struct person *)u;
    p->reviews++;
    if (p->drops)
        drop(p);
}

static void create(struct fixture *f, uint64_t poll_ms)
{
    f->lookups =
        lookups_create(f->catalogue, &(struct lookups_settings){LEASE, poll_ms, PATIENCE}, &hooks, f);
    for (size_t i = 0; i < USERS; i++) {
        f->people[i] = (struct person){.fixture = f};
        lookups_user_init(&f->people[i].user, on_review);
    }
}

static void destroy(struct fixture *f)
{
    for (size_t i = 0; i < USERS; i++) {
        drop(&f->people[i]);
        lookups_user_finish(f->lookups, &f->people[i].user);
    }
    assert_int_equal(lookups_count(f->lookups), 0);
    lookups_destroy(f->lookups);
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    f->catalogue = catalogue_from_text(shop);
    f->now = 1000000;
    create(f, 0);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    destroy(f);
    lookups_destroy(NULL);
    catalogue_release(f->catalogue);
    free(f);
    return 0;
}

/* `params`: "a" or "a|b"; "" for none. */
static void use(struct fixture *f, size_t person, const char *lookup, const char *params)
{
    struct buffer key = {0};
    while (*params) {
        size_t size = strcspn(params, "|");
        bool null = strncmp(params, "NULL", 4) == 0;
        lookups_key(&key, null ? (struct slice){NULL, 0} : (struct slice){params, size});
        params += size + (params[size] == '|');
    }
    const struct lookup *found = catalogue_find_lookup(f->catalogue, slice_of(lookup));
    assert_non_null(found);
    f->people[person].use = lookups_use(f->lookups, &f->people[person].user, found, &key);
    assert_true(use_is(f->people[person].use, found, &key));
    buffer_finish(&key);
}

static void expect_asked(struct fixture *f, size_t count, const char *last)
{
    assert_int_equal(f->asked_count, count);
    if (last)
        assert_string_equal(f->asked[count - 1].text, last);
}

/* Answers the last question, or an earlier one; `cell` NULL: no row. */
static void answer_with(struct fixture *f, size_t index, const char *cell)
{
    struct rows *rows = rows_create(&SLICE("value"), 1);
    struct slice value = slice_of(cell);
    if (cell)
        rows_add(rows, &value);
    lookups_answer(f->lookups, f->asked[index].tag, LOOKUP_OK, rows);
    rows_release(rows);
}

static void answer(struct fixture *f, const char *cell)
{
    answer_with(f, f->asked_count - 1, cell);
}

static void fail_question(struct fixture *f)
{
    lookups_answer(f->lookups, f->asked[f->asked_count - 1].tag, LOOKUP_UNAVAILABLE, NULL);
}

static void expect_state(struct fixture *f, size_t person, enum use_state state, const char *cell)
{
    assert_int_equal(use_state(f->people[person].use), state);
    struct rows *rows = use_rows(f->people[person].use);
    assert_int_equal(rows != NULL, state == USE_GOOD);
    if (cell)
        assert_true(slice_equal(rows_cell(rows, 0, SLICE("value")), slice_of(cell)));
}

/* The listening connection begins to listen now. */
static void listen_now(struct fixture *f)
{
    f->pulse.epoch++;
    f->pulse.mark += 100;
    f->pulse.heard_ms = f->pulse.answer_ms = f->now;
    lookups_tick(f->lookups, &f->pulse);
}

/* Time passes in ticks, while the listening connection is heard from, or not. */
static void pass(struct fixture *f, uint64_t ms, bool heard, bool answers)
{
    for (uint64_t until = f->now + ms; f->now < until;) {
        f->now += 250;
        if (heard)
            f->pulse.heard_ms = f->now;
        if (answers)
            f->pulse.answer_ms = f->now;
        lookups_tick(f->lookups, &f->pulse);
    }
}

static void change(struct fixture *f, const char *what)
{
    assert_true(lookups_changed(f->lookups, slice_of(what), ++f->pulse.mark));
}

/* --- asking --- */

static void equal_questions_are_asked_once(void **state)
{
    struct fixture *f = *state;
    use(f, 0, "user", "a");
    use(f, 1, "user", "a");
    use(f, 2, "user", "b");
    use(f, 3, "pair", "a|NULL");
    expect_asked(f, 4 - 1, "pair a|NULL");
    assert_int_equal(lookups_count(f->lookups), 3);
    answer_with(f, 0, "x");
    expect_state(f, 0, USE_GOOD, "x");
    expect_state(f, 1, USE_GOOD, "x");
    expect_state(f, 2, USE_WAITS, NULL);
    assert_int_equal(f->people[0].reviews, 1);
    assert_int_equal(f->people[1].reviews, 1);
    assert_int_equal(f->people[2].reviews, 0);
    answer_with(f, 0, "y"); /* an answer counts once */
    expect_state(f, 0, USE_GOOD, "x");
}

static void an_answer_is_handed_on_while_it_is_certain_and_young(void **state)
{
    struct fixture *f = *state;
    use(f, 0, "user", "a");
    answer(f, "x");
    use(f, 1, "user", "a"); /* nobody listens: a change may have passed by */
    expect_asked(f, 2, "user a");
    expect_state(f, 0, USE_GOOD, "x");
    expect_state(f, 1, USE_WAITS, NULL);
    answer(f, "x");
    expect_state(f, 1, USE_GOOD, "x");
    assert_int_equal(f->people[0].reviews, 1); /* nothing new for this one */

    listen_now(f);
    expect_asked(f, 3, "user a");
    answer(f, "x");
    use(f, 2, "user", "a");
    expect_asked(f, 3, NULL);
    expect_state(f, 2, USE_GOOD, "x");
    drop(&f->people[2]);
    pass(f, 10000, true, true);
    use(f, 2, "user", "a"); /* too old: there may be no triggers */
    expect_asked(f, 4, NULL);
    answer(f, "x");
    pass(f, 3000, false, true); /* and again nobody listens */
    use(f, 3, "user", "a");
    expect_asked(f, 5, NULL);
}

static void a_question_that_nobody_asks_any_more_is_forgotten(void **state)
{
    struct fixture *f = *state;
    use(f, 0, "user", "a");
    drop(&f->people[0]);
    assert_int_equal(lookups_count(f->lookups), 0);
    answer(f, "x");
    change(f, "user:a");
    expect_asked(f, 1, NULL);
}

static void a_failure_is_told_to_those_who_wait(void **state)
{
    struct fixture *f = *state;
    use(f, 0, "user", "a");
    fail_question(f);
    expect_state(f, 0, USE_FAILED, NULL);
    assert_int_equal(f->people[0].reviews, 1);
    pass(f, 500, false, false); /* who stays, asks on */
    expect_asked(f, 2, NULL);
    answer(f, "x");
    expect_state(f, 0, USE_GOOD, "x");
}

static void users_may_drop_their_answers_when_they_are_told(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < USERS; i++) {
        f->people[i].drops = true;
        use(f, i, "user", "a");
    }
    answer(f, "x");
    for (size_t i = 0; i < USERS; i++)
        assert_int_equal(f->people[i].reviews, 1);
    assert_int_equal(lookups_count(f->lookups), 0);
}

/* --- changes --- */

static void a_changed_key_is_in_doubt_until_it_was_looked_up_again(void **state)
{
    struct fixture *f = *state;
    listen_now(f);
    use(f, 0, "user", "a");
    use(f, 1, "user", "b");
    answer_with(f, 0, "x");
    answer_with(f, 1, "y");
    uint64_t number = f->pulse.mark;
    change(f, "user:a");
    expect_asked(f, 3, "user a");
    assert_int_equal(f->asked[2].after, number + 1);
    expect_state(f, 0, USE_DOUBTED, NULL);
    expect_state(f, 1, USE_GOOD, "y");
    assert_int_equal(f->people[1].reviews, 1);
    uint64_t heard = f->now;
    pass(f, 1000, true, true);
    use(f, 2, "user", "a"); /* waits for the same answer */
    expect_asked(f, 3, NULL);
    f->people[0].user.known_until = UINT64_MAX;
    answer(f, "z");
    expect_state(f, 0, USE_GOOD, "z");
    expect_state(f, 2, USE_GOOD, "z");
    assert_int_equal(f->people[0].user.known_until, heard);
}

static void what_was_asked_before_the_change_counts_no_more(void **state)
{
    struct fixture *f = *state;
    use(f, 0, "user", "a");
    change(f, "user:a");
    answer_with(f, 0, "old");
    expect_state(f, 0, USE_WAITS, NULL);
    answer_with(f, 1, "new");
    expect_state(f, 0, USE_GOOD, "new");
}

static void keys_are_written_as_text_or_as_an_array(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *params, *change;
    } cases[] = {
        {"a|b", "pair:[\"a\",\"b\"]"},
        {"a|b", "pair: [ \"\\u0061\" , \"b\" ]"},
        {"1|2", "pair:[1,2]"},
        {"NULL|x", "pair:[null,\"x\"]"},
        {"|x", "pair:[\"\",\"x\"]"},
        {"a|b", "pair"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        f->asked_count = 0;
        use(f, 0, "pair", cases[i].params);
        answer(f, "x");
        change(f, cases[i].change);
        if (f->asked_count != 2)
            fail_msg("%s does not name %s", cases[i].change, cases[i].params);
        answer(f, "x");
        drop(&f->people[0]);
    }
    static const char *const illegible[] = {"pair:a", "pair:", "pair:[\"a\"]", "pair:[\"a\",[\"b\"]]",
        "pair:{\"a\":\"b\"}", "nobody:a", "", ":", "users:a"};
    for (size_t i = 0; i < sizeof illegible / sizeof illegible[0]; i++)
        assert_false(lookups_changed(f->lookups, slice_of(illegible[i]), 1));
    f->asked_count = 0;
    use(f, 0, "user", "a:b [c]"); /* one parameter is not quoted, whatever stands in it */
    use(f, 1, "all", "");
    change(f, "user:a:b [c]");
    change(f, "all");
    expect_asked(f, 4, "all");
}

static void a_change_that_cannot_be_looked_up_in_time_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    listen_now(f);
    use(f, 0, "user", "a");
    answer(f, "x");
    change(f, "user:a");
    for (int i = 0; use_state(f->people[0].use) == USE_DOUBTED; i++) {
        assert_true(i < PATIENCE / 500 + 2);
        pass(f, 500, true, true);
        fail_question(f);
    }
    expect_state(f, 0, USE_GONE, NULL);
    use(f, 1, "user", "a");
    expect_state(f, 1, USE_WAITS, NULL);
    pass(f, 500, true, true);
    answer(f, "x");
    expect_state(f, 0, USE_GOOD, "x");
    expect_state(f, 1, USE_GOOD, "x");
}

/* --- the lease --- */

static void rights_hold_for_the_lease_after_the_last_heartbeat(void **state)
{
    struct fixture *f = *state;
    listen_now(f);
    use(f, 0, "user", "a");
    answer(f, "x");
    pass(f, 60000, true, true);
    expect_state(f, 0, USE_GOOD, "x");
    expect_asked(f, 1, NULL); /* a healthy connection costs no query */
    pass(f, LEASE - 250, false, false);
    expect_state(f, 0, USE_GOOD, "x");
    assert_int_equal(lookups_doubted(f->lookups), 0);
    pass(f, 250, false, false);
    expect_state(f, 0, USE_DOUBTED, NULL);
    assert_int_equal(lookups_doubted(f->lookups), 1);
    expect_asked(f, 1, NULL); /* there is nobody to ask */
    uint64_t silent = f->pulse.heard_ms;

    f->now += 60000;
    f->people[0].user.known_until = UINT64_MAX;
    listen_now(f);
    expect_asked(f, 2, "user a");
    assert_int_equal(f->asked[1].after, f->pulse.mark);
    expect_state(f, 0, USE_DOUBTED, NULL);
    answer(f, "y");
    expect_state(f, 0, USE_GOOD, "y");
    assert_int_equal(f->people[0].user.known_until, silent); /* it may have changed any time since */
    pass(f, 60000, true, true);
    expect_asked(f, 2, NULL);
    assert_int_equal(lookups_doubted(f->lookups), 0);
}

static void every_live_question_is_asked_once_when_listening_begins_again(void **state)
{
    struct fixture *f = *state;
    listen_now(f);
    use(f, 0, "user", "a");
    use(f, 1, "user", "a");
    use(f, 2, "user", "b");
    answer_with(f, 0, "x");
    pass(f, 5000, false, true);
    listen_now(f);
    expect_asked(f, 4, NULL);          /* a, b; and again a, b: what was asked before counts no more */
    expect_state(f, 0, USE_GOOD, "x"); /* its lease is not over */
    answer_with(f, 1, "early");
    expect_state(f, 2, USE_WAITS, NULL);
    answer_with(f, 2, "z");
    answer_with(f, 3, "z");
    expect_state(f, 0, USE_GOOD, "z");
    expect_state(f, 2, USE_GOOD, "z");
    pass(f, 60000, true, true);
    expect_asked(f, 4, NULL);
}

static void who_cannot_listen_asks_again_before_the_lease_is_over(void **state)
{
    struct fixture *f = *state;
    use(f, 0, "user", "a");
    answer(f, "x");
    for (size_t i = 2; i < 6; i++) {
        pass(f, LEASE / 2 + 250, false, true);
        expect_asked(f, i, "user a");
        answer(f, "x");
        expect_state(f, 0, USE_GOOD, "x");
    }
    pass(f, LEASE, false, true);
    expect_state(f, 0, USE_DOUBTED, NULL); /* and gets no answer */
}

static void answers_can_be_asked_for_again_all_the_time(void **state)
{
    struct fixture *f = *state;
    destroy(f);
    create(f, 2000);
    f->pulse = (struct lookups_pulse){0};
    listen_now(f);
    use(f, 0, "user", "a");
    answer(f, "x");
    pass(f, 2000, true, true);
    expect_asked(f, 2, "user a");
    expect_state(f, 0, USE_GOOD, "x"); /* no reason to doubt */
    answer(f, "x");
    assert_int_equal(f->people[0].reviews, 1);
    uint64_t asked = f->now;
    pass(f, 2000, true, true);
    answer(f, "y");
    assert_int_equal(f->people[0].reviews, 2);
    expect_state(f, 0, USE_GOOD, "y");
    assert_int_equal(f->people[0].user.known_until, asked); /* nobody has said when */
}

#define stage(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

/* --- another catalogue --- */

/* `pair` has another statement, `all` is gone, `first` takes the first place. */
static const char another_shop[] =
    "asyncapi: 3.0.0\n"
    "servers: {door: {host: h, protocol: ws}}\n"
    "channels: {clients: {address: /, servers: [{$ref: '#/servers/door'}]}}\n"
    "x-causeway:\n"
    "  principal: {lookup: user}\n"
    "  lookups:\n"
    "    first: {sql: 'SELECT 2'}\n"
    "    user: {sql: 'SELECT $1', params: ['{token.user}']}\n"
    "    pair: {sql: 'SELECT $1, $2, 3', params: ['{token.user}', '{user.id}']}\n";

static void answers_of_lookups_that_stay_are_kept(void **state)
{
    struct fixture *f = *state;
    listen_now(f);
    use(f, 0, "user", "a");
    answer(f, "x");
    use(f, 1, "pair", "a|b");
    answer(f, "y");
    use(f, 2, "all", "");
    answer(f, "z");
    use(f, 3, "user", "b");     /* under way */
    pass(f, 20000, true, true); /* too old to be handed on */
    struct catalogue *before = f->catalogue;
    f->catalogue = catalogue_from_text(another_shop);
    lookups_adopt(f->lookups, f->catalogue);
    expect_asked(f, 4, "user b");
    expect_state(f, 0, USE_GOOD, "x");

    struct use *old = f->people[0].use;
    f->people[0].user.renewing = true;
    use(f, 0, "user", "a");
    expect_asked(f, 4, NULL);
    expect_state(f, 0, USE_GOOD, "x");
    f->people[0].user.renewing = false;
    lookups_drop(f->lookups, old);
    answer_with(f, 3, "w"); /* the question of before */
    expect_state(f, 3, USE_GOOD, "w");
    change(f, "user:a");
    expect_asked(f, 5, "user a");

    drop(&f->people[1]);
    use(f, 1, "pair", "a|b"); /* another question now */
    expect_asked(f, 6, "pair a|b");
    drop(&f->people[2]);
    assert_false(lookups_changed(f->lookups, SLICE("all"), ++f->pulse.mark));
    catalogue_release(before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        stage(equal_questions_are_asked_once),
        stage(an_answer_is_handed_on_while_it_is_certain_and_young),
        stage(a_question_that_nobody_asks_any_more_is_forgotten),
        stage(a_failure_is_told_to_those_who_wait),
        stage(users_may_drop_their_answers_when_they_are_told),
        stage(a_changed_key_is_in_doubt_until_it_was_looked_up_again),
        stage(what_was_asked_before_the_change_counts_no_more),
        stage(keys_are_written_as_text_or_as_an_array),
        stage(a_change_that_cannot_be_looked_up_in_time_leaves_nothing),
        stage(rights_hold_for_the_lease_after_the_last_heartbeat),
        stage(every_live_question_is_asked_once_when_listening_begins_again),
        stage(who_cannot_listen_asks_again_before_the_lease_is_over),
        stage(answers_can_be_asked_for_again_all_the_time),
        stage(answers_of_lookups_that_stay_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
