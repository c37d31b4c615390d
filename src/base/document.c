#include "causeway/document.h"

#include "causeway/map.h"
#include "causeway/memory.h"
#include "causeway/scalar.h"

#include <stdlib.h>

enum {
    FEW_MEMBERS = 16, /* larger maps get an index */
    WRITE_DEPTH_MAX = 500,
    WRITE_VALUES_MAX = 1000000 /* references into references multiply */
};

struct member {
    struct slice key; /* empty in lists */
    struct node *value;
};

struct node {
    const struct document *document;
    struct node *created_before; /* all nodes of the document in one chain, for destroying */
    enum document_type type;
    int file;
    int line;
    struct slice text;
    struct member *members;
    size_t count, capacity;
    struct map *index; /* of large maps: key to value */
};

struct file {
    char *path;
    struct node *root;
};

struct document {
    struct file *files;
    int file_count;
    struct node *last_node;
};

/* --- building --- */

struct document *document_create(void)
{
    return xcalloc(1, sizeof(struct document));
}

static void destroy_node(struct node *n)
{
    if (n->type == DOCUMENT_MAP)
        for (size_t i = 0; i < n->count; i++)
            free((char *)n->members[i].key.data);
    free((char *)n->text.data);
    free(n->members);
    map_destroy(n->index);
    free(n);
}

void document_destroy(struct document *d)
{
    if (!d)
        return;
    while (d->last_node) {
        struct node *n = d->last_node;
        d->last_node = n->created_before;
        destroy_node(n);
    }
    for (int i = 0; i < d->file_count; i++)
        free(d->files[i].path);
    free(d->files);
    free(d);
}

int document_add_file(struct document *d, const char *path)
{
    d->files = xrealloc(d->files, ((size_t)d->file_count + 1) * sizeof(*d->files));
    d->files[d->file_count] = (struct file){.path = xstrdup(path)};
    return d->file_count++;
}

int document_file(const struct document *d, const char *path)
{
    for (int i = 0; i < d->file_count; i++)
        if (strcmp(d->files[i].path, path) == 0)
            return i;
    return -1;
}

int document_files(const struct document *d)
{
    return d->file_count;
}

const char *document_path(const struct document *d, int file)
{
    CHECK(file >= 0 && file < d->file_count);
    return d->files[file].path;
}

void document_set_root(struct document *d, int file, struct node *root)
{
    CHECK(file >= 0 && file < d->file_count);
    d->files[file].root = root;
}

struct node *node_create(struct document *d, enum document_type type, int file, int line)
{
    struct node *n = xcalloc(1, sizeof(*n));
    *n = (struct node){
        .document = d, .created_before = d->last_node, .type = type, .file = file, .line = line};
    d->last_node = n;
    return n;
}

void node_set_text(struct node *n, struct slice text)
{
    free((char *)n->text.data);
    n->text = (struct slice){xstrndup(text.data, text.size), text.size};
}

static void add_member(struct node *n, struct slice key, struct node *value)
{
    if (n->count == n->capacity) {
        n->capacity = n->capacity ? n->capacity * 2 : 4;
        n->members = xrealloc(n->members, n->capacity * sizeof(*n->members));
    }
    n->members[n->count++] = (struct member){key, value};
}

void node_append(struct node *list, struct node *value)
{
    CHECK(list->type == DOCUMENT_LIST);
    add_member(list, (struct slice){0}, value);
}

static struct node *find_member(const struct node *map, struct slice key)
{
    if (map->index)
        return map_find(map->index, key);
    for (size_t i = 0; i < map->count; i++)
        if (slice_equal(map->members[i].key, key))
            return map->members[i].value;
    return NULL;
}

bool node_insert(struct node *map, struct slice key, struct node *value)
{
    CHECK(map->type == DOCUMENT_MAP);
    if (find_member(map, key))
        return false;
    add_member(map, (struct slice){xstrndup(key.data, key.size), key.size}, value);
    if (map->index) {
        map_set(map->index, key, value);
    } else if (map->count > FEW_MEMBERS) {
        map->index = map_create();
        for (size_t i = 0; i < map->count; i++)
            map_set(map->index, map->members[i].key, map->members[i].value);
    }
    return true;
}

/* --- reading --- */

