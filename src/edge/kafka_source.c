#include "kafka_internal.h"

#include "causeway/lock.h"
#include "causeway/log.h"
#include "causeway/memory.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
    IDLE_WAIT_MS = 100,
    REPORT_MS = 100,
    LAG_MS = 2000,
    UNANSWERED_MAX = 2,     /* questions in a row, then the brokers count as away */
    RENEW_AFTER_MS = 60000, /* without a broker: some broken states of a handle do not heal by themselves */
    CLIENT_RETRY_MS = 1000,
    DETAIL_BYTES = 400,
    QUIET_MS = 2000,
    CLOSED_WAIT_NS = 2000000,
    STILL_MS = 3000, /* since the last turn: the process stood still, and fetched nothing meanwhile */
};

struct kafka_source {
    struct kafka_alarm alarm; /* first: it is librdkafka's opaque */
    struct kafka_reader reader;
    struct kafka_probe *probe;
    rd_kafka_conf_t *conf;
    struct kafka_topic **topics, **left; /* those that are read, and those that were */
    size_t topic_count, left_count;
    size_t batch_max;
    size_t next_topic; /* whose turn to be checked it is */
    struct record record;

    bool reached; /* a broker answers */
    bool settled; /* it was once, for every topic, from where it is read */
    unsigned unanswered;
    rd_kafka_resp_err_t told; /* the connection trouble that was told; 0: none */
    uint64_t away_since;
    uint64_t report_at, lag_at;
    uint64_t last_record_at; /* or when the thread began */
    uint64_t turn_at;        /* of the last turn */
    struct metric *up;

    pthread_t thread;
    atomic_bool stopping;
    atomic_bool renewing;
    atomic_bool looking;
    atomic_bool placed;
    _Atomic uint64_t verify_asked, verify_done, verify_read; /* numbers of rounds */
    uint64_t verify_round;                                   /* under way when above what is done */
    uint64_t verify_since;

    struct lock lock; /* what follows */
    bool ready;
    char detail[DETAIL_BYTES];
};

/* --- is there a broker? --- */

static void hurry_traces(struct kafka_source *s)
{
    for (size_t i = 0; i < s->topic_count; i++)
        kafka_trace_hurry(s->topics[i]);
}

static void set_reached(struct kafka_source *s, bool reached)
{
    s->unanswered = 0;
    if (s->reached == reached)
        return;
    if (!reached)
        hurry_traces(s); /* who comes back need not be who went */
    s->reached = reached;
    s->away_since = clock_monotonic_ms();
    s->report_at = 0;
    if (reached) {
        log_info("kafka", "brokers answer");
        s->told = RD_KAFKA_RESP_ERR_NO_ERROR;
    } else {
        log_warn("kafka", "no broker reachable; positions are kept");
        if (s->topic_count > 0) /* its check is what notices that they are back */
            s->topics[0]->check_at = 0;
    }
}

static void on_answer(struct kafka_source *s, bool answered)
{
    if (answered)
        set_reached(s, true);
    else if (++s->unanswered >= UNANSWERED_MAX)
        set_reached(s, false);
}

/* librdkafka mends its connections itself; only a fatal error asks for a new handle. */
static void on_error(rd_kafka_t *client, int error, const char *reason, void *opaque)
{
    struct kafka_source *s = opaque;
    if (error == RD_KAFKA_RESP_ERR__FATAL) {
        char text[256];
        (void)rd_kafka_fatal_error(client, text, sizeof text);
        log_error("kafka", "librdkafka gave up, starting it anew: %s", text);
        atomic_store(&s->renewing, true);
    } else if (error == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
        set_reached(s, false);
    } else if (error == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ||
               error == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC || error == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION) {
        for (size_t i = 0; i < s->topic_count; i++)
            if (s->topics[i]->seen && !s->topics[i]->missing)
                s->topics[i]->check_at = 0;
    } else if (s->told != (rd_kafka_resp_err_t)error) {
        hurry_traces(s);
        s->told = (rd_kafka_resp_err_t)error;
        log_warn("kafka", "%s", reason);
    }
}

