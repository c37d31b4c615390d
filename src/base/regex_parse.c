/* From a pattern to programs, in one pass by recursive descent. What has been read stands at the end of the
   program as a run of steps with relative targets: a quantifier copies it, an alternative gets a step put
   before it, and in a program that runs backwards each term is moved before those that were read earlier. */
#include "regex_parser.h"

#include "causeway/memory.h"

#include <stdlib.h>

enum { COUNT_MAX = REGEX_UNLIMITED - 1 };

/* --- the place in the pattern --- */

/* The first fault stays; one of the syntax weighs more than one that only we have. */
bool regex_fail(struct regex_parser *p, enum regex_verdict verdict, const char *fault)
{
    if (!p->fault || (p->verdict == REGEX_UNSUPPORTED && verdict == REGEX_BROKEN)) {
        p->fault = fault;
        p->verdict = verdict;
    }
    return false;
}

bool regex_broken(struct regex_parser *p, const char *fault)
{
    return regex_fail(p, REGEX_BROKEN, fault);
}

bool regex_is_broken(const struct regex_parser *p)
{
    return p->verdict == REGEX_BROKEN;
}

bool regex_take(struct regex_parser *p, const char *text)
{
    size_t size = strlen(text);
    if ((size_t)(p->end - p->at) < size || memcmp(p->at, text, size) != 0)
        return false;
    p->at += size;
    return true;
}

bool regex_is_next(const struct regex_parser *p, char c)
{
    return p->at < p->end && *p->at == c;
}

/* The next byte, NUL at the end. */
char regex_peek(const struct regex_parser *p)
{
    if (p->at == p->end)
        return '\0';
    return *p->at;
}

/* --- atoms --- */

static void parse_disjunction(struct regex_parser *p);

static void parse_reference(struct regex_parser *p)
{
    uint32_t number = 0;
    for (; p->at < p->end && *p->at >= '0' && *p->at <= '9' && number < 100000; p->at++)
        number = number * 10 + (uint32_t)(*p->at - '0');
    p->highest_reference = number > p->highest_reference ? number : p->highest_reference;
    regex_fail(p, REGEX_UNSUPPORTED, "back references are not supported");
}

static bool is_name_start(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '$' ||
           (unsigned char)c >= 0x80;
}

/* "name>" of a group or of a reference to one. */
static bool take_name(struct regex_parser *p)
{
    const char *first = p->at;
    while (p->at < p->end && (is_name_start(*p->at) || (p->at > first && *p->at >= '0' && *p->at <= '9')))
        p->at++;
    return (p->at > first && regex_take(p, ">")) || regex_broken(p, "a group's name is no name");
}

static void parse_escape(struct regex_parser *p)
{
    char c = regex_peek(p);
    if (c >= '1' && c <= '9') {
        parse_reference(p);
    } else if (regex_take(p, "k<")) {
        (void)take_name(p);
        regex_fail(p, REGEX_UNSUPPORTED, "back references are not supported");
    } else if (c == 'p' || c == 'P') {
        regex_take_property(p);
    } else if (regex_take_class_escape(p)) {
        regex_append_set(p, false);
    } else {
        (void)regex_append(p, REGEX_CHARACTER, regex_take_character_escape(p));
    }
}

/* A look-around's body goes into a program of its own, which follows those that it contains. */
static void parse_look(struct regex_parser *p, bool backwards, bool negated)
{
    struct regex_program *outer = p->out, body = {.backwards = backwards};
    p->out = &body;
    parse_disjunction(p);
    (void)regex_append(p, REGEX_MATCH, 0);
    p->out = outer;
    struct regex *r = p->regex;
    r->looks = xrealloc(r->looks, (r->look_count + 1) * sizeof *r->looks);
    r->looks[r->look_count] = body;
    (void)regex_append(p, negated ? REGEX_NOT_LOOK : REGEX_LOOK, r->look_count++);
}

static void close_group(struct regex_parser *p)
{
    if (!regex_take(p, ")"))
        regex_broken(p, "a '(' without ')'");
}

static void parse_group(struct regex_parser *p)
{
    if (regex_take(p, "?<"))
        (void)take_name(p);
    else if (regex_is_next(p, '?') && !regex_take(p, "?:"))
        regex_broken(p, "a group that ECMA-262 does not have");
    parse_disjunction(p);
    close_group(p);
}

