/* From a pattern to programs, in one pass by recursive descent. What has been read stands at the end of the
   program as a run of steps with relative targets: a quantifier copies it, an alternative gets a step put
   before it, and in a program that runs backwards each term is moved before those that were read earlier. */
#include "regex_internal.h"

#include "causeway/memory.h"
#include "causeway/utf8.h"

#include <stdlib.h>

enum { NO_CODE = REGEX_CODE_MAX + 1, UNLIMITED = UINT16_MAX, COUNT_MAX = UINT16_MAX - 1 };

struct parser {
    const char *at, *end;
    struct regex *regex;
    struct regex_program *out;
    struct regex_set set; /* the class that is being read */
    const char *fault;
    enum regex_verdict verdict;
    uint32_t highest_reference;
    int depth;
};

static const char too_large[] = "it is too large when its repetitions are written out";

/* The first fault stays; one of the syntax weighs more than one that only we have. */
static bool fail(struct parser *p, enum regex_verdict verdict, const char *fault)
{
    if (!p->fault || (p->verdict == REGEX_UNSUPPORTED && verdict == REGEX_BROKEN)) {
        p->fault = fault;
        p->verdict = verdict;
    }
    return false;
}

static bool broken(struct parser *p, const char *fault)
{
    return fail(p, REGEX_BROKEN, fault);
}

static bool is_broken(const struct parser *p)
{
    return p->verdict == REGEX_BROKEN;
}

static bool take(struct parser *p, const char *text)
{
    size_t size = strlen(text);
    if ((size_t)(p->end - p->at) < size || memcmp(p->at, text, size) != 0)
        return false;
    p->at += size;
    return true;
}

static bool is_next(const struct parser *p, char c)
{
    return p->at < p->end && *p->at == c;
}

/* The next byte, NUL at the end. */
static char peek(const struct parser *p)
{
    if (p->at == p->end)
        return '\0';
    return *p->at;
}

static uint32_t take_code(struct parser *p)
{
    unsigned char lead = (unsigned char)*p->at++;
    if (lead < 0x80)
        return lead;
    uint32_t code = lead & (lead < 0xe0 ? 0x1f : lead < 0xf0 ? 0x0f : 0x07);
    while (p->at < p->end && utf8_is_tail((unsigned char)*p->at))
        code = code << 6 | ((unsigned char)*p->at++ & 0x3f);
    return code;
}

/* --- programs --- */

static struct regex_step *append(struct parser *p, enum regex_op op, uint32_t value)
{
    struct regex_program *out = p->out;
    if (out->count == out->capacity) {
        out->capacity = out->capacity ? out->capacity * 2 : 16;
        out->steps = xrealloc(out->steps, out->capacity * sizeof *out->steps);
    }
    if (out->count >= REGEX_STEPS_MAX) {
        fail(p, REGEX_UNSUPPORTED, too_large);
        out->count--; /* the program will not be used; it only must not grow */
    }
    out->steps[out->count] = (struct regex_step){.op = op, .value = value};
    return &out->steps[out->count++];
}

static void append_split(struct parser *p, int32_t a, int32_t b)
{
    struct regex_step *step = append(p, REGEX_SPLIT, 0);
    step->a = a;
    step->b = b;
}

/* Puts a step before those from `start` on. */
static void insert_split(struct parser *p, uint32_t start)
{
    uint32_t count = p->out->count - start;
    (void)append(p, REGEX_SPLIT, 0);
    if (p->fault)
        return;
    struct regex_step *steps = p->out->steps + start;
    memmove(steps + 1, steps, count * sizeof *steps);
    steps[0] = (struct regex_step){.op = REGEX_SPLIT, .a = 1};
}

static void swap_runs(struct regex_program *out, uint32_t first, uint32_t second)
{
    uint32_t left = second - first, right = out->count - second;
    if (left == 0 || right == 0)
        return;
    struct regex_step *copy = xmalloc(left * sizeof *copy);
    memcpy(copy, out->steps + first, left * sizeof *copy);
    memmove(out->steps + first, out->steps + second, right * sizeof *copy);
    memcpy(out->steps + first + right, copy, left * sizeof *copy);
    free(copy);
}

/* --- classes of characters --- */

/* The set that has been gathered becomes a step. */
static void append_set(struct parser *p, bool negated)
{
    struct regex *r = p->regex;
    regex_set_finish(&p->set, negated);
    r->sets = xrealloc(r->sets, (r->set_count + 1) * sizeof *r->sets);
    r->sets[r->set_count] = p->set;
    p->set = (struct regex_set){0};
    (void)append(p, REGEX_SET, r->set_count++);
}

/* \d and its like; a capital letter means all others. */
static bool take_class_escape(struct parser *p)
{
    if (p->at == p->end || !regex_set_add_class(&p->set, *p->at))
        return false;
    p->at++;
    return true;
}

