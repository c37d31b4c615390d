#include "causeway/uri.h"

/* A part that is not there has NULL data; one that is empty has not. The path is always there. */
struct parts {
    struct slice scheme, authority, path, query, fragment;
};

static bool is_alpha(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_hex(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static struct slice behind(struct slice s, size_t count)
{
    return (struct slice){s.data + count, s.size - count};
}

/* --- taking apart (RFC 3986, appendix B) --- */

/* Cuts *rest at the first character of `ends`, which stays in it. */
static struct slice cut(struct slice *rest, const char *ends)
{
    size_t size = 0;
    while (size < rest->size && (rest->data[size] == '\0' || !strchr(ends, rest->data[size])))
        size++;
    struct slice head = {rest->data, size};
    *rest = behind(*rest, size);
    return head;
}

static struct parts split(struct slice text)
{
    struct parts p = {0};
    struct slice rest = {text.data ? text.data : "", text.size}, probe = rest;
    struct slice head = cut(&probe, ":/?#");
    if (probe.size > 0 && *probe.data == ':') {
        p.scheme = head;
        rest = behind(probe, 1);
    }
    if (slice_starts(rest, SLICE("//"))) {
        rest = behind(rest, 2);
        p.authority = cut(&rest, "/?#");
    }
    p.path = cut(&rest, "?#");
    if (rest.size > 0 && *rest.data == '?') {
        rest = behind(rest, 1);
        p.query = cut(&rest, "#");
    }
    if (rest.size > 0)
        p.fragment = behind(rest, 1);
    return p;
}

struct slice uri_without_fragment(struct slice text, struct slice *fragment)
{
    struct slice rest = {text.data ? text.data : "", text.size};
    struct slice head = cut(&rest, "#");
    *fragment = rest.size > 0 ? behind(rest, 1) : (struct slice){0};
    return head;
}

/* --- addresses --- */

bool uri_is_ipv4(struct slice text)
{
    size_t at = 0;
    for (int part = 0; part < 4; part++) {
        if (part > 0 && (at == text.size || text.data[at++] != '.'))
            return false;
        size_t first = at;
        unsigned value = 0;
        while (at < text.size && is_digit(text.data[at]) && at - first < 3)
            value = value * 10 + (unsigned)(text.data[at++] - '0');
        bool leading_zero = at - first > 1 && text.data[first] == '0';
        if (at == first || value > 255 || leading_zero)
            return false;
    }
    return at == text.size;
}

/* Groups of hexadecimal digits up to `end`; the last two may be an IPv4 address. -1: they are none. */
static int count_groups(struct slice text, bool last)
{
    int groups = 0;
    while (text.size > 0) {
        struct slice group = cut(&text, ":");
        if (last && text.size == 0 && memchr(group.data, '.', group.size))
            return uri_is_ipv4(group) ? groups + 2 : -1;
        for (size_t i = 0; i < group.size; i++)
            if (!is_hex(group.data[i]))
                return -1;
        if (group.size == 0 || group.size > 4 || text.size == 1)
            return -1;
        groups++;
        if (text.size > 0)
            text = behind(text, 1);
    }
    return groups;
}

bool uri_is_ipv6(struct slice text)
{
    for (size_t i = 0; i + 1 < text.size; i++) {
        if (text.data[i] != ':' || text.data[i + 1] != ':')
            continue;
        int before = count_groups((struct slice){text.data, i}, false);
        int after = count_groups(behind(text, i + 2), true);
        return before >= 0 && after >= 0 && before + after < 8;
    }
    return text.size > 0 && count_groups(text, true) == 8;
}

/* --- judging --- */

/* Unreserved characters, sub-delims, %XX and those of `more`. */
static bool has_only(struct slice text, const char *more, bool international)
{
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        if (c == '%') {
            if (i + 2 >= text.size || !is_hex(text.data[i + 1]) || !is_hex(text.data[i + 2]))
                return false;
            i += 2;
        } else if ((unsigned char)c >= 0x80) {
            if (!international)
                return false;
        } else if (!is_alpha(c) && !is_digit(c) &&
                   (c == '\0' || (!strchr("-._~!$&'()*+,;=", c) && !strchr(more, c)))) {
            return false;
        }
    }
    return true;
}

static bool is_port(struct slice text)
{
    for (size_t i = 0; i < text.size; i++)
        if (!is_digit(text.data[i]))
            return false;
    return true;
}

/* [user@]host[:port] */
static bool is_authority(struct slice text, bool international)
{
    struct slice rest = text, user = cut(&rest, "@");
    if (rest.size > 0) {
        text = behind(rest, 1);
        if (!has_only(user, ":", international))
            return false;
    }
    if (slice_starts(text, SLICE("["))) {
        rest = behind(text, 1);
        struct slice literal = cut(&rest, "]");
        bool future = literal.size > 0 && (literal.data[0] | 0x20) == 'v' && has_only(literal, ":", false);
        if (rest.size == 0 || !(uri_is_ipv6(literal) || future))
            return false;
        rest = behind(rest, 1);
        return rest.size == 0 || (rest.data[0] == ':' && is_port(behind(rest, 1)));
    }
    rest = text;
    struct slice host = cut(&rest, ":");
    return has_only(host, "", international) && (rest.size == 0 || is_port(behind(rest, 1)));
}

static bool is_scheme(struct slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        if (!is_alpha(c) && (i == 0 || !(is_digit(c) || c == '+' || c == '-' || c == '.')))
            return false;
    }
    return text.size > 0;
}

