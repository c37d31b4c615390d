/* Who gets an event, and by which rule, or why not: the same rules as grants', told in words for one user.
   Pure: lookups are answered through a hook, which may take its time. */
#pragma once

#include "causeway/buffer.h"
#include "causeway/route.h"
#include "causeway/rows.h"

struct explain_hooks {
    /* The rows, the callee's to release. NULL: `fault` says why there are none. */
    struct rows *(*ask)(void *owner, const struct lookup *lookup, const struct slice *params, size_t count,
        struct buffer *fault);
};

enum explain_verdict {
    EXPLAIN_NO,
    EXPLAIN_UNKNOWN, /* a lookup that it rests on was not answered */
    EXPLAIN_ON_REQUEST,
    EXPLAIN_YES
};

/* Appends lines of text. `routed` is what the event leaves as; the verdict is the best of all. */
enum explain_verdict explain_event(const struct catalogue *c, const struct routed *routed, struct slice user,
    const struct explain_hooks *hooks, void *owner, struct buffer *out);
