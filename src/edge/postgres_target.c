/* What every connection is made with: the operator's URL, and around it what this program depends on. Earlier
   keywords give way to the URL's, later ones win over it. */
#include "postgres_connection.h"

#include "causeway/memory.h"

#include <stdlib.h>

struct postgres_target {
    char *url;
    bool legible;
    struct buffer options;
};

/* Server settings of the URL (or of PGOPTIONS, which the explicit keyword would otherwise hide) stay; ours
 * come behind them. */
static void add_options(struct buffer *out, const PQconninfoOption *of_url, unsigned statement_timeout_ms)
{
    const char *found = getenv("PGOPTIONS");
    for (const PQconninfoOption *o = of_url; o && o->keyword; o++) {
        if (strcmp(o->keyword, "options") == 0 && o->val)
            found = o->val;
    }
    if (found && *found)
        buffer_print(out, "%s ", found);
    buffer_print(out, "-c default_transaction_read_only=on -c statement_timeout=%u", statement_timeout_ms);
    buffer_text(out);
}

struct postgres_target *postgres_target_create(const char *url, unsigned statement_timeout_ms)
{
    struct postgres_target *target = xcalloc(1, sizeof *target);
    PQconninfoOption *of_url = PQconninfoParse(url, NULL);
    target->url = xstrdup(url);
    target->legible =
        of_url || !(strchr(url, '=') || strstr(url, "://")); /* else the bare name of a database */
    add_options(&target->options, of_url, statement_timeout_ms);
    PQconninfoFree(of_url);
    return target;
}

bool postgres_target_legible(const struct postgres_target *target)
{
    return target->legible;
}

void postgres_target_destroy(struct postgres_target *target)
{
    if (!target)
        return;
    explicit_bzero(target->url, strlen(target->url)); /* it may hold a password */
    free(target->url);
    buffer_finish(&target->options);
    free(target);
}

enum { KEYWORDS = 10 };

struct keywords {
    const char *names[KEYWORDS + 1], *values[KEYWORDS + 1];
};

static struct keywords list_keywords(const struct postgres_target *target)
{
    const char *const table[KEYWORDS][2] = {
        {"fallback_application_name", "causeway"},
        {"connect_timeout", "5"}, /* heeded by the blocking way only */
        {"keepalives", "1"},
        {"keepalives_idle", "5"},
        {"keepalives_interval", "2"},
        {"keepalives_count", "3"},
        {"tcp_user_timeout", "5000"},
        {"dbname", target->url},
        {"client_encoding", "UTF8"}, /* cells become room names and JSON */
        {"options", target->options.data},
    };
    struct keywords k = {{NULL}, {NULL}};
    for (size_t i = 0; i < KEYWORDS; i++) {
        k.names[i] = table[i][0];
        k.values[i] = table[i][1];
    }
    return k;
}

PGconn *postgres_target_begin(const struct postgres_target *target)
{
    if (!target->legible)
        return NULL;
    struct keywords k = list_keywords(target);
    return PQconnectStartParams(k.names, k.values, 1);
}

PGconn *postgres_target_connect(const struct postgres_target *target)
{
    if (!target->legible)
        return NULL;
    struct keywords k = list_keywords(target);
    return PQconnectdbParams(k.names, k.values, 1);
}

const char *postgres_link_fault(const PGconn *link)
{
    return link ? PQerrorMessage(link) : "the database URL cannot be read";
}

void postgres_fault(struct buffer *out, const char *message)
{
    buffer_clear(out);
    static const char *const prefixes[] = {"ERROR:  ", "FATAL:  ", "PANIC:  "};
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
        if (strncmp(message, prefixes[i], strlen(prefixes[i])) == 0)
            message += strlen(prefixes[i]);
    }
    buffer_add(out, message, strcspn(message, "\r\n"));
    buffer_text(out);
}
