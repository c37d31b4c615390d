#include "conn_stage.h"

#include "causeway/conn.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

uint64_t now_ms(void)
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

size_t on_data(void *owner, struct conn *c, char *data, size_t size)
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

void on_deadline(void *owner, struct conn *c)
{
    struct owner *o = owner;
    o->deadlines++;
    if (o->aborts)
        conn_abort(c);
}

void on_closed(void *owner, struct conn *c)
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

void on_loop(struct fixture *x, void (*run)(struct fixture *x))
{
    struct call call = {.task.run = run_call, .fixture = x, .run = run};
    sem_init(&call.done, 0, 0);
    loop_post(x->loop, &call.task);
    while (sem_wait(&call.done) != 0) {
    }
    sem_destroy(&call.done);
}

bool comes_true(struct fixture *x, void (*ask)(struct fixture *x))
{
    for (uint64_t until = now_ms() + PATIENCE_MS; now_ms() < until; usleep(500)) {
        on_loop(x, ask);
        if (x->flag)
            return true;
    }
    return false;
}

void ask_closed(struct fixture *x)
{
    x->flag = x->owner.closed + x->second.closed + x->third.closed > 0;
}

void ask_got(struct fixture *x)
{
    x->flag = x->owner.got.size >= x->size;
}

bool gets(struct fixture *x, size_t size)
{
    x->size = size;
    return comes_true(x, ask_got);
}

void do_write(struct fixture *x)
{
    struct iovec parts[3];
    size_t third = x->size / 3;
    for (size_t i = 0; i < 3; i++)
        parts[i] =
            (struct iovec){(void *)(uintptr_t)(x->data + i * third), i < 2 ? third : x->size - 2 * third};
    x->result = conn_write(x->conn, parts, 3);
    x->flag = conn_ready(x->conn);
}

void do_send(struct fixture *x)
{
    conn_send(x->conn, x->data, x->size);
    x->result = conn_waiting(x->conn);
}

void do_pause(struct fixture *x)
{
    conn_pause(x->conn);
}

void do_abort(struct fixture *x)
{
    if (x->conn)
        conn_abort(x->conn);
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

int set_up(void **state)
{
    struct fixture *x = calloc(1, sizeof *x);
    x->owner.fixture = x->second.fixture = x->third.fixture = x;
    x->loop = loop_create();
    assert_int_equal(pthread_create(&x->thread, NULL, run_loop, x->loop), 0);
    on_loop(x, do_create);
    *state = x;
    return 0;
}

int tear_down(void **state)
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

char *pattern(size_t size)
{
    char *text = malloc(size);
    for (size_t i = 0; i < size; i++)
        text[i] = (char)(i * 2654435761u >> 7);
    return text;
}

void peer_sends(struct fixture *x, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t n = send(x->peer, data, size, MSG_NOSIGNAL);
        assert_true(n > 0);
        data += n;
        size -= (size_t)n;
    }
}

size_t peer_reads(struct fixture *x, char *out, size_t size)
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

int set_up_tcp(void **state)
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
