/* The yardstick: what the kernel alone costs. An epoll loop that answers the WebSocket handshake, takes
   payloads from a feed (TCP, one JSON value per line), wraps each once into a frame as Causeway would, and
   writes the same frames to every socket: one send per event and socket (--join 1), or K events joined per
   send (--join 16). No users, rooms, positions or pings. A socket that is full keeps its place and goes on
   when it is writable.

   bench_bare --join K [--send-buffer BYTES] [--replay 1] [--brokers LIST --topic T] [--ping SECONDS]
   --replay 1: all frames are kept, and whoever connects gets them from the first one on.
   --brokers, --topic: it is its own feed, from partition 0 of this Kafka topic on (tap.h).
   --ping: every socket gets a ping so often, a share of them each second.
   Prints {"port":P,"feed":F} (loopback) once it listens; ends at the end of stdin. */
#include "measure.h"
#include "tap.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* The load client sends RFC 6455's example key; the handshake is not what is measured. */
#define ANSWER                                                                                               \
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"                      \
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
#define GREETING "{\"type\":\"connected\",\"data\":{\"userId\":1,\"role\":\"bench\"}}"
#define ENVELOPE                                                                                             \
    "{\"type\":\"bench-tick\",\"id\":\"bench.v1:0:%lu:9f2c61ab\",\"time\":\"2024-01-15T10:30:00.000Z\","     \
    "\"cursor\":\"AUiZqTOqbwIXGQALAwEGAWM\",\"data\":%.*s}"
#define PAYLOAD_MAX 32768
#define FEED_BYTES (256u * 1024)
#define SOCKETS_MAX 20000
#define EVENTS 512

enum kind { INPUT, LISTENER, FEED_LISTENER, FEED, SUBSCRIBER, CLOCK };

struct endpoint { /* what an epoll event points to */
    enum kind kind;
    int fd;
    bool upgraded, full;
    size_t next;   /* the frame after those that this socket was handed */
    size_t at, to; /* bytes of the log of a send that the socket took in part */
};

struct bare {
    int epoll;
    size_t join;
    int send_buffer;
    bool replay;
    struct endpoint *subscribers[SOCKETS_MAX];
    size_t count, behind;
    size_t ping_seconds, pinged; /* 0: no pings */

    /* All frames since every socket was last done, in one piece; ends[i] is where frame i ends. */
    uint8_t *log;
    size_t log_length, log_capacity;
    size_t *ends;
    size_t frames, frames_capacity;
    uint64_t numbered;

    char *feed; /* the part of a line that has arrived */
    size_t feed_length;
};

static struct endpoint *endpoint_create(const struct bare *b, enum kind kind, int fd, uint32_t events)
{
    struct endpoint *e = measure_allocate(NULL, sizeof *e);
    *e = (struct endpoint){.kind = kind, .fd = fd};
    struct epoll_event wanted = {.events = events, .data.ptr = e};
    if (epoll_ctl(b->epoll, EPOLL_CTL_ADD, fd, &wanted) != 0) {
        measure_die("epoll_ctl: %s", strerror(errno));
    }
    return e;
}

/* -- writing
 * ----------------------------------------------------------------------------------------------------- */

static void drop(struct bare *b, struct endpoint *e)
{
    for (size_t i = 0; i < b->count; i++) {
        if (b->subscribers[i] == e) {
            b->subscribers[i] = b->subscribers[--b->count];
            break;
        }
    }
    b->behind -= e->full ? 1 : 0;
    close(e->fd);
    free(e);
}

static void set_full(struct bare *b, struct endpoint *e, bool full)
{
    if (full != e->full) {
        e->full = full;
        b->behind = full ? b->behind + 1 : b->behind - 1;
    }
}

/* One send of what is left of the socket's group. False: it is full. */
static bool send_once(struct bare *b, struct endpoint *e)
{
    ssize_t n = send(e->fd, b->log + e->at, e->to - e->at, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n > 0) {
        e->at += (size_t)n;
    }
    bool whole = e->at == e->to;
    set_full(b, e, !whole);
    return whole;
}

static void next_group(const struct bare *b, struct endpoint *e, size_t frames)
{
    e->at = e->next == 0 ? 0 : b->ends[e->next - 1];
    e->next += frames;
    e->to = b->ends[e->next - 1];
}

static size_t group_size(const struct bare *b, size_t from)
{
    size_t left = b->frames - from;
    return left < b->join ? left : b->join;
}

