/* A PostgreSQL server as far as libpq's pipeline needs one: a thread per connection on a free port of
   127.0.0.1. The statement's text is the script; see fake_execute. */
#pragma once

#include "causeway/buffer.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FAKE_CONNECTIONS_MAX = 64, FAKE_STATEMENTS_MAX = 16, FAKE_TEXT_MAX = 256 };

struct fake_postgres {
    int listener;
    bool mute; /* accepts, and says nothing */
    char url[128];
    pthread_t thread;
    pthread_t threads[FAKE_CONNECTIONS_MAX];
    int sockets[FAKE_CONNECTIONS_MAX];
    atomic_int connections;
    atomic_int executions; /* of anything but the heartbeat */
    atomic_int prepares;   /* of named statements */
    atomic_int spent;      /* "... once": how often it has happened */
    atomic_bool gate_open;
};

struct fake_link {
    struct fake_postgres *server;
    int socket;
    struct {
        char name[FAKE_TEXT_MAX], sql[FAKE_TEXT_MAX];
    } statements[FAKE_STATEMENTS_MAX];
    size_t statement_count;
    const char *sql; /* bound now */
    bool named;
    char param[FAKE_TEXT_MAX];
    bool mute;
    bool skipping; /* after an error, up to the next sync */
    struct buffer out;
};

static bool fake_read(int socket, void *into, size_t size)
{
    return recv(socket, into, size, MSG_WAITALL) == (ssize_t)size;
}

static void fake_add_number(struct buffer *out, uint32_t value, size_t bytes)
{
    for (size_t i = bytes; i > 0; i--)
        buffer_add_byte(out, (char)(unsigned char)(value >> (8 * (i - 1)) & 0xff));
}

static void fake_add_message(struct buffer *out, char type, const struct buffer *body)
{
    buffer_add_byte(out, type);
    fake_add_number(out, (uint32_t)body->size + 4, 4);
    buffer_add_slice(out, buffer_slice(body));
}

static void fake_add_plain(struct buffer *out, char type, const char *bytes, size_t size)
{
    struct buffer body = {0};
    buffer_add(&body, bytes, size);
    fake_add_message(out, type, &body);
    buffer_finish(&body);
}

static void fake_add_description(struct buffer *out)
{
    struct buffer body = {0};
    fake_add_number(&body, 1, 2);
    buffer_add(&body, "value", 6);
    fake_add_number(&body, 0, 4);
    fake_add_number(&body, 0, 2);
    fake_add_number(&body, 25, 4); /* text */
    fake_add_number(&body, 0xffff, 2);
    fake_add_number(&body, 0xffffffff, 4);
    fake_add_number(&body, 0, 2);
    fake_add_message(out, 'T', &body);
    buffer_finish(&body);
}

static void fake_add_row(struct buffer *out, const char *value)
{
    struct buffer body = {0};
    fake_add_number(&body, 1, 2);
    fake_add_number(&body, value ? (uint32_t)strlen(value) : 0xffffffff, 4);
    buffer_add_text(&body, value ? value : "");
    fake_add_message(out, 'D', &body);
    buffer_finish(&body);
}

static void fake_fail(struct fake_link *l, const char *sqlstate)
{
    struct buffer body = {0};
    buffer_add(&body, "SERROR", 7);
    buffer_print(&body, "C%.5s", sqlstate);
    buffer_add_byte(&body, '\0');
    buffer_add(&body, "Mscripted", 10);
    buffer_add_byte(&body, '\0');
    fake_add_message(&l->out, 'E', &body);
    buffer_finish(&body);
    l->skipping = true;
}

static bool fake_starts(const struct fake_link *l, const char *word)
{
    return strncmp(l->sql, word, strlen(word)) == 0;
}

/* false: hang up. */
static bool fake_execute(struct fake_link *l)
{
    struct fake_postgres *s = l->server;
    if (!fake_starts(l, "SELECT 1"))
        atomic_fetch_add(&s->executions, 1);
    int rows = 1;
    const char *value = "1";
    if (fake_starts(l, "error "))
        fake_fail(l, l->sql + 6);
    else if (fake_starts(l, "error-if-named ") && l->named)
        fake_fail(l, l->sql + 15);
    else if (fake_starts(l, "hang up always"))
        return false;
    else if (fake_starts(l, "hang up once") && atomic_fetch_add(&s->spent, 1) == 0)
        return false;
    else if (fake_starts(l, "say nothing once"))
        l->mute = atomic_fetch_add(&s->spent, 1) == 0;
    else if (fake_starts(l, "rows "))
        rows = atoi(l->sql + 5);
    else if (fake_starts(l, "null"))
        value = NULL;
    else if (fake_starts(l, "echo"))
        value = l->param;
    else if (fake_starts(l, "gate"))
        while (!atomic_load(&s->gate_open))
            usleep(1000);
    if (l->skipping || l->mute)
        return true;
    for (int i = 0; i < rows; i++)
        fake_add_row(&l->out, value);
    fake_add_plain(&l->out, 'C', "SELECT 1", 9);
    return true;
}

