#include "ingest.h"

#include "history.h"
#include "judge.h"
#include "letters.h"
#include "state.h"

#include "causeway/clock.h"
#include "causeway/memory.h"
#include "causeway/metrics.h"

#include <stdlib.h>
#include <unistd.h>

enum {
    BACKLOG_PUBLISH = 5, /* percent of the log that may be written without being shown */
    BACKLOG_WAIT = 10,   /* ... that may lie before the slowest loop before the writer waits for it */
    BACKLOG_WAIT_US = 500,
    BACKLOG_WAITS_MAX = 4000, /* a loop that is stuck for 2 s is not waited for any more */
    CHECKPOINT_MS = 1000,
    COVER_MS = 3000, /* a partition that is new does not wait longer for a checkpoint that knows it */
    CHECKPOINT_IDLE_MS =
        3600 * 1000, /* so that a cursor of a quiet system does not outlive its checkpoint's retention */
};

struct ingest {
    struct bridge *bridge;
    struct judge *judge;
    atomic_uint unborn; /* lives that began, and whose first record has not come */
    uint64_t given_up;  /* where a loop stands that was waited for in vain */
    uint64_t checkpoint_at, idle_checkpoint_at;
    uint32_t covered, asked; /* partitions: known to cursors; of the checkpoint that is to say so */
    uint64_t waiting_since;  /* for that; 0: nothing waits */
    bool begun;
    struct metric *entries, *bytes, *delay;
};

/* --- showing the loops --- */

static void wake_loops(struct ingest *in)
{
    for (unsigned i = 0; i < in->bridge->worker_count; i++)
        loop_wake(in->bridge->workers[i].loop);
}

static void publish(struct ingest *in)
{
    journal_publish(in->bridge->journals[0]);
    wake_loops(in);
}

/* Backpressure: Kafka waits before a loop loses its place in the log. Long before, since whose session falls
   out while its loop does not look is told its place less exactly (hotlog_staying). */
static void keep_pace(void *owner)
{
    struct ingest *in = owner;
    struct hotlog *log = journal_log(in->bridge->journals[0]);
    bool late = hotlog_backlog(log) >= BACKLOG_WAIT;
    if (late || hotlog_fill(log, hotlog_head(log)) >= BACKLOG_PUBLISH) {
        publish(in);
    }
    for (int i = 0; late && hotlog_slowest(log) != in->given_up; i++) {
        if (i == BACKLOG_WAITS_MAX)
            in->given_up = hotlog_slowest(log);
        usleep(BACKLOG_WAIT_US);
        late = hotlog_backlog(log) >= BACKLOG_WAIT;
    }
}

struct ingest *ingest_create(struct bridge *b)
{
    struct ingest *in = xcalloc(1, sizeof *in);
    in->bridge = b;
    in->given_up = HOTLOG_NOWHERE;
    in->judge = judge_create(b);
    journal_set_pace(b->journals[0], keep_pace, in);
    in->entries = metric_get(METRIC_ENTRIES);
    in->bytes = metric_get(METRIC_HOTLOG_BYTES);
    in->delay = metric_get(METRIC_DELAY);
    return in;
}

void ingest_destroy(struct ingest *in)
{
    if (!in)
        return;
    judge_destroy(in->judge);
    free(in);
}

/* --- partitions and their lives --- */

/* So that cursors of a life that was over before this process began are known for what they are. */
static void add_past(struct ingest *in, struct slice topic, int32_t partition, uint32_t life)
{
    struct bridge *b = in->bridge;
    uint32_t number = partitions_add_past(b->partitions, topic, partition, life);
    journal_begin(b->journals[0], number, 0, (struct anchor){.offset = -1});
}

/* What follows is of another life. The gap takes the place behind the last record of the one that is over:
 * who has that behind him was told. */
static void end_life(struct ingest *in, uint32_t number, int64_t from, enum gap_reason reason)
{
    struct bridge *b = in->bridge;
    struct partition_name name = partitions_name(b->partitions, number);
    journal_append_gap(
        b->journals[0], judge_edition(in->judge)->catalogue, number, &(struct gap){name, from, -1, reason});
    journal_advance(b->journals[0], number, from + 1, NULL);
    publish(in);
}

