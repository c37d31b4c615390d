#include "causeway/scalar.h"

#include <stdlib.h>

struct word {
    struct slice text;
    enum document_type type;
};

static const struct word words[] = {
    {{"", 0}, DOCUMENT_NULL},
    {{"~", 1}, DOCUMENT_NULL},
    {{"null", 4}, DOCUMENT_NULL},
    {{"Null", 4}, DOCUMENT_NULL},
    {{"NULL", 4}, DOCUMENT_NULL},
    {{"true", 4}, DOCUMENT_BOOL},
    {{"True", 4}, DOCUMENT_BOOL},
    {{"TRUE", 4}, DOCUMENT_BOOL},
    {{"false", 5}, DOCUMENT_BOOL},
    {{"False", 5}, DOCUMENT_BOOL},
    {{"FALSE", 5}, DOCUMENT_BOOL},
    {{".nan", 4}, DOCUMENT_NUMBER},
    {{".NaN", 4}, DOCUMENT_NUMBER},
    {{".NAN", 4}, DOCUMENT_NUMBER},
};

static const struct slice infinities[] = {{".inf", 4}, {".Inf", 4}, {".INF", 4}};

static const char digits[] = "0123456789";

static struct slice skip(struct slice s, size_t count)
{
    return (struct slice){s.data + count, s.size - count};
}

static size_t span(struct slice s, const char *accepted)
{
    size_t count = 0;
    while (count < s.size && s.data[count] != '\0' && strchr(accepted, s.data[count]))
        count++;
    return count;
}

static struct slice skip_sign(struct slice s)
{
    return s.size > 0 && (s.data[0] == '+' || s.data[0] == '-') ? skip(s, 1) : s;
}

static bool is_infinity(struct slice text)
{
    text = skip_sign(text);
    for (size_t i = 0; i < sizeof(infinities) / sizeof(*infinities); i++)
        if (slice_equal(text, infinities[i]))
            return true;
    return false;
}

/* 16 for 0x1f, 8 for 0o17, 0 otherwise; no sign is allowed here. */
static int base_of(struct slice text)
{
    bool hex = slice_starts(text, SLICE("0x")), octal = slice_starts(text, SLICE("0o"));
    if (text.size < 3 || (!hex && !octal))
        return 0;
    struct slice rest = skip(text, 2);
    return span(rest, hex ? "0123456789abcdefABCDEF" : "01234567") != rest.size ? 0 : hex ? 16 : 8;
}

/* The parts of [-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )? */
struct decimal {
    bool negative;
    struct slice whole, fraction, exponent; /* the exponent with its letter */
};

static bool parse_decimal(struct slice s, struct decimal *d)
{
    *d = (struct decimal){.negative = slice_starts(s, SLICE("-"))};
    s = skip_sign(s);
    d->whole = (struct slice){s.data, span(s, digits)};
    s = skip(s, d->whole.size);
    if (slice_starts(s, SLICE("."))) {
        s = skip(s, 1);
        d->fraction = (struct slice){s.data, span(s, digits)};
        s = skip(s, d->fraction.size);
    }
    if (d->whole.size + d->fraction.size == 0)
        return false;
    if (s.size == 0)
        return true;
    d->exponent = s;
    if (*s.data != 'e' && *s.data != 'E')
        return false;
    s = skip_sign(skip(s, 1));
    return s.size > 0 && span(s, digits) == s.size;
}

enum document_type scalar_type(struct slice text)
{
    struct decimal ignored;
    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
        if (slice_equal(text, words[i].text))
            return words[i].type;
    bool number = is_infinity(text) || base_of(text) || parse_decimal(text, &ignored);
    return number ? DOCUMENT_NUMBER : DOCUMENT_STRING;
}

/* Integers in base 8 and 16; beyond 64 bits the nearest double must do. */
static void write_based(struct slice text, int base, struct buffer *out)
{
    uint64_t value = 0;
    double rough = 0;
    bool overflow = false;
    for (size_t i = 2; i < text.size; i++) {
        char digit[] = {text.data[i], '\0'};
        uint64_t unit = strtoul(digit, NULL, base);
        rough = rough * base + (double)unit;
        overflow = overflow || __builtin_mul_overflow(value, (uint64_t)base, &value) ||
                   __builtin_add_overflow(value, unit, &value);
    }
    if (overflow && rough > 1.7e308)
        buffer_add_text(out, "null");
    else if (overflow)
        buffer_print(out, "%.17g", rough);
    else
        buffer_print(out, "%llu", (unsigned long long)value);
}

void scalar_write_number(struct slice text, struct buffer *out)
{
    struct decimal d;
    int base = base_of(text);
    if (base) {
        write_based(text, base, out);
        return;
    }
    if (!parse_decimal(text, &d)) {
        buffer_add_text(out, "null");
        return;
    }
    size_t zeros = span(d.whole, "0");
    if (zeros == d.whole.size && zeros > 0)
        zeros--;
    buffer_add_text(out, d.negative ? "-" : "");
    buffer_add_slice(out, d.whole.size ? skip(d.whole, zeros) : SLICE("0"));
    if (d.fraction.size > 0)
        buffer_add_byte(out, '.');
    buffer_add_slice(out, d.fraction);
    buffer_add_slice(out, d.exponent);
}
