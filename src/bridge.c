/* The product on one page: what there is, in the order in which it is started. */
#include "causeway/bridge.h"

#include "bridge/gate.h"
#include "bridge/history.h"
#include "bridge/ingest.h"
#include "bridge/invalidations.h"
#include "bridge/letters.h"
#include "bridge/reload.h"
#include "bridge/rights.h"
#include "bridge/stand_in.h"
#include "bridge/state.h"
#include "bridge/sweep.h"

#include "causeway/log.h"
#include "causeway/memory.h"
#include "causeway/random.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    KAFKA_BATCH_MAX = 500,
    FRAME_BYTES_EXPECTED = 256, /* how many entries the hot log has slots for: its bytes divided by this */
    STEP_US = 10000,
};

static struct kafka_settings kafka_settings_of(const struct config *config, struct kafka_property *properties)
{
    for (size_t i = 0; i < config->kafka_count; i++)
        properties[i] = (struct kafka_property){config->kafka[i].name, config->kafka[i].value};
    return (struct kafka_settings){config->kafka_brokers, properties, config->kafka_count};
}

static bool check_kafka(const struct config *config, struct buffer *fault)
{
    char text[256];
    struct kafka_property *properties = xcalloc(config->kafka_count + 1, sizeof *properties);
    struct kafka_settings settings = kafka_settings_of(config, properties);
    bool fine = kafka_settings_check(&settings, text, sizeof text);
    if (!fine)
        buffer_add_text(fault, text);
    free(properties);
    return fine;
}

/* The URL itself; whether anybody answers there is found out later. */
static bool check_database(const struct config *config, struct buffer *fault)
{
    buffer_add_text(fault, "DATABASE_URL: ");
    bool fine = postgres_check_url(config->database_url, fault);
    if (fine)
        buffer_clear(fault);
    return fine;
}

static uint32_t entries_for(size_t bytes)
{
    uint32_t entries = 1024;
    while (entries < bytes / FRAME_BYTES_EXPECTED && entries < 1U << 30)
        entries *= 2;
    return entries;
}

static void start_logs(struct bridge *b, unsigned loops)
{
    b->rooms = rooms_create();
    b->partitions = partitions_create();
    b->journal_count = 1 + (unsigned)b->config->catch_up_readers;
    for (unsigned i = 0; i < b->journal_count; i++) {
        size_t bytes = (size_t)(i == 0 ? b->config->hot_log_bytes : b->config->catch_up_bytes);
        struct hotlog_settings settings = {bytes, entries_for(bytes), loops};
        b->journals[i] = journal_create(&settings, b->rooms, b->partitions, random_u64());
    }
}

static void start_limits(struct bridge *b)
{
    const struct config *c = b->config;
    const uint32_t most[LIMIT_COUNT] = {
        [LIMIT_MESSAGES] = (uint32_t)c->message_rate,
        [LIMIT_USER_MESSAGES] = (uint32_t)c->message_rate_user,
        [LIMIT_ADDRESS_MESSAGES] = (uint32_t)c->message_rate_address,
        [LIMIT_JOINS] = (uint32_t)c->join_rate,
        [LIMIT_USER_JOINS] = (uint32_t)c->join_rate_user,
        [LIMIT_USER_CONNECTIONS] = (uint32_t)c->connections_user,
        [LIMIT_ADDRESS_CONNECTS] = (uint32_t)c->connect_rate_address,
        [LIMIT_ADDRESS_UNAUTHENTICATED] = (uint32_t)c->unauthenticated_address,
        [LIMIT_ADDRESS_FAILURES] = (uint32_t)c->login_failures_address,
    };
    b->limits = limits_create(most);
}

static void start_postgres(struct bridge *b)
{
    struct postgres_settings settings = {
        .url = b->config->database_url,
        .connections = (unsigned)b->config->database_pool,
        .answer_timeout_ms = (unsigned)b->config->hold_timeout * 1000,
        .channel = "causeway_grants",
        .notified = rights_notified,
        .owner = b,
    };
    b->postgres = postgres_create(&settings);
}

/* @thread start. What cursors point to would be lost: ends the program, which then says so with its exit
 * status. */
static void refuse(struct bridge *b)
{
    char detail[256];
    if (!history_refused(b->history, detail, sizeof detail))
        return;
    log_error("bridge", "CHECKPOINT_TOPIC: %s", detail);
    atomic_store(&b->refused, true);
    kill(getpid(), SIGTERM);
}

/* @thread start: the source begins when the checkpoint topic has said which lives its partitions live, and
 * where the past that is still of use begins; Kafka may be away for long. */
static void *start_source(void *argument)
{
    struct bridge *b = argument;
    struct edition *edition = reload_current(b->reload);
    struct slice *names;
    size_t wanted = edition_topics(edition, &names);
    struct kafka_property *properties = xcalloc(b->config->kafka_count + 1, sizeof *properties);
    struct kafka_settings settings = kafka_settings_of(b->config, properties);
    if (history_wait(b->history)) {
        size_t found;
        struct kafka_source_start *starts =
            history_past(b->history, &settings, b->config->hot_log_bytes / FRAME_BYTES_EXPECTED, &found);
        atomic_store(&b->source, kafka_source_create(&settings, names, wanted, starts, found, KAFKA_BATCH_MAX,
                                     &ingest_hooks, b->ingest));
        free(starts);
    } else {
        refuse(b);
    }
    free(properties);
    free(names);
    edition_release(edition);
    return NULL;
}

