/* Connections on a loop of their own thread; the peers are this thread's ends of socket pairs. */
#include "unit.h"

#include "causeway/buffer.h"
#include "causeway/conn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { INPUT_MAX = 200000, PATIENCE_MS = 5000, LINGER_MS = 2000 };

struct fixture;

/* What the handler saw, and what it is to do. Touched on the loop only, or through on_loop. */
struct owner {
    struct fixture *fixture;
    struct buffer got;
    size_t leave;            /* so many bytes are never used */
    size_t pause_behind;     /* pauses when so many bytes have come; 0: never */
    size_t hand_over_behind; /* uses only so many bytes, then the next handler takes over */
    struct owner *next;
    bool pause_at_hand_over;
    struct slice reply; /* to every byte */
    bool aborts, finishes;
    unsigned calls, writable, deadlines, closed;
    size_t largest_waiting;
};

struct fixture {
    struct loop *loop;
    pthread_t thread;
    struct conn *conn;
    struct owner owner, second, third;
    int peer;
    /* arguments and results of what runs on the loop */
    const char *data;
    size_t size, result;
    uint64_t delay;
    bool flag;
};

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* --- the handler --- */

static const struct conn_handler handler, another;

static void send_replies(struct owner *o, struct conn *c, size_t count)
{
    for (size_t i = 0; i < count; i++)
        conn_send(c, o->reply.data, o->reply.size);
    if (conn_waiting(c) > o->largest_waiting)
        o->largest_waiting = conn_waiting(c);
}

static size_t on_data(void *owner, struct conn *c, char *data, size_t size)
{
    struct owner *o = owner;
    assert_int_equal(o->closed, 0);
    assert_ptr_equal(conn_owner(c), o);
    assert_true(size > 0);
    o->calls++;
    if (o->aborts) {
        conn_abort(c);
        conn_abort(c);
        assert_int_equal(o->closed, 0); /* never within this call */
        return 0;
    }
    size_t used = size > o->leave ? size - o->leave : 0;
    if (o->next && o->got.size + used >= o->hand_over_behind) {
        used = o->hand_over_behind - o->got.size;
        conn_set_handler(c, o->next == &o->fixture->second ? &another : &handler, o->next, INPUT_MAX);
        if (o->pause_at_hand_over)
            conn_pause(c);
    }
    buffer_add(&o->got, data, used);
    memset(data, '#', size > used ? used : size); /* it may be written to; what is left must come unchanged */
    send_replies(o, c, o->reply.size ? used : 0);
    if (o->pause_behind && o->got.size >= o->pause_behind) {
        conn_pause(c);
        o->pause_behind = 0;
    }
    if (o->finishes)
        conn_finish(c);
    return used;
}

static void on_writable(void *owner, struct conn *c)
{
    struct owner *o = owner;
    assert_int_equal(o->closed, 0);
    assert_true(conn_ready(c));
    o->writable++;
}

static void on_deadline(void *owner, struct conn *c)
{
    struct owner *o = owner;
    o->deadlines++;
    if (o->aborts)
        conn_abort(c);
}

static void on_closed(void *owner, struct conn *c)
{
    struct owner *o = owner;
    o->closed++;
    o->fixture->conn = NULL;
    (void)c;
}

static const struct conn_handler handler = {on_data, on_writable, on_deadline, on_closed};
static const struct conn_handler another = {on_data, on_writable, on_deadline, on_closed};

/* --- calls from the test's thread to the loop's --- */

struct call {
    struct loop_task task;
    struct fixture *fixture;
    void (*run)(struct fixture *x);
    sem_t done;
};

static void run_call(struct loop_task *task)
{
    struct call *call = (struct call *)task;
    call->run(call->fixture);
    sem_post(&call->done);
}

static void on_loop(struct fixture *x, void (*run)(struct fixture *x))
{
    struct call call = {.task.run = run_call, .fixture = x, .run = run};
    sem_init(&call.done, 0, 0);
    loop_post(x->loop, &call.task);
    while (sem_wait(&call.done) != 0) {
    }
    sem_destroy(&call.done);
}