/* --- the handle of librdkafka --- */

static bool open_client(struct kafka_source *s)
{
    char text[512];
    s->reader.client = kafka_client_create(RD_KAFKA_CONSUMER, s->conf, text, sizeof text);
    if (!s->reader.client) {
        if (s->told != RD_KAFKA_RESP_ERR__INVALID_ARG)
            log_error("kafka", "librdkafka does not start: %s", text);
        set_reached(s, false);
        s->told = RD_KAFKA_RESP_ERR__INVALID_ARG;
        return false;
    }
    s->reader.queue = rd_kafka_queue_new(s->reader.client);
    s->away_since = clock_monotonic_ms();
    for (size_t i = 0; i < s->topic_count; i++)
        kafka_topic_attach(s->topics[i], &s->reader);
    return true;
}

static void close_client(struct kafka_source *s)
{
    if (!s->reader.client)
        return;
    for (size_t i = 0; i < s->topic_count; i++)
        kafka_topic_detach(s->topics[i]);
    rd_kafka_queue_destroy(s->reader.queue);
    rd_kafka_destroy(s->reader.client);
    s->reader.client = NULL;
    s->reader.queue = NULL;
}

static void renew_client_when_due(struct kafka_source *s)
{
    bool hopeless = !s->reached && clock_monotonic_ms() - s->away_since > RENEW_AFTER_MS;
    if (!atomic_exchange(&s->renewing, false) && !hopeless)
        return;
    close_client(s);
    (void)open_client(s);
}

/* --- reading --- */

static void answer_alarm(struct kafka_source *s)
{
    struct kafka_call call;
    uint64_t now = clock_monotonic_ms();
    while (kafka_alarm_take(&s->alarm, &call))
        for (size_t i = 0; i < s->topic_count; i++)
            if (call.partition < 0 || strcmp(call.topic, s->topics[i]->name) == 0)
                kafka_topic_on_alarm(s->topics[i], call.partition, now);
}

static void notice_standstill(struct kafka_source *s)
{
    uint64_t now = clock_monotonic_ms();
    for (size_t i = 0; i < s->topic_count && s->turn_at && now - s->turn_at > STILL_MS; i++)
        kafka_topic_on_alarm(s->topics[i], -1, now);
    s->turn_at = now;
}

static bool hand_on(struct kafka_source *s, struct kafka_topic *t, const rd_kafka_message_t *m)
{
    if (t->left || !kafka_topic_accept(t, m, kafka_message_time(m)))
        return false;
    kafka_message_record(m, slice_of(t->name), &s->record);
    s->reader.hooks.record(s->reader.owner, &s->record);
    return true;
}

/* true: it was a record, and was handed on. */
static bool take(struct kafka_source *s, rd_kafka_message_t *m)
{
    struct kafka_topic *t = m->rkt ? rd_kafka_topic_opaque(m->rkt) : NULL;
    if (kafka_alarm_rung(&s->alarm))
        answer_alarm(s);
    if (!m->err) {
        CHECK(t); /* every handle was made by kafka_topic_attach */
        set_reached(s, true);
        s->last_record_at = clock_monotonic_ms();
        return hand_on(s, t, m);
    }
    if (t && !t->left)
        kafka_topic_on_error(t, m, clock_monotonic_ms());
    else if (!t)
        on_error(s->reader.client, m->err, rd_kafka_message_errstr(m), s);
    return false;
}

