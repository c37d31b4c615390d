/* Long polling: a GET that is held until there is something for it, and POSTs that bring the client's
   packets; who may ask, and what they are told when they may not. */
#include "sio_internal.h"

#include "causeway/memory.h"

#include <stdio.h>
#include <stdlib.h>

/* --- exchanges --- */

static size_t on_body(void *owner, struct conn *c, char *data, size_t size);

/* What follows on the connection of a held GET waits for its answer. */
/* NOLINTNEXTLINE(readability-non-const-parameter): a conn_handler */
static size_t on_early(void *owner, struct conn *c, char *data, size_t size)
{
    (void)owner;
    (void)c;
    (void)data;
    (void)size;
    return 0;
}

/* NOLINTNEXTLINE(readability-non-const-parameter): a conn_handler */
static size_t on_late(void *owner, struct conn *c, char *data, size_t size)
{
    (void)owner;
    (void)c;
    (void)data;
    return size;
}

static void detach(struct exchange *x)
{
    struct engine_session *s = x->session;
    if (s && s->get == x)
        s->get = NULL;
    if (s && s->post == x)
        s->post = NULL;
    x->session = NULL;
}

static void drop(struct exchange *x)
{
    *(x->previous ? &x->previous->next : &x->engine->exchanges) = x->next;
    if (x->next)
        x->next->previous = x->previous;
    free(x->extra);
    free(x);
}

/* The client has gone before it was answered. */
static void on_closed(void *owner, struct conn *c)
{
    (void)c;
    struct exchange *x = owner;
    struct engine_session *s = x->session;
    detach(x);
    if (s)
        engine_end(s, ENGINE_TRANSPORT, 1006, "");
    drop(x);
}

static void on_body_deadline(void *owner, struct conn *c)
{
    (void)owner;
    conn_abort(c);
}

static const struct conn_handler get_handler = {on_early, NULL, NULL, on_closed};
static const struct conn_handler post_handler = {on_body, NULL, on_body_deadline, on_closed};
static const struct conn_handler done_handler = {on_late, NULL, NULL, on_closed};

static struct exchange *begin(struct engine *e, struct conn *c, const struct http_head *head)
{
    struct buffer extra = {0};
    cors_headers(e, head, &extra);
    struct exchange *x = xcalloc(1, sizeof *x);
    *x = (struct exchange){.engine = e, .conn = c, .next = e->exchanges};
    /* A body that nobody reads must not be taken for the next request: only POST will keep such a one. */
    x->keep = !http_field_has(head, "Connection", "close") && http_body_size(head) == 0;
    x->bare = slice_is(head->method, "HEAD");
    x->extra = xstrndup(extra.data ? extra.data : "", extra.size);
    if (e->exchanges)
        e->exchanges->previous = x;
    e->exchanges = x;
    conn_set_handler(c, &done_handler, x, 0);
    buffer_finish(&extra);
    return x;
}

/* The last of an exchange: its connection may go on to the next. */
static void answer(struct exchange *x, int status, const char *type, struct slice body)
{
    struct buffer out = {0};
    struct conn *c = x->conn;
    struct engine *e = x->engine;
    http_respond_on(&out, status, type, x->extra, body, x->keep);
    if (x->bare)
        http_strip_body(&out);
    detach(x);
    conn_set_deadline(c, 0);
    conn_send(c, out.data, out.size);
    buffer_finish(&out);
    if (!x->keep || conn_closing(c)) {
        conn_set_handler(c, &done_handler, x, 0);
        conn_finish(c);
        return;
    }
    drop(x);
    e->hooks->answered(e->owner, c);
}

void exchange_forget(struct exchange *x)
{
    detach(x);
    conn_abort(x->conn);
}

static void answer_fault(struct exchange *x, const struct request_fault *fault)
{
    char body[96];
    int size = snprintf(body, sizeof body, "{\"code\":%d,\"message\":\"%s\"}", fault->code, fault->message);
    answer(x, fault->status, "application/json", (struct slice){body, (size_t)size});
}

/* --- polls --- */

/* How much of the queue fits one answer, and how many packets that is. */
static size_t measure(const struct engine_session *s, uint16_t *packets)
{
    *packets = s->queued;
    if (s->queued <= POLL_PACKETS)
        return s->queue.size;
    size_t at = 0;
    for (*packets = 0; *packets < POLL_PACKETS; ++*packets)
        at = (size_t)((char *)memchr(s->queue.data + at, ENGINEIO_SEPARATOR, s->queue.size - at) -
                      s->queue.data) +
             1;
    return at - 1;
}

