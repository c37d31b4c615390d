/* The answer of one lookup: a table of texts, immutable and shared by reference count between threads. */
#pragma once

#include "causeway/slice.h"

struct rows;

/* Columns are named once; cells are then added row by row, left to right. NULL cell data is SQL's NULL. */
struct rows *rows_create(const struct slice *columns, size_t column_count);
void rows_add(struct rows *r, const struct slice *cells);
struct rows *rows_hold(struct rows *r);
void rows_release(struct rows *r); /* NULL is fine; the last release frees */

bool rows_equal(const struct rows *a, const struct rows *b); /* the same texts in the same order */
size_t rows_count(const struct rows *r);
size_t rows_columns(const struct rows *r);
struct slice rows_column(const struct rows *r, size_t column);
struct slice rows_cell(
    const struct rows *r, size_t row, struct slice column); /* NULL data: no such column, or SQL NULL */
