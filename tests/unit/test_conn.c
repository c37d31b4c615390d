/* What a connection reads: whole, in order, bounded, and when its handler wants it. */
#include "conn_stage.h"

#include "causeway/conn.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* --- calls from the test's thread to the loop's --- */

static void ask_second_got(struct fixture *x)
{
    x->flag = x->second.got.size >= x->size;
}

static void ask_third_got(struct fixture *x)
{
    x->flag = x->third.got.size >= 4;
}

static void do_resume(struct fixture *x)
{
    conn_resume(x->conn);
}

/* --- reading --- */

static void what_is_not_used_comes_again_with_more_behind_it(void **state)
{
    struct fixture *x = *state;
    x->owner.leave = 3;
    peer_sends(x, "abcdef", 6);
    assert_true(gets(x, 3));
    peer_sends(x, "g", 1);
    assert_true(gets(x, 4));
    peer_sends(x, "hij", 3);
    assert_true(gets(x, 7));
    assert_string_equal(buffer_text(&x->owner.got), "abcdefg");
}

static void much_data_comes_whole_and_in_order(void **state)
{
    struct fixture *x = *state;
    enum { SIZE = 8 << 20 };
    char *data = pattern(SIZE);
    peer_sends(x, data, SIZE);
    assert_true(gets(x, SIZE));
    assert_memory_equal(x->owner.got.data, data, SIZE);
    free(data);
}

static void more_than_one_turn_reads_comes_without_a_further_event(void **state)
{
    struct fixture *x = *state;
    enum { SIZE = 1 << 20, ONE_TURN = 4 * 65536 };
    char *data = pattern(SIZE);
    setsockopt(x->peer, SOL_SOCKET, SO_SNDBUF, &(int){SIZE}, sizeof(int));
    on_loop(x, do_pause);
    size_t sent = 0;
    for (ssize_t n; (n = send(x->peer, data + sent, SIZE - sent, MSG_NOSIGNAL | MSG_DONTWAIT)) > 0;)
        sent += (size_t)n;
    assert_true(sent > ONE_TURN);
    on_loop(x, do_resume);
    assert_true(gets(x, sent));
    assert_memory_equal(x->owner.got.data, data, sent);
    free(data);
}

static void data_that_comes_with_the_end_is_delivered_before_it(void **state)
{
    struct fixture *x = *state;
    enum { SIZE = 150000 };
    char *data = pattern(SIZE);
    x->owner.leave = 5;
    peer_sends(x, data, SIZE);
    close(x->peer);
    x->peer = -1;
    assert_true(comes_true(x, ask_closed));
    assert_int_equal(x->owner.got.size, SIZE - 5);
    assert_memory_equal(x->owner.got.data, data, SIZE - 5);
    free(data);
}

static void input_that_is_not_understood_is_limited(void **state)
{
    struct fixture *x = *state;
    char *data = pattern(INPUT_MAX + 1);
    x->owner.leave = INPUT_MAX;
    peer_sends(x, data, INPUT_MAX);
    peer_sends(x, data, 1); /* one is used now, INPUT_MAX are kept */
    assert_true(gets(x, 1));
    assert_int_equal(x->owner.closed, 0);
    x->owner.leave = INPUT_MAX + 10;
    peer_sends(x, data, 1);
    assert_true(comes_true(x, ask_closed));
    free(data);
}

static void nothing_is_delivered_while_paused(void **state)
{
    struct fixture *x = *state;
    x->owner.pause_behind = 4;
    x->owner.leave = 2;
    peer_sends(x, "abcdef", 6);
    assert_true(gets(x, 4));
    peer_sends(x, "gh", 2);
    for (int i = 0; i < 20; i++) /* turns of the loop */
        on_loop(x, ask_got);
    assert_int_equal(x->owner.calls, 1);
    on_loop(x, do_resume);
    assert_true(gets(x, 6));
    assert_string_equal(buffer_text(&x->owner.got), "abcdef");
}

static void what_was_kept_comes_again_on_resume_without_new_bytes(void **state)
{
    struct fixture *x = *state;
    x->owner.pause_behind = 1;
    x->owner.leave = 5;
    peer_sends(x, "abcdef", 6);
    assert_true(gets(x, 1));
    x->owner.leave = 0;
    on_loop(x, do_resume);
    assert_true(gets(x, 6));
    assert_string_equal(buffer_text(&x->owner.got), "abcdef");
    on_loop(x, do_resume); /* not paused: nothing happens */
    on_loop(x, do_pause);
    on_loop(x, do_resume);
    on_loop(x, ask_got);
    assert_int_equal(x->owner.got.size, 6);
}

static void an_end_that_comes_while_paused_is_told_on_resume(void **state)
{
    struct fixture *x = *state;
    on_loop(x, do_pause);
    peer_sends(x, "abc", 3);
    close(x->peer);
    x->peer = -1;
    for (int i = 0; i < 20; i++)
        on_loop(x, ask_closed);
    assert_false(x->flag);
    on_loop(x, do_resume);
    assert_true(comes_true(x, ask_closed));
    assert_string_equal(buffer_text(&x->owner.got), "abc");
}

static void another_handler_gets_the_rest_at_once(void **state)
{
    struct fixture *x = *state;
    x->owner.next = &x->second;
    x->owner.hand_over_behind = 4;
    x->second.next = &x->third;
    x->second.hand_over_behind = 2;
    peer_sends(x, "abcdefgh", 8);
    peer_sends(x, "ij", 2);
    assert_true(comes_true(x, ask_third_got));
    assert_string_equal(buffer_text(&x->owner.got), "abcd");
    assert_string_equal(buffer_text(&x->second.got), "ef");
    assert_string_equal(buffer_text(&x->third.got), "ghij");
    on_loop(x, do_abort);
    assert_true(comes_true(x, ask_closed));
    assert_int_equal(x->third.closed, 1); /* the last one is told */
}

static void a_handler_that_took_over_a_paused_connection_gets_the_rest_on_resume(void **state)
{
    struct fixture *x = *state;
    x->owner.next = &x->second;
    x->owner.hand_over_behind = 2;
    x->owner.pause_at_hand_over = true;
    peer_sends(x, "abcd", 4);
    assert_true(gets(x, 2));
    peer_sends(x, "ef", 2);
    for (int i = 0; i < 20; i++)
        on_loop(x, ask_got);
    assert_int_equal(x->second.calls, 0);
    on_loop(x, do_resume);
    x->size = 4;
    assert_true(comes_true(x, ask_second_got));
    assert_string_equal(buffer_text(&x->owner.got), "ab");
    assert_string_equal(buffer_text(&x->second.got), "cdef");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        stage(what_is_not_used_comes_again_with_more_behind_it),
        stage(much_data_comes_whole_and_in_order),
        stage(more_than_one_turn_reads_comes_without_a_further_event),
        stage(data_that_comes_with_the_end_is_delivered_before_it),
        stage(input_that_is_not_understood_is_limited),
        stage(nothing_is_delivered_while_paused),
        stage(what_was_kept_comes_again_on_resume_without_new_bytes),
        stage(an_end_that_comes_while_paused_is_told_on_resume),
        stage(another_handler_gets_the_rest_at_once),
        stage(a_handler_that_took_over_a_paused_connection_gets_the_rest_on_resume),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
