/* Cursors: what fits into 64 bytes, what is refused, and that a cursor never says more than is true. */
#include "unit.h"

#include "causeway/resume.h"

#include <stdio.h>
#include <stdlib.h>

static uint32_t seed = 20240115;

static uint32_t next_random(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 17;
    seed ^= seed << 5;
    return seed;
}

static uint64_t wide_random(void)
{
    uint64_t value = (uint64_t)next_random() << 32 | next_random();
    return value >> next_random() % 64;
}

/* --- the text --- */

static struct cursor draw_cursor(void)
{
    struct cursor c = {
        .nonce = wide_random() & ((UINT64_C(1) << NONCE_BITS) - 1),
        .checkpoint = (int64_t)(wide_random() >> 1),
        .ahead = wide_random(),
        .spread = wide_random() >> 3,
        .complete = next_random() % 2,
        .whole = next_random() % 2,
        .placed = next_random() % 2,
        .step_count = next_random() % (CURSOR_STEPS_MAX + 1),
    };
    bool small = next_random() % 2;
    for (size_t i = 0; i < c.step_count; i++)
        c.steps[i] = (struct cursor_step){next_random() % PARTITIONS_MAX >> next_random() % 14,
            small ? next_random() % 100 : wide_random() >> 1};
    return c;
}

static void assert_alphabet(const char *text)
{
    for (; *text; text++)
        assert_true((*text >= 'a' && *text <= 'z') || (*text >= 'A' && *text <= 'Z') ||
                    (*text >= '0' && *text <= '9') || *text == '-' || *text == '_');
}

static void a_cursor_is_read_as_it_was_written_but_for_steps_that_do_not_fit(void **state)
{
    (void)state;
    unsigned all = 0, cut = 0;
    for (int i = 0; i < 50000; i++) {
        struct cursor c = draw_cursor(), d;
        char text[CURSOR_TEXT_MAX + 1];
        memset(text, 'x', sizeof text);
        size_t size = cursor_encode(&c, text);
        assert_int_equal(size, strlen(text));
        assert_true(size <= CURSOR_TEXT_MAX);
        assert_alphabet(text);
        assert_int_equal(cursor_decode((struct slice){text, size}, &d), CURSOR_OK);
        assert_true(
            d.nonce == c.nonce && d.checkpoint == c.checkpoint && d.ahead == c.ahead && d.spread == c.spread);
        assert_true(d.whole == c.whole && d.placed == c.placed);
        assert_true(d.step_count <= c.step_count);
        assert_int_equal(d.complete, c.complete && d.step_count == c.step_count);
        for (size_t s = 0; s < d.step_count; s++)
            assert_true(d.steps[s].part == c.steps[s].part && d.steps[s].moved == c.steps[s].moved);
        all += d.step_count == c.step_count;
        cut += d.step_count < c.step_count;
    }
    assert_true(all > 1000 && cut > 1000);
}

/* Changed in any way, it is refused, or still is one whose numbers are in range: the sum has two bytes only.
 */
static void assert_refused_or_sane(struct slice text, unsigned *accepted)
{
    struct cursor d;
    if (cursor_decode(text, &d) != CURSOR_OK)
        return;
    ++*accepted;
    assert_true(d.checkpoint >= 0 && d.step_count <= CURSOR_STEPS_MAX);
    for (size_t s = 0; s < d.step_count; s++)
        assert_true(d.steps[s].part < PARTITIONS_MAX && d.steps[s].moved <= INT64_MAX);
}

static void a_flipped_bit_a_cut_and_a_stretch_are_refused(void **state)
{
    (void)state;
    unsigned accepted = 0, tried = 0;
    for (int i = 0; i < 1500; i++) {
        struct cursor c = draw_cursor();
        char text[2 * CURSOR_TEXT_MAX];
        size_t size = cursor_encode(&c, text);
        for (size_t bit = 0; bit < size * 8; bit++, tried++) {
            text[bit / 8] = (char)(text[bit / 8] ^ 1 << bit % 8);
            assert_refused_or_sane((struct slice){text, size}, &accepted);
            text[bit / 8] = (char)(text[bit / 8] ^ 1 << bit % 8);
        }
        for (size_t cut = 0; cut < size; cut++, tried++)
            assert_refused_or_sane((struct slice){text, cut}, &accepted);
        for (size_t more = 1; more < 10; more++, tried++) {
            text[size + more - 1] = "AB-_=z09 "[more - 1];
            assert_refused_or_sane((struct slice){text, size + more}, &accepted);
        }
    }
    assert_true(accepted < tried / 5000);
}

