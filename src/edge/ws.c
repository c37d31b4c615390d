#include "ws_internal.h"

#include "causeway/memory.h"
#include "causeway/metrics.h"
#include "causeway/random.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    SWEEP_MS = 1000,
    DRAIN_STEP_MS = 100,
    DRAIN_STEP_MIN = 200, /* peers per step, so that few are not kept waiting */
    NO_SLOT = UINT32_MAX,
};

static const struct transport_hooks transport_hooks;

/* --- peers --- */

static uint32_t take_slot(struct ws *w)
{
    uint32_t slot = w->first_free;
    if (slot != NO_SLOT) {
        w->first_free = w->slots[slot].next_free;
        return slot;
    }
    if (w->slots_used == w->slots_capacity) {
        w->slots_capacity = w->slots_capacity ? w->slots_capacity * 2 : 64;
        w->slots = xrealloc(w->slots, w->slots_capacity * sizeof *w->slots);
    }
    w->slots[w->slots_used] = (struct slot){0};
    return w->slots_used++;
}

struct peer *peer_create(struct ws *w, struct conn *c, const struct lane *lane)
{
    struct peer *p = xcalloc(1, sizeof *p);
    p->ws = w;
    p->conn = c;
    p->lane = lane;
    p->decoder.message_max = w->settings.message_max;
    p->decoder.expect_mask = true;
    p->life_at = loop_now(w->loop);
    p->slot = take_slot(w);
    w->slots[p->slot] = (struct slot){.peer = p};
    w->peers++;
    metric_add(w->connections, 1);
    metric_add(metric_label(METRIC_OPENED, "websocket"), 1);
    struct client_settings settings = w->client;
    settings.lane = lane;
    settings.transport = &transport_hooks;
    settings.allowance = conn_companion(c);
    p->client = client_create(&settings, &peer_client_hooks, p, p);
    /* One message, its header, and what a read may bring beyond it. */
    conn_set_handler(c, &peer_handler, p, w->settings.message_max + 14 + 65536);
    return p;
}

static void on_closed(void *owner, struct conn *c)
{
    (void)c;
    struct peer *p = owner;
    struct ws *w = p->ws;
    struct slot *slot = &w->slots[p->slot];
    slot->peer = NULL;
    slot->next_free = w->first_free;
    w->first_free = p->slot;
    w->peers--;
    metric_add(w->connections, -1);
    if (p->state != PEER_ENDING)
        metric_add(metric_label(METRIC_CLOSED, "none"), 1);
    client_destroy(p->client);
    frame_decoder_finish(&p->decoder);
    free(p);
}

static void on_writable(void *owner, struct conn *c)
{
    (void)c;
    struct peer *p = owner;
    client_writable(p->client);
}

static void on_deadline(void *owner, struct conn *c)
{
    (void)c;
    struct peer *p = owner;
    if (client_is_waiting(p->client)) {
        limit_hit(LIMIT_HANDSHAKE);
        peer_end(p, CLOSE_UNAUTHORIZED, "no credential");
    } else if (!client_is_judged(p->client))
        peer_end(p, CLOSE_LATER, "the token cannot be judged now; come back later");
    else
        peer_end(p, CLOSE_LATER, "rights cannot be looked up now; come back later");
}

const struct conn_handler peer_handler = {peer_data, on_writable, on_deadline, on_closed};

void peer_end(struct peer *p, enum close_reason reason, const char *detail)
{
    if (p->state == PEER_ENDING)
        return;
    if (p->state == PEER_PARKED)
        peer_open(p);
    char frame[127], code[8];
    size_t size = frame_close(frame, close_code(reason), detail ? detail : close_text(reason));
    conn_send(p->conn, frame, size);
    p->state = PEER_ENDING;
    if (reason == CLOSE_TOO_LARGE)
        limit_hit(LIMIT_MESSAGE_SIZE);
    snprintf(code, sizeof code, "%u", close_code(reason));
    metric_add(metric_label(METRIC_CLOSED, code), 1);
    conn_finish(p->conn);
}

/* --- what the fan-out writes --- */

static size_t transport_write(void *transport, const struct iovec *parts, int count)
{
    struct peer *p = transport;
    size_t taken = conn_write(p->conn, parts, count);
    hand_over_note(p->ws->hand_over, client_user(p->client), parts, count, taken);
    return taken;
}

static void transport_keep(void *transport, const char *rest, size_t size)
{
    struct peer *p = transport;
    conn_keep(p->conn, rest, size);
}

static void transport_away(void *transport, struct session *s, struct origin *origin)
{
    struct peer *p = transport;
    client_away(p->client, s, origin);
}

static void transport_arrived(void *transport, struct session *s)
{
    struct peer *p = transport;
    client_arrived(p->client, s);
}

static void transport_unacknowledged(void *transport, struct session *s, const struct ack_span *span)
{
    struct peer *p = transport;
    if (client_unacknowledged(p->client, s, span))
        peer_look_soon(p);
}

static const struct transport_hooks transport_hooks = {
    transport_write, transport_keep, NULL, transport_away, transport_arrived, transport_unacknowledged};

/* --- signs of life --- */

/* TCP progress: the peer's kernel acknowledged more than our pings. A reader that is slow but reads is alive.
 */
static bool made_progress(struct peer *p)
{
    uint64_t acked = conn_acked(p->conn), before = p->acked;
    p->acked = acked;
    uint32_t unproven = p->unproven;
    p->unproven = 0;
    return before != 0 && acked > before + unproven;
}