const struct node *document_root(const struct document *d, int file)
{
    return d && file >= 0 && file < d->file_count ? d->files[file].root : NULL;
}

enum document_type node_type(const struct node *n)
{
    return n ? n->type : DOCUMENT_NULL;
}

size_t node_count(const struct node *n)
{
    return n ? n->count : 0;
}

static const struct node *member_value(const struct node *n, enum document_type type, size_t index)
{
    return node_type(n) == type && index < n->count ? n->members[index].value : NULL;
}

const struct node *node_find_raw(const struct node *map, const char *key)
{
    return node_member(map, slice_of(key));
}

const struct node *node_member(const struct node *map, struct slice key)
{
    return node_type(map) == DOCUMENT_MAP ? find_member(map, key) : NULL;
}

const struct node *node_value_raw(const struct node *map, size_t index)
{
    return member_value(map, DOCUMENT_MAP, index);
}

const struct node *node_at_raw(const struct node *list, size_t index)
{
    return member_value(list, DOCUMENT_LIST, index);
}

const struct node *node_find(const struct node *map, const char *key)
{
    return node_resolve(node_find_raw(map, key));
}

const struct node *node_value(const struct node *map, size_t index)
{
    return node_resolve(node_value_raw(map, index));
}

const struct node *node_at(const struct node *list, size_t index)
{
    return node_resolve(node_at_raw(list, index));
}

struct slice node_key(const struct node *map, size_t index)
{
    return node_value_raw(map, index) ? map->members[index].key : (struct slice){0};
}

struct slice node_text(const struct node *n)
{
    return node_type(n) == DOCUMENT_NULL ? (struct slice){0} : n->text;
}

bool node_bool(const struct node *n, bool fallback)
{
    if (node_type(n) != DOCUMENT_BOOL || n->text.size == 0)
        return fallback;
    return n->text.data[0] == 't' || n->text.data[0] == 'T';
}

const char *node_file(const struct node *n)
{
    return n ? document_path(n->document, n->file) : "";
}

const struct document *node_document(const struct node *n, int *file)
{
    *file = n ? n->file : -1;
    return n ? n->document : NULL;
}

int node_line(const struct node *n)
{
    return n ? n->line : 0;
}

/* --- writing --- */

struct writer {
    struct buffer *out;
    int left;
    bool raw;
};

static bool write_value(struct writer *w, const struct node *n, int depth);

static bool write_members(struct writer *w, const struct node *n, int depth)
{
    bool map = n->type == DOCUMENT_MAP;
    buffer_add_byte(w->out, map ? '{' : '[');
    for (size_t i = 0; i < n->count; i++) {
        if (i > 0)
            buffer_add_byte(w->out, ',');
        if (map) {
            buffer_add_json_text(w->out, n->members[i].key);
            buffer_add_byte(w->out, ':');
        }
        if (!write_value(w, n->members[i].value, depth + 1))
            return false;
    }
    buffer_add_byte(w->out, map ? '}' : ']');
    return true;
}

static bool write_value(struct writer *w, const struct node *n, int depth)
{
    n = w->raw ? n : node_resolve(n);
    if (!n || depth > WRITE_DEPTH_MAX || --w->left < 0)
        return false;
    switch (n->type) {
    case DOCUMENT_NULL:
        buffer_add_text(w->out, "null");
        return true;
    case DOCUMENT_BOOL:
        buffer_add_text(w->out, node_bool(n, false) ? "true" : "false");
        return true;
    case DOCUMENT_NUMBER:
        scalar_write_number(n->text, w->out);
        return true;
    case DOCUMENT_STRING:
        buffer_add_json_text(w->out, n->text);
        return true;
    case DOCUMENT_LIST:
    case DOCUMENT_MAP:
        return write_members(w, n, depth);
    }
    return false;
}

/* A circular reference needs no search of its own: it runs into the limit of depth. */
static bool write_json(const struct node *n, struct buffer *out, bool raw)
{
    struct writer w = {out, WRITE_VALUES_MAX, raw};
    size_t before = out->size;
    if (write_value(&w, n, 1))
        return true;
    out->size = before;
    return false;
}

bool node_write_json(const struct node *n, struct buffer *out)
{
    return write_json(n, out, false);
}

bool node_write_json_raw(const struct node *n, struct buffer *out)
{
    return write_json(n, out, true);
}
