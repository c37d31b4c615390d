#include "causeway/catalogue.h"
#include "causeway/cli.h"
#include "causeway/edits.h"
#include "causeway/json.h"
#include "causeway/kafka.h"
#include "causeway/memory.h"
#include "causeway/route.h"
#include "causeway/yaml.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { ACKNOWLEDGED_MS = 10000 };

static const char usage[] =
    "usage: causeway publish --type TYPE [--topic T] [--key K] [--header NAME=VALUE]... [--brokers B]\n"
    "                        [--set NAME=VALUE]... [FILE|-]\n"
    "Publishes one event to Kafka: the payload is the JSON in FILE or on standard input. It is checked "
    "against the\n"
    "catalogue as serve would check it. Prints topic, partition and offset once all in-sync replicas have "
    "it.\n"
    "  --type TYPE          the event's type, a message name of a Kafka channel\n"
    "  --topic T            needed only for a type that stands in several topics\n"
    "  --key K              record key; events with one key stay in order\n"
    "  --header NAME=VALUE  further record headers, such as those that rooms are named after\n"
    "  --brokers B          instead of KAFKA_BROKERS\n"
    "  --set NAME=VALUE     one setting\n"
    "Exit status: 0 published, 1 refused or failed, 2 wrong usage, 78 wrong settings or catalogue.\n";

struct event {
    const char *type, *topic, *path;
    const char **overrides;
    size_t override_count;
    char *brokers; /* what --brokers became, one of the overrides */
    struct record record;
    struct buffer payload;
};

static int misuse(const char *option, const char *why)
{
    fprintf(stderr, "causeway: %s: %s\n", option, why);
    return EXIT_USAGE;
}

static int add_header(struct record *r, const char *argument)
{
    const char *equals = strchr(argument, '=');
    if (!equals || equals == argument)
        return misuse("--header", "must be NAME=VALUE");
    struct slice name = {argument, (size_t)(equals - argument)};
    if (slice_is(name, "type") || slice_is(name, "ce_type"))
        return misuse("--header", "the type is what --type says");
    if (r->header_count == RECORD_HEADERS_MAX)
        return misuse("--header", "too many");
    r->headers[r->header_count++] = (struct record_header){name, slice_of(equals + 1)};
    return -1;
}

static void set_brokers(struct event *e, const char *brokers)
{
    struct buffer text = {0};
    buffer_print(&text, "KAFKA_BROKERS=%s", brokers);
    free(e->brokers);
    e->brokers = xstrdup(buffer_text(&text));
    buffer_finish(&text);
}

static const struct option options[] = {
    {"type", required_argument, NULL, 'y'},
    {"topic", required_argument, NULL, 't'},
    {"key", required_argument, NULL, 'k'},
    {"header", required_argument, NULL, 'H'},
    {"brokers", required_argument, NULL, 'b'},
    {"set", required_argument, NULL, 's'},
    {"help", no_argument, NULL, 'h'},
    {0},
};

/* -1: go on; else the exit status. */
static int take_option(struct event *e, int option)
{
    switch (option) {
    case 'y':
        e->type = optarg;
        return -1;
    case 't':
        e->topic = optarg;
        return -1;
    case 'k':
        e->record.key = slice_of(optarg);
        return -1;
    case 'H':
        return add_header(&e->record, optarg);
    case 'b':
        set_brokers(e, optarg);
        return -1;
    case 's':
        e->overrides[e->override_count++] = optarg;
        return -1;
    default:
        fputs(usage, option == 'h' ? stdout : stderr);
        return option == 'h' ? 0 : EXIT_USAGE;
    }
}

static int parse(int argc, char **argv, struct event *e)
{
    int option, status = -1;
    e->record.headers[e->record.header_count++].name = SLICE("type");
    while (status < 0 && (option = getopt_long(argc, argv, "", options, NULL)) != -1)
        status = take_option(e, option);
    if (status >= 0)
        return status;
    if (!e->type || !*e->type || argc - optind > 1) {
        fputs(usage, stderr);
        return EXIT_USAGE;
    }
    e->record.headers[0].value = slice_of(e->type);
    e->path = optind < argc ? argv[optind] : "-";
    if (e->brokers)
        e->overrides[e->override_count++] = e->brokers;
    return -1;
}