/* --- escapes --- */

static int hex_value(char c)
{
    char low = (char)(c | 0x20);
    return c >= '0' && c <= '9' ? c - '0' : low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
}

static uint32_t take_hex(struct parser *p, int count)
{
    uint32_t value = 0;
    for (; count > 0; count--, p->at++) {
        int digit = p->at < p->end ? hex_value(*p->at) : -1;
        if (digit < 0) {
            broken(p, "\\x and \\u lack hexadecimal digits");
            return NO_CODE;
        }
        value = value << 4 | (uint32_t)digit;
    }
    return value;
}

static uint32_t take_braced_hex(struct parser *p)
{
    uint32_t value = 0;
    const char *first = p->at;
    for (; p->at < p->end && hex_value(*p->at) >= 0 && value <= REGEX_CODE_MAX; p->at++)
        value = value << 4 | (uint32_t)hex_value(*p->at);
    if (p->at == first || value > REGEX_CODE_MAX || !take(p, "}")) {
        broken(p, "\\u{...} is no character of Unicode");
        return NO_CODE;
    }
    return value;
}

/* Behind \u; two halves of a surrogate pair are one character. */
static uint32_t take_unicode(struct parser *p)
{
    if (take(p, "{"))
        return take_braced_hex(p);
    uint32_t high = take_hex(p, 4);
    if (high < 0xd800 || high > 0xdbff || !take(p, "\\u"))
        return high;
    const char *behind = p->at - 2;
    uint32_t low = is_next(p, '{') ? NO_CODE : take_hex(p, 4);
    if (low >= 0xdc00 && low <= 0xdfff)
        return 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
    p->at = behind;
    return high;
}

/* \p{Letter} and the like: told apart from what is no syntax at all. */
static bool take_property(struct parser *p)
{
    p->at++;
    const char *first = p->at;
    while (p->at < p->end && *p->at != '}')
        p->at++;
    if (first == p->end || *first != '{' || p->at - first < 2 || !take(p, "}"))
        return broken(p, "\\p without {...}");
    return fail(
        p, REGEX_UNSUPPORTED, "\\p{...} is not supported; write the ranges, such as [A-Za-z\\u00c0-\\u024f]");
}

/* One character behind a backslash, in or outside of a class; NO_CODE after a fault. */
static uint32_t take_character_escape(struct parser *p)
{
    static const char named[] = "f\fn\nr\rt\tv\v";
    static const char syntax[] = "^$\\.*+?()[]{}|/";
    char c = peek(p);
    p->at += p->at < p->end;
    char next = peek(p);
    for (size_t i = 0; i + 1 < sizeof named; i += 2)
        if (c == named[i])
            return (unsigned char)named[i + 1];
    if (c != '\0' && strchr(syntax, c))
        return (unsigned char)c;
    if (c == 'x')
        return take_hex(p, 2);
    if (c == 'u')
        return take_unicode(p);
    if (c == '0' && !(next >= '0' && next <= '9'))
        return 0;
    if (c == 'c' && ((next | 0x20) >= 'a' && (next | 0x20) <= 'z'))
        return (unsigned char)*p->at++ & 0x1f;
    broken(p, "an escape that ECMA-262 does not have (with the flag u)");
    return NO_CODE;
}

/* --- classes --- */

/* An end of a range, or \d and its like, which is none: NO_CODE. */
static uint32_t take_class_atom(struct parser *p, bool *is_class)
{
    *is_class = false;
    if (!take(p, "\\"))
        return take_code(p);
    *is_class = is_next(p, 'p') || is_next(p, 'P');
    if (*is_class)
        take_property(p);
    else
        *is_class = take_class_escape(p);
    if (*is_class)
        return NO_CODE;
    if (take(p, "b"))
        return '\b';
    if (take(p, "-"))
        return '-';
    return take_character_escape(p);
}

static void parse_class(struct parser *p)
{
    bool negated = take(p, "^"), first_is_class, last_is_class;
    while (!is_broken(p) && p->at < p->end && *p->at != ']') {
        uint32_t first = take_class_atom(p, &first_is_class), last = first;
        if (p->end - p->at >= 2 && p->at[0] == '-' && p->at[1] != ']') {
            p->at++;
            last = take_class_atom(p, &last_is_class);
            if (first_is_class || last_is_class)
                broken(p, "a range that begins or ends in a class such as \\d");
        }
        if (first > last)
            broken(p, "a range that is upside down");
        else if (first != NO_CODE && last != NO_CODE)
            regex_set_add(&p->set, first, last);
    }
    if (!take(p, "]"))
        broken(p, "a '[' without ']'");
    append_set(p, negated);
}

/* --- atoms --- */

static void parse_disjunction(struct parser *p);

