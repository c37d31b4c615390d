/* JSON Schema draft-07: schemas of a document compiled once, then held against values on the tape of
   base/json.h. Compiled schemas belong to a set, are immutable, and may be used by any thread with a checker
   of its own. Numbers are compared exactly, whatever their size; a value costs time linear in its size and in
   the number of keywords, and one that would cost more is refused ("effort"). Knows no files and no remote
   `$ref`: references lead into the loaded document, by `$id` or by file. */
#pragma once

#include "causeway/document.h"
#include "causeway/json.h"
#include "causeway/regex.h"

struct schema;
struct schema_set;
struct schema_builder;

/* --- compiling --- */

/* A fault of a schema: at a place of the document, "what is wrong; what would be right". */
typedef void schema_complaint(void *owner, const struct node *at, const char *text);

struct schema_builder *schema_builder_create(
    const struct document *d, schema_complaint *complain, void *owner);
/* The compiled schema, the same one for the same node. NULL: it cannot be used; the complaint came now, or
   when a schema was added that contains the same fault. A keyword that constrains and is not known is a
   fault; unknown ones that constrain nothing in any draft are not. */
const struct schema *schema_builder_add(struct schema_builder *b, const struct node *n);
/* Ends the builder; the set owns what was compiled and outlives the document. */
struct schema_set *schema_builder_finish(struct schema_builder *b);
void schema_set_destroy(struct schema_set *set);

/* --- checking --- */

/* Why a value does not hold. */
struct schema_fault {
    struct slice pointer; /* JSON pointer (RFC 6901) of the value at fault; "" for the whole */
    const char *keyword;  /* which keyword it breaks */
    struct slice message; /* "is less than 1": never shows the value itself */
    struct slice file;    /* where the schema says so, as the document names it */
    int line;
};

/* Memory that checks use again, and the last fault; a zeroed struct is ready. */
struct schema_checker {
    struct schema_fault fault; /* valid until the next check that fails */
    struct buffer pointer, message, text, key;
    struct regex_scratch regex;
};

/* Does node `node` of the tape hold? false: checker->fault says why not. */
MUST_CHECK bool schema_holds(
    const struct schema *s, const struct json *j, uint32_t node, struct schema_checker *checker);
void schema_checker_finish(struct schema_checker *checker);

/* --- asking --- */

/* What a schema says of a member of its objects, whichever alternative holds. */
struct schema_member {
    bool described;              /* named, or matched by a pattern, in some part of the schema */
    bool required;               /* whichever alternative holds, it must be there */
    const struct schema *schema; /* of its value, in one of the parts; NULL: anything */
};

struct schema_member schema_member(const struct schema *s, struct slice name);
bool schema_describes_members(const struct schema *s);       /* false: nothing is said of any member */
const struct schema *schema_element(const struct schema *s); /* of arrays; NULL: anything */
/* May such a value be of that type, as far as type, const and enum say? NULL may be anything. */
bool schema_may_be(const struct schema *s, enum json_type type);
/* The described member whose name is nearest; empty when there is none. */
struct slice schema_nearest_member(const struct schema *s, struct slice name);
