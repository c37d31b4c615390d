#include "causeway/socketio.h"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static struct slice take_digits(struct slice *rest)
{
    struct slice digits = {rest->data, 0};
    while (digits.size < rest->size && is_digit(rest->data[digits.size]))
        digits.size++;
    rest->data += digits.size;
    rest->size -= digits.size;
    return digits;
}

/* "3-": how many messages of bytes follow. */
static bool take_attachments(struct slice *rest, unsigned *count)
{
    struct slice digits = take_digits(rest);
    *count = 0;
    for (size_t i = 0; i < digits.size && *count <= SOCKETIO_ATTACHMENTS_MAX; i++)
        *count = *count * 10 + (unsigned)(digits.data[i] - '0');
    if (*count == 0 || *count > SOCKETIO_ATTACHMENTS_MAX || rest->size == 0 || rest->data[0] != '-')
        return false;
    rest->data++;
    rest->size--;
    return true;
}

/* "/chat," or "/chat" at the end. */
static struct slice take_namespace(struct slice *rest)
{
    if (rest->size == 0 || rest->data[0] != '/')
        return SLICE("/");
    const char *comma = memchr(rest->data, ',', rest->size);
    struct slice name = {rest->data, comma ? (size_t)(comma - rest->data) : rest->size};
    size_t used = name.size + (comma ? 1 : 0);
    rest->data += used;
    rest->size -= used;
    return name;
}

static bool has_attachments(enum socketio_type type)
{
    return type == SOCKETIO_BINARY_EVENT || type == SOCKETIO_BINARY_ACK;
}

static bool is_blank(struct slice text)
{
    for (size_t i = 0; i < text.size; i++)
        if (!strchr(" \t\r\n", text.data[i]) || text.data[i] == '\0')
            return false;
    return true;
}

const char *socketio_parse(struct slice text, struct socketio_packet *out)
{
    *out = (struct socketio_packet){.json = text};
    if (text.size == 0 || text.data[0] < '0' || text.data[0] > '6')
        return "unknown packet type";
    out->type = (enum socketio_type)(text.data[0] - '0');
    out->json.data++;
    out->json.size--;
    if (has_attachments(out->type) && !take_attachments(&out->json, &out->attachments))
        return "a binary packet has 1 to 10 attachments";
    out->namespace = take_namespace(&out->json);
    if (out->namespace.size > SOCKETIO_NAMESPACE_MAX)
        return "namespace too long";
    out->id = take_digits(&out->json);
    if (out->id.size > SOCKETIO_ID_MAX)
        return "acknowledgement id too long";
    if (is_blank(out->json))
        out->json.size = 0;
    return NULL;
}

/* --- what follows the head --- */

static bool is_reserved(const struct json *j, uint32_t name)
{
    static const char *const reserved[] = {
        "connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"};
    for (size_t i = 0; i < sizeof reserved / sizeof reserved[0]; i++)
        if (json_string_is(j, name, slice_of(reserved[i])))
            return true;
    return false;
}

static bool is_event(const struct json *j)
{
    uint32_t name = json_first(j, 0);
    return json_type(j, 0) == JSON_ARRAY && name != JSON_NONE &&
           (json_type(j, name) == JSON_NUMBER || json_type(j, name) == JSON_STRING) && !is_reserved(j, name);
}

const char *socketio_check(const struct socketio_packet *p, const struct json *j)
{
    bool empty = p->json.size == 0;
    switch (p->type) {
    case SOCKETIO_CONNECT:
        return empty || json_type(j, 0) == JSON_OBJECT ? NULL : "CONNECT has an object or nothing";
    case SOCKETIO_DISCONNECT:
        return empty ? NULL : "DISCONNECT has nothing";
    case SOCKETIO_EVENT:
    case SOCKETIO_BINARY_EVENT:
        return !empty && is_event(j) ? NULL : "an event is an array that begins with its name";
    case SOCKETIO_ACK:
    case SOCKETIO_BINARY_ACK:
        return !empty && json_type(j, 0) == JSON_ARRAY ? NULL : "an acknowledgement is an array";
    case SOCKETIO_CONNECT_ERROR:
        break;
    }
    return "only servers send CONNECT_ERROR";
}

bool socketio_placeholders_fit(const struct json *j, unsigned attachments)
{
    for (uint32_t n = 0; n < j->used; n++) {
        uint32_t mark = j->nodes[n].type == JSON_OBJECT ? json_find(j, n, SLICE("_placeholder")) : JSON_NONE;
        if (mark == JSON_NONE || json_type(j, mark) != JSON_TRUE)
            continue;
        int64_t number;
        if (!json_int64(j, json_find(j, n, SLICE("num")), &number) || number < 0 || number >= attachments)
            return false;
    }
    return true;
}

/* --- writing --- */

void socketio_begin(struct buffer *out, enum socketio_type type, unsigned attachments, struct slice namespace,
    struct slice id)
{
    buffer_print(out, "4%d", (int)type);
    if (has_attachments(type))
        buffer_print(out, "%u-", attachments);
    if (!slice_is(namespace, "/")) {
        buffer_add_slice(out, namespace);
        buffer_add_byte(out, ',');
    }
    buffer_add_slice(out, id);
}
