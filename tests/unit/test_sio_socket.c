/* Namespaces and packets: who gets in, what is acknowledged, what ends a connection. */
#include "sio_stage.h"

static unsigned sockets, ended;

static bool on_open(void *owner)
{
    (void)owner;
    return true;
}

/* "/" is open, "/locked" refuses, "/slow" never answers, nothing else exists. */
static void *on_connect(
    void *owner, struct sio_socket *s, struct slice namespace, const struct json *j, uint32_t auth)
{
    (void)owner;
    (void)j;
    (void)auth;
    if (slice_is(namespace, "/nope"))
        return NULL;
    sockets++;
    if (slice_is(namespace, "/"))
        sio_accept(s, SLICE("the-sid"), ",\"pid\":\"the-pid\"");
    else if (slice_is(namespace, "/locked"))
        sio_refuse(s, "Locked", SLICE("{\"code\":7}"));
    return s;
}

static void on_event(void *app, const struct sio_event *e)
{
    if (e->attachment_count > 0)
        sio_emit(app, "bytes", SLICE("true"));
    else if (e->id.size > 0)
        sio_acknowledge(app, e->id, SLICE("\"yes\""));
    else if (slice_is(e->name, "end"))
        sio_end(app, 1012, "restart");
    else
        sio_emit(app, "heard", SLICE("1,2"));
}

static void on_socket_closed(void *app)
{
    (void)app;
    ended++;
}

static const struct sio_hooks hooks = {.open = on_open,
    .connect = on_connect,
    .event = on_event,
    .writable = sio_door_ignore,
    .leaving = sio_door_ignore,
    .heartbeat = sio_door_ignore,
    .closed = on_socket_closed,
    .answered = sio_door_answered};

static void begin(struct peer *p)
{
    sockets = ended = 0;
    stage_begin(&hooks);
    open_wire(p, "");
    assert_true(peer_hears(p, "0{\"sid\""));
}

static void finish(struct peer *p)
{
    peer_close(p);
    stage_end();
    assert_int_equal(ended, sockets);
}

static void say_and_hear(struct peer *p, const char *packet, const char *answer)
{
    wire_say(p, packet);
    assert_true(peer_hears(p, answer));
}

static void connects_and_talks(void **state)
{
    (void)state;
    struct peer p;
    begin(&p);
    say_and_hear(&p, "40", "40{\"sid\":\"the-sid\",\"pid\":\"the-pid\"}");
    say_and_hear(&p, "42[\"hello\"]", "42[\"heard\",1,2]");
    say_and_hear(&p, "42007[\"hello\",{}]", "43007[\"yes\"]");
    say_and_hear(&p, "40/nope,", "44/nope,{\"message\":\"Invalid namespace\"}");
    say_and_hear(&p, "40/locked,{}", "44/locked,{\"message\":\"Locked\",\"data\":{\"code\":7}}");
    finish(&p);
}

static void bytes_arrive_with_their_packet(void **state)
{
    (void)state;
    static const char bytes[] = {(char)0x82, (char)0x83, 0, 0, 0, 0, 1, 2, 3};
    struct peer p;
    begin(&p);
    say_and_hear(&p, "40", "40{");
    wire_say(&p, "451-[\"file\",{\"_placeholder\":true,\"num\":0}]");
    peer_say(&p, bytes, sizeof bytes);
    assert_true(peer_hears(&p, "42[\"bytes\",true]"));
    finish(&p);
}

static void a_namespace_may_be_left_and_joined_again(void **state)
{
    (void)state;
    struct peer p;
    begin(&p);
    say_and_hear(&p, "40", "40{");
    wire_say(&p, "41");
    say_and_hear(&p, "40", "40{");
    say_and_hear(&p, "421[\"hello\"]", "431[\"yes\"]");
    finish(&p);
    assert_int_equal(sockets, 2);
}

static void who_joins_nothing_is_closed(void **state)
{
    (void)state;
    struct peer p;
    begin(&p);
    wire_say(&p, "40/nope,");
    assert_true(peer_hears(&p, "no namespace was joined"));
    assert_true(peer_sees_end(&p));
    finish(&p);
}

static void who_leaves_all_namespaces_is_closed_in_time_too(void **state)
{
    (void)state;
    struct peer p;
    begin(&p);
    say_and_hear(&p, "40", "40{");
    wire_say(&p, "41");
    assert_true(peer_hears(&p, "no namespace was joined"));
    assert_true(peer_sees_end(&p));
    finish(&p);
}

static void an_application_ends_the_connection(void **state)
{
    (void)state;
    struct peer p;
    begin(&p);
    say_and_hear(&p, "40", "40{");
    say_and_hear(&p, "42[\"end\"]", "restart");
    assert_true(peer_sees_end(&p));
    finish(&p);
}

static void violations_end_the_connection(void **state)
{
    (void)state;
    static const struct {
        const char *packet, *text;
    } cases[] = {
        {"40", "connected to this namespace already"},
        {"42/slow,[\"x\"]", "not connected to this namespace"},
        {"4x", "unknown packet type"},
        {"42{}", "an event is an array"},
        {"42[\"x\"", "not strict JSON"},
        {"44{}", "only servers send CONNECT_ERROR"},
        {"450-[\"x\"]", "1 to 10 attachments"},
        {"451-[\"x\",{\"_placeholder\":true,\"num\":1}]", "a placeholder of no attachment"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct peer p;
        begin(&p);
        say_and_hear(&p, "40", "40{");
        say_and_hear(&p, cases[i].packet, cases[i].text);
        assert_true(peer_sees_end(&p));
        finish(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connects_and_talks),
        cmocka_unit_test(bytes_arrive_with_their_packet),
        cmocka_unit_test(a_namespace_may_be_left_and_joined_again),
        cmocka_unit_test(who_joins_nothing_is_closed),
        cmocka_unit_test(who_leaves_all_namespaces_is_closed_in_time_too),
        cmocka_unit_test(an_application_ends_the_connection),
        cmocka_unit_test(violations_end_the_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
