#include "config_internal.h"

#include "causeway/memory.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <strings.h>

/* Loading takes three steps: collect what each source gives, read each value by its row of the table, check
   what only several values together can tell. It does not stop at a fault: all are reported at once. */

static const struct {
    bool is_text;
    const char *form; /* numbers: what a value must be */
    const char *unit; /* of the default in the help */
} kinds[] = {
    [KIND_TEXT] = {true, "", ""},
    [KIND_LIST] = {true, "", ""},
    [KIND_NUMBER] = {false, "a whole number", ""},
    [KIND_BYTES] = {false, "a number of bytes such as 65536, 64KiB or 1MiB", ""},
    [KIND_SECONDS] = {false, "whole seconds", " s"},
};

const struct setting config_settings[SETTING_COUNT] = {
#define X(member, kind, name, fallback, min, max, secret, help)                                              \
    {name, fallback, help, offsetof(struct config, member), min, max, KIND_##kind, secret},
    CONFIG_TABLE(X)
#undef X
};

static const struct {
    const char *suffix;
    int64_t factor;
} byte_units[] = {{"", 1}, {"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"KB", 1000},
    {"MB", 1000000}, {"GB", 1000000000}};

bool config_parse_number(const char *text, bool bytes, int64_t *out)
{
    char *end;
    if (!isdigit((unsigned char)*text)) /* strtoll would also take signs and blanks */
        return false;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (errno)
        return false;
    size_t known = bytes ? sizeof byte_units / sizeof *byte_units : 1;
    for (size_t i = 0; i < known; i++)
        if (strcasecmp(end, byte_units[i].suffix) == 0)
            return !__builtin_mul_overflow(number, byte_units[i].factor, out);
    return false;
}

void config_print_amount(struct buffer *out, enum config_kind kind, int64_t amount)
{
    size_t unit = 0; /* the largest binary unit without remainder */
    for (size_t i = 1; kind == KIND_BYTES && amount > 0 && i <= 3; i++)
        if (amount % byte_units[i].factor == 0)
            unit = i;
    buffer_print(out, "%lld%s", (long long)(amount / byte_units[unit].factor), byte_units[unit].suffix);
}

/* "EVENT_MAX_BYTES must be <form>, 1KiB to 16MiB; it is "5"". The value of a secret is never repeated. */
static void refuse_value(struct config_loader *l, enum setting_id id)
{
    const struct setting *s = &config_settings[id];
    l->broken[id] = true;
    config_begin_fault(l, l->given[id].from);
    if (kinds[s->kind].is_text) {
        buffer_print(l->faults, "%s must not be empty; the default is %s\n", s->name, s->fallback);
        return;
    }
    buffer_print(l->faults, "%s must be %s, ", s->name, kinds[s->kind].form);
    config_print_amount(l->faults, s->kind, s->min);
    buffer_add_text(l->faults, " to ");
    config_print_amount(l->faults, s->kind, s->max);
    if (!s->secret) {
        struct slice value = slice_of(l->given[id].value);
        value.size = value.size < 40 ? value.size : 40;
        buffer_add_text(l->faults, "; it is ");
        buffer_add_json_text(l->faults, value);
    }
    buffer_add_byte(l->faults, '\n');
}

void config_begin_fault(struct config_loader *l, struct config_origin from)
{
    if (from.line)
        buffer_print(l->faults, "%s line %d: ", from.source, from.line);
    else if (from.source)
        buffer_print(l->faults, "%s: ", from.source);
}

/* Cuts the next item, without blanks around it, off a comma list; false at the end. Items may be empty. */
bool config_next_item(const char **list, struct slice *item)
{
    if (!*list)
        return false;
    const char *start = *list, *end = strchrnul(start, ',');
    *list = *end ? end + 1 : NULL;
    while (start < end && isspace((unsigned char)*start))
        start++;
    while (start < end && isspace((unsigned char)end[-1]))
        end--;
    *item = (struct slice){start, (size_t)(end - start)};
    return true;
}

static char *tidy_list(const char *list)
{
    struct buffer tidy = {0};
    struct slice item;
    while (config_next_item(&list, &item)) {
        if (item.size && tidy.size)
            buffer_add_byte(&tidy, ',');
        buffer_add_slice(&tidy, item);
    }
    (void)buffer_text(&tidy);
    return tidy.data;
}

static void set_value(struct config_loader *l, enum setting_id id)
{
    const struct setting *s = &config_settings[id];
    const char *value = l->given[id].value ? l->given[id].value : s->fallback;
    void *member = (char *)l->config + s->offset;
    bool good;
    if (kinds[s->kind].is_text) {
        char *text = s->kind == KIND_LIST ? tidy_list(value) : xstrdup(value);
        good = strlen(text) >= (size_t)s->min;
        *(const char **)member = text;
    } else {
        int64_t number = 0;
        good = config_parse_number(value, s->kind == KIND_BYTES, &number) && number >= s->min &&
               number <= s->max;
        *(int64_t *)member = number;
    }
    if (!good)
        refuse_value(l, id);
}

struct config *config_load(const struct config_sources *sources, bool need_keys, struct buffer *faults)
{
    size_t faults_before = faults->size;
    struct config_loader l = {.config = xcalloc(1, sizeof *l.config), .faults = faults};
    l.config->dev = sources->dev;
    config_collect(&l, sources);
    for (size_t i = 0; i < SETTING_COUNT; i++)
        set_value(&l, (enum setting_id)i);
    config_check_rules(&l, need_keys);
    for (size_t i = 0; i < SETTING_COUNT; i++)
        free(l.given[i].value);
    if (faults->size == faults_before)
        return l.config;
    config_destroy(l.config);
    return NULL;
}

void config_destroy(struct config *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < SETTING_COUNT; i++)
        if (kinds[config_settings[i].kind].is_text)
            free(*(char **)((char *)c + config_settings[i].offset));
    for (size_t i = 0; i < c->kafka_count; i++) {
        free((char *)c->kafka[i].name);
        free((char *)c->kafka[i].value);
    }
    free(c->kafka);
    free(c);
}

static size_t default_width(const struct setting *s)
{
    return strlen(s->fallback) + strlen(kinds[s->kind].unit);
}

void config_help(struct buffer *out)
{
    static const char kafka_name[] = "kafka.<property>";
    int names = (int)sizeof kafka_name - 1, defaults = 1;
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        int name = (int)strlen(config_settings[i].name), fallback = (int)default_width(&config_settings[i]);
        names = name > names ? name : names;
        defaults = fallback > defaults ? fallback : defaults;
    }
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        const struct setting *s = &config_settings[i];
        const char *fallback = s->fallback[0] ? s->fallback : "-";
        const char *unit = kinds[s->kind].unit;
        buffer_print(out, "%-*s  %s%-*s  %s\n", names, s->name, fallback, defaults - (int)strlen(fallback),
            unit, s->help);
    }
    buffer_print(out, "%-*s  %-*s  %s\n", names, kafka_name, defaults, "-",
        "passed to librdkafka, as in kafka.security.protocol=SSL");
}
