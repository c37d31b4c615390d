/* For the command line, over a connection made for one statement alone: would the database take it? Asked by
   preparing it, which runs nothing. And what does it answer? */
#include "postgres_connection.h"

#include "causeway/memory.h"

#include <stdlib.h>

enum { CHECK_TIMEOUT_MS = 5000 };

static bool refuse(struct buffer *fault, const char *message)
{
    postgres_fault(fault, message);
    return false;
}

static bool judge_description(const PGresult *description, size_t params, struct buffer *fault)
{
    if ((size_t)PQnparams(description) != params) {
        buffer_clear(fault);
        buffer_print(
            fault, "the statement has %d parameters, but %zu are given", PQnparams(description), params);
        return false;
    }
    if (PQnfields(description) == 0)
        return refuse(fault, "the statement gives no rows");
    return true;
}

static bool check(PGconn *link, const char *sql, size_t params, struct buffer *fault)
{
    if (PQstatus(link) != CONNECTION_OK)
        return refuse(fault, postgres_link_fault(link));
    PGresult *prepared = PQprepare(link, "", sql, 0, NULL);
    bool good = PQresultStatus(prepared) == PGRES_COMMAND_OK || refuse(fault, PQresultErrorMessage(prepared));
    PQclear(prepared);
    if (!good)
        return false;
    PGresult *description = PQdescribePrepared(link, "");
    good = PQresultStatus(description) == PGRES_COMMAND_OK ? judge_description(description, params, fault)
                                                           : refuse(fault, PQresultErrorMessage(description));
    PQclear(description);
    return good;
}

bool postgres_check_url(const char *url, struct buffer *fault)
{
    struct postgres_target *target = postgres_target_create(url, CHECK_TIMEOUT_MS);
    bool legible = postgres_target_legible(target);
    if (!legible)
        buffer_add_text(fault,
            "is no connection string or URI that libpq reads, such as postgresql://user@host/database");
    postgres_target_destroy(target);
    return legible;
}

bool postgres_check_statement(const char *url, struct slice sql, size_t params, struct buffer *fault)
{
    struct postgres_target *target = postgres_target_create(url, CHECK_TIMEOUT_MS);
    PGconn *link = postgres_target_connect(target);
    struct buffer text = {0};
    buffer_add_slice(&text, sql);
    bool good = check(link, buffer_text(&text), params, fault);
    buffer_finish(&text);
    PQfinish(link);
    postgres_target_destroy(target);
    return good;
}

/* A value that is not of its parameter's type matches nothing, as for the bridge. */
static struct rows *read_answer(const PGresult *result, struct buffer *fault)
{
    bool good = PQresultStatus(result) == PGRES_TUPLES_OK;
    if (good || postgres_judge(result, false) == VERDICT_NO_ROWS)
        return good ? postgres_read_rows(result) : rows_create(NULL, 0);
    refuse(fault, PQresultErrorMessage(result));
    return NULL;
}

static struct rows *run(
    PGconn *link, const char *sql, const struct slice *params, size_t count, struct buffer *fault)
{
    if (PQstatus(link) != CONNECTION_OK) {
        refuse(fault, postgres_link_fault(link));
        return NULL;
    }
    char **texts = xcalloc(count + 1, sizeof *texts);
    for (size_t i = 0; i < count; i++)
        texts[i] = params[i].data ? xstrndup(params[i].data, params[i].size) : NULL;
    PGresult *result = PQexecParams(link, sql, (int)count, NULL, (const char *const *)texts, NULL, NULL, 0);
    struct rows *rows = read_answer(result, fault);
    PQclear(result);
    for (size_t i = 0; i < count; i++)
        free(texts[i]);
    free(texts);
    return rows;
}

struct rows *postgres_ask(
    const char *url, struct slice sql, const struct slice *params, size_t count, struct buffer *fault)
{
    struct postgres_target *target = postgres_target_create(url, CHECK_TIMEOUT_MS);
    PGconn *link = postgres_target_connect(target);
    struct buffer text = {0};
    buffer_add_slice(&text, sql);
    struct rows *rows = run(link, buffer_text(&text), params, count, fault);
    buffer_finish(&text);
    PQfinish(link);
    postgres_target_destroy(target);
    return rows;
}
