/* Neutral load client: many WebSocket subscribers of any ws:// server, one thread, raw epoll.
   It knows nothing of the server's messages but the publisher's marker (tally.h). A round succeeds only when
   every subscriber got exactly the expected number of markers, in order. No JSON is parsed; frames are walked
   by their headers, so a marker counts once its frame is whole, and several events joined in one message
   count each.

   bench_load --url ws://127.0.0.1:PORT/PATH [--subscribers N] [--header 'Name: value'] [--send TEXT]
   [--greetings N]
              [--sample N] [--sources N] [--in-flight N] [--receive-buffer BYTES] [--discard 1]
   --discard 1: only the sampled subscribers' bytes are looked at; those of the others are taken from the
   kernel uncopied (MSG_TRUNC) and counted, and each must have got exactly as many as a sampled one. For
   servers that give all subscribers the same bytes in a round; it keeps the client from being the limit.
   Commands on stdin, one per line; answers on stdout, one JSON object per line, after {"event":"open"}:
     round ID EXPECTED TIMEOUT_MS      -> armed, complete (at the last delivery), round (the result)
     hold SECONDS                      -> hold (pings answered, connections lost)
     drop                              -> dropped (all connections are reset)
     again                             -> open (all connect again, after a drop)
     storm ID EXPECTED TIMEOUT_MS PATH -> as round; all connect again first, to this path. Without --discard.
   It ends at the end of stdin, with status 1 when anything failed. */
#include "frames.h"
#include "tally.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <unistd.h>

/* RFC 6455's own example: with a fixed key the right answer is known without SHA-1 in the client. */
#define KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
#define READ_BYTES (256u * 1024)
#define SLACK_BYTES 128                   /* pings; an event is larger */
#define DISCARD_BYTES (16u * 1024 * 1024) /* nothing is written there */
#define EVENTS 512
#define SETTLE_NS (NS_PER_SECOND / 20) /* after the last expected delivery: does anybody get more? */

enum state { CLOSED, CONNECTING, UPGRADING, GREETING, OPEN };
enum phase { OPENING, WAITING, ROUND, SETTLING, HOLDING };

struct subscriber {
    int fd;
    enum state state;
    bool sampled;
    uint64_t greetings; /* messages without a marker */
    struct tally_counter counter;
    uint64_t bytes; /* of this round */
    uint8_t *carry; /* the part of a frame that has arrived */
    size_t carried;
};

struct options {
    const char *url, *header, *send;
    uint64_t subscribers, greetings, sample, sources, in_flight, receive_buffer, discard;
};

struct load {
    struct options options;
    struct sockaddr_in server;
    char request[4096];
    size_t request_length;
    int epoll;
    struct subscriber *subscribers;
    struct subscriber *current; /* whose frames are walked */
    uint64_t started, opening, open, lost, failed;
    uint8_t *buffer;

    enum phase phase;
    struct tally tally;
    uint64_t since, until, last, cpu_since; /* ns; `last`: the latest read */
    uint64_t bytes, pings;

    char input[1024];
    size_t input_length;
    bool input_ended;
};

/* -- connections
 * ------------------------------------------------------------------------------------------------- */

static void lose(struct load *l, struct subscriber *s, const char *why)
{
    if (l->failed++ < 5) {
        fprintf(stderr, "bench_load: subscriber %td: %s\n", s - l->subscribers, why);
    }
    if (s->state == OPEN) {
        l->open--;
    } else {
        l->opening--;
    }
    close(s->fd);
    free(s->carry);
    s->carry = NULL;
    s->state = CLOSED;
    l->lost++;
}

static void watch(const struct load *l, struct subscriber *s, uint32_t events, int operation)
{
    struct epoll_event e = {.events = events, .data.ptr = s};
    if (epoll_ctl(l->epoll, operation, s->fd, &e) != 0) {
        measure_die("epoll_ctl: %s", strerror(errno));
    }
}

/* Left to itself the kernel gives each of us up to 32 MB, and on loopback client and server share one TCP
   memory: under pressure the kernel prunes and retransmits, which no server has to bear whose clients are
   elsewhere. */
