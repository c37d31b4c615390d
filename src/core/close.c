#include "causeway/close.h"

static const struct {
    uint16_t code;
    const char *text;
} rows[] = {
#define X(id, code, text, retry) {code, text},
    CLOSE_TABLE(X)
#undef X
};

uint16_t close_code(enum close_reason reason)
{
    return rows[reason].code;
}

const char *close_text(enum close_reason reason)
{
    return rows[reason].text;
}
