/* From libpq's results to what a lookup is told. */
#include "postgres_connection.h"

#include "causeway/memory.h"

#include <stdlib.h>

/* SQLSTATE by its beginning; the first row that fits decides. */
static const struct {
    const char *beginning;
    bool only_named;
    enum postgres_verdict verdict;
} verdicts[] = {
    {"22", false, VERDICT_NO_ROWS},
    {"26000", true, VERDICT_AGAIN}, /* the server does not know the name */
    {"0A000", true, VERDICT_AGAIN}, /* "cached plan must not change result type" */
    {"08", false, VERDICT_LOST},
    {"57P", false, VERDICT_LOST},          /* shutdown, crash of another server process */
    {"57014", false, VERDICT_UNAVAILABLE}, /* statement_timeout */
    {"40", false, VERDICT_UNAVAILABLE},
    {"53", false, VERDICT_UNAVAILABLE},
    {"55", false, VERDICT_UNAVAILABLE},
    {"58", false, VERDICT_UNAVAILABLE},
};

enum postgres_verdict postgres_judge(const PGresult *result, bool named)
{
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    if (!sqlstate) /* the message is libpq's own: the link is broken */
        return VERDICT_LOST;
    for (size_t i = 0; i < sizeof verdicts / sizeof verdicts[0]; i++) {
        if ((named || !verdicts[i].only_named) &&
            strncmp(sqlstate, verdicts[i].beginning, strlen(verdicts[i].beginning)) == 0)
            return verdicts[i].verdict;
    }
    return VERDICT_FAILED;
}

struct rows *postgres_read_rows(const PGresult *result)
{
    int columns = PQnfields(result);
    struct slice *cells = xcalloc((size_t)columns + 1, sizeof *cells);
    for (int i = 0; i < columns; i++)
        cells[i] = slice_of(PQfname(result, i));
    struct rows *rows = rows_create(cells, (size_t)columns);
    for (int row = 0; row < PQntuples(result); row++) {
        for (int i = 0; i < columns; i++) {
            const char *value = PQgetisnull(result, row, i) ? NULL : PQgetvalue(result, row, i);
            cells[i] = (struct slice){value, (size_t)PQgetlength(result, row, i)};
        }
        rows_add(rows, cells);
    }
    free(cells);
    return rows;
}
