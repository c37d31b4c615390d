/* Checkpoints, and where cursors stand. The journals' writers hand in checkpoints and take acknowledgements
   back on their own threads; loops ask where a cursor stands and are answered on theirs. */
#include "bridge_internal.h"

#include "causeway/kafka_checkpoints.h"
#include "causeway/kafka_past.h"
#include "causeway/lock.h"
#include "causeway/log.h"
#include "causeway/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

enum {
    TAG_JOURNALS = FANOUT_LOGS_MAX, /* a tag is the journal's own, times this, plus the journal's number */
    LAST_POLL_US = 2000,
    WARM_MS = 60000,
    FOLLOW_MS = 2000, /* for partitions that another instance was first to find */
};

struct acknowledgement {
    struct acknowledgement *next;
    uint64_t tag;
    int64_t offset;
};

enum last_state { LAST_UNASKED, LAST_ASKED, LAST_SETTLED };

struct history {
    struct bridge *bridge;
    struct kafka_checkpoints *checkpoints;
    struct lock lock;                                      /* what follows */
    struct acknowledgement *acknowledged[FANOUT_LOGS_MAX]; /* per journal, oldest first */
    struct checkpoint *last;                               /* or NULL: there is none */
    enum last_state state;
    atomic_bool given_up;
};

uint64_t clock_monotonic_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

uint64_t random_nonce(void)
{
    uint64_t nonce = 0;
    CHECK(getrandom(&nonce, sizeof nonce, 0) == sizeof nonce);
    return nonce;
}

/* --- checkpoints --- */

/* @thread of the checkpoint writer */
static void on_acknowledged(void *owner, uint64_t tag, int64_t offset)
{
    struct history *h = owner;
    struct acknowledgement *a = xcalloc(1, sizeof *a);
    *a = (struct acknowledgement){NULL, tag / TAG_JOURNALS, offset};
    lock_take(&h->lock);
    struct acknowledgement **last = &h->acknowledged[tag % TAG_JOURNALS];
    while (*last)
        last = &(*last)->next;
    *last = a;
    lock_give(&h->lock);
}

bool history_checkpoint(struct history *h, unsigned journal, bool even_unmoved)
{
    struct buffer bytes = {0};
    uint64_t tag;
    bool taken = journal_checkpoint(h->bridge->journals[journal], even_unmoved, &bytes, &tag);
    if (taken)
        kafka_checkpoints_write(h->checkpoints, buffer_slice(&bytes), tag * TAG_JOURNALS + journal);
    buffer_finish(&bytes);
    return taken;
}

bool history_take_acknowledgements(struct history *h, unsigned journal)
{
    lock_take(&h->lock);
    struct acknowledgement *a = h->acknowledged[journal];
    h->acknowledged[journal] = NULL;
    lock_give(&h->lock);
    bool any = a != NULL;
    while (a) {
        struct acknowledgement *next = a->next;
        journal_acknowledge(h->bridge->journals[journal], a->tag, a->offset);
        free(a);
        a = next;
    }
    return any;
}

/* --- where a cursor stands --- */

struct question {
    struct loop_task task;
    struct worker *worker;
    struct question *next; /* among those that wait */
    uint64_t client, tag, until;
    struct cursor cursor;
    enum kafka_checkpoint_status status;
    struct checkpoint *checkpoint;
};

static void make_plan(const struct question *q, struct resume_plan *plan)
{
    struct bridge *b = q->worker->bridge;
    struct hotlog *hot = journal_log(b->journals[0]);
    uint32_t count = hotlog_place_count(hot);
    int64_t *heads = xcalloc(count + 1, sizeof *heads);
    hotlog_place_after(hot, hotlog_head(hot), heads, count);
    resume_plan_make(plan, &q->cursor, q->checkpoint, b->partitions, heads, count);
    free(heads);
}

static void locate(struct worker *w, uint64_t client, uint64_t tag, const struct client_location *l)
{
    struct client *c = roster_find(w->roster, client);
    if (c)
        client_located(c, tag, l);
}

static void free_question(struct question *q)
{
    checkpoint_release(q->checkpoint);
    free(q);
}

static bool can_be_planned(const struct question *q)
{
    return q->checkpoint && q->checkpoint->nonce == q->cursor.nonce;
}

