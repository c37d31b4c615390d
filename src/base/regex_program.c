/* Programs while they are written: steps at their end, before some of them, and runs of them moved and
 * copied. */
#include "regex_parser.h"

#include "causeway/memory.h"

#include <stdlib.h>

static const char too_large[] = "it is too large when its repetitions are written out";

struct regex_step *regex_append(struct regex_parser *p, enum regex_op op, uint32_t value)
{
    struct regex_program *out = p->out;
    if (out->count == out->capacity) {
        out->capacity = out->capacity ? out->capacity * 2 : 16;
        out->steps = xrealloc(out->steps, out->capacity * sizeof *out->steps);
    }
    if (out->count >= REGEX_STEPS_MAX) {
        regex_fail(p, REGEX_UNSUPPORTED, too_large);
        out->count--; /* the program will not be used; it only must not grow */
    }
    out->steps[out->count] = (struct regex_step){.op = op, .value = value};
    return &out->steps[out->count++];
}

static void append_split(struct regex_parser *p, int32_t a, int32_t b)
{
    struct regex_step *step = regex_append(p, REGEX_SPLIT, 0);
    step->a = a;
    step->b = b;
}

/* Puts a step before those from `start` on. */
void regex_insert_split(struct regex_parser *p, uint32_t start)
{
    uint32_t count = p->out->count - start;
    (void)regex_append(p, REGEX_SPLIT, 0);
    if (p->fault)
        return;
    struct regex_step *steps = p->out->steps + start;
    memmove(steps + 1, steps, count * sizeof *steps);
    steps[0] = (struct regex_step){.op = REGEX_SPLIT, .a = 1};
}

void regex_swap_runs(struct regex_program *out, uint32_t first, uint32_t second)
{
    uint32_t left = second - first, right = out->count - second;
    if (left == 0 || right == 0)
        return;
    struct regex_step *copy = xmalloc(left * sizeof *copy);
    memcpy(copy, out->steps + first, left * sizeof *copy);
    memmove(out->steps + first, out->steps + second, right * sizeof *copy);
    memcpy(out->steps + first + right, copy, left * sizeof *copy);
    free(copy);
}

/* The set that has been gathered becomes a step. */
void regex_append_set(struct regex_parser *p, bool negated)
{
    struct regex *r = p->regex;
    regex_set_finish(&p->set, negated);
    r->sets = xrealloc(r->sets, (r->set_count + 1) * sizeof *r->sets);
    r->sets[r->set_count] = p->set;
    p->set = (struct regex_set){0};
    (void)regex_append(p, REGEX_SET, r->set_count++);
}

static void append_copy(struct regex_parser *p, const struct regex_step *steps, uint32_t count)
{
    for (uint32_t i = 0; i < count && !p->fault; i++) {
        struct regex_step *step = regex_append(p, steps[i].op, steps[i].value);
        step->a = steps[i].a;
        step->b = steps[i].b;
    }
}

/* Replaces the steps from `start` on by as many of them as the quantifier says. */
void regex_repeat(struct regex_parser *p, uint32_t start, uint32_t least, uint32_t most)
{
    uint32_t count = p->out->count - start;
    if (count == 0 || p->fault)
        return;
    struct regex_step *copy = xmalloc(count * sizeof *copy);
    memcpy(copy, p->out->steps + start, count * sizeof *copy);
    p->out->count = start;
    int32_t size = (int32_t)count;
    for (uint32_t i = 0; i < least && !p->fault; i++)
        append_copy(p, copy, count);
    if (most == REGEX_UNLIMITED) {
        append_split(p, 1, size + 2);
        append_copy(p, copy, count);
        regex_append(p, REGEX_JUMP, 0)->a = -size - 1;
    }
    for (uint32_t i = least; i < most && most != REGEX_UNLIMITED && !p->fault; i++) {
        append_split(p, 1, size + 1);
        append_copy(p, copy, count);
    }
    free(copy);
}
