#include "kafka_internal.h"

enum {
    LOOK_MS = 10000,
    RETRY_MS = 1000,
    AWAY_MS = 5000, /* what is missing or has no leader for so long is not waited for */
    TAIL_MS = 3000, /* the end may be no record that comes, but a mark of a transaction */
};

static const struct anchor no_anchor = {.offset = -1};

void kafka_trace_reset(struct kafka_trace *trace)
{
    *trace = (struct kafka_trace){
        .last = no_anchor, .mark = no_anchor, .next_mark = no_anchor, .seam = no_anchor, .of_held = -1};
}

void kafka_trace_begin(struct kafka_trace *trace, const struct kafka_source_start *start)
{
    kafka_trace_reset(trace);
    if (start->anchor.offset < 0)
        return;
    trace->last = trace->mark = start->anchor;
    trace->held_count = start->older_count;
    memcpy(trace->held, start->older, start->older_count * sizeof trace->held[0]);
    trace->awaited = true;
}

void kafka_trace_record(struct kafka_trace *trace, const rd_kafka_message_t *m)
{
    trace->last = kafka_message_anchor(m);
    if (trace->mark.offset >= 0)
        return;
    trace->mark = trace->last;
    trace->ask_at = clock_monotonic_ms() + LOOK_MS;
}

/* An end that was lost and written anew shows only in the record that was the last one before. */
static void hurry(struct kafka_trace *trace)
{
    const struct anchor *newest = trace->tail_count > 0 ? &trace->tails[trace->tail_count - 1] : &trace->mark;
    if (trace->last.offset > newest->offset && trace->tail_count < TRACE_TAILS_MAX)
        trace->tails[trace->tail_count++] = trace->last;
    trace->ask_at = 0;
    trace->hurried_at = clock_monotonic_ms();
}

void kafka_trace_hurry(struct kafka_topic *t)
{
    for (int32_t id = 0; id < t->partition_count; id++)
        hurry(&t->partitions[id].trace);
}

/* --- the seam: where reading begins anew, the first record is compared with the last one --- */

static bool same(const struct anchor *a, const struct anchor *b)
{
    return a->offset == b->offset && a->time_ms == b->time_ms && a->hash == b->hash;
}

int64_t kafka_trace_begin_at(struct kafka_trace *trace, int64_t position)
{
    bool joins = trace->last.offset >= 0 && trace->last.offset + 1 >= position;
    trace->seam = joins ? trace->last : no_anchor;
    return joins && trace->last.offset < position ? trace->last.offset : position;
}

/* When it was compacted away, what took its place is not older. */
bool kafka_trace_fits(struct kafka_trace *trace, const rd_kafka_message_t *m)
{
    if (trace->seam.offset < 0 || m->offset < trace->seam.offset)
        return true;
    struct anchor found = kafka_message_anchor(m);
    bool fits = found.offset == trace->seam.offset ? same(&found, &trace->seam)
                                                   : found.time_ms >= trace->seam.time_ms;
    trace->seam = no_anchor;
    return fits;
}

void kafka_trace_doubt(struct kafka_topic *t, int32_t id)
{
    struct kafka_trace *trace = &t->partitions[id].trace;
    hurry(trace);
    if (trace->mark.offset < 0)
        trace->mark = trace->last;
    trace->awaited = true;
}

void kafka_trace_retained(struct kafka_trace *trace, int64_t low)
{
    if (trace->last.offset < low)
        trace->last = no_anchor;
}

static const struct anchor *asked_for(const struct kafka_trace *trace)
{
    return trace->of_held < 0 ? &trace->mark : &trace->held[trace->of_held];
}

static void ask(struct kafka_topic *t, int32_t id, struct kafka_probe *probe)
{
    struct kafka_trace *trace = &t->partitions[id].trace;
    struct kafka_probe_answer question = {.context = t, .partition = id, .anchor = *asked_for(trace)};
    if (trace->of_held < 0)
        trace->next_mark = trace->tail_count > 0 ? trace->tails[0] : trace->last;
    trace->asked = true;
    trace->asked_at = clock_monotonic_ms();
    kafka_probe_ask(probe, t->name, &question);
}

void kafka_trace_ask(struct kafka_topic *t, struct kafka_probe *probe)
{
    uint64_t now = clock_monotonic_ms();
    for (int32_t id = 0; id < t->live_count && !t->missing; id++) {
        const struct kafka_partition *p = &t->partitions[id];
        bool due = p->trace.mark.offset >= 0 && !p->trace.asked && now >= p->trace.ask_at;
        if (due && p->led && p->state != PARTITION_UNPLACED)
            ask(t, id, probe);
    }
}

static bool is_away(const struct kafka_topic *t, const struct kafka_partition *p, uint64_t now)
{
    return (t->missing && now - t->missing_at > AWAY_MS) || (!p->led && now - p->unled_at > AWAY_MS);
}

