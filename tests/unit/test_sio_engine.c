/* Engine.IO sessions: how they begin, their ids, heartbeats and ends. */
#include "sio_stage.h"

static void handshake_by_either_transport(void **state)
{
    (void)state;
    struct peer poll, wire;
    char query[32];
    stage_begin(NULL);
    open_session(&poll, query);
    open_wire(&wire, "");
    assert_true(peer_hears(&wire, "HTTP/1.1 101"));
    assert_true(
        peer_hears(&wire, "\"upgrades\":[],\"pingInterval\":300,\"pingTimeout\":300,\"maxPayload\":256}"));
    peer_close(&poll);
    peer_close(&wire);
    stage_end();
    assert_int_equal(stage.opened, 2);
}

static void an_id_names_its_loop(void **state)
{
    (void)state;
    static const struct engine_settings settings = {.path = "/socket.io/"};
    struct http_head head = {.path = SLICE("/socket.io/"), .query = SLICE("a=b&sid=Bxxxxxxxxxxxxxxxxxxx")};
    assert_int_equal(engine_loop(&settings, &head), 7);
    head.query = SLICE("sid=_wAAAAAAAAAAAAAAAAAA");
    assert_int_equal(engine_loop(&settings, &head), 255);
    const struct slice none[] = {
        SLICE("sid=short"), SLICE("transport=polling"), SLICE("sid=%00xxxxxxxxxxxxxxxxxxx")};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        head.query = none[i];
        assert_int_equal(engine_loop(&settings, &head), -1);
    }
    head = (struct http_head){.path = SLICE("/"), .query = SLICE("sid=Bxxxxxxxxxxxxxxxxxxx")};
    assert_int_equal(engine_loop(&settings, &head), -1);
}

static void random_ids_differ(void **state)
{
    (void)state;
    char one[ENGINE_ID_SIZE + 1], other[ENGINE_ID_SIZE + 1];
    engine_random_id(one);
    engine_random_id(other);
    assert_int_equal(strlen(one), ENGINE_ID_SIZE);
    assert_string_not_equal(one, other);
}

static void who_answers_pings_stays(void **state)
{
    (void)state;
    struct peer p;
    stage_begin(NULL);
    open_wire(&p, "");
    for (int i = 0; i < 3; i++) {
        assert_true(peer_hears(&p, "\x81\x01"
                                   "2"));
        wire_say(&p, "3");
    }
    wire_say(&p, "4still here");
    assert_true(peer_hears(&p, "4still here"));
    peer_close(&p);
    stage_end();
    assert_true(stage.heartbeats >= 3);
}

static void who_does_not_is_closed(void **state)
{
    (void)state;
    struct peer wire, poll;
    char query[32];
    stage_begin(NULL);
    open_wire(&wire, "");
    open_session(&poll, query);
    peer_ask(&poll, "GET", query, "");
    assert_true(peer_hears(&poll, "\r\n\r\n2"));
    peer_ask(&poll, "GET", query, "");
    assert_true(peer_hears(&poll, "\r\n\r\n1"));
    assert_true(peer_hears(&wire, "ping timeout"));
    assert_true(peer_sees_end(&wire));
    peer_ask(&poll, "GET", query, "");
    assert_true(peer_hears(&poll, "Session ID unknown"));
    peer_close(&wire);
    peer_close(&poll);
    stage_end();
}

static void a_ping_of_the_client_is_a_violation(void **state)
{
    (void)state;
    struct peer p;
    stage_begin(NULL);
    open_wire(&p, "");
    wire_say(&p, "2");
    assert_true(peer_hears(&p, "invalid heartbeat direction"));
    assert_true(peer_sees_end(&p));
    peer_close(&p);
    stage_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(handshake_by_either_transport),
        cmocka_unit_test(an_id_names_its_loop),
        cmocka_unit_test(random_ids_differ),
        cmocka_unit_test(who_answers_pings_stays),
        cmocka_unit_test(who_does_not_is_closed),
        cmocka_unit_test(a_ping_of_the_client_is_a_violation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
