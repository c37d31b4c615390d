/* Looks, on a thread and over connections of its own, whether records are still where they were: librdkafka
   does not notice a topic that was made again, nor one whose end was lost and written anew. */
#include "kafka_internal.h"

#include "causeway/lock.h"
#include "causeway/log.h"
#include "causeway/memory.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

enum {
    ANSWER_MS = 1000,
    SILENCE_MS = 1500, /* of a fetch */
    SLICE_MS = 100,
    DOUBT_MS = 1000,   /* before an end that is too early is believed */
    FAILURES_MAX = 30, /* then the handle is made anew */
};

struct inquiry {
    struct inquiry *next;
    struct kafka_probe_answer answer; /* begins as the question */
    const char *topic;
    bool open;
};

struct kafka_probe {
    rd_kafka_conf_t *conf;
    rd_kafka_t *client; /* NULL: none at the moment */
    unsigned failures;  /* rounds in a row */
    pthread_t thread;
    atomic_bool stopping;

    struct lock lock; /* what follows */
    pthread_cond_t asked;
    struct inquiry *questions, **last_question;
    struct inquiry *answers, **last_answer;
};

/* One round: what was asked together. */
struct round {
    struct kafka_probe *probe;
    struct inquiry *inquiries;
    size_t open_count;
    rd_kafka_queue_t *queue;
};

static void settle(struct round *o, struct inquiry *i, enum kafka_probe_verdict verdict)
{
    o->open_count -= i->open;
    i->open = false;
    i->answer.verdict = verdict;
}

/* --- between which offsets is there anything? --- */

static bool ask_ends(struct round *o)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(8);
    for (struct inquiry *i = o->inquiries; i; i = i->next)
        if (i->open)
            rd_kafka_topic_partition_list_add(list, i->topic, i->answer.partition);
    struct kafka_ends *ends = xcalloc((size_t)list->cnt + 1, sizeof *ends);
    rd_kafka_resp_err_t error = kafka_ends_ask(o->probe->client, list, ANSWER_MS, ends);
    size_t n = 0;
    for (struct inquiry *i = o->inquiries; i && !error; i = i->next) {
        if (!i->open)
            continue;
        i->answer.low = ends[n].low;
        i->answer.high = ends[n].high;
        n++;
        if (i->answer.low < 0 || i->answer.high < 0)
            settle(o, i, PROBE_UNANSWERED);
        else if (i->answer.anchor.offset < i->answer.low)
            settle(o, i, PROBE_RETAINED);
    }
    rd_kafka_topic_partition_list_destroy(list);
    free(ends);
    return !error;
}

static bool any_beyond(const struct round *o)
{
    for (const struct inquiry *i = o->inquiries; i; i = i->next)
        if (i->open && i->answer.anchor.offset >= i->answer.high)
            return true;
    return false;
}

static void doze(const struct kafka_probe *p, int ms)
{
    struct timespec step = {.tv_nsec = 50000000};
    for (int dozed = 0; dozed < ms && !atomic_load(&p->stopping); dozed += 50)
        (void)nanosleep(&step, NULL);
}

/* What lies beyond the end is looked at twice, since a leader that has just changed may not know all of it.
 */
static bool compare_ends(struct round *o)
{
    if (!ask_ends(o))
        return false;
    if (!any_beyond(o))
        return true;
    doze(o->probe, DOUBT_MS);
    if (!ask_ends(o))
        return false;
    for (struct inquiry *i = o->inquiries; i; i = i->next)
        if (i->open && i->answer.anchor.offset >= i->answer.high)
            settle(o, i, PROBE_OTHER);
    return true;
}

/* --- the records themselves --- */

/* A record that took the place of one that was compacted is not older. */
static enum kafka_probe_verdict compare(const struct anchor *known, const rd_kafka_message_t *m)
{
    struct anchor found = kafka_message_anchor(m);
    bool same = found.offset == known->offset ? found.time_ms == known->time_ms && found.hash == known->hash
                                              : found.time_ms >= known->time_ms;
    return same ? PROBE_SAME : PROBE_OTHER;
}

static struct inquiry *inquiry_of(const struct round *o, const rd_kafka_message_t *m)
{
    if (!m->rkt)
        return NULL;
    for (struct inquiry *i = o->inquiries; i; i = i->next)
        if (i->open && i->answer.partition == m->partition &&
            strcmp(i->topic, rd_kafka_topic_name(m->rkt)) == 0)
            return i;
    return NULL;
}

static void take(struct round *o, const rd_kafka_message_t *m)
{
    struct inquiry *i = inquiry_of(o, m);
    if (!i || (!m->err && m->offset < i->answer.anchor.offset))
        return;
    settle(o, i, m->err ? PROBE_UNANSWERED : compare(&i->answer.anchor, m));
    (void)rd_kafka_consume_stop(m->rkt, m->partition);
}

static void fetch(struct round *o)
{
    uint64_t heard = clock_monotonic_ms();
    while (
        o->open_count > 0 && clock_monotonic_ms() - heard < SILENCE_MS && !atomic_load(&o->probe->stopping)) {
        rd_kafka_message_t *m = rd_kafka_consume_queue(o->queue, SLICE_MS);
        if (!m)
            continue;
        take(o, m);
        heard = clock_monotonic_ms();
        rd_kafka_message_destroy(m);
    }
}

