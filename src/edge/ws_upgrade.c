/* The opening handshake: who may speak WebSocket here, and where the credential is. */
#include "ws_internal.h"

#include "causeway/metrics.h"

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

void peer_open(struct peer *p)
{
    struct buffer out = {0};
    handshake_accept(&out, p->accept_key, p->bearer ? "Sec-WebSocket-Protocol: bearer\r\n" : "");
    p->state = PEER_OPEN;
    conn_send(p->conn, out.data, out.size);
    conn_resume(p->conn);
    buffer_finish(&out);
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

void peer_limit(struct peer *p, enum limit limit, uint64_t retry_ms)
{
    static const char *const texts[LIMIT_COUNT] = {
        [LIMIT_MESSAGES] = "too many messages",
        [LIMIT_USER_CONNECTIONS] = "too many connections of this user",
        [LIMIT_ADDRESS_FAILURES] = "too many bad credentials from this address",
    };
    char text[100], extra[40];
    snprintf(text, sizeof text, "%s; come back after %llu ms", texts[limit], (unsigned long long)retry_ms);
    if (p->state != PEER_PARKED || p->browser) {
        peer_end(p, CLOSE_RATE, text);
        return;
    }
    snprintf(extra, sizeof extra, "Retry-After: %llu\r\n", (unsigned long long)(retry_ms + 999) / 1000);
    p->state = PEER_ENDING;
    metric_add(metric_label(METRIC_CLOSED, "429"), 1);
    answer(p->conn, 429, extra, "rate_limited", text);
}

/* false: answered with the fault. */
static bool check_request(struct ws *w, struct conn *c, const struct http_head *head)
{
    const struct handshake_fault *fault = handshake_check(head);
    if (fault)
        answer(c, fault->status, fault->extra, "bad_request", fault->text);
    else if (!handshake_origin_allowed(w->settings.origins, http_field_find(head, "Origin")))
        answer(c, 403, "", "origin", "this origin is not in FRONTEND_URL");
    else
        return true;
    return false;
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
    const struct lane *lane = catalogue_find_lane(w->client.catalogue, DIALECT_WEBSOCKET, head->path);
    if (!lane)
        return false;
    if (!check_request(w, c, head))
        return true;
    struct peer *p = peer_create(w, c, lane);
    struct buffer scratch = {0};
    p->browser = http_field_find(head, "Origin").data != NULL;
    handshake_key(head, p->accept_key);
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
