/* The writing half, and the whole of it. Writes are kept in order until Kafka has them: a producer that is
   broken, or that cannot tell where a record went, is thrown away, and the next one begins with the oldest
   that is still kept. */
#include "kafka_checkpoints_internal.h"

#include "causeway/lock.h"
#include "causeway/log.h"
#include "causeway/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
    TURN_MS = 100,
    RETRY_MIN_MS = 100, /* between attempts to settle the topic, or producers */
    RETRY_MAX_MS = 2000,
    PROBE_MS = 1000, /* between questions to brokers that were away */
    ANSWER_MS = 1000,
    LATE_MS = 10000,
    DETAIL_BYTES = 400,
    CACHE_BYTES = 16 << 20,
};

struct writing {
    struct writing *next;
    uint64_t tag, since;
    size_t size;
    char value[];
};

struct kafka_checkpoints {
    struct checkpoint_topic topic;
    rd_kafka_conf_t *conf, *settling_conf;
    struct kafka_checkpoints_hooks hooks;
    void *owner;
    struct checkpoint_reader *reader;
    struct metric *written;

    /* the thread's */
    rd_kafka_t *settler; /* only while the topic is being settled */
    bool settled, wrong, reached;
    bool broken;     /* the producer is to be replaced */
    bool struggling; /* ... and nothing was acknowledged since */
    unsigned failures;
    uint64_t probe_at;
    char trouble[DETAIL_BYTES];

    pthread_t thread;
    atomic_bool stopping;

    struct lock lock;     /* what follows */
    rd_kafka_t *producer; /* made and destroyed by the thread */
    rd_kafka_topic_t *handle;
    struct writing *first, **end; /* not acknowledged */
    struct writing *unsent;       /* the first that the producer was not given */
    enum kafka_checkpoints_state state;
    char detail[DETAIL_BYTES];
};

/* --- writing --- */

/* Locked. librdkafka's queue being full is no trouble: the rest goes when there is room. */
static void send_unsent(struct kafka_checkpoints *c)
{
    while (c->producer && c->unsent) {
        struct writing *w = c->unsent;
        if (rd_kafka_produce(c->handle, 0, RD_KAFKA_MSG_F_COPY, w->value, w->size, NULL, 0, w) != 0)
            return;
        c->unsent = w->next;
    }
}

void kafka_checkpoints_write(struct kafka_checkpoints *c, struct slice value, uint64_t tag)
{
    struct writing *w = xcalloc(1, sizeof *w + value.size);
    w->tag = tag;
    w->since = clock_monotonic_ms();
    w->size = value.size;
    memcpy(w->value, value.data, value.size);
    lock_take(&c->lock);
    *c->end = w;
    c->end = &w->next;
    c->unsent = c->unsent ? c->unsent : w;
    send_unsent(c);
    lock_give(&c->lock);
}

/* The first that waits; false: it is another, which an idempotent producer does not do. */
static bool remove_first(struct kafka_checkpoints *c, const struct writing *w)
{
    lock_take(&c->lock);
    bool first = c->first == w;
    if (first)
        c->first = w->next;
    if (!c->first)
        c->end = &c->first;
    lock_give(&c->lock);
    return first;
}

static void on_delivered(rd_kafka_t *client, const rd_kafka_message_t *m, void *opaque)
{
    struct kafka_checkpoints *c = opaque;
    struct writing *w = m->_private;
    (void)client;
    /* No offset: a repeat of what Kafka had already. Behind a failure nothing counts, for the order's sake.
     */
    if (c->broken || m->err || m->offset < 0 || !remove_first(c, w)) {
        if (m->err && !c->broken)
            (void)snprintf(
                c->trouble, sizeof c->trouble, "topic %s: %s", c->topic.name, rd_kafka_err2str(m->err));
        c->broken = true;
        return;
    }
    c->reached = true;
    c->struggling = false;
    c->failures = 0;
    metric_add(c->written, 1);
    checkpoint_reader_learn(c->reader, m->offset, (struct slice){w->value, w->size});
    c->hooks.acknowledged(c->owner, w->tag, m->offset);
    free(w);
}

static void on_error(rd_kafka_t *client, int error, const char *reason, void *opaque)
{
    struct kafka_checkpoints *c = opaque;
    char text[256];
    if (error == RD_KAFKA_RESP_ERR__FATAL) {
        (void)rd_kafka_fatal_error(client, text, sizeof text);
        log_error("kafka", "writing checkpoints anew: %s", text);
        c->broken = true;
    } else if (error == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
        c->reached = false;
    } else {
        log_debug("kafka", "writing checkpoints: %s", reason);
    }
}

/* --- the producer --- */

static void open_producer(struct kafka_checkpoints *c)
{
    char text[256];
    rd_kafka_t *producer = kafka_client_create(RD_KAFKA_PRODUCER, c->conf, text, sizeof text);
    rd_kafka_topic_t *handle = producer ? rd_kafka_topic_new(producer, c->topic.name, NULL) : NULL;
    if (!handle) {
        (void)snprintf(c->trouble, sizeof c->trouble, "librdkafka does not start: %s",
            producer ? rd_kafka_err2str(rd_kafka_last_error()) : text);
        if (producer)
            rd_kafka_destroy(producer);
        c->broken = true;
        return;
    }
    lock_take(&c->lock);
    c->producer = producer;
    c->handle = handle;
    c->unsent = c->first;
    send_unsent(c);
    lock_give(&c->lock);
}

