/* Keys in files that change. */
#include "token_watch_stage.h"

#include "causeway/metrics.h"

#include <stdio.h>

static void write_file(const char *path, const char *numbers)
{
    struct buffer text = {0}, fresh = {0};
    buffer_add_text(&text, "{\"keys\":[");
    for (const char *n = numbers; *n; n++) {
        char rest[32];
        snprintf(rest, sizeof rest, ",\"kid\":\"%c\"", *n);
        buffer_add_text(&text, n == numbers ? "" : ",");
        add_curve_jwk(&text, pairs[*n - '0'], "P-256", 32, rest);
    }
    buffer_add_text(&text, "]}");
    buffer_print(&fresh, "%s.new", path);
    FILE *file = fopen(buffer_text(&fresh), "w");
    assert_int_equal(fwrite(text.data, 1, text.size, file), text.size);
    fclose(file);
    assert_int_equal(rename(buffer_text(&fresh), path), 0);
    buffer_finish(&text);
    buffer_finish(&fresh);
}

static void files_are_read_when_they_change(void **state)
{
    (void)state;
    char first[64], second[64], both[140];
    struct fixture x = {0};
    struct metric *failed = metric_label(METRIC_TOKEN_KEY_LOADS, "failed");
    int64_t failures = metric_value(failed);
    file_with(first, SLICE(""));
    file_with(second, SLICE(""));
    write_file(first, "0");
    write_file(second, "1");
    snprintf(both, sizeof both, "%s,%s", first, second);
    create(&x, both, false);
    assert_true(is_ready(&x, ""));
    assert_int_equal(status_of(x.verifier, 0), TOKEN_OK);
    assert_int_equal(status_of(x.verifier, 1), TOKEN_OK);
    write_file(first, "2");
    wait_until(status_of(x.verifier, 2) == TOKEN_OK);
    assert_int_equal(status_of(x.verifier, 0), TOKEN_KEY);
    assert_int_equal(status_of(x.verifier, 1), TOKEN_OK); /* the other file's */

    write_file(first, "");
    wait_until(metric_value(failed) >= failures + 1);
    assert_int_equal(status_of(x.verifier, 2), TOKEN_OK); /* a broken file changes nothing */
    unlink(first);
    wait_until(metric_value(failed) >= failures + 2);
    assert_int_equal(status_of(x.verifier, 2), TOKEN_OK);
    write_file(first, "02");
    wait_until(status_of(x.verifier, 0) == TOKEN_OK);
    assert_int_equal(status_of(x.verifier, 2), TOKEN_OK);
    unlink(first);
    unlink(second);
    destroy(&x);
}

static void a_reload_looks_at_once(void **state)
{
    (void)state;
    char path[64];
    struct fixture x = {0};
    struct metric *unchanged = metric_label(METRIC_TOKEN_KEY_LOADS, "unchanged");
    file_with(path, SLICE(""));
    write_file(path, "0");
    publish("1");
    int64_t before = metric_value(unchanged);
    create(&x, path, true);
    wait_until(is_ready(&x, "") && metric_value(unchanged) == before + 1);
    int requests = atomic_load(&server.requests);
    publish("2");
    token_watch_reload(x.watch);
    wait_until(metric_value(unchanged) == before + 2); /* the file, although it is what it was */
    wait_until(status_of(x.verifier, 2) == TOKEN_OK);  /* the URL, after its cooldown */
    assert_int_equal(atomic_load(&server.requests), requests + 1);
    unlink(path);
    destroy(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_are_read_when_they_change),
        cmocka_unit_test(a_reload_looks_at_once),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
