/* What the files of the schema share. schema_compile.c goes through schemas and their keywords,
   schema_rules.c reads those of one type, schema_object.c those of objects, schema_refs.c finds what
   references mean, schema_check.c holds values against what was compiled,
   schema_values.c compares values, schema_format.c knows formats, schema_fault.c puts a fault into words. */
#pragma once

#include "causeway/arena.h"
#include "causeway/decimal.h"
#include "causeway/map.h"
#include "causeway/schema.h"

/* A row is a keyword that a value can break. */
#define SCHEMA_KEYWORD_TABLE(X)                                                                              \
    X(NEVER, "false")                                                                                        \
    X(TYPE, "type")                                                                                          \
    X(ENUM, "enum")                                                                                          \
    X(CONST, "const")                                                                                        \
    X(MULTIPLE_OF, "multipleOf")                                                                             \
    X(MAXIMUM, "maximum")                                                                                    \
    X(EXCLUSIVE_MAXIMUM, "exclusiveMaximum")                                                                 \
    X(MINIMUM, "minimum")                                                                                    \
    X(EXCLUSIVE_MINIMUM, "exclusiveMinimum")                                                                 \
    X(MAX_LENGTH, "maxLength")                                                                               \
    X(MIN_LENGTH, "minLength")                                                                               \
    X(PATTERN, "pattern")                                                                                    \
    X(FORMAT, "format")                                                                                      \
    X(CONTENT_ENCODING, "contentEncoding")                                                                   \
    X(CONTENT_MEDIA_TYPE, "contentMediaType")                                                                \
    X(ADDITIONAL_ITEMS, "additionalItems")                                                                   \
    X(MAX_ITEMS, "maxItems")                                                                                 \
    X(MIN_ITEMS, "minItems")                                                                                 \
    X(UNIQUE_ITEMS, "uniqueItems")                                                                           \
    X(CONTAINS, "contains")                                                                                  \
    X(MAX_PROPERTIES, "maxProperties")                                                                       \
    X(MIN_PROPERTIES, "minProperties")                                                                       \
    X(REQUIRED, "required")                                                                                  \
    X(ADDITIONAL_PROPERTIES, "additionalProperties")                                                         \
    X(DEPENDENCIES, "dependencies")                                                                          \
    X(ANY_OF, "anyOf")                                                                                       \
    X(ONE_OF, "oneOf")                                                                                       \
    X(NOT, "not")                                                                                            \
    X(EFFORT, "effort")

enum schema_keyword {
#define X(id, name) SCHEMA_##id,
    SCHEMA_KEYWORD_TABLE(X)
#undef X
};

/* --- compiled --- */

struct schema_list {
    const struct schema **items;
    size_t count;
};

/* A limit on a number. */
struct schema_bound {
    struct decimal exact;
    struct slice text;
    int64_t small; /* its value, when it is a whole one of 64 bits: what nearly all are */
    bool there, is_small;
};

struct schema_number {
    struct schema_bound minimum, maximum, above, below, multiple_of;
    const struct schema_format *format;
};

struct schema_size {
    uint64_t least, most; /* most: UINT64_MAX for any */
};

struct schema_string {
    struct schema_size length; /* in characters */
    struct regex *pattern;
    struct slice pattern_text;
    const struct schema_format *format;
    bool base64, json; /* contentEncoding, contentMediaType */
};

struct schema_array {
    struct schema_size size;
    struct schema_list first;    /* items as a list: one schema per place */
    const struct schema *others; /* of all that come behind; NULL: anything */
    const struct schema *contains;
    bool unique;
};

struct schema_property {
    struct slice name;
    const struct schema *schema; /* NULL: anything */
    bool declared, required;
};

struct schema_name_pattern {
    struct regex *name;
    const struct schema *schema;
};

struct schema_dependency {
    struct slice name; /* when that member is there ... */
    const struct schema *schema;
    const struct slice *names; /* ... the value must hold, or these must be there, too */
    size_t name_count;
};

struct schema_object {
    struct schema_size size;
    struct schema_property *properties;
    uint32_t *slots; /* open addressing: 1 + index of a property, 0 when empty */
    uint32_t mask, property_count, required_count;
    struct schema_name_pattern *patterns;
    size_t pattern_count;
    struct schema_dependency *dependencies;
    size_t dependency_count;
    const struct schema *additional; /* NULL: anything */
    const struct schema *names;
};

/* enum and const: a tape of their own. */
struct schema_constants {
    struct schema_constants *next; /* of the set, for freeing */
    struct buffer text;
    struct json json;
    uint32_t *nodes;       /* of the values */
    struct slice *strings; /* unescaped; NULL data for a value that is no string */
    size_t count;
};