/* One by one: the batch calls of librdkafka lose messages around pauses and restarts. */
static void read_batch(struct kafka_source *s, int wait_ms)
{
    size_t taken = 0;
    bool any = false;
    rd_kafka_message_t *m = rd_kafka_consume_queue(s->reader.queue, wait_ms);
    while (m) {
        any |= take(s, m);
        rd_kafka_message_destroy(m);
        m = ++taken < s->batch_max ? rd_kafka_consume_queue(s->reader.queue, 0) : NULL;
    }
    if (any)
        s->reader.hooks.batch_done(s->reader.owner);
}

static bool may_read(struct kafka_source *s)
{
    bool (*asked)(void *, bool) = s->reader.hooks.may_read;
    for (size_t i = 0; asked && !s->settled; i++) {
        s->settled = i == s->topic_count;
        if (!s->settled && !kafka_topic_placed(s->topics[i]))
            break;
    }
    if (!asked || asked(s->reader.owner, s->settled))
        return true;
    s->last_record_at = clock_monotonic_ms(); /* it is not Kafka that is quiet */
    (void)nanosleep(&(struct timespec){.tv_nsec = CLOSED_WAIT_NS}, NULL);
    return false;
}

/* At most one topic per turn, so that records do not wait for more than one question. true: another one is
 * due. */
static bool check_next_topic(struct kafka_source *s)
{
    uint64_t now = clock_monotonic_ms();
    bool looking = atomic_exchange(&s->looking, false);
    for (size_t i = 0; i < s->topic_count && looking; i++)
        s->topics[i]->check_at = 0;
    for (size_t i = 0; i < s->topic_count; i++) {
        size_t index = (s->next_topic + i) % s->topic_count;
        struct kafka_topic *t = s->topics[index];
        if (t->check_at > now)
            continue;
        s->next_topic = index + 1;
        on_answer(s, kafka_topic_check(t, &s->reader, now));
        return true;
    }
    return false;
}

static bool read_out(const struct kafka_source *s)
{
    for (size_t i = 0; i < s->topic_count; i++)
        if (!kafka_trace_read_out(s->topics[i]))
            return false;
    return true;
}

static void follow_verification(struct kafka_source *s)
{
    uint64_t done = atomic_load(&s->verify_done), asked = atomic_load(&s->verify_asked);
    if (atomic_load(&s->verify_read) < done && read_out(s))
        atomic_store(&s->verify_read, done);
    if (s->verify_round == done && asked > done) {
        s->verify_round = asked;
        s->verify_since = clock_monotonic_ms();
        hurry_traces(s);
    }
    if (s->verify_round == done)
        return;
    for (size_t i = 0; i < s->topic_count; i++)
        if (!kafka_trace_verified(s->topics[i], s->verify_since))
            return;
    atomic_store(&s->verify_done, s->verify_round);
}

uint64_t kafka_source_verify(struct kafka_source *s)
{
    return atomic_fetch_add(&s->verify_asked, 1) + 1;
}

bool kafka_source_verified(struct kafka_source *s, uint64_t ask)
{
    return atomic_load(&s->verify_done) >= ask;
}

bool kafka_source_read_out(struct kafka_source *s, uint64_t ask)
{
    return atomic_load(&s->verify_read) >= ask;
}

static void follow_traces(struct kafka_source *s)
{
    follow_verification(s);
    struct kafka_probe_answer answer;
    while (kafka_probe_take(s->probe, &answer))
        if (!((struct kafka_topic *)answer.context)->left)
            kafka_trace_answer(&s->reader, &answer);
    for (size_t i = 0; i < s->topic_count; i++)
        kafka_trace_ask(s->topics[i], s->probe);
}

/* --- what others see --- */

static bool judge(const struct kafka_source *s, char *detail, size_t size)
{
    int partitions = 0;
    if (!s->reached) {
        (void)snprintf(detail, size, "no broker reachable%s",
            s->told == RD_KAFKA_RESP_ERR__AUTHENTICATION ? ": authentication failed"
            : s->told == RD_KAFKA_RESP_ERR__SSL          ? ": TLS failed"
                                                         : "");
        return false;
    }
    for (size_t i = 0; i < s->topic_count; i++) {
        if (!kafka_topic_ready(s->topics[i], detail, size))
            return false;
        partitions += s->topics[i]->live_count;
    }
    (void)snprintf(detail, size, "%zu topic%s, %d partition%s", s->topic_count,
        s->topic_count == 1 ? "" : "s", partitions, partitions == 1 ? "" : "s");
    return true;
}

