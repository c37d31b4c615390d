/* A document of several files as one. */
#include "causeway/document.h"

enum { DEPTH_MAX = 200, VALUES_MAX = 1000000 };

struct bundle {
    const struct document *document;
    const struct node *servers; /* of the main document */
    struct buffer *out;
    int left;
};

static bool write(struct bundle *b, const struct node *n, int depth);

static bool write_all(struct bundle *b, const struct node *n, int depth)
{
    bool map = node_type(n) == DOCUMENT_MAP;
    buffer_add_byte(b->out, map ? '{' : '[');
    for (size_t i = 0; i < node_count(n); i++) {
        if (i > 0)
            buffer_add_byte(b->out, ',');
        if (map) {
            buffer_add_json_text(b->out, node_key(n, i));
            buffer_add_byte(b->out, ':');
        }
        if (!write(b, map ? node_value_raw(n, i) : node_at_raw(n, i), depth + 1))
            return false;
    }
    buffer_add_byte(b->out, map ? '}' : ']');
    return true;
}

static bool is_in_main(const struct node *n)
{
    int file;
    node_document(n, &file);
    return file == 0;
}

static void write_reference(struct bundle *b, struct slice pointer)
{
    buffer_add_text(b->out, "{\"$ref\":");
    buffer_add_json_text(b->out, pointer);
    buffer_add_byte(b->out, '}');
}

/* A channel's server is a server of the main document; the main document's own is written there. */
static bool write_server(struct bundle *b, const struct node *reference, const struct node *target)
{
    for (size_t i = 0; i < node_count(b->servers); i++) {
        const struct node *server = node_value_raw(b->servers, i);
        if (server == reference || node_resolve(server) != target)
            continue;
        struct buffer pointer = {0};
        buffer_print(&pointer, "#/servers/%.*s", SLICE_ARGS(node_key(b->servers, i)));
        write_reference(b, buffer_slice(&pointer));
        buffer_finish(&pointer);
        return true;
    }
    return false;
}

static bool write(struct bundle *b, const struct node *n, int depth)
{
    if (!n || depth > DEPTH_MAX || --b->left < 0)
        return false;
    const struct node *target = node_follow(n);
    if (!target) {
        bool branches = node_type(n) == DOCUMENT_MAP || node_type(n) == DOCUMENT_LIST;
        return branches ? write_all(b, n, depth) : node_write_json_raw(n, b->out);
    }
    struct slice text = node_text(node_find_raw(n, "$ref"));
    if (is_in_main(n) && text.data[0] == '#') {
        write_reference(b, text);
        return true;
    }
    if (is_in_main(target)) {
        struct buffer pointer = {0};
        node_write_pointer(target, &pointer);
        write_reference(b, buffer_slice(&pointer));
        buffer_finish(&pointer);
        return true;
    }
    return write_server(b, n, node_resolve(n)) || write(b, target, depth + 1);
}

bool document_write_json(const struct document *d, struct buffer *out)
{
    const struct node *root = document_root(d, 0);
    struct bundle b = {d, node_find_raw(root, "servers"), out, VALUES_MAX};
    size_t before = out->size;
    if (write(&b, root, 1))
        return true;
    out->size = before;
    return false;
}