/* false: it is as good as it gets. */
static bool wait_for_partitions(struct question *q)
{
    struct bridge *b = q->worker->bridge;
    struct kafka_source *source = atomic_load(&b->source);
    uint64_t now = loop_now(q->worker->loop);
    if (!source || !can_be_planned(q) || resume_knows_all(q->checkpoint, b->partitions))
        return false;
    if (q->until == 0)
        q->until = now + FOLLOW_MS;
    if (now >= q->until)
        return false;
    kafka_source_look(source);
    q->next = q->worker->questions;
    q->worker->questions = q;
    return true;
}

/* @thread loop */
static void bring_location(struct loop_task *task)
{
    struct question *q = (struct question *)task;
    if (wait_for_partitions(q))
        return;
    struct resume_plan plan = {0};
    struct client_location l = {.status = LOCATED_LOST};
    if (q->status == CHECKPOINT_UNAVAILABLE) {
        l.status = LOCATED_UNAVAILABLE;
    } else if (can_be_planned(q)) {
        make_plan(q, &plan);
        l.status = LOCATED_PLAN;
        l.plan = &plan;
    }
    locate(q->worker, q->client, q->tag, &l);
    resume_plan_finish(&plan);
    free_question(q);
}

static struct question *take_questions(struct worker *w)
{
    struct question *all = w->questions;
    w->questions = NULL;
    return all;
}

void history_pulse(struct worker *w)
{
    struct question *next;
    for (struct question *q = take_questions(w); q; q = next) {
        next = q->next;
        bring_location(&q->task);
    }
}

void history_forget(struct worker *w)
{
    struct question *next;
    for (struct question *q = take_questions(w); q; q = next) {
        next = q->next;
        free_question(q);
    }
}

/* @thread of the checkpoint reader */
static void on_checkpoint(
    void *context, enum kafka_checkpoint_status status, int64_t offset, struct checkpoint *lent)
{
    (void)offset;
    struct question *q = context;
    q->status = status;
    q->checkpoint = lent ? checkpoint_hold(lent) : NULL;
    loop_post(q->worker->loop, &q->task);
}

void history_locate(
    struct history *h, struct worker *w, const struct cursor *cursor, uint64_t client, uint64_t tag)
{
    struct journal *hot = h->bridge->journals[0];
    uint64_t position = journal_position(hot, cursor);
    /* What is gone, or is about to, is told more exactly by the checkpoint. */
    if (position != UINT64_MAX && position >= hotlog_staying(journal_log(hot))) {
        struct client_location l = {.status = LOCATED_POSITION, .position = position};
        locate(w, client, tag, &l);
        return;
    }
    struct question *q = xcalloc(1, sizeof *q);
    *q = (struct question){
        .task.run = bring_location, .worker = w, .client = client, .tag = tag, .cursor = *cursor};
    kafka_checkpoints_read(h->checkpoints, cursor->checkpoint, on_checkpoint, q);
}

/* --- the newest checkpoint: which lives the partitions live --- */

static void settle(struct history *h, enum last_state state, struct checkpoint *checkpoint)
{
    lock_take(&h->lock);
    if (h->state == LAST_ASKED) {
        h->last = checkpoint ? checkpoint_hold(checkpoint) : NULL;
        h->state = state;
    }
    lock_give(&h->lock);
}

/* UNAVAILABLE: ask again. GONE: there is none. */
static void on_last(
    void *context, enum kafka_checkpoint_status status, int64_t offset, struct checkpoint *lent)
{
    (void)offset;
    settle(context, status == CHECKPOINT_UNAVAILABLE ? LAST_UNASKED : LAST_SETTLED, lent);
}

bool history_wait(struct history *h)
{
    for (;;) {
        lock_take(&h->lock);
        enum last_state state = h->state;
        if (state == LAST_UNASKED)
            h->state = LAST_ASKED;
        lock_give(&h->lock);
        char detail[256];
        if (state == LAST_SETTLED || atomic_load(&h->given_up) || history_refused(h, detail, sizeof detail))
            return state == LAST_SETTLED;
        if (state == LAST_UNASKED)
            kafka_checkpoints_last(h->checkpoints, on_last, h);
        usleep(LAST_POLL_US);
    }
}