bool kafka_trace_verified(struct kafka_topic *t, uint64_t since)
{
    uint64_t now = clock_monotonic_ms();
    bool verified = true;
    for (int32_t id = 0; id < t->live_count; id++) {
        struct kafka_partition *p = &t->partitions[id];
        if (p->trace.mark.offset < 0 || p->trace.same_at >= since || is_away(t, p, now))
            continue;
        verified = false;
        if (p->trace.ask_at > now + RETRY_MS) /* its mark has only come since, and was not in a hurry */
            p->trace.ask_at = 0;
    }
    return verified;
}

bool kafka_trace_read_out(const struct kafka_topic *t)
{
    uint64_t now = clock_monotonic_ms();
    for (int32_t id = 0; id < t->live_count; id++) {
        const struct kafka_partition *p = &t->partitions[id];
        bool more = p->position < p->trace.same_high && now - p->trace.same_at < TAIL_MS;
        if (more && !is_away(t, p, now))
            return false;
    }
    return true;
}

/* --- answers --- */

static void let_begin(struct kafka_topic *t, struct kafka_reader *r, int32_t id)
{
    struct kafka_trace *trace = &t->partitions[id].trace;
    if (trace->awaited)
        t->check_at = 0;
    trace->awaited = false;
    kafka_topic_tell(t, r, id);
}

static void hold(struct kafka_trace *trace, struct anchor found)
{
    unsigned kept = trace->held_count < KAFKA_OLDER_MAX ? trace->held_count : KAFKA_OLDER_MAX - 1;
    memmove(&trace->held[1], &trace->held[0], kept * sizeof trace->held[0]);
    trace->held[0] = found;
    trace->held_count = kept + 1;
}

/* One that was the last before trouble is asked for at once. */
static void take_next_mark(struct kafka_trace *trace)
{
    bool tail = trace->tail_count > 0 && trace->tails[0].offset == trace->next_mark.offset;
    if (tail)
        memmove(&trace->tails[0], &trace->tails[1], --trace->tail_count * sizeof trace->tails[0]);
    trace->mark = trace->next_mark;
    bool at_once = tail || trace->tail_count > 0 || trace->asked_at < trace->hurried_at;
    trace->ask_at = at_once ? 0 : clock_monotonic_ms() + LOOK_MS;
}

static void on_same(struct kafka_topic *t, struct kafka_reader *r, int32_t id)
{
    struct kafka_trace *trace = &t->partitions[id].trace;
    bool newest = trace->last.offset <= trace->mark.offset;
    if (trace->deciding) { /* what came after it was lost */
        kafka_topic_jump(t, r, id, asked_for(trace)->offset + 1, JUMP_TRUNCATED);
        return;
    }
    trace->same_at = trace->asked_at;
    if (trace->next_mark.offset != trace->mark.offset)
        hold(trace, trace->mark);
    take_next_mark(trace);
    if (newest)
        let_begin(t, r, id);
    else if (trace->awaited)
        trace->ask_at = 0;
}

/* Deleted from the log, so that nothing can be said; what was read later can be looked for. */
static void on_retained(struct kafka_topic *t, struct kafka_reader *r, const struct kafka_probe_answer *a)
{
    struct kafka_trace *trace = &t->partitions[a->partition].trace;
    if (trace->deciding) {
        kafka_topic_jump(t, r, a->partition, a->low, JUMP_RECREATED);
        return;
    }
    trace->same_at = trace->asked_at;
    trace->held_count = 0;
    take_next_mark(trace);
    if (trace->mark.offset < a->low && trace->tail_count == 0)
        trace->mark = no_anchor; /* the next record will be it */
    let_begin(t, r, a->partition);
}

/* The next one of the held that this log can have; held_count: there is none. */
static int held_below(const struct kafka_trace *trace, int64_t high)
{
    int next = trace->of_held + 1;
    while (next < (int)trace->held_count && trace->held[next].offset >= high)
        next++;
    return next;
}

/* It is another log, from some record on after those that are held, or altogether. */
static void on_other(struct kafka_topic *t, struct kafka_reader *r, const struct kafka_probe_answer *a)
{
    struct kafka_trace *trace = &t->partitions[a->partition].trace;
    if (held_below(trace, a->high) >= (int)trace->held_count) {
        kafka_topic_jump(t, r, a->partition, a->low, JUMP_RECREATED);
        return;
    }
    kafka_topic_halt(t, a->partition);
    trace->deciding = true;
    trace->of_held = held_below(trace, a->high);
    trace->ask_at = 0;
}

void kafka_trace_answer(struct kafka_reader *r, const struct kafka_probe_answer *a)
{
    struct kafka_topic *t = a->context;
    struct kafka_trace *trace = &t->partitions[a->partition].trace;
    if (!trace->asked || !same(asked_for(trace), &a->anchor))
        return; /* of before a jump */
    trace->asked = false;
    trace->same_high = a->verdict == PROBE_SAME && trace->of_held < 0 ? a->high : 0;
    if (a->verdict == PROBE_SAME)
        on_same(t, r, a->partition);
    else if (a->verdict == PROBE_UNANSWERED)
        trace->ask_at = clock_monotonic_ms() + RETRY_MS;
    else if (a->verdict == PROBE_RETAINED && trace->of_held < 0)
        on_retained(t, r, a);
    else
        on_other(t, r, a);
}
