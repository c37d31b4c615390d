#include "unit.h"

#include "causeway/metrics.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* Reads the printed page: is the series there, and with which value? */
static bool find_printed(const char *series, double *value)
{
    struct buffer page = {0};
    char line[256];
    buffer_add_byte(&page, '\n');
    metrics_print(&page);
    assert_in_range(snprintf(line, sizeof line, "\n%s ", series), 1, sizeof line - 1);
    const char *at = strstr(buffer_text(&page), line);
    if (at)
        *value = strtod(at + strlen(line), NULL);
    buffer_finish(&page);
    return at != NULL;
}

static double printed(const char *series)
{
    double value = 0;
    if (!find_printed(series, &value))
        fail_msg("%s is not printed", series);
    return value;
}

static void assert_printed(const char *series, double expected)
{
    double value = printed(series);
    if (value < expected - 1e-9 || value > expected + 1e-9)
        fail_msg("%s is %g, not %g", series, value, expected);
}

static void a_metric_without_a_label_is_printed_before_its_first_use(void **state)
{
    (void)state;
    assert_printed("causeway_hotlog_entries_total", 0);
    metric_add(metric_get(METRIC_ENTRIES), 3);
    metric_add(metric_get(METRIC_ENTRIES), 4);
    assert_int_equal(metric_value(metric_get(METRIC_ENTRIES)), 7);
    assert_printed("causeway_hotlog_entries_total", 7);
}

static void a_gauge_goes_up_and_down(void **state)
{
    (void)state;
    struct metric *m = metric_get(METRIC_HOTLOG_BYTES);
    metric_set(m, 6000000000);
    metric_add(m, -1);
    assert_printed("causeway_hotlog_bytes", 5999999999.0);
    metric_set(m, 0);
    assert_printed("causeway_hotlog_bytes", 0);
}

static void a_labelled_series_exists_once_it_is_asked_for(void **state)
{
    (void)state;
    double value;
    assert_false(find_printed("causeway_gaps_total{reason=\"evicted\"}", &value));
    struct metric *m = metric_label(METRIC_GAPS, "evicted");
    assert_ptr_equal(metric_label(METRIC_GAPS, "evicted"), m);
    assert_ptr_not_equal(metric_label(METRIC_GAPS, "deleted"), m);
    metric_add(m, 2);
    assert_printed("causeway_gaps_total{reason=\"evicted\"}", 2);
    assert_printed("causeway_gaps_total{reason=\"deleted\"}", 0);
}

static void label_values_are_escaped(void **state)
{
    (void)state;
    metric_add(metric_label(METRIC_MESSAGES, "a\"b\\c\nd"), 1);
    assert_printed("causeway_client_messages_total{type=\"a\\\"b\\\\c\\nd\"}", 1);
}

static void a_series_may_have_two_labels(void **state)
{
    (void)state;
    metric_add(metric_labels(METRIC_DECISIONS, "task:{a},\"b\"", "allowed"), 2);
    metric_add(metric_labels(METRIC_DECISIONS, "task:{a},\"b\"", "forbidden"), 1);
    metric_add(metric_labels(METRIC_DECISIONS, "task:{a},\"b\"", "allowed"), 1);
    assert_printed("causeway_rights_decisions_total{rule=\"task:{a},\\\"b\\\"\",result=\"allowed\"}", 3);
    assert_printed("causeway_rights_decisions_total{rule=\"task:{a},\\\"b\\\"\",result=\"forbidden\"}", 1);
}

static void beyond_512_values_the_rest_shares_one_series(void **state)
{
    (void)state;
    char value[32];
    for (int i = 0; i < 600; i++) {
        (void)snprintf(value, sizeof value, "%d", i);
        metric_add(metric_label(METRIC_CLOSED, value), 1);
    }
    assert_ptr_not_equal(metric_label(METRIC_CLOSED, "511"), metric_label(METRIC_CLOSED, "other"));
    assert_ptr_equal(metric_label(METRIC_CLOSED, "512"), metric_label(METRIC_CLOSED, "other"));
    assert_printed("causeway_connections_closed_total{code=\"511\"}", 1);
    assert_printed("causeway_connections_closed_total{code=\"other\"}", 600 - 512);
}

static void a_histogram_counts_into_cumulative_buckets(void **state)
{
    (void)state;
    struct metric *m = metric_get(METRIC_DELAY);
    static const double delays[] = {-3, 0, .001, .0011, .3, 2.5, 11};
    for (size_t i = 0; i < sizeof delays / sizeof *delays; i++)
        metric_observe(m, delays[i]);
    assert_int_equal(metric_value(m), 7);
    assert_printed("causeway_delivery_delay_seconds_bucket{le=\"0.001\"}", 3);
    assert_printed("causeway_delivery_delay_seconds_bucket{le=\"0.005\"}", 4);
    assert_printed("causeway_delivery_delay_seconds_bucket{le=\"0.25\"}", 4);
    assert_printed("causeway_delivery_delay_seconds_bucket{le=\"0.5\"}", 5);
    assert_printed("causeway_delivery_delay_seconds_bucket{le=\"2.5\"}", 6);
    assert_printed("causeway_delivery_delay_seconds_bucket{le=\"10\"}", 6);
    assert_printed("causeway_delivery_delay_seconds_bucket{le=\"+Inf\"}", 7);
    assert_printed("causeway_delivery_delay_seconds_count", 7);
    assert_printed("causeway_delivery_delay_seconds_sum", .001 + .0011 + .3 + 2.5 + 11);
}

