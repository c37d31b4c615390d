/* Clients that are cut and come back, each time to another log: what they have had twice was marked, nothing
   is missing, and where the cursor could say all of it, nothing comes twice. */
#include "unit.h"

#include "causeway/cursor_rebase.h"
#include "causeway/resume.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    LOGS = 3,
    PARTITIONS_MOST = 40,
    EVENTS = 1200,
    CHECKPOINTS = 512,
    BASES = 1 << 20,
    CLIENTS = 12,
};

/* One event of a record; records have one or two. */
struct event {
    uint32_t partition;
    int64_t offset;
    bool ended;
};

/* The same events, interleaved in its own way. */
struct log {
    struct cursor_mint *mint;
    struct cursor_bases *bases;
    struct cursor_rebase *rebase;
    uint32_t order[EVENTS];
    char cursors[EVENTS][CURSOR_TEXT_MAX + 1];
    int64_t place[EVENTS + 1][PARTITIONS_MOST]; /* before the entry */
};

struct world {
    uint32_t seed, partition_count;
    struct event events[EVENTS];
    struct partitions *partitions;
    struct log logs[LOGS];
    struct checkpoint *checkpoints[CHECKPOINTS]; /* by offset */
    int64_t topic_end;
    unsigned marked, rebased, repeats, resumes;
    bool exact; /* all cursors say all of it: few partitions, and records of one event each */
};

static uint32_t next_random(struct world *w)
{
    w->seed ^= w->seed << 13;
    w->seed ^= w->seed >> 17;
    w->seed ^= w->seed << 5;
    return w->seed;
}

/* --- the logs --- */

static void produce(struct world *w)
{
    int64_t next[PARTITIONS_MOST] = {0};
    for (uint32_t i = 0; i < EVENTS;) {
        uint32_t p = next_random(w) % w->partition_count;
        int64_t offset = next[p] + next_random(w) % 2;
        next[p] = offset + 1;
        bool two = !w->exact && next_random(w) % 4 == 0 && i + 1 < EVENTS;
        if (two)
            w->events[i++] = (struct event){p, offset, false};
        w->events[i++] = (struct event){p, offset, true};
    }
}

/* Records of one partition stay in order; those of others slip past by some hundreds. */
static void interleave(struct world *w, struct log *log)
{
    static uint32_t lists[PARTITIONS_MOST][EVENTS];
    uint32_t count[PARTITIONS_MOST] = {0}, taken[PARTITIONS_MOST] = {0}, n = 0;
    for (uint32_t i = 0; i < EVENTS; i++)
        lists[w->events[i].partition][count[w->events[i].partition]++] = i;
    while (n < EVENTS) {
        uint32_t oldest = EVENTS, p = 0;
        for (uint32_t q = 0; q < w->partition_count; q++)
            if (taken[q] < count[q] && lists[q][taken[q]] < oldest)
                oldest = lists[q][taken[q]];
        do
            p = next_random(w) % w->partition_count;
        while (taken[p] == count[p] || lists[p][taken[p]] > oldest + 200);
        do
            log->order[n++] = lists[p][taken[p]++];
        while (!w->events[log->order[n - 1]].ended);
    }
}

static void take_checkpoint(struct world *w, struct log *log, uint64_t sequence)
{
    struct buffer bytes = {0};
    uint32_t count;
    int64_t at = w->topic_end++;
    assert_true(at < CHECKPOINTS);
    cursor_mint_checkpoint(log->mint, w->partitions, sequence, (uint64_t)at, &bytes);
    w->checkpoints[at] = checkpoint_decode(buffer_slice(&bytes));
    cursor_mint_acknowledged(log->mint, (uint64_t)at, at);
    const int64_t *base = cursor_mint_base(log->mint, &count);
    cursor_bases_add(log->bases, at, base, count);
    buffer_finish(&bytes);
}

