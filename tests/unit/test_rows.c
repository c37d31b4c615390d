/* The rows of an answer. */
#include "unit.h"

#include "catalogue_text.h"

#include "causeway/rows.h"

static void rows_are_a_table_of_texts(void **state)
{
    (void)state;
    struct rows *r = rows_create((struct slice[]){SLICE("a"), SLICE("b"), SLICE("a")}, 3);
    for (int i = 0; i < 100; i++)
        rows_add(r, (struct slice[]){SLICE("x"), {NULL, 0}, SLICE("")});
    rows_add(r, (struct slice[]){SLICE(""), SLICE("y"), SLICE("z")});
    assert_int_equal(rows_count(r), 101);
    assert_int_equal(rows_columns(r), 3);
    assert_slice(rows_column(r, 1), "b");
    assert_slice(rows_cell(r, 99, SLICE("a")), "x");
    assert_null(rows_cell(r, 99, SLICE("b")).data);
    assert_null(rows_cell(r, 100, SLICE("c")).data);
    assert_non_null(rows_cell(r, 100, SLICE("a")).data);
    assert_int_equal(rows_cell(r, 100, SLICE("a")).size, 0);
    assert_slice(rows_cell(r, 100, SLICE("b")), "y");
    assert_ptr_equal(rows_hold(r), r);
    rows_release(r);
    assert_int_equal(rows_count(r), 101);
    rows_release(r);
    rows_release(NULL);
    r = rows_create(NULL, 0);
    for (int i = 0; i < 9; i++)
        rows_add(r, NULL);
    assert_int_equal(rows_count(r), 9);
    rows_release(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_a_table_of_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
