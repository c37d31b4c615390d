#include "status.h"

#include "gate.h"
#include "history.h"
#include "letters.h"
#include "reload.h"
#include "rights.h"
#include "state.h"

#include "causeway/metrics.h"

#include <stdio.h>

static void answer_health(struct worker *w, struct buffer *response)
{
    (void)w;
    http_respond(response, 200, "application/json", "", SLICE("{\"ok\":true}\n"));
}

static void add_check(struct buffer *body, const char *name, bool ok, const char *detail)
{
    buffer_print(body, "\"%s\":{\"ok\":%s,\"detail\":", name, ok ? "true" : "false");
    buffer_add_json_text(body, slice_of(detail));
    buffer_add_text(body, "},");
}

static void answer_ready(struct worker *w, struct buffer *response)
{
    struct bridge *b = w->bridge;
    if (b->stand_in) {
        bool started = bridge_started(b);
        http_respond(response, started ? 200 : 503, "application/json", "",
            started ? SLICE("{\"ready\":true,\"examples\":true}\n") : SLICE("{\"ready\":false}\n"));
        return;
    }
    char kafka_detail[256] = "the checkpoint topic was not read yet", database_detail[256] = "",
         history_detail[256] = "", rights_detail[256] = "", keys_detail[256] = "";
    struct kafka_source *source = atomic_load(&b->source);
    bool kafka = source && kafka_source_ready(source, kafka_detail, sizeof kafka_detail);
    bool database = postgres_healthy(b->postgres, database_detail, sizeof database_detail);
    bool history = history_ready(b->history, history_detail, sizeof history_detail);
    bool rights = rights_ready(b, rights_detail, sizeof rights_detail);
    bool keys = gate_ready(b->gate, keys_detail, sizeof keys_detail);
    if (kafka && !bridge_started(b)) { /* until then nobody is let in */
        kafka = false;
        snprintf(kafka_detail, sizeof kafka_detail, "the first checkpoint is not acknowledged yet");
    }
    bool draining = atomic_load(&b->draining);
    bool ready = kafka && database && history && rights && keys && !draining;
    struct buffer body = {0};
    buffer_print(&body, "{\"ready\":%s,", ready ? "true" : "false");
    add_check(&body, "kafka", kafka, kafka_detail);
    add_check(&body, "database", database, database_detail);
    add_check(&body, "rights", rights, rights_detail);
    add_check(&body, "checkpoints", history, history_detail);
    add_check(&body, "keys", keys, keys_detail);
    if (b->letters) { /* no reason to send clients elsewhere */
        char letters_detail[512] = "";
        bool letters = letters_ready(b->letters, letters_detail, sizeof letters_detail);
        add_check(&body, "dead_letters", letters, letters_detail);
    }
    buffer_print(&body, "\"draining\":%s}\n", draining ? "true" : "false");
    http_respond(response, ready ? 200 : 503, "application/json", "", buffer_slice(&body));
    buffer_finish(&body);
}

static void answer_metrics(struct worker *w, struct buffer *response)
{
    (void)w;
    struct buffer body = {0};
    metrics_print(&body);
    http_respond(response, 200, "text/plain; version=0.0.4; charset=utf-8", "", buffer_slice(&body));
    buffer_finish(&body);
}

static void answer_document(struct worker *w, struct buffer *response)
{
    struct slice json = buffer_slice(&w->edition->json);
    if (json.size > 0)
        http_respond(response, 200, "application/json", "", json);
    else
        http_respond(
            response, 501, "text/plain", "", SLICE("the document refers to itself; it cannot be one file\n"));
}

static void answer_docs(struct worker *w, struct buffer *response)
{
    static const char policy[] = "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'\r\n";
    http_respond(response, 200, "text/html; charset=utf-8", policy, buffer_slice(&w->edition->html));
}

static const struct {
    const char *path;
    void (*answer)(struct worker *w, struct buffer *response);
} pages[] = {
    {"/healthz", answer_health},
    {"/readyz", answer_ready},
    {"/metrics", answer_metrics},
    {"/docs", answer_docs},
    {"/asyncapi.json", answer_document},
};

bool status_request(struct worker *w, const struct http_head *head, struct buffer *response)
{
    for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++) {
        if (!slice_is(head->path, pages[i].path))
            continue;
        pages[i].answer(w, response);
        return true;
    }
    return false;
}