static void fill(struct world *w, struct log *log, size_t bases_bytes)
{
    const struct anchor none = {.offset = -1};
    log->mint = cursor_mint_create(next_random(w));
    log->bases = cursor_bases_create(bases_bytes);
    log->rebase = cursor_rebase_create(log->bases);
    for (uint32_t p = 0; p < w->partition_count; p++)
        cursor_mint_advance(log->mint, p, log->place[0][p], none);
    take_checkpoint(w, log, 0);
    for (uint32_t i = 0; i < EVENTS; i++) {
        const struct event *e = &w->events[log->order[i]];
        struct cursor_record at = {e->partition, e->offset, e->ended};
        memcpy(log->place[i + 1], log->place[i], sizeof log->place[i]);
        assert_true(cursor_mint_stamp(log->mint, i + 1, &at, log->cursors[i]) > 0);
        if (!e->ended)
            continue;
        log->place[i + 1][e->partition] = e->offset + 1;
        cursor_mint_advance(log->mint, e->partition, e->offset + 1, none);
        if (next_random(w) % 20 == 0)
            take_checkpoint(w, log, i + 1);
    }
}

static void open_world(struct world *w, uint32_t seed, uint32_t partitions, size_t bases_bytes, bool exact)
{
    memset(w, 0, sizeof *w);
    w->seed = seed;
    w->exact = exact;
    w->partition_count = partitions;
    w->partitions = partitions_create();
    for (uint32_t p = 0; p < partitions; p++)
        partitions_get(w->partitions, SLICE("orders"), (int32_t)p, 0);
    produce(w);
    for (size_t i = 0; i < LOGS; i++) {
        interleave(w, &w->logs[i]);
        fill(w, &w->logs[i], bases_bytes);
    }
}

static void close_world(struct world *w)
{
    for (size_t i = 0; i < LOGS; i++) {
        cursor_mint_destroy(w->logs[i].mint);
        cursor_rebase_destroy(w->logs[i].rebase);
        cursor_bases_destroy(w->logs[i].bases);
    }
    for (size_t i = 0; i < CHECKPOINTS; i++)
        checkpoint_release(w->checkpoints[i]);
    partitions_destroy(w->partitions);
}

/* --- a client --- */

struct client {
    uint8_t had[EVENTS];
    char cursor[CURSOR_TEXT_MAX + 1];
};

static bool has_all_before(const struct world *w, const struct log *log, uint32_t i, const struct origin *o)
{
    for (uint32_t p = 0; p < w->partition_count; p++)
        if (log->place[i][p] > origin_skip(o, p))
            return false;
    return true;
}

/* Between records, somewhere before all that the client needs. */
static uint32_t enter(struct world *w, const struct log *log, const struct origin *o)
{
    uint32_t at = 0;
    while (at < EVENTS && has_all_before(w, log, at + 1, o))
        at++;
    uint32_t back = next_random(w) % 50;
    at = at > back ? at - back : 0;
    while (at > 0 && !w->events[log->order[at - 1]].ended)
        at--;
    return at;
}

static bool is_beyond(const struct world *w, const struct log *log, uint32_t i, const struct origin *o)
{
    for (uint32_t p = 0; p < w->partition_count; p++)
        if (log->place[i][p] < origin_mark(o, p))
            return false;
    return true;
}

static void receive(struct world *w, struct client *c, uint32_t event, bool marked)
{
    if (c->had[event] && !marked)
        fail_msg("event %u came again without a mark", event);
    if (c->had[event] && w->exact)
        fail_msg("event %u came again", event);
    w->repeats += c->had[event];
    w->marked += marked;
    c->had[event] = 1;
}

/* Walks on until it is cut. A client that has come from nowhere just begins. */
static void walk(
    struct world *w, struct client *c, struct log *log, struct origin *o, uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to; i++) {
        const struct event *e = &w->events[log->order[i]];
        bool bare = !o || is_beyond(w, log, i, o);
        struct slice plain = slice_of(log->cursors[i]);
        if (!bare && e->offset < origin_skip(o, e->partition))
            continue;
        receive(w, c, log->order[i], !bare && e->offset < origin_mark(o, e->partition));
        if (bare) {
            memcpy(c->cursor, plain.data, plain.size + 1);
            continue;
        }
        size_t size = cursor_rebase(log->rebase, plain, o, c->cursor);
        assert_true(size > 0 && size <= CURSOR_TEXT_MAX && size == strlen(c->cursor));
        bool other = strcmp(c->cursor, plain.data) != 0;
        struct cursor read;
        assert_int_equal(cursor_decode((struct slice){c->cursor, size}, &read), CURSOR_OK);
        assert_int_equal(read.placed, !other); /* who has had more is not where the log is */
        w->rebased += other;
    }
}

