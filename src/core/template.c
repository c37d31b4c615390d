#include "causeway/template.h"

#include "causeway/memory.h"

#include <stdlib.h>

enum { STEPS_MAX = 32 };

/* constants[i] stands before placeholder i, constants[count] behind the last one; all slices are views of
 * `text`. */
struct template
{
    char *text;
    size_t size;
    size_t count;
    struct slice constants[TEMPLATE_PLACEHOLDERS_MAX + 1];
    struct template_field fields[TEMPLATE_PLACEHOLDERS_MAX];
    struct template_step steps[STEPS_MAX];
    size_t step_count;
    bool array;
};

static bool is_control(char c)
{
    return (unsigned char)c < 0x20 || c == 0x7f;
}

static const char *compile_step(struct template *t, struct slice text)
{
    struct template_step *step = &t->steps[t->step_count++];
    if (text.size > 2 && memcmp(text.data + text.size - 2, "[]", 2) == 0) {
        if (t->array)
            return "more than one []";
        t->array = step->array = true;
        text.size -= 2;
    }
    if (text.size == 0)
        return "a placeholder with an empty name";
    for (size_t i = 0; i < text.size; i++) {
        if (is_control(text.data[i]) || strchr(" []?", text.data[i]))
            return "a placeholder with a character that names cannot have";
    }
    step->name = text;
    return NULL;
}

/* `text` is what stands between the braces. */
static const char *compile_field(struct template *t, struct slice text)
{
    struct template_field *field = &t->fields[t->count++];
    if (text.size > 0 && text.data[text.size - 1] == '?') {
        field->optional = true;
        text.size--;
    }
    field->text = text;
    field->steps = &t->steps[t->step_count];
    size_t first = t->step_count;
    for (size_t from = 0; from <= text.size;) {
        const char *dot = from < text.size ? memchr(text.data + from, '.', text.size - from) : NULL;
        size_t end = dot ? (size_t)(dot - text.data) : text.size;
        if (t->step_count == STEPS_MAX)
            return "too many path segments";
        const char *fault = compile_step(t, (struct slice){text.data + from, end - from});
        if (fault)
            return fault;
        field->array = field->array || t->steps[t->step_count - 1].array;
        from = end + 1;
    }
    field->step_count = t->step_count - first;
    return NULL;
}

/* Takes the constant text at `from`; *next is the brace behind it, or the end. */
static const char *compile_constant(struct template *t, size_t from, size_t *next)
{
    size_t end = from;
    for (; end < t->size && t->text[end] != '{'; end++) {
        if (t->text[end] == '}')
            return "a '}' without '{'";
        if (is_control(t->text[end]))
            return "a control character";
    }
    if (end == from && t->count > 0 && end < t->size)
        return "two placeholders without text between them";
    t->constants[t->count] = (struct slice){t->text + from, end - from};
    *next = end;
    return NULL;
}

static const char *compile_text(struct template *t)
{
    size_t at = 0;
    for (;;) {
        const char *fault = compile_constant(t, at, &at);
        if (fault || at == t->size)
            return fault;
        const char *open = t->text + at + 1;
        size_t left = t->size - at - 1;
        const char *close = memchr(open, '}', left);
        const char *nested = memchr(open, '{', left);
        if (!close || (nested && nested < close))
            return "a '{' without '}'";
        if (t->count == TEMPLATE_PLACEHOLDERS_MAX)
            return "more than 8 placeholders";
        fault = compile_field(t, (struct slice){open, (size_t)(close - open)});
        if (fault)
            return fault;
        at = (size_t)(close - t->text) + 1;
    }
}

struct template *template_compile(struct slice text, const char **fault)
{
    *fault = text.size == 0                  ? "an empty text"
             : text.size > TEMPLATE_TEXT_MAX ? "longer than 512 bytes"
                                             : NULL;
    if (*fault)
        return NULL;
    struct template *t = xcalloc(1, sizeof *t);
    t->text = xstrndup(text.data, text.size);
    t->size = text.size;
    *fault = compile_text(t);
    if (!*fault)
        return t;
    template_destroy(t);
    return NULL;
}

void template_destroy(struct template *t)
{
    if (!t)
        return;
    free(t->text);
    free(t);
}

struct slice template_text(const struct template *t)
{
    return (struct slice){t->text, t->size};
}

size_t template_placeholders(const struct template *t)
{
    return t->count;
}

const struct template_field *template_field(const struct template *t, size_t index)
{
    CHECK(index < t->count);
    return &t->fields[index];
}

struct slice template_placeholder(const struct template *t, size_t index)
{
    return template_field(t, index)->text;
}

void template_write(const struct template *t, const struct slice *values, struct buffer *out)
{
    for (size_t i = 0; i < t->count; i++) {
        buffer_add_slice(out, t->constants[i]);
        buffer_add_slice(out, values[i]);
    }
    buffer_add_slice(out, t->constants[t->count]);
}

