/* What was handed over to the kernel, to whom and when: for the audit (tests/system/audit.test.mjs), which
   judges rights at that moment. In builds with sanitizers, and only when HAND_OVER_TRACE names a file;
   elsewhere nothing is left of it.
   @thread the loop; several append to the same file. */
#pragma once

#include <stddef.h>
#include <sys/uio.h>

struct hand_over;

#ifdef CAUSEWAY_TRACE
struct hand_over *hand_over_open(void);    /* NULL: not asked for */
void hand_over_close(struct hand_over *h); /* NULL is fine, here and below */
/* Of these parts, whole frames, so many bytes were taken for this user. */
void hand_over_note(
    struct hand_over *h, const char *user, const struct iovec *parts, int count, size_t taken);
#else
static inline struct hand_over *hand_over_open(void)
{
    return NULL;
}

static inline void hand_over_close(struct hand_over *h)
{
    (void)h;
}

static inline void hand_over_note(
    struct hand_over *h, const char *user, const struct iovec *parts, int count, size_t taken)
{
    (void)h;
    (void)user;
    (void)parts;
    (void)count;
    (void)taken;
}
#endif
