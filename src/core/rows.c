#include "causeway/rows.h"

#include "causeway/buffer.h"
#include "causeway/memory.h"

#include <stdatomic.h>
#include <stdlib.h>

/* Places are offsets, since the text moves while it grows. */
struct cell {
    size_t start;
    size_t size;
    bool null;
};

/* cells[0..columns) are the column names, the rows follow. */
struct rows {
    atomic_size_t references;
    size_t columns;
    size_t count;
    struct cell *cells;
    size_t capacity; /* in rows, the row of names included */
    struct buffer text;
};

static void write_row(struct rows *r, size_t row, const struct slice *cells)
{
    if (row == r->capacity) {
        r->capacity = r->capacity ? r->capacity * 2 : 4;
        r->cells = xrealloc(r->cells, r->capacity * (r->columns ? r->columns : 1) * sizeof *r->cells);
    }
    for (size_t i = 0; i < r->columns; i++) {
        r->cells[row * r->columns + i] = (struct cell){r->text.size, cells[i].size, !cells[i].data};
        buffer_add_slice(&r->text, cells[i]);
    }
}

static struct slice read_cell(const struct rows *r, size_t row, size_t column)
{
    const struct cell *cell = &r->cells[row * r->columns + column];
    if (cell->null)
        return (struct slice){NULL, 0};
    return cell->size > 0 ? (struct slice){r->text.data + cell->start, cell->size} : SLICE("");
}

struct rows *rows_create(const struct slice *columns, size_t column_count)
{
    struct rows *r = xcalloc(1, sizeof *r);
    atomic_init(&r->references, 1);
    r->columns = column_count;
    write_row(r, 0, columns);
    return r;
}

void rows_add(struct rows *r, const struct slice *cells)
{
    write_row(r, ++r->count, cells);
}

struct rows *rows_hold(struct rows *r)
{
    atomic_fetch_add_explicit(&r->references, 1, memory_order_relaxed);
    return r;
}

void rows_release(struct rows *r)
{
    if (!r || atomic_fetch_sub_explicit(&r->references, 1, memory_order_acq_rel) != 1)
        return;
    free(r->cells);
    buffer_finish(&r->text);
    free(r);
}

bool rows_equal(const struct rows *a, const struct rows *b)
{
    if (a->columns != b->columns || a->count != b->count || a->text.size != b->text.size)
        return false;
    for (size_t i = 0; i < (a->count + 1) * a->columns; i++)
        if (a->cells[i].size != b->cells[i].size || a->cells[i].null != b->cells[i].null)
            return false;
    return a->text.size == 0 || memcmp(a->text.data, b->text.data, a->text.size) == 0;
}

size_t rows_count(const struct rows *r)
{
    return r->count;
}

size_t rows_columns(const struct rows *r)
{
    return r->columns;
}

struct slice rows_column(const struct rows *r, size_t column)
{
    CHECK(column < r->columns);
    return read_cell(r, 0, column);
}

struct slice rows_cell(const struct rows *r, size_t row, struct slice column)
{
    CHECK(row < r->count);
    for (size_t i = 0; i < r->columns; i++) {
        if (slice_equal(read_cell(r, 0, i), column))
            return read_cell(r, row + 1, i);
    }
    return (struct slice){NULL, 0};
}
