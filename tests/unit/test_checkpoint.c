#include "unit.h"

#include "causeway/checkpoint.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { PARTS_MAX = 60 };

static uint32_t seed = 4711;

static uint32_t next_random(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 17;
    seed ^= seed << 5;
    return seed;
}

static uint64_t wide_random(void)
{
    return ((uint64_t)next_random() << 32 | next_random()) >> next_random() % 64;
}

static const struct slice topics[] = {
    {"orders.v1", 9}, {"o", 1}, {"tasks\0with a nul", 16}, {"payments.v2", 11}};

static struct checkpoint draw(struct checkpoint_part parts[PARTS_MAX])
{
    struct checkpoint c = {wide_random() & ((UINT64_C(1) << NONCE_BITS) - 1), wide_random(), parts,
        next_random() % 4 ? next_random() % PARTS_MAX : next_random() % 4};
    for (size_t i = 0; i < c.part_count; i++) {
        int64_t next = (int64_t)(wide_random() >> 1);
        bool read = next > 0 && next_random() % 4;
        parts[i] = (struct checkpoint_part){
            .name = {topics[i > 0 && next_random() % 3 ? 0 : next_random() % 4],
                (int32_t)(next_random() >> 1), next_random() % 2 ? 0 : next_random()},
            .next = next,
            .anchor = {.offset = -1},
        };
        if (read)
            parts[i].anchor = (struct anchor){
                next - 1 - (int64_t)(next_random() % 3), (int64_t)wide_random(), next_random()};
        if (parts[i].anchor.offset < 0)
            parts[i].anchor = (struct anchor){.offset = -1};
    }
    return c;
}

static void assert_same(const struct checkpoint *a, const struct checkpoint *b)
{
    assert_true(a->nonce == b->nonce && a->sequence == b->sequence);
    assert_int_equal(a->part_count, b->part_count);
    for (size_t i = 0; i < a->part_count; i++) {
        const struct checkpoint_part *p = &a->parts[i], *q = &b->parts[i];
        assert_true(slice_equal(p->name.topic, q->name.topic));
        assert_true(p->name.number == q->name.number && p->name.life == q->name.life && p->next == q->next);
        assert_true(p->anchor.offset == q->anchor.offset && p->anchor.time_ms == q->anchor.time_ms &&
                    p->anchor.hash == q->anchor.hash);
    }
}

/* From memory of exactly that size, which is gone afterwards. */
static struct checkpoint *decode(struct slice bytes)
{
    char *copy = malloc(bytes.size ? bytes.size : 1);
    if (bytes.size)
        memcpy(copy, bytes.data, bytes.size);
    struct checkpoint *c = checkpoint_decode((struct slice){copy, bytes.size});
    free(copy);
    return c;
}

static void a_checkpoint_is_read_as_it_was_written(void **state)
{
    (void)state;
    struct checkpoint_part parts[PARTS_MAX];
    for (int i = 0; i < 3000; i++) {
        struct checkpoint c = draw(parts);
        struct buffer bytes = {0};
        checkpoint_encode(&c, &bytes);
        struct checkpoint *d = decode(buffer_slice(&bytes));
        assert_non_null(d);
        assert_same(&c, d);
        checkpoint_release(d);
        buffer_finish(&bytes);
    }
}

static void partitions_of_one_topic_share_its_name(void **state)
{
    (void)state;
    struct checkpoint_part parts[PARTS_MAX] = {{.next = 0}};
    for (int i = 0; i < PARTS_MAX; i++)
        parts[i] =
            (struct checkpoint_part){{SLICE("a-topic-with-a-rather-long-name"), i, 0}, 1000, {999, 1, 2}};
    struct buffer bytes = {0};
    checkpoint_encode(&(struct checkpoint){1, 2, parts, PARTS_MAX}, &bytes);
    assert_true(bytes.size < PARTS_MAX * 10);
    buffer_finish(&bytes);
}

/* What was read from broken bytes is at least one that can be written, and read again. */
static bool assert_refused_or_sane(struct slice bytes)
{
    struct checkpoint *c = decode(bytes);
    if (!c)
        return false;
    assert_true(c->part_count <= PARTITIONS_MAX);
    for (size_t i = 0; i < c->part_count; i++) {
        const struct checkpoint_part *p = &c->parts[i];
        assert_in_range(p->name.topic.size, 1, 255);
        assert_true(
            p->name.number >= 0 && p->next >= 0 && p->anchor.offset >= -1 && p->anchor.offset < p->next + 1);
    }
    struct buffer again = {0};
    checkpoint_encode(c, &again);
    struct checkpoint *d = decode(buffer_slice(&again));
    assert_non_null(d);
    assert_same(c, d);
    checkpoint_release(d);
    checkpoint_release(c);
    buffer_finish(&again);
    return true;
}

