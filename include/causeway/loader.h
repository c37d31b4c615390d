/* Loads a document file by file: the main one, then whatever relative `$ref`s name. Owns the rules that hold
   for both formats (limits, duplicate keys, faults) and reads JSON itself; for other files it calls the
   parser it was given. One loader lives during one loader_run, on the caller's thread. */
#pragma once

#include "causeway/document.h"

enum { LOADER_FILE_BYTES = 4 << 20, LOADER_FILES = 500, LOADER_DEPTH = 100, LOADER_VALUES = 1000000 };

struct loader;

struct place {
    int file; /* as document_add_file numbers them */
    int line; /* 1-based */
};

/* Makes the tree of one file with the functions below and returns its root. NULL: it told a fault. */
typedef struct node *loader_parser(struct loader *l, int file, struct slice text);

/* The loaded document, or NULL and "file:line: message" in `fault`. Files ending in .json are strict JSON. */
struct document *loader_run(const char *path, loader_parser *parser, struct buffer *fault);

/* Sets the fault and returns false, for `return loader_fail(...)`. */
bool loader_fail(struct loader *l, struct place at, const char *format, ...) PRINTF_LIKE(3, 4);

/* The place of a byte of the file's text. */
struct place loader_place(int file, struct slice text, size_t offset);

/* A new value. NULL: there are too many. */
struct node *loader_add(struct loader *l, enum document_type type, struct place at);

/* Puts a member into a map; false: a duplicate key, or a `$ref` to one file too many. */
bool loader_insert(struct loader *l, struct node *map, struct slice key, struct node *value, struct place at);

/* Values so far, and how an alias counts for all it stands for: loader_count returns false when that is too
 * much. */
size_t loader_values(const struct loader *l);
bool loader_count(struct loader *l, size_t more, struct place at);
