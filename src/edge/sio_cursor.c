/* Cursors as this protocol has them. What a client sends back is all there is to resuming: the cursor, and
   behind '~' the rooms that it joined on request; "~*" when they are too many to be named. */
#include "sio_guest.h"

#include "causeway/memory.h"

#include <stdlib.h>

enum {
    ROOMS_TEXT_MAX = 4096,  /* of the rooms that a cursor names ... */
    ROOMS_TEXT_SMALL = 256, /* ... and beyond this it comes at most so often: */
    LONG_CURSOR_MS = 1000,
};

static void renew_rooms(struct guest *g)
{
    struct buffer names = {0};
    g->rooms_changed = false;
    g->whole = client_requested_rooms(g->client, &names, ROOMS_TEXT_MAX);
    free(g->rooms);
    g->rooms = names.size > 0 ? xstrdup(g->whole ? buffer_text(&names) : "*") : NULL;
    buffer_finish(&names);
}

/* Appends ["cursor","..."]'s argument. */
void guest_write_cursor(const struct guest *g, struct slice cursor, struct buffer *out)
{
    if (!g->rooms) {
        buffer_print(out, "\"%.*s\"", SLICE_ARGS(cursor));
        return;
    }
    struct buffer text = {0};
    buffer_print(&text, "%.*s~%s", SLICE_ARGS(cursor), g->rooms);
    buffer_add_json_text(out, buffer_slice(&text));
    buffer_finish(&text);
}

/* Is this cursor worth sending? */
bool guest_has_news(struct guest *g, struct slice cursor)
{
    bool changed = g->rooms_changed;
    if (cursor.size == 0 || (!changed && slice_is(cursor, g->cursor)))
        return false;
    if (changed)
        renew_rooms(g);
    bool large = g->rooms && strlen(g->rooms) > ROOMS_TEXT_SMALL;
    return changed || !large || loop_now(g->sio->loop) - g->told_at >= LONG_CURSOR_MS;
}

void guest_note_told(struct guest *g, struct slice cursor)
{
    g->told_at = loop_now(g->sio->loop);
    memcpy(g->cursor, cursor.data, cursor.size);
    g->cursor[cursor.size] = '\0';
}

void guest_emit_cursor(struct guest *g, struct slice cursor)
{
    if (!guest_has_news(g, cursor))
        return;
    guest_note_told(g, cursor);
    struct buffer *out = &g->sio->text;
    buffer_clear(out);
    guest_write_cursor(g, cursor, out);
    sio_emit(g->socket, "cursor", buffer_slice(out));
}

/* Before a client is told that it stands in a room, it must have a cursor that says so. */
void guest_note_rooms(struct guest *g, const char *type)
{
    if (strcmp(type, "room-joined") != 0 && strcmp(type, "room-left") != 0)
        return;
    char cursor[CURSOR_TEXT_MAX + 1];
    size_t size = client_place_cursor(g->client, cursor);
    g->rooms_changed = true;
    if (size == 0) {
        size = strlen(g->cursor);
        memcpy(cursor, g->cursor, size);
    }
    guest_emit_cursor(g, (struct slice){cursor, size});
}

void guest_tell_cursor(struct guest *g, size_t (*get)(struct client *c, char out[CURSOR_TEXT_MAX + 1]))
{
    char cursor[CURSOR_TEXT_MAX + 1];
    guest_emit_cursor(g, (struct slice){cursor, get(g->client, cursor)});
}

/* Where to go on: what the client's own recovery sends (`offset`, with its `pid`), or the application
   (`cursor`); the rooms are named behind it, or in `rooms`. */
void guest_take_resume(struct guest *g, const struct json *j, uint32_t auth)
{
    struct buffer scratch = {0}, name = {0}, rooms = {0};
    struct slice pid = json_string(j, json_find(j, auth, SLICE("pid")), &scratch);
    if (pid.size > 0 && pid.size <= PID_MAX && engine_could_be_id(pid))
        memcpy(g->pid, pid.data, pid.size);
    struct slice cursor = json_string(j, json_find(j, auth, SLICE("cursor")), &scratch);
    if (cursor.size == 0)
        cursor = json_string(j, json_find(j, auth, SLICE("offset")), &scratch);
    const char *mark = cursor.size ? memchr(cursor.data, '~', cursor.size) : NULL;
    if (mark) {
        size_t behind = (size_t)(cursor.data + cursor.size - mark) - 1;
        g->whole = !slice_is((struct slice){mark + 1, behind}, "*");
        buffer_add(&rooms, mark + 1, g->whole ? behind : 0);
        cursor.size = (size_t)(mark - cursor.data);
    }
    uint32_t list = json_find(j, auth, SLICE("rooms"));
    for (uint32_t n = json_first(j, list); n != JSON_NONE; n = json_after(j, list, n)) {
        buffer_add_text(&rooms, rooms.size ? "," : "");
        buffer_add_slice(&rooms, json_string(j, n, &name));
    }
    client_set_resume(g->client, cursor, buffer_slice(&rooms));
    buffer_finish(&scratch);
    buffer_finish(&name);
    buffer_finish(&rooms);
}
