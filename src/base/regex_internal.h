/* What regex_parse.c makes and regex.c runs: programs of steps, each run as a set of places ("threads") that
   moves over the text one character at a time. A look-around has a program of its own, which is run over the
   whole text first and leaves one bit per place: does it hold here? */
#pragma once

#include "causeway/regex.h"

enum regex_op {
    REGEX_CHARACTER, /* takes the character `value` */
    REGEX_SET,       /* takes a character of sets[value] */
    REGEX_SPLIT,     /* goes on at `a` and at `b` */
    REGEX_JUMP,      /* goes on at `a` */
    REGEX_START,     /* holds at the beginning of the text */
    REGEX_END,       /* ... at its end */
    REGEX_WORD,      /* ... between a word and none; `value` 1: anywhere else */
    REGEX_LOOK,      /* ... where looks[value] does */
    REGEX_NOT_LOOK,  /* ... where it does not */
    REGEX_MATCH,
};

/* Targets are relative to the step itself, so that a run of steps may be copied and moved. */
struct regex_step {
    enum regex_op op;
    int32_t a, b;
    uint32_t value;
};

struct regex_program {
    struct regex_step *steps;
    uint32_t count, capacity;
    bool backwards; /* reads the text from its end: the body of a look-ahead */
};

enum { REGEX_CODE_MAX = 0x10ffff };

struct regex_range {
    uint32_t from, to;
};

/* Ascending, with a hole between any two, once it is finished; ASCII as bits besides. */
struct regex_set {
    uint64_t ascii[2];
    struct regex_range *ranges;
    size_t count;
};

/* --- regex_set.c --- */
void regex_set_add(struct regex_set *set, uint32_t from, uint32_t to);
bool regex_set_add_class(struct regex_set *set, char letter); /* what \d, \D, \w ... mean; false: no class */
void regex_set_add_dot(struct regex_set *set);
void regex_set_finish(struct regex_set *set, bool negated);
bool regex_set_has(const struct regex_set *set, uint32_t code);

struct regex {
    struct regex_program main;
    struct regex_program *looks; /* one that another contains stands before it */
    uint32_t look_count;
    struct regex_set *sets;
    uint32_t set_count;
};
