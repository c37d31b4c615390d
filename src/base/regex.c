#include "regex_internal.h"

#include "causeway/memory.h"
#include "causeway/utf8.h"

#include <stdlib.h>

/* One run of a program over a text. */
struct run {
    const struct regex *regex;
    const struct regex_program *program;
    struct slice text;
    uint32_t *bits; /* of all looks, `words` each */
    size_t words;
    uint32_t *marks; /* per step: the turn in which it was reached last */
    uint32_t *now, *next, *stack;
    uint32_t now_count, next_count;
    uint32_t turn;
};

/* --- characters --- */

static uint32_t decode(const char *at, size_t length)
{
    static const unsigned char lead_bits[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    uint32_t code = (unsigned char)at[0] & lead_bits[length];
    for (size_t i = 1; i < length; i++)
        code = code << 6 | ((unsigned char)at[i] & 0x3f);
    return code;
}

static size_t length_at(struct slice text, size_t at)
{
    size_t length = utf8_sequence(text.data + at, text.size - at);
    return length ? length : 1;
}

static size_t length_before(struct slice text, size_t at)
{
    size_t length = 1;
    while (length < 4 && length < at && utf8_is_tail((unsigned char)text.data[at - length]))
        length++;
    return length;
}

static bool is_word(struct slice text, size_t at)
{
    if (at >= text.size)
        return false;
    char c = text.data[at];
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* --- places --- */

static bool look_holds(const struct run *r, uint32_t look, size_t at)
{
    return r->bits[look * r->words + at / 32] >> (at % 32) & 1;
}

static bool holds(const struct run *r, const struct regex_step *step, size_t at)
{
    switch (step->op) {
    case REGEX_START:
        return at == 0;
    case REGEX_END:
        return at == r->text.size;
    case REGEX_WORD:
        return ((at > 0 && is_word(r->text, at - 1)) != is_word(r->text, at)) != (step->value == 1);
    case REGEX_LOOK:
        return look_holds(r, step->value, at);
    default:
        return !look_holds(r, step->value, at);
    }
}

/* Reaches what can be reached from step 0 + `from` without a character; true: the end of the program. */
static bool reach(struct run *r, uint32_t from, size_t at)
{
    const struct regex_step *steps = r->program->steps;
    uint32_t depth = 0;
    bool matched = false;
    r->stack[depth++] = from;
    while (depth > 0) {
        uint32_t pc = r->stack[--depth];
        if (r->marks[pc] == r->turn)
            continue;
        r->marks[pc] = r->turn;
        const struct regex_step *step = &steps[pc];
        switch (step->op) {
        case REGEX_CHARACTER:
        case REGEX_SET:
            r->next[r->next_count++] = pc;
            break;
        case REGEX_MATCH:
            matched = true;
            break;
        case REGEX_SPLIT:
            r->stack[depth++] = pc + (uint32_t)step->b;
            r->stack[depth++] = pc + (uint32_t)step->a;
            break;
        case REGEX_JUMP:
            r->stack[depth++] = pc + (uint32_t)step->a;
            break;
        default:
            if (holds(r, step, at))
                r->stack[depth++] = pc + 1;
        }
    }
    return matched;
}

static bool takes(const struct run *r, const struct regex_step *step, uint32_t code)
{
    return step->op == REGEX_CHARACTER ? step->value == code
                                       : regex_set_has(&r->regex->sets[step->value], code);
}

/* All threads, and a new one that begins here, at place `at`, to which `code` has led. true: one is at the
   end of the program. */
static bool turn(struct run *r, uint32_t code, size_t at)
{
    bool matched = false;
    r->turn++;
    r->next_count = 0;
    for (uint32_t i = 0; i < r->now_count; i++) {
        uint32_t pc = r->now[i];
        if (takes(r, &r->program->steps[pc], code))
            matched |= reach(r, pc + 1, at);
    }
    matched |= reach(r, 0, at);
    uint32_t *spare = r->now;
    r->now = r->next;
    r->now_count = r->next_count;
    r->next = spare;
    return matched;
}

/* --- runs --- */

static void begin(struct run *r, const struct regex_program *program)
{
    r->program = program;
    r->now_count = 0;
    r->turn = 0;
    memset(r->marks, 0, program->count * sizeof *r->marks);
}

/* Where does look-around `look` hold? Its inner ones are known. */
static void run_look(struct run *r, uint32_t look)
{
    const struct regex_program *program = &r->regex->looks[look];
    uint32_t *bits = r->bits + look * r->words;
    size_t at = program->backwards ? r->text.size : 0;
    uint32_t code = 0;
    begin(r, program);
    for (;;) {
        if (turn(r, code, at))
            bits[at / 32] |= UINT32_C(1) << (at % 32);
        if (at == (program->backwards ? 0 : r->text.size))
            return;
        size_t length = program->backwards ? length_before(r->text, at) : length_at(r->text, at);
        at = program->backwards ? at - length : at + length;
        code = decode(r->text.data + (program->backwards ? at : at - length), length);
    }
}

static bool run_main(struct run *r)
{
    uint32_t code = 0;
    begin(r, &r->regex->main);
    bool anchored = r->program->steps[0].op == REGEX_START;
    for (size_t at = 0;;) {
        if (turn(r, code, at))
            return true;
        if (at == r->text.size || (anchored && r->now_count == 0))
            return false;
        size_t length = length_at(r->text, at);
        code = decode(r->text.data + at, length);
        at += length;
    }
}

static uint32_t longest_program(const struct regex *r)
{
    uint32_t longest = r->main.count;
    for (uint32_t i = 0; i < r->look_count; i++)
        longest = r->looks[i].count > longest ? r->looks[i].count : longest;
    return longest;
}

bool regex_search(const struct regex *regex, struct slice text, struct regex_scratch *scratch)
{
    struct run r = {.regex = regex, .text = text, .words = text.size / 32 + 1};
    size_t steps = longest_program(regex), bits = regex->look_count * r.words;
    size_t wanted = bits + steps * 5; /* a step is pushed at most twice before it is marked */
    if (scratch->capacity < wanted) {
        free(scratch->memory);
        scratch->memory = xmalloc(wanted * sizeof *scratch->memory);
        scratch->capacity = wanted;
    }
    r.bits = scratch->memory;
    r.marks = r.bits + bits;
    r.now = r.marks + steps;
    r.next = r.now + steps;
    r.stack = r.next + steps;
    memset(r.bits, 0, bits * sizeof *r.bits);
    for (uint32_t i = 0; i < regex->look_count; i++)
        run_look(&r, i);
    return run_main(&r);
}

void regex_scratch_finish(struct regex_scratch *scratch)
{
    free(scratch->memory);
    *scratch = (struct regex_scratch){0};
}

void regex_destroy(struct regex *r)
{
    if (!r)
        return;
    free(r->main.steps);
    for (uint32_t i = 0; i < r->look_count; i++)
        free(r->looks[i].steps);
    for (uint32_t i = 0; i < r->set_count; i++)
        free(r->sets[i].ranges);
    free(r->looks);
    free(r->sets);
    free(r);
}
