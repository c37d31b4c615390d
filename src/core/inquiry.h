/* The answers that one decision rests on, each distinct (lookup, key) once. A zeroed struct is empty; its
   owner calls inquiry_finish. Belongs to grants. */
#pragma once

#include "causeway/lookups.h"

struct inquiry {
    struct use **uses;
    size_t count, capacity;
};

void inquiry_finish(struct inquiry *q, struct lookups *l);
void inquiry_ask(struct inquiry *q, struct lookups *l, struct lookups_user *u, const struct lookup *lookup,
    const struct buffer *key);
const struct use *inquiry_find(
    const struct inquiry *q, const struct lookup *lookup, const struct buffer *key);
/* Is one of them in this state? */
bool inquiry_any(const struct inquiry *q, enum use_state state);
/* The earliest of use_changed_since. */
uint64_t inquiry_changed_since(const struct inquiry *q, const struct lookups *l, uint64_t since_ms);
/* May another answer follow by itself? Then it is too early to say no, and a yes may be over. */
bool inquiry_open(const struct inquiry *q);
/* A lookup whose answer waits or failed keeps being asked as long as it is used: is there none? */
bool inquiry_settled(const struct inquiry *q);