/* What is read from an earlier place on is not news: that begins when the heads of the start have been
 * reached, or nothing comes any more. */
static bool all_placed(const struct kafka_source *s)
{
    bool caught_up = true;
    for (size_t i = 0; i < s->topic_count; i++) {
        if (!kafka_topic_placed(s->topics[i]))
            return false;
        caught_up = caught_up && kafka_topic_caught_up(s->topics[i]);
    }
    return caught_up || clock_monotonic_ms() - s->last_record_at > QUIET_MS;
}

static void report(struct kafka_source *s)
{
    uint64_t now = clock_monotonic_ms();
    if (now < s->report_at)
        return;
    s->report_at = now + REPORT_MS;
    char detail[DETAIL_BYTES];
    bool ready = judge(s, detail, sizeof detail);
    if (ready != s->ready)
        log_info("kafka", "%s: %s", ready ? "ready" : "not ready", detail);
    lock_take(&s->lock);
    s->ready = ready;
    memcpy(s->detail, detail, sizeof detail);
    lock_give(&s->lock);
    if (s->up)
        metric_set(s->up, ready);
    if (!atomic_load(&s->placed))
        atomic_store(&s->placed, all_placed(s));
    if (now < s->lag_at || !s->reader.client)
        return;
    s->lag_at = now + LAG_MS;
    for (size_t i = 0; i < s->topic_count; i++)
        kafka_topic_measure_lag(s->topics[i], s->reader.client);
}

bool kafka_source_ready(struct kafka_source *s, char *detail, size_t size)
{
    lock_take(&s->lock);
    bool ready = s->ready;
    (void)snprintf(detail, size, "%s", s->detail);
    lock_give(&s->lock);
    return ready;
}

bool kafka_source_placed(struct kafka_source *s)
{
    return atomic_load(&s->placed);
}

void kafka_source_look(struct kafka_source *s)
{
    atomic_store(&s->looking, true);
}

void kafka_source_renew(struct kafka_source *s)
{
    atomic_store(&s->renewing, true);
}

/* --- life --- */

static void pause_before_retry(const struct kafka_source *s)
{
    struct timespec step = {.tv_nsec = 50000000};
    for (int waited = 0; waited < CLIENT_RETRY_MS && !atomic_load(&s->stopping); waited += 50)
        (void)nanosleep(&step, NULL);
}

static void *run(void *argument)
{
    struct kafka_source *s = argument;
    while (!atomic_load(&s->stopping)) {
        if (!s->reader.client && !open_client(s)) {
            report(s);
            pause_before_retry(s);
            continue;
        }
        (void)rd_kafka_poll(s->reader.client, 0);
        notice_standstill(s);
        if (kafka_alarm_rung(&s->alarm))
            answer_alarm(s);
        renew_client_when_due(s);
        if (!s->reader.client)
            continue;
        report(s); /* before anything that may wait for an answer */
        bool busy = check_next_topic(s);
        follow_traces(s);
        if (may_read(s))
            read_batch(s, busy ? 0 : IDLE_WAIT_MS);
        if (s->reader.hooks.turn)
            s->reader.hooks.turn(s->reader.owner);
    }
    close_client(s);
    return NULL;
}

static size_t find_topic(struct kafka_topic *const *topics, size_t count, struct slice name)
{
    size_t i = 0;
    while (i < count && !slice_is(name, topics[i]->name))
        i++;
    return i;
}

