/* Where each partition of a topic is read. Partitions are started one by one (librdkafka's simple consumer),
   so that finding one more does not touch the others. What librdkafka would do about a position that is gone,
   silently, is done here, aloud: auto.offset.reset is "error", and the position is looked up against the
   watermarks. Watermarks come from rd_kafka_offsets_for_times with the protocol's special times -1 (end) and
   -2 (beginning), since rd_kafka_query_watermark_offsets waits without end in librdkafka before 2.3. */
#include "kafka_internal.h"

#include "causeway/log.h"
#include "causeway/memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    ANSWER_MS = 1000,   /* for one question; also what a stop may have to wait for */
    REFRESH_MS = 5000,  /* between checks when all is well */
    RETRY_MIN_MS = 100, /* between checks when not: doubles up to the maximum */
    RETRY_MAX_MS = 2000,
    DOUBT_MS = 1000,        /* before asking for watermarks a second time */
    ERROR_MS = 500,         /* before a partition is started anew after an error of its fetch */
    REPEAT_MS = 10000,      /* a fetch error that is not repeated for so long is over */
    CLOCKS_APART_MS = 60000 /* between producers and this machine */
};

struct watermarks {
    int64_t low, high; /* -1: unknown */
};

struct kafka_topic *kafka_topic_create(
    struct slice name, const struct kafka_source_start *starts, size_t start_count)
{
    struct kafka_topic *t = xcalloc(1, sizeof *t);
    t->name = xstrndup(name.data, name.size);
    t->known_since = clock_wall_ms();
    t->records = metric_label(METRIC_RECORDS, t->name);
    t->starts = xcalloc(start_count + 1, sizeof *t->starts);
    for (size_t i = 0; i < start_count; i++)
        if (slice_equal(starts[i].topic, name))
            t->starts[t->start_count++] = starts[i];
    return t;
}

void kafka_topic_destroy(struct kafka_topic *t)
{
    CHECK(!t->handle);
    free(t->partitions);
    free(t->starts);
    free(t->name);
    free(t);
}

void kafka_topic_attach(struct kafka_topic *t, struct kafka_reader *r)
{
    rd_kafka_topic_conf_t *conf = rd_kafka_default_topic_conf_dup(r->client);
    rd_kafka_topic_conf_set_opaque(conf, t);
    t->handle = rd_kafka_topic_new(r->client, t->name, conf);
    if (!t->handle) { /* a name that no topic can have; it stays "does not exist" */
        log_error("kafka", "topic \"%s\": %s", t->name, rd_kafka_err2str(rd_kafka_last_error()));
        rd_kafka_topic_conf_destroy(conf);
    }
    t->check_at = 0;
    t->failures = 0;
}

static void stop(struct kafka_topic *t, int32_t id)
{
    if (t->partitions[id].consuming)
        (void)rd_kafka_consume_stop(t->handle, id);
    t->partitions[id].consuming = false;
}

void kafka_topic_detach(struct kafka_topic *t)
{
    for (int32_t id = 0; id < t->partition_count; id++) {
        stop(t, id);
        if (t->partitions[id].state != PARTITION_UNPLACED && !t->partitions[id].trace.deciding)
            t->partitions[id].state = PARTITION_PLACED;
    }
    if (t->handle)
        rd_kafka_topic_destroy(t->handle);
    t->handle = NULL;
}

void kafka_topic_leave(struct kafka_topic *t)
{
    kafka_topic_detach(t);
    t->left = true;
    for (int32_t id = 0; id < t->partition_count; id++) {
        metric_set(t->partitions[id].lag, 0);
        kafka_trace_reset(&t->partitions[id].trace);
    }
}

void kafka_topic_take_up(struct kafka_topic *t, struct kafka_reader *r)
{
    t->left = false;
    t->known_since = clock_wall_ms();
    t->start_count = 0;
    t->trouble = t->fetch_trouble = RD_KAFKA_RESP_ERR_NO_ERROR;
    for (int32_t id = 0; id < t->partition_count; id++) {
        struct kafka_partition *p = &t->partitions[id];
        *p = (struct kafka_partition){.position = INT64_MAX, .start = -1, .lag = p->lag};
        kafka_trace_reset(&p->trace);
    }
    if (r->client)
        kafka_topic_attach(t, r);
}

void kafka_topic_halt(struct kafka_topic *t, int32_t id)
{
    stop(t, id);
    t->partitions[id].state = PARTITION_LOST;
}

