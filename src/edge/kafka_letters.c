/* The reading half: the consumer group, and what of it was judged and committed. */
#include "kafka_letters_internal.h"
#include "kafka_letters_places.h"

#include "causeway/lock.h"
#include "causeway/log.h"
#include "causeway/memory.h"
#include "causeway/random.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
    IDLE_WAIT_MS = 100,
    BATCH_MAX = 500,
    COMMIT_MS = 3000, /* at most so long after a record was judged and found good */
    ADMIN_MS = 3000,
    ADMIN_LENIENT_MS = 1000, /* when it is likely that nobody answers */
    LOOK_MS = 5000,          /* between looks for a topic that is not there */
    LAG_MS = 2000,
    CLOSE_MS = 3000,
    CLOSE_BRIEF_MS = 300, /* with nothing to give back; leaving would wait for an answer to joining */
    RETRY_MIN_MS = 200,
    RETRY_MAX_MS = 5000,
    DETAIL_BYTES = 400,
};

/* Of a topic that we make: a letter is larger than its record by its headers, and records may be large. */
#define TOPIC_MESSAGE_BYTES_MAX "33554432"

struct names {
    size_t count;
    char *names[];
};

struct kafka_letters {
    rd_kafka_conf_t *conf;
    char *topic, *group;
    struct names *topics;
    struct kafka_letters_hooks hooks;
    void *owner;
    struct record record;
    struct letter_writer *writer;
    struct metric *failures, *lag;

    /* the thread's */
    rd_kafka_t *consumer;
    struct letter_places places; /* of the partitions that this instance reads */
    bool moved;                  /* there is something to commit */
    bool failed;                 /* a letter of this batch could not be given to the writer */
    bool astray;                 /* it is not known where the group stands: the consumer is to be made anew */
    bool there;                  /* the topic of the letters exists */
    bool making;                 /* ... or will in a moment */
    bool lenient;
    unsigned attempts; /* that failed, in a row */
    rd_kafka_resp_err_t told;
    uint64_t commit_at, look_at, lag_at;
    char trouble[DETAIL_BYTES];

    pthread_t thread;
    atomic_bool stopping;

    struct lock lock;   /* what follows */
    struct names *next; /* topics to be read from now on; NULL: as before */
    bool ready;
    char detail[DETAIL_BYTES];
};

static struct names *copy_names(const struct slice *from, size_t count)
{
    struct names *n = xcalloc(1, sizeof *n + count * sizeof n->names[0]);
    for (size_t i = 0; i < count; i++)
        n->names[n->count++] = xstrndup(from[i].data, from[i].size);
    return n;
}

static void free_names(struct names *n)
{
    for (size_t i = 0; n && i < n->count; i++)
        free(n->names[i]);
    free(n);
}

/* --- the end of a batch --- */

static void own(struct kafka_letters *l, const rd_kafka_topic_partition_list_t *partitions)
{
    letter_places_own(&l->places, partitions);
    l->moved = l->failed = false;
}

static void on_written(struct kafka_letters *l)
{
    if (l->attempts > 0)
        log_info("kafka", "dead letters are written again");
    l->attempts = 0;
    l->trouble[0] = '\0';
    l->moved = false;
    l->commit_at = clock_monotonic_ms() + COMMIT_MS;
}

static void on_failure(struct kafka_letters *l, const char *trouble)
{
    if (atomic_load(&l->stopping))
        return;
    if (strcmp(l->trouble, trouble) != 0)
        log_warn("kafka", "dead letters wait, events do not: %s", trouble);
    (void)snprintf(l->trouble, sizeof l->trouble, "%s", trouble);
    l->attempts++;
    metric_add(l->failures, 1);
    l->there = false; /* so that its topic is looked at */
    l->look_at = 0;
}

/* false: nothing of this batch was committed. */
static bool commit_batch(struct kafka_letters *l)
{
    if (!l->failed && letter_writer_commit(l->writer, l->consumer, l->places.owned)) {
        on_written(l);
        return true;
    }
    bool undone = letter_writer_abort(l->writer);
    if (!l->there || !letter_writer_adapted(l->writer))
        on_failure(l, l->there ? letter_writer_trouble(l->writer) : l->trouble);
    l->astray = l->astray || !undone;
    return false;
}

static void finish_batch(struct kafka_letters *l)
{
    bool due = l->moved && clock_monotonic_ms() >= l->commit_at;
    if ((l->failed || due || letter_writer_count(l->writer) > 0) && !commit_batch(l) && !l->astray)
        l->astray = !letter_places_rewind(&l->places, l->consumer);
    letter_places_end_batch(&l->places);
    l->failed = false;
}