static void anything_at_all_can_be_looked_at(void **state)
{
    (void)state;
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    unsigned accepted = 0;
    struct cursor d;
    assert_int_equal(cursor_decode((struct slice){NULL, 0}, &d), CURSOR_MALFORMED);
    for (int i = 0; i < 300000; i++) {
        size_t size = next_random() % 70;
        char *text = malloc(size + 1); /* of exactly that size, so that a byte too many is noticed */
        for (size_t j = 0; j < size; j++)
            text[j] = i % 3 ? alphabet[next_random() % 64] : (char)next_random();
        text = realloc(text, size ? size : 1);
        assert_refused_or_sane((struct slice){text, size}, &accepted);
        free(text);
    }
    assert_true(accepted < 50);
}

/* Text of one whose first byte is another, with the sum that belongs to it: all sums are tried. */
static enum cursor_fault fault_of_version(unsigned version)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for (uint32_t sum = 0; sum < 65536; sum++) {
        uint32_t group = version << 16 | (sum & 0xff) << 8 | sum >> 8;
        char text[4];
        for (unsigned i = 0; i < 4; i++)
            text[i] = alphabet[group >> (18 - 6 * i) & 63];
        struct cursor d;
        enum cursor_fault fault = cursor_decode((struct slice){text, 4}, &d);
        if (fault != CURSOR_MALFORMED)
            return fault;
    }
    return CURSOR_MALFORMED;
}

static void a_later_version_is_told_apart(void **state)
{
    (void)state;
    assert_int_equal(fault_of_version(CURSOR_VERSION + 1), CURSOR_NEWER);
    assert_int_equal(fault_of_version(255), CURSOR_NEWER);
    assert_int_equal(fault_of_version(CURSOR_VERSION), CURSOR_MALFORMED); /* too short */
    assert_int_equal(fault_of_version(0), CURSOR_MALFORMED);
}

/* --- minting, against a model that knows every place --- */

enum { PARTITIONS = 120, CHECKPOINTS = 4000 };

struct kept {
    struct checkpoint *checkpoint;
    int64_t offset; /* -1: not acknowledged */
    uint64_t sequence;
};

struct world {
    struct partitions *partitions;
    struct cursor_mint *mint;
    int64_t place[PARTITIONS], first[PARTITIONS];
    uint32_t count;
    uint64_t sequence;
    struct kept kept[CHECKPOINTS]; /* by tag */
    uint64_t taken, acknowledged;  /* tags up to ... */
    int64_t topic_end;
    unsigned stamps, complete, at_hand;
};

static void open_world(struct world *w, uint64_t nonce)
{
    *w = (struct world){
        .partitions = partitions_create(), .mint = cursor_mint_create(nonce), .topic_end = 100};
}

static void close_world(struct world *w)
{
    for (size_t i = 0; i < CHECKPOINTS; i++)
        checkpoint_release(w->kept[i].checkpoint);
    cursor_mint_destroy(w->mint);
    cursor_mint_destroy(NULL);
    partitions_destroy(w->partitions);
}

static void begin_partition(struct world *w, int64_t first)
{
    char topic[16];
    int size = snprintf(topic, sizeof topic, "topic-%u", w->count / 7);
    struct slice name = {topic, (size_t)size};
    assert_int_equal(partitions_get(w->partitions, name, (int32_t)w->count, first), w->count);
    w->place[w->count] = w->first[w->count] = first;
    cursor_mint_advance(w->mint, w->count++, first, (struct anchor){.offset = -1});
}

static void advance(struct world *w, uint32_t p, int64_t by)
{
    w->place[p] += by;
    cursor_mint_advance(w->mint, p, w->place[p], (struct anchor){w->place[p] - 1, 1705314600000, 7});
    assert_true(cursor_mint_moved(w->mint));
}

static void take_checkpoint(struct world *w)
{
    struct buffer bytes = {0};
    struct kept *k = &w->kept[++w->taken];
    assert_true(w->taken < CHECKPOINTS);
    cursor_mint_checkpoint(w->mint, w->partitions, w->sequence, w->taken, &bytes);
    assert_false(cursor_mint_moved(w->mint));
    *k = (struct kept){checkpoint_decode(buffer_slice(&bytes)), -1, w->sequence};
    assert_non_null(k->checkpoint);
    assert_int_equal(k->checkpoint->part_count, w->count);
    for (uint32_t p = 0; p < w->count; p++)
        assert_int_equal(k->checkpoint->parts[p].next, w->place[p]);
    buffer_finish(&bytes);
}

