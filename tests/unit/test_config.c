#include "unit.h"

#include "causeway/config.h"
#include "causeway/dotenv.h"

#include <stdlib.h>

#define SECRET "0123456789abcdef0123456789abcdef"

static struct config *load(const struct config_sources *sources, bool need_keys, struct buffer *faults)
{
    buffer_clear(faults);
    struct config *c = config_load(sources, need_keys, faults);
    assert_int_equal(c == NULL, faults->size > 0);
    return c;
}

/* Loads what must load, from the environment alone. The list ends with NULL. */
static struct config *load_environment(const char *const *environment)
{
    struct buffer faults = {0};
    struct config *c = load(&(struct config_sources){.environment = environment}, false, &faults);
    if (!c)
        fail_msg("%s", buffer_text(&faults));
    buffer_finish(&faults);
    return c;
}

#define ENVIRONMENT(...) ((const char *const[]){__VA_ARGS__, NULL})

static void assert_refused(const struct config_sources *sources, bool need_keys, const char *expected)
{
    struct buffer faults = {0};
    assert_null(load(sources, need_keys, &faults));
    assert_string_equal(buffer_text(&faults), expected);
    buffer_finish(&faults);
}

/* One environment setting that must be refused with exactly this line. */
static void assert_setting_refused(const char *pair, const char *expected)
{
    assert_refused(&(struct config_sources){.environment = ENVIRONMENT(pair)}, false, expected);
}

/* The same for many bad values behind `begin`; the fault repeats the value between `before` and `behind`. */
static void assert_values_refused(
    const char *begin, const char *const *values, const char *before, const char *behind)
{
    for (; *values; values++) {
        struct buffer pair = {0}, expected = {0};
        buffer_print(&pair, "%s%s", begin, *values);
        buffer_print(&expected, "%s%s%s", before, *values, behind);
        assert_setting_refused(buffer_text(&pair), buffer_text(&expected));
        buffer_finish(&pair);
        buffer_finish(&expected);
    }
}

static void without_any_source_the_defaults_hold(void **state)
{
    (void)state;
    struct config *c = load_environment(ENVIRONMENT("PATH=/bin"));
    assert_string_equal(c->port, "3000");
    assert_string_equal(c->kafka_brokers, "localhost:9092");
    assert_string_equal(c->jwt_user_claims, "sub,userId,id");
    assert_string_equal(c->frontend_url, "");
    assert_int_equal(c->hot_log_bytes, 64 * 1024 * 1024);
    assert_int_equal(c->message_max_bytes, 64 * 1024);
    assert_int_equal(c->loops, 1);
    assert_int_equal(c->ping_interval, 30);
    assert_int_equal(c->kafka_count, 0);
    assert_false(c->dev);
    config_destroy(c);
    config_destroy(NULL);
}

static void set_wins_over_environment_over_dotenv_over_default(void **state)
{
    (void)state;
    struct buffer faults = {0};
    struct config *c = load(
        &(struct config_sources){
            .dotenv = "DATABASE_POOL=2\nLOOPS=2\nROOMS_MAX=2\nkafka.client.id=file\nkafka.debug=all",
            .environment = ENVIRONMENT("LOOPS=3", "ROOMS_MAX=3", "kafka.client.id=env"),
            .overrides = ENVIRONMENT("ROOMS_MAX=4", "ROOMS_MAX=5", "kafka.client.id=set"),
        },
        false, &faults);
    assert_non_null(c);
    assert_int_equal(c->database_pool, 2);
    assert_int_equal(c->loops, 3);
    assert_int_equal(c->rooms_max, 5);
    assert_int_equal(c->jwt_leeway, 30);
    assert_int_equal(c->kafka_count, 2);
    assert_string_equal(c->kafka[0].name, "client.id");
    assert_string_equal(c->kafka[0].value, "set");
    assert_string_equal(c->kafka[1].name, "debug");
    assert_string_equal(c->kafka[1].value, "all");
    config_destroy(c);
    buffer_finish(&faults);
}

static void a_weaker_source_with_a_bad_value_does_not_matter(void **state)
{
    (void)state;
    struct buffer faults = {0};
    struct config *c =
        load(&(struct config_sources){.dotenv = "LOOPS=many", .environment = ENVIRONMENT("LOOPS=7")}, false,
            &faults);
    assert_non_null(c);
    assert_int_equal(c->loops, 7);
    config_destroy(c);
    buffer_finish(&faults);
}