/* --- the payload --- */

static bool read_payload(struct event *e, size_t limit)
{
    bool standard = strcmp(e->path, "-") == 0;
    FILE *file = standard ? stdin : fopen(e->path, "re");
    size_t n = file ? 1 : 0;
    while (n > 0 && e->payload.size <= limit) {
        n = fread(buffer_reserve(&e->payload, 65536), 1, 65536, file);
        e->payload.size += n;
    }
    bool fine = file && !ferror(file);
    if (!fine)
        fprintf(stderr, "causeway: %s: %s\n", standard ? "standard input" : e->path, strerror(errno));
    else if (e->payload.size > limit)
        fprintf(stderr, "causeway: the payload is larger than EVENT_MAX_BYTES (%zu)\n", limit);
    if (file && !standard)
        (void)fclose(file);
    return fine && e->payload.size <= limit;
}

/* The blanks around the JSON, such as the newline at the end of a file, are not part of the event. */
static struct slice trimmed(struct slice s)
{
    while (s.size > 0 && strchr(" \t\r\n", s.data[s.size - 1]))
        s.size--;
    while (s.size > 0 && strchr(" \t\r\n", s.data[0]))
        s = (struct slice){s.data + 1, s.size - 1};
    return s;
}

static bool is_json(struct slice text)
{
    struct json json = {0};
    bool fine = json_scan(&json, text.data, text.size);
    if (!fine) {
        int line = 1, column = 1;
        for (size_t i = 0; i < json.fault_at && i < text.size; i++) {
            column = text.data[i] == '\n' ? 1 : column + 1;
            line += text.data[i] == '\n';
        }
        fprintf(
            stderr, "causeway: the payload is not JSON: line %d, column %d: %s\n", line, column, json.fault);
    }
    json_finish(&json);
    return fine;
}

/* --- the catalogue --- */

static struct catalogue *load_catalogue(const char *path)
{
    struct buffer fault = {0};
    struct catalogue_faults faults = {0};
    struct document *document = yaml_document_load(path, &fault);
    struct catalogue *catalogue = document ? catalogue_compile(document, &faults) : NULL;
    if (!catalogue)
        fputs(document ? buffer_text(&faults.text) : buffer_text(&fault), stderr);
    if (!document)
        fputc('\n', stderr);
    catalogue_faults_finish(&faults);
    document_destroy(document);
    buffer_finish(&fault);
    return catalogue;
}

static struct slice nearest_type(const struct catalogue *c, struct slice type)
{
    const struct topic *topics;
    size_t count = catalogue_topics(c, &topics), least = SIZE_MAX;
    struct slice nearest = {0};
    for (size_t i = 0; i < count; i++) {
        for (size_t m = 0; m < topics[i].message_count; m++) {
            size_t edits = edits_between(type, topics[i].messages[m].type);
            if (edits < least) {
                least = edits;
                nearest = topics[i].messages[m].type;
            }
        }
    }
    return nearest;
}

/* How many topics carry the type; `names` gets them all, `one` the last. */
static size_t carriers(const struct catalogue *c, struct slice type, struct buffer *names, struct slice *one)
{
    const struct topic *topics;
    size_t count = catalogue_topics(c, &topics), found = 0;
    for (size_t i = 0; i < count; i++) {
        if (!topic_find_message(&topics[i], type))
            continue;
        if (found++ > 0)
            buffer_add_text(names, ", ");
        buffer_add_slice(names, topics[i].name);
        *one = topics[i].name;
    }
    return found;
}

