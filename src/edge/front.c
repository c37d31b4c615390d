#include "causeway/front.h"

#include "causeway/address.h"
#include "causeway/log.h"
#include "causeway/memory.h"
#include "causeway/metrics.h"

#include <stdio.h>
#include <stdlib.h>

enum { KEEP_ALIVE_MS = 75000, INPUT_MAX = HTTP_HEAD_MAX + 65536 };

struct front {
    struct loop *loop;
    uint64_t head_timeout_ms;
    const struct front_hooks *hooks;
    void *owner;
    struct visitor *first;
    struct limits *limits; /* NULL: none */
    const char *trusted;
    bool warned; /* of a proxy that nobody said to trust */
};

/* A connection whose request head is not whole yet, or that is being answered. */
struct visitor {
    struct front *front;
    struct conn *conn;
    struct visitor *next, *previous;
    bool again;     /* has been served before: may go without a word */
    bool moved;     /* from another loop, which has counted it */
    bool proxied;   /* whose requests they are, each head says */
    uint64_t spent; /* there, of its allowance */
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

/* --- limits --- */

static void refuse(struct visitor *v, uint64_t wait_ms)
{
    char extra[40];
    snprintf(extra, sizeof extra, "Retry-After: %llu\r\n", (unsigned long long)(wait_ms + 999) / 1000);
    respond(v, 429, extra, "over a limit; come back after the time in Retry-After");
}

static void release_allowance(void *companion)
{
    allowance_release(companion);
}

/* A new allowance for the connection. false: it is over a limit, and answered. */
static bool enter(struct visitor *v, struct slice place, bool counted)
{
    struct front *f = v->front;
    uint64_t now = loop_now(f->loop);
    struct allowance *a = allowance_create(f->limits, place, now);
    allowance_spend(a, v->spent);
    conn_set_companion(v->conn, a, release_allowance);
    uint64_t wait = allowance_enter(a, counted, now);
    if (wait > 0)
        refuse(v, wait);
    return wait == 0;
}

/* Who connects, as far as that is known before the request. */
static void meet(struct visitor *v)
{
    struct address peer;
    struct front *f = v->front;
    if (!f->limits || !address_of_peer(conn_descriptor(v->conn), &peer))
        return;
    v->proxied = address_is_listed(&peer, f->trusted);
    if (!v->proxied && !conn_companion(v->conn))
        enter(v, address_place(&peer), v->moved);
}

/* Whose request it is: the proxy's, when it names nobody. */
static void follow_proxies(const struct visitor *v, const struct http_head *head, struct address *a)
{
    for (size_t i = head->field_count; i-- > 0;)
        if (http_field_is(&head->fields[i], "X-Forwarded-For") &&
            !address_forwarded(head->fields[i].value, v->front->trusted, a))
            return;
}

static void warn_of_proxy(struct front *f, const struct http_head *head)
{
    if (f->warned || !http_field_find(head, "X-Forwarded-For").data)
        return;
    f->warned = true;
    log_warn("front",
        "X-Forwarded-For from an address that TRUSTED_PROXIES does not name: limits per address and user see "
        "the proxy, not its clients");
}

/* May this request be served? false: answered. */
static bool admit(struct visitor *v, const struct http_head *head)
{
    struct front *f = v->front;
    struct address a;
    if (!f->limits)
        return true;
    if (!v->proxied) {
        warn_of_proxy(f, head);
    } else if (address_of_peer(conn_descriptor(v->conn), &a)) {
        follow_proxies(v, head, &a);
        bool listed = address_is_listed(&a, f->trusted);
        struct slice place = listed ? (struct slice){NULL, 0} : address_place(&a);
        if (!allowance_is_of(conn_companion(v->conn), place) && !enter(v, place, v->moved))
            return false;
    }
    uint64_t wait = allowance_take_message(conn_companion(v->conn), NULL, loop_now(f->loop));
    if (wait > 0)
        refuse(v, wait);
    return wait == 0;
}

/* --- requests --- */

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
        uint64_t spent = allowance_spent(conn_companion(c));
        f->hooks->move(f->owner, loop, conn_detach(c), (struct slice){data, size}, spent);
        return size;
    }
    if (!admit(v, &head))
        return size;
    serve(v, &head);
    return (size_t)used;
}

static void on_deadline(void *owner, struct conn *c)
{
    struct visitor *v = owner;
    if (v->again) {
        conn_finish(c);
        return;
    }
    limit_hit(LIMIT_HANDSHAKE);
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
    front_adopt_moved(f, fd, read, 0);
}

void front_adopt_moved(struct front *f, int fd, struct slice read, uint64_t spent)
{
    struct conn *c = conn_create(f->loop, fd, INPUT_MAX);
    struct visitor *v = receive(f, c, f->head_timeout_ms);
    v->moved = read.size > 0;
    v->spent = spent;
    meet(v);
    conn_take_input(c, read);
}

void front_return(struct front *f, struct conn *c)
{
    struct visitor *v = receive(f, c, KEEP_ALIVE_MS);
    v->again = true;
    meet(v);
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

void front_set_limits(struct front *f, struct limits *limits, const char *trusted)
{
    f->limits = limits;
    f->trusted = trusted;
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
