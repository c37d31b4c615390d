/* One GET of a small document, by libcurl. Bounded in time and size; follows no redirect, since the address
   of the keys is the operator's word. */
#pragma once

#include "causeway/buffer.h"

#include <stdatomic.h>

struct token_fetch {
    const char *url, *ca_file; /* ca_file "": the system's certificates */
    size_t bytes_max;
    long timeout_ms;
    const atomic_bool *stopping; /* set: give up */
};

void token_fetch_setup(void); /* before the first fetch, while there is one thread */

/* Appends the body to `out`. false: `fault` says why; it names no address. */
bool token_fetch(const struct token_fetch *f, struct buffer *out, struct buffer *fault);