static void compare_records(struct round *o)
{
    o->queue = rd_kafka_queue_new(o->probe->client);
    for (struct inquiry *i = o->inquiries; i; i = i->next) {
        if (!i->open)
            continue;
        rd_kafka_topic_t *handle = rd_kafka_topic_new(o->probe->client, i->topic, NULL);
        if (!handle ||
            rd_kafka_consume_start_queue(handle, i->answer.partition, i->answer.anchor.offset, o->queue))
            settle(o, i, PROBE_UNANSWERED);
        if (handle)
            rd_kafka_topic_destroy(handle); /* librdkafka keeps what it reads */
    }
    fetch(o);
    for (struct inquiry *i = o->inquiries; i; i = i->next) {
        rd_kafka_topic_t *handle = i->open ? rd_kafka_topic_new(o->probe->client, i->topic, NULL) : NULL;
        if (!handle)
            continue;
        (void)rd_kafka_consume_stop(handle, i->answer.partition);
        rd_kafka_topic_destroy(handle);
    }
    rd_kafka_queue_destroy(o->queue);
}

/* --- rounds --- */

static bool open_client(struct kafka_probe *p)
{
    char text[512];
    if (!p->client)
        p->client = kafka_client_create(RD_KAFKA_CONSUMER, p->conf, text, sizeof text);
    return p->client;
}

static void close_client(struct kafka_probe *p)
{
    if (p->client)
        rd_kafka_destroy(p->client);
    p->client = NULL;
    p->failures = 0;
}

static void examine(struct kafka_probe *p, struct inquiry *inquiries)
{
    struct round o = {.probe = p, .inquiries = inquiries};
    for (struct inquiry *i = inquiries; i; i = i->next) {
        i->open = true;
        i->answer.verdict = PROBE_UNANSWERED;
        o.open_count++;
    }
    if (!open_client(p))
        return;
    (void)rd_kafka_poll(p->client, 0);
    bool answered = compare_ends(&o);
    if (answered && o.open_count > 0)
        compare_records(&o);
    p->failures = answered ? 0 : p->failures + 1;
    if (p->failures >= FAILURES_MAX)
        close_client(p);
}

static struct inquiry *await_questions(struct kafka_probe *p)
{
    lock_take(&p->lock);
    while (!p->questions && !atomic_load(&p->stopping))
        (void)pthread_cond_wait(&p->asked, &p->lock.mutex);
    struct inquiry *taken = p->questions;
    p->questions = NULL;
    p->last_question = &p->questions;
    lock_give(&p->lock);
    return taken;
}

static void give_answers(struct kafka_probe *p, struct inquiry *answered)
{
    lock_take(&p->lock);
    *p->last_answer = answered;
    while (*p->last_answer)
        p->last_answer = &(*p->last_answer)->next;
    lock_give(&p->lock);
}

static void *run(void *argument)
{
    struct kafka_probe *p = argument;
    while (!atomic_load(&p->stopping)) {
        struct inquiry *questions = await_questions(p);
        if (questions && !atomic_load(&p->stopping))
            examine(p, questions);
        give_answers(p, questions);
    }
    close_client(p);
    return NULL;
}

void kafka_probe_ask(struct kafka_probe *p, const char *topic, const struct kafka_probe_answer *question)
{
    struct inquiry *i = xcalloc(1, sizeof *i);
    i->topic = topic;
    i->answer = *question;
    lock_take(&p->lock);
    *p->last_question = i;
    p->last_question = &i->next;
    (void)pthread_cond_signal(&p->asked);
    lock_give(&p->lock);
}

bool kafka_probe_take(struct kafka_probe *p, struct kafka_probe_answer *out)
{
    lock_take(&p->lock);
    struct inquiry *i = p->answers;
    if (i)
        p->answers = i->next;
    if (!p->answers)
        p->last_answer = &p->answers;
    lock_give(&p->lock);
    if (i)
        *out = i->answer;
    free(i);
    return i;
}

/* --- life --- */

struct kafka_probe *kafka_probe_create(const struct kafka_settings *settings)
{
    char fault[512];
    struct kafka_probe *p = xcalloc(1, sizeof *p);
    p->conf = kafka_conf_create(RD_KAFKA_CONSUMER, settings, fault, sizeof fault);
    CHECK(p->conf);
    kafka_conf_force(p->conf, "fetch.message.max.bytes", "16384");
    kafka_conf_force(p->conf, "queued.max.messages.kbytes", "1024");
    p->last_question = &p->questions;
    p->last_answer = &p->answers;
    lock_init(&p->lock);
    (void)pthread_cond_init(&p->asked, NULL);
    kafka_thread_start(&p->thread, run, p, "kafka-probe");
    return p;
}

static void free_all(struct inquiry *i)
{
    while (i) {
        struct inquiry *next = i->next;
        free(i);
        i = next;
    }
}

void kafka_probe_destroy(struct kafka_probe *p)
{
    if (!p)
        return;
    lock_take(&p->lock);
    atomic_store(&p->stopping, true);
    (void)pthread_cond_signal(&p->asked);
    lock_give(&p->lock);
    (void)pthread_join(p->thread, NULL);
    free_all(p->questions);
    free_all(p->answers);
    rd_kafka_conf_destroy(p->conf);
    (void)pthread_cond_destroy(&p->asked);
    lock_finish(&p->lock);
    free(p);
}
