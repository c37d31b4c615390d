/* What one record costs before it stands in the log: scanned, held against its schema, routed; beside cJSON,
   which only parses it. And what it costs with many rooms and sessions that it does not concern, from the
   record to the end of a loop's turn. All in this process, on one core, in rounds that take turns. Prints
   lines "name nanoseconds": the median over the rounds. */
#include "causeway/fanout.h"
#include "causeway/journal.h"
#include "causeway/json.h"
#include "causeway/memory.h"
#include "causeway/yaml.h"

#include <cjson/cJSON.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { ROUNDS = 201, REPEATS = 500, EVENT_BYTES = 400, EVENT_MAX = 1 << 20, NONCE = 0x1234567 };

static const char event[] =
    "{\"id\":456,\"order_number\":\"1234\",\"user_id\":123,\"city_id\":1,\"status\":\"pending\",\"total\":"
    "1500,"
    "\"bonuses_earned\":75,\"delivery_type\":\"delivery\",\"delivery_address\":\"12 Riverside "
    "Lane, flat "
    "7\",\"payment_method\":\"card\",\"comment\":\"Please\",\"items\":[{\"product_id\":31,\"name\":"
    "\"Goulash\",\"quantity\":2,\"price\":550},{\"product_id\":48,\"name\":\"Cheesecake\",\"quantity\":1,"
    "\"price\":"
    "400}],\"created_at\":\"2024-01-15T10:24:31.102Z\"}";

struct bench {
    struct catalogue *catalogue;
    struct router *router;
    struct record enforced, plain;
    struct json json;
    cJSON *trees[REPEATS];
};

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void report(const char *name, double *rounds)
{
    qsort(rounds, ROUNDS, sizeof *rounds, compare_doubles);
    printf("%s %.1f\n", name, rounds[ROUNDS / 2]);
}

/* --- one record --- */

static void parse_with_cjson(struct bench *b)
{
    for (int i = 0; i < REPEATS; i++)
        b->trees[i] = cJSON_ParseWithLength(event, EVENT_BYTES);
}

static void drop_trees(struct bench *b)
{
    for (int i = 0; i < REPEATS; i++) {
        CHECK(b->trees[i]);
        cJSON_Delete(b->trees[i]);
    }
}

static void scan(struct bench *b)
{
    for (int i = 0; i < REPEATS; i++)
        CHECK(json_scan(&b->json, event, EVENT_BYTES));
}

static void route(struct bench *b, const struct record *record)
{
    struct routed routed;
    for (int i = 0; i < REPEATS; i++)
        CHECK(route_record(b->router, b->catalogue, record, &routed) == REJECT_NONE &&
              routed.delivery_count == 1);
}

static void route_enforced(struct bench *b)
{
    route(b, &b->enforced);
}

static void route_plain(struct bench *b)
{
    route(b, &b->plain);
}

static const struct step {
    const char *name;
    void (*run)(struct bench *b);
    void (*after)(struct bench *b); /* not measured */
} steps[] = {
    {"cjson_parse", parse_with_cjson, drop_trees},
    {"scan", scan, NULL},
    {"scan_route", route_plain, NULL},
    {"scan_validate_route", route_enforced, NULL},
};

enum { STEPS = sizeof steps / sizeof steps[0] };

static void measure_record(struct bench *b)
{
    static double rounds[STEPS][ROUNDS];
    for (int r = 0; r < ROUNDS; r++) {
        for (int s = 0; s < STEPS; s++) {
            uint64_t began = now_ns();
            steps[s].run(b);
            rounds[s][r] = (double)(now_ns() - began) / REPEATS;
            if (steps[s].after)
                steps[s].after(b);
        }
    }
    for (int s = 0; s < STEPS; s++)
        report(steps[s].name, rounds[s]);
}

/* --- many rooms --- */

static size_t take_all(void *transport, const struct iovec *parts, int count)
{
    size_t size = 0;
    (void)transport;
    for (int i = 0; i < count; i++)
        size += parts[i].iov_len;
    return size;
}

static void ignore_end(void *transport, struct session *s)
{
    (void)transport;
    (void)s;
}

static const struct transport_hooks hooks = {.write = take_all, .arrived = ignore_end};

