#include "fanout_windows_stage.h"

#include <stdio.h>

uint32_t next_random(struct world *w)
{
    w->seed ^= w->seed << 13;
    w->seed ^= w->seed >> 17;
    w->seed ^= w->seed << 5;
    return w->seed;
}

bool one_in(struct world *w, uint32_t n)
{
    return next_random(w) % n == 0;
}

struct slice name_of(char text[16], unsigned room)
{
    int size = snprintf(text, 16, "room-%u", room);
    return (struct slice){text, (size_t)size};
}
