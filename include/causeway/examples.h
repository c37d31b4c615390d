/* The examples of what services publish, taken from the document as the records that they stand for. Owns
   their memory; immutable. */
#pragma once

#include "causeway/catalogue.h"
#include "causeway/record.h"

struct examples;

/* Of the topics of `c`, which was made of the document. */
struct examples *examples_collect(const struct document *d, const struct catalogue *c);
void examples_destroy(struct examples *e); /* NULL is fine */
size_t examples_count(const struct examples *e);
/* Without partition, offset and time. */
const struct record *examples_at(const struct examples *e, size_t index);