struct house {
    struct rooms *rooms;
    struct partitions *partitions;
    struct journal *journal;
    struct fanout *fanout;
    struct session **sessions;
    size_t count;
    uint32_t partition;
    int64_t offset;
};

/* As many sessions, each in a room of its own, none of which any order goes to. */
static struct house build(size_t count)
{
    struct house h = {.rooms = rooms_create(), .partitions = partitions_create(), .count = count};
    struct hotlog_settings settings = {.bytes = 16 << 20, .entries = 1 << 16, .readers = 2};
    h.journal = journal_create(&settings, h.rooms, h.partitions, NONCE);
    h.partition = partitions_get(h.partitions, SLICE("plain.v1"), 0, 0);
    journal_advance(h.journal, h.partition, 0, NULL);
    struct hotlog *log = journal_log(h.journal);
    h.fanout = fanout_create(&log, 1, h.rooms);
    h.sessions = xcalloc(count, sizeof(struct session *));
    for (size_t i = 0; i < count; i++) {
        char name[32];
        snprintf(name, sizeof name, "user-%zu", i);
        h.sessions[i] = session_create(h.fanout, 0, &hooks, NULL);
        CHECK(session_join(h.sessions[i], slice_of(name)));
        session_start(h.sessions[i]);
    }
    while (fanout_turn(h.fanout))
        ;
    return h;
}

static void tear_down(struct house *h)
{
    for (size_t i = 0; i < h->count; i++)
        session_destroy(h->sessions[i]);
    free(h->sessions);
    fanout_destroy(h->fanout);
    journal_destroy(h->journal);
    partitions_destroy(h->partitions);
    rooms_destroy(h->rooms);
}

static void carry(struct bench *b, struct house *h)
{
    for (int i = 0; i < REPEATS; i++) {
        struct routed routed;
        size_t appended = 0;
        struct record record = b->plain;
        record.offset = h->offset++;
        CHECK(route_record(b->router, b->catalogue, &record, &routed) == REJECT_NONE);
        CHECK(journal_append(h->journal, b->catalogue, h->partition, &record, &routed, &appended) &&
              appended == 1);
        journal_advance(h->journal, h->partition, h->offset, &record);
        journal_publish(h->journal);
        while (fanout_turn(h->fanout))
            ;
    }
}

static void measure_rooms(struct bench *b)
{
    static const size_t counts[] = {10, 1000, 100000};
    enum { HOUSES = sizeof counts / sizeof counts[0] };
    static double rounds[HOUSES][ROUNDS];
    struct house houses[HOUSES];
    for (int i = 0; i < HOUSES; i++)
        houses[i] = build(counts[i]);
    for (int r = 0; r < ROUNDS; r++) {
        for (int i = 0; i < HOUSES; i++) {
            uint64_t began = now_ns();
            carry(b, &houses[i]);
            rounds[i][r] = (double)(now_ns() - began) / REPEATS;
        }
    }
    for (int i = 0; i < HOUSES; i++) {
        char name[32];
        snprintf(name, sizeof name, "rooms_%zu", counts[i]);
        report(name, rounds[i]);
        tear_down(&houses[i]);
    }
}

int main(int argc, char **argv)
{
    static const cpu_set_t first = {{1}};
    static struct bench b;
    struct buffer fault = {0};
    struct catalogue_faults faults = {0};
    CHECK(argc == 2 && sizeof event - 1 == EVENT_BYTES);
    (void)sched_setaffinity(0, sizeof first, &first);
    struct document *document = yaml_document_load(argv[1], &fault);
    b.catalogue = document ? catalogue_compile(document, &faults) : NULL;
    document_destroy(document);
    if (!b.catalogue) {
        fprintf(stderr, "%s%s\n", buffer_text(&fault), buffer_text(&faults.text));
        return 1;
    }
    b.router = router_create(EVENT_MAX);
    b.plain = (struct record){.topic = SLICE("plain.v1"),
        .time_ms = 1705314600000,
        .value = {event, EVENT_BYTES},
        .headers = {{SLICE("ce_type"), SLICE("order.created")}},
        .header_count = 1};
    b.enforced = b.plain;
    b.enforced.topic = SLICE("enforced.v1");
    measure_record(&b);
    measure_rooms(&b);
    router_destroy(b.router);
    catalogue_release(b.catalogue);
    json_finish(&b.json);
    buffer_finish(&fault);
    return 0;
}