void kafka_topic_tell(struct kafka_topic *t, struct kafka_reader *r, int32_t id)
{
    struct kafka_partition *p = &t->partitions[id];
    if (!p->told && r->hooks.placed)
        r->hooks.placed(r->owner, slice_of(t->name), id, p->position);
    p->told = true;
}

void kafka_topic_jump(
    struct kafka_topic *t, struct kafka_reader *r, int32_t id, int64_t to, enum kafka_jump why)
{
    static const char *const words[] = {"retention", "truncated", "made again"};
    struct kafka_partition *p = &t->partitions[id];
    int64_t from = p->position;
    stop(t, id);
    p->state = PARTITION_PLACED;
    p->position = to;
    p->beyond = false;
    t->check_at = 0;
    if (why != JUMP_RETENTION)
        kafka_trace_reset(&p->trace);
    log_warn("kafka", "going on elsewhere topic=%s partition=%d from=%" PRId64 " to=%" PRId64 ": %s", t->name,
        (int)id, from, to, words[why]);
    bool begins = !p->told && why == JUMP_RETENTION;
    if (begins)
        kafka_topic_tell(t, r, id);
    p->told = true;
    if (r->hooks.jump && !begins)
        r->hooks.jump(r->owner, slice_of(t->name), id, from, to, why);
}

/* --- what the brokers say --- */

static void begin(struct kafka_topic *t, int32_t id)
{
    struct kafka_partition *p = &t->partitions[id];
    p->start = -1;
    kafka_trace_reset(&p->trace);
    for (size_t i = 0; i < t->start_count; i++) {
        if (t->starts[i].partition != id)
            continue;
        p->start = t->starts[i].offset;
        kafka_trace_begin(&p->trace, &t->starts[i]);
    }
}

static void grow(struct kafka_topic *t, int32_t count)
{
    if (count <= t->partition_count)
        return;
    if (t->seen)
        log_info("kafka", "topic=%s partitions=%d were=%d", t->name, (int)count, (int)t->partition_count);
    t->partitions = xrealloc(t->partitions, (size_t)count * sizeof *t->partitions);
    for (int32_t id = t->partition_count; id < count; id++) {
        char label[300];
        (void)snprintf(label, sizeof label, "%s/%d", t->name, (int)id);
        t->partitions[id] = (struct kafka_partition){
            .from_beginning = t->seen || t->missing,
            .unproven = !t->seen && t->missing,
            .lag = metric_label(METRIC_LAG, label),
        };
        begin(t, id);
    }
    t->partition_count = count;
}

/* Readers of partitions that are gone do not always come to life when a topic is there again: they are
 * started anew. */
static void on_missing(struct kafka_topic *t)
{
    if (!t->missing)
        t->missing_at = clock_monotonic_ms();
    t->missing = true;
    for (int32_t id = 0; id < t->partition_count; id++) {
        if (t->partitions[id].state != PARTITION_READING)
            continue;
        stop(t, id); /* what comes back may be another one */
        t->partitions[id].state = PARTITION_PLACED;
    }
}

/* It was missing for a while: is it the one that was read? */
static void on_return(struct kafka_topic *t)
{
    kafka_trace_hurry(t);
    for (int32_t id = 0; id < t->partition_count; id++)
        t->partitions[id].trace.awaited |= t->partitions[id].trace.mark.offset >= 0;
}

static void note_leaders(struct kafka_topic *t, const struct rd_kafka_metadata_topic *m)
{
    bool *led = xcalloc((size_t)t->partition_count + 1, sizeof *led);
    for (int i = 0; i < m->partition_cnt; i++) {
        const struct rd_kafka_metadata_partition *p = &m->partitions[i];
        if (p->id >= 0 && p->id < t->partition_count)
            led[p->id] = p->leader >= 0;
    }
    for (int32_t id = 0; id < t->partition_count; id++) {
        struct kafka_partition *p = &t->partitions[id];
        if (p->led && !led[id])
            p->unled_at = clock_monotonic_ms();
        p->led = led[id];
    }
    free(led);
}

static void on_metadata(struct kafka_topic *t, const struct rd_kafka_metadata_topic *m)
{
    if (t->missing)
        on_return(t);
    grow(t, m->partition_cnt);
    t->live_count = m->partition_cnt;
    t->seen = true;
    t->missing = false;
    note_leaders(t, m);
}

