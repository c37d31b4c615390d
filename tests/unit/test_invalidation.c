/* What a record of changed rights says. */
#include "unit.h"

#include "causeway/invalidation.h"

static void assert_reads(const char *record, const char *expected)
{
    struct json scratch = {0};
    struct buffer out = {0};
    const char *fault;
    buffer_add_text(&out, ">");
    if (!invalidation_read(&scratch, slice_of(record), &out, &fault))
        fail_msg("%s: %s", record ? record : "(none)", fault);
    assert_string_equal(buffer_text(&out) + 1, expected);
    buffer_finish(&out);
    json_finish(&scratch);
}

static void assert_refuses(const char *record, const char *expected)
{
    struct json scratch = {0};
    struct buffer out = {0};
    const char *fault = NULL;
    buffer_add_text(&out, ">");
    assert_false(invalidation_read(&scratch, slice_of(record), &out, &fault));
    assert_non_null(strstr(fault, expected));
    assert_string_equal(buffer_text(&out), ">");
    buffer_finish(&out);
    json_finish(&scratch);
}

static void it_names_the_keys_of_a_notification(void **state)
{
    (void)state;
    assert_reads("{\"lookup\":\"cities\",\"key\":\"3\"}", "cities:3");
    assert_reads("{\"key\":3,\"lookup\":\"cities\",\"by\":\"hand\"}", "cities:3");
    assert_reads("{\"lookup\":\"cities\",\"key\":\"a \\\"b\\\":c\"}", "cities:a \"b\":c");
    assert_reads("{\"lookup\":\"cities\",\"key\":\"\"}", "cities:");
    assert_reads("{\"lookup\":\"task-member\",\"key\":[\"7\",null,3]}", "task-member:[\"7\",null,3]");
    assert_reads("{\"lookup\":\"cities\"}", "cities");
    assert_reads(" \"cities:3\" ", "cities:3");
    assert_reads("\"cities\"", "cities");
}

static void what_names_none_is_refused_with_a_reason(void **state)
{
    (void)state;
    assert_refuses(NULL, "no value");
    assert_refuses("", "");
    assert_refuses("cities:3", "");
    assert_refuses("\"\"", "empty");
    assert_refuses("7", "neither");
    assert_refuses("[\"cities:3\"]", "neither");
    assert_refuses("{}", "lookup");
    assert_refuses("{\"lookup\":\"\",\"key\":\"3\"}", "lookup");
    assert_refuses("{\"lookup\":\"cities:3\",\"key\":\"3\"}", "lookup");
    assert_refuses("{\"lookup\":7,\"key\":\"3\"}", "lookup");
    assert_refuses("{\"lookup\":\"cities\",\"key\":{\"user\":3}}", "key must");
    assert_refuses("{\"lookup\":\"cities\",\"key\":null}", "key must");
    assert_refuses("{\"lookup\":\"cities\",\"key\":true}", "key must");
    assert_refuses("{\"lookup\":\"a\",\"lookup\":\"b\"}", "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_names_the_keys_of_a_notification),
        cmocka_unit_test(what_names_none_is_refused_with_a_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
