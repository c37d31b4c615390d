/* A YAML or JSON document with the files it refers to, as one tree that knows where each node stands.
   Owns everything below it; immutable once loaded, so any thread may read it. Loading is in edge
   (yaml_document_load). */
#pragma once

#include "causeway/buffer.h"
#include "causeway/slice.h"

#include <stdint.h>

enum document_type {
    DOCUMENT_NULL,
    DOCUMENT_BOOL,
    DOCUMENT_NUMBER,
    DOCUMENT_STRING,
    DOCUMENT_LIST,
    DOCUMENT_MAP
};

struct document;
struct node; /* a value of the document; lives as long as it */

/* --- building (used by the loader) --- */
struct document *document_create(void);
void document_destroy(struct document *d);
/* Registers a file (absolute path) and returns its number, 0 for the first; document_file gives the number of
   a known path or -1. */
int document_add_file(struct document *d, const char *path);
int document_file(const struct document *d, const char *path);
const char *document_path(const struct document *d, int file);
int document_files(const struct document *d);
void document_set_root(struct document *d, int file, struct node *root);
/* Where the file is that a `$ref` standing in `file` names: absolute, without "." and "..", percent-decoded,
   no NUL at the end. false: it names none (a bare "#/pointer"), or not a relative one (a URL, an absolute
   path). */
bool document_reference_path(const struct document *d, int file, struct slice reference, struct buffer *path);
/* A node belongs to the document from the start; it may stand in several places (aliases), but not below
 * itself. */
struct node *node_create(struct document *d, enum document_type type, int file, int line);
void node_set_text(
    struct node *n, struct slice text); /* scalars: the text as written, strings without quotes */
void node_append(struct node *list, struct node *value);
bool node_insert(struct node *map, struct slice key, struct node *value); /* false: duplicate key */

/* --- reading; every function takes NULL for "not there" and answers NULL, 0 or empty --- */
const struct node *document_root(const struct document *d, int file);  /* file 0 is the main document */
enum document_type node_type(const struct node *n);                    /* DOCUMENT_NULL for NULL */
const struct node *node_find(const struct node *map, const char *key); /* a $ref in its place is followed */
const struct node *node_at(const struct node *list, size_t index);     /* likewise */
size_t node_count(const struct node *n);                               /* elements, members */
struct slice node_key(const struct node *map, size_t index);           /* in the order of the text */
const struct node *node_value(const struct node *map, size_t index);   /* a $ref in its place is followed */
struct slice node_text(const struct node *n); /* strings, numbers, bools; empty otherwise, for null as well */
bool node_bool(const struct node *n, bool fallback);
const char *node_file(const struct node *n);
int node_line(const struct node *n); /* 1-based */
const struct document *node_document(const struct node *n, int *file);

/* Follows local `{$ref: "file#/pointer"}` until a value that is none; members beside $ref are ignored. A $ref
   in the midst of a pointer's path is followed as well. NULL: dangling or circular (more than 100 hops). */
const struct node *node_resolve(const struct node *n);
/* One hop: what a $ref points at, which may be a $ref itself. NULL: `n` is no $ref, or a dangling one. */
const struct node *node_follow(const struct node *n);
/* What a pointer (RFC 6901, as it stands in a URI behind '#') means below `root`, which need not be a file's
   root. */
const struct node *node_find_pointer(const struct node *root, struct slice pointer);
/* Appends the pointer of the node within its file: "#", or "#/channels/orders/address". */
void node_write_pointer(const struct node *n, struct buffer *out);
/* The node as it stands, without following a $ref. Nodes are unique, so that a target can be compared by
   address: node_follow(node_find_raw(operation, "channel")) == node_find_raw(channels, "orders"). */
const struct node *node_find_raw(const struct node *map, const char *key);
const struct node *node_member(const struct node *map, struct slice key); /* node_find_raw for any key */
const struct node *node_value_raw(const struct node *map, size_t index);
const struct node *node_at_raw(const struct node *list, size_t index);

/* Writes the value as compact JSON, $refs in place replaced by what they refer to. Numbers that are valid
   JSON stay as written. false, and `out` unchanged: a dangling or circular $ref, deeper than 500, or more
   than a million values. */
bool node_write_json(const struct node *n, struct buffer *out);
/* The same, with a $ref being a member like others. */
bool node_write_json_raw(const struct node *n, struct buffer *out);
/* The main document as one file: what it refers to in other files is in its place, but for servers, which
   channels must refer to; references within it stay. false, and `out` unchanged: as node_write_json. */
bool document_write_json(const struct document *d, struct buffer *out);
