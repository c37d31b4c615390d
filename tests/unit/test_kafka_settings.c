/* The properties of librdkafka, and which are refused. */
#include "unit.h"

#include "causeway/kafka.h"

static void expect_refused(struct kafka_property one, struct kafka_property another, const char *word)
{
    struct kafka_property properties[] = {one, another};
    struct kafka_settings settings = {"127.0.0.1:9", properties, another.name ? 2 : 1};
    char fault[512] = "";
    assert_false(kafka_settings_check(&settings, fault, sizeof fault));
    if (!strstr(fault, word))
        fail_msg("\"%s\" does not mention \"%s\"", fault, word);
}

#define P(name, value) ((struct kafka_property){(name), (value)})
#define NONE P(NULL, NULL)

static void settings_that_librdkafka_or_we_refuse_are_named(void **state)
{
    (void)state;
    expect_refused(P("no.such.thing", "1"), NONE, "kafka.no.such.thing");
    expect_refused(P("fetch.wait.max.ms", "soon"), NONE, "kafka.fetch.wait.max.ms");
    expect_refused(P("group.id", "mine"), NONE, "kafka.group.id");
    expect_refused(P("auto.offset.reset", "latest"), NONE, "kafka.auto.offset.reset");
    expect_refused(P("acks", "1"), NONE, "kafka.acks");
    expect_refused(P("bootstrap.servers", "elsewhere:1"), NONE, "KAFKA_BROKERS");
    expect_refused(P("enable.ssl.certificate.verification", "false"), NONE, "kafka.ssl.ca.location");
    /* fine each by itself; only a real handle notices */
    expect_refused(P("receive.message.max.bytes", "1000"), NONE, "receive.message.max.bytes");
    expect_refused(P("security.protocol", "ssl"), P("ssl.ca.location", "/nowhere/ca.pem"), "ssl.ca.location");
}

static void settings_that_are_fine_pass_for_reading_and_for_publishing(void **state)
{
    (void)state;
    struct kafka_property properties[] = {{"fetch.wait.max.ms", "250"}, {"compression.type", "gzip"},
        {"security.protocol", "sasl_plaintext"}, {"sasl.mechanism", "PLAIN"}, {"sasl.username", "u"},
        {"sasl.password", "p"}, {"enable.ssl.certificate.verification", "true"}};
    struct kafka_settings settings = {"a.example:9092,b.example:9093", properties, 7};
    char fault[512] = "";
    bool accepted = kafka_settings_check(&settings, fault, sizeof fault);
    assert_string_equal(fault, "");
    assert_true(accepted);
    settings.brokers = "";
    assert_false(kafka_settings_check(&settings, fault, sizeof fault));
    assert_non_null(strstr(fault, "KAFKA_BROKERS"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_that_librdkafka_or_we_refuse_are_named),
        cmocka_unit_test(settings_that_are_fine_pass_for_reading_and_for_publishing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
