/* ECMA-262 regular expressions, as JSON Schema's `pattern` has them, read as with the flag u: what ECMA does
   not have (\Z, (?i), possessive quantifiers) is a fault here, too. A search takes time linear in the text,
   whatever pattern and text are: nothing is tried again, so nobody can choose a text that takes for ever.
   Refused as unsupported, since they cannot be had that way or need tables of Unicode: back references and
   \p{...}. A compiled one is immutable, any thread may use it with a scratch of its own. */
#pragma once

#include "causeway/slice.h"

#include <stdint.h>

enum { REGEX_STEPS_MAX = 10000, REGEX_DEPTH_MAX = 100 };

enum regex_verdict {
    REGEX_GOOD,
    REGEX_BROKEN,      /* no pattern of ECMA-262 */
    REGEX_UNSUPPORTED, /* one, but not for us; too large is a case of it */
};

struct regex;

/* Memory that searches use again; a zeroed struct is ready. */
struct regex_scratch {
    uint32_t *memory;
    size_t capacity;
};

/* NULL: *fault (static text) says why, *verdict which kind it is. The pattern must be valid UTF-8. */
struct regex *regex_compile(struct slice pattern, enum regex_verdict *verdict, const char **fault);
void regex_destroy(struct regex *r);

/* Does the pattern match anywhere in `text`, which must be valid UTF-8? */
bool regex_search(const struct regex *r, struct slice text, struct regex_scratch *scratch);
void regex_scratch_finish(struct regex_scratch *scratch);