static bool is_good(const struct parts *p, bool international)
{
    return (!p->scheme.data || is_scheme(p->scheme)) &&
           (!p->authority.data || is_authority(p->authority, international)) &&
           has_only(p->path, "/:@", international) && has_only(p->query, "/?:@", international) &&
           has_only(p->fragment, "/?:@", international);
}

bool uri_is_absolute(struct slice text, bool international)
{
    struct parts p = split(text);
    return p.scheme.data && is_good(&p, international);
}

bool uri_is_reference(struct slice text, bool international)
{
    struct parts p = split(text);
    return is_good(&p, international);
}

/* --- resolving --- */

/* Appends the path without its "." and ".." (5.2.4). */
static void add_without_dots(struct slice path, struct buffer *out)
{
    size_t start = out->size;
    while (path.size > 0) {
        bool slash = path.data[0] == '/';
        struct slice rest = slash ? behind(path, 1) : path, segment = cut(&rest, "/");
        bool last = rest.size == 0;
        if (slice_is(segment, "..")) {
            while (out->size > start && out->data[--out->size] != '/')
                ;
        } else if (!slice_is(segment, ".")) {
            if (slash)
                buffer_add_byte(out, '/');
            buffer_add_slice(out, segment);
        }
        if (last && (slice_is(segment, ".") || slice_is(segment, "..")) && slash)
            buffer_add_byte(out, '/');
        path = rest;
    }
}

/* The base's path up to its last slash, and the reference's (5.2.3). */
static void add_merged(const struct parts *base, struct slice path, struct buffer *out)
{
    struct buffer merged = {0};
    size_t kept = base->path.size;
    while (kept > 0 && base->path.data[kept - 1] != '/')
        kept--;
    if (base->authority.data && base->path.size == 0)
        buffer_add_byte(&merged, '/');
    buffer_add(&merged, base->path.data, kept);
    buffer_add_slice(&merged, path);
    add_without_dots(buffer_slice(&merged), out);
    buffer_finish(&merged);
}

static void add_part(struct buffer *out, const char *before, struct slice part, const char *after)
{
    if (!part.data)
        return;
    buffer_add_text(out, before);
    buffer_add_slice(out, part);
    buffer_add_text(out, after);
}

void uri_resolve(struct slice base_text, struct slice reference, struct buffer *out)
{
    struct parts base = split(base_text), r = split(reference);
    bool own_authority = r.scheme.data || r.authority.data;
    add_part(out, "", r.scheme.data ? r.scheme : base.scheme, ":");
    add_part(out, "//", own_authority ? r.authority : base.authority, "");
    if (own_authority || (r.path.size > 0 && r.path.data[0] == '/'))
        add_without_dots(r.path, out);
    else if (r.path.size > 0)
        add_merged(&base, r.path, out);
    else
        buffer_add_slice(out, base.path);
    bool own_query = own_authority || r.path.size > 0 || r.query.data;
    add_part(out, "?", own_query ? r.query : base.query, "");
}