static void bytes_are_read_with_their_units(void **state)
{
    (void)state;
    static const struct {
        const char *pair;
        int64_t bytes;
    } cases[] = {
        {"HOT_LOG_BYTES=67108865", 67108865},
        {"HOT_LOG_BYTES=8192KiB", 8388608},
        {"HOT_LOG_BYTES=5mib", 5242880},
        {"HOT_LOG_BYTES=1024GiB", 1099511627776},
        {"HOT_LOG_BYTES=9000KB", 9000000},
        {"HOT_LOG_BYTES=9MB", 9000000},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct config *c = load_environment(ENVIRONMENT(cases[i].pair));
        assert_int_equal(c->hot_log_bytes, cases[i].bytes);
        config_destroy(c);
    }
}

static void amounts_that_are_none_or_out_of_range_are_refused(void **state)
{
    (void)state;
    static const char *const bad_bytes[] = {"", "x", "-1", "+70000", " 70000", "70000 ", "1 MiB", "1M",
        "1TiB", "1.5MiB", "0x10000000", "65535", "1025GiB", "9223372036854775807GiB", "99999999999999999999",
        NULL};
    assert_values_refused("HOT_LOG_BYTES=", bad_bytes,
        "environment: HOT_LOG_BYTES must be a number of bytes such as 65536, 64KiB or 1MiB, 64KiB to "
        "1024GiB; it is \"",
        "\"\n");
    assert_setting_refused(
        "PING_INTERVAL=0", "environment: PING_INTERVAL must be whole seconds, 1 to 3600; it is \"0\"\n");
    assert_setting_refused(
        "JWT_LEEWAY=30s", "environment: JWT_LEEWAY must be whole seconds, 0 to 300; it is \"30s\"\n");
    assert_setting_refused(
        "ROOMS_MAX=1KiB", "environment: ROOMS_MAX must be a whole number, 1 to 100000; it is \"1KiB\"\n");
    assert_setting_refused(
        "KAFKA_BROKERS= , ", "environment: KAFKA_BROKERS must not be empty; the default is localhost:9092\n");
}

static void lists_lose_blanks_and_empty_items(void **state)
{
    (void)state;
    struct config *c = load_environment(ENVIRONMENT(
        "PORT= 3000, 0,,0 ", "KAFKA_BROKERS=a:1 ,b:2,", "FRONTEND_URL=https://a.example, http://b:3000"));
    assert_string_equal(c->port, "3000,0,0");
    assert_string_equal(c->kafka_brokers, "a:1,b:2");
    assert_string_equal(c->frontend_url, "https://a.example,http://b:3000");
    config_destroy(c);
}

static void ports_are_numbers_that_differ(void **state)
{
    (void)state;
    static const char *const bad[] = {"65536", "x", "-1", "80a", "123456789012345", NULL};
    assert_values_refused("PORT=65535,", bad,
        "environment: PORT must be numbers from 0 to 65535 in a comma list; ", " is none\n");
    assert_setting_refused(
        "PORT=1,2,01", "environment: PORT names 01 twice; each port but 0 may stand once\n");
}

static void origins_have_no_path(void **state)
{
    (void)state;
    static const char *const bad[] = {"https://a.example/", "*", "a.example", "://a", "http://", NULL};
    assert_values_refused("FRONTEND_URL=http://ok:1,", bad,
        "environment: FRONTEND_URL must be origins, scheme://host[:port] without a path, or empty for any; ",
        " is none\n");
}

static void words_are_from_their_lists(void **state)
{
    (void)state;
    struct config *c = load_environment(ENVIRONMENT("LOG_LEVEL=debug", "LOG_FORMAT=json"));
    assert_string_equal(c->log_level, "debug");
    assert_string_equal(c->log_format, "json");
    config_destroy(c);
    assert_setting_refused(
        "LOG_LEVEL=loud", "environment: LOG_LEVEL must be debug, info, warn or error; it is loud\n");
    assert_setting_refused("LOG_FORMAT=", "environment: LOG_FORMAT must be text or json; it is \n");
}

