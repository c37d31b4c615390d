#include "causeway/bridge.h"
#include "causeway/cli.h"
#include "causeway/log.h"
#include "causeway/memory.h"

#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

struct options {
    const char **overrides;
    size_t count;
    bool dev;
    long replay; /* seconds; 0: no */
};

enum {
    REPLAY_SECONDS = 5,
    REPLAY_SECONDS_MAX = 3600,
    END_SECONDS = 12, /* for what is left when all connections are drained */
};

struct ending {
    unsigned seconds;
    int status;
};
static const char replay_secret[] = "development";

static const char usage[] =
    "usage: causeway serve [--dev] [--replay-examples[=SECONDS]] [--set NAME=VALUE]...\n"
    "Reads its settings from --set, the environment and ./.env, in this order; see `causeway --help`.\n"
    "  --dev             accept a JWT_SECRET of less than 32 bytes\n"
    "  --set NAME=VALUE  one setting, or kafka.<librdkafka property>=<value>\n"
    "  --replay-examples[=SECONDS]\n"
    "                    a fake server for those who write clients, without Kafka and PostgreSQL: every "
    "example of the\n"
    "                    document is sent every SECONDS (default 5) to whoever may have it by the claims of "
    "the token\n"
    "                    (id, role, ...). Without keys it takes tokens of: causeway token --dev --set\n"
    "                    JWT_SECRET=development --user 123 --claims '{\"role\":\"admin\"}'\n"
    "SIGTERM and SIGINT drain: clients are told to come back (1012), then it exits with 0.\n"
    "SIGHUP reads the keys of tokens and the catalogue anew; what is wrong changes nothing.\n";

static bool parse_seconds(const char *text, long *out)
{
    char *end = NULL;
    *out = text ? strtol(text, &end, 10) : REPLAY_SECONDS;
    return !text || (*text && !*end && *out > 0 && *out <= REPLAY_SECONDS_MAX);
}

static int parse(int argc, char **argv, struct options *out)
{
    static const struct option options[] = {
        {"dev", no_argument, NULL, 'd'},
        {"set", required_argument, NULL, 's'},
        {"replay-examples", optional_argument, NULL, 'r'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    out->overrides = xcalloc((size_t)argc + 1, sizeof *out->overrides);
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'd' || (option == 'r' && parse_seconds(optarg, &out->replay)))
            out->dev = true;
        else if (option == 's')
            out->overrides[out->count++] = optarg;
        else {
            fputs(usage, option == 'h' ? stdout : stderr);
            return option == 'h' ? 0 : EXIT_USAGE;
        }
    }
    if (optind < argc) {
        fputs(usage, stderr);
        return EXIT_USAGE;
    }
    return -1;
}

/* Each connection is a descriptor: take as many as the system allows. */
static void raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/* Whoever waits for the file finds it whole. */
static bool write_port_file(const char *path, struct slice ports)
{
    struct buffer temporary = {0};
    buffer_print(&temporary, "%s.new", path);
    FILE *file = fopen(buffer_text(&temporary), "we");
    bool fine = file && fprintf(file, "%.*s\n", SLICE_ARGS(ports)) > 0;
    fine = (!file || fclose(file) == 0) && fine && rename(buffer_text(&temporary), path) == 0;
    if (!fine)
        log_error("serve", "PORT_FILE: cannot write %s: %s", path, strerror(errno));
    buffer_finish(&temporary);
    return fine;
}

/* Until one comes that ends the program. */
static int wait_for_end(const sigset_t *signals, struct bridge *bridge)
{
    for (;;) {
        int number = 0;
        CHECK(sigwait(signals, &number) == 0);
        if (number != SIGHUP)
            return number;
        bridge_reload(bridge);
    }
}

/* librdkafka 2.0.2 waits for ever when it is to end, once reading of a partition was stopped while that was
 * deleted. All that matters is written long before. */
static void *end_anyway(void *argument)
{
    const struct ending *e = argument;
    (void)sleep(e->seconds);
    log_warn("serve", "librdkafka does not end; it is left");
    _exit(e->status);
}

static void begin_to_end(unsigned drain_seconds, int status)
{
    static struct ending ending;
    ending = (struct ending){drain_seconds + END_SECONDS, status};
    pthread_t thread;
    if (pthread_create(&thread, NULL, end_anyway, &ending) == 0)
        (void)pthread_detach(thread);
}

static int serve(const struct config *config)
{
    static const int known[] = {SIGTERM, SIGINT, SIGHUP};
    sigset_t signals;
    sigemptyset(&signals);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        sigaddset(&signals, known[i]);
    pthread_sigmask(SIG_BLOCK, &signals, NULL); /* before threads start, so that only sigwait sees them */
    signal(SIGPIPE, SIG_IGN);

    struct buffer fault = {0}, ports = {0};
    struct bridge *bridge = bridge_create(config, &fault);
    if (!bridge) {
        fprintf(stderr, "causeway: %s\n", buffer_text(&fault));
        buffer_finish(&fault);
        return EXIT_SETTINGS;
    }
    bridge_ports(bridge, &ports);
    log_info("serve", "listening host=%s ports=%s version=%s", config->host, buffer_text(&ports),
        CAUSEWAY_VERSION);
    bool fine = !config->port_file[0] || write_port_file(config->port_file, buffer_slice(&ports));
    int signal_number = fine ? wait_for_end(&signals, bridge) : SIGTERM;
    log_info("serve", "stopping signal=%d", signal_number);
    int status = bridge_refused(bridge) ? EXIT_SETTINGS : fine ? 0 : 1;
    begin_to_end((unsigned)config->drain_timeout, status);
    bridge_destroy(bridge);
    buffer_finish(&ports);
    buffer_finish(&fault);
    return status;
}

int cli_serve(int argc, char **argv)
{
    struct options options = {0};
    int status = parse(argc, argv, &options);
    struct config *config = status < 0 ? cli_config(options.overrides, options.dev, !options.replay) : NULL;
    free(options.overrides);
    if (status >= 0)
        return status;
    if (!config)
        return EXIT_SETTINGS;
    config->replay_examples = options.replay;
    if (options.replay && !*config->jwt_secret && !*config->jwt_keys && !*config->jwks_url) {
        free((char *)config->jwt_secret);
        config->jwt_secret = xstrdup(replay_secret);
    }
    enum log_level level = LOG_INFO;
    log_level_parse(config->log_level, &level);
    log_setup(level, strcmp(config->log_format, "json") == 0);
    raise_file_limit();
    status = serve(config);
    config_destroy(config);
    return status;
}