/* A socket is writable again: it goes on by itself until it is full or at the end. */
static void catch_up(struct bare *b, struct endpoint *e)
{
    bool going = !e->full || send_once(b, e);
    while (going && e->next < b->frames) {
        next_group(b, e, group_size(b, e->next));
        going = send_once(b, e);
    }
}

/* Each group of new frames to every socket that is not full. */
static void write_new(struct bare *b, size_t from)
{
    while (from < b->frames) {
        size_t frames = group_size(b, from);
        for (size_t i = 0; i < b->count; i++) {
            struct endpoint *e = b->subscribers[i];
            if (!e->full && e->upgraded && e->next == from) {
                next_group(b, e, frames);
                send_once(b, e);
            }
        }
        from += frames;
    }
    if (b->behind == 0 && !b->replay) {
        b->frames = b->log_length = 0;
        for (size_t i = 0; i < b->count; i++) {
            b->subscribers[i]->next = 0;
        }
    }
}

/* -- reading
 * ----------------------------------------------------------------------------------------------------- */

static void append_frame(struct bare *b, const char *payload, size_t length)
{
    if (b->log_capacity - b->log_length < length + 512) {
        b->log_capacity = b->log_capacity * 2 + length + 65536;
        b->log = measure_allocate(b->log, b->log_capacity);
    }
    if (b->frames == b->frames_capacity) {
        b->frames_capacity = b->frames_capacity * 2 + 1024;
        b->ends = measure_allocate(b->ends, b->frames_capacity * sizeof *b->ends);
    }
    uint8_t *frame = b->log + b->log_length;
    char *text = (char *)frame + 4;
    size_t n = (size_t)snprintf(text, length + 500, ENVELOPE, b->numbered++, (int)length, payload);
    size_t header = n < 126 ? 2 : 4;
    memmove(frame + header, text, n);
    frame[0] = 0x81;
    frame[1] = (uint8_t)(n < 126 ? n : 126);
    if (header == 4) {
        frame[2] = (uint8_t)(n >> 8);
        frame[3] = (uint8_t)n;
    }
    b->log_length += header + n;
    b->ends[b->frames++] = b->log_length;
}

static void on_feed(struct bare *b, struct endpoint *e)
{
    ssize_t n = recv(e->fd, b->feed + b->feed_length, FEED_BYTES - b->feed_length, MSG_DONTWAIT);
    if (n <= 0) {
        close(e->fd);
        free(e);
        return;
    }
    b->feed_length += (size_t)n;
    size_t from = b->frames;
    char *line = b->feed;
    char *all = b->feed + b->feed_length;
    for (char *end; (end = memchr(line, '\n', (size_t)(all - line))) != NULL; line = end + 1) {
        if (end - line > PAYLOAD_MAX) {
            measure_die("bench_bare: payload too large");
        }
        append_frame(b, line, (size_t)(end - line));
    }
    b->feed_length = (size_t)(all - line);
    memmove(b->feed, line, b->feed_length);
    write_new(b, from);
}

static void upgrade(struct bare *b, struct endpoint *e)
{
    uint8_t answer[sizeof ANSWER + sizeof GREETING + 2];
    size_t head = sizeof ANSWER - 1;
    memcpy(answer, ANSWER, head);
    answer[head] = 0x81;
    answer[head + 1] = sizeof GREETING - 1;
    memcpy(answer + head + 2, GREETING, sizeof GREETING - 1);
    size_t total = head + 2 + sizeof GREETING - 1;
    e->upgraded = true;
    e->next = b->replay ? 0 : b->frames;
    if (send(e->fd, answer, total, MSG_NOSIGNAL) != (ssize_t)total) {
        drop(b, e);
        return;
    }
    catch_up(b, e);
}

static void on_subscriber(struct bare *b, struct endpoint *e, uint32_t events)
{
    char bytes[4096];
    ssize_t n = 1;
    while ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0 && n > 0) {
        n = recv(e->fd, bytes, sizeof bytes, MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN)) {
            drop(b, e);
            return;
        }
        if (n > 0 && !e->upgraded) {
            upgrade(b, e);
            return;
        }
    }
    if (e->full) {
        catch_up(b, e);
    }
}

