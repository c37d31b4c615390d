#include "history.h"

#include "ingest.h"
#include "reload.h"
#include "stand_in.h"
#include "state.h"

#include "causeway/clock.h"
#include "causeway/kafka_checkpoints.h"
#include "causeway/kafka_past.h"
#include "causeway/lock.h"
#include "causeway/log.h"
#include "causeway/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    TAG_JOURNALS = FANOUT_LOGS_MAX, /* a tag is the journal's own, times this, plus the journal's number */
    LAST_POLL_US = 2000,
    WARM_MS = 60000,
    FOLLOW_MS = 2000, /* for partitions that another instance was first to find */
    DOUBT_MS = 8000,
    NEXT_TO_NEXT = 256, /* checkpoints that are read one by one, back from the newest ... */
    FIRST_LEAP = 16,    /* ... before ever longer leaps, in which an anchor may have survived */
    LEAP_GROWTH = 16,
    LEAPS = 3,
};

struct acknowledgement {
    struct acknowledgement *next;
    uint64_t tag;
    int64_t offset;
};

enum past_state { PAST_UNASKED, PAST_ASKED, PAST_SETTLED };

/* The way back through the checkpoints. */
struct search {
    int64_t newest; /* -1: it has not come yet */
    int64_t at;
    unsigned steps, leaps;
};

struct history {
    struct bridge *bridge;
    struct kafka_checkpoints *checkpoints;
    struct lock lock;                                      /* what follows */
    struct acknowledgement *acknowledged[FANOUT_LOGS_MAX]; /* per journal, oldest first */
    struct question *doubtful;                             /* of a life that is not known here */
    enum past_state state;
    atomic_bool given_up;
    /* of the checkpoint reader until settled, then of who waited */
    struct search search;
    struct lives *lives;
    struct slice *topics; /* worth reading */
    size_t topic_count;
};

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
    uint64_t doubt_until, ask; /* once its life, or its place in it, is in doubt; 0: not asked yet */
    bool settled;
    struct cursor cursor;
    enum kafka_checkpoint_status status;
    struct checkpoint *checkpoint;
};

static bool is_own(const struct bridge *b, uint64_t nonce)
{
    for (unsigned i = 0; i < b->journal_count; i++)
        if (journal_had_nonce(b->journals[i], nonce))
            return true;
    return false;
}

