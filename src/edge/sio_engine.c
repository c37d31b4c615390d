/* Engine.IO sessions: how they begin, live and end; their transports are in sio_poll.c and sio_wire.c. */
#include "sio_internal.h"

#include "causeway/base64.h"
#include "causeway/memory.h"
#include "causeway/metrics.h"
#include "causeway/random.h"

#include <ctype.h>
#include <stdlib.h>

static void on_timer(struct loop_timer *timer);

/* --- beginning --- */

static void write_id(const unsigned char bytes[ID_BYTES], char out[ENGINE_ID_SIZE + 1])
{
    struct buffer text = {0};
    base64_encode(&text, (struct slice){(const char *)bytes, ID_BYTES});
    for (size_t i = 0; i < ENGINE_ID_SIZE; i++)
        out[i] = (char)(text.data[i] == '+' ? '-' : text.data[i] == '/' ? '_' : text.data[i]);
    out[ENGINE_ID_SIZE] = '\0';
    buffer_finish(&text);
}

void engine_random_id(char out[ENGINE_ID_SIZE + 1])
{
    unsigned char bytes[ID_BYTES];
    random_bytes(bytes, ID_BYTES);
    write_id(bytes, out);
}

bool engine_could_be_id(struct slice text)
{
    for (size_t i = 0; i < text.size; i++)
        if (!isalnum((unsigned char)text.data[i]) && !memchr("-_", text.data[i], 2))
            return false;
    return true;
}

/* The first byte is the loop's, so that each request finds its way; the others are nobody's guess. */
static void make_sid(const struct engine *e, char out[ENGINE_ID_SIZE + 1])
{
    unsigned char bytes[ID_BYTES];
    random_bytes(bytes, ID_BYTES);
    bytes[0] = (unsigned char)e->settings.loop;
    write_id(bytes, out);
}

static void count(struct engine_session *s, int by)
{
    metric_add(s->websocket ? s->engine->websocket : s->engine->polling, by);
}

struct engine_session *session_begin(
    struct engine *e, const struct conn *c, const struct http_head *head, bool websocket, uint64_t *wait)
{
    struct engine_session *s = xcalloc(1, sizeof *s);
    s->engine = e;
    s->allowance = allowance_for_session(conn_companion(c), loop_now(e->loop), wait);
    s->websocket = websocket;
    make_sid(e, s->sid);
    s->app = *wait > 0 ? NULL : e->hooks->opened(e->owner, s, head);
    if (!s->app) {
        allowance_release(s->allowance);
        free(s);
        return NULL;
    }
    s->next = e->first;
    if (e->first)
        e->first->previous = s;
    e->first = s;
    e->sessions++;
    map_set(e->by_sid, slice_of(s->sid), s);
    count(s, 1);
    metric_add(metric_label(METRIC_OPENED, "socketio"), 1);
    s->timer.on_due = on_timer;
    s->due = loop_now(e->loop) + e->settings.ping_ms;
    loop_timer_set(e->loop, &s->timer, e->settings.ping_ms);
    return s;
}

void session_greeting(const struct engine_session *s, struct buffer *out)
{
    const struct engine_settings *settings = &s->engine->settings;
    buffer_print(out,
        "0{\"sid\":\"%s\",\"upgrades\":[%s],\"pingInterval\":%llu,\"pingTimeout\":%llu,\"maxPayload\":%zu}",
        s->sid, s->websocket ? "" : "\"websocket\"", (unsigned long long)settings->ping_ms,
        (unsigned long long)settings->pong_ms, settings->message_max);
}

int engine_loop(const struct engine_settings *settings, const struct http_head *head)
{
    struct buffer sid = {0}, bytes = {0};
    int loop = -1;
    if (slice_starts(head->path, slice_of(settings->path)) && http_query_find(head->query, "sid", &sid) &&
        sid.size == ENGINE_ID_SIZE) {
        for (size_t i = 0; i < 4; i++)
            sid.data[i] = (char)(sid.data[i] == '-' ? '+' : sid.data[i] == '_' ? '/' : sid.data[i]);
        if (base64_decode(&bytes, (struct slice){sid.data, 4}))
            loop = (unsigned char)bytes.data[0];
    }
    buffer_finish(&sid);
    buffer_finish(&bytes);
    return loop;
}