static void parse_reference(struct parser *p)
{
    uint32_t number = 0;
    for (; p->at < p->end && *p->at >= '0' && *p->at <= '9' && number < 100000; p->at++)
        number = number * 10 + (uint32_t)(*p->at - '0');
    p->highest_reference = number > p->highest_reference ? number : p->highest_reference;
    fail(p, REGEX_UNSUPPORTED, "back references are not supported");
}

static bool is_name_start(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '$' ||
           (unsigned char)c >= 0x80;
}

/* "name>" of a group or of a reference to one. */
static bool take_name(struct parser *p)
{
    const char *first = p->at;
    while (p->at < p->end && (is_name_start(*p->at) || (p->at > first && *p->at >= '0' && *p->at <= '9')))
        p->at++;
    return (p->at > first && take(p, ">")) || broken(p, "a group's name is no name");
}

static void parse_escape(struct parser *p)
{
    char c = peek(p);
    if (c >= '1' && c <= '9') {
        parse_reference(p);
    } else if (take(p, "k<")) {
        (void)take_name(p);
        fail(p, REGEX_UNSUPPORTED, "back references are not supported");
    } else if (c == 'p' || c == 'P') {
        take_property(p);
    } else if (take_class_escape(p)) {
        append_set(p, false);
    } else {
        (void)append(p, REGEX_CHARACTER, take_character_escape(p));
    }
}

/* A look-around's body goes into a program of its own, which follows those that it contains. */
static void parse_look(struct parser *p, bool backwards, bool negated)
{
    struct regex_program *outer = p->out, body = {.backwards = backwards};
    p->out = &body;
    parse_disjunction(p);
    (void)append(p, REGEX_MATCH, 0);
    p->out = outer;
    struct regex *r = p->regex;
    r->looks = xrealloc(r->looks, (r->look_count + 1) * sizeof *r->looks);
    r->looks[r->look_count] = body;
    (void)append(p, negated ? REGEX_NOT_LOOK : REGEX_LOOK, r->look_count++);
}

static void close_group(struct parser *p)
{
    if (!take(p, ")"))
        broken(p, "a '(' without ')'");
}

static void parse_group(struct parser *p)
{
    if (take(p, "?<"))
        (void)take_name(p);
    else if (is_next(p, '?') && !take(p, "?:"))
        broken(p, "a group that ECMA-262 does not have");
    parse_disjunction(p);
    close_group(p);
}

/* ^, $, \b and look-arounds take no character, and no quantifier may follow them. */
static bool parse_assertion(struct parser *p)
{
    static const struct {
        const char *text;
        bool backwards, negated;
    } looks[] = {{"(?=", true, false}, {"(?!", true, true}, {"(?<=", false, false}, {"(?<!", false, true}};
    if (take(p, "^"))
        return append(p, REGEX_START, 0);
    if (take(p, "$"))
        return append(p, REGEX_END, 0);
    if (take(p, "\\b"))
        return append(p, REGEX_WORD, 0);
    if (take(p, "\\B"))
        return append(p, REGEX_WORD, 1);
    for (size_t i = 0; i < sizeof looks / sizeof *looks; i++) {
        if (take(p, looks[i].text)) {
            parse_look(p, looks[i].backwards, looks[i].negated);
            close_group(p);
            return true;
        }
    }
    return false;
}

static void parse_atom(struct parser *p)
{
    if (take(p, "(")) {
        parse_group(p);
    } else if (take(p, "[")) {
        parse_class(p);
    } else if (take(p, "\\")) {
        parse_escape(p);
    } else if (take(p, ".")) {
        regex_set_add_dot(&p->set);
        append_set(p, false);
    } else if (strchr("*+?{}]", *p->at)) {
        broken(p, "a character of the syntax that stands for nothing; write a backslash before it");
    } else {
        (void)append(p, REGEX_CHARACTER, take_code(p));
    }
}

/* --- quantifiers --- */

static uint32_t take_number(struct parser *p)
{
    uint32_t number = 0;
    for (; p->at < p->end && *p->at >= '0' && *p->at <= '9'; p->at++)
        number = number < COUNT_MAX / 10 ? number * 10 + (uint32_t)(*p->at - '0') : COUNT_MAX;
    return number;
}

static bool take_braces(struct parser *p, uint32_t *least, uint32_t *most)
{
    const char *first = p->at;
    *least = *most = take_number(p);
    bool digits_first = p->at > first;
    if (digits_first && take(p, ","))
        *most = is_next(p, '}') ? UNLIMITED : take_number(p);
    if (!digits_first || !take(p, "}"))
        return broken(p, "a '{' that begins no number of repetitions");
    return *least <= *most || broken(p, "a number of repetitions that is upside down");
}

