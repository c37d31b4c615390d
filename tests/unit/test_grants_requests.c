/* Rooms that are asked for. */
#include "grants_stage.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        grants_test(before_the_principal_is_known_nothing_is_granted),
        grants_test(foreign_and_unknown_rooms_get_the_same_answer),
        grants_test(automatic_rooms_can_be_requested_again),
        grants_test(a_request_rule_asks_about_the_room),
        grants_test(columns_named_like_placeholders_must_agree),
        grants_test(fillings_of_a_request_rule_must_agree),
        grants_test(a_request_in_doubt_is_unavailable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
