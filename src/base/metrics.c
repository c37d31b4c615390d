#include "causeway/metrics.h"

#include "causeway/memory.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Each metric is a family: a list of series that only grows at its end, so that readers walk it without a
   lock. A metric without a label has one series from the start, which is printed even while it is 0. */

enum { SERIES_MAX = 512, LINE_OF_CACHE = 64, BETWEEN_VALUES = 0x1f };

enum type { COUNTER, GAUGE, HISTOGRAM, TYPE_COUNT };

static const char *const type_names[TYPE_COUNT] = {
    [COUNTER] = "counter", [GAUGE] = "gauge", [HISTOGRAM] = "histogram"};

static const struct {
    double limit;
    const char *text;
} buckets[] = {{.001, "0.001"}, {.005, "0.005"}, {.01, "0.01"}, {.025, "0.025"}, {.05, "0.05"}, {.1, "0.1"},
    {.25, "0.25"}, {.5, "0.5"}, {1, "1"}, {2.5, "2.5"}, {5, "5"}, {10, "10"}};

enum { BUCKETS = sizeof buckets / sizeof *buckets };

struct histogram {
    _Atomic uint64_t counts[BUCKETS + 1]; /* not cumulative; the last one has no limit */
    _Atomic double sum;
};

struct metric {
    _Atomic int64_t value;
    enum type type;
    struct histogram *histogram; /* HISTOGRAM only */
    const char *label_value;     /* "" without a label */
    struct metric *_Atomic next;
};

struct family {
    _Alignas(LINE_OF_CACHE) struct metric plain; /* families are written by different threads */
    struct metric *_Atomic first;
    enum type type;
    const char *name;
    const char *help;
    const char *label;
};

static struct histogram histograms[METRIC_COUNT];

#define HISTOGRAM_OF_COUNTER(id) NULL
#define HISTOGRAM_OF_GAUGE(id) NULL
#define HISTOGRAM_OF_HISTOGRAM(id) &histograms[METRIC_##id]

/* `first` of a metric without a label points at its own `plain`. */
#define FIRST(id, label) (sizeof(label) > 1 ? NULL : &families[METRIC_##id].plain)

