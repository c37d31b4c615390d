/* The commands of the program, one file each in src/cli. argv[0] is the command's name; the result is the
   exit status: 0 done, 1 failed, 2 wrong usage, 78 wrong settings. */
#pragma once

#include "causeway/config.h"

enum { EXIT_USAGE = 2, EXIT_SETTINGS = 78 };

int cli_serve(int argc, char **argv);
int cli_check(int argc, char **argv);
int cli_check_event(int argc, char **argv);
int cli_explain(int argc, char **argv);
int cli_token(int argc, char **argv);
int cli_publish(int argc, char **argv);
int cli_tail(int argc, char **argv);
int cli_broker(int argc, char **argv);

/* Settings from --set options (as given, NULL-terminated), the environment and ./.env. NULL: the faults are
 * on stderr; exit with EXIT_SETTINGS. */
struct config *cli_config(const char *const *overrides, bool dev, bool need_keys);
