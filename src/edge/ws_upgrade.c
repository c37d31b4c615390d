/* The opening handshake: who may speak WebSocket here, and where the credential is. */
#include "ws_internal.h"

#include "causeway/metrics.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static void answer(struct conn *c, int status, const char *extra, const char *code, const char *message)
{
    struct buffer body = {0}, out = {0};
    buffer_print(&body, "{\"error\":{\"code\":\"%s\",\"message\":\"%s\"}}\n", code, message);
    http_respond(&out, status, "application/json", extra, buffer_slice(&body));
    conn_send(c, out.data, out.size);
    conn_finish(c);
    buffer_finish(&body);
    buffer_finish(&out);
}

/* RFC 6455, 4.2.2: base64 of SHA-1 of the client's key and a fixed text. */
static void derive_key(struct slice key, char out[29])
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    CHECK(context && EVP_DigestInit_ex(context, EVP_sha1(), NULL) == 1 &&
          EVP_DigestUpdate(context, key.data, key.size) == 1 &&
          EVP_DigestUpdate(context, guid, sizeof guid - 1) == 1 &&
          EVP_DigestFinal_ex(context, digest, &size) == 1);
    EVP_MD_CTX_free(context);
    EVP_EncodeBlock((unsigned char *)out, digest, (int)size);
}

void peer_open(struct peer *p)
{
    char response[256];
    int size = snprintf(response, sizeof response,
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Accept: %s\r\n%s\r\n",
        p->accept_key, p->bearer ? "Sec-WebSocket-Protocol: bearer\r\n" : "");
    p->state = PEER_OPEN;
    conn_send(p->conn, response, (size_t)size);
    conn_resume(p->conn);
}

void peer_refuse(struct peer *p, const char *why)
{
    metric_add(metric_label(METRIC_AUTH, why), 1);
    if (p->state != PEER_PARKED || p->browser) {
        peer_end(p, CLOSE_UNAUTHORIZED, why);
        return;
    }
    p->state = PEER_ENDING;
    metric_add(metric_label(METRIC_CLOSED, "401"), 1);
    answer(p->conn, 401, "WWW-Authenticate: Bearer\r\n", "unauthorized", why);
}

static bool origin_allowed(const char *list, struct slice origin)
{
    while (*list) {
        size_t size = strcspn(list, ",");
        struct slice entry = {list, size};
        while (entry.size > 0 && (entry.data[0] == ' ')) {
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

/* false: answered with the fault. */
static bool check_request(struct ws *w, struct conn *c, const struct http_head *head)
{
    struct slice key = http_field_find(head, "Sec-WebSocket-Key");
    struct slice origin = http_field_find(head, "Origin");
    if (!slice_is(head->method, "GET") || !http_field_has(head, "Connection", "upgrade") || key.size != 24) {
        answer(c, 400, "", "bad_request", "no valid WebSocket upgrade (RFC 6455)");
        return false;
    }
    if (!slice_is(http_field_find(head, "Sec-WebSocket-Version"), "13")) {
        answer(c, 426, "Sec-WebSocket-Version: 13\r\n", "bad_request", "WebSocket version 13 is spoken here");
        return false;
    }
    if (origin.size > 0 && w->settings.origins[0] && !origin_allowed(w->settings.origins, origin)) {
        answer(c, 403, "", "origin", "this origin is not in FRONTEND_URL");
        return false;
    }
    return true;
}

/* `Sec-WebSocket-Protocol: bearer, <token>`: the only header that a browser's script can fill. */
static struct slice token_of_protocols(struct slice list)
{
    static const struct slice name = {"bearer", 6};
    if (!slice_starts(list, name) || list.size <= name.size || !strchr(" ,", list.data[name.size]))
        return (struct slice){NULL, 0};
    size_t at = name.size;
    while (at < list.size && (list.data[at] == ' ' || list.data[at] == ','))
        at++;
    struct slice token = {list.data + at, 0};
    while (
        at + token.size < list.size && list.data[at + token.size] != ',' && list.data[at + token.size] != ' ')
        token.size++;
    return token;
}

/* The credential of the request, or an empty slice. `scratch` may hold it. */
static struct slice find_token(struct peer *p, const struct http_head *head, struct buffer *scratch)
{
    static const char scheme[] = "Bearer ";
    p->bearer =
        http_field_has(head, "Sec-WebSocket-Protocol", "bearer"); /* what is offered must be answered */
    struct slice value = http_field_find(head, "Authorization");
    if (value.size > sizeof scheme - 1 && strncasecmp(value.data, scheme, sizeof scheme - 1) == 0)
        return (struct slice){value.data + sizeof scheme - 1, value.size - (sizeof scheme - 1)};
    value = token_of_protocols(http_field_find(head, "Sec-WebSocket-Protocol"));
    if (value.size > 0)
        return value;
    if (http_query_find(head->query, "token", scratch))
        return buffer_slice(scratch);
    return (struct slice){NULL, 0};
}

/* `?cursor=...&rooms=a,b`: where to go on, and the rooms that were joined on request. */
static void take_resume(struct peer *p, const struct http_head *head)
{
    struct buffer cursor = {0}, rooms = {0};
    bool found = http_query_find(head->query, "cursor", &cursor);
    bool named = http_query_find(head->query, "rooms", &rooms);
    client_set_resume(p->client, found ? buffer_slice(&cursor) : (struct slice){NULL, 0},
        named ? buffer_slice(&rooms) : (struct slice){NULL, 0});
    buffer_finish(&cursor);
    buffer_finish(&rooms);
}

bool ws_accept(struct ws *w, struct conn *c, const struct http_head *head)
{
    const struct lane *lane = catalogue_find_lane(w->client.catalogue, head->path);
    if (!lane)
        return false;
    if (!check_request(w, c, head))
        return true;
    struct peer *p = peer_create(w, c, lane);
    struct buffer scratch = {0};
    p->browser = http_field_find(head, "Origin").data != NULL;
    derive_key(http_field_find(head, "Sec-WebSocket-Key"), p->accept_key);
    take_resume(p, head);
    struct slice token = find_token(p, head, &scratch);
    if (w->draining) {
        peer_end(p, CLOSE_RESTART, NULL);
    } else if (!w->hooks->started(w->owner)) {
        peer_end(p, CLOSE_LATER, "starting; come back later");
    } else if (token.size > 0) {
        conn_pause(c);
        client_authenticate(p->client, token);
    } else {
        peer_open(p);
        conn_set_deadline(c, w->settings.auth_ms);
    }
    buffer_finish(&scratch);
    return true;
}