static void bound_receive_buffer(const struct load *l, const struct subscriber *s)
{
    int bytes = (int)l->options.receive_buffer;
    if (bytes > 0) {
        setsockopt(s->fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    }
}

/* Several source addresses, since one has only some 28,000 ports; the port is chosen at connect(). */
static void bind_source(const struct load *l, const struct subscriber *s)
{
    int on = 1;
    uint32_t index = (uint32_t)((uint64_t)(s - l->subscribers) % l->options.sources);
    struct sockaddr_in source = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl((uint32_t)INADDR_LOOPBACK + 1 + index)};
    setsockopt(s->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    if (bind(s->fd, (struct sockaddr *)&source, sizeof source) != 0) {
        measure_die("bind: %s", strerror(errno));
    }
}

static void start_connection(struct load *l, struct subscriber *s)
{
    int on = 1;
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s->fd < 0) {
        measure_die("socket: %s", strerror(errno));
    }
    if (ntohl(l->server.sin_addr.s_addr) >> 24 == 127) {
        bind_source(l, s);
    }
    setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    bound_receive_buffer(l, s);
    s->sampled = l->started % l->options.sample == 0;
    s->state = CONNECTING;
    l->started++;
    l->opening++;
    watch(l, s, EPOLLOUT, EPOLL_CTL_ADD);
    if (connect(s->fd, (struct sockaddr *)&l->server, sizeof l->server) != 0 && errno != EINPROGRESS) {
        lose(l, s, strerror(errno));
    }
}

static void on_connected(struct load *l, struct subscriber *s)
{
    ssize_t n = send(s->fd, l->request, l->request_length, MSG_NOSIGNAL);
    if (n != (ssize_t)l->request_length) {
        lose(l, s, n < 0 ? strerror(errno) : "short write of the request");
        return;
    }
    s->state = UPGRADING;
    watch(l, s, EPOLLIN, EPOLL_CTL_MOD);
}

/* -- frames
 * ------------------------------------------------------------------------------------------------------ */

static bool on_frame(void *context, uint8_t first, const uint8_t *payload, size_t length)
{
    struct load *l = context;
    struct subscriber *s = l->current;
    switch (first) {
    case FRAME_TEXT:
    case FRAME_BINARY:
        if (!tally_message(&l->tally, &s->counter, s->sampled, payload, length, l->last)) {
            s->greetings++;
        }
        return true;
    case FRAME_PING:
        l->pings++;
        return frame_send(s->fd, FRAME_PONG, payload, length);
    case FRAME_PONG:
        return true;
    default: /* a close, a fragment, a reserved bit: none of them belongs into a measurement */
        return false;
    }
}

/* Keeps the beginning of a frame whose rest has not arrived. */
static void keep(struct subscriber *s, const uint8_t *rest, size_t length)
{
    if (length == 0) {
        free(s->carry);
        s->carry = NULL;
    } else {
        s->carry = measure_allocate(s->carry, length);
        memcpy(s->carry, rest, length);
    }
    s->carried = length;
}

static void take_bytes(struct load *l, struct subscriber *s, const uint8_t *bytes, size_t n)
{
    l->current = s;
    size_t used = frames_walk(bytes, n, on_frame, l);
    if (used == FRAME_BROKEN) {
        lose(l, s, "unexpected frame (close, fragment or garbage)");
        return;
    }
    keep(s, bytes + used, n - used);
    if (s->state == GREETING && s->greetings >= l->options.greetings) {
        s->state = OPEN;
        l->opening--;
        l->open++;
    }
}

static void on_response(struct load *l, struct subscriber *s, size_t n)
{
    char *text = (char *)l->buffer;
    text[n] = '\0';
    char *end = strstr(text, "\r\n\r\n");
    if (end == NULL) {
        lose(l, s, "answer to the upgrade in pieces");
        return;
    }
    end[2] = '\0'; /* what follows may be frames already */
    if (strncmp(text, "HTTP/1.1 101 ", 13) != 0 || strstr(text, ACCEPT) == NULL) {
        text[strcspn(text, "\r")] = '\0';
        lose(l, s, text);
        return;
    }
    s->state = GREETING;
    const char *message = l->options.send;
    if (message != NULL && !frame_send(s->fd, FRAME_TEXT, message, strlen(message))) {
        lose(l, s, "cannot send the first message");
        return;
    }
    size_t head = (size_t)(end + 4 - text);
    take_bytes(l, s, l->buffer + head, n - head);
}