/* Polls until `ask`, which runs on the loop, has set x->flag. */
static bool comes_true(struct fixture *x, void (*ask)(struct fixture *x))
{
    for (uint64_t until = now_ms() + PATIENCE_MS; now_ms() < until; usleep(500)) {
        on_loop(x, ask);
        if (x->flag)
            return true;
    }
    return false;
}

static void ask_closed(struct fixture *x)
{
    x->flag = x->owner.closed + x->second.closed + x->third.closed > 0;
}

static void ask_got(struct fixture *x)
{
    x->flag = x->owner.got.size >= x->size;
}

static void ask_second_got(struct fixture *x)
{
    x->flag = x->second.got.size >= x->size;
}

static void ask_third_got(struct fixture *x)
{
    x->flag = x->third.got.size >= 4;
}

static void ask_writable(struct fixture *x)
{
    x->flag = x->owner.writable > 0;
}

static bool gets(struct fixture *x, size_t size)
{
    x->size = size;
    return comes_true(x, ask_got);
}

static void do_write(struct fixture *x)
{
    struct iovec parts[3];
    size_t third = x->size / 3;
    for (size_t i = 0; i < 3; i++)
        parts[i] =
            (struct iovec){(void *)(uintptr_t)(x->data + i * third), i < 2 ? third : x->size - 2 * third};
    x->result = conn_write(x->conn, parts, 3);
    x->flag = conn_ready(x->conn);
}

static void do_keep(struct fixture *x)
{
    conn_keep(x->conn, x->data, x->size);
}

static void do_send(struct fixture *x)
{
    conn_send(x->conn, x->data, x->size);
    x->result = conn_waiting(x->conn);
}

static void do_finish(struct fixture *x)
{
    conn_finish(x->conn);
    assert_true(conn_closing(x->conn));
    assert_int_equal(x->owner.closed, 0);
}

static void do_pause(struct fixture *x)
{
    conn_pause(x->conn);
}

static void do_resume(struct fixture *x)
{
    conn_resume(x->conn);
}

static void do_abort(struct fixture *x)
{
    if (x->conn)
        conn_abort(x->conn);
}

static void do_deadline(struct fixture *x)
{
    conn_set_deadline(x->conn, x->delay);
}

/* --- set up --- */

static void *run_loop(void *argument)
{
    loop_run(argument);
    return NULL;
}

static void do_create(struct fixture *x)
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    fcntl(fds[0], F_SETFL, O_NONBLOCK);
    setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &(int){32768}, sizeof(int));
    x->peer = fds[1];
    x->conn = conn_create(x->loop, fds[0], INPUT_MAX);
    conn_set_handler(x->conn, &handler, &x->owner, INPUT_MAX);
}

static int set_up(void **state)
{
    struct fixture *x = calloc(1, sizeof *x);
    x->owner.fixture = x->second.fixture = x->third.fixture = x;
    x->loop = loop_create();
    assert_int_equal(pthread_create(&x->thread, NULL, run_loop, x->loop), 0);
    on_loop(x, do_create);
    *state = x;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *x = *state;
    on_loop(x, do_abort);
    loop_stop(x->loop);
    pthread_join(x->thread, NULL);
    loop_settle(x->loop);
    int fault = x->owner.closed + x->second.closed + x->third.closed == 1 ? 0 : -1;
    loop_destroy(x->loop);
    buffer_finish(&x->owner.got);
    buffer_finish(&x->second.got);
    buffer_finish(&x->third.got);
    if (x->peer >= 0)
        close(x->peer);
    free(x);
    return fault;
}

static char *pattern(size_t size)
{
    char *text = malloc(size);
    for (size_t i = 0; i < size; i++)
        text[i] = (char)(i * 2654435761u >> 7);
    return text;
}