/* --- heartbeats --- */

/* TCP progress beyond our pings: a reader that is slow, but reads. */
static bool made_progress(struct engine_session *s)
{
    if (!s->websocket)
        return false;
    uint64_t acked = conn_acked(s->wire->conn), before = s->acked;
    uint32_t unproven = s->unproven;
    s->acked = acked;
    s->unproven = 0;
    return before != 0 && acked > before + unproven;
}

static void set_due(struct engine_session *s, uint64_t due)
{
    uint64_t now = loop_now(s->engine->loop);
    s->due = due;
    loop_timer_set(s->engine->loop, &s->timer, due > now ? due - now : 1);
}

static void send_ping(struct engine_session *s)
{
    made_progress(s); /* from here on */
    s->pinged = true;
    engine_send(s, SLICE("2"));
    set_due(s, s->due + s->engine->settings.pong_ms);
    s->engine->hooks->heartbeat(s->app);
}

static void check_due(struct engine_session *s)
{
    uint64_t now = loop_now(s->engine->loop);
    if (now < s->due)
        return;
    if (s->state != ENGINE_OPEN)
        session_gone(s);
    else if (!s->pinged)
        send_ping(s);
    else if (made_progress(s))
        set_due(s, now + s->engine->settings.pong_ms);
    else
        engine_end(s, ENGINE_TIMEOUT, 1000, "ping timeout");
}

static void on_timer(struct loop_timer *timer)
{
    check_due((struct engine_session *)((char *)timer - offsetof(struct engine_session, timer)));
}

struct engine_session *session_find(struct engine *e, struct slice sid)
{
    struct engine_session *s = map_find(e->by_sid, sid);
    if (s && s->pinged)
        check_due(s); /* timers are coarse */
    return s && s->state != ENGINE_OVER ? s : NULL;
}

/* --- sending --- */

void session_mark(struct engine_session *s)
{
    if (s->dirty)
        return;
    s->dirty = true;
    s->next_dirty = s->engine->first_dirty;
    s->engine->first_dirty = s;
}

static void queue_packet(struct engine_session *s, struct slice packet)
{
    engineio_separate(&s->queue);
    buffer_add_slice(&s->queue, packet);
    s->queued++;
    session_mark(s);
}

void engine_send(struct engine_session *s, struct slice packet)
{
    if (s->state != ENGINE_OPEN)
        return;
    if (s->websocket)
        s->unproven += (uint32_t)wire_send(s->wire, FRAME_TEXT, packet);
    else
        queue_packet(s, packet);
}

void engine_send_binary(struct engine_session *s, struct slice bytes)
{
    if (s->state != ENGINE_OPEN)
        return;
    if (s->websocket) {
        s->unproven += (uint32_t)wire_send(s->wire, FRAME_BINARY, bytes);
        return;
    }
    struct buffer packet = {0};
    buffer_add_byte(&packet, 'b');
    base64_encode(&packet, bytes);
    queue_packet(s, buffer_slice(&packet));
    buffer_finish(&packet);
}

static bool poll_has_room(const struct engine_session *s)
{
    /* One packet less, for what `leaving` adds. */
    return s->get && !s->upgrading && s->queued < POLL_PACKETS - 1 && s->queue.size < POLL_BYTES;
}

/* The frames of one part, without their headers, into the answer of the poll. */
static size_t queue_frames(struct engine_session *s, const char *data, size_t size)
{
    size_t at = 0;
    while (at < size && poll_has_room(s)) {
        struct slice text;
        size_t used = frame_payload(data + at, size - at, &text);
        queue_packet(s, text);
        at += used;
    }
    return at;
}

size_t engine_write(struct engine_session *s, const struct iovec *parts, int part_count)
{
    if (s->state != ENGINE_OPEN)
        return 0;
    if (s->websocket)
        return conn_write(s->wire->conn, parts, part_count);
    size_t taken = 0;
    for (int i = 0; i < part_count; i++) {
        size_t some = queue_frames(s, parts[i].iov_base, parts[i].iov_len);
        taken += some;
        if (some < parts[i].iov_len) {
            s->wants_write = true;
            break;
        }
    }
    return taken;
}

void engine_keep(struct engine_session *s, const char *rest, size_t size)
{
    CHECK(s->websocket);
    conn_keep(s->wire->conn, rest, size);
}