static bool is_name_character(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == '@' || c == '-';
}

static bool is_name(struct slice value)
{
    for (size_t i = 0; i < value.size; i++) {
        if (!is_name_character(value.data[i]))
            return false;
    }
    return value.size > 0;
}

/* First place of `needle` in name[from, end); `end` when there is none. */
static size_t find_forward(struct slice name, size_t from, size_t end, struct slice needle)
{
    for (; from + needle.size <= end; from++) {
        if (memcmp(name.data + from, needle.data, needle.size) == 0)
            return from;
    }
    return end;
}

/* One past the last place of `needle` in name[from, end); `from` when there is none. */
static size_t find_backward(struct slice name, size_t from, size_t end, struct slice needle)
{
    for (; from + needle.size <= end; end--) {
        if (memcmp(name.data + end - needle.size, needle.data, needle.size) == 0)
            return end;
    }
    return from;
}

/* The reading in which each placeholder, from the left, takes as little as possible. */
static bool match_shortest(
    const struct template *t, struct slice name, size_t from, size_t end, struct slice *out)
{
    for (size_t i = 0; i < t->count; i++) {
        if (from >= end)
            return false;
        bool last = i + 1 == t->count;
        size_t stop = last ? end : find_forward(name, from + 1, end, t->constants[i + 1]);
        if (!last && stop == end)
            return false;
        out[i] = (struct slice){name.data + from, stop - from};
        from = stop + t->constants[i + 1].size;
    }
    return true;
}

/* Is the reading in which each placeholder, from the right, takes as little as possible the same? All
   readings lie between the two, so then there is just one. */
static bool match_is_unique(
    const struct template *t, struct slice name, size_t from, size_t end, const struct slice *captures)
{
    for (size_t i = t->count; i-- > 0;) {
        if (end <= from)
            return false;
        size_t start = i == 0 ? from : find_backward(name, from, end - 1, t->constants[i]);
        if (name.data + start != captures[i].data || end - start != captures[i].size)
            return false;
        end = start - (i == 0 ? 0 : t->constants[i].size);
    }
    return true;
}

bool template_match(const struct template *t, struct slice name, struct slice *captures)
{
    if (t->count == 0)
        return slice_equal(name, template_text(t));
    struct slice head = t->constants[0], tail = t->constants[t->count];
    if (name.size < head.size + tail.size || !slice_starts(name, head))
        return false;
    size_t end = name.size - tail.size;
    if (!slice_equal((struct slice){name.data + end, tail.size}, tail))
        return false;
    if (!match_shortest(t, name, head.size, end, captures) ||
        !match_is_unique(t, name, head.size, end, captures))
        return false;
    for (size_t i = 0; i < t->count; i++) {
        if (!is_name(captures[i]))
            return false;
    }
    return true;
}

bool template_same_shape(const struct template *a, const struct template *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i <= a->count; i++) {
        if (!slice_equal(a->constants[i], b->constants[i]))
            return false;
    }
    return true;
}

/* --- overlap --- */

/* The template as a row of units: a byte of constant text, or PLACE for a placeholder, which takes one byte
   of a name and may then stay. */
enum { PLACE = '\0' };

static size_t write_units(const struct template *t, char *units)
{
    size_t count = 0;
    for (size_t i = 0; i <= t->count; i++) {
        memcpy(units + count, t->constants[i].data, t->constants[i].size);
        count += t->constants[i].size;
        if (i < t->count)
            units[count++] = PLACE;
    }
    return count;
}

static bool share_byte(char a, char b)
{
    if (a == PLACE || b == PLACE)
        return (a == PLACE || is_name_character(a)) && (b == PLACE || is_name_character(b));
    return a == b;
}

/* Both rows are walked at once, byte by byte of a name that fits both; row by row it is enough to know which
   pairs of places can be reached. */
bool template_overlap(const struct template *a, const struct template *b)
{
    char left[TEMPLATE_TEXT_MAX], right[TEMPLATE_TEXT_MAX];
    size_t rows = write_units(a, left), columns = write_units(b, right);
    bool *reached = xcalloc((rows + 1) * (columns + 1), sizeof *reached);
    reached[0] = true;
    for (size_t i = 0; i < rows; i++) {
        for (size_t k = 0; k < columns; k++) {
            if (!reached[i * (columns + 1) + k] || !share_byte(left[i], right[k]))
                continue;
            bool *here = &reached[i * (columns + 1) + k];
            here[columns + 2] = true;
            here[1] = here[1] || left[i] == PLACE;
            here[columns + 1] = here[columns + 1] || right[k] == PLACE;
        }
    }
    bool overlap = reached[rows * (columns + 1) + columns];
    free(reached);
    return overlap;
}