static void append_topic(struct kafka_topic ***topics, size_t *count, struct kafka_topic *t)
{
    *topics = xrealloc(*topics, (*count + 1) * sizeof(struct kafka_topic *));
    (*topics)[(*count)++] = t;
}

static void add_topic(
    struct kafka_source *s, struct slice name, const struct kafka_source_start *starts, size_t start_count)
{
    if (find_topic(s->topics, s->topic_count, name) == s->topic_count)
        append_topic(&s->topics, &s->topic_count, kafka_topic_create(name, starts, start_count));
}

/* One that was left is taken up again: librdkafka may still know it by its address. */
static void take_up(struct kafka_source *s, struct slice name)
{
    if (find_topic(s->topics, s->topic_count, name) < s->topic_count)
        return;
    size_t at = find_topic(s->left, s->left_count, name);
    if (at < s->left_count) {
        append_topic(&s->topics, &s->topic_count, s->left[at]);
        s->left[at] = s->left[--s->left_count];
    } else {
        add_topic(s, name, NULL, 0);
    }
    kafka_topic_take_up(s->topics[s->topic_count - 1], &s->reader);
}

static bool is_among(const struct kafka_topic *t, const struct slice *names, size_t count)
{
    size_t i = 0;
    while (i < count && !slice_is(names[i], t->name))
        i++;
    return i < count;
}

void kafka_source_set_topics(struct kafka_source *s, const struct slice *topics, size_t count)
{
    for (size_t i = 0; i < s->topic_count;) {
        struct kafka_topic *t = s->topics[i];
        if (is_among(t, topics, count)) {
            i++;
            continue;
        }
        kafka_topic_leave(t);
        append_topic(&s->left, &s->left_count, t);
        s->topics[i] = s->topics[--s->topic_count];
    }
    for (size_t i = 0; i < count; i++)
        take_up(s, topics[i]);
    s->report_at = 0;
}

struct kafka_source *kafka_source_create(const struct kafka_settings *settings, const struct slice *topics,
    size_t topic_count, const struct kafka_source_start *starts, size_t start_count, size_t batch_max,
    const struct kafka_source_hooks *hooks, void *owner)
{
    char fault[512];
    CHECK(batch_max > 0 && hooks->record && hooks->batch_done);
    struct kafka_source *s = xcalloc(1, sizeof *s);
    s->conf = kafka_conf_create(RD_KAFKA_CONSUMER, settings, fault, sizeof fault);
    CHECK(s->conf);
    kafka_alarm_init(&s->alarm, s->conf);
    rd_kafka_conf_set_error_cb(s->conf, on_error);
    s->reader.hooks = *hooks;
    s->reader.owner = owner;
    s->batch_max = batch_max;
    for (size_t i = 0; i < topic_count; i++)
        add_topic(s, topics[i], starts, start_count);
    s->probe = kafka_probe_create(settings);
    s->up = hooks->aside ? NULL : metric_get(METRIC_KAFKA_UP);
    if (s->up)
        metric_set(s->up, 0);
    lock_init(&s->lock);
    (void)snprintf(s->detail, sizeof s->detail, "connecting");
    kafka_thread_start(&s->thread, run, s, "kafka");
    return s;
}

void kafka_source_stop(struct kafka_source *s)
{
    if (s && !atomic_exchange(&s->stopping, true))
        (void)pthread_join(s->thread, NULL);
}

void kafka_source_destroy(struct kafka_source *s)
{
    if (!s)
        return;
    kafka_source_stop(s);
    kafka_probe_destroy(s->probe);
    for (size_t i = 0; i < s->topic_count; i++)
        kafka_topic_destroy(s->topics[i]);
    for (size_t i = 0; i < s->left_count; i++)
        kafka_topic_destroy(s->left[i]);
    free(s->left);
    free(s->topics);
    rd_kafka_conf_destroy(s->conf);
    kafka_alarm_finish(&s->alarm);
    lock_finish(&s->lock);
    free(s);
}