static rd_kafka_resp_err_t refresh(struct kafka_topic *t, struct kafka_reader *r)
{
    const struct rd_kafka_metadata *metadata = NULL;
    rd_kafka_resp_err_t error = rd_kafka_metadata(r->client, 0, t->handle, &metadata, ANSWER_MS);
    if (error)
        return error;
    if (metadata->topic_cnt != 1)
        error = RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    else
        error = metadata->topics[0].err;
    if (!error)
        on_metadata(t, &metadata->topics[0]);
    else if (error == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
        on_missing(t);
    rd_kafka_metadata_destroy(metadata);
    return error;
}

static bool needs_watermarks(const struct kafka_partition *p)
{
    return p->led && (p->state == PARTITION_UNPLACED || p->state == PARTITION_LOST);
}

/* Asks for one end of all partitions that need it. */
static rd_kafka_resp_err_t ask_ends(
    const struct kafka_topic *t, struct kafka_reader *r, int64_t end, struct watermarks *out)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(t->partition_count);
    for (int32_t id = 0; id < t->partition_count; id++)
        if (needs_watermarks(&t->partitions[id]))
            rd_kafka_topic_partition_list_add(list, t->name, id)->offset = end;
    rd_kafka_resp_err_t error = rd_kafka_offsets_for_times(r->client, list, ANSWER_MS);
    for (int i = 0; i < list->cnt && !error; i++) {
        const rd_kafka_topic_partition_t *p = &list->elems[i];
        int64_t *offset = end == RD_KAFKA_OFFSET_BEGINNING ? &out[p->partition].low : &out[p->partition].high;
        *offset = p->err || p->offset < 0 ? -1 : p->offset;
    }
    rd_kafka_topic_partition_list_destroy(list);
    return error;
}

/* --- what follows from it --- */

/* Watermarks of a leader that has just changed may be old: the second answer is believed. */
static bool surely_beyond(struct kafka_partition *p)
{
    bool sure = p->beyond;
    p->beyond = !sure;
    return sure;
}

/* Truncated, or made again? What was read tells; a place to start at that nothing is known of is left alone.
 */
static void on_beyond(struct kafka_topic *t, int32_t id, struct kafka_reader *r, const struct watermarks *w)
{
    struct kafka_partition *p = &t->partitions[id];
    if (p->trace.mark.offset >= 0) {
        p->trace.deciding = true;
        p->trace.ask_at = 0;
    } else if (p->position == p->start) {
        kafka_topic_jump(t, r, id, w->high, JUMP_TRUNCATED);
    } else {
        kafka_topic_jump(t, r, id, w->low, JUMP_RECREATED);
    }
}

static void recover(struct kafka_topic *t, int32_t id, struct kafka_reader *r, const struct watermarks *w)
{
    struct kafka_partition *p = &t->partitions[id];
    if (p->trace.deciding)
        return; /* the answer to the trace's question is what counts */
    kafka_trace_retained(&p->trace, w->low);
    if (p->position < w->low) {
        kafka_topic_jump(t, r, id, w->low, JUMP_RETENTION);
    } else if (p->position <= w->high) { /* a replica that lagged, or one that was asked too early */
        p->beyond = false;
        p->state = PARTITION_PLACED;
    } else if (surely_beyond(p)) {
        on_beyond(t, id, r, w);
    }
}

static void place(struct kafka_topic *t, int32_t id, struct kafka_reader *r, const struct watermarks *w)
{
    struct kafka_partition *p = &t->partitions[id];
    bool started = p->start >= 0;
    p->head = w->high;
    p->position = started ? p->start : p->from_beginning ? w->low : w->high;
    p->state = started ? PARTITION_LOST : PARTITION_PLACED;
    if (!p->trace.awaited)
        kafka_topic_tell(t, r, id);
    if (started)
        recover(t, id, r, w);
}

static rd_kafka_resp_err_t locate(struct kafka_topic *t, struct kafka_reader *r)
{
    size_t needed = 0;
    for (int32_t id = 0; id < t->partition_count; id++)
        needed += needs_watermarks(&t->partitions[id]);
    if (needed == 0)
        return RD_KAFKA_RESP_ERR_NO_ERROR;
    struct watermarks *w = xcalloc((size_t)t->partition_count, sizeof *w);
    rd_kafka_resp_err_t error = ask_ends(t, r, RD_KAFKA_OFFSET_BEGINNING, w);
    if (!error)
        error = ask_ends(t, r, RD_KAFKA_OFFSET_END, w);
    for (int32_t id = 0; id < t->partition_count && !error; id++) {
        struct kafka_partition *p = &t->partitions[id];
        if (!needs_watermarks(p) || w[id].low < 0 || w[id].high < 0)
            continue;
        if (p->state == PARTITION_UNPLACED)
            place(t, id, r, &w[id]);
        else
            recover(t, id, r, &w[id]);
    }
    free(w);
    return error;
}