static void start_kafka(struct bridge *b)
{
    struct kafka_property *properties = xcalloc(b->config->kafka_count + 1, sizeof *properties);
    struct kafka_settings settings = kafka_settings_of(b->config, properties);
    b->history = history_create(b, &settings);
    b->sweeps = sweeps_create(b, &settings);
    b->letters = letters_create(b, &settings);
    b->invalidations = invalidations_create(b, &settings);
    b->ingest = ingest_create(b);
    CHECK(pthread_create(&b->starter, NULL, start_source, b) == 0);
    free(properties);
}

/* @thread listener: one loop after the other gets the next connection. */
static void on_accepted(void *owner, int fd)
{
    struct bridge *b = owner;
    unsigned next = atomic_fetch_add_explicit(&b->next_worker, 1, memory_order_relaxed);
    worker_adopt(&b->workers[next % b->worker_count], fd, (struct slice){NULL, 0}, 0);
}

static bool start_listener(struct bridge *b, struct buffer *fault)
{
    struct listener_settings settings = {
        .host = b->config->host,
        .ports = b->config->port,
        .send_buffer = (int)b->config->socket_send_buffer,
    };
    b->listener = listener_create(&settings, on_accepted, b, fault);
    return b->listener != NULL;
}

static void stop_reading(struct bridge *b)
{
    stand_in_stop(b->stand_in);
    if (b->stand_in)
        return;
    history_give_up(b->history);
    pthread_join(b->starter, NULL);
    kafka_source_stop(atomic_load(&b->source)); /* the loops go on asking it */
}

static void stop_threads(struct bridge *b)
{
    stop_reading(b);
    for (unsigned i = 0; i < b->worker_count; i++)
        worker_stop(&b->workers[i]);
    invalidations_destroy(b->invalidations);
    letters_destroy(b->letters);
    if (!b->stand_in) {
        sweeps_stop(b->sweeps);
        history_stop(b->history);
    }
    postgres_destroy(
        b->postgres); /* its last answers are posted to loops that no longer run, and settled below */
    b->postgres = NULL;
    gate_stop(b->gate);
    for (unsigned i = 0; i < b->worker_count; i++)
        worker_finish(&b->workers[i]);
}

static void free_all(struct bridge *b)
{
    kafka_source_destroy(atomic_load(&b->source));
    ingest_destroy(b->ingest);
    gate_destroy(b->gate);
    for (unsigned i = 0; i < b->journal_count; i++)
        journal_destroy(b->journals[i]);
    partitions_destroy(b->partitions);
    stand_in_destroy(b->stand_in);
    history_destroy(b->history);
    sweeps_destroy(b->sweeps);
    rooms_destroy(b->rooms);
    limits_destroy(b->limits);
    reload_destroy(b->reload);
    free(b->workers);
    free(b);
}

struct bridge *bridge_create(const struct config *config, struct buffer *fault)
{
    if (!config->replay_examples && (!check_kafka(config, fault) || !check_database(config, fault)))
        return NULL;
    struct edition *edition = edition_load(config, fault);
    struct gate *gate = edition ? gate_create(config, fault) : NULL;
    if (!gate) {
        edition_release(edition);
        return NULL;
    }
    struct bridge *b = xcalloc(1, sizeof *b);
    b->config = config;
    b->reload = reload_create(b, edition);
    b->gate = gate;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    b->worker_count = config->loops ? (unsigned)config->loops : (unsigned)(cores > 0 ? cores : 1);
    b->workers = xcalloc(b->worker_count, sizeof *b->workers);
    start_logs(b, b->worker_count);
    start_limits(b);
    for (unsigned i = 0; i < b->worker_count; i++)
        worker_create(&b->workers[i], b);
    if (config->replay_examples) {
        b->stand_in = stand_in_create(b);
    } else {
        start_postgres(b);
        start_kafka(b);
    }
    for (unsigned i = 0; i < b->worker_count; i++)
        worker_start(&b->workers[i]);
    if (!start_listener(b, fault)) {
        stop_threads(b);
        free_all(b);
        return NULL;
    }
    return b;
}

void bridge_reload(struct bridge *b)
{
    log_info("bridge", "reloading");
    gate_reload(b->gate);
    reload_begin(b->reload);
}

void bridge_ports(const struct bridge *b, struct buffer *out)
{
    listener_ports(b->listener, out);
}

bool bridge_refused(const struct bridge *b)
{
    return atomic_load(&b->refused);
}

static size_t count_peers(struct bridge *b)
{
    size_t peers = 0;
    for (unsigned i = 0; i < b->worker_count; i++)
        peers += atomic_load(&b->workers[i].peers);
    return peers;
}

static void drain(struct bridge *b)
{
    atomic_store(&b->draining, true);
    log_info("bridge", "draining connections=%zu", count_peers(b));
    letters_stop(b->letters); /* whoever takes over waits for that */
    for (unsigned i = 0; i < b->worker_count; i++)
        worker_drain(&b->workers[i]);
    int64_t steps = b->config->drain_timeout * 1000000 / STEP_US;
    do
        usleep(STEP_US);
    while (count_peers(b) > 0 && steps-- > 0);
    log_info("bridge", "drained, left=%zu", count_peers(b));
}

void bridge_destroy(struct bridge *b)
{
    if (!b)
        return;
    drain(b);
    listener_destroy(b->listener);
    stop_threads(b);
    free_all(b);
}
