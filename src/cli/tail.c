/* A client as simple as can be: one blocking socket, one message per line on stdout. */
#include "causeway/cli.h"
#include "causeway/frame.h"
#include "causeway/http.h"
#include "causeway/json.h"
#include "causeway/memory.h"

#include <errno.h>
#include <getopt.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ROOMS_MAX = 64, TAIL_MESSAGE_MAX = 32 * 1024 * 1024 };

static const char usage[] =
    "usage: causeway tail --url ws://HOST:PORT/PATH --token TOKEN [--join ROOM]... [--count N] [--json]\n"
    "Connects as a client and prints every message, one a line: type, id and data, or with --json the "
    "message as it came.\n"
    "  --count N  exit after N events (messages with an id)\n"
    "Exit status: 0 after --count events, 1 when the connection ended or was refused (the reason is on "
    "stderr).\n";

struct options {
    const char *url, *token;
    const char *rooms[ROOMS_MAX];
    size_t room_count;
    long count;
    bool json;
};

struct tail {
    const struct options *options;
    int fd;
    struct buffer in;
    struct frame_decoder decoder;
    struct json scratch;
    long events;
};

static int parse(int argc, char **argv, struct options *out)
{
    static const struct option options[] = {
        {"url", required_argument, NULL, 'u'},
        {"token", required_argument, NULL, 't'},
        {"join", required_argument, NULL, 'j'},
        {"count", required_argument, NULL, 'c'},
        {"json", no_argument, NULL, 'J'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'u':
            out->url = optarg;
            break;
        case 't':
            out->token = optarg;
            break;
        case 'j':
            if (out->room_count < ROOMS_MAX)
                out->rooms[out->room_count++] = optarg;
            break;
        case 'c':
            out->count = strtol(optarg, NULL, 10);
            break;
        case 'J':
            out->json = true;
            break;
        default:
            fputs(usage, option == 'h' ? stdout : stderr);
            return option == 'h' ? 0 : EXIT_USAGE;
        }
    }
    if (out->url && out->token && optind == argc)
        return -1;
    fputs(usage, stderr);
    return EXIT_USAGE;
}

/* ws://host[:port][/path] into its parts (free each). false: something else. */
static bool split_url(const char *url, char **host, char **port, char **path)
{
    static const char scheme[] = "ws://";
    if (strncmp(url, scheme, sizeof scheme - 1) != 0)
        return false;
    const char *at = url + sizeof scheme - 1;
    size_t authority = strcspn(at, "/?"), name = strcspn(at, ":/?");
    *host = xstrndup(at, name);
    *port = name < authority ? xstrndup(at + name + 1, authority - name - 1) : xstrdup("80");
    *path = xstrdup(at[authority] == '/' ? at + authority : "/");
    return true;
}

static int connect_to(const char *host, const char *port)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    int fault = getaddrinfo(host, port, &hints, &found);
    if (fault != 0) {
        fprintf(stderr, "causeway: %s: %s\n", host, gai_strerror(fault));
        return -1;
    }
    int fd = -1;
    for (struct addrinfo *a = found; a && fd < 0; a = a->ai_next) {
        fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
        if (fd >= 0 && connect(fd, a->ai_addr, a->ai_addrlen) != 0) {
            close(fd);
            fd = -1;
        }
    }
    if (fd < 0)
        fprintf(stderr, "causeway: cannot connect to %s port %s: %s\n", host, port, strerror(errno));
    freeaddrinfo(found);
    return fd;
}

static bool send_all(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t n = send(fd, data, size, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        data += n;
        size -= (size_t)n;
    }
    return true;
}

static bool send_frame(struct tail *t, enum frame_opcode opcode, struct slice payload)
{
    struct buffer out = {0};
    char header[FRAME_HEADER_MAX], mask[4];
    size_t size = frame_header(header, opcode, payload.size);
    header[1] = (char)(header[1] | 0x80);
    if (getrandom(mask, sizeof mask, 0) != sizeof mask)
        memset(mask, 0, sizeof mask);
    buffer_add(&out, header, size);
    buffer_add(&out, mask, sizeof mask);
    for (size_t i = 0; i < payload.size; i++)
        buffer_add_byte(&out, (char)(payload.data[i] ^ mask[i & 3]));
    bool fine = send_all(t->fd, out.data, out.size);
    buffer_finish(&out);
    return fine;
}

static bool receive(struct tail *t)
{
    ssize_t n = recv(t->fd, buffer_reserve(&t->in, 65536), 65536, 0);
    if (n <= 0)
        return false;
    t->in.size += (size_t)n;
    return true;
}

