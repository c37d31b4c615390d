/* Single characters, escapes and classes of a pattern. */
#include "regex_parser.h"

#include "causeway/utf8.h"

uint32_t regex_take_code(struct regex_parser *p)
{
    unsigned char lead = (unsigned char)*p->at++;
    if (lead < 0x80)
        return lead;
    uint32_t code = lead & (lead < 0xe0 ? 0x1f : lead < 0xf0 ? 0x0f : 0x07);
    while (p->at < p->end && utf8_is_tail((unsigned char)*p->at))
        code = code << 6 | ((unsigned char)*p->at++ & 0x3f);
    return code;
}

/* --- escapes --- */

/* \d and its like; a capital letter means all others. */
bool regex_take_class_escape(struct regex_parser *p)
{
    if (p->at == p->end || !regex_set_add_class(&p->set, *p->at))
        return false;
    p->at++;
    return true;
}

static int hex_value(char c)
{
    char low = (char)(c | 0x20);
    return c >= '0' && c <= '9' ? c - '0' : low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
}

static uint32_t take_hex(struct regex_parser *p, int count)
{
    uint32_t value = 0;
    for (; count > 0; count--, p->at++) {
        int digit = p->at < p->end ? hex_value(*p->at) : -1;
        if (digit < 0) {
            regex_broken(p, "\\x and \\u lack hexadecimal digits");
            return REGEX_NO_CODE;
        }
        value = value << 4 | (uint32_t)digit;
    }
    return value;
}

static uint32_t take_braced_hex(struct regex_parser *p)
{
    uint32_t value = 0;
    const char *first = p->at;
    for (; p->at < p->end && hex_value(*p->at) >= 0 && value <= REGEX_CODE_MAX; p->at++)
        value = value << 4 | (uint32_t)hex_value(*p->at);
    if (p->at == first || value > REGEX_CODE_MAX || !regex_take(p, "}")) {
        regex_broken(p, "\\u{...} is no character of Unicode");
        return REGEX_NO_CODE;
    }
    return value;
}

/* Behind \u; two halves of a surrogate pair are one character. */
static uint32_t take_unicode(struct regex_parser *p)
{
    if (regex_take(p, "{"))
        return take_braced_hex(p);
    uint32_t high = take_hex(p, 4);
    if (high < 0xd800 || high > 0xdbff || !regex_take(p, "\\u"))
        return high;
    const char *behind = p->at - 2;
    uint32_t low = regex_is_next(p, '{') ? REGEX_NO_CODE : take_hex(p, 4);
    if (low >= 0xdc00 && low <= 0xdfff)
        return 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
    p->at = behind;
    return high;
}

/* \p{Letter} and the like: told apart from what is no syntax at all. */
bool regex_take_property(struct regex_parser *p)
{
    p->at++;
    const char *first = p->at;
    while (p->at < p->end && *p->at != '}')
        p->at++;
    if (first == p->end || *first != '{' || p->at - first < 2 || !regex_take(p, "}"))
        return regex_broken(p, "\\p without {...}");
    return regex_fail(
        p, REGEX_UNSUPPORTED, "\\p{...} is not supported; write the ranges, such as [A-Za-z\\u00c0-\\u024f]");
}

/* One character behind a backslash, in or outside of a class; REGEX_NO_CODE after a fault. */
uint32_t regex_take_character_escape(struct regex_parser *p)
{
    static const char named[] = "f\fn\nr\rt\tv\v";
    static const char syntax[] = "^$\\.*+?()[]{}|/";
    char c = regex_peek(p);
    p->at += p->at < p->end;
    char next = regex_peek(p);
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
    regex_broken(p, "an escape that ECMA-262 does not have (with the flag u)");
    return REGEX_NO_CODE;
}

/* --- classes --- */

/* An end of a range, or \d and its like, which is none: REGEX_NO_CODE. */
static uint32_t take_class_atom(struct regex_parser *p, bool *is_class)
{
    *is_class = false;
    if (!regex_take(p, "\\"))
        return regex_take_code(p);
    *is_class = regex_is_next(p, 'p') || regex_is_next(p, 'P');
    if (*is_class)
        regex_take_property(p);
    else
        *is_class = regex_take_class_escape(p);
    if (*is_class)
        return REGEX_NO_CODE;
    if (regex_take(p, "b"))
        return '\b';
    if (regex_take(p, "-"))
        return '-';
    return regex_take_character_escape(p);
}

void regex_parse_class(struct regex_parser *p)
{
    bool negated = regex_take(p, "^"), first_is_class, last_is_class;
    while (!regex_is_broken(p) && p->at < p->end && *p->at != ']') {
        uint32_t first = take_class_atom(p, &first_is_class), last = first;
        if (p->end - p->at >= 2 && p->at[0] == '-' && p->at[1] != ']') {
            p->at++;
            last = take_class_atom(p, &last_is_class);
            if (first_is_class || last_is_class)
                regex_broken(p, "a range that begins or ends in a class such as \\d");
        }
        if (first > last)
            regex_broken(p, "a range that is upside down");
        else if (first != REGEX_NO_CODE && last != REGEX_NO_CODE)
            regex_set_add(&p->set, first, last);
    }
    if (!regex_take(p, "]"))
        regex_broken(p, "a '[' without ']'");
    regex_append_set(p, negated);
}
