/* How a connection ends: finishing, aborting, deadlines, and what TCP alone tells. */
#include "conn_stage.h"

#include "causeway/conn.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* --- calls from the test's thread to the loop's --- */

static void do_finish(struct fixture *x)
{
    conn_finish(x->conn);
    assert_true(conn_closing(x->conn));
    assert_int_equal(x->owner.closed, 0);
}

static void do_deadline(struct fixture *x)
{
    conn_set_deadline(x->conn, x->delay);
}

/* --- set up --- */

static bool peer_sees_the_end(struct fixture *x)
{
    char byte;
    struct pollfd p = {.fd = x->peer, .events = POLLIN};
    return poll(&p, 1, PATIENCE_MS) == 1 && recv(x->peer, &byte, 1, 0) == 0;
}

/* --- the end --- */

static void finishing_writes_what_waits_and_waits_for_the_peer(void **state)
{
    struct fixture *x = *state;
    enum { SIZE = 1 << 20 };
    char *data = pattern(SIZE), *out = malloc(SIZE);
    x->data = data;
    x->size = SIZE;
    on_loop(x, do_send);
    assert_true(x->result > 0);
    on_loop(x, do_finish);
    on_loop(x, do_finish);
    on_loop(x, do_send); /* nothing follows the end */
    on_loop(x, do_write);
    assert_int_equal(x->result, 0);
    assert_int_equal(peer_reads(x, out, SIZE), SIZE);
    assert_memory_equal(out, data, SIZE);
    assert_true(peer_sees_the_end(x));
    on_loop(x, ask_closed);
    assert_false(x->flag);
    peer_sends(x, "ignored", 7);
    uint64_t start = now_ms();
    shutdown(x->peer, SHUT_WR);
    assert_true(comes_true(x, ask_closed));
    assert_true(now_ms() - start < LINGER_MS / 2);
    assert_int_equal(x->owner.calls, 0);
    free(data);
    free(out);
}

static void a_peer_that_has_closed_its_side_still_gets_what_waits(void **state)
{
    struct fixture *x = *state;
    enum { SIZE = 1 << 20 };
    char *data = pattern(SIZE), *out = malloc(SIZE);
    x->owner.finishes = true;
    x->owner.reply = (struct slice){data, SIZE}; /* one request, one long answer */
    peer_sends(x, "?", 1);
    shutdown(x->peer, SHUT_WR);
    assert_true(gets(x, 1));
    for (int i = 0; i < 20; i++)
        on_loop(x, ask_closed);
    assert_int_equal(peer_reads(x, out, SIZE), SIZE);
    assert_memory_equal(out, data, SIZE);
    uint64_t start = now_ms();
    assert_true(comes_true(x, ask_closed));
    assert_true(now_ms() - start < LINGER_MS / 2);
    free(data);
    free(out);
}

static void finishing_a_paused_connection_whose_peer_is_gone_does_not_linger(void **state)
{
    struct fixture *x = *state;
    on_loop(x, do_pause);
    peer_sends(x, "abc", 3);
    close(x->peer);
    x->peer = -1;
    for (int i = 0; i < 20; i++)
        on_loop(x, ask_closed);
    uint64_t start = now_ms();
    on_loop(x, do_finish);
    assert_true(comes_true(x, ask_closed));
    assert_true(now_ms() - start < LINGER_MS / 2);
    assert_int_equal(x->owner.calls, 0);
}

static void a_peer_that_never_closes_is_given_two_seconds(void **state)
{
    struct fixture *x = *state;
    char *data = pattern(MUCH);
    x->data = data;
    x->size = MUCH;
    on_loop(x, do_send); /* nor does it read */
    uint64_t start = now_ms();
    on_loop(x, do_finish);
    x->delay = 1;
    on_loop(x, do_deadline); /* has no effect any more */
    assert_true(comes_true(x, ask_closed));
    assert_in_range(now_ms() - start, LINGER_MS - 1, 2 * LINGER_MS);
    assert_int_equal(x->owner.deadlines, 0);
    free(data);
}

static void aborting_is_told_once_and_never_within_the_call(void **state)
{
    struct fixture *x = *state;
    x->owner.aborts = true;
    peer_sends(x, "abc", 3);
    assert_true(comes_true(x, ask_closed));
    assert_int_equal(x->owner.closed, 1);
    assert_int_equal(x->owner.calls, 1);
    char byte;
    assert_true(recv(x->peer, &byte, 1, 0) <= 0);
}