static void a_part_of_one_is_refused(void **state)
{
    (void)state;
    struct checkpoint_part parts[PARTS_MAX];
    for (int i = 0; i < 200; i++) {
        struct checkpoint c = draw(parts);
        struct buffer bytes = {0};
        checkpoint_encode(&c, &bytes);
        for (size_t size = 0; size < bytes.size; size++)
            assert_null(decode((struct slice){bytes.data, size}));
        buffer_add_byte(&bytes, 0);
        assert_null(decode(buffer_slice(&bytes)));
        buffer_finish(&bytes);
    }
    assert_null(checkpoint_decode((struct slice){NULL, 0})); /* a tombstone */
}

static void broken_bytes_do_no_harm(void **state)
{
    (void)state;
    struct checkpoint_part parts[PARTS_MAX];
    unsigned refused = 0, sane = 0;
    for (int i = 0; i < 30000; i++) {
        struct checkpoint c = draw(parts);
        c.part_count %= 6;
        struct buffer bytes = {0};
        checkpoint_encode(&c, &bytes);
        for (unsigned n = 1 + next_random() % 3; n-- > 0;)
            bytes.data[next_random() % bytes.size] = next_random() % 3 ? (char)next_random() : (char)0xff;
        if (assert_refused_or_sane(buffer_slice(&bytes)))
            sane++;
        else
            refused++;
        buffer_finish(&bytes);
    }
    assert_true(refused > 1000 && sane > 1000);
}

static void numbers_out_of_range_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
        bool fine;
    } cases[] = {
        {"\x01\x05\x06\x00", 4, true},                                    /* no parts */
        {"\x02\x05\x06\x00", 4, false},                                   /* another version */
        {"\x01\x05\x06\x01\x01t\x01\x00\x00\x07\x00", 11, true},          /* no anchor */
        {"\x01\x05\x06\x01\x01t\x01\x00\x00\x07\x07\x01\x02", 13, true},  /* the first record */
        {"\x01\x05\x06\x01\x01t\x01\x00\x00\x07\x08\x01\x02", 13, false}, /* an anchor before it */
        {"\x01\x05\x06\x01\x00\x01\x00\x00\x07\x00", 10, false},          /* no name */
        {"\x01\x05\x06\x01\x01t\x02\x00\x00\x07\x00", 11, false},         /* more parts than were told */
        {"\x01\x05\x06\x02\x01t\x00\x01t\x02\x00\x00\x07\x00", 14, false},
        {"\x01\x05\x06\x01\x01t\x01\x80\x80\x80\x80\x08\x00\x07\x00", 15, false}, /* partition 2^31 */
        {"\x01\x05\x06\x01\x01t\x01\x00\x80\x80\x80\x80\x10\x07\x00", 15, false}, /* life 2^32 */
        {"\x01\x05\x06\x01\x01t\x01\x00\x00\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01\x00", 20, false},
        {"\x01\x05\x06\xff\xff\xff\xff\x0f", 8, false}, /* billions of parts */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (assert_refused_or_sane((struct slice){cases[i].bytes, cases[i].size}) != cases[i].fine)
            fail_msg("case %zu", i);
}

static void key_and_value_both_count_in_an_anchor(void **state)
{
    (void)state;
    const struct slice none = {NULL, 0}, empty = {"", 0};
    const struct slice keys[] = {none, empty, SLICE("a"), SLICE("ab")},
                       values[] = {none, empty, SLICE("b"), SLICE("a")};
    uint32_t hashes[16];
    for (size_t i = 0; i < 16; i++) {
        hashes[i] = anchor_hash(keys[i / 4], values[i % 4]);
        assert_int_equal(hashes[i], anchor_hash(keys[i / 4], values[i % 4]));
        for (size_t j = 0; j < i; j++)
            assert_int_not_equal(hashes[i], hashes[j]);
    }
}

static void *hold_and_release(void *argument)
{
    struct checkpoint *c = argument;
    for (int i = 0; i < 20000; i++)
        checkpoint_release(checkpoint_hold(c));
    return NULL;
}

static void a_checkpoint_is_shared_between_threads(void **state)
{
    (void)state;
    struct checkpoint_part parts[PARTS_MAX];
    struct checkpoint c = draw(parts);
    struct buffer bytes = {0};
    checkpoint_encode(&c, &bytes);
    struct checkpoint *d = decode(buffer_slice(&bytes));
    pthread_t threads[3];
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, hold_and_release, d), 0);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    assert_same(&c, d);
    checkpoint_release(d);
    checkpoint_release(NULL);
    buffer_finish(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_checkpoint_is_read_as_it_was_written),
        cmocka_unit_test(partitions_of_one_topic_share_its_name),
        cmocka_unit_test(a_part_of_one_is_refused),
        cmocka_unit_test(broken_bytes_do_no_harm),
        cmocka_unit_test(numbers_out_of_range_are_refused),
        cmocka_unit_test(key_and_value_both_count_in_an_anchor),
        cmocka_unit_test(a_checkpoint_is_shared_between_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
