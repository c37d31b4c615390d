/* Attaching: the rooms that a user joins by itself. */
#include "grants_stage.h"

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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
