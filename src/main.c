#include "causeway/cli.h"

#include <stdio.h>

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
} commands[] = {
    {"serve", cli_serve, "run the bridge"},
    {"check", cli_check, "check settings and catalogue, and say what is wrong"},
    {"check-event", cli_check_event, "check captured events against the catalogue"},
    {"explain", cli_explain, "say who gets an event and by which rule, or why not"},
    {"token", cli_token, "print a token for development"},
    {"publish", cli_publish, "publish one event, after checking it against the catalogue"},
    {"tail", cli_tail, "connect as a client and print what comes"},
    {"broker", cli_broker, "run a broker for development, in memory"},
};

static void print_help(FILE *out)
{
    struct buffer settings = {0};
    fputs("causeway carries domain events from Kafka to the people they concern.\n\n"
          "usage: causeway COMMAND [OPTION]...   (causeway COMMAND --help says more)\n\ncommands:\n",
        out);
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        fprintf(out, "  %-12s %s\n", commands[i].name, commands[i].help);
    config_help(&settings);
    fprintf(out, "\nsettings (environment, .env, or --set):\n%s", buffer_text(&settings));
    buffer_finish(&settings);
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (strcmp(name, commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    if (strcmp(name, "--version") == 0) {
        puts("causeway " CAUSEWAY_VERSION);
        return 0;
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "help") == 0) {
        print_help(stdout);
        return 0;
    }
    if (name[0])
        fprintf(stderr, "causeway: there is no command \"%s\"\n\n", name);
    print_help(stderr);
    return EXIT_USAGE;
}
