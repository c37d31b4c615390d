/* Frames of an open connection, and the client's answers as frames. */
#include "ws_internal.h"

#include "causeway/metrics.h"

static void on_text(struct peer *p, struct slice text)
{
    struct json *j = &p->ws->scratch;
    static const struct slice no_room = {NULL, 0};
    if (!client_may_speak(p->client, 0))
        return;
    if (!json_scan(j, text.data, text.size)) {
        client_error(p->client, "bad_json", "the message is not strict JSON", no_room);
        return;
    }
    struct buffer scratch = {0};
    struct slice type = json_string(j, json_find(j, 0, SLICE("type")), &scratch);
    if (type.data && !client_command(p->client, type, j, json_find(j, 0, p->lane->payload_key), 0))
        client_error(p->client, "unknown_type", "this message type is not known", no_room);
    else if (!type.data)
        client_error(p->client, "bad_message", "a message is an object with a string member type", no_room);
    buffer_finish(&scratch);
}

static void on_control(struct peer *p, const struct frame_message *m)
{
    char frame[127];
    if (m->opcode != FRAME_CLOSE && !client_heard(p->client))
        return;
    if (m->opcode == FRAME_PING) {
        size_t header = frame_header(frame, FRAME_PONG, m->payload.size);
        memcpy(frame + header, m->payload.data, m->payload.size);
        conn_send(p->conn, frame, header + m->payload.size);
    } else if (m->opcode == FRAME_CLOSE) {
        peer_end(p, CLOSE_NORMAL, NULL); /* whatever the code: it was the peer's decision */
    }
}

static enum close_reason reason_of(uint16_t code)
{
    return code == 1007 ? CLOSE_NOT_UTF8 : code == 1009 ? CLOSE_TOO_LARGE : CLOSE_PROTOCOL;
}

static void on_frame(struct peer *p, enum frame_result result, const struct frame_message *m)
{
    if (result == FRAME_VIOLATION)
        peer_end(p, reason_of(m->close_code), m->reason);
    else if (result == FRAME_CONTROL)
        on_control(p, m);
    else if (m->opcode == FRAME_BINARY)
        peer_end(p, CLOSE_BINARY, NULL);
    else
        on_text(p, m->payload);
}

size_t peer_data(void *owner, struct conn *c, char *data, size_t size)
{
    struct peer *p = owner;
    size_t at = 0;
    while (at < size && p->state == PEER_OPEN && !conn_closing(c)) {
        struct frame_message m;
        size_t used;
        enum frame_result result = frame_decode(&p->decoder, data + at, size - at, &used, &m);
        if (result == FRAME_MORE) {
            at += used; /* fragments are kept by the decoder */
            break;
        }
        p->life_at = loop_now(p->ws->loop);
        p->heard = true;
        on_frame(p, result, &m);
        at += used;
    }
    return p->state == PEER_ENDING ? size : at;
}

/* --- the client's side of the conversation --- */

/* Writes the message as a frame at the end of ws->text; returns its length. */
static size_t write_message(struct peer *p, const char *type, struct slice data_json, struct slice cursor)
{
    struct buffer *out = &p->ws->text;
    buffer_clear(out);
    buffer_reserve(out, FRAME_HEADER_MAX + 2);
    out->size = FRAME_HEADER_MAX + 2; /* room for the header, and for a ping before it */
    buffer_print(out, "{\"type\":\"%s\"", type);
    if (data_json.data) {
        buffer_print(out, ",\"%.*s\":", SLICE_ARGS(p->lane->payload_key));
        buffer_add_slice(out, data_json);
    }
    if (cursor.size > 0)
        buffer_print(out, ",\"cursor\":\"%.*s\"", SLICE_ARGS(cursor));
    buffer_add_byte(out, '}');
    size_t payload = out->size - FRAME_HEADER_MAX - 2;
    size_t size = frame_header_size(payload) + payload;
    frame_header(out->data + out->size - size, FRAME_TEXT, payload);
    return size;
}

static void on_emit(void *owner, const char *type, struct slice data_json, struct slice cursor)
{
    struct peer *p = owner;
    size_t size = write_message(p, type, data_json, cursor);
    conn_send(p->conn, p->ws->text.data + p->ws->text.size - size, size);
    peer_look_soon(p);
}

size_t peer_ping_text(struct peer *p)
{
    static const char ping[2] = {(char)0x89, 0};
    struct buffer *out = &p->ws->text;
    char cursor[CURSOR_TEXT_MAX + 1];
    size_t cursor_size = client_ping_cursor(p->client, cursor), size = 0;
    if (cursor_size > 0)
        size = write_message(p, "cursor", (struct slice){NULL, 0}, (struct slice){cursor, cursor_size});
    else {
        buffer_clear(out);
        buffer_reserve(out, sizeof ping);
        out->size = sizeof ping;
    }
    memcpy(out->data + out->size - size - sizeof ping, ping, sizeof ping);
    return size + sizeof ping;
}

static void on_judging(void *owner)
{
    struct peer *p = owner;
    conn_set_deadline(p->conn, p->ws->settings.hold_ms);
}

static void on_refused(void *owner, enum verdict_status status, const char *why)
{
    struct peer *p = owner;
    if (status == VERDICT_LATER)
        peer_end(p, CLOSE_LATER, why);
    else
        peer_refuse(p, why);
}

static void on_expired(void *owner)
{
    peer_end(owner, CLOSE_UNAUTHORIZED, "token expired");
}

static void on_limited(void *owner, enum limit limit, uint64_t retry_ms)
{
    peer_limit(owner, limit, retry_ms);
}

static void on_attached(void *owner, enum grants_outcome outcome)
{
    struct peer *p = owner;
    if (outcome == GRANTS_ALLOWED) {
        conn_set_deadline(p->conn, 0);
        peer_look_soon(p);
        metric_add(metric_label(METRIC_AUTH, "ok"), 1);
        if (p->state == PEER_PARKED)
            peer_open(p);
    } else if (outcome == GRANTS_NO_USER) {
        peer_refuse(p, "User not found");
    } else if (outcome == GRANTS_TOO_MANY) {
        peer_end(p, CLOSE_ROOMS, NULL);
    } else {
        peer_end(p, CLOSE_LATER, "rights cannot be looked up now; come back later");
    }
}

const struct client_hooks peer_client_hooks = {
    on_emit, NULL, on_judging, on_refused, on_attached, on_expired, on_limited};
