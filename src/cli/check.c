#include "causeway/catalogue.h"
#include "causeway/cli.h"
#include "causeway/kafka.h"
#include "causeway/memory.h"
#include "causeway/postgres.h"
#include "causeway/token.h"
#include "causeway/yaml.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

static const char usage[] =
    "usage: causeway check [--catalogue FILE] [--database URL] [--set NAME=VALUE]...\n"
    "Checks the settings as serve reads them, and the catalogue: every fault with file, line and JSON "
    "pointer, also\n"
    "those with which serve would start: examples that break their schemas, events that nobody can receive.\n"
    "  --catalogue FILE  check only this document, not the settings\n"
    "  --database URL    also prepare every lookup's SQL there\n"
    "Exit status: 0 fine, 1 faults in the catalogue, 78 wrong settings.\n";

struct options {
    const char *catalogue, *database;
    const char **overrides;
    size_t count;
};

static int parse(int argc, char **argv, struct options *out)
{
    static const struct option options[] = {
        {"catalogue", required_argument, NULL, 'c'},
        {"database", required_argument, NULL, 'd'},
        {"set", required_argument, NULL, 's'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'c')
            out->catalogue = optarg;
        else if (option == 'd')
            out->database = optarg;
        else if (option == 's')
            out->overrides[out->count++] = optarg;
        else {
            fputs(usage, option == 'h' ? stdout : stderr);
            return option == 'h' ? 0 : EXIT_USAGE;
        }
    }
    return -1;
}

/* Where the lookup's SQL stands: "file:line: #/pointer". */
static void add_place(const struct document *d, struct slice lookup, struct buffer *out)
{
    const struct node *lookups = node_find(node_find(document_root(d, 0), "x-causeway"), "lookups");
    const struct node *sql = node_find(node_resolve(node_member(lookups, lookup)), "sql");
    buffer_print(out, "%s:%d: ", node_file(sql), node_line(sql));
    node_write_pointer(sql, out);
}

static size_t check_statements(const struct document *d, const struct catalogue *c, const char *url)
{
    const struct lookup *lookups;
    size_t count = catalogue_lookups(c, &lookups), faults = 0;
    for (size_t i = 0; i < count; i++) {
        struct buffer fault = {0};
        if (!postgres_check_statement(url, lookups[i].sql, lookups[i].param_count, &fault)) {
            struct buffer place = {0};
            add_place(d, lookups[i].name, &place);
            fprintf(stderr, "%s: lookup '%.*s': %s; the database must take the statement\n",
                buffer_text(&place), SLICE_ARGS(lookups[i].name), buffer_text(&fault));
            buffer_finish(&place);
            faults++;
        }
        buffer_finish(&fault);
    }
    return faults;
}

static void print_summary(const struct catalogue *c, const char *path)
{
    const struct topic *topics;
    const struct operation *operations;
    const struct room_pattern *rooms;
    printf("%s: %zu topics, %zu routes, %zu room patterns: fine\n", path, catalogue_topics(c, &topics),
        catalogue_operations(c, &operations), catalogue_rooms(c, &rooms));
}

static int check_catalogue(const char *path, const char *database)
{
    struct buffer fault = {0};
    struct catalogue_faults faults = {0};
    struct document *document = yaml_document_load(path, &fault);
    struct catalogue *catalogue = document ? catalogue_check(document, &faults) : NULL;
    size_t wrong = 0;
    if (!document)
        fprintf(stderr, "%s\n", buffer_text(&fault));
    else if (!catalogue)
        fprintf(stderr, "%s%zu faults\n", buffer_text(&faults.text), faults.count);
    else if (database)
        wrong = check_statements(document, catalogue, database);
    bool fine = catalogue && wrong == 0;
    if (fine)
        print_summary(catalogue, path);
    catalogue_faults_finish(&faults);
    catalogue_release(catalogue);
    document_destroy(document);
    buffer_finish(&fault);
    return fine ? 0 : 1;
}

static bool check_database(const struct config *config)
{
    struct buffer fault = {0};
    bool fine = postgres_check_url(config->database_url, &fault);
    if (!fine)
        fprintf(stderr, "causeway: DATABASE_URL: %s\n", buffer_text(&fault));
    buffer_finish(&fault);
    return fine;
}

static bool check_keys(const struct config *config)
{
    struct buffer fault = {0};
    struct token_settings settings = token_settings_of(config);
    struct token_verifier *v = token_verifier_create(&settings, &fault);
    if (!v)
        fprintf(stderr, "causeway: %s\n", buffer_text(&fault));
    token_verifier_destroy(v);
    buffer_finish(&fault);
    return v != NULL;
}

static bool check_kafka(const struct config *config)
{
    char fault[256];
    struct kafka_property *properties = xcalloc(config->kafka_count + 1, sizeof *properties);
    for (size_t i = 0; i < config->kafka_count; i++)
        properties[i] = (struct kafka_property){config->kafka[i].name, config->kafka[i].value};
    struct kafka_settings settings = {config->kafka_brokers, properties, config->kafka_count};
    bool fine = kafka_settings_check(&settings, fault, sizeof fault);
    free(properties);
    if (!fine)
        fprintf(stderr, "causeway: %s\n", fault);
    return fine;
}

static int check_settings(const struct config *config)
{
    bool database = check_database(config), keys = check_keys(config), kafka = check_kafka(config);
    if (!database || !keys || !kafka)
        return EXIT_SETTINGS;
    puts("settings: fine");
    return 0;
}

int cli_check(int argc, char **argv)
{
    struct options options = {.overrides = xcalloc((size_t)argc + 1, sizeof(char *))};
    int status = parse(argc, argv, &options);
    struct config *config = NULL;
    if (status < 0 && options.catalogue) {
        status = check_catalogue(options.catalogue, options.database);
    } else if (status < 0) {
        config = cli_config(options.overrides, false, true);
        status = config ? check_settings(config) : EXIT_SETTINGS;
        if (status == 0)
            status = check_catalogue(config->catalogue, options.database);
    }
    config_destroy(config);
    free(options.overrides);
    return status;
}