static struct family families[METRIC_COUNT] = {
#define X(id, kind, metric_name, text, label_name)                                                           \
    [METRIC_##id] = {                                                                                        \
        .plain = {.type = (kind), .histogram = HISTOGRAM_OF_##kind(id), .label_value = ""},                  \
        .first = FIRST(id, label_name),                                                                      \
        .type = (kind),                                                                                      \
        .name = (metric_name),                                                                               \
        .help = (text),                                                                                      \
        .label = (label_name),                                                                               \
    },
    METRICS_TABLE(X)
#undef X
};

static pthread_mutex_t creation = PTHREAD_MUTEX_INITIALIZER;

struct metric *metric_get(enum metric_id id)
{
    CHECK((size_t)id < METRIC_COUNT && !families[id].label[0]);
    return &families[id].plain;
}

static struct metric *find_series(struct family *family, const char *value, size_t *count)
{
    *count = 0;
    struct metric *m = atomic_load_explicit(&family->first, memory_order_acquire);
    for (; m; m = atomic_load_explicit(&m->next, memory_order_acquire)) {
        if (strcmp(m->label_value, value) == 0)
            return m;
        ++*count;
    }
    return NULL;
}

static struct metric *append_series(struct family *family, const char *value)
{
    struct metric *m = xcalloc(1, sizeof *m);
    m->type = family->type;
    m->label_value = xstrdup(value);
    if (m->type == HISTOGRAM)
        m->histogram = xcalloc(1, sizeof *m->histogram);
    struct metric *_Atomic *end = &family->first;
    for (struct metric *at; (at = atomic_load_explicit(end, memory_order_relaxed));)
        end = &at->next;
    atomic_store_explicit(end, m, memory_order_release);
    return m;
}

struct metric *metric_label(enum metric_id id, const char *value)
{
    CHECK((size_t)id < METRIC_COUNT && families[id].label[0]);
    struct family *family = &families[id];
    size_t count;
    struct metric *m = find_series(family, value, &count);
    if (m)
        return m;
    (void)pthread_mutex_lock(&creation);
    m = find_series(family, value, &count);
    if (!m && count >= SERIES_MAX) {
        value = "other";
        m = find_series(family, value, &count);
    }
    if (!m)
        m = append_series(family, value);
    (void)pthread_mutex_unlock(&creation);
    return m;
}

struct metric *metric_labels(enum metric_id id, const char *first, const char *second)
{
    struct buffer value = {0};
    buffer_print(&value, "%s%c%s", first, BETWEEN_VALUES, second);
    struct metric *m = metric_label(id, buffer_text(&value));
    buffer_finish(&value);
    return m;
}

void metric_add(struct metric *m, int64_t by)
{
    CHECK(m->type == GAUGE || (m->type == COUNTER && by >= 0));
    (void)atomic_fetch_add_explicit(&m->value, by, memory_order_relaxed);
}

void metric_set(struct metric *m, int64_t value)
{
    CHECK(m->type == GAUGE);
    atomic_store_explicit(&m->value, value, memory_order_relaxed);
}

static uint64_t observations(const struct histogram *h)
{
    uint64_t total = 0;
    for (size_t i = 0; i <= BUCKETS; i++)
        total += atomic_load_explicit(&h->counts[i], memory_order_relaxed);
    return total;
}

int64_t metric_value(const struct metric *m)
{
    if (m->type == HISTOGRAM)
        return (int64_t)observations(m->histogram);
    return atomic_load_explicit(&m->value, memory_order_relaxed);
}

/* Clocks of two machines differ, so a delay may come out negative; it counts as none, for a sum must not
 * fall. */
void metric_observe(struct metric *m, double seconds)
{
    CHECK(m->type == HISTOGRAM);
    if (!(seconds > 0))
        seconds = 0;
    size_t i = 0;
    while (i < BUCKETS && seconds > buckets[i].limit)
        i++;
    (void)atomic_fetch_add_explicit(&m->histogram->counts[i], 1, memory_order_relaxed);
    double sum = atomic_load_explicit(&m->histogram->sum, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(
        &m->histogram->sum, &sum, sum + seconds, memory_order_relaxed, memory_order_relaxed))
        ;
}

static void add_label_value(struct buffer *out, const char *value, size_t size)
{
    for (; size > 0; value++, size--) {
        if (*value == '\\' || *value == '"' || *value == '\n')
            buffer_add_byte(out, '\\');
        char c = *value;
        if (c == '\n')
            c = 'n';
        buffer_add_byte(out, c);
    }
}

/* Two names come with two values. */
static void add_labels(struct buffer *out, const char *names, const char *values)
{
    for (;;) {
        size_t name = strcspn(names, ","), value = strcspn(values, (char[]){BETWEEN_VALUES, '\0'});
        buffer_print(out, "%.*s=\"", (int)name, names);
        add_label_value(out, values, value);
        buffer_add_byte(out, '"');
        if (!names[name])
            return;
        buffer_add_byte(out, ',');
        names += name + 1;
        values += value + (values[value] != '\0');
    }
}

/* `name{label="value",le="0.1"} `; each label, and with both missing the braces too, only when there is one.
 */
static void add_series_name(struct buffer *out, const struct family *family, const char *suffix,
    const struct metric *m, const char *le)
{
    bool label = family->label[0];
    buffer_print(out, "%s%s", family->name, suffix);
    if (label || le)
        buffer_add_byte(out, '{');
    if (label)
        add_labels(out, family->label, m->label_value);
    if (le)
        buffer_print(out, "%sle=\"%s\"", label ? "," : "", le);
    buffer_add_text(out, label || le ? "} " : " ");
}

/* The count is the sum of the buckets as read here: both stay equal while others observe. */
static void print_histogram(struct buffer *out, const struct family *family, const struct metric *m)
{
    uint64_t total = 0;
    for (size_t i = 0; i <= BUCKETS; i++) {
        total += atomic_load_explicit(&m->histogram->counts[i], memory_order_relaxed);
        add_series_name(out, family, "_bucket", m, i < BUCKETS ? buckets[i].text : "+Inf");
        buffer_print(out, "%llu\n", (unsigned long long)total);
    }
    add_series_name(out, family, "_sum", m, NULL);
    buffer_print(out, "%.15g\n", atomic_load_explicit(&m->histogram->sum, memory_order_relaxed));
    add_series_name(out, family, "_count", m, NULL);
    buffer_print(out, "%llu\n", (unsigned long long)total);
}

static void print_head(struct buffer *out, const char *name, const char *help, enum type type)
{
    buffer_print(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type_names[type]);
}

static void print_family(struct buffer *out, struct family *family)
{
    const struct metric *m = atomic_load_explicit(&family->first, memory_order_acquire);
    if (m)
        print_head(out, family->name, family->help, family->type);
    for (; m; m = atomic_load_explicit(&m->next, memory_order_acquire)) {
        if (family->type == HISTOGRAM) {
            print_histogram(out, family, m);
        } else {
            add_series_name(out, family, "", m, NULL);
            buffer_print(out, "%lld\n", (long long)metric_value(m));
        }
    }
}

/* The process itself. What the system does not tell is left out rather than printed as 0. */

static bool read_file(const char *path, char *text, size_t capacity)
{
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return false;
    ssize_t size = read(file, text, capacity - 1);
    (void)close(file);
    text[size > 0 ? size : 0] = '\0';
    return size > 0;
}

static bool resident_memory(double *out)
{
    char text[256];
    unsigned long long pages;
    if (!read_file("/proc/self/statm", text, sizeof text) || sscanf(text, "%*u %llu", &pages) != 1)
        return false;
    *out = (double)pages * (double)sysconf(_SC_PAGESIZE);
    return true;
}

static double seconds_of(clockid_t clock)
{
    struct timespec now = {0};
    (void)clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static bool cpu_time(double *out)
{
    *out = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
    return true;
}

/* Linux 6.2 tells the number as the directory's size; before that they are counted, without the one this
 * opens. */
static bool open_files(double *out)
{
    struct stat about;
    if (stat("/proc/self/fd", &about) == 0 && about.st_size > 0) {
        *out = (double)about.st_size;
        return true;
    }
    DIR *directory = opendir("/proc/self/fd");
    if (!directory)
        return false;
    int count = -1;
    for (const struct dirent *entry; (entry = readdir(directory));)
        count += entry->d_name[0] != '.';
    (void)closedir(directory);
    *out = count;
    return true;
}

/* Field 22 of the process's line, counted behind the command's name, which may hold blanks and parentheses.
 */
static bool ticks_after_boot(unsigned long long *out)
{
    enum { NAME_FIELD = 2, START_FIELD = 22 };
    char text[1024];
    const char *at = read_file("/proc/self/stat", text, sizeof text) ? strrchr(text, ')') : NULL;
    for (int field = NAME_FIELD; at && field < START_FIELD; field++)
        at = strchr(at + 1, ' ');
    return at && sscanf(at, " %llu", out) == 1;
}

/* Computed at the first call only: later ones would wander with every correction of the clock. */
static double start_time;

static void find_start_time(void)
{
    unsigned long long ticks;
    if (ticks_after_boot(&ticks))
        start_time = seconds_of(CLOCK_REALTIME) - seconds_of(CLOCK_BOOTTIME) +
                     (double)ticks / (double)sysconf(_SC_CLK_TCK);
}

static bool process_start(double *out)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, find_start_time);
    *out = start_time;
    return start_time > 0;
}

