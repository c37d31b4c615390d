#include "causeway/handshake.h"

#include "causeway/base64.h"
#include "causeway/sha1.h"

enum { REQUEST_KEY_SIZE = 24 };

const struct handshake_fault *handshake_check(const struct http_head *head)
{
    static const struct handshake_fault invalid = {400, "", "no valid WebSocket upgrade (RFC 6455)"};
    static const struct handshake_fault version = {
        426, "Sec-WebSocket-Version: 13\r\n", "WebSocket version 13 is spoken here"};
    if (!slice_is(head->method, "GET") || !http_field_has(head, "Connection", "upgrade") ||
        http_field_find(head, "Sec-WebSocket-Key").size != REQUEST_KEY_SIZE)
        return &invalid;
    return slice_is(http_field_find(head, "Sec-WebSocket-Version"), "13") ? NULL : &version;
}

/* Base64 of SHA-1 of the client's key and a fixed text. */
void handshake_key(const struct http_head *head, char out[HANDSHAKE_KEY_SIZE + 1])
{
    unsigned char digest[SHA1_SIZE];
    struct buffer text = {0};
    buffer_add_slice(&text, http_field_find(head, "Sec-WebSocket-Key"));
    buffer_add_text(&text, "258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    sha1(buffer_slice(&text), digest);
    buffer_clear(&text);
    base64_encode(&text, (struct slice){(const char *)digest, sizeof digest});
    CHECK(text.size == HANDSHAKE_KEY_SIZE);
    memcpy(out, buffer_text(&text), HANDSHAKE_KEY_SIZE + 1);
    buffer_finish(&text);
}

void handshake_accept(struct buffer *out, const char *key, const char *extra)
{
    buffer_print(out,
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Accept: %s\r\n%s\r\n",
        key, extra);
}

bool handshake_origin_allowed(const char *list, struct slice origin)
{
    if (origin.size == 0 || !*list)
        return true;
    while (*list) {
        size_t size = strcspn(list, ",");
        struct slice entry = {list, size};
        while (entry.size > 0 && entry.data[0] == ' ') {
            entry.data++;
            entry.size--;
        }
        while (entry.size > 0 && (entry.data[entry.size - 1] == ' ' || entry.data[entry.size - 1] == '/'))
            entry.size--;
        if (slice_equal(entry, origin))
            return true;
        list += size + (list[size] == ',');
    }
    return false;
}
