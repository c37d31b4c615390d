/* Long polling: held GETs, POSTs, and what ends a session. */
#include "sio_stage.h"

#include <unistd.h>

struct polling {
    struct peer get, post;
    char query[32];
};

static void begin(struct polling *x)
{
    stage_begin(NULL);
    open_session(&x->get, x->query);
    peer_open(&x->post);
}

static void finish(struct polling *x)
{
    peer_close(&x->get);
    peer_close(&x->post);
    stage_end();
}

static void post(struct polling *x, const char *body)
{
    peer_ask(&x->post, "POST", x->query, body);
}

static void a_held_get_gets_what_comes(void **state)
{
    (void)state;
    struct polling x;
    begin(&x);
    peer_ask(&x.get, "GET", x.query, "");
    post(&x, "4one\x1e"
             "bAQID");
    assert_true(peer_hears(&x.post, "\r\n\r\nok"));
    assert_true(peer_hears(&x.get, "\r\n\r\n4one\x1e"
                                   "bAQID"));
    finish(&x);
}

static void one_answer_has_sixteen_packets(void **state)
{
    (void)state;
    struct polling x;
    begin(&x);
    post(&x, "4a\x1e"
             "4b\x1e"
             "4c\x1e"
             "4d\x1e"
             "4e\x1e"
             "4f\x1e"
             "4g\x1e"
             "4h\x1e"
             "4i");
    assert_true(peer_hears(&x.post, "ok"));
    post(&x, "4j\x1e"
             "4k\x1e"
             "4l\x1e"
             "4m\x1e"
             "4n\x1e"
             "4o\x1e"
             "4p\x1e"
             "4q");
    assert_true(peer_hears(&x.post, "ok"));
    peer_ask(&x.get, "GET", x.query, "");
    assert_true(peer_hears(&x.get, "4o\x1e"
                                   "4p"));
    peer_ask(&x.get, "GET", x.query, "");
    assert_true(peer_hears(&x.get, "\r\n\r\n4q"));
    finish(&x);
}

static void a_second_get_ends_the_session(void **state)
{
    (void)state;
    struct polling x;
    begin(&x);
    peer_ask(&x.get, "GET", x.query, "");
    peer_ask(&x.post, "PUT", x.query, ""); /* refused once the GET is held: both connections are the loop's */
    assert_true(peer_hears(&x.post, "Bad request"));
    peer_ask(&x.post, "GET", x.query, "");
    assert_true(peer_hears(&x.get, "\r\n\r\n1"));
    assert_true(peer_hears(&x.post, "HTTP/1.1 400"));
    finish(&x);
}

static void an_aborted_get_ends_the_session(void **state)
{
    (void)state;
    struct polling x;
    begin(&x);
    peer_ask(&x.get, "GET", x.query, "");
    peer_ask(&x.post, "PUT", x.query, "");
    assert_true(peer_hears(&x.post, "Bad request"));
    peer_close(&x.get);
    bool gone = false;
    for (int i = 0; i < 100 && !gone; i++) {
        peer_ask(&x.post, "PUT", x.query, "");
        assert_true(peer_hears(&x.post, "\"message\":\""));
        gone = strncmp(x.post.got, "Session ID unknown", 18) == 0;
        usleep(1000);
    }
    assert_true(gone);
    peer_close(&x.post);
    stage_end();
}

static void a_body_may_be_as_large_as_said(void **state)
{
    (void)state;
    struct polling x;
    char body[MESSAGE_MAX + 2];
    begin(&x);
    memset(body, 'x', sizeof body);
    body[0] = '4';
    body[MESSAGE_MAX] = '\0';
    post(&x, body);
    assert_true(peer_hears(&x.post, "ok"));
    body[MESSAGE_MAX] = 'x';
    body[MESSAGE_MAX + 1] = '\0';
    post(&x, body);
    assert_true(peer_hears(&x.post, "HTTP/1.1 413"));
    assert_true(peer_sees_end(&x.post));
    finish(&x);
}

static void close_by_post(void **state)
{
    (void)state;
    struct polling x;
    begin(&x);
    peer_ask(&x.get, "GET", x.query, "");
    post(&x, "1");
    assert_true(peer_hears(&x.get, "\r\n\r\n6"));
    assert_true(peer_hears(&x.post, "ok"));
    finish(&x);
}

static void what_is_no_packet_ends_the_session(void **state)
{
    (void)state;
    static const char *const bodies[] = {"", "abc", "7", "4x\x1e", "b!!!"};
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        struct polling x;
        begin(&x);
        post(&x, bodies[i]);
        assert_true(peer_hears(&x.post, "ok"));
        peer_ask(&x.get, "PUT", x.query, "");
        assert_true(peer_hears(&x.get, "Session ID unknown"));
        finish(&x);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_held_get_gets_what_comes),
        cmocka_unit_test(one_answer_has_sixteen_packets),
        cmocka_unit_test(a_second_get_ends_the_session),
        cmocka_unit_test(an_aborted_get_ends_the_session),
        cmocka_unit_test(a_body_may_be_as_large_as_said),
        cmocka_unit_test(close_by_post),
        cmocka_unit_test(what_is_no_packet_ends_the_session),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