static bool take_quantifier(struct parser *p, uint32_t *least, uint32_t *most)
{
    *least = 0;
    *most = UNLIMITED;
    if (take(p, "?"))
        *most = 1;
    else if (take(p, "+"))
        *least = 1;
    else if (take(p, "{")) {
        if (!take_braces(p, least, most))
            return false;
    } else if (!take(p, "*"))
        return false;
    (void)take(p, "?"); /* whether it prefers few or many makes no difference to yes or no */
    return true;
}

static void append_copy(struct parser *p, const struct regex_step *steps, uint32_t count)
{
    for (uint32_t i = 0; i < count && !p->fault; i++) {
        struct regex_step *step = append(p, steps[i].op, steps[i].value);
        step->a = steps[i].a;
        step->b = steps[i].b;
    }
}

/* Replaces the steps from `start` on by as many of them as the quantifier says. */
static void repeat(struct parser *p, uint32_t start, uint32_t least, uint32_t most)
{
    uint32_t count = p->out->count - start;
    if (count == 0 || p->fault)
        return;
    struct regex_step *copy = xmalloc(count * sizeof *copy);
    memcpy(copy, p->out->steps + start, count * sizeof *copy);
    p->out->count = start;
    int32_t size = (int32_t)count;
    for (uint32_t i = 0; i < least && !p->fault; i++)
        append_copy(p, copy, count);
    if (most == UNLIMITED) {
        append_split(p, 1, size + 2);
        append_copy(p, copy, count);
        append(p, REGEX_JUMP, 0)->a = -size - 1;
    }
    for (uint32_t i = least; i < most && most != UNLIMITED && !p->fault; i++) {
        append_split(p, 1, size + 1);
        append_copy(p, copy, count);
    }
    free(copy);
}

/* --- the whole --- */

static void parse_term(struct parser *p)
{
    uint32_t start = p->out->count, least, most;
    if (parse_assertion(p))
        return;
    parse_atom(p);
    if (!is_broken(p) && take_quantifier(p, &least, &most))
        repeat(p, start, least, most);
}

static void parse_alternative(struct parser *p)
{
    uint32_t start = p->out->count;
    while (!is_broken(p) && p->at < p->end && *p->at != '|' && *p->at != ')') {
        uint32_t term = p->out->count;
        parse_term(p);
        if (p->out->backwards && !p->fault)
            swap_runs(p->out, start, term);
    }
}

/* Each alternative but the last: a split to it and to the next, itself, a jump to the end. */
static void parse_alternatives(struct parser *p)
{
    uint32_t pending = 0; /* 1 + the last jump whose end is not known; it holds the one before it */
    for (;;) {
        uint32_t start = p->out->count;
        parse_alternative(p);
        if (is_broken(p) || !take(p, "|"))
            break;
        insert_split(p, start);
        append(p, REGEX_JUMP, 0)->b = (int32_t)pending;
        if (p->fault)
            continue;
        pending = p->out->count;
        p->out->steps[start].b = (int32_t)(p->out->count - start);
    }
    while (pending > 0 && !p->fault) {
        struct regex_step *jump = &p->out->steps[pending - 1];
        uint32_t before = (uint32_t)jump->b;
        jump->a = (int32_t)(p->out->count - pending + 1);
        jump->b = 0;
        pending = before;
    }
}

static void parse_disjunction(struct parser *p)
{
    if (++p->depth > REGEX_DEPTH_MAX) {
        fail(p, REGEX_UNSUPPORTED, "groups are nested too deeply");
        p->at = p->end;
    } else {
        parse_alternatives(p);
    }
    p->depth--;
}

static uint32_t count_groups(struct slice pattern)
{
    uint32_t count = 0;
    bool in_class = false;
    for (size_t i = 0; i < pattern.size; i++) {
        char c = pattern.data[i];
        struct slice rest = {pattern.data + i, pattern.size - i};
        if (c == '\\')
            i++;
        else if (in_class || c == '[')
            in_class = c != ']';
        else if (c == '(')
            count += !slice_starts(rest, SLICE("(?")) ||
                     (slice_starts(rest, SLICE("(?<")) && rest.size > 3 && !strchr("=!", rest.data[3]));
    }
    return count;
}

struct regex *regex_compile(struct slice pattern, enum regex_verdict *verdict, const char **fault)
{
    struct parser p = {.regex = xcalloc(1, sizeof *p.regex)};
    p.at = pattern.size > 0 ? pattern.data : "";
    p.end = p.at + pattern.size;
    p.out = &p.regex->main;
    parse_disjunction(&p);
    if (!is_broken(&p) && p.at < p.end)
        broken(&p, "a ')' without '('");
    if (p.highest_reference > count_groups(pattern))
        broken(&p, "a reference to a group that is not there");
    (void)append(&p, REGEX_MATCH, 0);
    free(p.set.ranges);
    *verdict = p.verdict;
    *fault = p.fault;
    if (!p.fault)
        return p.regex;
    regex_destroy(p.regex);
    return NULL;
}
