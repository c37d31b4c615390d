/* The WebSocket transport: from the upgrade on, and the probe by which a session that polls comes over. */
#include "sio_internal.h"

#include "causeway/memory.h"

#include <stdlib.h>

static void forget_session(struct wire *w)
{
    struct engine_session *s = w->session;
    w->session = NULL;
    if (!s || s->wire != w)
        return;
    s->wire = NULL;
    s->upgrading = false;
    if (s->websocket)
        engine_end(s, ENGINE_TRANSPORT, 1006, "");
}

size_t wire_send(struct wire *w, enum frame_opcode opcode, struct slice payload)
{
    struct buffer *out = &w->engine->scratch;
    buffer_clear(out);
    char *header = buffer_reserve(out, FRAME_HEADER_MAX + payload.size);
    out->size += frame_header(header, opcode, payload.size);
    buffer_add_slice(out, payload);
    conn_send(w->conn, out->data, out->size);
    return out->size;
}

void wire_close(struct wire *w, uint16_t code, const char *text)
{
    char frame[127];
    size_t size = frame_close(frame, code, text);
    if (w->session && w->session->wire == w) {
        w->session->wire = NULL;
        w->session->upgrading = false;
    }
    w->session = NULL;
    conn_send(w->conn, frame, size);
    conn_finish(w->conn);
}

/* --- frames --- */

/* "2probe" asks whether this way is open; "5" is the last word of polling. */
static void on_probe(struct wire *w, const struct frame_message *m)
{
    struct engine_session *s = w->session;
    if (m->opcode == FRAME_TEXT && slice_is(m->payload, "2probe")) {
        wire_send(w, FRAME_TEXT, SLICE("3probe"));
        s->upgrading = true;
        if (s->get && s->queue.size == 0)
            poll_answer_noop(s);
    } else if (m->opcode == FRAME_TEXT && slice_is(m->payload, "5")) {
        conn_set_deadline(w->conn, 0);
        session_use_websocket(s);
    } else {
        wire_close(w, 1002, "no probe");
    }
}

static void on_message(struct wire *w, const struct frame_message *m)
{
    struct engine_session *s = w->session;
    struct engineio_packet p;
    allowance_vouch(conn_companion(w->conn), s->allowance); /* perhaps that of another connection */
    if (!s->websocket && engine_heard(s) > 0)
        return;
    if (!s->websocket)
        on_probe(w, m);
    else if (m->opcode == FRAME_BINARY)
        s->engine->hooks->message(s->app, true, m->payload);
    else if (engineio_parse(m->payload, &p))
        session_packet(s, &p);
    else
        engine_end(s, ENGINE_VIOLATION, 1002, "malformed packet");
}

static void on_close(struct wire *w, enum engine_end why, uint16_t code, const char *text)
{
    struct engine_session *s = w->session;
    if (code == 1009)
        limit_hit(LIMIT_MESSAGE_SIZE);
    if (s->websocket)
        engine_end(s, why, code, text);
    else
        wire_close(w, code, text);
}

static void on_control(struct wire *w, const struct frame_message *m)
{
    if (m->opcode == FRAME_CLOSE)
        on_close(w, ENGINE_BY_CLIENT, 1000, "");
    else if (engine_heard(w->session) == 0 && m->opcode == FRAME_PING)
        wire_send(w, FRAME_PONG, m->payload);
}

static size_t on_data(void *owner, struct conn *c, char *data, size_t size)
{
    struct wire *w = owner;
    size_t at = 0;
    while (at < size && w->session && !conn_closing(c)) {
        struct frame_message m;
        size_t used;
        enum frame_result result = frame_decode(&w->decoder, data + at, size - at, &used, &m);
        at += used;
        if (result == FRAME_MORE)
            break;
        if (result == FRAME_VIOLATION)
            on_close(w, ENGINE_VIOLATION, m.close_code, m.reason);
        else if (result == FRAME_CONTROL)
            on_control(w, &m);
        else
            on_message(w, &m);
    }
    return w->session ? at : size;
}

