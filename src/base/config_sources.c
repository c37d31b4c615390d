#include "config_internal.h"

#include "causeway/dotenv.h"
#include "causeway/edits.h"
#include "causeway/memory.h"

#include <ctype.h>
#include <stdlib.h>

static const struct slice kafka_prefix = {"kafka.", 6};
static const struct slice own_prefix = {"CAUSEWAY_", 9};

static const struct setting *find_setting(struct slice name)
{
    for (size_t i = 0; i < SETTING_COUNT; i++)
        if (slice_is(name, config_settings[i].name))
            return &config_settings[i];
    return NULL;
}

static const char *find_nearest(struct slice name)
{
    const char *nearest = NULL;
    size_t least = name.size / 3 + 2; /* farther away is no slip of the finger */
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        size_t edits = edits_between(name, slice_of(config_settings[i].name));
        if (edits < least) {
            least = edits;
            nearest = config_settings[i].name;
        }
    }
    return nearest;
}

static void refuse_unknown(struct config_loader *l, struct slice name, struct config_origin from)
{
    struct slice meant = name;
    if (slice_starts(name, own_prefix))
        meant = (struct slice){name.data + own_prefix.size, name.size - own_prefix.size};
    const char *nearest = find_nearest(meant);
    config_begin_fault(l, from);
    buffer_print(l->faults, "unknown setting %.*s; ", (int)(name.size < 100 ? name.size : 100), name.data);
    if (nearest)
        buffer_print(l->faults, "did you mean %s?\n", nearest);
    else
        buffer_add_text(l->faults, "--help lists all\n");
}

/* Properties that the program answers for itself. */
static const struct {
    const char *name;
    const char *instead;
} fixed_properties[] = {
    {"bootstrap.servers", "is set by KAFKA_BROKERS"},
    {"metadata.broker.list", "is set by KAFKA_BROKERS"},
    {"auto.offset.reset", "cannot be set: positions that are gone must become gaps, not jumps"},
};

static bool check_property(struct config_loader *l, struct slice name, struct config_origin from)
{
    const char *fault = NULL;
    for (size_t i = 0; i < sizeof fixed_properties / sizeof *fixed_properties; i++)
        if (slice_is(name, fixed_properties[i].name))
            fault = fixed_properties[i].instead;
    if (name.size == 0)
        fault = "needs the name of a librdkafka property, as in kafka.security.protocol";
    if (!fault)
        return true;
    config_begin_fault(l, from);
    buffer_print(l->faults, "kafka.%.*s %s\n", SLICE_ARGS(name), fault);
    return false;
}

static void give_property(
    struct config_loader *l, struct slice name, struct slice value, struct config_origin from)
{
    struct config *c = l->config;
    if (!check_property(l, name, from))
        return;
    size_t i = 0;
    while (i < c->kafka_count && !slice_is(name, c->kafka[i].name))
        i++;
    if (i == c->kafka_count) {
        c->kafka = xrealloc(c->kafka, (i + 1) * sizeof *c->kafka);
        c->kafka[i] = (struct config_property){.name = xstrndup(name.data, name.size)};
        c->kafka_count++;
    }
    free((char *)c->kafka[i].value);
    c->kafka[i].value = xstrndup(value.data, value.size);
}

/* false: no such name. */
static bool give(struct config_loader *l, struct slice name, struct slice value, struct config_origin from)
{
    if (slice_starts(name, kafka_prefix)) {
        name = (struct slice){name.data + kafka_prefix.size, name.size - kafka_prefix.size};
        give_property(l, name, value, from);
        return true;
    }
    const struct setting *s = find_setting(name);
    if (!s)
        return false;
    struct config_given *given = &l->given[s - config_settings];
    free(given->value);
    *given = (struct config_given){xstrndup(value.data, value.size), from};
    return true;
}

static bool split(const char *pair, struct slice *name, struct slice *value)
{
    const char *equals = strchr(pair, '=');
    if (!equals)
        return false;
    *name = (struct slice){pair, (size_t)(equals - pair)};
    *value = slice_of(equals + 1);
    return true;
}

static void take_dotenv(struct config_loader *l, const char *text)
{
    struct dotenv d = {.rest = text};
    while (dotenv_next(&d)) {
        struct config_origin from = {".env", d.line};
        if (d.fault) {
            config_begin_fault(l, from);
            /* An unknown name here may be a piece of a secret that was broken over two lines. */
            if (find_setting(d.name))
                buffer_print(l->faults, "%.*s: ", SLICE_ARGS(d.name));
            buffer_print(l->faults, "%s\n", d.fault);
        } else if (!give(l, d.name, buffer_slice(&d.value), from)) {
            refuse_unknown(l, d.name, from);
        }
    }
    dotenv_finish(&d);
}

/* Kubernetes puts these into every container beside a Service called "causeway": CAUSEWAY_SERVICE_HOST,
   CAUSEWAY_PORT=tcp://..., CAUSEWAY_PORT_3000_TCP and so on. */
static bool is_service_link(struct slice name, struct slice value)
{
    static const struct slice service = {"CAUSEWAY_SERVICE_", 17}, port = {"CAUSEWAY_PORT_", 14};
    if (slice_is(name, "CAUSEWAY_PORT"))
        return memmem(value.data, value.size, "://", 3) != NULL;
    return slice_starts(name, service) || (slice_starts(name, port) && name.size > port.size &&
                                              isdigit((unsigned char)name.data[port.size]));
}

/* The environment belongs to others too: only names that are meant for this program are judged. */
static void take_environment(struct config_loader *l, const char *const *environment)
{
    const struct config_origin from = {"environment", 0};
    struct slice name, value;
    for (; environment && *environment; environment++) {
        if (!split(*environment, &name, &value) || is_service_link(name, value) || give(l, name, value, from))
            continue;
        if (slice_starts(name, own_prefix))
            refuse_unknown(l, name, from);
    }
}

static void take_overrides(struct config_loader *l, const char *const *overrides)
{
    const struct config_origin from = {"--set", 0};
    struct slice name, value;
    for (; overrides && *overrides; overrides++) {
        if (!split(*overrides, &name, &value)) {
            config_begin_fault(l, from);
            buffer_print(l->faults, "%.100s is not of the form NAME=value\n", *overrides);
        } else if (!give(l, name, value, from)) {
            refuse_unknown(l, name, from);
        }
    }
}

void config_collect(struct config_loader *l, const struct config_sources *sources)
{
    if (sources->dotenv)
        take_dotenv(l, sources->dotenv);
    take_environment(l, sources->environment);
    take_overrides(l, sources->overrides);
}