/* Finds the event's topic; false: told why there is none. */
static bool choose_topic(struct event *e, const struct catalogue *c)
{
    struct slice type = slice_of(e->type), only = {0};
    struct buffer names = {0};
    size_t found = carriers(c, type, &names, &only);
    const struct topic *asked = e->topic ? catalogue_find_topic(c, slice_of(e->topic)) : NULL;
    bool fine = false;
    if (found == 0) {
        struct slice nearest = nearest_type(c, type);
        fprintf(stderr, "causeway: the catalogue has no event type %s%s%.*s%s\n", e->type,
            nearest.size ? "; did you mean " : "", SLICE_ARGS(nearest), nearest.size ? "?" : "");
    } else if (e->topic && !(asked && topic_find_message(asked, type))) {
        fprintf(stderr, "causeway: topic %s of the catalogue does not carry %s; it belongs to %s\n", e->topic,
            e->type, buffer_text(&names));
    } else if (!e->topic && found > 1) {
        fprintf(stderr, "causeway: %s belongs to several topics, name one with --topic: %s\n", e->type,
            buffer_text(&names));
    } else {
        e->record.topic = asked ? asked->name : only;
        fine = true;
    }
    buffer_finish(&names);
    return fine;
}

/* What serve would say of the record. */
static bool would_be_routed(const struct event *e, const struct catalogue *c, size_t event_max_bytes)
{
    struct router *router = router_create(event_max_bytes);
    struct routed routed = {0};
    enum reject reject = route_record(router, c, &e->record, &routed);
    if (reject == REJECT_IGNORED)
        fprintf(stderr, "causeway: note: %s\n", reject_text(reject));
    else if (reject != REJECT_NONE)
        fprintf(stderr, "causeway: the bridge would reject this (%s): %s%s%.*s\n", reject_label(reject),
            reject_text(reject), routed.detail.size ? ": " : "", SLICE_ARGS(routed.detail));
    router_destroy(router);
    return reject == REJECT_NONE || reject == REJECT_IGNORED;
}

/* --- Kafka --- */

static int publish(struct event *e, const struct config *config)
{
    char fault[512];
    struct kafka_property *properties = xcalloc(config->kafka_count + 1, sizeof *properties);
    for (size_t i = 0; i < config->kafka_count; i++)
        properties[i] = (struct kafka_property){config->kafka[i].name, config->kafka[i].value};
    struct kafka_settings settings = {config->kafka_brokers, properties, config->kafka_count};
    int status = 1;
    if (!kafka_settings_check(&settings, fault, sizeof fault))
        status = EXIT_SETTINGS;
    else if (kafka_publish(&settings, &e->record, ACKNOWLEDGED_MS, fault, sizeof fault))
        status = 0;
    free(properties);
    if (status == 0)
        printf("%.*s %" PRId32 " %" PRId64 "\n", SLICE_ARGS(e->record.topic), e->record.partition,
            e->record.offset);
    else
        fprintf(stderr, "causeway: not published: %s\n", fault);
    return status;
}

static int check_and_publish(struct event *e, const struct config *config)
{
    size_t limit = (size_t)config->event_max_bytes;
    struct catalogue *catalogue = load_catalogue(config->catalogue);
    if (!catalogue)
        return EXIT_SETTINGS;
    int status = 1;
    if (choose_topic(e, catalogue) && read_payload(e, limit)) {
        e->record.partition = -1;
        e->record.value = trimmed(buffer_slice(&e->payload));
        if (is_json(e->record.value) && would_be_routed(e, catalogue, limit))
            status = publish(e, config);
    }
    catalogue_release(catalogue);
    return status;
}

int cli_publish(int argc, char **argv)
{
    struct event e = {.overrides = xcalloc((size_t)argc + 2, sizeof(char *))};
    int status = parse(argc, argv, &e);
    if (status < 0) {
        /* Nothing here needs the secret, so a short one is no reason to refuse. */
        struct config *config = cli_config(e.overrides, true, false);
        status = config ? check_and_publish(&e, config) : EXIT_SETTINGS;
        config_destroy(config);
    }
    buffer_finish(&e.payload);
    free(e.brokers);
    free(e.overrides);
    return status;
}
