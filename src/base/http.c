#include "causeway/http.h"

#include <strings.h>

static const struct {
    int status;
    const char *reason;
} reasons[] = {
    {101, "Switching Protocols"},
    {200, "OK"},
    {204, "No Content"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {408, "Request Timeout"},
    {411, "Length Required"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {426, "Upgrade Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {503, "Service Unavailable"},
    {505, "HTTP Version Not Supported"},
};

static bool is_token(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static bool all(struct slice s, bool (*accept)(char))
{
    for (size_t i = 0; i < s.size; i++)
        if (!accept(s.data[i]))
            return false;
    return true;
}

static bool is_visible(char c)
{
    return (unsigned char)c > 0x20 && c != 0x7f;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_field_byte(char c)
{
    return ((unsigned char)c >= 0x20 && c != 0x7f) || c == '\t';
}

/* Cuts one line off `rest`, without its CRLF (a bare LF is accepted as an end, a bare CR is not). false:
 * none. */
static bool take_line(struct slice *rest, struct slice *line)
{
    const char *end = memchr(rest->data, '\n', rest->size);
    if (!end)
        return false;
    *line = (struct slice){rest->data, (size_t)(end - rest->data)};
    rest->size -= line->size + 1;
    rest->data = end + 1;
    if (line->size > 0 && line->data[line->size - 1] == '\r')
        line->size--;
    return true;
}

/* Cuts up to the next `separator`; the whole of it when there is none. */
static struct slice cut(struct slice *rest, char separator)
{
    const char *end = rest->size ? memchr(rest->data, separator, rest->size) : NULL;
    struct slice part = {rest->data, end ? (size_t)(end - rest->data) : rest->size};
    size_t used = part.size + (end ? 1 : 0);
    rest->data += used;
    rest->size -= used;
    return part;
}

static struct slice trim(struct slice s)
{
    while (s.size > 0 && (s.data[0] == ' ' || s.data[0] == '\t')) {
        s.data++;
        s.size--;
    }
    while (s.size > 0 && (s.data[s.size - 1] == ' ' || s.data[s.size - 1] == '\t'))
        s.size--;
    return s;
}

/* The length of a head that ends in an empty line; 0 when it does not end yet. */
static size_t head_size(const char *data, size_t size)
{
    size_t line = 0;
    for (size_t i = 0; i < size; i++) {
        if (data[i] != '\n') {
            line += data[i] != '\r';
            continue;
        }
        if (line == 0)
            return i + 1;
        line = 0;
    }
    return 0;
}

static int parse_fields(struct slice rest, struct http_head *out)
{
    struct slice line;
    out->field_count = 0;
    while (take_line(&rest, &line) && line.size > 0) {
        if (out->field_count == HTTP_HEADERS_MAX)
            return -431;
        struct slice value = line, name = cut(&value, ':');
        if (name.size == 0 || name.size == line.size || !all(name, is_token) || !all(value, is_field_byte))
            return -400;
        out->fields[out->field_count++] = (struct http_field){name, trim(value)};
    }
    return 0;
}

/* The shared beginning: how long is the head, and what is its first line? */
static int begin(const char *data, size_t size, struct slice *line, struct slice *rest)
{
    size_t length = head_size(data, size < HTTP_HEAD_MAX ? size : HTTP_HEAD_MAX);
    if (length == 0 && size >= HTTP_HEAD_MAX)
        return memchr(data, '\n', HTTP_HEAD_MAX) ? -431 : -414;
    if (length == 0)
        return 0;
    *rest = (struct slice){data, length};
    return take_line(rest, line) ? (int)length : -400;
}

static bool is_named(struct slice s, const char *name)
{
    return s.size == strlen(name) && strncasecmp(s.data, name, s.size) == 0;
}

static bool one_host(const struct http_head *h)
{
    size_t hosts = 0;
    for (size_t i = 0; i < h->field_count; i++)
        hosts += is_named(h->fields[i].name, "host");
    return hosts == 1;
}

int http_parse_request(const char *data, size_t size, struct http_head *out)
{
    struct slice line, rest;
    int length = begin(data, size, &line, &rest);
    if (length <= 0)
        return length;
    out->status = 0;
    out->method = cut(&line, ' ');
    struct slice target = cut(&line, ' ');
    if (out->method.size == 0 || !all(out->method, is_token) || !all(target, is_visible))
        return -400;
    if (!slice_is(line, "HTTP/1.1"))
        return slice_starts(line, SLICE("HTTP/")) ? -505 : -400;
    if (target.size == 0 || target.data[0] != '/')
        return -400;
    out->query = target;
    out->path = cut(&out->query, '?');
    int fault = parse_fields(rest, out);
    if (fault == 0 && !one_host(out))
        fault = -400;
    return fault ? fault : length;
}

int http_parse_response(const char *data, size_t size, struct http_head *out)
{
    struct slice line, rest;
    int length = begin(data, size, &line, &rest);
    if (length <= 0)
        return length;
    struct slice version = cut(&line, ' ');
    if (!slice_is(version, "HTTP/1.1"))
        return -505;
    struct slice status = cut(&line, ' ');
    if (status.size != 3 || !all(status, is_digit))
        return -400;
    out->method = out->path = out->query = (struct slice){NULL, 0};
    out->status = (status.data[0] - '0') * 100 + (status.data[1] - '0') * 10 + (status.data[2] - '0');
    int fault = parse_fields(rest, out);
    return fault ? fault : length;
}

bool http_field_is(const struct http_field *f, const char *name)
{
    return is_named(f->name, name);
}

struct slice http_field_find(const struct http_head *h, const char *name)
{
    for (size_t i = 0; i < h->field_count; i++)
        if (is_named(h->fields[i].name, name))
            return h->fields[i].value;
    return (struct slice){NULL, 0};
}

bool http_field_has(const struct http_head *h, const char *name, const char *token)
{
    for (size_t i = 0; i < h->field_count; i++) {
        struct slice list = is_named(h->fields[i].name, name) ? h->fields[i].value : (struct slice){NULL, 0};
        while (list.size > 0)
            if (is_named(trim(cut(&list, ',')), token))
                return true;
    }
    return false;
}

int64_t http_body_size(const struct http_head *h)
{
    int64_t size = 0;
    bool found = false;
    for (size_t i = 0; i < h->field_count; i++) {
        struct slice value = h->fields[i].value;
        if (is_named(h->fields[i].name, "transfer-encoding"))
            return -411;
        if (!is_named(h->fields[i].name, "content-length"))
            continue;
        if (found || value.size == 0 || value.size > 15 || !all(value, is_digit))
            return -400;
        found = true;
        for (size_t at = 0; at < value.size; at++)
            size = size * 10 + (value.data[at] - '0');
    }
    return size;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    char lower = (char)(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

static bool percent_decode(struct slice text, struct buffer *out)
{
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        if (c == '%') {
            int high = i + 2 < text.size ? hex_digit(text.data[i + 1]) : -1;
            int low = high >= 0 ? hex_digit(text.data[i + 2]) : -1;
            if (low < 0)
                return false;
            c = (char)(high * 16 + low);
            i += 2;
        } else if (c == '+') {
            c = ' ';
        }
        buffer_add_byte(out, c);
    }
    return true;
}

bool http_query_find(struct slice query, const char *name, struct buffer *out)
{
    buffer_clear(out);
    while (query.size > 0) {
        struct slice value = cut(&query, '&');
        if (!slice_is(cut(&value, '='), name))
            continue;
        if (!percent_decode(value, out)) {
            buffer_clear(out);
            buffer_add_slice(out, value);
        }
        return true;
    }
    return false;
}

void http_respond(struct buffer *out, int status, const char *type, const char *extra, struct slice body)
{
    http_respond_on(out, status, type, extra, body, false);
}

void http_respond_on(
    struct buffer *out, int status, const char *type, const char *extra, struct slice body, bool keep)
{
    const char *reason = "Error";
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++)
        if (reasons[i].status == status)
            reason = reasons[i].reason;
    buffer_print(out,
        "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nCache-Control: "
        "no-store\r\n%sConnection: %s\r\n\r\n",
        status, reason, type, body.size, extra, keep ? "keep-alive" : "close");
    buffer_add_slice(out, body);
}

void http_strip_body(struct buffer *response)
{
    size_t size = head_size(response->data, response->size);
    if (size > 0)
        response->size = size;
}
