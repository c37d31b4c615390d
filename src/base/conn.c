#include "causeway/conn.h"

#include "causeway/buffer.h"
#include "causeway/memory.h"

#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    READ_CHUNK = 65536,      /* on the stack, once per loop thread at a time */
    READS_PER_EVENT = 4,     /* then the others have their turn */
    REPLIES_MAX = 64 * 1024, /* beyond this the peer is not read from */
    LINGER_MS = 2000,
};

struct conn {
    struct loop_source source;
    struct loop *loop;
    const struct conn_handler *handler;
    void *owner;
    void *companion;
    void (*release_companion)(void *companion);
    struct buffer in, out;
    size_t input_max;
    struct loop_timer timer;
    struct loop_task task; /* reads that go on in a later turn; or the end */
    int fd;
    bool full;        /* the last write took less than all: EPOLLOUT will come */
    bool wants_write; /* the owner was told "full" and waits for on_writable */
    bool unread;      /* edge-triggered: bytes may wait in the kernel */
    bool ended;       /* the peer has closed its side: read up to the end of file, no further edge comes */
    bool paused, scheduled, finishing, shut, gone;
};

static void on_ready(struct loop_source *source, uint32_t events);
static void on_timer(struct loop_timer *timer);
static void read_on(struct loop_task *task);

struct conn *conn_create(struct loop *l, int fd, size_t input_max)
{
    struct conn *c = xcalloc(1, sizeof *c);
    c->loop = l;
    c->fd = fd;
    c->input_max = input_max;
    c->source.on_ready = on_ready;
    c->timer.on_due = on_timer;
    loop_add(l, fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, &c->source);
    return c;
}

void conn_set_handler(struct conn *c, const struct conn_handler *handler, void *owner, size_t input_max)
{
    c->handler = handler;
    c->owner = owner;
    c->input_max = input_max;
}

const void *conn_owner(const struct conn *c)
{
    return c->owner;
}

int conn_descriptor(const struct conn *c)
{
    return c->fd;
}

void conn_set_companion(struct conn *c, void *companion, void (*release)(void *companion))
{
    if (c->companion)
        c->release_companion(c->companion);
    c->companion = companion;
    c->release_companion = release;
}

void *conn_companion(const struct conn *c)
{
    return c->companion;
}

static void release(struct loop_task *task)
{
    struct conn *c = (struct conn *)((char *)task - offsetof(struct conn, task));
    if (c->handler)
        c->handler->on_closed(c->owner, c);
    conn_set_companion(c, NULL, NULL);
    buffer_finish(&c->in);
    buffer_finish(&c->out);
    free(c);
}

static void forget(struct conn *c)
{
    c->gone = true;
    loop_timer_clear(c->loop, &c->timer);
    loop_remove(c->loop, c->fd);
    if (!c->scheduled) { /* a scheduled read finds `gone` and releases instead */
        c->task.run = release;
        loop_defer(c->loop, &c->task);
    }
}

void conn_abort(struct conn *c)
{
    if (c->gone)
        return;
    forget(c);
    close(c->fd);
}

int conn_detach(struct conn *c)
{
    CHECK(!c->gone);
    forget(c);
    return c->fd;
}

bool conn_closing(const struct conn *c)
{
    return c->gone || c->finishing;
}

bool conn_ready(const struct conn *c)
{
    return !c->full && c->out.size == 0 && !c->gone;
}

size_t conn_waiting(const struct conn *c)
{
    return c->out.size;
}

uint64_t conn_acked(const struct conn *c)
{
    struct tcp_info info = {0};
    socklen_t size = sizeof info;
    if (c->gone || getsockopt(c->fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0)
        return 0;
    return info.tcpi_bytes_acked;
}

/* How much the kernel took; marks the socket full when that was less than all. */
static size_t push(struct conn *c, const struct iovec *parts, int count)
{
    size_t total = 0;
    for (int i = 0; i < count; i++)
        total += parts[i].iov_len;
    struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)parts, .msg_iovlen = (size_t)count};
    ssize_t n;
    do
        n = sendmsg(c->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK) {
        conn_abort(c);
        return 0;
    }
    size_t taken = n < 0 ? 0 : (size_t)n;
    c->full = taken < total;
    return taken;
}

size_t conn_write(struct conn *c, const struct iovec *parts, int count)
{
    if (c->gone || c->finishing)
        return 0;
    size_t taken = conn_ready(c) ? push(c, parts, count) : 0;
    c->wants_write = !conn_ready(c);
    return taken;
}

void conn_keep(struct conn *c, const char *rest, size_t size)
{
    if (c->gone)
        return;
    buffer_add(&c->out, rest, size);
    c->wants_write = true;
}

void conn_send(struct conn *c, const void *data, size_t size)
{
    if (c->gone || c->finishing || size == 0)
        return;
    size_t taken = 0;
    if (conn_ready(c))
        taken = push(c, &(struct iovec){(void *)(uintptr_t)data, size}, 1);
    if (!c->gone && taken < size)
        buffer_add(&c->out, (const char *)data + taken, size - taken);
}

