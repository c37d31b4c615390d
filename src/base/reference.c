/* The `$ref`s of a document: which file a reference names, and which node its pointer (RFC 6901, in a URI
 * fragment). */
#include "causeway/document.h"

enum { HOPS_MAX = 100 };

static int hex_value(char c)
{
    const char *all = "0123456789abcdef";
    const char *found = c ? strchr(all, c >= 'A' && c <= 'F' ? c | 0x20 : c) : NULL;
    return found ? (int)(found - all) : -1;
}

/* Appends `text` without its %XX; false: a broken one, or a NUL. */
static bool decode_percent(struct slice text, struct buffer *out)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] != '%') {
            buffer_add_byte(out, text.data[i]);
            continue;
        }
        int high = i + 2 < text.size ? hex_value(text.data[i + 1]) : -1;
        int low = i + 2 < text.size ? hex_value(text.data[i + 2]) : -1;
        if (high < 0 || low < 0 || high + low == 0)
            return false;
        buffer_add_byte(out, (char)(high << 4 | low));
        i += 2;
    }
    return true;
}

/* `text` up to the first `separator`; *rest is what follows it, with NULL data when there is none. */
static struct slice cut(struct slice text, char separator, struct slice *rest)
{
    const char *found = text.size ? memchr(text.data, separator, text.size) : NULL;
    if (!found) {
        *rest = (struct slice){0};
        return text;
    }
    size_t size = (size_t)(found - text.data);
    *rest = (struct slice){found + 1, text.size - size - 1};
    return (struct slice){text.data, size};
}

/* "http://...", "urn:...", "/absolute": not files beside this one. */
static bool is_relative(struct slice path)
{
    if (path.size == 0 || path.data[0] == '/')
        return false;
    struct slice rest;
    return !memchr(path.data, ':', cut(path, '/', &rest).size);
}

/* Appends the segments of `relative` to the directory `path`; "." and ".." are taken as words, symbolic links
 * stay. */
static void join(struct buffer *path, struct slice relative)
{
    while (relative.data) {
        struct slice segment = cut(relative, '/', &relative);
        if (slice_is(segment, "..")) {
            while (path->size > 0 && path->data[--path->size] != '/')
                ;
        } else if (segment.size > 0 && !slice_is(segment, ".")) {
            buffer_add_byte(path, '/');
            buffer_add_slice(path, segment);
        }
    }
}

bool document_reference_path(const struct document *d, int file, struct slice reference, struct buffer *path)
{
    struct slice pointer;
    struct slice name = cut(reference, '#', &pointer);
    if (!is_relative(name))
        return false;
    struct buffer decoded = {0};
    bool ok = decode_percent(name, &decoded);
    if (ok) {
        const char *base = document_path(d, file);
        const char *slash = strrchr(base, '/');
        buffer_clear(path);
        buffer_add(path, base, slash ? (size_t)(slash - base) : 0);
        join(path, buffer_slice(&decoded));
    }
    buffer_finish(&decoded);
    return ok;
}

/* --- pointers --- */

/* Replaces ~1 and ~0 of a pointer's token; false: another use of '~'. */
static bool decode_token(struct slice token, struct buffer *out)
{
    buffer_clear(out);
    for (size_t i = 0; i < token.size; i++) {
        char c = token.data[i];
        if (c == '~') {
            if (++i == token.size || (token.data[i] != '0' && token.data[i] != '1'))
                return false;
            c = token.data[i] == '0' ? '~' : '/';
        }
        buffer_add_byte(out, c);
    }
    return true;
}

static const struct node *element(const struct node *list, struct slice token)
{
    if (token.size == 0 || token.size > 9 || (token.data[0] == '0' && token.size > 1))
        return NULL;
    size_t index = 0;
    for (size_t i = 0; i < token.size; i++) {
        if (token.data[i] < '0' || token.data[i] > '9')
            return NULL;
        index = index * 10 + (size_t)(token.data[i] - '0');
    }
    return node_at_raw(list, index);
}

static const struct node *resolve(const struct node *n, int *hops);

static const struct node *child(const struct node *n, struct slice token)
{
    return node_type(n) == DOCUMENT_LIST ? element(n, token) : node_member(n, token);
}

/* `pointer` without its leading slash: one token per segment. What stands beside a $ref can be pointed at. */
static const struct node *walk(const struct node *n, struct slice pointer, int *hops)
{
    struct buffer token = {0};
    while (n && pointer.data) {
        struct slice segment = cut(pointer, '/', &pointer);
        if (!decode_token(segment, &token)) {
            n = NULL;
            break;
        }
        const struct node *found = child(n, buffer_slice(&token));
        n = found ? found : child(resolve(n, hops), buffer_slice(&token));
    }
    buffer_finish(&token);
    return n;
}

static const struct node *find_pointer(const struct node *root, struct slice pointer, int *hops)
{
    struct buffer decoded = {0};
    const struct node *found = NULL;
    if (pointer.size == 0)
        found = root;
    else if (decode_percent(pointer, &decoded) && decoded.data[0] == '/')
        found = walk(root, (struct slice){decoded.data + 1, decoded.size - 1}, hops);
    buffer_finish(&decoded);
    return found;
}

/* --- following --- */

/* A map with a string "$ref"; a schema may have a property of that name, whose value is a map. */
static const struct node *reference_of(const struct node *n)
{
    const struct node *reference = node_find_raw(n, "$ref");
    return node_type(reference) == DOCUMENT_STRING ? reference : NULL;
}

static const struct node *follow(const struct node *n, int *hops)
{
    int file;
    const struct document *d = node_document(n, &file);
    struct slice reference = node_text(reference_of(n)), pointer;
    if (cut(reference, '#', &pointer).size > 0) {
        struct buffer path = {0};
        bool local = document_reference_path(d, file, reference, &path);
        file = local ? document_file(d, buffer_text(&path)) : -1;
        buffer_finish(&path);
    }
    return find_pointer(document_root(d, file), pointer, hops);
}

/* All hops of one call count together, so that circles end wherever they close. */
static const struct node *resolve(const struct node *n, int *hops)
{
    while (reference_of(n))
        n = --*hops < 0 ? NULL : follow(n, hops);
    return n;
}

const struct node *node_find_pointer(const struct node *root, struct slice pointer)
{
    int hops = HOPS_MAX;
    return find_pointer(root, pointer, &hops);
}

const struct node *node_resolve(const struct node *n)
{
    int hops = HOPS_MAX;
    return resolve(n, &hops);
}

const struct node *node_follow(const struct node *n)
{
    int hops = HOPS_MAX;
    return reference_of(n) ? follow(n, &hops) : NULL;
}

/* --- the way back --- */

/* Nodes do not know their parents, so the file is searched for the node; only faults ask. */
static bool write_way(const struct node *from, const struct node *to, struct buffer *out)
{
    size_t before = out->size;
    if (from == to)
        return true;
    for (size_t i = 0; i < node_count(from); i++) {
        bool list = node_type(from) == DOCUMENT_LIST;
        if (list)
            buffer_print(out, "/%zu", i);
        else
            buffer_add_pointer_token(out, node_key(from, i));
        if (write_way(list ? node_at_raw(from, i) : node_value_raw(from, i), to, out))
            return true;
        out->size = before;
    }
    return false;
}

void node_write_pointer(const struct node *n, struct buffer *out)
{
    int file;
    const struct document *d = node_document(n, &file);
    buffer_add_byte(out, '#');
    (void)write_way(document_root(d, file), n, out);
}
