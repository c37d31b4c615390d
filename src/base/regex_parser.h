/* What the parts of the parser share: regex_parse.c reads the syntax, regex_escape.c what stands for one
   character or a class of them, regex_program.c writes the steps. A fault is noted once and read at the end;
   meanwhile all go on, and the program that they write is not used. */
#pragma once

#include "regex_internal.h"

enum { REGEX_NO_CODE = REGEX_CODE_MAX + 1, REGEX_UNLIMITED = UINT16_MAX };

struct regex_parser {
    const char *at, *end;
    struct regex *regex;
    struct regex_program *out;
    struct regex_set set; /* the class that is being read */
    const char *fault;
    enum regex_verdict verdict;
    uint32_t highest_reference;
    int depth;
};

/* --- regex_parse.c --- */
/* The first fault stays; one of the syntax weighs more than one that only we have. Both return false. */
bool regex_fail(struct regex_parser *p, enum regex_verdict verdict, const char *fault);
bool regex_broken(struct regex_parser *p, const char *fault);
bool regex_is_broken(const struct regex_parser *p);
bool regex_take(struct regex_parser *p, const char *text); /* false: something else comes */
bool regex_is_next(const struct regex_parser *p, char c);
char regex_peek(const struct regex_parser *p); /* the next byte, NUL at the end */

/* --- regex_escape.c --- */
uint32_t regex_take_code(struct regex_parser *p); /* a character that stands for itself; there is one */
/* \d and its like, behind the backslash, into p->set; a capital letter means all others. */
bool regex_take_class_escape(struct regex_parser *p);
/* p{Letter} and the like: a fault that is told apart from what is no syntax at all. */
bool regex_take_property(struct regex_parser *p);
/* One character behind a backslash, in or outside of a class; REGEX_NO_CODE after a fault. */
uint32_t regex_take_character_escape(struct regex_parser *p);
/* Behind '[': becomes a step. */
void regex_parse_class(struct regex_parser *p);

/* --- regex_program.c --- */
struct regex_step *regex_append(
    struct regex_parser *p, enum regex_op op, uint32_t value); /* lent until the next */
void regex_append_set(struct regex_parser *p, bool negated);   /* p->set becomes a step, and is empty then */
/* A step before those from `start` on; its second target is still to be set. */
void regex_insert_split(struct regex_parser *p, uint32_t start);
/* What begins at `second` comes before what begins at `first`. */
void regex_swap_runs(struct regex_program *out, uint32_t first, uint32_t second);
/* The steps from `start` on are there as often as a quantifier says, at most REGEX_UNLIMITED. */
void regex_repeat(struct regex_parser *p, uint32_t start, uint32_t least, uint32_t most);
