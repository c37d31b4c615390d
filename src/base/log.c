#include "causeway/log.h"

#include "causeway/slice.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

/* Below PIPE_BUF, so that lines of several threads into one pipe never mix. */
enum { LINE_MAX_BYTES = 2048 };

static const char *const level_names[] = {
    [LOG_DEBUG] = "debug", [LOG_INFO] = "info", [LOG_WARN] = "warn", [LOG_ERROR] = "error"};

static _Atomic int least_level = LOG_INFO;
static atomic_bool as_json = false;

void log_setup(enum log_level least, bool json)
{
    atomic_store_explicit(&least_level, (int)least, memory_order_relaxed);
    atomic_store_explicit(&as_json, json, memory_order_relaxed);
}

bool log_level_parse(const char *name, enum log_level *out)
{
    for (size_t i = 0; i < sizeof level_names / sizeof *level_names; i++) {
        if (strcmp(name, level_names[i]) == 0) {
            *out = (enum log_level)i;
            return true;
        }
    }
    return false;
}

/* Bytes of the printable UTF-8 character at `at`; 0 when there is none (control characters, broken
 * sequences). */
static size_t printable(const unsigned char *at, size_t left)
{
    unsigned char c = at[0];
    if (c < 0x80)
        return c >= 0x20 && c != 0x7F;
    size_t length = c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : 2;
    if (c < 0xC2 || c > 0xF4 || length > left)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((at[i] & 0xC0) != 0x80)
            return 0;
    /* Overlong forms, surrogates, beyond U+10FFFF, and the control characters U+0080 to U+009F. */
    bool refused = (c == 0xC2 && at[1] < 0xA0) || (c == 0xE0 && at[1] < 0xA0) ||
                   (c == 0xED && at[1] > 0x9F) || (c == 0xF0 && at[1] < 0x90) || (c == 0xF4 && at[1] > 0x8F);
    return refused ? 0 : length;
}

struct line {
    char bytes[LINE_MAX_BYTES];
    size_t size;
};

/* What JSON asks to be escaped beyond control bytes. The text form leaves these as they are. */
static bool needs_backslash(unsigned char c, bool json)
{
    return json && (c == '"' || c == '\\');
}

/* Adds text up to `limit` bytes of line, whole characters and whole escapes only. */
static void add_escaped(struct line *line, const char *text, size_t size, size_t limit, bool json)
{
    const unsigned char *at = (const unsigned char *)text;
    for (size_t i = 0; i < size;) {
        char escape[8];
        size_t taken = printable(at + i, size - i);
        const char *source = text + i;
        size_t length = taken;
        if (taken == 0 || needs_backslash(at[i], json)) {
            const char *form = taken ? "\\%c" : at[i] == '\n' ? "\\n" : json ? "\\u%04x" : "\\x%02x";
            length = (size_t)snprintf(escape, sizeof escape, form, at[i]);
            source = escape;
            taken = 1;
        }
        if (line->size + length > limit)
            return;
        memcpy(line->bytes + line->size, source, length);
        line->size += length;
        i += taken;
    }
}

static void add_head(struct line *line, enum log_level level, const char *module, bool json)
{
    struct timespec now;
    struct tm utc;
    char second[32];
    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)gmtime_r(&now.tv_sec, &utc);
    (void)strftime(second, sizeof second, "%Y-%m-%dT%H:%M:%S", &utc);
    const char *form =
        json ? "{\"ts\":\"%s.%03dZ\",\"level\":\"%s\",\"module\":\"%.64s\",\"msg\":\"" : "%s.%03dZ %s %.64s ";
    line->size = (size_t)snprintf(line->bytes, sizeof line->bytes, form, second, (int)(now.tv_nsec / 1000000),
        level_names[level], module);
}

void log_write(enum log_level level, const char *module, const char *format, ...)
{
    if ((int)level < atomic_load_explicit(&least_level, memory_order_relaxed))
        return;
    int saved = errno; /* a caller that logs on its way out still means its own errno */
    bool json = atomic_load_explicit(&as_json, memory_order_relaxed);
    struct slice end = json ? SLICE("\"}\n") : SLICE("\n");
    struct line line;
    char message[LINE_MAX_BYTES];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    size_t size = length < 0 ? 0 : (size_t)length < sizeof message ? (size_t)length : sizeof message - 1;

    add_head(&line, level, module, json);
    add_escaped(&line, message, size, sizeof line.bytes - end.size, json);
    memcpy(line.bytes + line.size, end.data, end.size);
    line.size += end.size;
    ssize_t written;
    do {
        written = write(STDERR_FILENO, line.bytes, line.size);
    } while (written < 0 && errno == EINTR);
    errno = saved;
}
