/* Captured records, as check-event and explain read them: one JSON object each. */
#pragma once

#include "causeway/json.h"
#include "causeway/record.h"

struct captured {
    struct json json;
    struct buffer texts[2 * RECORD_HEADERS_MAX + 3]; /* unescaped texts of one record */
    size_t text_count;
};

/* The record points into `text` and into `c`, until the next call. `topic`: of one that names none. false: it
 * is no JSON object; c->json.fault says why, or is NULL. */
bool captured_read(struct captured *c, struct slice text, const char *topic, struct record *out);
void captured_finish(struct captured *c);