void history_give_up(struct history *h)
{
    atomic_store(&h->given_up, true);
}

uint32_t history_known_life(const struct history *h, struct slice topic, int32_t partition)
{
    for (size_t i = 0; h->last && i < h->last->part_count; i++) {
        const struct checkpoint_part *p = &h->last->parts[i];
        bool later = false; /* of several lives the last one is the present one */
        for (size_t k = i + 1; k < h->last->part_count; k++)
            later |= h->last->parts[k].name.number == partition &&
                     slice_equal(h->last->parts[k].name.topic, topic);
        if (!later && p->name.number == partition && slice_equal(p->name.topic, topic))
            return p->name.life;
    }
    return 0;
}

static bool knows_topic(const struct checkpoint *c, struct slice topic)
{
    for (size_t i = 0; i < c->part_count; i++)
        if (slice_equal(c->parts[i].name.topic, topic))
            return true;
    return false;
}

struct kafka_source_start *history_past(struct history *h, const struct kafka_settings *settings,
    const struct slice *topics, size_t topic_count, int64_t records_max, size_t *found)
{
    int64_t last_ms = 0;
    size_t known = 0;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    struct kafka_source_start *starts = NULL;
    struct slice *old = xcalloc(topic_count + 1, sizeof *old);
    for (size_t i = 0; h->last && i < h->last->part_count; i++)
        if (h->last->parts[i].anchor.offset >= 0 && h->last->parts[i].anchor.time_ms > last_ms)
            last_ms = h->last->parts[i].anchor.time_ms;
    if (last_ms == 0) /* where a log began, from which nothing had been read yet */
        last_ms = (int64_t)now.tv_sec * 1000;
    for (size_t i = 0; i < topic_count; i++)
        if (h->last && knows_topic(h->last, topics[i]))
            old[known++] = topics[i];
    *found = 0;
    if (known > 0)
        starts = kafka_past_find(settings, old, known, last_ms - WARM_MS, records_max, &h->given_up, found);
    free(old);
    return starts;
}

/* --- life --- */

struct history *history_create(struct bridge *b, const struct kafka_settings *settings)
{
    struct history *h = xcalloc(1, sizeof *h);
    const struct topic *topics;
    struct edition *edition = reload_current(b->reload);
    size_t count = catalogue_topics(edition->catalogue, &topics);
    struct slice *names = xcalloc(count + 1, sizeof *names);
    for (size_t i = 0; i < count; i++)
        names[i] = topics[i].name;
    h->bridge = b;
    lock_init(&h->lock);
    static const struct kafka_checkpoints_hooks hooks = {on_acknowledged};
    struct kafka_checkpoints_settings how = {
        .topic = b->config->checkpoint_topic,
        .event_topics = names,
        .event_topic_count = count,
        .lenient = b->config->dev,
    };
    h->checkpoints = kafka_checkpoints_create(settings, &how, &hooks, h);
    free(names);
    edition_release(edition);
    return h;
}

void history_stop(struct history *h)
{
    kafka_checkpoints_destroy(h->checkpoints);
    h->checkpoints = NULL;
}

void history_destroy(struct history *h)
{
    if (!h)
        return;
    for (size_t i = 0; i < FANOUT_LOGS_MAX; i++)
        while (h->acknowledged[i]) {
            struct acknowledgement *next = h->acknowledged[i]->next;
            free(h->acknowledged[i]);
            h->acknowledged[i] = next;
        }
    checkpoint_release(h->last);
    lock_finish(&h->lock);
    free(h);
}

bool bridge_started(struct bridge *b)
{
    char cursor[CURSOR_TEXT_MAX + 1];
    struct kafka_source *source = atomic_load(&b->source);
    return source && kafka_source_placed(source) && journal_cursor(b->journals[0], 0, UINT64_MAX, cursor) > 0;
}

bool history_ready(struct history *h, char *detail, size_t size)
{
    return kafka_checkpoints_ready(h->checkpoints, detail, size);
}

bool history_refused(struct history *h, char *detail, size_t size)
{
    return kafka_checkpoints_state(h->checkpoints, detail, size) == CHECKPOINTS_WRONG;
}
