/* The lookups that one decision waits for, each distinct (lookup, parameters) once. A zeroed struct is empty;
   its owner calls inquiry_finish. Belongs to grants. */
#pragma once

#include "causeway/grants.h"

struct ask {
    uint64_t tag;
    const struct lookup *lookup;
    struct buffer key; /* the parameters, as inquiry_key writes them */
    struct rows *rows; /* held; NULL until answered with LOOKUP_OK */
};

struct inquiry {
    struct ask *asks;
    size_t count, capacity;
    size_t pending;
    bool failed; /* one of them was not answered with LOOKUP_OK */
};

void inquiry_finish(struct inquiry *q);

/* Appends one parameter (NULL data: SQL's NULL) to the key of an ask. */
void inquiry_key(struct buffer *key, struct slice param);

const struct ask *inquiry_find(
    const struct inquiry *q, const struct lookup *lookup, const struct buffer *key);

/* A new ask, pending. */
void inquiry_add(struct inquiry *q, const struct lookup *lookup, const struct buffer *key, uint64_t tag);

/* The parameters of a key: lookup->param_count views of it. */
void inquiry_params(const struct buffer *key, struct slice *params, size_t count);

/* false: this inquiry has not asked that. */
bool inquiry_answer(struct inquiry *q, uint64_t tag, enum lookup_status status, struct rows *rows);