static void settings_that_contradict_each_other_are_refused(void **state)
{
    (void)state;
    assert_setting_refused(
        "PING_INTERVAL=60", "LIFE_TIMEOUT (60 s) must be greater than PING_INTERVAL (60 s)\n");
    assert_setting_refused(
        "HOT_LOG_BYTES=4194303", "HOT_LOG_BYTES (4194303) must be at least 4 x EVENT_MAX_BYTES (1MiB)\n");
    assert_setting_refused(
        "CATCH_UP_BYTES=3MiB", "CATCH_UP_BYTES (3MiB) must be at least 4 x EVENT_MAX_BYTES (1MiB)\n");
    config_destroy(load_environment(ENVIRONMENT("HOT_LOG_BYTES=4MiB", "PING_INTERVAL=59")));
}

static void keys_are_asked_for_by_those_who_need_them(void **state)
{
    (void)state;
    struct buffer faults = {0};
    const char *const *none = ENVIRONMENT("JWT_SECRET=");
    const char *const *weak = ENVIRONMENT("JWT_SECRET=hunter2");
    const char *const *good = ENVIRONMENT("JWT_SECRET=" SECRET);
    static const char unset[] =
        "JWT_SECRET, JWT_KEYS and JWKS_URL are not set; one of them must give the key of the tokens\n";
    assert_refused(&(struct config_sources){.environment = none}, true, unset);
    assert_refused(&(struct config_sources){.environment = none, .dev = true}, true, unset);
    assert_refused(&(struct config_sources){.environment = weak}, true,
        "environment: JWT_SECRET has 7 bytes; it must have at least 32 (shorter only with --dev)\n");
    config_destroy(load(&(struct config_sources){.environment = weak}, false, &faults));
    struct config *c = load(&(struct config_sources){.environment = weak, .dev = true}, true, &faults);
    assert_string_equal(c->jwt_secret, "hunter2");
    assert_true(c->dev);
    config_destroy(c);
    c = load(&(struct config_sources){.environment = good}, true, &faults);
    assert_string_equal(c->jwt_secret, SECRET);
    config_destroy(c);
    c = load(&(struct config_sources){.environment = ENVIRONMENT("JWT_KEYS=a.json, b.pem")}, true, &faults);
    assert_string_equal(c->jwt_keys, "a.json,b.pem"); /* other keys will do */
    config_destroy(c);
    buffer_finish(&faults);
}

