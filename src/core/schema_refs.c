/* What a `$ref` means: a place that an `$id` names, else one in a file beside. Both are tried, because tools
   differ: ajv goes by `$id`, the AsyncAPI parser by files. */
#include "schema_internal.h"

#include "causeway/memory.h"
#include "causeway/uri.h"

#include <stdlib.h>

/* A part of the document with a URI of its own: a file, or a schema with an `$id`. */
struct resource {
    struct slice uri;
    const struct node *root;
};

struct schema_refs {
    const struct document *document;
    struct arena memory;
    struct resource *files;
    struct map *places;    /* URI, or URI#name, to the node */
    struct map *resources; /* node below an `$id` to its resource */
};

static struct slice address(const struct node *const *n)
{
    return (struct slice){(const char *)n, sizeof(void *)};
}

/* --- where `$id`s are --- */

/* Appends base and id, and remembers that this is node `n`. */
static struct slice add_place(
    struct schema_refs *r, struct slice base, struct slice id, const char *separator, const struct node *n)
{
    struct buffer uri = {0};
    if (separator)
        buffer_print(&uri, "%.*s%s%.*s", SLICE_ARGS(base), separator, SLICE_ARGS(id));
    else
        uri_resolve(base, id, &uri);
    struct slice kept = arena_copy(&r->memory, buffer_slice(&uri));
    buffer_finish(&uri);
    map_set(r->places, kept, (void *)n);
    return kept;
}

static const struct resource *enter(
    struct schema_refs *r, const struct resource *outer, struct slice id, const struct node *n)
{
    struct slice name, rest = uri_without_fragment(id, &name);
    const struct resource *inner = outer;
    if (rest.size > 0) {
        struct resource *own = arena_allocate(&r->memory, 1, sizeof *own);
        *own = (struct resource){add_place(r, outer->uri, rest, NULL, n), n};
        inner = own;
    }
    if (name.size > 0)
        (void)add_place(r, inner->uri, name, "#", n);
    return inner;
}

static bool is_one_of(struct slice text, const char *const *names)
{
    for (; *names; names++)
        if (slice_is(text, *names))
            return true;
    return false;
}

/* Goes through all maps of a file. `named`: the keys here are names that the author chose, not keywords. */
static void walk(struct schema_refs *r, const struct resource *resource, const struct node *n, bool named)
{
    static const char *const data[] = {"enum", "const", "default", "example", "examples", NULL};
    static const char *const names[] = {
        "properties", "patternProperties", "definitions", "dependencies", "schemas", "messages", NULL};
    const struct node *id = named ? NULL : node_find_raw(n, "$id");
    if (node_type(id) == DOCUMENT_STRING)
        resource = enter(r, resource, node_text(id), n);
    if (node_type(n) == DOCUMENT_MAP)
        map_set(r->resources, address(&n), (void *)resource);
    for (size_t i = 0; i < node_count(n); i++) {
        struct slice key = node_key(n, i);
        if (node_type(n) == DOCUMENT_LIST)
            walk(r, resource, node_at_raw(n, i), false);
        else if (named || !is_one_of(key, data))
            walk(r, resource, node_value_raw(n, i), !named && is_one_of(key, names));
    }
}

struct schema_refs *schema_refs_create(const struct document *d)
{
    struct schema_refs *r = xcalloc(1, sizeof *r);
    size_t files = (size_t)document_files(d);
    *r = (struct schema_refs){.document = d, .places = map_create(), .resources = map_create()};
    r->files = arena_allocate(&r->memory, files, sizeof *r->files);
    for (size_t i = 0; i < files; i++) {
        const struct node *root = document_root(d, (int)i);
        struct slice path = slice_of(document_path(d, (int)i));
        if (!root) /* a file that is not there */
            continue;
        r->files[i] = (struct resource){add_place(r, SLICE("file"), path, "://", root), root};
        walk(r, &r->files[i], root, false);
    }
    return r;
}

void schema_refs_destroy(struct schema_refs *r)
{
    map_destroy(r->places);
    map_destroy(r->resources);
    arena_finish(&r->memory);
    free(r);
}

/* --- following --- */

static const struct node *find_file(const struct schema_refs *r, int file, struct slice reference)
{
    struct buffer path = {0};
    int found = -1;
    if (document_reference_path(r->document, file, reference, &path))
        found = document_file(r->document, buffer_text(&path));
    buffer_finish(&path);
    return document_root(r->document, found);
}

static const struct node *find_place(const struct schema_refs *r, struct slice base, struct slice reference)
{
    struct buffer uri = {0};
    uri_resolve(base, reference, &uri);
    const struct node *found = map_find(r->places, buffer_slice(&uri));
    buffer_finish(&uri);
    return found;
}

static const struct node *find_name(const struct schema_refs *r, const struct node *root, struct slice name)
{
    const struct resource *resource = map_find(r->resources, address(&root));
    struct buffer uri = {0};
    buffer_print(&uri, "%.*s#%.*s", SLICE_ARGS(resource ? resource->uri : SLICE("")), SLICE_ARGS(name));
    const struct node *found = map_find(r->places, buffer_slice(&uri));
    buffer_finish(&uri);
    return found;
}

const struct node *schema_refs_follow(
    const struct schema_refs *r, const struct node *n, struct slice reference, const char **why)
{
    int file;
    (void)node_document(n, &file);
    const struct resource *own = map_find(r->resources, address(&n));
    const struct node *root = own ? own->root : document_root(r->document, file);
    struct slice fragment, rest = uri_without_fragment(reference, &fragment);
    if (rest.size > 0) {
        root = find_place(r, own ? own->uri : r->files[file].uri, rest);
        root = root ? root : find_file(r, file, reference);
    }
    *why =
        rest.size > 0 && uri_is_absolute(rest, true)
            ? "leads out of the document, which is not followed; put the schema into a file beside this one"
            : "points at nothing; it names a file, a place (#/definitions/x) or an $id of the document";
    if (!root || fragment.size == 0)
        return root;
    return fragment.data[0] == '/' ? node_find_pointer(root, fragment) : find_name(r, root, fragment);
}
