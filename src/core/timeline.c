#include "causeway/timeline.h"

#include "causeway/check.h"
#include "causeway/memory.h"

#include <stdlib.h>
#include <string.h>

enum { NOTES_MAX = 1024 };

struct timeline {
    struct {
        uint64_t ms, position;
    } notes[NOTES_MAX];
    size_t count;
};

struct timeline *timeline_create(uint64_t now_ms, uint64_t position)
{
    struct timeline *t = xcalloc(1, sizeof *t);
    timeline_note(t, now_ms, position);
    return t;
}

void timeline_destroy(struct timeline *t)
{
    free(t);
}

/* Forgets the note whose gap is the smallest for its age, so that all are known in proportion to theirs. */
static void thin_out(struct timeline *t, uint64_t now_ms)
{
    size_t least = 1;
    double least_gap = 2;
    for (size_t i = 1; i + 1 < t->count; i++) {
        double gap =
            (double)(t->notes[i + 1].ms - t->notes[i - 1].ms) / (double)(now_ms - t->notes[i].ms + 1);
        if (gap < least_gap) {
            least_gap = gap;
            least = i;
        }
    }
    memmove(&t->notes[least], &t->notes[least + 1], (t->count - least - 1) * sizeof t->notes[0]);
    t->count--;
}

void timeline_note(struct timeline *t, uint64_t now_ms, uint64_t position)
{
    if (t->count == NOTES_MAX)
        thin_out(t, now_ms);
    CHECK(t->count == 0 ||
          (now_ms >= t->notes[t->count - 1].ms && position >= t->notes[t->count - 1].position));
    t->notes[t->count].ms = now_ms;
    t->notes[t->count++].position = position;
}

uint64_t timeline_before(const struct timeline *t, uint64_t ms)
{
    size_t low = 0, high = t->count; /* the first note after this moment */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (t->notes[middle].ms <= ms)
            low = middle + 1;
        else
            high = middle;
    }
    return t->notes[low > 0 ? low - 1 : 0].position;
}

uint64_t timeline_until(const struct timeline *t, uint64_t position)
{
    size_t low = 0, high = t->count; /* the first note at this position or beyond */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (t->notes[middle].position < position)
            low = middle + 1;
        else
            high = middle;
    }
    return t->notes[low > 0 ? low - 1 : 0].ms;
}
