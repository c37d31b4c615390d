#include "kafka_internal.h"

enum { LOOK_MS = 10000, RETRY_MS = 1000 };

static const struct anchor no_anchor = {.offset = -1};

void kafka_trace_reset(struct kafka_trace *trace)
{
    *trace =
        (struct kafka_trace){.last = no_anchor, .mark = no_anchor, .next_mark = no_anchor, .held = no_anchor};
}

void kafka_trace_begin(struct kafka_trace *trace, const struct anchor *anchor)
{
    kafka_trace_reset(trace);
    if (anchor->offset < 0)
        return;
    trace->last = trace->mark = *anchor;
    trace->awaited = true;
}

void kafka_trace_record(struct kafka_trace *trace, const rd_kafka_message_t *m)
{
    trace->last = kafka_message_anchor(m);
    if (trace->mark.offset >= 0)
        return;
    trace->mark = trace->last;
    trace->ask_at = kafka_clock_ms() + LOOK_MS;
}

/* An end that was lost and written anew shows only in the record that was the last one before. */
void kafka_trace_hurry(struct kafka_topic *t)
{
    for (int32_t id = 0; id < t->partition_count; id++) {
        struct kafka_trace *trace = &t->partitions[id].trace;
        const struct anchor *newest =
            trace->tail_count > 0 ? &trace->tails[trace->tail_count - 1] : &trace->mark;
        if (trace->last.offset > newest->offset && trace->tail_count < TRACE_TAILS_MAX)
            trace->tails[trace->tail_count++] = trace->last;
        trace->ask_at = 0;
    }
}

static void ask(struct kafka_topic *t, int32_t id, struct kafka_probe *probe)
{
    struct kafka_trace *trace = &t->partitions[id].trace;
    struct kafka_probe_answer question = {
        .context = t, .partition = id, .anchor = trace->of_held ? trace->held : trace->mark};
    if (!trace->of_held)
        trace->next_mark = trace->tail_count > 0 ? trace->tails[0] : trace->last;
    trace->asked = true;
    kafka_probe_ask(probe, t->name, &question);
}

void kafka_trace_ask(struct kafka_topic *t, struct kafka_probe *probe)
{
    uint64_t now = kafka_clock_ms();
    for (int32_t id = 0; id < t->live_count && !t->missing; id++) {
        const struct kafka_partition *p = &t->partitions[id];
        bool due = p->trace.mark.offset >= 0 && !p->trace.asked && now >= p->trace.ask_at;
        if (due && p->led && p->state != PARTITION_UNPLACED)
            ask(t, id, probe);
    }
}

/* --- answers --- */

static void let_begin(struct kafka_topic *t, struct kafka_trace *trace)
{
    if (trace->awaited)
        t->check_at = 0;
    trace->awaited = false;
}

/* One that was the last before trouble is asked for at once. */
static void take_next_mark(struct kafka_trace *trace)
{
    bool tail = trace->tail_count > 0 && trace->tails[0].offset == trace->next_mark.offset;
    if (tail)
        memmove(&trace->tails[0], &trace->tails[1], --trace->tail_count * sizeof trace->tails[0]);
    trace->mark = trace->next_mark;
    trace->ask_at = tail || trace->tail_count > 0 ? 0 : kafka_clock_ms() + LOOK_MS;
}

static void on_same(struct kafka_topic *t, struct kafka_reader *r, int32_t id)
{
    struct kafka_trace *trace = &t->partitions[id].trace;
    if (trace->deciding) { /* what came after it was lost */
        const struct anchor *found = trace->of_held ? &trace->held : &trace->mark;
        kafka_topic_jump(t, r, id, found->offset + 1, JUMP_TRUNCATED);
        return;
    }
    if (trace->next_mark.offset != trace->mark.offset)
        trace->held = trace->mark;
    take_next_mark(trace);
    let_begin(t, trace);
}

/* Deleted from the log, so that nothing can be said; what was read later can be looked for. */
static void on_retained(struct kafka_topic *t, struct kafka_reader *r, const struct kafka_probe_answer *a)
{
    struct kafka_trace *trace = &t->partitions[a->partition].trace;
    if (trace->deciding) {
        kafka_topic_jump(t, r, a->partition, a->low, JUMP_RECREATED);
        return;
    }
    trace->held = no_anchor;
    take_next_mark(trace);
    if (trace->mark.offset < a->low && trace->tail_count == 0)
        trace->mark = no_anchor; /* the next record will be it */
    let_begin(t, trace);
}

/* It is another log, from the record on that was asked for, or altogether. */
static void on_other(struct kafka_topic *t, struct kafka_reader *r, const struct kafka_probe_answer *a)
{
    struct kafka_trace *trace = &t->partitions[a->partition].trace;
    if (trace->of_held || trace->held.offset < 0) {
        kafka_topic_jump(t, r, a->partition, a->low, JUMP_RECREATED);
        return;
    }
    kafka_topic_halt(t, a->partition);
    trace->deciding = true;
    trace->of_held = true;
    trace->ask_at = 0;
}

static bool same(const struct anchor *a, const struct anchor *b)
{
    return a->offset == b->offset && a->time_ms == b->time_ms && a->hash == b->hash;
}

void kafka_trace_answer(struct kafka_reader *r, const struct kafka_probe_answer *a)
{
    struct kafka_topic *t = a->context;
    struct kafka_trace *trace = &t->partitions[a->partition].trace;
    if (!trace->asked || !same(trace->of_held ? &trace->held : &trace->mark, &a->anchor))
        return; /* of before a jump */
    trace->asked = false;
    if (a->verdict == PROBE_SAME)
        on_same(t, r, a->partition);
    else if (a->verdict == PROBE_UNANSWERED)
        trace->ask_at = kafka_clock_ms() + RETRY_MS;
    else if (a->verdict == PROBE_RETAINED && !trace->of_held)
        on_retained(t, r, a);
    else
        on_other(t, r, a);
}
