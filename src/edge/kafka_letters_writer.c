/* The transactional producer. It is thrown away whenever it is not sure how a transaction ended: the next one
   has the same id, so that the brokers end what the former began before they let it write. */
#include "kafka_letters_internal.h"

#include "causeway/log.h"
#include "causeway/memory.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    STEP_MS = 1000,      /* between looks at `stopping` */
    PATIENCE_MS = 12000, /* for one step of a transaction */
    ABORT_MS = 5000,
    STOPPING_ABORT_MS = 500,
    SINGLES = 50, /* transactions of one letter, after one of several was too large */
    NUMBER_BYTES = 24,
};

#define MESSAGE_BYTES_MAX "33554432"

struct letter_writer {
    rd_kafka_conf_t *conf;
    rd_kafka_t *producer; /* NULL until it is needed */
    char *topic;
    const atomic_bool *stopping;
    bool begun;
    struct letter letters[LETTERS_MAX];
    size_t count, bytes;
    unsigned singles;  /* so many transactions get one letter only */
    size_t weight_max; /* heavier ones go without what the record carried */
    bool too_large;    /* one of this transaction */
    bool adapted;      /* the last one failed by size, and the next will be smaller */
    char trouble[LETTERS_TROUBLE_BYTES];
};

static bool fail(struct letter_writer *w, const char *what, const char *why)
{
    (void)snprintf(w->trouble, sizeof w->trouble, "%s: %s", what, why);
    return false;
}

static void on_delivered(rd_kafka_t *client, const rd_kafka_message_t *m, void *opaque)
{
    struct letter_writer *w = opaque;
    (void)client;
    if (!m->err || m->err == RD_KAFKA_RESP_ERR__PURGE_QUEUE || m->err == RD_KAFKA_RESP_ERR__PURGE_INFLIGHT)
        return;
    w->too_large = w->too_large || m->err == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE;
    (void)fail(w, w->topic, rd_kafka_err2str(m->err));
}

static void on_error(rd_kafka_t *client, int error, const char *reason, void *opaque)
{
    (void)client;
    (void)opaque;
    log_debug("kafka", "writing dead letters: %s: %s", rd_kafka_err2name((rd_kafka_resp_err_t)error), reason);
}

/* --- steps that may have to be repeated --- */

typedef rd_kafka_error_t *(*step)(struct letter_writer *w, void *context, int wait_ms);

static bool persist(struct letter_writer *w, const char *what, step take, void *context, int patience_ms)
{
    uint64_t deadline = clock_monotonic_ms() + (uint64_t)patience_ms;
    for (;;) {
        rd_kafka_error_t *error = take(w, context, STEP_MS);
        if (!error)
            return true;
        bool again = rd_kafka_error_is_retriable(error) && !atomic_load(w->stopping) &&
                     clock_monotonic_ms() < deadline;
        if (!again)
            (void)rd_kafka_poll(w->producer, 0); /* a letter's own fault says more than the transaction's */
        if (!again && !*w->trouble)
            (void)fail(w, what, rd_kafka_error_string(error));
        rd_kafka_error_destroy(error);
        if (!again)
            return false;
    }
}

static rd_kafka_error_t *init(struct letter_writer *w, void *context, int wait_ms)
{
    (void)context;
    return rd_kafka_init_transactions(w->producer, wait_ms);
}

static rd_kafka_error_t *begin(struct letter_writer *w, void *context, int wait_ms)
{
    (void)context;
    (void)wait_ms;
    return rd_kafka_begin_transaction(w->producer);
}

struct progress {
    const rd_kafka_topic_partition_list_t *offsets;
    rd_kafka_consumer_group_metadata_t *member;
};

static rd_kafka_error_t *send_offsets(struct letter_writer *w, void *context, int wait_ms)
{
    const struct progress *p = context;
    return rd_kafka_send_offsets_to_transaction(w->producer, p->offsets, p->member, wait_ms);
}

static rd_kafka_error_t *commit(struct letter_writer *w, void *context, int wait_ms)
{
    (void)context;
    return rd_kafka_commit_transaction(w->producer, wait_ms);
}

static rd_kafka_error_t *undo(struct letter_writer *w, void *context, int wait_ms)
{
    (void)context;
    return rd_kafka_abort_transaction(w->producer, wait_ms);
}

/* --- the producer --- */