static void on_writable(void *owner, struct conn *c)
{
    (void)c;
    struct wire *w = owner;
    if (w->session && w->session->websocket && w->session->state == ENGINE_OPEN)
        w->engine->hooks->writable(w->session->app);
}

/* From probe to upgrade. */
static void on_deadline(void *owner, struct conn *c)
{
    (void)c;
    wire_close(owner, 1000, "upgrade timeout");
}

static void on_closed(void *owner, struct conn *c)
{
    (void)c;
    struct wire *w = owner;
    forget_session(w);
    *(w->previous ? &w->previous->next : &w->engine->wires) = w->next;
    if (w->next)
        w->next->previous = w->previous;
    frame_decoder_finish(&w->decoder);
    free(w);
}

static const struct conn_handler handler = {on_data, on_writable, on_deadline, on_closed};

/* --- the upgrade --- */

static struct wire *open_wire(struct engine *e, struct conn *c, const struct http_head *head)
{
    struct wire *w = xcalloc(1, sizeof *w);
    *w = (struct wire){.engine = e,
        .conn = c,
        .next = e->wires,
        .decoder = {.message_max = e->settings.message_max, .expect_mask = true}};
    if (e->wires)
        e->wires->previous = w;
    e->wires = w;
    char key[HANDSHAKE_KEY_SIZE + 1];
    struct buffer out = {0}, extra = {0};
    handshake_key(head, key);
    cors_headers(e, head, &extra);
    handshake_accept(&out, key, buffer_text(&extra));
    conn_set_handler(c, &handler, w, e->settings.message_max + 14 + 65536);
    conn_send(c, out.data, out.size);
    buffer_finish(&out);
    buffer_finish(&extra);
    return w;
}

static void refuse(struct conn *c, int status, const char *extra, const char *text)
{
    struct buffer out = {0};
    http_respond(&out, status, "text/html", extra, slice_of(text));
    conn_send(c, out.data, out.size);
    conn_finish(c);
    buffer_finish(&out);
}

static void open_session(struct engine *e, struct conn *c, const struct http_head *head)
{
    uint64_t wait;
    struct engine_session *s = session_begin(e, c, head, true, &wait);
    if (wait > 0) {
        struct buffer extra = {0};
        retry_header(wait, &extra);
        refuse(c, 429, buffer_text(&extra), "over a limit; come back after the time in Retry-After");
        buffer_finish(&extra);
        return;
    }
    struct wire *w = open_wire(e, c, head);
    if (!s) {
        wire_close(w, 1013, "come back later");
        return;
    }
    s->wire = w;
    w->session = s;
    struct buffer greeting = {0};
    session_greeting(s, &greeting);
    wire_send(w, FRAME_TEXT, buffer_slice(&greeting));
    buffer_finish(&greeting);
}

static void probe(struct engine_session *s, struct conn *c, const struct http_head *head)
{
    struct wire *w = open_wire(s->engine, c, head);
    if (s->wire || s->websocket || s->state != ENGINE_OPEN) {
        wire_close(w, 1000, "");
        return;
    }
    s->wire = w;
    w->session = s;
    conn_set_deadline(c, s->engine->settings.upgrade_ms);
}

void wire_upgrade(struct engine *e, struct conn *c, const struct http_head *head)
{
    struct engine_session *s;
    const struct request_fault *fault = request_check(e, head, true, &s);
    const struct handshake_fault *no_upgrade = handshake_check(head);
    if (fault)
        refuse(c, fault->status, "", fault->message);
    else if (no_upgrade)
        refuse(c, no_upgrade->status, no_upgrade->extra, no_upgrade->text);
    else if (!handshake_origin_allowed(e->settings.origins, http_field_find(head, "Origin")))
        refuse(c, 403, "", "Forbidden");
    else if (s)
        probe(s, c, head);
    else
        open_session(e, c, head);
}