/* Its first record tells which one it is, on any instance. */
static void begin_life(
    struct ingest *in, struct slice topic, int32_t partition, int64_t from, int64_t to, bool truncated)
{
    struct bridge *b = in->bridge;
    uint32_t number = partitions_renew(b->partitions, topic, partition, LIFE_UNBORN, to);
    if (truncated) {
        partitions_set_truncated(b->partitions, number);
        journal_expect_repeats(b->journals[0], number, from);
    }
    journal_begin(b->journals[0], number, to, (struct anchor){.offset = -1});
    atomic_fetch_add(&in->unborn, 1);
}

/* A catalogue left the topic out for a while. An earlier place is one of another log. */
static void on_read_again(struct ingest *in, uint32_t number, int64_t offset)
{
    struct journal *j = in->bridge->journals[0];
    struct partition_name name = partitions_name(in->bridge->partitions, number);
    uint32_t count = hotlog_place_count(journal_log(j));
    int64_t *next = xcalloc(count + 1, sizeof *next);
    hotlog_place_after(journal_log(j), hotlog_head(journal_log(j)), next, count);
    if (number >= count || offset >= next[number]) {
        journal_begin(j, number, offset, (struct anchor){.offset = -1});
    } else if (name.life != LIFE_UNBORN) {
        end_life(in, number, next[number], GAP_RECREATED);
        begin_life(in, name.topic, name.number, next[number], offset, false);
    }
    free(next);
}

/* The anchor of a quiet partition is handed down, so that the next start has one. */
static void on_placed(void *owner, struct slice topic, int32_t partition, int64_t offset)
{
    struct ingest *in = owner;
    struct bridge *b = in->bridge;
    uint32_t before = partitions_find(b->partitions, topic, partition);
    if (before != PARTITION_NONE) {
        on_read_again(in, before, offset);
        return;
    }
    const struct life *known = history_known_life(b->history, topic, partition);
    if (known && known->ended) {
        add_past(in, topic, partition, known->name.life);
        begin_life(in, topic, partition, 0, offset, false);
        return;
    }
    if (known && known->follows)
        add_past(in, topic, partition, known->before);
    uint32_t number = partitions_get(b->partitions, topic, partition, offset);
    struct anchor anchor = {.offset = -1};
    if (known)
        partitions_set_life(b->partitions, number, known->name.life);
    if (known && known->anchor_count > 0 && known->anchors[0].offset < offset)
        anchor = known->anchors[0];
    journal_begin(b->journals[0], number, offset, anchor);
}

static void on_jump(
    void *owner, struct slice topic, int32_t partition, int64_t from, int64_t to, enum kafka_jump why)
{
    static const enum gap_reason reasons[] = {
        [JUMP_RETENTION] = GAP_RETENTION, [JUMP_TRUNCATED] = GAP_TRUNCATED, [JUMP_RECREATED] = GAP_RECREATED};
    struct ingest *in = owner;
    struct bridge *b = in->bridge;
    metric_add(metric_label(METRIC_GAPS, gap_reason_text(reasons[why])), 1);
    uint32_t number = partitions_find(b->partitions, topic, partition);
    bool known = number != PARTITION_NONE;
    if (why == JUMP_RETENTION && known) {
        struct gap gap = {{topic, partition, 0}, from, to, GAP_RETENTION};
        journal_append_gap(b->journals[0], judge_edition(in->judge)->catalogue, number, &gap);
        publish(in);
        journal_advance(b->journals[0], number, to, NULL);
    }
    if (why == JUMP_RETENTION || (known && partitions_name(b->partitions, number).life == LIFE_UNBORN))
        return;
    const struct life *before = history_known_life(b->history, topic, partition);
    if (known)
        end_life(in, number, from, reasons[why]);
    else if (before)
        add_past(in, topic, partition, before->name.life);
    begin_life(in, topic, partition, from, to, why == JUMP_TRUNCATED);
}

static uint32_t number_of(struct ingest *in, const struct record *r)
{
    struct partitions *p = in->bridge->partitions;
    uint32_t number = partitions_get(p, r->topic, r->partition, r->offset);
    if (atomic_load(&in->unborn) > 0 && partitions_name(p, number).life == LIFE_UNBORN) {
        uint32_t life = anchor_hash(r->key, r->value) ^ (uint32_t)r->time_ms;
        partitions_set_life(p, number, life == 0 || life == LIFE_UNBORN ? 1 : life);
        atomic_fetch_sub(&in->unborn, 1);
    }
    return number;
}