bool engine_on_websocket(const struct engine_session *s)
{
    return s->websocket;
}

/* --- receiving --- */

uint64_t engine_heard(struct engine_session *s)
{
    uint64_t wait = allowance_take_message(s->allowance, NULL, loop_now(s->engine->loop));
    if (wait > 0 && allowance_is_flooding(s->allowance))
        engine_end(s, ENGINE_FLOOD, 4429, "too many messages");
    return wait;
}

static void on_pong(struct engine_session *s)
{
    if (!s->pinged)
        return;
    s->pinged = false;
    /* Counted from when the last one was due: the coarse timer must not add up. */
    set_due(s, s->due - s->engine->settings.pong_ms + s->engine->settings.ping_ms);
}

void session_packet(struct engine_session *s, const struct engineio_packet *p)
{
    struct buffer bytes = {0};
    if (p->type != ENGINEIO_MESSAGE && p->type != ENGINEIO_BINARY && engine_heard(s) > 0)
        return;
    switch (p->type) {
    case ENGINEIO_MESSAGE:
        s->engine->hooks->message(s->app, false, p->data);
        break;
    case ENGINEIO_BINARY:
        if (base64_decode(&bytes, p->data))
            s->engine->hooks->message(s->app, true, buffer_slice(&bytes));
        else
            engine_end(s, ENGINE_VIOLATION, 1002, "bad base64");
        buffer_finish(&bytes);
        break;
    case ENGINEIO_PONG:
        on_pong(s);
        break;
    case ENGINEIO_CLOSE:
        engine_end(s, ENGINE_BY_CLIENT, 1000, "closed");
        break;
    case ENGINEIO_PING:
        engine_end(s, ENGINE_VIOLATION, 1002, "invalid heartbeat direction");
        break;
    case ENGINEIO_OPEN:
    case ENGINEIO_UPGRADE:
    case ENGINEIO_NOOP:
        break;
    }
}

/* --- from polling to WebSocket --- */

/* What waited for a poll goes out as frames. */
static void flush_queue(struct engine_session *s)
{
    struct slice body = buffer_slice(&s->queue);
    bool more = body.size > 0;
    while (more) {
        struct engineio_packet p;
        const char *start = body.data;
        bool good = engineio_next(&body, &p, &more);
        CHECK(good);
        struct slice text = {start, (size_t)(p.data.data + p.data.size - start)};
        struct buffer bytes = {0};
        if (p.type == ENGINEIO_BINARY && base64_decode(&bytes, p.data))
            wire_send(s->wire, FRAME_BINARY, buffer_slice(&bytes));
        else
            wire_send(s->wire, FRAME_TEXT, text);
        buffer_finish(&bytes);
    }
    buffer_finish(&s->queue);
    s->queue = (struct buffer){0};
    s->queued = 0;
}

void session_use_websocket(struct engine_session *s)
{
    count(s, -1);
    s->websocket = true;
    s->upgrading = false;
    count(s, 1);
    metric_add(metric_get(METRIC_UPGRADES), 1);
    if (s->get)
        poll_answer_noop(s);
    flush_queue(s);
    if (s->post)
        exchange_go_on(s->post);
    s->engine->hooks->writable(s->app);
}

/* --- ending --- */

/* What is over is dealt with at the end of the turn, when nobody is using it. */
static void retire(struct engine_session *s)
{
    if (s->retiring)
        return;
    s->retiring = true;
    s->next_retiring = s->engine->first_retiring;
    s->engine->first_retiring = s;
}

void session_gone(struct engine_session *s)
{
    loop_timer_clear(s->engine->loop, &s->timer);
    map_remove(s->engine->by_sid, slice_of(s->sid));
    s->state = ENGINE_OVER;
    retire(s);
}

/* What there is, or the close after it. */
static void poll_answer_last(struct engine_session *s)
{
    poll_answer(s);
    if (s->queue.size == 0 && s->close_follows) {
        s->close_follows = false;
        queue_packet(s, SLICE("1"));
    }
}