void poll_answer(struct engine_session *s)
{
    static const char type[] = "text/plain; charset=UTF-8";
    uint16_t packets;
    size_t size = measure(s, &packets);
    struct buffer queue = s->queue;
    s->queue = (struct buffer){0};
    if (size < queue.size)
        buffer_add(&s->queue, queue.data + size + 1, queue.size - size - 1);
    s->queued = (uint16_t)(s->queued - packets);
    answer(s->get, 200, type, (struct slice){queue.data, size});
    buffer_finish(&queue);
    if (s->post && s->queue.size < WAITING_MAX)
        exchange_go_on(s->post);
}

void poll_answer_noop(struct engine_session *s)
{
    answer(s->get, 200, "text/plain; charset=UTF-8", SLICE("6"));
}

static void hold(struct exchange *x, struct engine_session *s)
{
    if (s->get) {
        engine_end(s, ENGINE_TRANSPORT, 1000, "");
        answer(x, 400, "text/plain", (struct slice){NULL, 0});
        return;
    }
    x->session = s;
    s->get = x;
    conn_set_handler(x->conn, &get_handler, x, HTTP_HEAD_MAX);
    session_mark(s);
    if (s->upgrading && s->queue.size == 0)
        poll_answer_noop(s);
    else if (s->wants_write && s->state == ENGINE_OPEN) {
        s->wants_write = false;
        s->engine->hooks->writable(s->app);
    }
}

/* --- posts --- */

/* Deals with the packets of the body. false: the rest waits for a poll that takes what there is. */
static bool take_packets(struct exchange *x, const char *data)
{
    struct slice body = {data + x->used, x->body - x->used};
    bool more = true;
    while (more && x->session && x->session->state == ENGINE_OPEN) {
        struct engine_session *s = x->session;
        struct engineio_packet p;
        if (!s->websocket && s->queue.size > WAITING_MAX)
            return false;
        if (engineio_next(&body, &p, &more))
            session_packet(s, &p);
        else
            engine_end(s, ENGINE_VIOLATION, 1002, "malformed packet");
        x->used = x->body - body.size;
    }
    return true;
}

static size_t on_body(void *owner, struct conn *c, char *data, size_t size)
{
    struct exchange *x = owner;
    if (size < x->body)
        return 0;
    size_t used = x->body;
    conn_set_deadline(c, 0);
    if (!take_packets(x, data)) {
        x->waiting = true;
        conn_pause(c);
        return 0;
    }
    answer(x, 200, "text/html", SLICE("ok"));
    return used;
}

void exchange_go_on(struct exchange *x)
{
    if (!x->waiting)
        return;
    x->waiting = false;
    conn_resume(x->conn);
}

static void take_post(struct exchange *x, const struct http_head *head, struct engine_session *s)
{
    int64_t size = http_body_size(head);
    bool bytes = slice_is(http_field_find(head, "Content-Type"), "application/octet-stream");
    if (s->post || bytes) {
        struct exchange *first = s->post;
        engine_end(s, ENGINE_TRANSPORT, 1000, "");
        if (first)
            exchange_forget(first);
        answer(x, 400, "text/plain", (struct slice){NULL, 0});
    } else if (size < 0 || (uint64_t)size > x->engine->settings.message_max) {
        if (size > 0)
            limit_hit(LIMIT_MESSAGE_SIZE);
        answer(x, size < 0 ? (int)-size : 413, "text/plain", (struct slice){NULL, 0});
    } else {
        x->session = s;
        s->post = x;
        x->post = true;
        x->keep = !http_field_has(head, "Connection", "close");
        x->body = (size_t)size;
        conn_set_handler(x->conn, &post_handler, x, x->body + HTTP_HEAD_MAX);
        conn_set_deadline(x->conn, BODY_MS);
        if (size == 0)
            on_body(x, x->conn, NULL, 0);
    }
}

/* --- who may ask --- */

static const struct request_fault faults[] = {
    {0, 400, "Transport unknown"},
    {1, 400, "Session ID unknown"},
    {2, 400, "Bad handshake method"},
    {3, 400, "Bad request"},
    {4, 403, "Forbidden"},
    {5, 400, "Unsupported protocol version"},
};

void cors_headers(const struct engine *e, const struct http_head *head, struct buffer *out)
{
    struct slice origin = http_field_find(head, "Origin");
    if (origin.size == 0 && !*e->settings.origins)
        buffer_add_text(out, "Access-Control-Allow-Origin: *\r\n");
    if (origin.size == 0)
        return;
    buffer_add_text(out, "Vary: Origin\r\n");
    if (!handshake_origin_allowed(e->settings.origins, origin))
        return;
    buffer_print(out, "Access-Control-Allow-Origin: %.*s\r\nAccess-Control-Allow-Credentials: true\r\n",
        SLICE_ARGS(origin));
}

