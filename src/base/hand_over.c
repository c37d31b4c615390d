/* What was handed over to the kernel, to whom and when: for tests/system/audit.test.mjs, which judges rights
   at that moment. Builds with sanitizers only, and only when asked for. */
#include "ws_internal.h"

#ifdef CAUSEWAY_TRACE
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { SHOWN = 200 /* bytes of each payload: its type and the beginning of its data */ };

FILE *trace_open(void)
{
    const char *path = getenv("HAND_OVER_TRACE");
    FILE *trace = path ? fopen(path, "a") : NULL;
    if (trace)
        setvbuf(trace, NULL, _IOLBF, BUFSIZ); /* all loops append: line by line */
    return trace;
}

/* The parts are of whole frames. One that was cut counts: its rest goes out before anything else. */
void trace_write(FILE *trace, const char *user, const struct iovec *parts, int count, size_t taken)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    for (int i = 0; i < count; i++) {
        const char *at = parts[i].iov_base;
        for (size_t left = parts[i].iov_len; left > 0 && taken > 0;) {
            struct slice payload;
            size_t size = frame_payload(at, left, &payload);
            fprintf(trace, "%lld.%06ld %s %.*s\n", (long long)now.tv_sec, now.tv_nsec / 1000, user,
                payload.size < SHOWN ? (int)payload.size : SHOWN, payload.data);
            at += size;
            left -= size;
            taken -= size < taken ? size : taken;
        }
    }
}
#endif