static void on_accept(struct bare *b, struct endpoint *listener)
{
    int on = 1;
    int fd;
    while ((fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        if (listener->kind == FEED_LISTENER) {
            endpoint_create(b, FEED, fd, EPOLLIN);
            continue;
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (b->send_buffer > 0) {
            setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &b->send_buffer, sizeof b->send_buffer);
        }
        if (b->count == SOCKETS_MAX) {
            measure_die("bench_bare: too many connections");
        }
        /* Edge-triggered and registered once, so that no epoll_ctl is on the way. */
        b->subscribers[b->count++] = endpoint_create(b, SUBSCRIBER, fd, EPOLLIN | EPOLLOUT | EPOLLET);
    }
}

static void on_clock(struct bare *b, const struct endpoint *e)
{
    static const uint8_t ping[2] = {0x89, 0};
    uint64_t ticks;
    if (read(e->fd, &ticks, sizeof ticks) != sizeof ticks) {
        return;
    }
    b->pinged = (b->pinged + 1) % b->ping_seconds;
    for (size_t i = b->pinged; i < b->count; i += b->ping_seconds) {
        if (b->subscribers[i]->upgraded) {
            (void)send(b->subscribers[i]->fd, ping, sizeof ping, MSG_NOSIGNAL | MSG_DONTWAIT);
        }
    }
}

static void start_clock(struct bare *b)
{
    struct itimerspec second = {{1, 0}, {1, 0}};
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (fd < 0 || timerfd_settime(fd, 0, &second, NULL) != 0) {
        measure_die("bench_bare: no timer");
    }
    endpoint_create(b, CLOCK, fd, EPOLLIN);
}

/* -- start
 * ------------------------------------------------------------------------------------------------------- */

static int listen_on_loopback(uint16_t *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, length) != 0 || listen(fd, 4096) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &length) != 0) {
        measure_die("bench_bare: cannot listen: %s", strerror(errno));
    }
    *port = ntohs(address.sin_port);
    return fd;
}

static bool on_event(struct bare *b, const struct epoll_event *event)
{
    struct endpoint *e = event->data.ptr;
    char bytes[256];
    switch (e->kind) {
    case INPUT:
        return read(STDIN_FILENO, bytes, sizeof bytes) > 0;
    case LISTENER:
    case FEED_LISTENER:
        on_accept(b, e);
        break;
    case FEED:
        on_feed(b, e);
        break;
    case CLOCK:
        on_clock(b, e);
        break;
    case SUBSCRIBER:
        on_subscriber(b, e, event->events);
        break;
    }
    return true;
}

int main(int argc, char **argv)
{
    static struct bare b = {.join = 1};
    static const struct option table[] = {{"join", 1, NULL, 'j'}, {"send-buffer", 1, NULL, 's'},
        {"replay", 1, NULL, 'r'}, {"brokers", 1, NULL, 'b'}, {"topic", 1, NULL, 't'}, {"ping", 1, NULL, 'p'},
        {NULL, 0, NULL, 0}};
    const char *brokers = NULL;
    const char *topic = NULL;
    int c;
    while ((c = getopt_long(argc, argv, "", table, NULL)) != -1) {
        if (c == 'j') {
            b.join = measure_number(optarg, 1);
        } else if (c == 's') {
            b.send_buffer = (int)measure_number(optarg, 0);
        } else if (c == 'r') {
            b.replay = measure_number(optarg, 0) > 0;
        } else if (c == 'b') {
            brokers = optarg;
        } else if (c == 't') {
            topic = optarg;
        } else if (c == 'p') {
            b.ping_seconds = measure_number(optarg, 1);
        } else {
            return 2;
        }
    }
    measure_need_files(1024);
    uint16_t port;
    uint16_t feed;
    b.epoll = epoll_create1(EPOLL_CLOEXEC);
    b.feed = measure_allocate(NULL, FEED_BYTES);
    endpoint_create(&b, LISTENER, listen_on_loopback(&port), EPOLLIN);
    endpoint_create(&b, FEED_LISTENER, listen_on_loopback(&feed), EPOLLIN);
    endpoint_create(&b, INPUT, STDIN_FILENO, EPOLLIN);
    if (b.ping_seconds > 0) {
        start_clock(&b);
    }
    if (brokers != NULL && topic != NULL) {
        tap_start(brokers, topic, feed);
    }
    printf("{\"port\":%u,\"feed\":%u}\n", port, feed);
    fflush(stdout);
    struct epoll_event events[EVENTS];
    for (bool going = true; going;) {
        int n = epoll_wait(b.epoll, events, EVENTS, -1);
        for (int i = 0; i < n && going; i++) {
            going = on_event(&b, &events[i]);
        }
    }
    return 0;
}