static void make_plan(const struct question *q, struct resume_plan *plan)
{
    struct bridge *b = q->worker->bridge;
    struct hotlog *hot = journal_log(b->journals[0]);
    uint32_t count = hotlog_place_count(hot);
    int64_t *heads = xcalloc(count + 1, sizeof *heads);
    hotlog_place_after(hot, hotlog_head(hot), heads, count);
    struct resume_question question = {
        .cursor = &q->cursor,
        .checkpoint = q->checkpoint,
        .own = is_own(b, q->checkpoint->nonce),
        .settled = q->settled,
        .partitions = b->partitions,
        .heads = heads,
        .head_count = count,
    };
    resume_plan_make(plan, &question);
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

static void ask_again_soon(struct question *q)
{
    q->next = q->worker->questions;
    q->worker->questions = q;
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
    ask_again_soon(q);
    return true;
}

/* The cursor was minted where more was known already, or it is of a life that is over: the log tells. Most
 * often this process is just a moment late, and need not ask. */
static void wait_for_log(struct question *q)
{
    struct bridge *b = q->worker->bridge;
    struct kafka_source *source = atomic_load(&b->source);
    if (q->doubt_until == 0)
        q->doubt_until = loop_now(q->worker->loop) + DOUBT_MS;
    else if (q->ask == 0)
        q->ask = source ? kafka_source_verify(source) : 0;
    else
        q->settled = kafka_source_read_out(source, q->ask) && !ingest_awaits_life(b->ingest);
    ask_again_soon(q);
}

static bool may_wait(const struct question *q)
{
    return q->doubt_until == 0 || loop_now(q->worker->loop) < q->doubt_until;
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
        if (plan.ahead && may_wait(q)) {
            resume_plan_finish(&plan);
            wait_for_log(q);
            return;
        }
        /* Where it cannot be told what the cursor is of, any answer may be a wrong one. */
        l.status = plan.ahead ? LOCATED_UNAVAILABLE : LOCATED_PLAN;
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

/* --- the newest checkpoints: which lives the partitions live, and how that can be seen --- */

static void settle(struct history *h, enum past_state state)
{
    lock_take(&h->lock);
    h->state = state;
    lock_give(&h->lock);
}

/* One by one until all is known; then a few that are older, so that a log whose end was lost can be told from
 * another one. -1: enough. */
static int64_t next_to_read(struct history *h)
{
    struct search *s = &h->search;
    if (s->steps < NEXT_TO_NEXT && !lives_complete(h->lives, h->topics, h->topic_count)) {
        s->steps++;
        return --s->at;
    }
    if (s->leaps == LEAPS)
        return -1;
    int64_t leap = FIRST_LEAP;
    for (unsigned i = 0; i < s->leaps; i++)
        leap *= LEAP_GROWTH;
    s->leaps = leap < s->newest ? s->leaps + 1 : LEAPS;
    return leap < s->newest ? s->newest - leap : 0;
}

/* UNAVAILABLE: all is asked anew. GONE: there is none, or none there. @thread of the checkpoint reader */
static void on_past(
    void *context, enum kafka_checkpoint_status status, int64_t offset, struct checkpoint *lent)
{
    struct history *h = context;
    if (status == CHECKPOINT_UNAVAILABLE) {
        settle(h, PAST_UNASKED);
        return;
    }
    if (h->search.newest < 0)
        h->search.newest = h->search.at = lent ? offset : -1;
    if (lent)
        lives_add(h->lives, lent);
    int64_t next = h->search.newest < 0 ? -1 : next_to_read(h);
    if (next >= 0)
        kafka_checkpoints_read(h->checkpoints, next, on_past, h);
    else
        settle(h, PAST_SETTLED);
}

static void ask_past(struct history *h)
{
    lives_clear(h->lives);
    h->search = (struct search){.newest = -1};
    kafka_checkpoints_last(h->checkpoints, on_past, h);
}

bool history_wait(struct history *h)
{
    for (;;) {
        lock_take(&h->lock);
        enum past_state state = h->state;
        if (state == PAST_UNASKED)
            h->state = PAST_ASKED;
        lock_give(&h->lock);
        char detail[256];
        if (state == PAST_SETTLED || atomic_load(&h->given_up) || history_refused(h, detail, sizeof detail))
            return state == PAST_SETTLED;
        if (state == PAST_UNASKED)
            ask_past(h);
        usleep(LAST_POLL_US);
    }
}

void history_give_up(struct history *h)
{
    atomic_store(&h->given_up, true);
}

const struct life *history_known_life(const struct history *h, struct slice topic, int32_t partition)
{
    return lives_find(h->lives, topic, partition);
}

static struct kafka_source_start *find_start(
    struct kafka_source_start *starts, size_t count, const struct partition_name *name)
{
    for (size_t i = 0; i < count; i++)
        if (starts[i].partition == name->number && slice_equal(starts[i].topic, name->topic))
            return &starts[i];
    return NULL;
}

/* Each start gets the anchors of its life; what is missing at the moment, or has no leader, gets a start of
 * nothing else. */
static struct kafka_source_start *add_anchors(
    const struct history *h, struct kafka_source_start *starts, size_t *found)
{
    size_t given = *found;
    starts = xrealloc(starts, (given + lives_count(h->lives) + 1) * sizeof *starts);
    for (size_t i = 0; i < lives_count(h->lives); i++) {
        const struct life *life = lives_get(h->lives, i);
        struct kafka_source_start *s = find_start(starts, given, &life->name);
        if (life->anchor_count == 0 && !life->ended)
            continue;
        if (!s) {
            s = &starts[(*found)++];
            *s = (struct kafka_source_start){
                .topic = life->name.topic, .partition = life->name.number, .offset = -1, .anchor.offset = -1};
        }
        if (life->ended) { /* what is there is the life that follows, from its beginning */
            s->offset = 0;
            continue;
        }
        s->anchor = life->anchors[0];
        s->older_count = life->anchor_count - 1;
        memcpy(s->older, life->anchors + 1, s->older_count * sizeof s->older[0]);
    }
    return starts;
}

struct kafka_source_start *history_past(
    struct history *h, const struct kafka_settings *settings, int64_t records_max, size_t *found)
{
    int64_t last_ms = lives_newest_ms(h->lives);
    size_t known = 0;
    struct kafka_source_start *starts = NULL;
    struct slice *old = xcalloc(h->topic_count + 1, sizeof *old);
    if (last_ms == 0) /* where a log began, from which nothing had been read yet */
        last_ms = clock_wall_ms();
    for (size_t i = 0; i < h->topic_count; i++)
        if (lives_know(h->lives, h->topics[i]))
            old[known++] = h->topics[i];
    *found = 0;
    if (known > 0)
        starts = kafka_past_find(settings, old, known, last_ms - WARM_MS, records_max, &h->given_up, found);
    free(old);
    return add_anchors(h, starts, found);
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
    h->lives = lives_create();
    h->topic_count = edition_topics(edition, &h->topics);
    for (size_t i = 0; i < h->topic_count; i++) /* they outlive the edition */
        h->topics[i].data = xstrndup(h->topics[i].data, h->topics[i].size);
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
    lives_destroy(h->lives);
    for (size_t i = 0; i < h->topic_count; i++)
        free((char *)(uintptr_t)h->topics[i].data);
    free(h->topics);
    lock_finish(&h->lock);
    free(h);
}

bool bridge_started(struct bridge *b)
{
    char cursor[CURSOR_TEXT_MAX + 1];
    struct kafka_source *source = atomic_load(&b->source);
    if (b->stand_in)
        return stand_in_started(b->stand_in);
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
