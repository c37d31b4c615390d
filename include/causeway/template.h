/* The text templates of the catalogue: "city-{city_id}-orders", "{user.id}", "user-{participantIds[]}".
   Compiled once, immutable, so any thread may read one. Whoever expands it finds the value of each
   placeholder himself (a record, a user, a row) and hands the values to template_write. No I/O, no clock. */
#pragma once

#include "causeway/buffer.h"

#include <stdint.h>

enum { TEMPLATE_PLACEHOLDERS_MAX = 8, TEMPLATE_TEXT_MAX = 512 };

struct template;

/* One segment of a placeholder's path: {participants[].user_id} has the steps participants (array) and
 * user_id. */
struct template_step {
    struct slice name;
    bool array;
};

/* A placeholder. What its first step means ($key, user, a member of the payload) is the caller's business. */
struct template_field {
    struct slice text; /* as written, without braces and '?' */
    const struct template_step *steps;
    size_t step_count;
    bool optional; /* ended in '?' */
    bool
        array; /* one of the steps ends in []: it has several values, each of which makes a text of its own */
};

/* NULL: `fault` (static text) says what is wrong. At most one [] per template; two placeholders need text
 * between. */
struct template *template_compile(struct slice text, const char **fault);
void template_destroy(struct template *t);
struct slice template_text(const struct template *t);
size_t template_placeholders(const struct template *t);
struct slice template_placeholder(
    const struct template *t, size_t index); /* as written, without braces and '?' */
const struct template_field *template_field(const struct template *t, size_t index);

/* Appends the text with values[i] in the place of placeholder i (template_placeholders of them). */
void template_write(const struct template *t, const struct slice *values, struct buffer *out);

/* Matches `name` against the template as a pattern: each placeholder takes one or more of [A-Za-z0-9_.@-].
   captures[i] is what placeholder i took (template_placeholders of them). A name that could be read in two
   ways
   ("{a}-{b}" and "1-2-3") matches nothing: rights must not depend on a guess. */
bool template_match(const struct template *t, struct slice name, struct slice *captures);

/* The same constant text around the same number of placeholders, whatever they are called. */
bool template_same_shape(const struct template *a, const struct template *b);

/* Is there a name that both could take for one of theirs? */
bool template_overlap(const struct template *a, const struct template *b);
