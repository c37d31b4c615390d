#include "causeway/decimal.h"

#include "causeway/check.h"

enum { COARSE_STEPS = 64 }; /* no divisor below 10^18 holds more factors of 2 or of 5 */

static const int64_t EXPONENT_MAX = 100000000000000000;

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* What stands behind 'e', cut to EXPONENT_MAX. */
static int64_t read_exponent(const char *at, const char *end)
{
    bool negative = at < end && *at == '-';
    int64_t value = 0;
    for (at += at < end && !is_digit(*at); at < end && value < EXPONENT_MAX; at++)
        value = value * 10 + (*at - '0');
    value = value < EXPONENT_MAX ? value : EXPONENT_MAX;
    return negative ? -value : value;
}

/* Takes the zeros off both ends of the digits. */
static struct decimal trimmed(struct decimal d)
{
    while (d.first < d.end && (*d.first == '0' || *d.first == '.'))
        d.first++;
    for (; d.first < d.end && (d.end[-1] == '0' || d.end[-1] == '.'); d.end--)
        d.lowest += d.end[-1] == '0';
    return d;
}

struct decimal decimal_read(struct slice number)
{
    const char *at = number.data, *end = number.data + number.size, *dot = NULL;
    struct decimal d = {.negative = at < end && *at == '-'};
    d.first = at += d.negative;
    for (; at < end && (is_digit(*at) || *at == '.'); at++) {
        if (*at == '.')
            dot = at;
    }
    d.end = at;
    d.lowest = dot ? dot + 1 - at : 0;
    if (at < end)
        d.lowest += read_exponent(at + 1, end);
    d = trimmed(d);
    if (d.first == d.end)
        return (struct decimal){0};
    d.highest = d.lowest + (int64_t)decimal_digits(d) - 1;
    return d;
}

size_t decimal_digits(struct decimal d)
{
    size_t size = (size_t)(d.end - d.first);
    return size - (size > 0 && memchr(d.first, '.', size) ? 1 : 0);
}

/* The next digit at or behind *at, or '\0' at the end. */
static char next_digit(const char **at, const char *end)
{
    if (*at < end && **at == '.')
        ++*at;
    if (*at == end)
        return '\0';
    return *(*at)++;
}

static int compare_digits(struct decimal a, struct decimal b)
{
    for (;;) {
        char left = next_digit(&a.first, a.end), right = next_digit(&b.first, b.end);
        if (left != right)
            return left < right ? -1 : 1; /* the end is less than any digit */
        if (left == '\0')
            return 0;
    }
}

static int sign_of(struct decimal d)
{
    return d.first == d.end ? 0 : d.negative ? -1 : 1;
}

int decimal_compare(struct decimal a, struct decimal b)
{
    int sign = sign_of(a), other = sign_of(b);
    if (sign != other || sign == 0)
        return (sign > other) - (sign < other);
    int greater = a.highest != b.highest ? (a.highest < b.highest ? -1 : 1) : compare_digits(a, b);
    return sign * greater;
}

bool decimal_is_whole(struct decimal d)
{
    return d.first == d.end || d.lowest >= 0;
}

bool decimal_int64(struct decimal d, int64_t *out)
{
    if (!decimal_is_whole(d) || d.highest > 17)
        return false;
    int64_t value = 0;
    for (char digit; (digit = next_digit(&d.first, d.end)) != '\0';)
        value = value * 10 + (digit - '0');
    for (int64_t i = 0; i < d.lowest && value != 0; i++)
        value *= 10;
    *out = d.negative ? -value : value;
    return true;
}

uint64_t decimal_hash(struct decimal d)
{
    uint64_t hash = (uint64_t)d.highest * 2 + d.negative;
    for (char digit; (digit = next_digit(&d.first, d.end)) != '\0';)
        hash = (hash ^ (unsigned char)digit) * 0x100000001b3;
    return hash;
}

static uint64_t digits_modulo(struct decimal d, uint64_t divisor)
{
    uint64_t rest = 0;
    for (char digit; (digit = next_digit(&d.first, d.end)) != '\0';)
        rest = (rest * 10 + (uint64_t)(digit - '0')) % divisor;
    return rest;
}

/* With d = a * 10^p and divisor = b * 10^q, where neither a nor b ends in 0: for p < q a would have to be a
   multiple of ten. Else b must divide a * 10^(p - q), to which no more than COARSE_STEPS tens can contribute.
 */
bool decimal_is_multiple(struct decimal d, struct decimal divisor)
{
    CHECK(sign_of(divisor) > 0 && decimal_digits(divisor) <= DECIMAL_DIVISOR_DIGITS);
    if (sign_of(d) == 0)
        return true;
    if (d.lowest < divisor.lowest)
        return false;
    uint64_t by = digits_modulo(divisor, UINT64_MAX);
    CHECK(by > 0);
    uint64_t rest = digits_modulo(d, by);
    for (int64_t tens = d.lowest - divisor.lowest, i = 0; i < tens && i < COARSE_STEPS; i++)
        rest = rest * 10 % by;
    return rest == 0;
}