static bool shake_hands(struct tail *t, const char *host, const char *path)
{
    struct buffer request = {0};
    /* The key only shows caches that this is no plain request; any 16 bytes in base64 will do. */
    buffer_print(&request,
        "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: Y2F1c2V3YXkgdGFpbCA6KQ==\r\nAuthorization: Bearer "
        "%s\r\n\r\n",
        path, host, t->options->token);
    bool fine = send_all(t->fd, request.data, request.size);
    buffer_finish(&request);
    struct http_head head;
    int size = 0;
    while (fine && (size = http_parse_response(t->in.data, t->in.size, &head)) == 0)
        fine = receive(t);
    if (!fine || size < 0) {
        fputs("causeway: the connection ended before an answer came\n", stderr);
        return false;
    }
    if (head.status != 101)
        fprintf(stderr, "causeway: refused with %d %.*s", head.status, (int)(t->in.size - (size_t)size),
            t->in.data + size);
    bool opened = head.status == 101;
    buffer_drop(&t->in, (size_t)size);
    return opened;
}

static bool join_rooms(struct tail *t)
{
    bool fine = true;
    for (size_t i = 0; fine && i < t->options->room_count; i++) {
        struct buffer text = {0};
        buffer_add_text(&text, "{\"type\":\"join-room\",\"data\":{\"roomId\":");
        buffer_add_json_text(&text, slice_of(t->options->rooms[i]));
        buffer_add_text(&text, "}}");
        fine = send_frame(t, FRAME_TEXT, buffer_slice(&text));
        buffer_finish(&text);
    }
    return fine;
}

static void print_message(struct tail *t, struct slice text)
{
    struct json *j = &t->scratch;
    bool whole = json_scan(j, text.data, text.size);
    uint32_t id = whole ? json_find(j, 0, SLICE("id")) : JSON_NONE;
    t->events += id != JSON_NONE;
    if (t->options->json || !whole) {
        printf("%.*s\n", SLICE_ARGS(text));
    } else {
        uint32_t data = json_find(j, 0, SLICE("data"));
        struct slice type = json_raw(j, json_find(j, 0, SLICE("type")));
        struct slice shown = data == JSON_NONE ? SLICE("") : json_verbatim(j, data);
        struct slice name = id == JSON_NONE ? SLICE("") : json_raw(j, id);
        printf("%.*s %.*s %.*s\n", SLICE_ARGS(type), SLICE_ARGS(name), SLICE_ARGS(shown));
    }
    fflush(stdout);
}

/* false: the conversation is over. */
static bool on_frame(struct tail *t, const struct frame_message *m)
{
    if (m->opcode == FRAME_PING)
        return send_frame(t, FRAME_PONG, m->payload);
    if (m->opcode == FRAME_CLOSE) {
        const unsigned char *p = (const unsigned char *)m->payload.data;
        int code = m->payload.size >= 2 ? p[0] << 8 | p[1] : 1005;
        struct slice reason =
            m->payload.size > 2 ? (struct slice){m->payload.data + 2, m->payload.size - 2} : SLICE("");
        fprintf(stderr, "causeway: closed with %d %.*s\n", code, SLICE_ARGS(reason));
        return false;
    }
    if (m->opcode == FRAME_TEXT)
        print_message(t, m->payload);
    return t->options->count == 0 || t->events < t->options->count;
}

static bool follow(struct tail *t)
{
    for (;;) {
        struct frame_message m;
        size_t used;
        enum frame_result result = frame_decode(&t->decoder, t->in.data, t->in.size, &used, &m);
        bool go_on = result == FRAME_MORE ? true : result != FRAME_VIOLATION && on_frame(t, &m);
        buffer_drop(&t->in, used);
        if (!go_on || (result == FRAME_MORE && !receive(t)))
            return t->options->count > 0 && t->events >= t->options->count;
    }
}

int cli_tail(int argc, char **argv)
{
    struct options options = {0};
    int status = parse(argc, argv, &options);
    if (status >= 0)
        return status;
    char *host, *port, *path;
    if (!split_url(options.url, &host, &port, &path)) {
        fprintf(stderr, "causeway: --url must be ws://host:port/path, not %s\n", options.url);
        return EXIT_USAGE;
    }
    struct tail t = {.options = &options, .decoder.message_max = TAIL_MESSAGE_MAX};
    t.fd = connect_to(host, port);
    bool fine = t.fd >= 0 && shake_hands(&t, host, path) && join_rooms(&t) && follow(&t);
    if (t.fd >= 0)
        close(t.fd);
    frame_decoder_finish(&t.decoder);
    json_finish(&t.scratch);
    buffer_finish(&t.in);
    free(host);
    free(port);
    free(path);
    return fine ? 0 : 1;
}
