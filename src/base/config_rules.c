#include "config_internal.h"

#include "causeway/address.h"
#include "causeway/log.h"

#include <string.h>

enum { TOPIC_NAME_MAX = 249 };

static void check_ports(struct config_loader *l, enum setting_id id, const char *list)
{
    bool seen[65536] = {false};
    struct slice item;
    while (config_next_item(&list, &item)) {
        char text[8] = "";
        int64_t port = -1;
        if (item.size < sizeof text)
            memcpy(text, item.data, item.size);
        bool number = config_parse_number(text, false, &port) && port <= 65535;
        if (number && (port == 0 || !seen[port])) {
            seen[port] = true;
            continue;
        }
        config_begin_fault(l, l->given[id].from);
        buffer_print(l->faults,
            number ? "PORT names %.*s twice; each port but 0 may stand once\n"
                   : "PORT must be numbers from 0 to 65535 in a comma list; %.*s is none\n",
            (int)(item.size < 40 ? item.size : 40), item.data);
    }
}

/* Browsers send scheme://host[:port]; anything longer would silently never match. */
static void check_origins(struct config_loader *l, enum setting_id id, const char *list)
{
    struct slice item;
    while (config_next_item(&list, &item)) {
        const char *host = item.size ? memmem(item.data, item.size, "://", 3) : NULL;
        size_t left = host ? (size_t)(item.data + item.size - host) - 3 : 0;
        if (item.size == 0 || (left && host > item.data && !memchr(host + 3, '/', left)))
            continue;
        config_begin_fault(l, l->given[id].from);
        buffer_print(l->faults,
            "%s must be origins, scheme://host[:port] without a path, or empty for any; %.*s is none\n",
            config_settings[id].name, (int)(item.size < 100 ? item.size : 100), item.data);
    }
}

/* As Kafka has it. Empty: there is none. */
static void check_topic(struct config_loader *l, enum setting_id id, const char *name)
{
    size_t size = strlen(name);
    bool legal = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == size;
    if (legal && size <= TOPIC_NAME_MAX && strcmp(name, ".") != 0 && strcmp(name, "..") != 0)
        return;
    config_begin_fault(l, l->given[id].from);
    buffer_print(l->faults,
        "%s must be a topic's name, at most %d letters, digits, '.', '_' and '-'; %.40s is none\n",
        config_settings[id].name, TOPIC_NAME_MAX, name);
}

static void check_networks(struct config_loader *l, enum setting_id id, const char *list)
{
    struct slice item = address_list_fault(list);
    if (item.size == 0)
        return;
    config_begin_fault(l, l->given[id].from);
    buffer_print(l->faults,
        "%s must be addresses or networks such as 10.0.0.0/8, a comma list; %.*s is none\n",
        config_settings[id].name, (int)(item.size < 60 ? item.size : 60), item.data);
}

static void check_log_level(struct config_loader *l, enum setting_id id, const char *value)
{
    enum log_level level;
    if (log_level_parse(value, &level))
        return;
    config_begin_fault(l, l->given[id].from);
    buffer_print(l->faults, "LOG_LEVEL must be debug, info, warn or error; it is %.40s\n", value);
}

static void check_log_format(struct config_loader *l, enum setting_id id, const char *value)
{
    if (strcmp(value, "text") == 0 || strcmp(value, "json") == 0)
        return;
    config_begin_fault(l, l->given[id].from);
    buffer_print(l->faults, "LOG_FORMAT must be text or json; it is %.40s\n", value);
}

/* Where keys come from decides who may come in: nobody on the way may change them. The value is not repeated,
   since some put credentials there. */
static void check_key_url(struct config_loader *l, enum setting_id id, const char *value)
{
    static const char *const loopbacks[] = {"localhost", "127.0.0.1", "[::1]"};
    const char *fault = NULL;
    bool http = strncmp(value, "http://", 7) == 0, https = strncmp(value, "https://", 8) == 0;
    const char *host = value + (https ? 8 : 7);
    bool local = l->config->dev;
    for (size_t i = 0; http && i < sizeof loopbacks / sizeof *loopbacks; i++) {
        size_t size = strlen(loopbacks[i]);
        local |= strncmp(host, loopbacks[i], size) == 0 && strchr("/:?", host[size]); /* or the end */
    }
    if (!*value)
        return;
    if (!http && !https)
        fault = "must be an https address";
    else if (memchr(host, '@', strcspn(host, "/?#")))
        fault = "must not hold credentials";
    else if (strcspn(host, "/:?#") == 0 || value[strcspn(value, " \t\r\n#")])
        fault = "is no address";
    else if (http && !local)
        fault = "must be an https address (http only for this machine, or with --dev)";
    if (!fault)
        return;
    config_begin_fault(l, l->given[id].from);
    buffer_print(l->faults, "JWKS_URL %s\n", fault);
}