/* Starts what is placed. The answer is the reason why something is not being read, if any. */
static rd_kafka_resp_err_t start(struct kafka_topic *t, struct kafka_reader *r)
{
    rd_kafka_resp_err_t error = RD_KAFKA_RESP_ERR_NO_ERROR;
    for (int32_t id = 0; id < t->live_count; id++) {
        struct kafka_partition *p = &t->partitions[id];
        if (p->trace.awaited || p->trace.deciding)
            continue;
        if (p->state == PARTITION_PLACED) {
            stop(t, id);
            int64_t from = kafka_trace_begin_at(&p->trace, p->position);
            if (rd_kafka_consume_start_queue(t->handle, id, from, r->queue) == 0) {
                p->consuming = true;
                p->state = PARTITION_READING;
                log_debug(
                    "kafka", "reading topic=%s partition=%d offset=%" PRId64, t->name, (int)id, p->position);
            }
        }
        if (p->state != PARTITION_READING)
            error = p->led ? RD_KAFKA_RESP_ERR_OFFSET_NOT_AVAILABLE : RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE;
    }
    return error;
}

/* --- the check as a whole --- */

static bool unanswered(rd_kafka_resp_err_t error)
{
    return error == RD_KAFKA_RESP_ERR__TIMED_OUT || error == RD_KAFKA_RESP_ERR__TRANSPORT;
}

static const char *describe(rd_kafka_resp_err_t error)
{
    switch ((int)error) {
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
        return "does not exist";
    case RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE:
        return "has a partition without a leader";
    case RD_KAFKA_RESP_ERR_OFFSET_NOT_AVAILABLE:
        return "has a partition whose offsets are not known yet";
    default:
        return rd_kafka_err2str(error);
    }
}

static rd_kafka_resp_err_t trouble_of(const struct kafka_topic *t)
{
    return t->trouble ? t->trouble : t->fetch_trouble;
}

/* Tells a trouble once, and its end. Brokers that do not answer are the source's to tell. */
static void tell(const struct kafka_topic *t, rd_kafka_resp_err_t before)
{
    rd_kafka_resp_err_t now = trouble_of(t);
    if (now == before || unanswered(now))
        return;
    if (now)
        log_warn("kafka", "topic %s %s", t->name, describe(now));
    else if (!unanswered(before))
        log_info("kafka", "topic %s is read again", t->name);
}

static void schedule(struct kafka_topic *t, uint64_t now)
{
    uint64_t wait = REFRESH_MS;
    if (t->trouble) {
        unsigned doublings = t->failures < 8 ? t->failures : 8;
        wait = (uint64_t)RETRY_MIN_MS << doublings;
        wait = wait < RETRY_MAX_MS ? wait : RETRY_MAX_MS;
    }
    if (t->trouble == RD_KAFKA_RESP_ERR_OFFSET_NOT_AVAILABLE)
        wait = DOUBT_MS;
    t->failures = t->trouble ? t->failures + 1 : 0;
    t->check_at = now + wait;
}

bool kafka_topic_check(struct kafka_topic *t, struct kafka_reader *r, uint64_t now)
{
    rd_kafka_resp_err_t before = trouble_of(t);
    rd_kafka_resp_err_t error =
        t->handle ? refresh(t, r) : (rd_kafka_resp_err_t)RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    bool answered = !unanswered(error);
    if (!error) {
        error = locate(t, r);
        rd_kafka_resp_err_t started = start(t, r);
        error = error ? error : started;
    }
    if (now >= t->fetch_trouble_until)
        t->fetch_trouble = RD_KAFKA_RESP_ERR_NO_ERROR;
    t->trouble = error;
    tell(t, before);
    schedule(t, now);
    return answered;
}

/* --- records and errors --- */

/* The topic was missing when it was first asked for, so its records should all be new. Brokers that have just
   started say "missing" of any topic; then its first record is old, and what is there is not for today's
   clients. */
static bool proves_old(struct kafka_topic *t, struct kafka_partition *p, int64_t offset, int64_t time_ms)
{
    bool old = p->unproven && time_ms > 0 && time_ms + CLOCKS_APART_MS < t->known_since && offset < p->head;
    p->unproven = false;
    if (!old)
        return false;
    log_warn("kafka", "topic %s has old records although it was missing at first: reading starts at its end",
        t->name);
    p->position = p->head;
    p->state = PARTITION_PLACED;
    t->check_at = 0;
    return true;
}

