#include "causeway/cli.h"
#include "causeway/kafka.h"
#include "causeway/memory.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static const char usage[] =
    "usage: causeway broker [--topic NAME:PARTITIONS]... [--port-file FILE]\n"
    "Runs a broker for development in memory (librdkafka's mock cluster) until SIGTERM or SIGINT.\n"
    "Prints KAFKA_BROKERS=127.0.0.1:PORT when it is ready. It keeps 5 MiB per partition and forgets all at "
    "its end.\n"
    "  --topic NAME:PARTITIONS  make this topic; others are made with 4 partitions when they are first used\n"
    "  --port-file FILE         also write the address there\n";

static bool make_topic(struct kafka_mock *mock, const char *argument)
{
    const char *colon = strrchr(argument, ':');
    long partitions = colon ? strtol(colon + 1, NULL, 10) : 0;
    if (partitions < 1 || partitions > 1000) {
        fprintf(stderr, "causeway: --topic %s: must be name:partitions\n", argument);
        return false;
    }
    char *name = xstrndup(argument, (size_t)(colon - argument));
    bool made = kafka_mock_topic(mock, name, (int)partitions);
    if (!made)
        fprintf(stderr, "causeway: --topic %s: no possible name, or given twice\n", argument);
    free(name);
    return made;
}

static bool write_address(const char *path, const char *brokers)
{
    FILE *file = path ? fopen(path, "we") : NULL;
    bool fine = !path || (file && fprintf(file, "%s\n", brokers) > 0);
    if (file && fclose(file) != 0)
        fine = false;
    if (!fine)
        perror(path);
    return fine;
}

static int run(struct kafka_mock *mock, const char *port_file)
{
    sigset_t signals;
    int number;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    if (!write_address(port_file, kafka_mock_brokers(mock)))
        return 1;
    printf("KAFKA_BROKERS=%s\n", kafka_mock_brokers(mock));
    fflush(stdout);
    sigwait(&signals, &number);
    return 0;
}

int cli_broker(int argc, char **argv)
{
    static const struct option options[] = {
        {"topic", required_argument, NULL, 't'},
        {"port-file", required_argument, NULL, 'p'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    char fault[256];
    struct kafka_mock *mock = kafka_mock_create(fault, sizeof fault);
    if (!mock) {
        fprintf(stderr, "causeway: %s\n", fault);
        return 1;
    }
    const char *port_file = NULL;
    int option, status = -1;
    while (status < 0 && (option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 't')
            status = make_topic(mock, optarg) ? -1 : EXIT_USAGE;
        else if (option == 'p')
            port_file = optarg;
        else {
            fputs(usage, option == 'h' ? stdout : stderr);
            status = option == 'h' ? 0 : EXIT_USAGE;
        }
    }
    if (status < 0)
        status = run(mock, port_file);
    kafka_mock_destroy(mock);
    return status;
}