static void fake_parse(struct fake_link *l, const char *body)
{
    size_t at = l->statement_count < FAKE_STATEMENTS_MAX - 1 ? l->statement_count : FAKE_STATEMENTS_MAX - 1;
    for (size_t i = 0; i < l->statement_count; i++)
        at = strcmp(l->statements[i].name, body) == 0 ? i : at;
    if (at == l->statement_count)
        l->statement_count++;
    snprintf(l->statements[at].name, FAKE_TEXT_MAX, "%s", body);
    snprintf(l->statements[at].sql, FAKE_TEXT_MAX, "%s", body + strlen(body) + 1);
    atomic_fetch_add(&l->server->prepares, *body != '\0');
    fake_add_plain(&l->out, '1', "", 0);
}

static void fake_bind(struct fake_link *l, const char *body)
{
    const char *name = body + strlen(body) + 1;
    const unsigned char *at = (const unsigned char *)name + strlen(name) + 1;
    l->sql = NULL;
    for (size_t i = 0; i < l->statement_count; i++)
        l->sql = strcmp(l->statements[i].name, name) == 0 ? l->statements[i].sql : l->sql;
    l->named = *name != '\0';
    at += 2 + 2 * (at[0] << 8 | at[1]); /* formats */
    size_t count = (size_t)(at[0] << 8 | at[1]);
    size_t size = count ? (size_t)at[4] << 8 | at[5] : 0; /* of the first one; they are short here */
    snprintf(l->param, sizeof l->param, "%.*s", (int)size, count ? (const char *)at + 6 : "");
    if (l->sql)
        fake_add_plain(&l->out, '2', "", 0);
    else
        fake_fail(l, "26000");
}

/* false: the connection ends. */
static bool fake_message(struct fake_link *l, char type, const char *body)
{
    if (type == 'X')
        return false;
    if (type == 'S') {
        l->skipping = false;
        fake_add_plain(&l->out, 'Z', "I", 1);
        ssize_t sent = send(l->socket, l->out.data, l->out.size, MSG_NOSIGNAL);
        buffer_clear(&l->out);
        return sent > 0;
    }
    if (l->skipping)
        return true;
    if (type == 'P')
        fake_parse(l, body);
    else if (type == 'B')
        fake_bind(l, body);
    else if (type == 'D')
        fake_add_description(&l->out);
    else if (type == 'E')
        return fake_execute(l);
    return true;
}

static bool fake_greet(struct fake_link *l)
{
    char startup[1024];
    uint32_t size;
    if (!fake_read(l->socket, &size, 4) || ntohl(size) > sizeof startup ||
        !fake_read(l->socket, startup, ntohl(size) - 4))
        return false;
    fake_add_plain(&l->out, 'R', "\0\0\0\0", 4);
    return fake_message(l, 'S', ""); /* ReadyForQuery, as after a sync */
}

static void *fake_serve(void *argument)
{
    struct fake_link *l = argument;
    struct {
        char type;
        uint8_t size[4];
    } head;
    char body[4096];
    l->mute = l->server->mute;
    bool goes_on = l->mute || fake_greet(l);
    while (goes_on && fake_read(l->socket, &head, sizeof head)) {
        size_t size = ((size_t)head.size[2] << 8 | head.size[3]) - 4;
        goes_on = l->mute || (size <= sizeof body && (size == 0 || fake_read(l->socket, body, size)) &&
                                 fake_message(l, head.type, body));
    }
    shutdown(l->socket, SHUT_RDWR);
    buffer_finish(&l->out);
    free(l);
    return NULL;
}

static void *fake_accept(void *argument)
{
    struct fake_postgres *s = argument;
    int socket;
    while ((socket = accept(s->listener, NULL, NULL)) >= 0) {
        int at = atomic_load(&s->connections);
        CHECK(at < FAKE_CONNECTIONS_MAX);
        int at_once = 1; /* or each answer waits for the delayed ACK of the one before */
        CHECK(setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &at_once, sizeof at_once) == 0);
        struct fake_link *l = calloc(1, sizeof *l);
        CHECK(l);
        l->server = s;
        l->socket = s->sockets[at] = socket;
        CHECK(pthread_create(&s->threads[at], NULL, fake_serve, l) == 0);
        atomic_store(&s->connections, at + 1);
    }
    return NULL;
}

/* A bound port of 127.0.0.1; with `listening` false connections to it are refused. */
static int fake_bind_port(bool listening, uint16_t *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&address, size) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)&address, &size) == 0);
    CHECK(!listening || listen(fd, 64) == 0);
    *port = ntohs(address.sin_port);
    return fd;
}

static void fake_write_url(char *url, size_t size, uint16_t port)
{
    snprintf(url, size, "postgresql://tester@127.0.0.1:%u/test?sslmode=disable&gssencmode=disable", port);
}

static struct fake_postgres *fake_postgres_start(bool mute)
{
    struct fake_postgres *s = calloc(1, sizeof *s);
    CHECK(s);
    uint16_t port;
    s->listener = fake_bind_port(true, &port);
    s->mute = mute;
    fake_write_url(s->url, sizeof s->url, port);
    CHECK(pthread_create(&s->thread, NULL, fake_accept, s) == 0);
    return s;
}

/* After the pool was destroyed. */
static void fake_postgres_stop(struct fake_postgres *s)
{
    atomic_store(&s->gate_open, true);
    shutdown(s->listener, SHUT_RDWR);
    pthread_join(s->thread, NULL);
    for (int i = 0; i < atomic_load(&s->connections); i++) {
        shutdown(s->sockets[i], SHUT_RDWR);
        pthread_join(s->threads[i], NULL);
        close(s->sockets[i]);
    }
    close(s->listener);
    free(s);
}
