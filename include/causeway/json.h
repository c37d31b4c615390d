/* Strict JSON (RFC 8259), scanned once into a flat tape of nodes over the caller's text.
   Nothing is copied: strings and numbers are byte ranges, so 64-bit ids and payloads survive untouched.
   Refused, with the byte offset and a reason: invalid UTF-8, lone surrogates, \u0000, raw control characters,
   duplicate keys, trailing bytes, a BOM, leading zeros, depth or size (4 GiB) beyond the limits. A struct
   json is reusable: json_scan keeps its memory; a zeroed struct is ready for its first scan. Owner of the
   struct: json_finish. Not thread-safe, but a scanned one may be read by several threads. */
#pragma once

#include "causeway/buffer.h"
#include "causeway/slice.h"
#include "causeway/utf8.h" /* utf8_valid */

#include <stdint.h>

enum json_type { JSON_NULL, JSON_FALSE, JSON_TRUE, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

struct json_node {
    uint32_t start; /* first byte; for strings behind the quote, for containers at the bracket */
    uint32_t
        end; /* one past the last byte; for strings at the closing quote, for containers past the bracket */
    uint32_t next;  /* index of the node after this subtree */
    uint32_t count; /* containers: elements, or members of an object (its children alternate key, value) */
    uint8_t type;   /* enum json_type */
    bool escaped;   /* strings: has a backslash, so json_string must unescape it */
};

struct json {
    const char *text;
    struct json_node *nodes; /* nodes[0] is the root */
    uint32_t used, capacity;
    uint32_t fault_at; /* after a failed scan: byte offset and reason (static text) */
    const char *fault;
    struct { /* private: how large objects are searched for duplicate keys */
        struct buffer name;
        uint64_t *slots;
        size_t capacity;
        uint64_t seed;
    } keys;
};

#define JSON_NONE UINT32_MAX
enum { JSON_DEPTH_MAX = 64 };

/* Scans `text`, which must outlive the use of the tape. false: fault and fault_at say why and where. */
MUST_CHECK bool json_scan(struct json *j, const char *text, size_t size);
void json_finish(struct json *j);

/* Value of member `key` of object `node`; JSON_NONE when `node` is JSON_NONE, no object, or has no such key.
   Keys compare after unescaping. */
uint32_t json_find(const struct json *j, uint32_t node, struct slice key);

/* Walk of a container: first child or JSON_NONE, then the sibling behind `child` or JSON_NONE. In objects
   these are keys; the value of a key is key + 1. */
uint32_t json_first(const struct json *j, uint32_t container);
uint32_t json_after(const struct json *j, uint32_t container, uint32_t child);

enum json_type json_type(const struct json *j, uint32_t node); /* JSON_NULL for JSON_NONE */
bool json_is_integer(const struct json *j, uint32_t node);     /* a number without fraction and exponent */
/* false, and *out untouched: no such integer, or beyond 64 bits. */
bool json_int64(const struct json *j, uint32_t node, int64_t *out);

/* The bytes of the node as they stand in the text, strings without quotes and still escaped. */
struct slice json_raw(const struct json *j, uint32_t node);

/* The bytes of a value as they stand in the text, strings with their quotes: what can be pasted into other
 * JSON. */
struct slice json_verbatim(const struct json *j, uint32_t node);

/* A string's text: a view of the text when it has no escapes, else unescaped into `scratch` (cleared first).
   Empty slice with NULL data when node is no string. */
struct slice json_string(const struct json *j, uint32_t node, struct buffer *scratch);

/* Is the node a string of that text? Compares unescaped, needs no scratch. */
bool json_string_is(const struct json *j, uint32_t node, struct slice text);
