#include "causeway/cli.h"

#include <stdio.h>
#include <unistd.h>

enum { DOTENV_MAX = 1024 * 1024 };

/* The .env file of the working directory, NUL-terminated; false: there is none. */
static bool read_dotenv(struct buffer *out)
{
    FILE *file = fopen(".env", "re");
    if (!file)
        return false;
    size_t n;
    do {
        n = fread(buffer_reserve(out, 4096), 1, 4096, file);
        out->size += n;
    } while (n > 0 && out->size < DOTENV_MAX);
    fclose(file);
    return true;
}

struct config *cli_config(const char *const *overrides, bool dev, bool need_keys)
{
    struct buffer dotenv = {0}, faults = {0};
    bool found = read_dotenv(&dotenv);
    struct config_sources sources = {
        .environment = (const char *const *)environ,
        .dotenv = found ? buffer_text(&dotenv) : NULL,
        .overrides = overrides,
        .dev = dev,
    };
    struct config *config = config_load(&sources, need_keys, &faults);
    if (!config)
        fprintf(stderr, "causeway: wrong settings\n%s", buffer_text(&faults));
    buffer_finish(&dotenv);
    buffer_finish(&faults);
    return config;
}
