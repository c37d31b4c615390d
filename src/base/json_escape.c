#include "causeway/json_escape.h"

#include "causeway/utf8.h"

#include <stdbool.h>
#include <stdint.h>

static const char simple[256] = {
    ['"'] = '"',
    ['\\'] = '\\',
    ['/'] = '/',
    ['b'] = '\b',
    ['f'] = '\f',
    ['n'] = '\n',
    ['r'] = '\r',
    ['t'] = '\t',
};

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The value of four hexadecimal digits, or -1. */
static int32_t hex_unit(const char *p, const char *end)
{
    if (end - p < 4)
        return -1;
    int32_t unit = 0;
    for (int i = 0; i < 4; i++) {
        int digit = hex_digit(p[i]);
        if (digit < 0)
            return -1;
        unit = unit << 4 | digit;
    }
    return unit;
}

static bool is_high_surrogate(int32_t unit)
{
    return unit >= 0xd800 && unit <= 0xdbff;
}

static bool is_low_surrogate(int32_t unit)
{
    return unit >= 0xdc00 && unit <= 0xdfff;
}

static size_t refuse(const char **fault, const char *why)
{
    *fault = why;
    return 0;
}

static size_t check_unicode(const char *p, const char *end, const char **fault)
{
    int32_t unit = hex_unit(p + 2, end);
    if (unit < 0)
        return refuse(fault, "\\u without four hexadecimal digits");
    if (unit == 0)
        return refuse(fault, "\\u0000 is not accepted");
    if (!is_high_surrogate(unit) && !is_low_surrogate(unit))
        return 6;
    bool paired = is_high_surrogate(unit) && end - p >= 12 && p[6] == '\\' && p[7] == 'u' &&
                  is_low_surrogate(hex_unit(p + 8, end));
    return paired ? 12 : refuse(fault, "a lone surrogate");
}

size_t json_escape_check(const char *p, const char *end, const char **fault)
{
    if (end - p < 2)
        return refuse(fault, "the text ends too early");
    if (p[1] == 'u')
        return check_unicode(p, end, fault);
    return simple[(unsigned char)p[1]] ? 2 : refuse(fault, "an unknown escape");
}

const char *json_escape_decode(const char *p, char out[4], size_t *size)
{
    if (p[1] != 'u') {
        out[0] = simple[(unsigned char)p[1]];
        *size = 1;
        return p + 2;
    }
    int32_t code = hex_unit(p + 2, p + 6);
    if (!is_high_surrogate(code)) {
        *size = utf8_encode((uint32_t)code, out);
        return p + 6;
    }
    int32_t low = hex_unit(p + 8, p + 12);
    *size = utf8_encode((uint32_t)(0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00)), out);
    return p + 12;
}
