#include "causeway/edits.h"

#include <ctype.h>
#include <stdint.h>

static size_t smallest(size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;
    return least < c ? least : c;
}

/* Levenshtein's distance, one row at a time. */
size_t edits_between(struct slice a, struct slice b)
{
    size_t row[EDITS_NAME_MAX + 1];
    if (a.size > EDITS_NAME_MAX || b.size > EDITS_NAME_MAX)
        return SIZE_MAX;
    for (size_t j = 0; j <= b.size; j++)
        row[j] = j;
    for (size_t i = 0; i < a.size; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < b.size; j++) {
            bool same = toupper((unsigned char)a.data[i]) == toupper((unsigned char)b.data[j]);
            size_t replaced = diagonal + !same;
            diagonal = row[j + 1];
            row[j + 1] = smallest(replaced, row[j] + 1, diagonal + 1);
        }
    }
    return row[b.size];
}