enum { THREADS = 4, ROUNDS = 20000, TOPICS = 50, COUNTED_EACH = THREADS * ROUNDS / TOPICS };

static void *count_and_observe(void *unused)
{
    (void)unused;
    char value[32];
    for (int i = 0; i < ROUNDS; i++) {
        (void)snprintf(value, sizeof value, "topic-%d", i % TOPICS);
        metric_add(metric_label(METRIC_RECORDS, value), 1);
        metric_add(metric_get(METRIC_DELIVERED), 1);
        metric_observe(metric_get(METRIC_DELAY), .5);
    }
    return NULL;
}

static void nothing_is_lost_between_threads(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    int64_t before = metric_value(metric_get(METRIC_DELAY));
    double sum = printed("causeway_delivery_delay_seconds_sum");
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_and_observe, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(metric_value(metric_get(METRIC_DELIVERED)), THREADS * ROUNDS);
    assert_int_equal(metric_value(metric_get(METRIC_DELAY)) - before, THREADS * ROUNDS);
    assert_printed("causeway_delivery_delay_seconds_sum", sum + THREADS * ROUNDS * .5);
    for (int i = 0; i < TOPICS; i++) {
        char series[64];
        (void)snprintf(series, sizeof series, "causeway_kafka_records_total{topic=\"topic-%d\"}", i);
        assert_printed(series, COUNTED_EACH);
    }
}

static void the_build_is_named_without_being_asked(void **state)
{
    (void)state;
    assert_printed("causeway_build_info{version=\"" CAUSEWAY_VERSION "\"}", 1);
}

static void the_process_describes_itself(void **state)
{
    (void)state;
    double now = (double)time(NULL);
    assert_true(printed("process_resident_memory_bytes") > 100000);
    assert_true(printed("process_cpu_seconds_total") > 0);
    double started = printed("process_start_time_seconds");
    assert_true(started > now - 600 && started < now + 2);
    assert_printed("process_start_time_seconds", started);
    double files = printed("process_open_fds");
    int file = open("/dev/null", O_RDONLY);
    assert_true(file >= 0);
    assert_printed("process_open_fds", files + 1);
    (void)close(file);
}

/* The page as a scraper reads it: HELP and TYPE first, then only series of that metric, each metric once. */
static void every_line_belongs_to_the_metric_declared_above_it(void **state)
{
    (void)state;
    struct buffer page = {0};
    metrics_print(&page);
    char name[128] = "", type[32] = "";
    struct buffer seen = {0};
    assert_int_equal(page.data[page.size - 1], '\n');
    for (char *rest = NULL, *line = strtok_r((char *)(uintptr_t)buffer_text(&page), "\n", &rest); line;
         line = strtok_r(NULL, "\n", &rest)) {
        char help[256], again[128], spaced[160];
        if (sscanf(line, "# HELP %127s %255[^\n]", name, help) == 2) {
            (void)snprintf(spaced, sizeof spaced, " %s ", name);
            assert_null(strstr(buffer_text(&seen), spaced));
            buffer_add_text(&seen, spaced);
            assert_int_equal(help[strlen(help) - 1], '.');
        } else if (sscanf(line, "# TYPE %127s %31s", again, type) == 2) {
            assert_string_equal(again, name);
        } else {
            size_t size = strlen(name);
            assert_memory_equal(line, name, size);
            bool histogram = strcmp(type, "histogram") == 0;
            assert_non_null(strchr(histogram ? "_" : "{ ", line[size]));
        }
    }
    buffer_finish(&seen);
    buffer_finish(&page);
}

static bool ends_with(const char *text, const char *end)
{
    size_t size = strlen(text), least = strlen(end);
    return size >= least && strcmp(text + size - least, end) == 0;
}

/* What `promtool check metrics` complains about. */
static void names_follow_the_rules_of_prometheus(void **state)
{
    (void)state;
    static const struct {
        const char *name, *kind, *help, *label;
    } table[] = {
#define X(id, kind, name, help, label) {name, #kind, help, label},
        METRICS_TABLE(X)
#undef X
    };
    static const char *const bad_words[] = {"_count", "_sum", "_bucket", "_counter", "_gauge", "_histogram",
        "_ms", "_s", "_sec", "_kb", "_mb", "_b", "_milliseconds", "_kilobytes", "_minutes"};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        const char *name = table[i].name;
        bool counter = strcmp(table[i].kind, "COUNTER") == 0;
        assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz_"), strlen(name));
        assert_int_equal(strncmp(name, "causeway_", 9), 0);
        assert_int_equal(ends_with(name, "_total"), counter);
        assert_true(ends_with(table[i].help, "."));
        assert_string_not_equal(table[i].label, "le");
        for (size_t j = 0; j < sizeof bad_words / sizeof *bad_words; j++)
            assert_false(ends_with(name, bad_words[j]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_metric_without_a_label_is_printed_before_its_first_use),
        cmocka_unit_test(a_gauge_goes_up_and_down),
        cmocka_unit_test(a_labelled_series_exists_once_it_is_asked_for),
        cmocka_unit_test(label_values_are_escaped),
        cmocka_unit_test(a_series_may_have_two_labels),
        cmocka_unit_test(beyond_512_values_the_rest_shares_one_series),
        cmocka_unit_test(a_histogram_counts_into_cumulative_buckets),
        cmocka_unit_test(nothing_is_lost_between_threads),
        cmocka_unit_test(the_build_is_named_without_being_asked),
        cmocka_unit_test(the_process_describes_itself),
        cmocka_unit_test(every_line_belongs_to_the_metric_declared_above_it),
        cmocka_unit_test(names_follow_the_rules_of_prometheus),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