static void check_nothing_missing(const struct client *c, const struct log *log, uint32_t to)
{
    for (uint32_t i = 0; i < to; i++)
        if (!c->had[log->order[i]])
            fail_msg("event %u is missing", log->order[i]);
}

static void resume(struct world *w, struct client *c, struct log *log, uint32_t length)
{
    struct cursor cursor;
    assert_int_equal(cursor_decode(slice_of(c->cursor), &cursor), CURSOR_OK);
    const struct checkpoint *checkpoint = w->checkpoints[cursor.checkpoint];
    assert_int_equal(checkpoint->nonce, cursor.nonce);
    struct resume_plan plan;
    struct resume_question question = {.cursor = &cursor,
        .checkpoint = checkpoint,
        .partitions = w->partitions,
        .heads = log->place[EVENTS],
        .head_count = w->partition_count};
    resume_plan_make(&plan, &question);
    for (uint32_t i = 0; i < EVENTS; i++) /* so that all is told and nothing assumed */
        if (!c->had[i] && w->events[i].offset < origin_skip(plan.origin, w->events[i].partition))
            fail_msg("event %u was not had, and is skipped", i);
    uint32_t from = enter(w, log, plan.origin), to = from + length < EVENTS ? from + length : EVENTS;
    walk(w, c, log, plan.origin, from, to);
    check_nothing_missing(c, log, to);
    resume_plan_finish(&plan);
    w->resumes++;
}

static void run_client(struct world *w)
{
    static struct client c;
    memset(&c, 0, sizeof c);
    uint32_t begun = next_random(w) % 500;
    struct log *log = &w->logs[next_random(w) % LOGS];
    for (uint32_t i = 0; i < begun; i++) /* "now" is here */
        c.had[log->order[i]] = 1;
    walk(w, &c, log, NULL, begun, begun + 1 + next_random(w) % 100);
    for (unsigned i = 0; i < 40; i++)
        resume(w, &c, &w->logs[next_random(w) % LOGS], 1 + next_random(w) % (next_random(w) % 3 ? 80 : 500));
    resume(w, &c, &w->logs[0], EVENTS);
    check_nothing_missing(&c, &w->logs[0], EVENTS);
}

static void run(uint32_t seed, uint32_t partitions, size_t bases_bytes, bool exact)
{
    static struct world w;
    open_world(&w, seed, partitions, bases_bytes, exact);
    for (unsigned i = 0; i < CLIENTS; i++)
        run_client(&w);
    assert_true(w.rebased > 100);
    assert_true(exact ? w.repeats == 0 : w.repeats > 0);
    close_world(&w);
}

static void few_partitions_are_told_of_exactly(void **state)
{
    (void)state;
    for (uint32_t seed = 1; seed < 6; seed++)
        run(seed, 2 + seed, BASES, true);
}

static void amid_a_record_the_rest_of_it_follows(void **state)
{
    (void)state;
    for (uint32_t seed = 1; seed < 6; seed++)
        run(seed, 2 + seed, BASES, false);
}

static void many_partitions_are_told_of_as_far_as_fits(void **state)
{
    (void)state;
    for (uint32_t seed = 10; seed < 14; seed++)
        run(seed, PARTITIONS_MOST - seed, BASES, false);
}

static void a_log_that_has_forgotten_a_base_errs_on_the_side_of_marks(void **state)
{
    (void)state;
    run(20, 5, 400, false);
    run(21, 30, 400, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(few_partitions_are_told_of_exactly),
        cmocka_unit_test(amid_a_record_the_rest_of_it_follows),
        cmocka_unit_test(many_partitions_are_told_of_as_far_as_fits),
        cmocka_unit_test(a_log_that_has_forgotten_a_base_errs_on_the_side_of_marks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
