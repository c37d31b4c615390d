/* Sets of characters: classes as patterns write them, and those that have a letter. */
#include "regex_internal.h"

#include "causeway/memory.h"

#include <stdlib.h>

void regex_set_add(struct regex_set *set, uint32_t from, uint32_t to)
{
    set->ranges = xrealloc(set->ranges, (set->count + 1) * sizeof *set->ranges);
    set->ranges[set->count++] = (struct regex_range){from, to};
}

/* Adds what is in none of the ranges, which ascend. */
static void add_complement(struct regex_set *set, const struct regex_range *ranges, size_t count)
{
    uint32_t from = 0;
    for (size_t i = 0; i < count; i++) {
        if (ranges[i].from > from)
            regex_set_add(set, from, ranges[i].from - 1);
        from = ranges[i].to + 1;
    }
    if (from <= REGEX_CODE_MAX)
        regex_set_add(set, from, REGEX_CODE_MAX);
}

static const struct regex_range digits[] = {{'0', '9'}};
static const struct regex_range words[] = {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};
static const struct regex_range spaces[] = {{0x09, 0x0d}, {0x20, 0x20}, {0xa0, 0xa0}, {0x1680, 0x1680},
    {0x2000, 0x200a}, {0x2028, 0x2029}, {0x202f, 0x202f}, {0x205f, 0x205f}, {0x3000, 0x3000},
    {0xfeff, 0xfeff}};
static const struct regex_range line_ends[] = {{0x0a, 0x0a}, {0x0d, 0x0d}, {0x2028, 0x2029}};

#define RANGES(array) (array), sizeof(array) / sizeof *(array)

bool regex_set_add_class(struct regex_set *set, char letter)
{
    static const struct {
        char letter;
        bool all_others;
        const struct regex_range *ranges;
        size_t count;
    } table[] = {
        {'d', false, RANGES(digits)},
        {'D', true, RANGES(digits)},
        {'w', false, RANGES(words)},
        {'W', true, RANGES(words)},
        {'s', false, RANGES(spaces)},
        {'S', true, RANGES(spaces)},
    };
    size_t row = 0;
    while (row < sizeof table / sizeof *table && table[row].letter != letter)
        row++;
    if (row == sizeof table / sizeof *table)
        return false;
    for (size_t i = 0; i < table[row].count && !table[row].all_others; i++)
        regex_set_add(set, table[row].ranges[i].from, table[row].ranges[i].to);
    if (table[row].all_others)
        add_complement(set, table[row].ranges, table[row].count);
    return true;
}

void regex_set_add_dot(struct regex_set *set)
{
    add_complement(set, RANGES(line_ends));
}

static int compare_ranges(const void *a, const void *b)
{
    const struct regex_range *left = a, *right = b;
    return (left->from > right->from) - (left->from < right->from);
}

static void normalize(struct regex_set *set)
{
    if (set->count == 0)
        return;
    qsort(set->ranges, set->count, sizeof *set->ranges, compare_ranges);
    size_t last = 0;
    for (size_t i = 1; i < set->count; i++) {
        struct regex_range *into = &set->ranges[last], *range = &set->ranges[i];
        if (range->from > into->to + 1)
            set->ranges[++last] = *range;
        else if (range->to > into->to)
            into->to = range->to;
    }
    set->count = last + 1;
}

void regex_set_finish(struct regex_set *set, bool negated)
{
    normalize(set);
    if (negated) {
        struct regex_set inverse = *set;
        *set = (struct regex_set){0};
        add_complement(set, inverse.ranges, inverse.count);
        free(inverse.ranges);
    }
    for (size_t i = 0; i < set->count; i++)
        for (uint32_t code = set->ranges[i].from; code < 128 && code <= set->ranges[i].to; code++)
            set->ascii[code >> 6] |= UINT64_C(1) << (code & 63);
}

bool regex_set_has(const struct regex_set *set, uint32_t code)
{
    if (code < 128)
        return set->ascii[code >> 6] >> (code & 63) & 1;
    size_t low = 0, high = set->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (set->ranges[middle].to < code)
            low = middle + 1;
        else
            high = middle;
    }
    return low < set->count && set->ranges[low].from <= code;
}
