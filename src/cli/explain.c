#include "causeway/explain.h"

#include "causeway/cli.h"
#include "causeway/memory.h"
#include "causeway/postgres.h"
#include "causeway/yaml.h"

#include "captured.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

static const char usage[] =
    "usage: causeway explain --user ID [--topic TOPIC] [--set NAME=VALUE]... FILE|-\n"
    "Says whether a user would get an event now, and by which rule, or why not: by the catalogue of "
    "CATALOGUE and\n"
    "lookups in the database of DATABASE_URL. FILE has the record, as check-event reads them:\n"
    "  "
    "{\"topic\":\"orders.v1\",\"key\":\"456\",\"headers\":{\"ce_type\":\"order.created\"},\"value\":{...}}\n"
    "  --user ID      the user's id, as tokens have it\n"
    "  --topic TOPIC  of a record that names none\n"
    "Exit status: 0 he gets it, or would in a room that he may join; 1 he does not; 2 wrong usage, or no "
    "such\n"
    "file or record; 3 a lookup could not be run; 78 wrong settings or catalogue.\n";

enum { EXIT_UNKNOWN = 3, FILE_MAX = 64 << 20 };

struct question {
    const char *user, *topic, *path;
    const char **overrides;
    size_t override_count;
};

static struct rows *ask(
    void *owner, const struct lookup *lookup, const struct slice *params, size_t count, struct buffer *fault)
{
    const struct config *config = owner;
    return postgres_ask(config->database_url, lookup->sql, params, count, fault);
}

static bool read_all(const char *path, struct buffer *out)
{
    bool standard = strcmp(path, "-") == 0;
    FILE *file = standard ? stdin : fopen(path, "re");
    if (!file)
        return false;
    size_t n;
    do {
        n = fread(buffer_reserve(out, 65536), 1, 65536, file);
        out->size += n;
    } while (n > 0 && out->size < FILE_MAX);
    bool good = !ferror(file);
    if (!standard)
        (void)fclose(file);
    return good;
}

static int tell(
    const struct catalogue *c, const struct config *config, const struct record *record, const char *user)
{
    static const int statuses[] = {[EXPLAIN_NO] = 1, [EXPLAIN_UNKNOWN] = EXIT_UNKNOWN};
    struct router *router = router_create((size_t)config->event_max_bytes);
    struct routed routed;
    struct buffer out = {0};
    int status = 1;
    enum reject reject = route_record(router, c, record, &routed);
    if (reject != REJECT_NONE) {
        buffer_print(&out, "nobody gets it: %s: %s%s%.*s\n", reject_label(reject), reject_text(reject),
            routed.detail.size ? ": " : "", SLICE_ARGS(routed.detail));
    } else {
        static const struct explain_hooks hooks = {ask};
        enum explain_verdict verdict =
            explain_event(c, &routed, slice_of(user), &hooks, (void *)(uintptr_t)config, &out);
        status = verdict >= EXPLAIN_ON_REQUEST ? 0 : statuses[verdict];
    }
    fputs(buffer_text(&out), stdout);
    buffer_finish(&out);
    router_destroy(router);
    return status;
}

static int explain(const struct question *q, const struct catalogue *c, const struct config *config)
{
    struct buffer text = {0};
    struct captured *captured = xcalloc(1, sizeof *captured);
    struct record record;
    int status = EXIT_USAGE;
    if (!read_all(q->path, &text))
        fprintf(stderr, "causeway: %s: %s\n", q->path, strerror(errno));
    else if (!captured_read(captured, buffer_slice(&text), q->topic, &record))
        fprintf(stderr, "causeway: %s: %s\n", q->path,
            captured->json.fault ? captured->json.fault : "no JSON object");
    else
        status = tell(c, config, &record, q->user);
    captured_finish(captured);
    free(captured);
    buffer_finish(&text);
    return status;
}

static int run(const struct question *q)
{
    struct buffer fault = {0};
    struct catalogue_faults faults = {0};
    struct config *config = cli_config(q->overrides, true, false);
    struct document *document = config ? yaml_document_load(config->catalogue, &fault) : NULL;
    struct catalogue *catalogue = document ? catalogue_compile(document, &faults) : NULL;
    int status = EXIT_SETTINGS;
    if (catalogue)
        status = explain(q, catalogue, config);
    else if (config)
        fprintf(stderr, "causeway: CATALOGUE: %s%s\n", buffer_text(&fault), buffer_text(&faults.text));
    catalogue_release(catalogue);
    document_destroy(document);
    catalogue_faults_finish(&faults);
    buffer_finish(&fault);
    config_destroy(config);
    return status;
}

static int parse(int argc, char **argv, struct question *q)
{
    static const struct option options[] = {
        {"user", required_argument, NULL, 'u'},
        {"topic", required_argument, NULL, 't'},
        {"set", required_argument, NULL, 's'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'u')
            q->user = optarg;
        else if (option == 't')
            q->topic = optarg;
        else if (option == 's')
            q->overrides[q->override_count++] = optarg;
        else {
            fputs(usage, option == 'h' ? stdout : stderr);
            return option == 'h' ? 0 : EXIT_USAGE;
        }
    }
    if (q->user && argc - optind == 1) {
        q->path = argv[optind];
        return -1;
    }
    fputs(usage, stderr);
    return EXIT_USAGE;
}

int cli_explain(int argc, char **argv)
{
    struct question q = {.overrides = xcalloc((size_t)argc + 1, sizeof(char *))};
    int status = parse(argc, argv, &q);
    if (status < 0)
        status = run(&q);
    free(q.overrides);
    return status;
}
