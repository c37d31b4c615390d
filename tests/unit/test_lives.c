/* What checkpoints tell of the lives of partitions, the newest first. */
#include "unit.h"

#include "causeway/lives.h"

struct fixture {
    struct lives *lives;
    struct checkpoint_part parts[4];
    struct checkpoint checkpoint;
};

static int set_up(void **state)
{
    static struct fixture x;
    x = (struct fixture){.lives = lives_create()};
    x.checkpoint.parts = x.parts;
    *state = &x;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *x = *state;
    lives_destroy(x->lives);
    return 0;
}

/* `anchor`: the offset of the last record, -1: none. */
static void part(struct fixture *x, uint32_t life, int64_t next, int64_t anchor)
{
    x->parts[x->checkpoint.part_count++] =
        (struct checkpoint_part){{SLICE("orders"), 0, life}, next, {anchor, 1000 + anchor, 7}};
}

static void read_one(struct fixture *x)
{
    lives_add(x->lives, &x->checkpoint);
    x->checkpoint.part_count = 0;
}

static const struct life *known(const struct fixture *x)
{
    const struct life *life = lives_find(x->lives, SLICE("orders"), 0);
    assert_non_null(life);
    return life;
}

static void the_newest_says_which_life_it_is_and_older_ones_add_records_of_it(void **state)
{
    struct fixture *x = *state;
    part(x, 5, 40, 39);
    read_one(x);
    part(x, 5, 30, 29);
    read_one(x);
    part(x, 5, 30, 29); /* says nothing new */
    read_one(x);
    part(x, 4, 20, 19); /* another life's records prove nothing */
    read_one(x);
    const struct life *life = known(x);
    assert_int_equal(life->name.life, 5);
    assert_int_equal(life->anchor_count, 2);
    assert_int_equal(life->anchors[0].offset, 39);
    assert_int_equal(life->anchors[1].offset, 29);
    assert_false(life->follows || life->ended);
    assert_int_equal(lives_newest_ms(x->lives), 1039);
    assert_null(lives_find(x->lives, SLICE("orders"), 1));
}

static void only_so_many_records_are_kept(void **state)
{
    struct fixture *x = *state;
    for (int64_t offset = 90; offset > 0; offset -= 10) {
        part(x, 5, offset + 1, offset);
        read_one(x);
    }
    assert_int_equal(known(x)->anchor_count, LIFE_ANCHORS_MAX);
    assert_int_equal(known(x)->anchors[0].offset, 90);
}

static void of_several_lives_the_last_is_the_present_one_and_the_one_before_is_known(void **state)
{
    struct fixture *x = *state;
    part(x, 3, 101, 99);
    part(x, 4, 51, 49);
    part(x, 5, 10, 9);
    read_one(x);
    const struct life *life = known(x);
    assert_int_equal(life->name.life, 5);
    assert_true(life->follows);
    assert_int_equal(life->before, 4);
    assert_int_equal(life->anchor_count, 1);
}

static void a_life_without_a_record_is_known_by_the_end_of_the_one_before(void **state)
{
    struct fixture *x = *state;
    part(x, 4, 51, 49);
    part(x, LIFE_UNBORN, 0, -1);
    read_one(x);
    part(x, 4, 40, 39); /* of before the end */
    read_one(x);
    const struct life *life = known(x);
    assert_int_equal(life->name.life, 4);
    assert_true(life->ended);
    assert_int_equal(life->anchor_count, 0); /* it is not what is to be found there */
    assert_true(lives_complete(x->lives, NULL, 0));
}

static void what_is_not_known_is_looked_for_further_back(void **state)
{
    struct fixture *x = *state;
    const struct slice topics[] = {SLICE("orders"), SLICE("tasks")};
    assert_true(lives_complete(x->lives, topics, 0));
    assert_false(lives_complete(x->lives, topics, 1));
    part(x, 5, 40, -1); /* of a log that had begun behind its records */
    read_one(x);
    assert_false(lives_complete(x->lives, topics, 1));
    lives_clear(x->lives);
    part(x, 5, 0, -1); /* of one that had begun before them */
    read_one(x);
    assert_false(lives_complete(x->lives, topics, 1));
    part(x, 5, 30, 29);
    read_one(x);
    assert_true(lives_complete(x->lives, topics, 1));
    assert_false(lives_complete(x->lives, topics, 2));
    lives_clear(x->lives);
    assert_int_equal(lives_count(x->lives), 0);
    part(x, 0, 0, -1); /* it never had a record, or what wrote this had not come to one */
    read_one(x);
    assert_false(lives_complete(x->lives, topics, 1));
    assert_true(lives_know(x->lives, SLICE("orders")));
    assert_int_equal(lives_newest_ms(x->lives), 0);
}

#define stage(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        stage(the_newest_says_which_life_it_is_and_older_ones_add_records_of_it),
        stage(only_so_many_records_are_kept),
        stage(of_several_lives_the_last_is_the_present_one_and_the_one_before_is_known),
        stage(a_life_without_a_record_is_known_by_the_end_of_the_one_before),
        stage(what_is_not_known_is_looked_for_further_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
