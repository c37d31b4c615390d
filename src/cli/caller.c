#include "caller.h"

#include "causeway/http.h"
#include "causeway/memory.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

bool caller_url_parse(const char *text, struct caller_url *out)
{
    static const char scheme[] = "ws://";
    if (strncmp(text, scheme, sizeof scheme - 1) != 0)
        return false;
    const char *at = text + sizeof scheme - 1;
    size_t authority = strcspn(at, "/?"), name = strcspn(at, ":/?");
    out->host = xstrndup(at, name);
    out->port = name < authority ? xstrndup(at + name + 1, authority - name - 1) : xstrdup("80");
    out->path = xstrdup(at[authority] == '/' ? at + authority : "/");
    return true;
}

void caller_url_finish(struct caller_url *url)
{
    free(url->host);
    free(url->port);
    free(url->path);
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

bool caller_send(struct caller *c, enum frame_opcode opcode, struct slice payload)
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
    bool fine = send_all(c->fd, out.data, out.size);
    buffer_finish(&out);
    return fine;
}

bool caller_receive(struct caller *c)
{
    buffer_drop(&c->in, c->taken);
    c->taken = 0;
    ssize_t n = recv(c->fd, buffer_reserve(&c->in, 65536), 65536, 0);
    if (n <= 0)
        return false;
    c->in.size += (size_t)n;
    return true;
}

/* The key only shows caches that this is no plain request; any 16 bytes in base64 will do. */
static bool send_request(
    struct caller *c, const struct caller_url *url, struct slice query, const char *token)
{
    struct buffer request = {0};
    buffer_print(&request, "GET %s", url->path);
    if (query.size > 0)
        buffer_print(&request, "%c%.*s", strchr(url->path, '?') ? '&' : '?', SLICE_ARGS(query));
    buffer_print(&request,
        " HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: Y2F1c2V3YXkgdGFpbCA6KQ==\r\nAuthorization: Bearer "
        "%s\r\n\r\n",
        url->host, token);
    bool fine = send_all(c->fd, request.data, request.size);
    buffer_finish(&request);
    return fine;
}

static bool take_answer(struct caller *c, struct caller_end *end)
{
    struct http_head head;
    int size;
    while ((size = http_parse_response(c->in.data, c->in.size, &head)) == 0)
        if (!caller_receive(c))
            break;
    if (size <= 0) {
        fputs("causeway: the connection ended before an answer came\n", stderr);
        return false;
    }
    if (head.status != 101) {
        end->status = head.status;
        fprintf(stderr, "causeway: refused with %d %.*s", head.status, (int)(c->in.size - (size_t)size),
            c->in.data + size);
    }
    c->taken = (size_t)size;
    return head.status == 101;
}

bool caller_open(struct caller *c, const struct caller_url *url, struct slice query, const char *token,
    size_t message_max, struct caller_end *end)
{
    *c = (struct caller){.decoder.message_max = message_max};
    *end = (struct caller_end){0};
    c->fd = connect_to(url->host, url->port);
    return c->fd >= 0 && send_request(c, url, query, token) && take_answer(c, end);
}

void caller_finish(struct caller *c)
{
    if (c->fd >= 0)
        close(c->fd);
    frame_decoder_finish(&c->decoder);
    buffer_finish(&c->in);
}

enum frame_result caller_next(struct caller *c, struct frame_message *out)
{
    size_t used;
    enum frame_result result =
        frame_decode(&c->decoder, c->in.data + c->taken, c->in.size - c->taken, &used, out);
    c->taken += used;
    return result;
}