/* What it was given and has not delivered is kept by us. */
static void close_producer(struct kafka_checkpoints *c)
{
    lock_take(&c->lock);
    rd_kafka_t *producer = c->producer;
    rd_kafka_topic_t *handle = c->handle;
    c->producer = NULL;
    c->handle = NULL;
    lock_give(&c->lock);
    if (!producer)
        return;
    (void)rd_kafka_purge(producer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    rd_kafka_topic_destroy(handle);
    rd_kafka_destroy(producer);
}

/* --- the topic --- */

static bool open_settler(struct kafka_checkpoints *c)
{
    if (!c->settler)
        c->settler = kafka_client_create(RD_KAFKA_CONSUMER, c->settling_conf, c->trouble, sizeof c->trouble);
    return c->settler;
}

static void close_settler(struct kafka_checkpoints *c)
{
    if (c->settler)
        rd_kafka_destroy(c->settler);
    c->settler = NULL;
}

static void settle(struct kafka_checkpoints *c)
{
    if (!open_settler(c)) {
        c->failures++;
        return;
    }
    (void)rd_kafka_poll(c->settler, 0);
    char detail[DETAIL_BYTES];
    enum checkpoint_settling outcome =
        checkpoint_topic_settle(&c->topic, c->settler, &c->stopping, detail, sizeof detail);
    c->settled = outcome == SETTLING_DONE;
    c->reached = c->settled;
    c->wrong = outcome == SETTLING_WRONG;
    c->failures = outcome == SETTLING_AGAIN || c->struggling ? c->failures + 1 : 0;
    if (!c->settled && strcmp(c->trouble, detail) != 0 && !atomic_load(&c->stopping))
        log_write(c->wrong ? LOG_ERROR : LOG_WARN, "kafka", "checkpoints: %s", detail);
    if (!c->settled)
        memcpy(c->trouble, detail, sizeof detail);
    if (outcome != SETTLING_AGAIN)
        close_settler(c);
}

/* --- what others see --- */

static enum kafka_checkpoints_state judge(struct kafka_checkpoints *c, char *detail, size_t size)
{
    lock_take(&c->lock);
    uint64_t oldest = c->first ? c->first->since : 0;
    lock_give(&c->lock);
    uint64_t late = oldest ? clock_monotonic_ms() - oldest : 0;
    bool ready = false;
    if (c->wrong || !c->settled || (c->struggling && oldest))
        (void)snprintf(detail, size, "%s", *c->trouble ? c->trouble : "connecting");
    else if (!c->reached)
        (void)snprintf(detail, size, "no broker reachable");
    else if (late > LATE_MS)
        (void)snprintf(detail, size, "checkpoints are not acknowledged for %d s", (int)(late / 1000));
    else
        ready = snprintf(detail, size, "topic %s", c->topic.name) > 0;
    return c->wrong ? CHECKPOINTS_WRONG : ready ? CHECKPOINTS_READY : CHECKPOINTS_WAITING;
}

static void report(struct kafka_checkpoints *c)
{
    char detail[DETAIL_BYTES];
    enum kafka_checkpoints_state state = judge(c, detail, sizeof detail);
    if (state != c->state)
        log_info("kafka", "checkpoints %s: %s", state == CHECKPOINTS_READY ? "ready" : "not ready", detail);
    lock_take(&c->lock);
    c->state = state;
    memcpy(c->detail, detail, sizeof detail);
    lock_give(&c->lock);
}

enum kafka_checkpoints_state kafka_checkpoints_state(struct kafka_checkpoints *c, char *detail, size_t size)
{
    lock_take(&c->lock);
    enum kafka_checkpoints_state state = c->state;
    (void)snprintf(detail, size, "%s", c->detail);
    lock_give(&c->lock);
    return state;
}

bool kafka_checkpoints_ready(struct kafka_checkpoints *c, char *detail, size_t size)
{
    return kafka_checkpoints_state(c, detail, size) == CHECKPOINTS_READY;
}

void kafka_checkpoints_read(
    struct kafka_checkpoints *c, int64_t offset, kafka_checkpoint_answer answer, void *context)
{
    checkpoint_reader_ask(c->reader, offset < 0 ? -1 : offset, answer, context);
}

void kafka_checkpoints_last(struct kafka_checkpoints *c, kafka_checkpoint_answer answer, void *context)
{
    checkpoint_reader_ask(c->reader, CHECKPOINT_LAST, answer, context);
}

/* --- the thread --- */

static void pause_before_retry(const struct kafka_checkpoints *c)
{
    unsigned doublings = c->failures < 6 ? c->failures : 6;
    long wait = (long)RETRY_MIN_MS << doublings;
    wait = wait < RETRY_MAX_MS ? wait : RETRY_MAX_MS;
    struct timespec step = {.tv_nsec = 50000000};
    for (long waited = 0; waited < wait && !atomic_load(&c->stopping); waited += 50)
        (void)nanosleep(&step, NULL);
}

/* A producer that has nothing to send does not notice that brokers are back. */
static void look_for_brokers(struct kafka_checkpoints *c)
{
    uint64_t now = clock_monotonic_ms();
    if (c->reached || now < c->probe_at)
        return;
    c->probe_at = now + PROBE_MS;
    const struct rd_kafka_metadata *metadata = NULL;
    c->reached = !rd_kafka_metadata(c->producer, 0, c->handle, &metadata, ANSWER_MS);
    if (metadata)
        rd_kafka_metadata_destroy(metadata);
}

static void serve_producer(struct kafka_checkpoints *c)
{
    (void)rd_kafka_poll(c->producer, TURN_MS);
    look_for_brokers(c);
    lock_take(&c->lock);
    send_unsent(c);
    lock_give(&c->lock);
}

/* Again from the topic on, which may be gone. */
static void start_over(struct kafka_checkpoints *c)
{
    log_warn("kafka", "checkpoints are written anew: %s", *c->trouble ? c->trouble : "librdkafka lost track");
    close_producer(c);
    c->broken = false;
    c->settled = false;
    c->struggling = true;
}

static void turn(struct kafka_checkpoints *c)
{
    if (!c->settled && !c->wrong)
        settle(c);
    if (c->settled && !c->producer)
        open_producer(c);
    if (c->producer)
        serve_producer(c);
    report(c);
    if (c->broken)
        start_over(c);
    if (!c->producer)
        pause_before_retry(c);
}

static void *run(void *argument)
{
    struct kafka_checkpoints *c = argument;
    while (!atomic_load(&c->stopping))
        turn(c);
    close_settler(c);
    close_producer(c);
    return NULL;
}

/* --- life --- */

static void copy_topics(struct checkpoint_topic *t, const struct kafka_checkpoints_settings *how)
{
    t->name = xstrdup(how->topic);
    t->lenient = how->lenient;
    t->event_topics = xcalloc(how->event_topic_count + 1, sizeof *t->event_topics);
    for (size_t i = 0; i < how->event_topic_count; i++) {
        struct slice name = how->event_topics[i];
        bool known = slice_is(name, t->name);
        for (size_t k = 0; k < t->event_topic_count; k++)
            known |= slice_is(name, t->event_topics[k]);
        if (!known)
            t->event_topics[t->event_topic_count++] = xstrndup(name.data, name.size);
    }
}

static rd_kafka_conf_t *make_conf(
    rd_kafka_type_t type, const struct kafka_settings *settings, struct kafka_checkpoints *c)
{
    char fault[512];
    rd_kafka_conf_t *conf = kafka_conf_create(type, settings, fault, sizeof fault);
    CHECK(conf);
    if (type == RD_KAFKA_PRODUCER) {
        kafka_conf_force(conf, "message.timeout.ms", "0"); /* for ever */
        kafka_conf_force(conf, "retries", "2147483647");
        rd_kafka_conf_set_opaque(conf, c);
        rd_kafka_conf_set_error_cb(conf, on_error);
        rd_kafka_conf_set_dr_msg_cb(conf, on_delivered);
    }
    return conf;
}

struct kafka_checkpoints *kafka_checkpoints_create(const struct kafka_settings *settings,
    const struct kafka_checkpoints_settings *how, const struct kafka_checkpoints_hooks *hooks, void *owner)
{
    CHECK(hooks->acknowledged && how->topic);
    struct kafka_checkpoints *c = xcalloc(1, sizeof *c);
    copy_topics(&c->topic, how);
    c->conf = make_conf(RD_KAFKA_PRODUCER, settings, c);
    c->settling_conf = make_conf(RD_KAFKA_CONSUMER, settings, c);
    c->hooks = *hooks;
    c->owner = owner;
    c->end = &c->first;
    c->written = metric_get(METRIC_CHECKPOINTS);
    (void)snprintf(c->detail, sizeof c->detail, "connecting");
    lock_init(&c->lock);
    c->reader =
        checkpoint_reader_create(settings, how->topic, how->cache_bytes ? how->cache_bytes : CACHE_BYTES);
    kafka_thread_start(&c->thread, run, c, "checkpoints-out");
    return c;
}

void kafka_checkpoints_destroy(struct kafka_checkpoints *c)
{
    if (!c)
        return;
    atomic_store(&c->stopping, true);
    (void)pthread_join(c->thread, NULL);
    checkpoint_reader_destroy(c->reader);
    while (c->first) {
        struct writing *w = c->first;
        c->first = w->next;
        free(w);
    }
    rd_kafka_conf_destroy(c->conf);
    rd_kafka_conf_destroy(c->settling_conf);
    for (size_t i = 0; i < c->topic.event_topic_count; i++)
        free(c->topic.event_topics[i]);
    free(c->topic.event_topics);
    free(c->topic.name);
    lock_finish(&c->lock);
    free(c);
}