static void keys_come_from_addresses_that_nobody_can_change(void **state)
{
    (void)state;
    static const struct {
        const char *url;
        bool fine, fine_for_developers;
    } cases[] = {
        {"https://idp.example/keys", true, true},
        {"https://idp.example:8443/realms/x/certs?a=b", true, true},
        {"http://127.0.0.1:8080/keys", true, true},
        {"http://localhost/keys", true, true},
        {"http://localhost?x", true, true},
        {"http://[::1]:80/keys", true, true},
        {"http://localhost", true, true},
        {"http://localhosts/keys", false, true},
        {"http://idp.example/keys", false, true},
        {"http://127.0.0.1.evil.example/keys", false, true},
        {"http://localhost.evil.example/keys", false, true},
        {"http://localhost@evil.example/keys", false, false},
        {"https://user:pass@idp.example/keys", false, false},
        {"HTTPS://idp.example/keys", false, false},
        {"idp.example/keys", false, false},
        {"ftp://idp.example/keys", false, false},
        {"file:///etc/passwd", false, false},
        {"https://", false, false},
        {"https:///keys", false, false},
        {"https://idp.example/a b", false, false},
        {"https://idp.example/keys#1", false, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (int dev = 0; dev < 2; dev++) {
            struct buffer faults = {0}, setting = {0};
            buffer_print(&setting, "JWKS_URL=%s", cases[i].url);
            const char *const *environment = ENVIRONMENT(buffer_text(&setting));
            struct config *c =
                load(&(struct config_sources){.environment = environment, .dev = dev}, true, &faults);
            if ((c != NULL) != (dev ? cases[i].fine_for_developers : cases[i].fine))
                fail_msg("%s (dev: %d): %s", cases[i].url, dev, buffer_text(&faults));
            assert_true(c || !strstr(buffer_text(&faults), cases[i].url)); /* may hold a password */
            config_destroy(c);
            buffer_finish(&faults);
            buffer_finish(&setting);
        }
    }
    assert_refused(&(struct config_sources){.dotenv = "JWKS_COOLDOWN=301\n"}, false,
        "JWKS_COOLDOWN (301 s) must not be greater than JWKS_REFRESH (300 s)\n");
}

static void unknown_names_are_refused_with_the_nearest_known_one(void **state)
{
    (void)state;
    assert_refused(&(struct config_sources){.dotenv = "\nHOT_LOG_BYTE=1\n"}, false,
        ".env line 2: unknown setting HOT_LOG_BYTE; did you mean HOT_LOG_BYTES?\n");
    assert_refused(&(struct config_sources){.overrides = ENVIRONMENT("port=1", "WHATEVER_ELSE=1", "LOOPS")},
        false,
        "--set: unknown setting port; did you mean PORT?\n"
        "--set: unknown setting WHATEVER_ELSE; --help lists all\n"
        "--set: LOOPS is not of the form NAME=value\n");
    assert_setting_refused("CAUSEWAY_LOG_LEVEL=debug",
        "environment: unknown setting CAUSEWAY_LOG_LEVEL; did you mean LOG_LEVEL?\n");
}

static void the_rest_of_the_environment_is_nobodys_business(void **state)
{
    (void)state;
    config_destroy(load_environment(
        ENVIRONMENT("HOT_LOG_BYTE=1", "no equals sign", "=x", "CAUSEWAY_PORT=tcp://10.0.0.1:3000",
            "CAUSEWAY_PORT_3000_TCP_ADDR=10.0.0.1", "CAUSEWAY_SERVICE_HOST=10.0.0.1")));
}

static void kafka_properties_that_the_program_sets_itself_are_refused(void **state)
{
    (void)state;
    assert_setting_refused(
        "kafka.bootstrap.servers=a:1", "environment: kafka.bootstrap.servers is set by KAFKA_BROKERS\n");
    assert_setting_refused("kafka.=1",
        "environment: kafka. needs the name of a librdkafka property, as in kafka.security.protocol\n");
    assert_setting_refused("kafka.auto.offset.reset=latest",
        "environment: kafka.auto.offset.reset cannot be set: positions "
        "that are gone must become gaps, not jumps\n");
}

static void all_faults_are_reported_at_once(void **state)
{
    (void)state;
    assert_refused(
        &(struct config_sources){
            .dotenv = "PORT=1\nJWT_SECRET='abc\nsecond half'\n",
            .environment = ENVIRONMENT("EVENT_MAX_BYTES=1", "LIFE_TIMEOUT=3"),
        },
        true,
        ".env line 2: JWT_SECRET: the quote is not closed on this line\n"
        ".env line 3: not of the form NAME=value\n"
        "environment: EVENT_MAX_BYTES must be a number of bytes such as 65536, 64KiB or 1MiB, 1KiB to 16MiB; "
        "it is \"1\"\n"
        "JWT_SECRET, JWT_KEYS and JWKS_URL are not set; one of them must give the key of the tokens\n"
        "LIFE_TIMEOUT (3 s) must be greater than PING_INTERVAL (30 s)\n");
}

static void a_dotenv_line_is_read_as_documented(void **state)
{
    (void)state;
    static const struct {
        const char *text, *name, *value, *fault;
    } cases[] = {
        {"A=b", "A", "b", NULL},
        {"\xEF\xBB\xBF"
         "A=b\r\n",
            "A", "b", NULL},
        {"\n\r\n  # note\n\t A_1.x =  b c \t", "A_1.x", "b c", NULL},
        {"export A=b", "A", "b", NULL},
        {"export=b", "export", "b", NULL},
        {"A=", "A", "", NULL},
        {"A=# note", "A", "", NULL},
        {"A=b#c # note", "A", "b#c", NULL},
        {"A=b=c==", "A", "b=c==", NULL},
        {"A=it's \"x\"", "A", "it's \"x\"", NULL},
        {"A='b \\n # c' # note", "A", "b \\n # c", NULL},
        {"A=\"b \\n\\t\\r\\\"\\\\\\$ 'c'\"  ", "A", "b \n\t\r\"\\$ 'c'", NULL},
        {"A=\"\"", "A", "", NULL},
        {"A", NULL, NULL, "not of the form NAME=value"},
        {"=b", NULL, NULL, "not of the form NAME=value"},
        {"A-B=c", NULL, NULL, "not of the form NAME=value"},
        {"A='b", NULL, NULL, "the quote is not closed on this line"},
        {"A=\"b\\", NULL, NULL, "unknown escape; in double quotes \\n \\t \\r \\\" \\\\ \\$ are known"},
        {"A=\"\\x\"", NULL, NULL, "unknown escape; in double quotes \\n \\t \\r \\\" \\\\ \\$ are known"},
        {"A='b'c", NULL, NULL, "there is text behind the closing quote"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct dotenv d = {.rest = cases[i].text};
        assert_true(dotenv_next(&d));
        if (cases[i].fault) {
            assert_non_null(d.fault);
            assert_string_equal(d.fault, cases[i].fault);
        } else {
            assert_null(d.fault);
            assert_true(slice_is(d.name, cases[i].name));
            assert_string_equal(buffer_text(&d.value), cases[i].value);
        }
        assert_false(dotenv_next(&d));
        dotenv_finish(&d);
    }
}

static void dotenv_lines_are_counted_through_comments_and_faults(void **state)
{
    (void)state;
    struct dotenv d = {.rest = "# one\r\nA=1\r\n\r\nbroken\nB=2\n"};
    static const int lines[] = {2, 4, 5};
    for (size_t i = 0; i < 3; i++) {
        assert_true(dotenv_next(&d));
        assert_int_equal(d.line, lines[i]);
        assert_int_equal(d.fault != NULL, i == 1);
    }
    assert_true(slice_is(d.name, "B"));
    assert_false(dotenv_next(&d));
    dotenv_finish(&d);
}

/* Column where the explanation starts, found by two blanks behind the default. */
static size_t help_column(const char *line, const char *help)
{
    const char *at = strstr(line, help);
    assert_non_null(at);
    assert_memory_equal(at - 2, "  ", 2);
    return (size_t)(at - line);
}

static void the_help_names_every_setting_in_aligned_columns(void **state)
{
    (void)state;
    static const struct {
        const char *name, *help;
    } table[] = {
#define X(member, kind, name, fallback, min, max, secret, help) {name, help},
        CONFIG_TABLE(X)
#undef X
    };
    struct buffer out = {0};
    config_help(&out);
    char *rest = NULL, *line = strtok_r((char *)(uintptr_t)buffer_text(&out), "\n", &rest);
    size_t column = help_column(line, table[0].help);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        assert_non_null(line);
        assert_memory_equal(line, table[i].name, strlen(table[i].name));
        assert_int_equal(line[strlen(table[i].name)], ' ');
        assert_int_equal(help_column(line, table[i].help), column);
        line = strtok_r(NULL, "\n", &rest);
    }
    assert_memory_equal(line, "kafka.<property> ", 17);
    buffer_finish(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_any_source_the_defaults_hold),
        cmocka_unit_test(set_wins_over_environment_over_dotenv_over_default),
        cmocka_unit_test(a_weaker_source_with_a_bad_value_does_not_matter),
        cmocka_unit_test(bytes_are_read_with_their_units),
        cmocka_unit_test(amounts_that_are_none_or_out_of_range_are_refused),
        cmocka_unit_test(lists_lose_blanks_and_empty_items),
        cmocka_unit_test(ports_are_numbers_that_differ),
        cmocka_unit_test(origins_have_no_path),
        cmocka_unit_test(words_are_from_their_lists),
        cmocka_unit_test(settings_that_contradict_each_other_are_refused),
        cmocka_unit_test(keys_are_asked_for_by_those_who_need_them),
        cmocka_unit_test(keys_come_from_addresses_that_nobody_can_change),
        cmocka_unit_test(unknown_names_are_refused_with_the_nearest_known_one),
        cmocka_unit_test(the_rest_of_the_environment_is_nobodys_business),
        cmocka_unit_test(kafka_properties_that_the_program_sets_itself_are_refused),
        cmocka_unit_test(all_faults_are_reported_at_once),
        cmocka_unit_test(a_dotenv_line_is_read_as_documented),
        cmocka_unit_test(dotenv_lines_are_counted_through_comments_and_faults),
        cmocka_unit_test(the_help_names_every_setting_in_aligned_columns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
