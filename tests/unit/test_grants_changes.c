/* Rights that change, by their rows or by another catalogue, and how grants end. */
#include "grants_stage.h"

#include <stdlib.h>

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

int main(void)
{
    const struct CMUnitTest tests[] = {
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