/* --- reading --- */

/* The group's generation still counts while it is asked to let go, so what was judged can be committed. Not
   so when it is not known how a transaction ended: its letters may be undone, and what they are about has to
   be judged again. */
static void let_go(struct kafka_letters *l, bool lost)
{
    if (lost || l->failed || l->astray)
        (void)letter_writer_abort(l->writer);
    else if (l->moved || letter_writer_count(l->writer) > 0)
        (void)commit_batch(l);
    own(l, NULL);
}

static void take_over(struct kafka_letters *l, rd_kafka_topic_partition_list_t *partitions)
{
    l->attempts = 0;
    if (letter_places_ask(l->consumer, partitions, &l->stopping)) {
        own(l, partitions);
        (void)rd_kafka_assign(l->consumer, partitions);
    } else {
        l->astray = true;
        (void)rd_kafka_assign(l->consumer, NULL);
    }
}

static void on_rebalance(
    rd_kafka_t *client, rd_kafka_resp_err_t what, rd_kafka_topic_partition_list_t *partitions, void *opaque)
{
    struct kafka_letters *l = opaque;
    if (what == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        take_over(l, partitions);
    } else {
        let_go(l, rd_kafka_assignment_lost(client));
        (void)rd_kafka_assign(client, NULL);
    }
    log_info("kafka", "dead letters: this instance reads %d partitions", l->places.owned->cnt);
}

static void on_error(rd_kafka_t *client, int error, const char *reason, void *opaque)
{
    struct kafka_letters *l = opaque;
    if (error == RD_KAFKA_RESP_ERR__FATAL) {
        char text[256];
        (void)rd_kafka_fatal_error(client, text, sizeof text);
        log_error("kafka", "reading for dead letters anew: %s", text);
        l->astray = true;
    } else {
        log_debug("kafka", "reading for dead letters: %s", reason);
    }
}

static void judge(struct kafka_letters *l, const rd_kafka_message_t *m)
{
    struct kafka_verdict verdict = {0};
    kafka_message_record(m, slice_of(rd_kafka_topic_name(m->rkt)), &l->record);
    l->hooks.judge(l->owner, &l->record, &verdict);
    if (!verdict.reason)
        return;
    l->failed = !l->there || !letter_writer_add(l->writer, m, &verdict);
}

static void take(struct kafka_letters *l, const rd_kafka_message_t *m)
{
    if (m->err) {
        if (l->told != m->err)
            log_info("kafka", "reading for dead letters: %s", rd_kafka_message_errstr(m));
        l->told = m->err;
        return;
    }
    int at = letter_places_find(&l->places, rd_kafka_topic_name(m->rkt), m->partition);
    if (at < 0) /* of a partition that was let go */
        return;
    judge(l, m);
    letter_places_note(&l->places, at, m->offset);
    if (!l->moved && !l->failed)
        l->commit_at = clock_monotonic_ms() + COMMIT_MS;
    l->moved = true;
}

static void read_batch(struct kafka_letters *l)
{
    int wait_ms = IDLE_WAIT_MS;
    for (int taken = 0; taken < BATCH_MAX && !l->failed && !letter_writer_full(l->writer); taken++) {
        rd_kafka_message_t *m = rd_kafka_consumer_poll(l->consumer, wait_ms);
        if (!m)
            return;
        take(l, m);
        rd_kafka_message_destroy(m);
        wait_ms = 0;
    }
}

/* --- the consumer --- */

static bool subscribe(struct kafka_letters *l)
{
    rd_kafka_topic_partition_list_t *names = rd_kafka_topic_partition_list_new((int)l->topics->count);
    for (size_t i = 0; i < l->topics->count; i++)
        (void)rd_kafka_topic_partition_list_add(names, l->topics->names[i], RD_KAFKA_PARTITION_UA);
    rd_kafka_resp_err_t error = rd_kafka_subscribe(l->consumer, names);
    rd_kafka_topic_partition_list_destroy(names);
    if (error)
        on_failure(l, rd_kafka_err2str(error));
    return !error;
}

static bool same_names(const struct names *a, const struct names *b)
{
    bool same = a->count == b->count;
    for (size_t i = 0; same && i < a->count; i++)
        same = strcmp(a->names[i], b->names[i]) == 0;
    return same;
}

/* Other topics are for another consumer: librdkafka leaks when it is to change them while it joins. */
static void take_topics(struct kafka_letters *l)
{
    lock_take(&l->lock);
    struct names *next = l->next;
    l->next = NULL;
    lock_give(&l->lock);
    if (!next)
        return;
    l->astray = l->astray || !same_names(next, l->topics);
    free_names(l->topics);
    l->topics = next;
}

