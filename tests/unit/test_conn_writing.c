/* What a connection writes: what a full socket leaves, frames and replies, to peers that read as they like.
 */
#include "conn_stage.h"

#include "causeway/conn.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* --- calls from the test's thread to the loop's --- */

static void ask_writable(struct fixture *x)
{
    x->flag = x->owner.writable > 0;
}

static void do_keep(struct fixture *x)
{
    conn_keep(x->conn, x->data, x->size);
}

/* --- writing --- */

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        stage(a_full_socket_takes_a_part_and_tells_when_it_takes_more),
        stage(a_socket_that_took_all_does_not_call_back),
        stage(the_rest_of_a_cut_frame_goes_out_before_anything_else),
        stage(replies_are_bounded_because_reading_stops),
        stage(writing_to_a_peer_that_is_gone_closes),
        stage(frames_and_replies_arrive_whole_and_in_order_at_a_slow_reader),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
