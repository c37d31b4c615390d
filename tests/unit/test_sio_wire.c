/* From polling to WebSocket. */
#include "sio_stage.h"

static void the_probe_and_the_upgrade(void **state)
{
    (void)state;
    struct peer poll, wire;
    char query[32];
    stage_begin(NULL);
    open_session(&poll, query);
    peer_ask(&poll, "GET", query, "");
    open_wire(&wire, query);
    wire_say(&wire, "2probe");
    assert_true(peer_hears(&wire, "3probe"));
    assert_true(peer_hears(&poll, "\r\n\r\n6"));
    peer_ask(&poll, "GET", query, "");
    assert_true(peer_hears(&poll, "\r\n\r\n6"));
    peer_ask(&poll, "POST", query, "4before");
    assert_true(peer_hears(&poll, "ok"));
    wire_say(&wire, "5");
    assert_true(peer_hears(&wire, "4before"));
    wire_say(&wire, "4after");
    assert_true(peer_hears(&wire, "4after"));
    peer_ask(&poll, "GET", query, "");
    assert_true(peer_hears(&poll, "Bad request"));
    peer_close(&poll);
    peer_close(&wire);
    stage_end();
}

static void a_probe_has_its_time(void **state)
{
    (void)state;
    struct peer poll, wire;
    char query[32];
    stage_begin(NULL);
    open_session(&poll, query);
    open_wire(&wire, query);
    wire_say(&wire, "2probe");
    assert_true(peer_hears(&wire, "3probe"));
    assert_true(peer_hears(&wire, "upgrade timeout"));
    assert_true(peer_sees_end(&wire));
    peer_close(&wire);
    peer_ask(&poll, "POST", query, "4it polls on");
    assert_true(peer_hears(&poll, "ok"));
    open_wire(&wire, query);
    wire_say(&wire, "2probe");
    wire_say(&wire, "5");
    assert_true(peer_hears(&wire, "4it polls on"));
    peer_close(&poll);
    peer_close(&wire);
    stage_end();
}

static void what_is_no_probe_ends_the_websocket_only(void **state)
{
    (void)state;
    struct peer poll, wire;
    char query[32];
    stage_begin(NULL);
    open_session(&poll, query);
    open_wire(&wire, query);
    wire_say(&wire, "4hello");
    assert_true(peer_hears(&wire, "no probe"));
    assert_true(peer_sees_end(&wire));
    peer_ask(&poll, "POST", query, "4it polls on");
    assert_true(peer_hears(&poll, "ok"));
    peer_close(&poll);
    peer_close(&wire);
    stage_end();
}

static void an_unknown_session_is_refused(void **state)
{
    (void)state;
    struct peer wire;
    stage_begin(NULL);
    open_wire(&wire, "&sid=AAAAAAAAAAAAAAAAAAAA");
    assert_true(peer_hears(&wire, "HTTP/1.1 400"));
    assert_true(peer_hears(&wire, "Session ID unknown"));
    assert_true(peer_sees_end(&wire));
    peer_close(&wire);
    stage_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_probe_and_the_upgrade),
        cmocka_unit_test(a_probe_has_its_time),
        cmocka_unit_test(what_is_no_probe_ends_the_websocket_only),
        cmocka_unit_test(an_unknown_session_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
