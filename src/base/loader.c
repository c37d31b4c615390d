#include "causeway/loader.h"

#include "causeway/json.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct loader {
    struct document *document;
    loader_parser *parser;
    struct buffer *fault;
    struct place wanted_by[LOADER_FILES]; /* per file: the first `$ref` that names it */
    bool has_id[LOADER_FILES]; /* per file: has an `$id`, so that a `$ref` in it may name no file */
    size_t values;             /* so far, aliases counted in full */
};

bool loader_fail(struct loader *l, struct place at, const char *format, ...)
{
    char message[512];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    for (char *c = message; *c; c++) /* keys may bring line breaks along */
        if ((unsigned char)*c < 0x20)
            *c = ' ';
    buffer_clear(l->fault);
    buffer_print(l->fault, "%s:%d: %s", document_path(l->document, at.file), at.line, message);
    return false;
}

struct place loader_place(int file, struct slice text, size_t offset)
{
    struct place at = {file, 1};
    for (size_t i = 0; i < offset && i < text.size; i++)
        at.line += text.data[i] == '\n';
    return at;
}

/* --- what both formats share --- */

bool loader_count(struct loader *l, size_t more, struct place at)
{
    l->values += more;
    return l->values <= LOADER_VALUES || loader_fail(l, at, "more than %d values", LOADER_VALUES);
}

struct node *loader_add(struct loader *l, enum document_type type, struct place at)
{
    return loader_count(l, 1, at) ? node_create(l->document, type, at.file, at.line) : NULL;
}

/* Registers the file that a `$ref` names, to be loaded later. */
static bool want_file(struct loader *l, struct slice reference, struct place at)
{
    struct buffer path = {0};
    bool ok = true;
    if (document_reference_path(l->document, at.file, reference, &path) &&
        document_file(l->document, buffer_text(&path)) < 0) {
        if (document_files(l->document) == LOADER_FILES)
            ok = loader_fail(l, at, "more than %d files", LOADER_FILES);
        else
            l->wanted_by[document_add_file(l->document, buffer_text(&path))] = at;
    }
    buffer_finish(&path);
    return ok;
}

bool loader_insert(struct loader *l, struct node *map, struct slice key, struct node *value, struct place at)
{
    if (!node_insert(map, key, value))
        return loader_fail(l, at, "duplicate key \"%.*s\"", SLICE_ARGS(key));
    if (node_type(value) != DOCUMENT_STRING)
        return true;
    if (slice_is(key, "$id"))
        l->has_id[at.file] = true;
    return !slice_is(key, "$ref") || want_file(l, node_text(value), at);
}

size_t loader_values(const struct loader *l)
{
    return l->values;
}

/* --- JSON --- */

/* The tape is walked in the order of the text, so lines are counted on the way. */
struct reader {
    struct loader *loader;
    struct json json;
    struct buffer scratch;
    uint32_t at;
    struct place place;
};

static struct place json_place(struct reader *r, uint32_t node)
{
    for (; r->at < r->json.nodes[node].start; r->at++)
        r->place.line += r->json.text[r->at] == '\n';
    return r->place;
}

static struct node *read_json(struct reader *r, uint32_t node);

static bool read_members(struct reader *r, uint32_t container, struct node *into)
{
    const struct json *j = &r->json;
    bool map = json_type(j, container) == JSON_OBJECT;
    for (uint32_t i = json_first(j, container); i != JSON_NONE; i = json_after(j, container, i)) {
        struct place at = json_place(r, i);
        struct node *value = read_json(r, map ? i + 1 : i);
        if (!value)
            return false;
        if (!map)
            node_append(into, value);
        else if (!loader_insert(r->loader, into, json_string(j, i, &r->scratch), value, at))
            return false;
    }
    return true;
}

static struct node *read_json(struct reader *r, uint32_t node)
{
    static const enum document_type types[] = {[JSON_NULL] = DOCUMENT_NULL,
        [JSON_FALSE] = DOCUMENT_BOOL,
        [JSON_TRUE] = DOCUMENT_BOOL,
        [JSON_NUMBER] = DOCUMENT_NUMBER,
        [JSON_STRING] = DOCUMENT_STRING,
        [JSON_ARRAY] = DOCUMENT_LIST,
        [JSON_OBJECT] = DOCUMENT_MAP};
    enum json_type type = json_type(&r->json, node);
    struct node *n = loader_add(r->loader, types[type], json_place(r, node));
    if (!n)
        return NULL;
    if (type == JSON_ARRAY || type == JSON_OBJECT)
        return read_members(r, node, n) ? n : NULL;
    node_set_text(
        n, type == JSON_STRING ? json_string(&r->json, node, &r->scratch) : json_raw(&r->json, node));
    return n;
}

static struct node *load_json(struct loader *l, int file, struct slice text)
{
    struct reader r = {.loader = l, .place = {file, 1}};
    struct node *root = NULL;
    if (json_scan(&r.json, text.data, text.size)) {
        root = read_json(&r, 0);
    } else {
        loader_fail(l, loader_place(file, text, r.json.fault_at), "%s", r.json.fault);
    }
    json_finish(&r.json);
    buffer_finish(&r.scratch);
    return root;
}

/* --- files --- */

/* A file that is not there, though a `$ref` seems to name it: the `$ref` may mean an `$id`. Who follows it
   will tell. */
static bool is_dispensable(const struct loader *l, int file, int error)
{
    return error == ENOENT && file > 0 && l->has_id[l->wanted_by[file].file];
}

static bool read_file(struct loader *l, int file, struct buffer *text, bool *missing)
{
    const char *path = document_path(l->document, file);
    struct place wanted_by = l->wanted_by[file];
    FILE *f = fopen(path, "re");
    *missing = !f && is_dispensable(l, file, errno);
    if (*missing)
        return true;
    if (!f)
        return loader_fail(l, wanted_by, "cannot read %s: %s", path, strerror(errno));
    text->size = fread(buffer_reserve(text, LOADER_FILE_BYTES + 1), 1, LOADER_FILE_BYTES + 1, f);
    int error = ferror(f) ? errno : 0;
    (void)fclose(f);
    if (error)
        return loader_fail(l, wanted_by, "cannot read %s: %s", path, strerror(error));
    return text->size <= LOADER_FILE_BYTES ||
           loader_fail(l, (struct place){file, 1}, "the file is larger than %d bytes", LOADER_FILE_BYTES);
}

static bool load_file(struct loader *l, int file)
{
    struct buffer text = {0};
    struct node *root = NULL;
    bool missing = false;
    if (read_file(l, file, &text, &missing) && !missing) {
        const char *ending = strrchr(document_path(l->document, file), '.');
        bool json = ending && strcasecmp(ending, ".json") == 0;
        root = (json ? load_json : l->parser)(l, file, buffer_slice(&text));
    }
    buffer_finish(&text);
    if (root)
        document_set_root(l->document, file, root);
    return root || missing;
}

struct document *loader_run(const char *path, loader_parser *parser, struct buffer *fault)
{
    struct loader l = {.document = document_create(), .parser = parser, .fault = fault};
    char *absolute = realpath(path, NULL);
    (void)document_add_file(l.document, absolute ? absolute : path);
    free(absolute);
    l.wanted_by[0].line = 1;
    bool ok = true;
    for (int i = 0; ok && i < document_files(l.document); i++) /* loading a file may add more */
        ok = load_file(&l, i);
    if (ok)
        return l.document;
    document_destroy(l.document);
    return NULL;
}