static const struct {
    const char *name;
    const char *help;
    enum type type;
    const char *format;
    bool (*read)(double *out);
} process_metrics[] = {
    {"process_resident_memory_bytes", "Memory of the process that is in RAM.", GAUGE, "%.0f",
        resident_memory},
    {"process_cpu_seconds_total", "Processor time that the process used.", COUNTER, "%.6f", cpu_time},
    {"process_open_fds", "Open file descriptors.", GAUGE, "%.0f", open_files},
    {"process_start_time_seconds", "Start of the process, Unix time.", GAUGE, "%.2f", process_start},
};

void metrics_print(struct buffer *out)
{
    if (!atomic_load_explicit(&families[METRIC_BUILD_INFO].first, memory_order_acquire))
        metric_set(metric_label(METRIC_BUILD_INFO, CAUSEWAY_VERSION), 1);
    for (size_t i = 0; i < METRIC_COUNT; i++)
        print_family(out, &families[i]);
    for (size_t i = 0; i < sizeof process_metrics / sizeof *process_metrics; i++) {
        double value;
        if (!process_metrics[i].read(&value))
            continue;
        print_head(out, process_metrics[i].name, process_metrics[i].help, process_metrics[i].type);
        buffer_print(out, "%s ", process_metrics[i].name);
        buffer_print(out, process_metrics[i].format, value);
        buffer_add_byte(out, '\n');
    }
}