static void call_after_abort(struct fixture *x)
{
    struct conn *c = x->conn;
    conn_abort(c);
    conn_abort(c);
    conn_finish(c);
    conn_resume(c);
    conn_set_deadline(c, 1);
    conn_send(c, "x", 1);
    conn_keep(c, "x", 1);
    assert_int_equal(conn_write(c, &(struct iovec){"x", 1}, 1), 0);
    assert_true(conn_closing(c));
    assert_false(conn_ready(c));
    assert_int_equal(conn_waiting(c), 0);
    assert_int_equal(conn_acked(c), 0);
    assert_int_equal(x->owner.closed, 0);
}

static void nothing_goes_out_after_an_abort(void **state)
{
    struct fixture *x = *state;
    on_loop(x, call_after_abort);
    assert_true(comes_true(x, ask_closed));
    assert_true(peer_sees_the_end(x));
    assert_int_equal(x->owner.closed, 1);
}

static void resume_and_abort(struct fixture *x)
{
    conn_pause(x->conn);
    conn_resume(x->conn); /* a read is scheduled now */
    conn_abort(x->conn);
    assert_int_equal(x->owner.closed, 0);
}

static void a_connection_may_be_aborted_while_a_read_is_scheduled(void **state)
{
    struct fixture *x = *state;
    on_loop(x, resume_and_abort);
    assert_true(comes_true(x, ask_closed));
    assert_int_equal(x->owner.closed, 1);
}

/* --- deadlines --- */

static void ask_deadline(struct fixture *x)
{
    x->flag = x->owner.deadlines > 0;
}

static void a_deadline_is_told_once_and_not_early(void **state)
{
    struct fixture *x = *state;
    uint64_t start = now_ms();
    x->delay = 150;
    on_loop(x, do_deadline);
    assert_true(comes_true(x, ask_deadline));
    assert_in_range(now_ms() - start, 149, 1500);
    usleep(200000);
    on_loop(x, ask_deadline);
    assert_int_equal(x->owner.deadlines, 1);
    x->owner.aborts = true;
    x->delay = 1;
    on_loop(x, do_deadline);
    assert_true(comes_true(x, ask_closed));
    assert_int_equal(x->owner.deadlines, 2);
}

static void a_deadline_can_be_cleared(void **state)
{
    struct fixture *x = *state;
    x->delay = 100;
    on_loop(x, do_deadline);
    x->delay = 0;
    on_loop(x, do_deadline);
    usleep(300000);
    on_loop(x, ask_deadline);
    assert_false(x->flag);
}

/* --- TCP --- */

static void ask_acked(struct fixture *x)
{
    x->flag = conn_acked(x->conn) >= x->result + 100;
}

static void ask_base(struct fixture *x)
{
    x->result = conn_acked(x->conn);
}

static void what_the_peers_kernel_has_is_acknowledged(void **state)
{
    struct fixture *x = *state;
    char data[100] = {0}, out[100];
    on_loop(x, ask_base);
    x->data = data;
    x->size = sizeof data;
    size_t base = x->result;
    on_loop(x, do_write);
    assert_int_equal(x->result, sizeof data);
    assert_int_equal(peer_reads(x, out, sizeof out), sizeof out);
    x->result = base;
    assert_true(comes_true(x, ask_acked));
}

static void a_reset_closes(void **state)
{
    struct fixture *x = *state;
    struct linger hard = {.l_onoff = 1, .l_linger = 0};
    setsockopt(x->peer, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    on_loop(x, do_pause);
    close(x->peer);
    x->peer = -1;
    assert_true(comes_true(x, ask_closed));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        stage(finishing_writes_what_waits_and_waits_for_the_peer),
        stage(a_peer_that_has_closed_its_side_still_gets_what_waits),
        stage(finishing_a_paused_connection_whose_peer_is_gone_does_not_linger),
        stage(a_peer_that_never_closes_is_given_two_seconds),
        stage(aborting_is_told_once_and_never_within_the_call),
        stage(nothing_goes_out_after_an_abort),
        stage(a_connection_may_be_aborted_while_a_read_is_scheduled),
        stage(a_deadline_is_told_once_and_not_early),
        stage(a_deadline_can_be_cleared),
        stage_tcp(a_peer_that_has_closed_its_side_still_gets_what_waits),
        stage_tcp(finishing_a_paused_connection_whose_peer_is_gone_does_not_linger),
        stage_tcp(what_the_peers_kernel_has_is_acknowledged),
        stage_tcp(a_reset_closes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