/* What concerns values of any type. */
struct schema_any {
    const struct schema_constants *one_of_values, *value;
    struct schema_list all_of, any_of, one_of;
    const struct schema * not, *condition, *then, *otherwise;
};

struct schema {
    uint8_t types;                /* a bit per enum json_type */
    bool whole;                   /* of numbers, only those without a fraction */
    bool never;                   /* the schema false */
    struct schema_number *number; /* the rules for values of one type; NULL: none */
    struct schema_string *string;
    struct schema_array *array;
    struct schema_object *object;
    struct schema_any *any;
    uint32_t index; /* among those of its builder */
    struct slice file;
    int line;
};

struct schema_pattern { /* for freeing */
    struct schema_pattern *next;
    struct regex *regex;
};

struct schema_set {
    struct arena memory;
    struct schema_pattern *patterns;
    struct schema_constants *constants;
};

enum { SCHEMA_TYPES_ALL = 0x7f };

/* --- compiling --- */

/* "The child holds for the same value": such edges must not run in circles. */
struct schema_edge {
    uint32_t parent, child;
    bool same_value;
};

struct schema_entry {
    struct schema schema;
    const struct node *node;
    uint16_t height; /* how many schemas lie on each other at one value */
    bool broken;
};

struct schema_refs;

struct schema_builder {
    const struct document *document;
    schema_complaint *complain;
    void *owner;
    struct schema_set *set;
    struct schema_refs *refs;
    struct map *known;             /* node to its entry */
    struct schema_entry **entries; /* by index */
    size_t count, capacity, done;  /* those from `done` on are still to be filled in */
    struct schema_edge *edges;
    size_t edge_count, edge_capacity;
    struct slice last_file; /* most schemas stand in the file of the one before */
};

/* The schema of node `n`, to be filled in later; NULL after a fault, which is the parent's as well. */
const struct schema *schema_link(
    struct schema_builder *b, const struct schema *parent, const struct node *n, bool same_value);
/* The same, but NULL for `true` as well: anything holds. */
const struct schema *schema_link_any(
    struct schema_builder *b, const struct schema *parent, const struct node *n);
void schema_complain(struct schema_builder *b, const struct schema *s, const struct node *at,
    const char *format, ...) PRINTF_LIKE(4, 5);
/* The sizes that two keywords set. */
struct schema_size schema_compile_size(struct schema_builder *b, const struct schema *s, const struct node *n,
    const char *least, const char *most);
struct regex *schema_compile_regex(
    struct schema_builder *b, const struct schema *s, const struct node *at, struct slice pattern);

/* --- schema_rules.c: the keywords of one type each --- */
void schema_compile_number(struct schema_builder *b, struct schema *s, const struct node *n);
void schema_compile_string(struct schema_builder *b, struct schema *s, const struct node *n);
void schema_compile_array(struct schema_builder *b, struct schema *s, const struct node *n);
void schema_compile_any(struct schema_builder *b, struct schema *s, const struct node *n);
void schema_compile_format(struct schema_builder *b, struct schema *s, const struct node *n);

/* --- schema_object.c --- */
void schema_compile_object(struct schema_builder *b, struct schema *s, const struct node *n);
const struct schema_property *schema_object_find(const struct schema_object *o, struct slice name);

/* --- schema_refs.c --- */
struct schema_refs *schema_refs_create(const struct document *d);
void schema_refs_destroy(struct schema_refs *r);
/* What the `$ref` in node `n` points at; NULL: *why says (static text). */
const struct node *schema_refs_follow(
    const struct schema_refs *r, const struct node *n, struct slice reference, const char **why);

/* --- schema_format.c --- */
struct schema_format {
    const char *name;
    bool (*of_text)(struct slice text); /* NULL: a format of numbers */
    bool (*of_number)(struct decimal number);
};

const struct schema_format *schema_format_find(struct slice name);
void schema_format_names(struct buffer *out);

/* --- schema_values.c --- */
bool schema_equal(const struct json *a, uint32_t x, const struct json *b, uint32_t y, uint64_t *effort);
/* The first two equal elements of an array; false: there are none, or the effort is spent. */
bool schema_find_repeated(
    const struct json *j, uint32_t array, uint64_t *effort, uint32_t *first, uint32_t *second);
bool schema_constants_have(const struct schema_constants *c, const struct json *j, uint32_t node,
    struct buffer *scratch, uint64_t *effort);

/* --- schema_fault.c --- */
/* What the check found: words are made of it only when it is the end of the matter. */
struct schema_finding {
    const struct schema *schema;
    enum schema_keyword keyword;
    uint32_t node;
    struct slice name; /* of a member, where one is the matter */
};

void schema_fault_tell(const struct schema_finding *f, const struct schema_finding *nearest,
    const struct json *j, uint32_t root, struct schema_checker *checker);
