#include "causeway/listener.h"

#include "causeway/log.h"
#include "causeway/memory.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PORTS_MAX = 16, ACCEPTS_PER_TURN = 64, OUT_OF_FILES_PAUSE_MS = 100 };

struct listener {
    listener_accepted accepted;
    void *owner;
    int send_buffer;
    struct pollfd fds[PORTS_MAX + 1]; /* the last one tells the thread to stop */
    uint16_t ports[PORTS_MAX];
    nfds_t count;
    pthread_t thread;
};

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static bool make_address(const char *host, uint16_t port, union address *a, socklen_t *size)
{
    memset(a, 0, sizeof *a);
    if (inet_pton(AF_INET, host, &a->v4.sin_addr) == 1) {
        a->v4.sin_family = AF_INET;
        a->v4.sin_port = htons(port);
        *size = sizeof a->v4;
        return true;
    }
    if (inet_pton(AF_INET6, host, &a->v6.sin6_addr) == 1) {
        a->v6.sin6_family = AF_INET6;
        a->v6.sin6_port = htons(port);
        *size = sizeof a->v6;
        return true;
    }
    return false;
}

/* Both families by one socket: IPv4 addresses come as ::ffff:1.2.3.4, whatever the system's default is. */
static int open_socket(union address *a, socklen_t *size)
{
    int fd = socket(a->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1, zero = 0;
    bool v6 = a->any.sa_family == AF_INET6;
    if (fd < 0)
        return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0 &&
        (!v6 || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof zero) == 0) &&
        bind(fd, &a->any, *size) == 0 && listen(fd, SOMAXCONN) == 0 && getsockname(fd, &a->any, size) == 0)
        return fd;
    int why = errno;
    close(fd);
    errno = why;
    return -1;
}

/* A system without IPv6 has all its addresses all the same. */
static int open_any(const char *host, uint16_t port, union address *a, socklen_t *size)
{
    int fd = open_socket(a, size);
    bool lacks_v6 = fd < 0 && (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL);
    if (!lacks_v6 || strcmp(host, "::") != 0)
        return fd;
    make_address("0.0.0.0", port, a, size);
    return open_socket(a, size);
}

static int listen_on(const char *host, uint16_t port, uint16_t *bound, struct buffer *fault)
{
    union address a;
    socklen_t size;
    if (!make_address(host, port, &a, &size)) {
        buffer_print(fault, "HOST: \"%s\" is no IP address", host);
        return -1;
    }
    int fd = open_any(host, port, &a, &size);
    if (fd < 0)
        buffer_print(fault, "PORT: cannot listen on %s port %u: %s", host, port, strerror(errno));
    else
        *bound = ntohs(a.any.sa_family == AF_INET ? a.v4.sin_port : a.v6.sin6_port);
    return fd;
}

static void prepare(const struct listener *l, int fd)
{
    int one = 1, half = l->send_buffer / 2; /* the kernel doubles what it is given */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (half > 0)
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &half, sizeof half);
}

static void accept_some(struct listener *l, int listening)
{
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        int fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            prepare(l, fd);
            l->accepted(l->owner, fd);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            log_warn("listener", "cannot accept: %s; raise the limit of open files", strerror(errno));
            poll(NULL, 0, OUT_OF_FILES_PAUSE_MS); /* the backlog keeps them; spinning would help nobody */
            return;
        }
        if (errno == EAGAIN || errno == EWOULDBLOCK)
            return;
    }
}

static void *run(void *argument)
{
    struct listener *l = argument;
    for (;;) {
        if (poll(l->fds, l->count + 1, -1) < 0 && errno != EINTR)
            log_error("listener", "poll: %s", strerror(errno));
        if (l->fds[l->count].revents)
            return NULL;
        for (nfds_t i = 0; i < l->count; i++)
            if (l->fds[i].revents & POLLIN)
                accept_some(l, l->fds[i].fd);
    }
}

static void close_all(struct listener *l)
{
    for (nfds_t i = 0; i < l->count; i++)
        close(l->fds[i].fd);
}

static bool listen_all(struct listener *l, const struct listener_settings *settings, struct buffer *fault)
{
    const char *at = settings->ports;
    while (*at) {
        char *end;
        unsigned long port = strtoul(at, &end, 10);
        if (end == at || port > 65535 || l->count == PORTS_MAX) {
            buffer_print(fault, "PORT: \"%s\" is no list of at most %d ports", settings->ports, PORTS_MAX);
            return false;
        }
        int fd = listen_on(settings->host, (uint16_t)port, &l->ports[l->count], fault);
        if (fd < 0)
            return false;
        l->fds[l->count++] = (struct pollfd){.fd = fd, .events = POLLIN};
        at = end + strspn(end, ", ");
    }
    return l->count > 0;
}

struct listener *listener_create(
    const struct listener_settings *settings, listener_accepted accepted, void *owner, struct buffer *fault)
{
    struct listener *l = xcalloc(1, sizeof *l);
    l->accepted = accepted;
    l->owner = owner;
    l->send_buffer = settings->send_buffer;
    if (!listen_all(l, settings, fault)) {
        close_all(l);
        free(l);
        return NULL;
    }
    int stop = eventfd(0, EFD_CLOEXEC);
    CHECK(stop >= 0);
    l->fds[l->count] = (struct pollfd){.fd = stop, .events = POLLIN};
    CHECK(pthread_create(&l->thread, NULL, run, l) == 0);
    return l;
}

void listener_destroy(struct listener *l)
{
    if (!l)
        return;
    uint64_t one = 1;
    CHECK(write(l->fds[l->count].fd, &one, sizeof one) == sizeof one);
    pthread_join(l->thread, NULL);
    close_all(l);
    close(l->fds[l->count].fd);
    free(l);
}

void listener_ports(const struct listener *l, struct buffer *out)
{
    for (nfds_t i = 0; i < l->count; i++)
        buffer_print(out, "%s%u", i ? "," : "", l->ports[i]);
}