static void end_writing(struct conn *c)
{
    if (!c->shut) {
        c->shut = true;
        shutdown(c->fd, SHUT_WR);
    }
}

static void flush(struct conn *c)
{
    if (c->out.size > 0) {
        size_t taken = push(c, &(struct iovec){c->out.data, c->out.size}, 1);
        if (c->gone)
            return;
        buffer_drop(&c->out, taken);
        if (c->out.size > 0)
            return;
        buffer_finish(&c->out); /* most connections never need it again */
    }
    if (c->finishing)
        end_writing(c);
    else if (c->wants_write && conn_ready(c)) {
        c->wants_write = false;
        if (c->handler && c->handler->on_writable)
            c->handler->on_writable(c->owner, c);
    }
}

void conn_finish(struct conn *c)
{
    if (c->gone || c->finishing)
        return;
    c->finishing = true;
    c->paused = false;
    loop_timer_set(c->loop, &c->timer, LINGER_MS);
    if (c->out.size == 0)
        end_writing(c);
}

void conn_set_deadline(struct conn *c, uint64_t delay_ms)
{
    if (conn_closing(c))
        return;
    if (delay_ms == 0)
        loop_timer_clear(c->loop, &c->timer);
    else
        loop_timer_set(c->loop, &c->timer, delay_ms);
}

static void on_timer(struct loop_timer *timer)
{
    struct conn *c = (struct conn *)((char *)timer - offsetof(struct conn, timer));
    if (c->finishing)
        conn_abort(c);
    else if (c->handler && c->handler->on_deadline)
        c->handler->on_deadline(c->owner, c);
}

/* Gives the owner what has been kept; true when another handler took over and should see the rest. */
static bool deliver_kept(struct conn *c)
{
    const struct conn_handler *handler = c->handler;
    size_t used = handler->on_data(c->owner, c, c->in.data, c->in.size);
    if (c->gone)
        return false;
    buffer_drop(&c->in, used);
    if (c->in.size == 0)
        buffer_finish(&c->in);
    return c->in.size > 0 && c->handler != handler && !c->paused;
}

/* Gives the owner what there is; keeps what it did not use. */
static void deliver(struct conn *c, char *data, size_t size)
{
    bool more;
    if (c->in.size == 0) { /* the usual case: nothing is copied */
        const struct conn_handler *handler = c->handler;
        size_t used = handler->on_data(c->owner, c, data, size);
        if (c->gone || used == size)
            return;
        buffer_add(&c->in, data + used, size - used);
        more = c->handler != handler && !c->paused;
    } else {
        buffer_add(&c->in, data, size);
        more = !c->paused;
    }
    while (more)
        more = deliver_kept(c);
    if (c->in.size > c->input_max)
        conn_abort(c);
}

static bool may_read(const struct conn *c)
{
    /* While finishing, all that is looked for is the end: of a peer that closed its side first, not before it
     * has got the rest. */
    size_t waiting_max = c->finishing ? 0 : REPLIES_MAX;
    return c->unread && !c->paused && !c->gone && c->out.size <= waiting_max;
}

static void read_later(struct conn *c)
{
    if (c->scheduled || c->gone)
        return;
    c->scheduled = true;
    c->task.run = read_on;
    loop_post(c->loop, &c->task);
}

static void read_some(struct conn *c)
{
    char chunk[READ_CHUNK];
    for (int i = 0; may_read(c); i++) {
        if (i == READS_PER_EVENT) {
            read_later(c);
            return;
        }
        ssize_t n = recv(c->fd, chunk, sizeof chunk, MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            c->unread = false;
            return;
        }
        if (n <= 0) {
            conn_abort(c);
            return;
        }
        if ((size_t)n < sizeof chunk && !c->ended)
            c->unread = false; /* drained; the next edge tells of more */
        if (!c->finishing && c->handler)
            deliver(c, chunk, (size_t)n);
    }
}

static void read_on(struct loop_task *task)
{
    struct conn *c = (struct conn *)((char *)task - offsetof(struct conn, task));
    c->scheduled = false;
    if (c->gone) {
        release(task);
        return;
    }
    bool more = !c->paused && c->in.size > 0 && !c->finishing && c->handler;
    while (more)
        more = deliver_kept(c);
    read_some(c);
}

void conn_pause(struct conn *c)
{
    c->paused = true;
}

void conn_resume(struct conn *c)
{
    if (!c->paused)
        return;
    c->paused = false;
    read_later(c);
}

void conn_take_input(struct conn *c, struct slice bytes)
{
    buffer_add_slice(&c->in, bytes);
    read_later(c);
}

void conn_deliver_again(struct conn *c)
{
    read_later(c);
}

static void on_ready(struct loop_source *source, uint32_t events)
{
    struct conn *c = (struct conn *)((char *)source - offsetof(struct conn, source));
    if (c->gone)
        return;
    if (events & EPOLLERR) {
        conn_abort(c);
        return;
    }
    if ((events & EPOLLOUT) && (c->full || c->out.size > 0)) {
        c->full = false;
        flush(c);
    }
    if (events & (EPOLLRDHUP | EPOLLHUP))
        c->ended = true;
    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP))
        c->unread = true;
    read_some(c);
}