static void acknowledge(struct world *w)
{
    if (w->acknowledged == w->taken)
        return;
    uint64_t tag = w->acknowledged + 1 + next_random() % (w->taken - w->acknowledged); /* and all before it */
    w->topic_end += 1 + next_random() % 3;
    w->kept[tag].offset = w->topic_end;
    cursor_mint_acknowledged(w->mint, tag, w->topic_end);
    if (w->taken - tag < 64) /* of more than that nothing is remembered */
        w->acknowledged = tag;
}

static const struct kept *find_kept(const struct world *w, int64_t offset)
{
    for (uint64_t tag = w->taken; tag > 0; tag--)
        if (w->kept[tag].offset == offset)
            return &w->kept[tag];
    fail_msg("no checkpoint at %lld", (long long)offset);
    return NULL;
}

/* A cursor of now, in or behind a record or (NULL) between records: it says nothing that was not dealt with,
 * and all that went out lies before its marks. */
static void check_stamp(struct world *w, const struct cursor_record *at)
{
    char text[CURSOR_TEXT_MAX + 1];
    struct cursor c;
    size_t size = cursor_mint_stamp(w->mint, w->sequence, at, text);
    if (size == 0) {
        assert_int_equal(w->acknowledged, 0);
        return;
    }
    assert_int_equal(cursor_decode((struct slice){text, size}, &c), CURSOR_OK);
    const struct kept *k = find_kept(w, c.checkpoint);
    assert_int_equal(k->sequence + c.ahead, w->sequence);
    assert_true(c.placed && c.whole == (!at || at->ended));
    struct resume_plan plan;
    struct resume_question question = {.cursor = &c,
        .checkpoint = k->checkpoint,
        .partitions = w->partitions,
        .heads = w->place,
        .head_count = w->count};
    resume_plan_make(&plan, &question);
    assert_int_equal(plan.gap_count, 0);
    for (uint32_t p = 0; p < w->count; p++) {
        int64_t skip = origin_skip(plan.origin, p), mark = origin_mark(plan.origin, p);
        bool here = at && p == at->partition;
        int64_t place = here ? at->offset + at->ended : w->place[p], had = here ? at->offset + 1 : place;
        bool known = p < k->checkpoint->part_count, exact = c.complete && known;
        if (!known && !here && place == w->first[p])
            had = 0; /* nothing was there to be had */
        if (skip > place || had > mark || (exact && skip != place) || (exact && c.whole && mark != place))
            fail_msg("partition %u: skip %lld, place %lld, mark %lld, %s", p, (long long)skip,
                (long long)place, (long long)mark, c.complete ? "complete" : "not complete");
    }
    resume_plan_finish(&plan);
    w->stamps++;
    w->complete += c.complete;
    w->at_hand += at != NULL;
}

static void check_stamp_in(struct world *w, uint32_t partition, int64_t offset)
{
    check_stamp(w, &(struct cursor_record){partition, offset, false});
    check_stamp(w, &(struct cursor_record){partition, offset, true});
}

static void run_mint(uint32_t partitions, unsigned steps, unsigned busy)
{
    static struct world w;
    open_world(&w, wide_random());
    for (uint32_t p = 0; p < partitions / 2; p++)
        begin_partition(&w, (int64_t)(wide_random() >> 24));
    for (unsigned step = 0; step < steps; step++) {
        unsigned choice = next_random() % 100;
        uint32_t p = next_random() % w.count;
        if (choice < 3 && w.count < partitions)
            begin_partition(&w, next_random() % 1000);
        else if (choice < 8 && w.taken < CHECKPOINTS - 1)
            take_checkpoint(&w);
        else if (choice < 14)
            acknowledge(&w);
        else if (choice < 60)
            advance(
                &w, next_random() % 4 ? p % busy : p, 1 + next_random() % (next_random() % 10 ? 3 : 100000));
        else if (choice < 80)
            check_stamp_in(&w, p, w.place[p] + (next_random() % 2 ? next_random() % 5 : 0));
        else
            check_stamp(&w, NULL);
        w.sequence += next_random() % 3;
    }
    assert_true(w.stamps > steps / 10 && w.at_hand > steps / 20);
    assert_true(w.complete > 0);
    close_world(&w);
}