static void check_texts(struct config_loader *l)
{
    const struct {
        enum setting_id id;
        const char *value;
        void (*check)(struct config_loader *l, enum setting_id id, const char *value);
    } rules[] = {
        {SETTING_port, l->config->port, check_ports},
        {SETTING_frontend_url, l->config->frontend_url, check_origins},
        {SETTING_jwks_url, l->config->jwks_url, check_key_url},
        {SETTING_checkpoint_topic, l->config->checkpoint_topic, check_topic},
        {SETTING_dead_letter_topic, l->config->dead_letter_topic, check_topic},
        {SETTING_trusted_proxies, l->config->trusted_proxies, check_networks},
        {SETTING_log_level, l->config->log_level, check_log_level},
        {SETTING_log_format, l->config->log_format, check_log_format},
    };
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (!l->broken[rules[i].id])
            rules[i].check(l, rules[i].id, rules[i].value);
}

enum { SECRET_LEAST = 32 }; /* HS256 wants a key as long as its hash */

static void check_secret(struct config_loader *l)
{
    size_t size = strlen(l->config->jwt_secret);
    if (size == 0 || size >= SECRET_LEAST || l->config->dev)
        return;
    config_begin_fault(l, l->given[SETTING_jwt_secret].from);
    buffer_print(l->faults, "JWT_SECRET has %zu bytes; it must have at least %d (shorter only with --dev)\n",
        size, SECRET_LEAST);
}

static void check_keys(struct config_loader *l)
{
    const struct config *c = l->config;
    if (!c->jwt_secret[0] && !c->jwt_keys[0] && !c->jwks_url[0])
        buffer_add_text(l->faults,
            "JWT_SECRET, JWT_KEYS and JWKS_URL are not set; one of them must give the key of the tokens\n");
    else
        check_secret(l);
}

/* A log must hold some events of the largest size, or nobody could walk it. */
static void check_fits(struct config_loader *l, enum setting_id log, int64_t bytes)
{
    int64_t event = l->config->event_max_bytes;
    if (l->broken[log] || l->broken[SETTING_event_max_bytes] || bytes >= 4 * event)
        return;
    buffer_print(l->faults, "%s (", config_settings[log].name);
    config_print_amount(l->faults, KIND_BYTES, bytes);
    buffer_add_text(l->faults, ") must be at least 4 x EVENT_MAX_BYTES (");
    config_print_amount(l->faults, KIND_BYTES, event);
    buffer_add_text(l->faults, ")\n");
}

static void check_together(struct config_loader *l)
{
    const struct config *c = l->config;
    if (!l->broken[SETTING_life_timeout] && !l->broken[SETTING_ping_interval] &&
        c->life_timeout <= c->ping_interval)
        buffer_print(l->faults, "LIFE_TIMEOUT (%lld s) must be greater than PING_INTERVAL (%lld s)\n",
            (long long)c->life_timeout, (long long)c->ping_interval);
    if (!l->broken[SETTING_jwks_cooldown] && !l->broken[SETTING_jwks_refresh] &&
        c->jwks_cooldown > c->jwks_refresh)
        buffer_print(l->faults, "JWKS_COOLDOWN (%lld s) must not be greater than JWKS_REFRESH (%lld s)\n",
            (long long)c->jwks_cooldown, (long long)c->jwks_refresh);
    if (strcmp(c->dead_letter_topic, c->checkpoint_topic) == 0)
        buffer_print(l->faults,
            "DEAD_LETTER_TOPIC and CHECKPOINT_TOPIC must be different topics; both are %.40s\n",
            c->dead_letter_topic);
    check_fits(l, SETTING_hot_log_bytes, c->hot_log_bytes);
    check_fits(l, SETTING_catch_up_bytes, c->catch_up_bytes);
}

void config_check_rules(struct config_loader *l, bool need_keys)
{
    check_texts(l);
    if (need_keys)
        check_keys(l);
    check_together(l);
}
