/* The opening handshake of WebSocket, the server's side (RFC 6455, 4.2). Pure. */
#pragma once

#include "causeway/http.h"

enum { HANDSHAKE_KEY_SIZE = 28 };

/* Why a request is no valid upgrade: HTTP status, further header lines ("" or each ending in \r\n), and
 * words.
 */
struct handshake_fault {
    int status;
    const char *extra;
    const char *text;
};

/* NULL: it is one. */
const struct handshake_fault *handshake_check(const struct http_head *head);

/* What answers the request's Sec-WebSocket-Key. */
void handshake_key(const struct http_head *head, char out[HANDSHAKE_KEY_SIZE + 1]);

/* Appends the whole answer 101; `extra` as above. */
void handshake_accept(struct buffer *out, const char *key, const char *extra);

/* May a page of this origin come here? `list` is a comma list of origins; "": any, and one without Origin is
 * no page. */
bool handshake_origin_allowed(const char *list, struct slice origin);