static void peer_sends(struct fixture *x, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t n = send(x->peer, data, size, MSG_NOSIGNAL);
        assert_true(n > 0);
        data += n;
        size -= (size_t)n;
    }
}

/* Reads `size` bytes at the peer, or up to the end of file. */
static size_t peer_reads(struct fixture *x, char *out, size_t size)
{
    size_t at = 0;
    struct pollfd p = {.fd = x->peer, .events = POLLIN};
    while (at < size && poll(&p, 1, PATIENCE_MS) == 1) {
        ssize_t n = recv(x->peer, out + at, size - at, 0);
        if (n <= 0)
            break;
        at += (size_t)n;
    }
    return at;
}

static bool peer_sees_the_end(struct fixture *x)
{
    char byte;
    struct pollfd p = {.fd = x->peer, .events = POLLIN};
    return poll(&p, 1, PATIENCE_MS) == 1 && recv(x->peer, &byte, 1, 0) == 0;
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

/* --- writing --- */

enum { MUCH = 4 << 20 };

static void a_full_socket_takes_a_part_and_tells_when_it_takes_more(void **state)
{
    struct fixture *x = *state;
    char *data = pattern(MUCH), *out = malloc(MUCH);
    x->data = data;
    x->size = MUCH;
    on_loop(x, do_write);
    size_t taken = x->result;
    assert_in_range(taken, 1, MUCH - 1);
    assert_false(x->flag);
    on_loop(x, do_write);
    assert_int_equal(x->result, 0);
    on_loop(x, ask_writable);
    assert_false(x->flag);
    assert_int_equal(peer_reads(x, out, taken), taken);
    assert_memory_equal(out, data, taken);
    assert_true(comes_true(x, ask_writable));
    assert_int_equal(x->owner.writable, 1);
    x->size = 100;
    on_loop(x, do_write);
    assert_int_equal(x->result, 100);
    assert_int_equal(peer_reads(x, out, 100), 100);
    assert_memory_equal(out, data, 100);
    free(data);
    free(out);
}

static void a_socket_that_took_all_does_not_call_back(void **state)
{
    struct fixture *x = *state;
    char out[10];
    x->data = "0123456789";
    x->size = 10;
    on_loop(x, do_write);
    assert_int_equal(x->result, 10);
    assert_true(x->flag);
    on_loop(x, do_send);
    assert_int_equal(x->result, 0);
    assert_int_equal(peer_reads(x, out, 10), 10);
    assert_int_equal(peer_reads(x, out, 10), 10);
    for (int i = 0; i < 20; i++)
        on_loop(x, ask_writable);
    assert_false(x->flag);
}

static void the_rest_of_a_cut_frame_goes_out_before_anything_else(void **state)
{
    struct fixture *x = *state;
    char *data = pattern(MUCH), *out = malloc(MUCH);
    x->data = data;
    x->size = MUCH;
    on_loop(x, do_write);
    size_t taken = x->result;
    x->data = data + taken;
    x->size = 70000;
    on_loop(x, do_keep);
    x->data = "pong";
    x->size = 4;
    on_loop(x, do_send);
    assert_int_equal(x->result, 70004);
    on_loop(x, do_write);
    assert_int_equal(x->result, 0);
    assert_int_equal(peer_reads(x, out, taken + 70004), taken + 70004);
    assert_memory_equal(out, data, taken + 70000);
    assert_memory_equal(out + taken + 70000, "pong", 4);
    assert_true(comes_true(x, ask_writable));
    assert_int_equal(x->owner.writable, 1);
    free(data);
    free(out);
}

static void replies_are_bounded_because_reading_stops(void **state)
{
    struct fixture *x = *state;
    enum { COMMANDS = 300000, REPLY = 40, READ = 65536 };
    static const char reply[REPLY + 1] = "0123456789012345678901234567890123456789";
    x->owner.reply = (struct slice){reply, REPLY};
    int flags = fcntl(x->peer, F_GETFL);
    fcntl(x->peer, F_SETFL, flags | O_NONBLOCK);
    char *commands = pattern(COMMANDS), *out = malloc((size_t)COMMANDS * REPLY);
    size_t sent = 0, read_back = 0;
    for (int idle = 0; idle < 50; usleep(1000)) { /* a peer that only writes, until nothing goes any more */
        ssize_t n = send(x->peer, commands + sent, COMMANDS - sent, MSG_NOSIGNAL);
        idle = n > 0 ? 0 : idle + 1;
        sent += n > 0 ? (size_t)n : 0;
        if (sent == COMMANDS)
            break;
    }
    on_loop(x, ask_got);
    size_t answered = x->owner.got.size;
    assert_true(answered < COMMANDS); /* it was not read to the end ... */
    assert_true(x->owner.largest_waiting > 65536);
    assert_true(
        x->owner.largest_waiting <= 65536 + (size_t)READ * REPLY); /* ... one read at most beyond the limit */
    for (uint64_t until = now_ms() + PATIENCE_MS; now_ms() < until && read_back < (size_t)COMMANDS * REPLY;) {
        ssize_t n = sent < COMMANDS ? send(x->peer, commands + sent, COMMANDS - sent, MSG_NOSIGNAL) : 0;
        sent += n > 0 ? (size_t)n : 0;
        n = recv(x->peer, out + read_back, (size_t)COMMANDS * REPLY - read_back, 0);
        read_back += n > 0 ? (size_t)n : 0;
    }
    assert_int_equal(read_back, (size_t)COMMANDS * REPLY);
    for (size_t i = 0; i < COMMANDS; i++)
        assert_memory_equal(out + i * REPLY, reply, REPLY);
    on_loop(x, ask_got);
    assert_memory_equal(x->owner.got.data, commands, COMMANDS);
    free(commands);
    free(out);
}

static void writing_to_a_peer_that_is_gone_closes(void **state)
{
    struct fixture *x = *state;
    on_loop(x, do_pause); /* the end is not read, so that writing finds it */
    close(x->peer);
    x->peer = -1;
    x->data = "0123456789";
    x->size = 10;
    on_loop(x, do_write);
    assert_int_equal(x->result, 0);
    assert_false(x->flag);
    assert_true(comes_true(x, ask_closed));
}

/* --- a stream of frames and replies to a peer that reads as it likes --- */

enum { FRAMES = 6000, FRAME_HEAD = 8, FRAME_MAX = 3000 };

struct stream {
    struct fixture *fixture;
    unsigned next, replies; /* the next frame; replies sent */
    uint32_t seed;
    bool told;
};

static struct stream stream;

static uint32_t next_random(uint32_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    *seed ^= *seed << 5;
    return *seed;
}

/* "F", size, number; then bytes that follow from the number. */
static size_t write_frame(char *out, char kind, uint32_t number)
{
    uint32_t seed = number + 77;
    uint16_t size =
        (uint16_t)(FRAME_HEAD + (kind == 'F' ? next_random(&seed) % (FRAME_MAX - FRAME_HEAD) : 4));
    memset(out, 0, FRAME_HEAD);
    out[0] = kind;
    memcpy(out + 2, &size, 2);
    memcpy(out + 4, &number, 4);
    for (size_t i = FRAME_HEAD; i < size; i++)
        out[i] = (char)(number * 31 + i);
    return size;
}

/* Does what a fan-out does: writes frames until the socket is full, keeps the rest of the one that was cut.
 */
static void push_frames(struct fixture *x)
{
    static char frames[8][FRAME_MAX];
    while (stream.next < FRAMES && x->conn) {
        struct iovec parts[8];
        int count = 1 + (int)(next_random(&stream.seed) % 8);
        if (count > (int)(FRAMES - stream.next))
            count = (int)(FRAMES - stream.next);
        for (int i = 0; i < count; i++)
            parts[i] = (struct iovec){frames[i], write_frame(frames[i], 'F', stream.next + (uint32_t)i)};
        size_t taken = conn_write(x->conn, parts, count);
        int whole = 0;
        for (; whole < count && taken >= parts[whole].iov_len; whole++)
            taken -= parts[whole].iov_len;
        stream.next += (unsigned)whole;
        if (whole < count && taken > 0) {
            conn_keep(x->conn, frames[whole] + taken, parts[whole].iov_len - taken);
            stream.next++;
        }
        if (next_random(&stream.seed) % 4 == 0) {
            char reply[FRAME_HEAD + 4];
            conn_send(x->conn, reply, write_frame(reply, 'R', stream.replies++));
        }
        if (whole < count)
            return;
    }
}

static void push_more(void *owner, struct conn *c)
{
    struct owner *o = owner;
    (void)c;
    o->writable++;
    push_frames(o->fixture);
}

static const struct conn_handler pusher = {on_data, push_more, on_deadline, on_closed};

static void start_stream(struct fixture *x)
{
    conn_set_handler(x->conn, &pusher, &x->owner, INPUT_MAX);
    push_frames(x);
}

static void frames_and_replies_arrive_whole_and_in_order_at_a_slow_reader(void **state)
{
    struct fixture *x = *state;
    stream = (struct stream){.fixture = x, .seed = 8};
    uint32_t seed = 3, frames = 0, replies = 0;
    struct buffer in = {0};
    char expected[FRAME_MAX];
    on_loop(x, start_stream);
    struct pollfd p = {.fd = x->peer, .events = POLLIN};
    while (frames < FRAMES && poll(&p, 1, PATIENCE_MS) == 1) {
        size_t piece = next_random(&seed) % 20000 + 1;
        if (piece % 32 == 0)
            usleep(2000); /* slow, so that the socket fills again and again */
        ssize_t n = recv(x->peer, buffer_reserve(&in, piece), piece, 0);
        assert_true(n > 0);
        in.size += (size_t)n;
        size_t at = 0;
        for (uint16_t size; in.size - at >= FRAME_HEAD; at += size) {
            memcpy(&size, in.data + at + 2, 2);
            if (in.size - at < size)
                break;
            uint32_t number = in.data[at] == 'F' ? frames++ : replies++;
            assert_int_equal(write_frame(expected, in.data[at] == 'F' ? 'F' : 'R', number), size);
            assert_memory_equal(in.data + at, expected, size);
        }
        buffer_drop(&in, at);
    }
    assert_int_equal(frames, FRAMES);
    assert_true(replies > 10);
    assert_true(x->owner.writable > 3);
    buffer_finish(&in);
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

static void do_create_tcp(struct fixture *x)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    x->peer = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(x->peer, (struct sockaddr *)&address, size), 0);
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    close(listener);
    x->conn = conn_create(x->loop, fd, INPUT_MAX);
    conn_set_handler(x->conn, &handler, &x->owner, INPUT_MAX);
}

static void ask_acked(struct fixture *x)
{
    x->flag = conn_acked(x->conn) >= x->result + 100;
}

static int set_up_tcp(void **state)
{
    set_up(state);
    struct fixture *x = *state;
    on_loop(x, do_abort);
    comes_true(x, ask_closed);
    close(x->peer);
    x->owner.closed = 0;
    on_loop(x, do_create_tcp);
    return 0;
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

#define stage(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
#define stage_tcp(f) cmocka_unit_test_setup_teardown(f, set_up_tcp, tear_down)

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
        stage(a_full_socket_takes_a_part_and_tells_when_it_takes_more),
        stage(a_socket_that_took_all_does_not_call_back),
        stage(the_rest_of_a_cut_frame_goes_out_before_anything_else),
        stage(replies_are_bounded_because_reading_stops),
        stage(writing_to_a_peer_that_is_gone_closes),
        stage(frames_and_replies_arrive_whole_and_in_order_at_a_slow_reader),
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