static void close_producer(struct letter_writer *w)
{
    if (!w->producer)
        return;
    (void)rd_kafka_purge(w->producer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    rd_kafka_destroy(w->producer);
    w->producer = NULL;
}

static bool open_producer(struct letter_writer *w)
{
    char text[256];
    w->producer = kafka_client_create(RD_KAFKA_PRODUCER, w->conf, text, sizeof text);
    if (!w->producer)
        return fail(w, "librdkafka does not start", text);
    if (persist(w, "no transactions", init, NULL, PATIENCE_MS))
        return true;
    close_producer(w);
    return false;
}

static bool ensure_begun(struct letter_writer *w)
{
    if (w->begun)
        return true;
    w->trouble[0] = '\0';
    w->too_large = false;
    w->count = w->bytes = 0;
    if (!w->producer && !open_producer(w))
        return false;
    w->begun = persist(w, "no transaction", begin, NULL, 0);
    return w->begun;
}

/* --- a letter --- */

static size_t weight_of(const rd_kafka_message_t *m, rd_kafka_headers_t *headers)
{
    size_t weight = m->len + m->key_len, size;
    const char *name;
    const void *value;
    for (size_t i = 0;
         rd_kafka_header_get_all(headers, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR; i++)
        weight += strlen(name) + size;
    return weight;
}

/* Of a letter that was sent back to its topic and is bad again, the older coordinates give way. */
static void put(rd_kafka_headers_t *headers, const char *name, struct slice value)
{
    (void)rd_kafka_header_remove(headers, name);
    CHECK(!rd_kafka_header_add(headers, name, -1, value.data, (ssize_t)value.size));
}

static void put_number(rd_kafka_headers_t *headers, const char *name, int64_t number)
{
    char text[NUMBER_BYTES];
    (void)snprintf(text, sizeof text, "%lld", (long long)number);
    put(headers, name, slice_of(text));
}

static void put_coordinates(
    rd_kafka_headers_t *headers, const rd_kafka_message_t *m, const struct kafka_verdict *verdict)
{
    put(headers, "dlq-topic", slice_of(rd_kafka_topic_name(m->rkt)));
    put_number(headers, "dlq-partition", m->partition);
    put_number(headers, "dlq-offset", m->offset);
    put_number(headers, "dlq-timestamp", kafka_message_time(m));
    put(headers, "dlq-reason", slice_of(verdict->reason));
    put(headers, "dlq-detail", verdict->detail);
    (void)rd_kafka_header_remove(headers, "dlq-pointer");
    (void)rd_kafka_header_remove(headers, "dlq-omitted");
    if (verdict->pointer.data)
        put(headers, "dlq-pointer", verdict->pointer);
}

static rd_kafka_headers_t *headers_of(const rd_kafka_message_t *m)
{
    rd_kafka_headers_t *headers;
    if (rd_kafka_message_headers(m, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR)
        return rd_kafka_headers_copy(headers);
    return rd_kafka_headers_new(8);
}

static rd_kafka_resp_err_t produce(
    struct letter_writer *w, const rd_kafka_message_t *m, bool bare, rd_kafka_headers_t *headers)
{
    struct slice key = {m->key, m->key_len}, value = {m->payload, m->len};
    if (bare)
        key = value = (struct slice){NULL, 0};
    /* RD_KAFKA_V_VALUE takes a pointer to non-const, but with F_COPY only reads it. */
    return rd_kafka_producev(w->producer, RD_KAFKA_V_TOPIC(w->topic),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_VALUE((void *)(uintptr_t)value.data, value.size),
        RD_KAFKA_V_KEY(key.data, key.size), RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_END);
}

bool letter_writer_add(
    struct letter_writer *w, const rd_kafka_message_t *record, const struct kafka_verdict *verdict)
{
    if (!ensure_begun(w))
        return false;
    CHECK(w->count < LETTERS_MAX); /* the caller has asked letter_writer_full */
    rd_kafka_headers_t *headers = headers_of(record);
    size_t weight = weight_of(record, headers);
    bool bare = weight > w->weight_max;
    if (bare) {
        rd_kafka_headers_destroy(headers);
        headers = rd_kafka_headers_new(8);
    }
    put_coordinates(headers, record, verdict);
    if (bare)
        put_number(headers, "dlq-omitted", (int64_t)weight);
    w->letters[w->count++] =
        (struct letter){metric_label(METRIC_DEAD_LETTERS, verdict->reason), bare ? 0 : weight};
    w->bytes += bare ? 0 : weight;
    rd_kafka_resp_err_t error = produce(w, record, bare, headers);
    if (!error)
        return true;
    /* For a topic that does not exist librdkafka before 2.12 has freed them, against its word. */
    if (error != RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC && error != RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION)
        rd_kafka_headers_destroy(headers);
    w->too_large = error == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE;
    return fail(w, w->topic, rd_kafka_err2str(error));
}

size_t letter_writer_count(const struct letter_writer *w)
{
    return w->begun ? w->count : 0;
}

bool letter_writer_full(const struct letter_writer *w)
{
    size_t most = w->singles > 0 ? 1 : LETTERS_MAX;
    return letter_writer_count(w) >= most || (w->begun && w->bytes >= LETTERS_BYTES_MAX);
}

/* --- the end of a transaction --- */

bool letter_writer_commit(
    struct letter_writer *w, rd_kafka_t *consumer, const rd_kafka_topic_partition_list_t *offsets)
{
    if (!ensure_begun(w))
        return false;
    struct progress p = {offsets, rd_kafka_consumer_group_metadata(consumer)};
    bool done = persist(w, "offsets are refused", send_offsets, &p, PATIENCE_MS) &&
                persist(w, "no commit", commit, NULL, PATIENCE_MS);
    rd_kafka_consumer_group_metadata_destroy(p.member);
    if (!done)
        return false;
    for (size_t i = 0; i < w->count; i++)
        metric_add(w->letters[i].counter, 1);
    w->begun = w->adapted = false;
    w->singles -= w->singles > 0 && w->count > 0;
    if (w->count > 0)
        w->weight_max = SIZE_MAX; /* the topic may take more by the next time */
    return true;
}

/* First a letter goes alone, then without what the record carried. When even that is too large, size is not
   what ails the topic. */
static void learn_size(struct letter_writer *w)
{
    bool alone = w->count == 1, bare = alone && w->letters[0].weight == 0;
    w->adapted = w->too_large && !bare;
    if (w->too_large && !alone)
        w->singles = SINGLES;
    else if (w->too_large)
        w->weight_max = bare ? SIZE_MAX : w->letters[0].weight - 1;
    w->too_large = false;
}

bool letter_writer_abort(struct letter_writer *w)
{
    bool undone = !w->begun;
    int patience = atomic_load(w->stopping) ? STOPPING_ABORT_MS : ABORT_MS;
    if (w->begun) {
        char trouble[LETTERS_TROUBLE_BYTES];
        memcpy(trouble, w->trouble, sizeof trouble);
        undone = persist(w, "no abort", undo, NULL, patience);
        memcpy(w->trouble, trouble, sizeof trouble);
    }
    learn_size(w);
    w->begun = false;
    if (!undone)
        close_producer(w);
    return undone;
}

bool letter_writer_adapted(const struct letter_writer *w)
{
    return w->adapted;
}

const char *letter_writer_trouble(const struct letter_writer *w)
{
    return w->trouble;
}

/* --- life --- */

static long number_of(const rd_kafka_conf_t *conf, const char *name)
{
    char text[NUMBER_BYTES] = "";
    size_t size = sizeof text;
    CHECK(rd_kafka_conf_get(conf, name, text, &size) == RD_KAFKA_CONF_OK);
    return strtol(text, NULL, 10);
}

/* What cannot be written is given up before the brokers give up the transaction. */
static void limit_waiting(rd_kafka_conf_t *conf)
{
    char text[NUMBER_BYTES];
    long transaction = number_of(conf, "transaction.timeout.ms"),
         socket = number_of(conf, "socket.timeout.ms");
    (void)snprintf(text, sizeof text, "%ld", transaction / 2);
    kafka_conf_force(conf, "message.timeout.ms", text);
    (void)snprintf(text, sizeof text, "%ld", socket < transaction ? socket : transaction);
    kafka_conf_force(conf, "socket.timeout.ms", text);
}

struct letter_writer *letter_writer_create(
    const struct kafka_settings *settings, const char *topic, const char *id, const atomic_bool *stopping)
{
    char fault[512];
    struct letter_writer *w = xcalloc(1, sizeof *w);
    w->conf = kafka_conf_create(RD_KAFKA_PRODUCER, settings, fault, sizeof fault);
    CHECK(w->conf);
    kafka_conf_force(w->conf, "transactional.id", id);
    limit_waiting(w->conf);
    kafka_conf_force(w->conf, "message.max.bytes", MESSAGE_BYTES_MAX);
    kafka_conf_force(w->conf, "linger.ms", "5");
    rd_kafka_conf_set_opaque(w->conf, w);
    rd_kafka_conf_set_error_cb(w->conf, on_error);
    rd_kafka_conf_set_dr_msg_cb(w->conf, on_delivered);
    w->topic = xstrndup(topic, strlen(topic));
    w->stopping = stopping;
    w->weight_max = SIZE_MAX;
    return w;
}

void letter_writer_destroy(struct letter_writer *w)
{
    if (!w)
        return;
    if (w->begun)
        (void)letter_writer_abort(w);
    close_producer(w);
    rd_kafka_conf_destroy(w->conf);
    free(w->topic);
    free(w);
}
