/* What the fan-out writes to a socket, and the cursor that goes behind it: on WebSocket with the same write,
   while polling with the answer. */
#include "sio_guest.h"

#include "causeway/frame.h"
#include "causeway/hand_over.h"

static const struct slice NONE = {NULL, 0};

static size_t transport_write(void *transport, const struct iovec *parts, int count)
{
    struct guest *g = transport;
    struct trailer *t = &g->sio->trailer;
    bool offered = t->offered_to == g;
    t->offered_to = NULL;
    if (sio_over(g->socket))
        return 0;
    size_t taken = engine_write(sio_link(g->socket), parts, count), all = 0;
    hand_over_note(g->sio->hand_over, client_user(g->client), parts, count, taken);
    for (int i = 0; offered && i < count; i++)
        all += parts[i].iov_len;
    if (offered && taken == all)
        guest_note_told(g, (struct slice){t->cursor, t->cursor_size});
    return taken;
}

static void transport_keep(void *transport, const char *rest, size_t size)
{
    struct guest *g = transport;
    engine_keep(sio_link(g->socket), rest, size);
}

static void write_trailer(struct guest *g, struct slice cursor, struct buffer *out)
{
    struct buffer *text = &g->sio->text;
    buffer_clear(text);
    socketio_begin(text, SOCKETIO_EVENT, 0, g->lane->address, NONE);
    buffer_add_text(text, "[\"cursor\",");
    guest_write_cursor(g, cursor, text);
    buffer_add_byte(text, ']');
    buffer_clear(out);
    char *header = buffer_reserve(out, FRAME_HEADER_MAX);
    out->size = frame_header(header, FRAME_TEXT, text->size);
    buffer_add_slice(out, buffer_slice(text));
}

/* The cursor of this place, written once for all who stand in no rooms of their own. */
static void renew_trailer(struct sio *o, struct guest *g, unsigned log, uint64_t position)
{
    struct trailer *t = &o->trailer;
    if (t->lane == g->lane && t->log == log && t->position == position)
        return;
    *t = (struct trailer){.lane = g->lane, .log = log, .position = position, .frame = t->frame};
    t->cursor_size = o->client.services->cursor(o->client.services_owner, log, 0, position, t->cursor);
    char *rooms = g->rooms;
    g->rooms = NULL;
    write_trailer(g, (struct slice){t->cursor, t->cursor_size}, &t->frame);
    g->rooms = rooms;
}

/* While polling it goes with the answer instead (on_leaving). */
static struct slice transport_trailer(void *transport, unsigned log, uint64_t position)
{
    struct guest *g = transport;
    struct sio *o = g->sio;
    if (sio_over(g->socket) || !engine_on_websocket(sio_link(g->socket)))
        return NONE;
    renew_trailer(o, g, log, position);
    struct slice cursor = {o->trailer.cursor, o->trailer.cursor_size};
    if (!guest_has_news(g, cursor))
        return NONE;
    o->trailer.offered_to = g;
    if (!g->rooms)
        return buffer_slice(&o->trailer.frame);
    write_trailer(g, cursor, &o->own_trailer);
    return buffer_slice(&o->own_trailer);
}

static void transport_away(void *transport, struct session *s, struct origin *origin)
{
    struct guest *g = transport;
    client_away(g->client, s, origin);
}

static void transport_arrived(void *transport, struct session *s)
{
    struct guest *g = transport;
    client_arrived(g->client, s);
}

const struct transport_hooks guest_transport_hooks = {
    transport_write, transport_keep, transport_trailer, transport_away, transport_arrived, NULL};