/* What was fetched and not handed on yet is fetched again. */
static void break_off(struct kafka_topic *t, int32_t id)
{
    stop(t, id);
    t->partitions[id].state = PARTITION_PLACED;
}

bool kafka_topic_accept(struct kafka_topic *t, const rd_kafka_message_t *m, int64_t time_ms)
{
    CHECK(m->partition >= 0 && m->partition < t->partition_count);
    struct kafka_partition *p = &t->partitions[m->partition];
    if (p->state != PARTITION_READING)
        return false; /* fetched before it was known that this need not be the same log any more */
    if (!kafka_trace_fits(&p->trace, m)) {
        log_warn("kafka", "another record than before topic=%s partition=%d offset=%" PRId64, t->name,
            (int)m->partition, m->offset);
        break_off(t, m->partition);
        kafka_trace_doubt(t, m->partition);
        return false;
    }
    if (m->offset < p->position || proves_old(t, p, m->offset, time_ms))
        return false;
    if (t->fetch_trouble) {
        rd_kafka_resp_err_t before = trouble_of(t);
        t->fetch_trouble = RD_KAFKA_RESP_ERR_NO_ERROR;
        tell(t, before);
    }
    p->beyond = false;
    p->position = m->offset + 1;
    kafka_trace_record(&p->trace, m);
    metric_add(t->records, 1);
    return true;
}

void kafka_topic_on_error(struct kafka_topic *t, const rd_kafka_message_t *m, uint64_t now)
{
    struct kafka_partition *p =
        m->partition >= 0 && m->partition < t->partition_count ? &t->partitions[m->partition] : NULL;
    if (!p || p->state != PARTITION_READING)
        return;
    if (m->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET || m->err == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE) {
        /* An answer to a question of long ago, from before the partition was started anew, does no harm: the
           position will be found where it is. The second look at a position beyond the end takes its time. */
        p->state = PARTITION_LOST;
        t->check_at = now;
        return;
    }
    if (t->fetch_trouble != m->err) {
        log_warn("kafka", "fetch failed topic=%s partition=%d offset=%" PRId64 ": %s", t->name,
            (int)m->partition, m->offset, rd_kafka_message_errstr(m));
        t->fetch_trouble = m->err;
    }
    t->fetch_trouble_until = now + REPEAT_MS;
    kafka_trace_hurry(t);
    /* Some errors are reported once only; a partition that is started anew reports again, or works. */
    break_off(t, m->partition);
    if (t->check_at > now + ERROR_MS)
        t->check_at = now + ERROR_MS;
}

void kafka_topic_on_alarm(struct kafka_topic *t, int32_t id, uint64_t now)
{
    kafka_trace_hurry(t);
    for (int32_t i = id < 0 ? 0 : id; i < t->partition_count && (id < 0 || i == id); i++) {
        if (t->partitions[i].state != PARTITION_READING)
            continue;
        break_off(t, i);
        t->check_at = now;
    }
}

bool kafka_topic_ready(const struct kafka_topic *t, char *detail, size_t size)
{
    rd_kafka_resp_err_t trouble = trouble_of(t);
    if (trouble && !unanswered(trouble)) {
        (void)snprintf(detail, size, "topic %s %s", t->name, describe(trouble));
        return false;
    }
    for (int32_t id = 0; id < t->live_count; id++) {
        if (t->partitions[id].state != PARTITION_READING && !t->fetch_trouble) {
            (void)snprintf(detail, size, "topic %s: partition %d is not read yet", t->name, (int)id);
            return false;
        }
    }
    if (!t->seen)
        (void)snprintf(detail, size, "topic %s is being looked up", t->name);
    return t->seen;
}

bool kafka_topic_caught_up(const struct kafka_topic *t)
{
    for (int32_t id = 0; id < t->partition_count; id++)
        if (t->partitions[id].position < t->partitions[id].head)
            return false;
    return true;
}

bool kafka_topic_placed(const struct kafka_topic *t)
{
    for (int32_t id = 0; id < t->partition_count; id++)
        if (t->partitions[id].state == PARTITION_UNPLACED || !t->partitions[id].told)
            return false;
    return t->seen || t->missing;
}

void kafka_topic_measure_lag(struct kafka_topic *t, rd_kafka_t *client)
{
    for (int32_t id = 0; id < t->live_count; id++) {
        int64_t low = -1, high = -1;
        const struct kafka_partition *p = &t->partitions[id];
        if (p->state == PARTITION_READING &&
            !rd_kafka_get_watermark_offsets(client, t->name, id, &low, &high) && high >= 0)
            metric_set(p->lag, high > p->position ? high - p->position : 0);
    }
}