static void ping(struct peer *p)
{
    if (!p->heard && made_progress(p))
        p->life_at = loop_now(p->ws->loop);
    p->heard = false;
    if (!conn_ready(p->conn)) /* one that still owes us reading would not see it before the rest */
        return;
    struct buffer *out = &p->ws->text;
    size_t size = peer_ping_text(p);
    conn_send(p->conn, out->data + out->size - size, size);
    p->unproven += (uint32_t)size;
}

/* Who shows no life, whose token expires. Returns when the next of it is due. */
static uint64_t look_at(struct peer *p, uint64_t now)
{
    uint64_t patience = p->ws->settings.life_ms;
    if (p->state != PEER_OPEN)
        return now;
    if (now - p->life_at >= patience) {
        if (!made_progress(p)) {
            peer_end(p, CLOSE_LIFELESS, NULL);
            return now;
        }
        p->life_at = now;
    }
    uint64_t due = client_tick(p->client, now);
    return due < p->life_at + patience ? due : p->life_at + patience;
}

void peer_look_soon(struct peer *p)
{
    p->ws->slots[p->slot].look_at = 0;
}

/* Once a second: what is due, and a ping for this second's share of the peers. */
static void on_sweep(struct loop_timer *timer)
{
    struct ws *w = (struct ws *)((char *)timer - offsetof(struct ws, sweep));
    loop_timer_set(w->loop, &w->sweep, SWEEP_MS);
    uint64_t now = loop_now(w->loop);
    uint32_t shares = (uint32_t)(w->settings.ping_ms / SWEEP_MS);
    if (shares == 0)
        shares = 1;
    w->ping_at = (w->ping_at + 1) % shares;
    for (uint32_t i = 0; i < w->slots_used; i++) {
        struct peer *p = w->slots[i].peer;
        bool pinged = i % shares == w->ping_at;
        if (!p || (now < w->slots[i].look_at && !pinged))
            continue;
        w->slots[i].look_at = UINT64_MAX; /* before what may want it sooner */
        uint64_t due = look_at(p, now);
        if (w->slots[i].look_at > due)
            w->slots[i].look_at = due;
        if (pinged && p->state == PEER_OPEN)
            ping(p);
    }
}

/* --- draining --- */

static uint64_t next_random(struct ws *w)
{
    w->random ^= w->random << 13;
    w->random ^= w->random >> 7;
    w->random ^= w->random << 17;
    return w->random;
}

static void end_for_restart(struct peer *p)
{
    char text[64];
    unsigned wait = 500 + (unsigned)(next_random(p->ws) % 4500);
    snprintf(text, sizeof text, "restart: reconnect after %u ms", wait);
    peer_end(p, CLOSE_RESTART, text);
}

static void on_drain(struct loop_timer *timer)
{
    struct ws *w = (struct ws *)((char *)timer - offsetof(struct ws, drain));
    uint64_t now = loop_now(w->loop);
    uint64_t steps = w->drain_until > now ? (w->drain_until - now) / DRAIN_STEP_MS : 0;
    size_t share = steps ? w->peers / steps + 1 : w->peers;
    if (share < DRAIN_STEP_MIN)
        share = DRAIN_STEP_MIN;
    for (uint32_t i = 0; i < w->slots_used && share > 0; i++) {
        struct peer *p = w->slots[i].peer;
        if (!p || p->state == PEER_ENDING)
            continue;
        end_for_restart(p);
        share--;
    }
    loop_timer_set(w->loop, &w->drain, DRAIN_STEP_MS);
}

void ws_drain(struct ws *w, uint64_t within_ms)
{
    w->draining = true;
    w->drain_until = loop_now(w->loop) + within_ms;
    on_drain(&w->drain);
}

size_t ws_peers(const struct ws *w)
{
    return w->peers;
}

/* --- another catalogue --- */

static void adopt(struct peer *p, struct catalogue *catalogue)
{
    const struct lane *lane = catalogue_find_lane(catalogue, DIALECT_WEBSOCKET, p->lane->address);
    if (!lane && p->state != PEER_ENDING)
        peer_end(p, CLOSE_LATER, "this channel is no more");
    client_adopt(p->client, catalogue, lane);
    if (lane)
        p->lane = lane;
}

void ws_adopt(struct ws *w, struct catalogue *catalogue)
{
    for (uint32_t i = 0; i < w->slots_used; i++)
        if (w->slots[i].peer)
            adopt(w->slots[i].peer, catalogue);
    catalogue_replace(&w->client.catalogue, catalogue);
}

/* --- life cycle --- */

struct ws *ws_create(struct loop *loop, const struct client_settings *client,
    const struct ws_settings *settings, const struct ws_hooks *hooks, void *owner)
{
    struct ws *w = xcalloc(1, sizeof *w);
    w->loop = loop;
    w->client = *client;
    catalogue_hold(client->catalogue);
    w->settings = *settings;
    w->hooks = hooks;
    w->owner = owner;
    w->first_free = NO_SLOT;
    w->connections = metric_label(METRIC_CONNECTIONS, "websocket");
    w->random = random_u64() | 1;
    w->hand_over = hand_over_open();
    w->sweep.on_due = on_sweep;
    w->drain.on_due = on_drain;
    loop_timer_set(loop, &w->sweep, SWEEP_MS);
    return w;
}

void ws_destroy(struct ws *w)
{
    if (!w)
        return;
    loop_timer_clear(w->loop, &w->sweep);
    loop_timer_clear(w->loop, &w->drain);
    for (uint32_t i = 0; i < w->slots_used; i++)
        if (w->slots[i].peer)
            conn_abort(w->slots[i].peer->conn);
    loop_settle(w->loop);
    CHECK(w->peers == 0);
    hand_over_close(w->hand_over);
    json_finish(&w->scratch);
    buffer_finish(&w->text);
    free(w->slots);
    catalogue_release(w->client.catalogue);
    free(w);
}