static bool discards(const struct load *l, const struct subscriber *s)
{
    return l->options.discard && !s->sampled && s->state == OPEN && s->carried == 0 && l->phase != HOLDING;
}

static void on_readable(struct load *l, struct subscriber *s)
{
    size_t carried = s->carried;
    bool discard = discards(l, s);
    if (carried > 0) {
        memcpy(l->buffer, s->carry, carried);
    }
    ssize_t n =
        recv(s->fd, l->buffer + carried, discard ? DISCARD_BYTES : READ_BYTES, discard ? MSG_TRUNC : 0);
    if (n <= 0) {
        if (n == 0 || errno != EAGAIN) {
            lose(l, s, n == 0 ? "closed by the server" : strerror(errno));
        }
        return;
    }
    l->last = measure_now_ns();
    l->bytes += (uint64_t)n;
    s->bytes += (uint64_t)n;
    if (discard) {
        return;
    }
    if (s->state == UPGRADING) {
        on_response(l, s, (size_t)n);
    } else {
        take_bytes(l, s, l->buffer, carried + (size_t)n);
    }
}

/* -- phases
 * ------------------------------------------------------------------------------------------------------ */

static void start_phase(struct load *l, enum phase phase, uint64_t ns)
{
    l->phase = phase;
    l->since = l->last = measure_now_ns();
    l->until = l->since + ns;
    l->cpu_since = measure_own_cpu_ns();
    l->bytes = l->pings = 0;
}

static void start_round(struct load *l, uint64_t id, uint64_t expected, uint64_t timeout_ms)
{
    tally_start(&l->tally, id, expected);
    for (uint64_t i = 0; i < l->options.subscribers; i++) {
        l->subscribers[i].counter = (struct tally_counter){0};
        l->subscribers[i].bytes = 0;
    }
    start_phase(l, ROUND, timeout_ms * 1000000u);
    printf("{\"event\":\"armed\",\"round\":%lu}\n", id);
}

static void drop_all(struct load *l)
{
    struct linger at_once = {.l_onoff = 1};
    for (uint64_t i = 0; i < l->options.subscribers; i++) {
        struct subscriber *s = &l->subscribers[i];
        if (s->state != CLOSED) {
            setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
            close(s->fd);
            free(s->carry);
        }
        *s = (struct subscriber){.fd = -1};
    }
    l->open = l->opening = 0;
    printf("{\"event\":\"dropped\"}\n");
}

static void print_latency(const char *name, const struct latency *h, const char *end)
{
    printf("\"%s\":{\"samples\":%lu,\"p50\":%lu,\"p99\":%lu,\"max\":%lu}%s", name, h->count,
        latency_percentile(h, 50), latency_percentile(h, 99), h->max, end);
}

/* Did anybody get an event more or less than the others? */
static bool same_bytes(const struct load *l)
{
    for (uint64_t i = 0; i < l->options.subscribers && l->options.discard; i++) {
        int64_t surplus = (int64_t)(l->subscribers[i].bytes - l->subscribers[0].bytes);
        if (surplus < -SLACK_BYTES || surplus > SLACK_BYTES) {
            return false;
        }
    }
    return true;
}

static void finish_round(struct load *l)
{
    struct tally *t = &l->tally;
    uint64_t least = UINT64_MAX;
    uint64_t most = 0;
    for (uint64_t i = 0; i < l->options.subscribers; i++) {
        uint64_t count = l->subscribers[i].counter.count;
        least = count < least ? count : least;
        most = count > most ? count : most;
    }
    bool exact =
        least == t->expected && most == t->expected && t->disorder == 0 && l->lost == 0 && same_bytes(l);
    l->failed += exact ? 0 : 1;
    tally_finish(t);
    printf("{\"event\":\"round\",\"round\":%lu,\"ok\":%s,\"expected\":%lu,\"least\":%lu,\"most\":%lu,"
           "\"disorder\":%lu,"
           "\"lost\":%lu,\"deliveries\":%lu,\"bytes\":%lu,\"seconds\":%.6f,\"cpu\":%.6f,",
        t->round, exact ? "true" : "false", t->expected, least, most, t->disorder, l->lost, t->deliveries,
        l->bytes, (double)(l->last - l->since) / 1e9, (double)(measure_own_cpu_ns() - l->cpu_since) / 1e9);
    print_latency("latency", &t->latency, ",");
    print_latency("completion", &t->completion, "}\n");
}