static void a_cursor_and_its_checkpoint_hold_the_true_place(void **state)
{
    (void)state;
    run_mint(2, 6000, 1);
    run_mint(5, 6000, 5);
    run_mint(20, 12000, 12); /* as many as can be listed, and one more now and then */
    run_mint(20, 12000, 20);
    run_mint(PARTITIONS, 6000, 3);
    run_mint(PARTITIONS, 12000, PARTITIONS / 2);
}

/* Twelve have moved and the record at hand is of a thirteenth: not all can be listed. */
static void one_more_than_can_be_listed_is_not_complete(void **state)
{
    (void)state;
    static struct world w;
    open_world(&w, 5);
    for (uint32_t p = 0; p <= CURSOR_STEPS_MAX; p++)
        begin_partition(&w, 10);
    take_checkpoint(&w);
    acknowledge(&w);
    for (uint32_t p = 0; p < CURSOR_STEPS_MAX; p++) {
        check_stamp_in(&w, CURSOR_STEPS_MAX, 10);
        advance(&w, p, 1);
    }
    unsigned complete = w.complete;
    assert_int_equal(complete, 2 * CURSOR_STEPS_MAX);
    check_stamp_in(&w, CURSOR_STEPS_MAX, 10);
    assert_int_equal(w.complete, complete);
    check_stamp(&w, NULL);
    assert_int_equal(w.complete, complete + 1);
    close_world(&w);
}

static void offsets_are_sparse_and_the_record_at_hand_is_marked_where_it_is(void **state)
{
    (void)state;
    static struct world w;
    open_world(&w, 5);
    begin_partition(&w, 10);
    take_checkpoint(&w);
    acknowledge(&w);
    check_stamp_in(&w, 0, 10);
    check_stamp_in(&w, 0, 17); /* a marker of a transaction lay between, or compaction has been there */
    begin_partition(&w, 0);    /* that the checkpoint does not know */
    check_stamp_in(&w, 1, 9);
    close_world(&w);
}

static void more_checkpoints_under_way_than_are_remembered(void **state)
{
    (void)state;
    static struct world w;
    open_world(&w, 77);
    begin_partition(&w, 0);
    for (int i = 0; i < 100; i++) {
        advance(&w, 0, 1);
        take_checkpoint(&w);
    }
    char text[CURSOR_TEXT_MAX + 1];
    cursor_mint_acknowledged(w.mint, 36, 1000);  /* forgotten */
    cursor_mint_acknowledged(w.mint, 101, 1001); /* never taken */
    assert_int_equal(cursor_mint_stamp(w.mint, w.sequence, NULL, text), 0);
    w.kept[37].offset = 1002;
    cursor_mint_acknowledged(w.mint, 37, 1002);
    w.acknowledged = 37;
    check_stamp(&w, NULL);
    cursor_mint_acknowledged(w.mint, 37, 1003); /* twice: it stays where it was */
    check_stamp(&w, NULL);
    w.kept[100].offset = 1004;
    cursor_mint_acknowledged(w.mint, 100, 1004);
    cursor_mint_acknowledged(w.mint, 50, 1005); /* overtaken */
    check_stamp(&w, NULL);
    assert_int_equal(w.stamps, 3);
    close_world(&w);
}

static void a_hundred_partitions_fit(void **state)
{
    (void)state;
    static struct world w;
    open_world(&w, UINT64_MAX);
    for (uint32_t p = 0; p < 100; p++)
        begin_partition(&w, INT64_MAX / 4);
    w.topic_end = INT64_MAX / 4;
    w.sequence = UINT64_MAX / 4;
    take_checkpoint(&w);
    acknowledge(&w);
    w.sequence += UINT64_C(1) << 40;
    for (uint32_t p = 0; p < 100; p++) {
        advance(&w, p, INT64_C(1) << 40);
        check_stamp_in(&w, p, w.place[p]);
        check_stamp(&w, NULL);
    }
    close_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cursor_is_read_as_it_was_written_but_for_steps_that_do_not_fit),
        cmocka_unit_test(a_flipped_bit_a_cut_and_a_stretch_are_refused),
        cmocka_unit_test(anything_at_all_can_be_looked_at),
        cmocka_unit_test(a_later_version_is_told_apart),
        cmocka_unit_test(a_cursor_and_its_checkpoint_hold_the_true_place),
        cmocka_unit_test(one_more_than_can_be_listed_is_not_complete),
        cmocka_unit_test(offsets_are_sparse_and_the_record_at_hand_is_marked_where_it_is),
        cmocka_unit_test(more_checkpoints_under_way_than_are_remembered),
        cmocka_unit_test(a_hundred_partitions_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
