#include "causeway/front.h"

#include "causeway/memory.h"
#include "causeway/metrics.h"

#include <stdlib.h>

enum { KEEP_ALIVE_MS = 75000, INPUT_MAX = HTTP_HEAD_MAX + 65536 };

struct front {
    struct loop *loop;
    uint64_t head_timeout_ms;
    const struct front_hooks *hooks;
    void *owner;
    struct visitor *first;
};

/* A connection whose request head is not whole yet, or that is being answered. */
struct visitor {
    struct front *front;
    struct conn *conn;
    struct visitor *next, *previous;
    bool again; /* has been served before: may go without a word */
};

static void forget(struct visitor *v)
{
    *(v->previous ? &v->previous->next : &v->front->first) = v->next;
    if (v->next)
        v->next->previous = v->previous;
    free(v);
}

static void respond(struct visitor *v, int status, const char *extra, const char *message)
{
    struct buffer out = {0}, body = {0};
    buffer_print(&body, "{\"error\":{\"code\":\"%d\",\"message\":\"%s\"}}\n", status, message);
    http_respond(&out, status, "application/json", extra, buffer_slice(&body));
    conn_send(v->conn, out.data, out.size);
    conn_finish(v->conn);
    buffer_finish(&out);
    buffer_finish(&body);
}

static void upgrade(struct visitor *v, const struct http_head *head)
{
    struct conn *c = v->conn;
    struct front *f = v->front;
    if (f->hooks->upgrade(f->owner, c, head)) {
        if (conn_owner(c) != v)
            forget(v);
        return;
    }
    respond(v, 404, "", "no WebSocket channel of the catalogue has this path");
}

static void serve(struct visitor *v, const struct http_head *head)
{
    struct conn *c = v->conn;
    if (v->front->hooks->take(v->front->owner, c, head)) {
        if (conn_owner(c) != v)
            forget(v);
        return;
    }
    if (http_field_has(head, "Upgrade", "websocket")) {
        upgrade(v, head);
        return;
    }
    struct front *f = v->front;
    if (!slice_is(head->method, "GET") && !slice_is(head->method, "HEAD")) {
        respond(v, 405, "Allow: GET, HEAD\r\n", "only GET and HEAD are served here");
        return;
    }
    struct buffer out = {0};
    if (!f->hooks->request(f->owner, head, &out)) {
        respond(v, 404, "", "not found");
    } else {
        if (slice_is(head->method, "HEAD"))
            http_strip_body(&out);
        conn_send(v->conn, out.data, out.size);
        conn_finish(v->conn);
    }
    buffer_finish(&out);
}

static const char *fault_text(int status)
{
    return status == 431   ? "request head larger than 16 KiB or with more than 64 fields"
           : status == 505 ? "HTTP/1.1 is spoken here"
                           : "malformed request";
}

static size_t on_data(void *owner, struct conn *c, char *data, size_t size)
{
    struct visitor *v = owner;
    struct http_head head;
    int used = http_parse_request(data, size, &head);
    if (used == 0)
        return 0;
    conn_set_deadline(c, 0);
    if (used < 0) {
        respond(v, -used, "", fault_text(-used));
        return size;
    }
    int loop = v->front->hooks->elsewhere(v->front->owner, &head);
    if (loop >= 0) {
        struct front *f = v->front;
        f->hooks->move(f->owner, loop, conn_detach(c), (struct slice){data, size});
        return size;
    }
    serve(v, &head);
    return (size_t)used;
}

static void on_deadline(void *owner, struct conn *c)
{
    struct visitor *v = owner;
    if (v->again)
        conn_finish(c);
    else
        respond(v, 408, "", "the request head took too long");
}

static void on_closed(void *owner, struct conn *c)
{
    (void)c;
    forget(owner);
}

static const struct conn_handler handler = {on_data, NULL, on_deadline, on_closed};

static struct visitor *receive(struct front *f, struct conn *c, uint64_t timeout_ms)
{
    struct visitor *v = xcalloc(1, sizeof *v);
    v->front = f;
    v->conn = c;
    v->next = f->first;
    if (f->first)
        f->first->previous = v;
    f->first = v;
    conn_set_handler(c, &handler, v, INPUT_MAX);
    conn_set_deadline(c, timeout_ms);
    return v;
}

void front_adopt(struct front *f, int fd, struct slice read)
{
    struct conn *c = conn_create(f->loop, fd, INPUT_MAX);
    receive(f, c, f->head_timeout_ms);
    conn_take_input(c, read);
}

void front_return(struct front *f, struct conn *c)
{
    receive(f, c, KEEP_ALIVE_MS)->again = true;
    conn_deliver_again(c);
}

struct front *front_create(
    struct loop *loop, uint64_t head_timeout_ms, const struct front_hooks *hooks, void *owner)
{
    struct front *f = xcalloc(1, sizeof *f);
    f->loop = loop;
    f->head_timeout_ms = head_timeout_ms;
    f->hooks = hooks;
    f->owner = owner;
    return f;
}

void front_destroy(struct front *f)
{
    if (!f)
        return;
    for (struct visitor *v = f->first; v; v = v->next)
        conn_abort(v->conn);
    loop_settle(f->loop);
    CHECK(!f->first);
    free(f);
}