/* ^, $, \b and look-arounds take no character, and no quantifier may follow them. */
static bool parse_assertion(struct regex_parser *p)
{
    static const struct {
        const char *text;
        bool backwards, negated;
    } looks[] = {{"(?=", true, false}, {"(?!", true, true}, {"(?<=", false, false}, {"(?<!", false, true}};
    if (regex_take(p, "^"))
        return regex_append(p, REGEX_START, 0);
    if (regex_take(p, "$"))
        return regex_append(p, REGEX_END, 0);
    if (regex_take(p, "\\b"))
        return regex_append(p, REGEX_WORD, 0);
    if (regex_take(p, "\\B"))
        return regex_append(p, REGEX_WORD, 1);
    for (size_t i = 0; i < sizeof looks / sizeof *looks; i++) {
        if (regex_take(p, looks[i].text)) {
            parse_look(p, looks[i].backwards, looks[i].negated);
            close_group(p);
            return true;
        }
    }
    return false;
}

static void parse_atom(struct regex_parser *p)
{
    if (regex_take(p, "(")) {
        parse_group(p);
    } else if (regex_take(p, "[")) {
        regex_parse_class(p);
    } else if (regex_take(p, "\\")) {
        parse_escape(p);
    } else if (regex_take(p, ".")) {
        regex_set_add_dot(&p->set);
        regex_append_set(p, false);
    } else if (strchr("*+?{}]", *p->at)) {
        regex_broken(p, "a character of the syntax that stands for nothing; write a backslash before it");
    } else {
        (void)regex_append(p, REGEX_CHARACTER, regex_take_code(p));
    }
}

/* --- quantifiers --- */

static uint32_t take_number(struct regex_parser *p)
{
    uint32_t number = 0;
    for (; p->at < p->end && *p->at >= '0' && *p->at <= '9'; p->at++)
        number = number < COUNT_MAX / 10 ? number * 10 + (uint32_t)(*p->at - '0') : COUNT_MAX;
    return number;
}

static bool take_braces(struct regex_parser *p, uint32_t *least, uint32_t *most)
{
    const char *first = p->at;
    *least = *most = take_number(p);
    bool digits_first = p->at > first;
    if (digits_first && regex_take(p, ","))
        *most = regex_is_next(p, '}') ? REGEX_UNLIMITED : take_number(p);
    if (!digits_first || !regex_take(p, "}"))
        return regex_broken(p, "a '{' that begins no number of repetitions");
    return *least <= *most || regex_broken(p, "a number of repetitions that is upside down");
}

static bool take_quantifier(struct regex_parser *p, uint32_t *least, uint32_t *most)
{
    *least = 0;
    *most = REGEX_UNLIMITED;
    if (regex_take(p, "?"))
        *most = 1;
    else if (regex_take(p, "+"))
        *least = 1;
    else if (regex_take(p, "{")) {
        if (!take_braces(p, least, most))
            return false;
    } else if (!regex_take(p, "*"))
        return false;
    (void)regex_take(p, "?"); /* whether it prefers few or many makes no difference to yes or no */
    return true;
}

/* --- the whole --- */

static void parse_term(struct regex_parser *p)
{
    uint32_t start = p->out->count, least, most;
    if (parse_assertion(p))
        return;
    parse_atom(p);
    if (!regex_is_broken(p) && take_quantifier(p, &least, &most))
        regex_repeat(p, start, least, most);
}

static void parse_alternative(struct regex_parser *p)
{
    uint32_t start = p->out->count;
    while (!regex_is_broken(p) && p->at < p->end && *p->at != '|' && *p->at != ')') {
        uint32_t term = p->out->count;
        parse_term(p);
        if (p->out->backwards && !p->fault)
            regex_swap_runs(p->out, start, term);
    }
}

/* Each alternative but the last: a split to it and to the next, itself, a jump to the end. */
static void parse_alternatives(struct regex_parser *p)
{
    uint32_t pending = 0; /* 1 + the last jump whose end is not known; it holds the one before it */
    for (;;) {
        uint32_t start = p->out->count;
        parse_alternative(p);
        if (regex_is_broken(p) || !regex_take(p, "|"))
            break;
        regex_insert_split(p, start);
        regex_append(p, REGEX_JUMP, 0)->b = (int32_t)pending;
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

static void parse_disjunction(struct regex_parser *p)
{
    if (++p->depth > REGEX_DEPTH_MAX) {
        regex_fail(p, REGEX_UNSUPPORTED, "groups are nested too deeply");
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
    struct regex_parser p = {.regex = xcalloc(1, sizeof *p.regex)};
    p.at = pattern.size > 0 ? pattern.data : "";
    p.end = p.at + pattern.size;
    p.out = &p.regex->main;
    parse_disjunction(&p);
    if (!regex_is_broken(&p) && p.at < p.end)
        regex_broken(&p, "a ')' without '('");
    if (p.highest_reference > count_groups(pattern))
        regex_broken(&p, "a reference to a group that is not there");
    (void)regex_append(&p, REGEX_MATCH, 0);
    free(p.set.ranges);
    *verdict = p.verdict;
    *fault = p.fault;
    if (!p.fault)
        return p.regex;
    regex_destroy(p.regex);
    return NULL;
}