void kafka_letters_set_topics(struct kafka_letters *l, const struct slice *topics, size_t count)
{
    struct names *next = copy_names(topics, count);
    lock_take(&l->lock);
    struct names *before = l->next;
    l->next = next;
    lock_give(&l->lock);
    free_names(before);
}

/* Records that were on their way come, too, and are not looked at. */
static void serve_closing(struct kafka_letters *l, rd_kafka_queue_t *queue)
{
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, IDLE_WAIT_MS);
    if (!event)
        return;
    if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_REBALANCE)
        on_rebalance(l->consumer, rd_kafka_event_error(event), rd_kafka_event_topic_partition_list(event), l);
    rd_kafka_event_destroy(event);
}

/* Not rd_kafka_consumer_close, which has no deadline. */
static void close_consumer(struct kafka_letters *l)
{
    if (!l->consumer)
        return;
    bool brief = l->places.owned->cnt == 0 && atomic_load(&l->stopping);
    uint64_t deadline = clock_monotonic_ms() + (brief ? CLOSE_BRIEF_MS : CLOSE_MS);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(l->consumer);
    rd_kafka_error_t *error = rd_kafka_consumer_close_queue(l->consumer, queue);
    while (!error && !rd_kafka_consumer_closed(l->consumer) && clock_monotonic_ms() < deadline)
        serve_closing(l, queue);
    if (error)
        rd_kafka_error_destroy(error);
    rd_kafka_queue_destroy(queue);
    rd_kafka_destroy_flags(l->consumer, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    l->consumer = NULL;
    own(l, NULL);
}

static bool open_consumer(struct kafka_letters *l)
{
    char text[512];
    l->astray = false;
    l->consumer = kafka_client_create(RD_KAFKA_CONSUMER, l->conf, text, sizeof text);
    if (!l->consumer) {
        on_failure(l, text);
        return false;
    }
    (void)rd_kafka_poll_set_consumer(l->consumer);
    if (subscribe(l))
        return true;
    close_consumer(l);
    return false;
}

/* --- the topic of the letters --- */

static void make_topic(struct kafka_letters *l, int brokers, char *detail, size_t size)
{
    const struct kafka_property properties[] = {{"max.message.bytes", TOPIC_MESSAGE_BYTES_MAX}};
    struct kafka_admin admin;
    kafka_admin_begin(&admin, l->consumer, l->lenient ? ADMIN_LENIENT_MS : ADMIN_MS, &l->stopping);
    l->making = kafka_admin_make(&admin, l->topic, 1, brokers, properties, 1, detail, size);
    kafka_admin_end(&admin);
    if (l->making || !l->lenient || atomic_load(&l->stopping))
        return;
    log_warn("kafka", "dead letters: %s; it is left to the brokers", detail);
    l->there = true; /* writing to it makes it */
}

static void look_at_topic(struct kafka_letters *l)
{
    uint64_t now = clock_monotonic_ms();
    if (l->there || now < l->look_at)
        return;
    char detail[DETAIL_BYTES] = "";
    int brokers = 0, partitions = 0;
    rd_kafka_resp_err_t error = kafka_admin_look(l->consumer, l->topic, &brokers, &partitions);
    l->there = !error && partitions > 0;
    l->making = false;
    if (error)
        kafka_admin_explain(error, l->topic, detail, sizeof detail);
    else if (!l->there)
        make_topic(l, brokers, detail, sizeof detail);
    l->look_at = now + (l->making ? RETRY_MIN_MS : LOOK_MS);
    if (l->there && l->attempts == 0)
        l->trouble[0] = '\0';
    if (l->there || l->making || strcmp(l->trouble, detail) == 0)
        return;
    log_warn("kafka", "dead letters: %s", detail);
    memcpy(l->trouble, detail, sizeof detail);
}

/* --- what others see --- */

static void measure_lag(struct kafka_letters *l)
{
    uint64_t now = clock_monotonic_ms();
    if (now < l->lag_at || !l->consumer)
        return;
    l->lag_at = now + LAG_MS;
    metric_set(l->lag, letter_places_lag(&l->places, l->consumer));
}

static void report(struct kafka_letters *l)
{
    char detail[DETAIL_BYTES];
    bool ready = l->there && l->attempts == 0;
    if (ready)
        (void)snprintf(detail, sizeof detail, "topic %s, this instance reads %d partition%s", l->topic,
            l->places.owned->cnt, l->places.owned->cnt == 1 ? "" : "s");
    else
        (void)snprintf(detail, sizeof detail, "%s", *l->trouble ? l->trouble : "connecting");
    lock_take(&l->lock);
    l->ready = ready;
    memcpy(l->detail, detail, sizeof detail);
    lock_give(&l->lock);
    measure_lag(l);
}

bool kafka_letters_ready(struct kafka_letters *l, char *detail, size_t size)
{
    lock_take(&l->lock);
    bool ready = l->ready;
    (void)snprintf(detail, size, "%s", l->detail);
    lock_give(&l->lock);
    return ready;
}

/* --- life --- */

static void pause_before_retry(const struct kafka_letters *l)
{
    unsigned doublings = l->attempts < 6 ? l->attempts : 6;
    long wait = (long)RETRY_MIN_MS << doublings;
    wait = wait < RETRY_MAX_MS ? wait : RETRY_MAX_MS;
    struct timespec pause = {.tv_nsec = 50000000};
    for (long waited = 0; waited < wait && !atomic_load(&l->stopping); waited += 50)
        (void)nanosleep(&pause, NULL);
}

static void *run(void *argument)
{
    struct kafka_letters *l = argument;
    while (!atomic_load(&l->stopping)) {
        take_topics(l);
        if (l->astray)
            close_consumer(l);
        if (l->consumer || open_consumer(l)) {
            look_at_topic(l);
            if (!l->making)
                read_batch(l);
            finish_batch(l);
        }
        report(l);
        if ((l->attempts > 0 && !letter_writer_adapted(l->writer)) || l->making)
            pause_before_retry(l);
    }
    close_consumer(l);
    return NULL;
}

static rd_kafka_conf_t *consumer_conf(struct kafka_letters *l, const struct kafka_settings *settings)
{
    char fault[512];
    rd_kafka_conf_t *conf = kafka_conf_create(RD_KAFKA_CONSUMER, settings, fault, sizeof fault);
    CHECK(conf);
    kafka_conf_force(conf, "group.id", l->group);
    kafka_conf_force(conf, "auto.offset.reset", "earliest");     /* what retention took cannot be judged */
    kafka_conf_force(conf, "isolation.level", "read_committed"); /* also: offsets of open transactions wait */
    kafka_conf_force(conf, "partition.assignment.strategy", "roundrobin");
    kafka_conf_force(conf, "queued.max.messages.kbytes", "4096");
    kafka_conf_force(conf, "fetch.wait.max.ms", "500"); /* nobody waits for a letter */
    rd_kafka_conf_set_opaque(conf, l);
    rd_kafka_conf_set_error_cb(conf, on_error);
    rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
    return conf;
}

static void create_writer(struct kafka_letters *l, const struct kafka_settings *settings)
{
    size_t size = strlen(l->group) + 24;
    char *id = xcalloc(1, size);
    (void)snprintf(id, size, "%s-%016llx", l->group, (unsigned long long)random_u64());
    l->writer = letter_writer_create(settings, l->topic, id, &l->stopping);
    free(id);
}

struct kafka_letters *kafka_letters_create(const struct kafka_settings *settings,
    const struct kafka_letters_settings *how, const struct kafka_letters_hooks *hooks, void *owner)
{
    struct kafka_letters *l = xcalloc(1, sizeof *l);
    l->hooks = *hooks;
    l->owner = owner;
    l->topic = xstrndup(how->topic, strlen(how->topic));
    l->group = xstrndup(how->group, strlen(how->group));
    l->lenient = how->lenient;
    l->topics = copy_names(how->topics, how->topic_count);
    letter_places_own(&l->places, NULL);
    l->conf = consumer_conf(l, settings);
    create_writer(l, settings);
    l->failures = metric_get(METRIC_DEAD_LETTER_FAILURES);
    l->lag = metric_get(METRIC_DEAD_LETTER_LAG);
    lock_init(&l->lock);
    (void)snprintf(l->detail, sizeof l->detail, "connecting");
    kafka_thread_start(&l->thread, run, l, "letters");
    return l;
}

void kafka_letters_stop(struct kafka_letters *l)
{
    if (l)
        atomic_store(&l->stopping, true);
}

void kafka_letters_destroy(struct kafka_letters *l)
{
    if (!l)
        return;
    kafka_letters_stop(l);
    (void)pthread_join(l->thread, NULL);
    letter_writer_destroy(l->writer);
    letter_places_finish(&l->places);
    rd_kafka_conf_destroy(l->conf);
    free_names(l->topics);
    free_names(l->next);
    free(l->topic);
    free(l->group);
    lock_finish(&l->lock);
    free(l);
}
