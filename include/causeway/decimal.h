/* Numbers as JSON writes them, compared and divided exactly whatever their size: no double, no overflow.
   A decimal is a view of the text it was read from, which must be a valid JSON number and outlive it. Pure.
   Exponents beyond +-10^17 count as that: numbers that nobody can mean are not told apart. */
#pragma once

#include "causeway/slice.h"

#include <stdint.h>

enum { DECIMAL_DIVISOR_DIGITS = 18 };

/* Its value: the digits from `first` up to `end` (a '.' may stand among them) times 10^lowest. Neither the
   first digit nor the last is 0; no digits at all: the number is zero. */
struct decimal {
    const char *first, *end;
    int64_t lowest;  /* the power of ten of the last digit */
    int64_t highest; /* ... and of the first */
    bool negative;
};

struct decimal decimal_read(struct slice number);
int decimal_compare(struct decimal a, struct decimal b); /* -1, 0, 1 */
bool decimal_is_whole(struct decimal d);                 /* 1, 1.0 and 1e2 are */
bool decimal_int64(struct decimal d, int64_t *out);      /* false: not whole, or more than 18 digits */
uint64_t decimal_hash(struct decimal d);                 /* equal for equal numbers */

/* Is `d` a whole multiple of `divisor`, which is greater than zero and has at most DECIMAL_DIVISOR_DIGITS
   digits? */
bool decimal_is_multiple(struct decimal d, struct decimal divisor);
size_t decimal_digits(struct decimal d); /* of the digits that matter */