/* The poll that is held, or else the next one, brings what was said last, and a close. */
static void say_goodbye(struct engine_session *s, enum engine_end why)
{
    /* Official clients drop what comes in one answer with the close: it follows in the next one. */
    s->close_follows = why == ENGINE_BY_US && s->queue.size > 0;
    if (!s->close_follows)
        queue_packet(s, why == ENGINE_BY_CLIENT ? SLICE("6") : SLICE("1"));
    if (s->get)
        poll_answer_last(s);
    if (s->queue.size == 0 || why != ENGINE_BY_US) {
        session_gone(s);
        return;
    }
    s->state = ENGINE_LEAVING;
    retire(s);
    s->due = loop_now(s->engine->loop) + GOODBYE_MS;
    loop_timer_set(s->engine->loop, &s->timer, GOODBYE_MS);
}

void engine_end(struct engine_session *s, enum engine_end why, uint16_t code, const char *text)
{
    static const char *const labels[] = {
#define X(id, label) label,
        ENGINE_END_TABLE(X)
#undef X
    };
    if (s->state != ENGINE_OPEN)
        return;
    metric_add(metric_label(METRIC_ENGINE_ENDS, labels[why]), 1);
    if (!s->websocket) {
        if (s->wire)
            wire_close(s->wire, 1000, "");
        say_goodbye(s, why);
    } else {
        if (s->wire)
            wire_close(s->wire, code, text);
        session_gone(s);
    }
}

bool engine_ended(const struct engine_session *s)
{
    return s->state != ENGINE_OPEN;
}

static void leave(struct engine_session *s)
{
    s->retiring = false;
    if (s->app)
        s->engine->hooks->closed(s->app);
    s->app = NULL;
    if (s->state != ENGINE_OVER)
        return;
    struct engine *e = s->engine;
    count(s, -1);
    if (s->get)
        exchange_forget(s->get);
    if (s->post)
        exchange_forget(s->post);
    *(s->previous ? &s->previous->next : &e->first) = s->next;
    if (s->next)
        s->next->previous = s->previous;
    e->sessions--;
    allowance_release(s->allowance);
    buffer_finish(&s->queue);
    free(s);
}

static void answer_polls(struct engine *e)
{
    while (e->first_dirty) {
        struct engine_session *s = e->first_dirty;
        e->first_dirty = s->next_dirty;
        s->dirty = false;
        if (!s->get || s->queue.size == 0)
            continue;
        if (s->state == ENGINE_OPEN)
            e->hooks->leaving(s->app);
        poll_answer_last(s);
        if (s->state == ENGINE_LEAVING && s->queue.size == 0)
            session_gone(s);
    }
}

void engine_turn(struct engine *e)
{
    answer_polls(e); /* so that nobody who goes is in that list */
    while (e->first_retiring) {
        struct engine_session *s = e->first_retiring;
        e->first_retiring = s->next_retiring;
        leave(s);
    }
}

/* --- the whole --- */

struct engine *engine_create(
    struct loop *loop, const struct engine_settings *settings, const struct engine_hooks *hooks, void *owner)
{
    struct engine *e = xcalloc(1, sizeof *e);
    e->loop = loop;
    e->settings = *settings;
    e->hooks = hooks;
    e->owner = owner;
    e->by_sid = map_create();
    e->polling = metric_label(METRIC_CONNECTIONS, "socketio_polling");
    e->websocket = metric_label(METRIC_CONNECTIONS, "socketio_websocket");
    return e;
}

void engine_destroy(struct engine *e)
{
    if (!e)
        return;
    for (struct wire *w = e->wires; w; w = w->next)
        conn_abort(w->conn);
    for (struct exchange *x = e->exchanges; x; x = x->next)
        conn_abort(x->conn);
    loop_settle(e->loop);
    for (struct engine_session *s = e->first; s; s = s->next)
        if (s->state != ENGINE_OVER)
            session_gone(s);
    engine_turn(e);
    CHECK(!e->first && !e->wires && !e->exchanges);
    map_destroy(e->by_sid);
    buffer_finish(&e->scratch);
    free(e);
}

size_t engine_sessions(const struct engine *e)
{
    return e->sessions;
}

struct engine_session *engine_first(const struct engine *e)
{
    return e->first;
}

struct engine_session *engine_next(const struct engine_session *s)
{
    return s->next;
}

struct allowance *engine_allowance(const struct engine_session *s)
{
    return s->allowance;
}

void *engine_app(const struct engine_session *s)
{
    return s->app;
}