bool ingest_awaits_life(const struct ingest *in)
{
    return atomic_load(&in->unborn) > 0;
}

/* --- records --- */

static double seconds_since(int64_t time_ms)
{
    double seconds = clock_wall_s() - (double)time_ms / 1e3;
    return seconds > 0 ? seconds : 0;
}

static void on_record(void *owner, const struct record *r)
{
    struct ingest *in = owner;
    struct journal *j = in->bridge->journals[0];
    uint32_t number = number_of(in, r);
    if (!in->begun)
        in->begun = bridge_started(in->bridge);
    bool news = in->begun; /* else it was counted and told before the restart */
    size_t appended = judge_record(in->judge, j, number, r, news);
    metric_add(in->entries, (int64_t)appended);
    if (appended > 0 && news)
        metric_observe(in->delay, seconds_since(r->time_ms));
    journal_advance(j, number, r->offset + 1, r);
}

static void on_batch_done(void *owner)
{
    struct ingest *in = owner;
    publish(in);
    metric_set(in->bytes, (int64_t)hotlog_bytes(journal_log(in->bridge->journals[0])));
}

/* The log is emptied rather than routed anew: it has not all that routing needs, and Kafka has. Who is at its
   head notices nothing; who is not has been told to read on from Kafka. */
static void exchange_catalogue(struct ingest *in, struct kafka_source *source)
{
    struct bridge *b = in->bridge;
    double began = clock_wall_s();
    publish(in);
    struct edition *e = reload_take(b->reload);
    hotlog_empty(journal_log(b->journals[0]));
    judge_adopt(in->judge, e);
    struct slice *names;
    size_t count = edition_topics(e, &names);
    kafka_source_set_topics(source, names, count);
    letters_set_topics(b->letters, names, count);
    free(names);
    reload_adopt(b->reload, e);
    edition_release(e);
    double pause = clock_wall_s() - began;
    metric_observe(metric_get(METRIC_RELOAD_PAUSE), pause > 0 ? pause : 0);
}

static void take_checkpoint(struct ingest *in, bool even_unmoved)
{
    uint64_t now = clock_monotonic_ms();
    if (!history_checkpoint(in->bridge->history, 0, even_unmoved))
        return;
    in->checkpoint_at = now + CHECKPOINT_MS;
    in->idle_checkpoint_at = now + CHECKPOINT_IDLE_MS;
}

/* At most once a second a checkpoint, and what became of earlier ones. */
static void on_turn(void *owner)
{
    struct ingest *in = owner;
    struct kafka_source *source = atomic_load(&in->bridge->source);
    if (source && reload_waits(in->bridge->reload))
        exchange_catalogue(in, source);
    if (history_take_acknowledgements(in->bridge->history, 0))
        publish(in);
    uint64_t now = clock_monotonic_ms();
    if (now >= in->checkpoint_at && (in->asked > 0 || (source && kafka_source_placed(source))))
        take_checkpoint(in, now >= in->idle_checkpoint_at);
}

/* Every cursor names a checkpoint that knows the partitions of all that came before it: one of where the log
   begins in them is acknowledged before anything of it goes out. The first one knows all topics, since other
   instances learn from it which lives they live; without it nobody is let in, so it may take its time. */
static bool may_read(void *owner, bool placed)
{
    struct ingest *in = owner;
    uint32_t count = partitions_count(in->bridge->partitions);
    if (count <= in->covered)
        return true;
    uint64_t now = clock_monotonic_ms();
    if (in->waiting_since == 0)
        in->waiting_since = now;
    bool late = now - in->waiting_since > COVER_MS;
    if (in->asked < count && (placed || in->asked > 0 || late)) {
        take_checkpoint(in, true);
        in->asked = count;
    }
    uint32_t covered = journal_covered(in->bridge->journals[0]);
    if (covered < count && (covered == 0 || !late))
        return false;
    in->covered = count;
    in->waiting_since = 0;
    return true;
}

const struct kafka_source_hooks ingest_hooks = {
    .record = on_record,
    .batch_done = on_batch_done,
    .jump = on_jump,
    .placed = on_placed,
    .turn = on_turn,
    .may_read = may_read,
};