static void prepare_request(struct load *l, const char *path)
{
    const char *header = l->options.header != NULL ? l->options.header : "User-Agent: bench_load";
    int n = snprintf(l->request, sizeof l->request,
        "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: " KEY "\r\nSec-WebSocket-Version: 13\r\n%s\r\n\r\n",
        path, ntohs(l->server.sin_port), header);
    if (n < 0 || (size_t)n >= sizeof l->request) {
        measure_die("the request is too long");
    }
    l->request_length = (size_t)n;
}

static void print_hold(const struct load *l)
{
    printf("{\"event\":\"hold\",\"ok\":%s,\"open\":%lu,\"lost\":%lu,\"pings\":%lu,\"seconds\":%.3f,\"cpu\":%."
           "6f}\n",
        l->lost == 0 ? "true" : "false", l->open, l->lost, l->pings,
        (double)(measure_now_ns() - l->since) / 1e9, (double)(measure_own_cpu_ns() - l->cpu_since) / 1e9);
}

static void run_command(struct load *l, const char *line)
{
    unsigned long id;
    unsigned long expected;
    unsigned long limit;
    char path[sizeof l->input];
    if (sscanf(line, "storm %lu %lu %lu %1023s", &id, &expected, &limit, path) == 4 && expected > 0) {
        prepare_request(l, path);
        start_round(l, id, expected, limit);
        l->started = 0;
    } else if (strcmp(line, "drop") == 0) {
        drop_all(l);
    } else if (strcmp(line, "again") == 0) {
        start_phase(l, OPENING, 0);
        l->started = 0;
    } else if (sscanf(line, "round %lu %lu %lu", &id, &expected, &limit) == 3 && expected > 0) {
        start_round(l, id, expected, limit);
    } else if (sscanf(line, "hold %lu", &limit) == 1) {
        start_phase(l, HOLDING, limit * NS_PER_SECOND);
    } else if (line[0] != '\0') {
        measure_die("bench_load: unknown command: %s", line);
    }
}

static void run_commands(struct load *l)
{
    char *end;
    while (l->phase == WAITING && (end = memchr(l->input, '\n', l->input_length)) != NULL) {
        char line[sizeof l->input];
        size_t length = (size_t)(end - l->input);
        memcpy(line, l->input, length);
        line[length] = '\0';
        l->input_length -= length + 1;
        memmove(l->input, end + 1, l->input_length);
        run_command(l, line);
    }
}

/* Discarded bytes count as events once they are as many as those of a sampled subscriber that has all. */
static void count_discarded(struct load *l)
{
    struct tally *t = &l->tally;
    const struct subscriber *model = &l->subscribers[0]; /* always sampled */
    if (!l->options.discard || model->counter.count != t->expected) {
        return;
    }
    for (uint64_t i = 0; i < l->options.subscribers; i++) {
        struct subscriber *s = &l->subscribers[i];
        if (!s->sampled && s->counter.count == 0 && s->bytes + SLACK_BYTES >= model->bytes) {
            s->counter.count = t->expected;
            t->deliveries += t->expected;
            t->done++;
        }
    }
}

/* Looks whether the phase is over; after every turn. */
static void advance(struct load *l)
{
    uint64_t now = measure_now_ns();
    if (l->phase == ROUND) {
        count_discarded(l);
    }
    if (l->phase == OPENING && l->open + l->lost == l->options.subscribers) {
        printf("{\"event\":\"open\",\"open\":%lu,\"lost\":%lu,\"seconds\":%.3f}\n", l->open, l->lost,
            (double)(now - l->since) / 1e9);
        l->phase = WAITING;
    } else if (l->phase == ROUND &&
               (l->tally.done == l->options.subscribers || now >= l->until || l->lost > 0)) {
        printf("{\"event\":\"complete\",\"round\":%lu}\n", l->tally.round);
        l->until = now + SETTLE_NS;
        l->phase = SETTLING;
    } else if (l->phase == SETTLING && now >= l->until) {
        finish_round(l);
        l->phase = WAITING;
    } else if (l->phase == HOLDING && (now >= l->until || l->lost > 0)) {
        print_hold(l);
        l->phase = WAITING;
    }
    run_commands(l);
    fflush(stdout);
}