/* Puts further lines into the head of the answer. */
static void add_lines(struct exchange *x, struct buffer *lines)
{
    struct buffer extra = {0};
    buffer_add_text(&extra, x->extra);
    buffer_add_slice(&extra, buffer_slice(lines));
    free(x->extra);
    x->extra = xstrdup(buffer_text(&extra));
    buffer_finish(&extra);
    buffer_finish(lines);
}

void retry_header(uint64_t wait_ms, struct buffer *out)
{
    buffer_print(out, "Retry-After: %llu\r\n", (unsigned long long)(wait_ms + 999) / 1000);
}

static void answer_preflight(struct exchange *x, const struct http_head *head)
{
    struct buffer lines = {0};
    struct slice wanted = http_field_find(head, "Access-Control-Request-Headers");
    buffer_add_text(&lines, "Access-Control-Allow-Methods: GET,POST\r\nAccess-Control-Max-Age: 600\r\n");
    if (wanted.size > 0)
        buffer_print(&lines, "Access-Control-Allow-Headers: %.*s\r\nVary: Access-Control-Request-Headers\r\n",
            SLICE_ARGS(wanted));
    add_lines(x, &lines);
    answer(x, 204, "text/plain", (struct slice){NULL, 0});
}

static bool query_is(struct slice query, const char *name, const char *value, struct buffer *scratch)
{
    return http_query_find(query, name, scratch) && slice_is(buffer_slice(scratch), value);
}

static const struct request_fault *check(struct engine *e, const struct http_head *head, bool upgrade,
    struct engine_session **session, struct buffer *scratch)
{
    bool websocket = query_is(head->query, "transport", "websocket", scratch);
    bool polling = query_is(head->query, "transport", "polling", scratch);
    bool version = query_is(head->query, "EIO", "4", scratch);
    if (!websocket && !polling)
        return &faults[0];
    if (!http_query_find(head->query, "sid", scratch) || scratch->size == 0) {
        if (!slice_is(head->method, "GET"))
            return &faults[2];
        if (websocket != upgrade)
            return &faults[3];
        return version ? NULL : &faults[5];
    }
    *session = session_find(e, buffer_slice(scratch));
    if (!*session)
        return &faults[1];
    if (!upgrade && websocket != (*session)->websocket)
        return &faults[3];
    if (!version)
        return &faults[5];
    return websocket != upgrade ? &faults[3] : NULL;
}

const struct request_fault *request_check(
    struct engine *e, const struct http_head *head, bool upgrade, struct engine_session **session)
{
    struct buffer scratch = {0};
    *session = NULL;
    const struct request_fault *fault = check(e, head, upgrade, session, &scratch);
    buffer_finish(&scratch);
    return fault;
}

static void open_session(struct exchange *x, const struct http_head *head)
{
    uint64_t wait;
    struct engine_session *s = session_begin(x->engine, x->conn, head, false, &wait);
    struct buffer body = {0};
    if (wait > 0) {
        struct buffer lines = {0};
        retry_header(wait, &lines);
        add_lines(x, &lines);
        answer(x, 429, "text/plain", SLICE("over a limit; come back after the time in Retry-After"));
        return;
    }
    if (!s) {
        answer(x, 503, "text/plain", SLICE("come back later"));
        return;
    }
    session_greeting(s, &body);
    answer(x, 200, "text/plain; charset=UTF-8", buffer_slice(&body));
    buffer_finish(&body);
}

static void answer_request(struct exchange *x, const struct http_head *head)
{
    struct engine_session *s;
    bool post = slice_is(head->method, "POST"), get = slice_is(head->method, "GET");
    const struct request_fault *fault = request_check(x->engine, head, false, &s);
    if (s)
        allowance_vouch(conn_companion(x->conn), s->allowance);
    if (fault)
        answer_fault(x, fault);
    else if (!s)
        open_session(x, head);
    else if (get)
        hold(x, s);
    else if (post && s->state == ENGINE_OPEN)
        take_post(x, head, s);
    else
        answer_fault(x, &faults[post ? 1 : 3]);
}

bool engine_take(struct engine *e, struct conn *c, const struct http_head *head)
{
    if (!slice_starts(head->path, slice_of(e->settings.path)))
        return false;
    if (http_field_has(head, "Upgrade", "websocket")) {
        wire_upgrade(e, c, head);
        return true;
    }
    struct exchange *x = begin(e, c, head);
    if (slice_is(head->method, "OPTIONS"))
        answer_preflight(x, head);
    else
        answer_request(x, head);
    return true;
}
