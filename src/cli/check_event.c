#include "causeway/catalogue.h"
#include "causeway/cli.h"
#include "causeway/route.h"
#include "causeway/yaml.h"

#include "captured.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

enum { EVENT_MAX = 64 << 20 };

static const char usage[] =
    "usage: causeway check-event [--catalogue FILE] [--topic TOPIC] FILE|-\n"
    "Checks captured records as a bridge would whose channels all enforce their schemas. One JSON object per "
    "line:\n"
    "  "
    "{\"topic\":\"orders.v1\",\"key\":\"456\",\"headers\":{\"ce_type\":\"order.created\"},\"value\":{...}}\n"
    "value may be the JSON itself or its text; lines of kcat -J (payload, headers as a list) are read as "
    "well.\n"
    "  --catalogue FILE  the document (default asyncapi/asyncapi.yaml)\n"
    "  --topic TOPIC     of records that name none\n"
    "Exit status: 0 all fine, 1 some would be rejected, 2 wrong usage or no such file, 78 faults in the "
    "catalogue.\n";

struct check {
    const char *catalogue_path, *topic, *path;
    struct catalogue *catalogue;
    struct router *router;
    struct captured captured;
    size_t line, wrong;
};

static void tell(struct check *c, const char *label, const char *text, struct slice detail)
{
    printf(
        "%s:%zu: %s: %s%s%.*s\n", c->path, c->line, label, text, detail.size ? ": " : "", SLICE_ARGS(detail));
    c->wrong++;
}

static void check_line(struct check *c, struct slice line)
{
    struct record record;
    struct routed routed;
    if (!captured_read(&c->captured, line, c->topic, &record)) {
        tell(c, "no_record", "the line is no JSON object", slice_of(c->captured.json.fault));
        return;
    }
    enum reject reject = route_record(c->router, c->catalogue, &record, &routed);
    if (reject == REJECT_IGNORED && !catalogue_find_topic(c->catalogue, record.topic))
        tell(c, "unknown_topic", "no channel of the catalogue has this topic", record.topic);
    else if (reject != REJECT_NONE)
        tell(c, reject_label(reject), reject_text(reject), routed.detail);
}

static int check_lines(struct check *c, FILE *file)
{
    char *text = NULL;
    size_t capacity = 0, records = 0;
    for (ssize_t size; (size = getline(&text, &capacity, file)) > 0;) {
        c->line++;
        while (size > 0 && strchr(" \t\r\n", text[size - 1]))
            size--;
        if (size == 0)
            continue;
        records++;
        check_line(c, (struct slice){text, (size_t)size});
    }
    free(text);
    printf("%zu events, %zu would be rejected\n", records, c->wrong);
    return c->wrong > 0;
}

static bool load(struct check *c)
{
    struct buffer fault = {0};
    struct catalogue_faults faults = {0};
    struct document *document = yaml_document_load(c->catalogue_path, &fault);
    c->catalogue = document ? catalogue_check(document, &faults) : NULL;
    if (!c->catalogue)
        fprintf(stderr, "%s%s%s", buffer_text(&faults.text), buffer_text(&fault), document ? "" : "\n");
    catalogue_faults_finish(&faults);
    document_destroy(document);
    buffer_finish(&fault);
    return c->catalogue != NULL;
}

static int run(struct check *c)
{
    bool standard = strcmp(c->path, "-") == 0;
    FILE *file = standard ? stdin : fopen(c->path, "re");
    if (!file) {
        fprintf(stderr, "causeway: %s: %s\n", c->path, strerror(errno));
        return EXIT_USAGE;
    }
    int status = EXIT_SETTINGS;
    if (load(c)) {
        c->router = router_create(EVENT_MAX);
        status = check_lines(c, file);
    }
    if (!standard)
        (void)fclose(file);
    router_destroy(c->router);
    catalogue_release(c->catalogue);
    captured_finish(&c->captured);
    return status;
}

int cli_check_event(int argc, char **argv)
{
    static const struct option options[] = {
        {"catalogue", required_argument, NULL, 'c'},
        {"topic", required_argument, NULL, 't'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    static struct check c = {.catalogue_path = "asyncapi/asyncapi.yaml"};
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'c')
            c.catalogue_path = optarg;
        else if (option == 't')
            c.topic = optarg;
        else {
            fputs(usage, option == 'h' ? stdout : stderr);
            return option == 'h' ? 0 : EXIT_USAGE;
        }
    }
    if (argc - optind != 1) {
        fputs(usage, stderr);
        return EXIT_USAGE;
    }
    c.path = argv[optind];
    return run(&c);
}
