#include "causeway/hand_over.h"

#ifdef CAUSEWAY_TRACE
#include "causeway/frame.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { SHOWN = 200 /* bytes of each payload: its type and the beginning of its data */ };

/* A FILE by another name. */
struct hand_over *hand_over_open(void)
{
    const char *path = getenv("HAND_OVER_TRACE");
    FILE *trace = path ? fopen(path, "a") : NULL;
    if (trace)
        setvbuf(trace, NULL, _IOLBF, BUFSIZ); /* all loops append: line by line */
    return (struct hand_over *)trace;
}

void hand_over_close(struct hand_over *h)
{
    if (h)
        fclose((FILE *)h);
}

/* A frame that was cut counts: its rest goes out before anything else. */
void hand_over_note(struct hand_over *h, const char *user, const struct iovec *parts, int count, size_t taken)
{
    struct timespec now;
    if (!h || taken == 0)
        return;
    clock_gettime(CLOCK_REALTIME, &now);
    for (int i = 0; i < count; i++) {
        const char *at = parts[i].iov_base;
        for (size_t left = parts[i].iov_len; left > 0 && taken > 0;) {
            struct slice payload;
            size_t size = frame_payload(at, left, &payload);
            fprintf((FILE *)h, "%lld.%06ld %s %.*s\n", (long long)now.tv_sec, now.tv_nsec / 1000, user,
                payload.size < SHOWN ? (int)payload.size : SHOWN, payload.data);
            at += size;
            left -= size;
            taken -= size < taken ? size : taken;
        }
    }
}
#endif
