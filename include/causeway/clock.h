/* What time it is. Any thread. Core knows no clock: who calls it says when. */
#pragma once

#include <stdint.h>

/* Milliseconds of a clock that only goes forward. */
uint64_t clock_monotonic_ms(void);
/* ... in seconds, for what is measured. */
double clock_monotonic_s(void);

/* Since 1970; it may jump. */
int64_t clock_wall_ms(void);
double clock_wall_s(void);