static void on_input(struct load *l)
{
    ssize_t n = read(STDIN_FILENO, l->input + l->input_length, sizeof l->input - l->input_length);
    if (n > 0) {
        l->input_length += (size_t)n;
    } else {
        l->input_ended = true;
        epoll_ctl(l->epoll, EPOLL_CTL_DEL, STDIN_FILENO, NULL);
    }
}

static void on_event(struct load *l, struct subscriber *s)
{
    if (s == NULL) {
        on_input(l);
    } else if (s->state == CONNECTING) {
        on_connected(l, s);
    } else if (s->state != CLOSED) {
        on_readable(l, s);
    }
}

static int wait_ms(const struct load *l)
{
    if (l->phase == WAITING || l->phase == OPENING) {
        return -1;
    }
    uint64_t now = measure_now_ns();
    return now >= l->until ? 0 : (int)((l->until - now) / 1000000u) + 1;
}

static void run(struct load *l)
{
    struct epoll_event events[EVENTS];
    while (!(l->input_ended && l->phase == WAITING && memchr(l->input, '\n', l->input_length) == NULL)) {
        while (l->started < l->options.subscribers && l->opening < l->options.in_flight) {
            start_connection(l, &l->subscribers[l->started]);
        }
        int n = epoll_wait(l->epoll, events, EVENTS, wait_ms(l));
        for (int i = 0; i < n; i++) {
            on_event(l, events[i].data.ptr);
        }
        advance(l);
    }
}

/* -- start
 * ------------------------------------------------------------------------------------------------------- */

static void find_server(struct load *l, char path[static 3072])
{
    char host[64];
    unsigned port = 0;
    strcpy(path, "/");
    if (sscanf(l->options.url, "ws://%63[0-9.]:%u%3071s", host, &port, path) < 2) {
        measure_die("--url must look like ws://127.0.0.1:3000/path, not %s", l->options.url);
    }
    l->server = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    if (inet_pton(AF_INET, host, &l->server.sin_addr) != 1) {
        measure_die("not an IPv4 address: %s", host);
    }
}

static struct options parse_options(int argc, char **argv)
{
    struct options o = {.subscribers = 1000,
        .greetings = 1,
        .sample = 8,
        .sources = 8,
        .in_flight = 256,
        .receive_buffer = 256 * 1024};
    uint64_t *const numbers[] = {
        &o.subscribers, &o.greetings, &o.sample, &o.sources, &o.in_flight, &o.receive_buffer, &o.discard};
    const char **const texts[] = {&o.url, &o.header, &o.send};
    static const struct option table[] = {{"subscribers", 1, NULL, 0}, {"greetings", 1, NULL, 1},
        {"sample", 1, NULL, 2}, {"sources", 1, NULL, 3}, {"in-flight", 1, NULL, 4},
        {"receive-buffer", 1, NULL, 5}, {"discard", 1, NULL, 6}, {"url", 1, NULL, 7}, {"header", 1, NULL, 8},
        {"send", 1, NULL, 9}, {NULL, 0, NULL, 0}};
    int c;
    while ((c = getopt_long(argc, argv, "", table, NULL)) != -1) {
        if (c == '?') {
            exit(2);
        }
        if (c < 7) {
            *numbers[c] = measure_number(optarg, c == 1 || c >= 5 ? 0 : 1);
        } else {
            *texts[c - 7] = optarg;
        }
    }
    if (o.url == NULL) {
        measure_die("--url is missing");
    }
    return o;
}

int main(int argc, char **argv)
{
    static struct load l;
    l.options = parse_options(argc, argv);
    measure_need_files(l.options.subscribers);
    char path[3072];
    find_server(&l, path);
    prepare_request(&l, path);
    l.subscribers = measure_allocate(NULL, l.options.subscribers * sizeof *l.subscribers);
    memset(l.subscribers, 0, l.options.subscribers * sizeof *l.subscribers);
    l.buffer = measure_allocate(NULL, FRAME_MAX + READ_BYTES + 64);
    l.epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event input = {.events = EPOLLIN, .data.ptr = NULL};
    if (epoll_ctl(l.epoll, EPOLL_CTL_ADD, STDIN_FILENO, &input) != 0) {
        measure_die("stdin must be a pipe or a terminal");
    }
    start_phase(&l, OPENING, 0);
    run(&l);
    return l.failed == 0 ? 0 : 1;
}
