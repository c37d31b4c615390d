#include "unit.h"

#include "causeway/socketio.h"

#include <stdio.h>
#include <stdlib.h>

/* Type, attachments, namespace, id and the rest, as one line; or the fault. */
static const char *show(const char *text, char out[1024])
{
    struct socketio_packet p;
    const char *fault = socketio_parse(slice_of(text), &p);
    if (fault)
        return fault;
    snprintf(out, 1024, "%d %u %.*s [%.*s] %.*s", (int)p.type, p.attachments, SLICE_ARGS(p.namespace),
        SLICE_ARGS(p.id), SLICE_ARGS(p.json));
    return out;
}

static void heads_are_read_as_the_protocol_writes_them(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"0", "0 0 / [] "},
        {"0\n", "0 0 / [] "},
        {"0{\"token\":\"good\"}", "0 0 / [] {\"token\":\"good\"}"},
        {"0/chat,{\"token\":\"good\"}", "0 0 /chat [] {\"token\":\"good\"}"},
        {"0/chat,", "0 0 /chat [] "},
        {"0/custom", "0 0 /custom [] "},
        {"1", "1 0 / [] "},
        {"1/chat,", "1 0 /chat [] "},
        {"2[\"a\",{\"b\":1}]", "2 0 / [] [\"a\",{\"b\":1}]"},
        {"20[\"a\"]", "2 0 / [0] [\"a\"]"},
        {"2/chat,123[\"a\"]", "2 0 /chat [123] [\"a\"]"},
        {"2/chat,007[\"a\"]", "2 0 /chat [007] [\"a\"]"},
        {"30[]", "3 0 / [0] []"},
        {"51-[\"bin\",{\"_placeholder\":true,\"num\":0}]",
            "5 1 / [] [\"bin\",{\"_placeholder\":true,\"num\":0}]"},
        {"510-/chat,1[\"bin\"]", "5 10 /chat [1] [\"bin\"]"},
        {"61-/chat,1[]", "6 1 /chat [1] []"},
        {"2/a,b[\"x\"]", "2 0 /a [] b[\"x\"]"},
    };
    char out[1024];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_string_equal(show(cases[i][0], out), cases[i][1]);
}

static void broken_heads_are_refused(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"", "unknown packet type"},
        {"7", "unknown packet type"},
        {"abc", "unknown packet type"},
        {"5[\"a\"]", "a binary packet has 1 to 10 attachments"},
        {"5-[\"a\"]", "a binary packet has 1 to 10 attachments"},
        {"50-[\"a\"]", "a binary packet has 1 to 10 attachments"},
        {"511-[\"a\"]", "a binary packet has 1 to 10 attachments"},
        {"59999999999999999999999-[\"a\"]", "a binary packet has 1 to 10 attachments"},
        {"51", "a binary packet has 1 to 10 attachments"},
        {"6[]", "a binary packet has 1 to 10 attachments"},
        {"212345678901234567890[\"a\"]", "acknowledgement id too long"},
    };
    char out[1024];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_string_equal(show(cases[i][0], out), cases[i][1]);
    char name[SOCKETIO_NAMESPACE_MAX + 3] = "0/";
    memset(name + 2, 'n', sizeof name - 3);
    name[sizeof name - 1] = '\0';
    assert_string_equal(show(name, out), "namespace too long");
    name[sizeof name - 2] = '\0';
    assert_int_equal(show(name, out)[0], '0');
}

/* What is wrong with the JSON of this packet; "" when nothing is. */
static const char *check(const char *text)
{
    struct socketio_packet p;
    struct json j = {0};
    assert_null(socketio_parse(slice_of(text), &p));
    assert_true(p.json.size == 0 || json_scan(&j, p.json.data, p.json.size));
    const char *fault = socketio_check(&p, &j);
    json_finish(&j);
    return fault ? fault : "";
}

static void each_type_has_its_kind_of_content(void **state)
{
    (void)state;
    static const char *const good[] = {
        "0", "0{}", "1", "2[\"a\"]", "2[1,2]", "2[\"error\"]", "3[]", "3[null]", "51-[\"a\"]", "61-[]"};
    static const char *const bad[] = {"0[]", "0\"s\"", "0null", "1{}", "1[]", "2", "2{}", "2[]", "2[null]",
        "2[{}]", "2[[\"a\"]]", "2\"a\"", "2[\"connect\"]", "2[\"connect_error\"]", "2[\"disconnect\"]",
        "2[\"disconnecting\"]", "2[\"newListener\"]", "2[\"removeListener\"]", "2[\"c\\u006fnnect\"]", "3",
        "3{}", "51-{}", "61-{}", "4", "4{}", "4\"no\""};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_string_equal(check(good[i]), "");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_string_not_equal(check(bad[i]), "");
}

static bool fits(const char *json, unsigned attachments)
{
    struct json j = {0};
    assert_true(json_scan(&j, json, strlen(json)));
    bool fit = socketio_placeholders_fit(&j, attachments);
    json_finish(&j);
    return fit;
}

static void placeholders_name_attachments_that_are_there(void **state)
{
    (void)state;
    assert_true(fits("[\"a\",{\"_placeholder\":true,\"num\":0}]", 1));
    assert_true(
        fits("[\"a\",[{\"_placeholder\":true,\"num\":1}],{\"x\":{\"num\":0,\"_placeholder\":true}}]", 2));
    assert_true(fits("[\"a\",{\"_placeholder\":true,\"num\":0},{\"_placeholder\":true,\"num\":0}]", 1));
    assert_true(fits("[\"a\",{\"_placeholder\":false,\"num\":7}]", 1));
    assert_true(fits("[\"a\"]", 3));
    assert_false(fits("[\"a\",{\"_placeholder\":true,\"num\":1}]", 1));
    assert_false(fits("[\"a\",{\"_placeholder\":true,\"num\":-1}]", 1));
    assert_false(fits("[\"a\",{\"_placeholder\":true,\"num\":0.5}]", 1));
    assert_false(fits("[\"a\",{\"_placeholder\":true,\"num\":\"0\"}]", 1));
    assert_false(fits("[\"a\",{\"_placeholder\":true}]", 1));
    assert_false(fits("[\"a\",{\"_placeholder\":true,\"num\":99999999999999999999}]", 1));
}

static void heads_are_written_as_they_are_read(void **state)
{
    (void)state;
    static const struct {
        enum socketio_type type;
        unsigned attachments;
        const char *namespace, *id, *text;
    } cases[] = {
        {SOCKETIO_CONNECT, 0, "/", "", "40"},
        {SOCKETIO_CONNECT_ERROR, 0, "/nope", "", "44/nope,"},
        {SOCKETIO_EVENT, 0, "/chat", "", "42/chat,"},
        {SOCKETIO_ACK, 0, "/", "12", "4312"},
        {SOCKETIO_ACK, 0, "/chat", "12", "43/chat,12"},
        {SOCKETIO_BINARY_EVENT, 2, "/chat", "", "452-/chat,"},
        {SOCKETIO_BINARY_ACK, 1, "/", "0", "461-0"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buffer out = {0};
        socketio_begin(
            &out, cases[i].type, cases[i].attachments, slice_of(cases[i].namespace), slice_of(cases[i].id));
        assert_string_equal(buffer_text(&out), cases[i].text);
        buffer_finish(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heads_are_read_as_the_protocol_writes_them),
        cmocka_unit_test(broken_heads_are_refused),
        cmocka_unit_test(each_type_has_its_kind_of_content),
        cmocka_unit_test(placeholders_name_attachments_that_are_there),
        cmocka_unit_test(heads_are_written_as_they_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
