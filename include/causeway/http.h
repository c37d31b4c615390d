/* The head of an HTTP/1.1 request or response, parsed in place, without I/O. Strict where laxness has been an
   attack: no obsolete line folding, no bare CR, no spaces before the colon, one Host. Bodies are not read. */
#pragma once

#include "causeway/buffer.h"

#include <stdint.h>

enum { HTTP_HEADERS_MAX = 64, HTTP_HEAD_MAX = 16384 };

struct http_field {
    struct slice name;
    struct slice value; /* without white space around it */
};

/* Views into the parsed bytes. */
struct http_head {
    struct slice method; /* requests */
    struct slice path;   /* requests: before '?' */
    struct slice query;  /* requests: behind '?' */
    int status;          /* responses */
    struct http_field fields[HTTP_HEADERS_MAX];
    size_t field_count;
};

/* Returns the length of the head; 0: not whole yet; negative: minus the HTTP status to answer (400, 414, 431,
 * 505). */
int http_parse_request(const char *data, size_t size, struct http_head *out);
int http_parse_response(const char *data, size_t size, struct http_head *out);

bool http_field_is(const struct http_field *f, const char *name);

/* Value of the first field of that name (case-insensitive); NULL data when absent. */
struct slice http_field_find(const struct http_head *h, const char *name);

/* Does the comma list of a header, which may be spread over several fields, contain this token
 * (case-insensitive)? */
bool http_field_has(const struct http_head *h, const char *name, const char *token);

/* The length of the body that follows: 0 without one, negative: minus the HTTP status to answer. Chunked
   bodies are not read (411), nor what could be read in two ways (400). */
int64_t http_body_size(const struct http_head *h);

/* Percent-decoded value of a query parameter, into `out` (cleared first); one that is badly encoded as it
   came, so that nobody takes it for none. false: absent. */
bool http_query_find(struct slice query, const char *name, struct buffer *out);

/* A whole response. `extra` is further header lines, each ending in \r\n, or "". `keep`: the connection may
 * bring another request. */
void http_respond(struct buffer *out, int status, const char *type, const char *extra, struct slice body);
void http_respond_on(
    struct buffer *out, int status, const char *type, const char *extra, struct slice body, bool keep);

/* Keeps the head of such a response only: what HEAD is answered with. */
void http_strip_body(struct buffer *response);
