#include "gate.h"

#include "stand_in.h"
#include "state.h"

#include "causeway/memory.h"
#include "causeway/token.h"
#include "causeway/token_watch.h"

#include <stdlib.h>
#include <time.h>

struct gate {
    const struct config *config;
    struct token_verifier *verifier;
    struct token_watch *watch;
};

struct gate *gate_create(const struct config *config, struct buffer *fault)
{
    struct token_settings settings = token_settings_of(config);
    struct token_verifier *verifier = token_verifier_create(&settings, fault);
    if (!verifier)
        return NULL;
    struct gate *g = xcalloc(1, sizeof *g);
    *g = (struct gate){config, verifier, token_watch_create(verifier, config, 1000)};
    return g;
}

void gate_stop(struct gate *g)
{
    token_watch_destroy(g->watch);
    g->watch = NULL;
}

void gate_destroy(struct gate *g)
{
    token_watch_destroy(g->watch);
    token_verifier_destroy(g->verifier);
    free(g);
}

void gate_reload(struct gate *g)
{
    token_watch_reload(g->watch);
}

bool gate_ready(struct gate *g, char *detail, size_t size)
{
    return token_watch_ready(g->watch, detail, size);
}

/* A token that waits for its key. */
struct waiting {
    struct loop_task task;
    struct token_asker asker;
    struct gate *gate;
    struct worker *worker;
    uint64_t client, tag;
    enum token_look look;
    size_t size;
    char token[];
};

static void judge(struct gate *g, struct worker *w, struct slice token, uint64_t client, uint64_t tag,
    const enum token_look *looked);

static void on_brought(struct loop_task *task)
{
    struct waiting *t = (struct waiting *)task;
    judge(t->gate, t->worker, (struct slice){t->token, t->size}, t->client, t->tag, &t->look);
    explicit_bzero(t->token, t->size);
    free(t);
}

/* @thread token-keys */
static void on_looked(struct token_asker *asker, enum token_look look)
{
    struct waiting *t = (struct waiting *)((char *)asker - offsetof(struct waiting, asker));
    t->look = look;
    loop_post(t->worker->loop, &t->task);
}

static void wait_for_key(struct gate *g, struct worker *w, struct slice token, uint64_t client, uint64_t tag)
{
    struct waiting *t = xcalloc(1, sizeof *t + token.size);
    *t = (struct waiting){.task.run = on_brought,
        .asker.on_looked = on_looked,
        .gate = g,
        .worker = w,
        .client = client,
        .tag = tag,
        .size = token.size};
    memcpy(t->token, token.data, token.size);
    token_watch_ask(g->watch, &t->asker);
}

static void give_verdict(struct gate *g, struct client *c, uint64_t tag, enum token_status status, bool later,
    const struct token_claims *claims, int64_t now, uint64_t now_ms)
{
    struct client_verdict verdict = {
        .status = status == TOKEN_OK ? VERDICT_GOOD
                  : later            ? VERDICT_LATER
                                     : VERDICT_BAD,
        .why =
            later ? "the keys of tokens cannot be fetched now; come back later" : token_status_text(status),
        .user = claims->user,
        .user_json = claims->user_json,
        .valid_ms = (claims->expires - now) * 1000,
        .leeway_ms = g->config->jwt_leeway * 1000,
    };
    client_judged(c, tag, &verdict, now_ms);
}

/* `looked`: how looking for newer keys has ended; NULL: nobody has looked yet. */
static void judge(struct gate *g, struct worker *w, struct slice token, uint64_t client, uint64_t tag,
    const enum token_look *looked)
{
    struct client *c = roster_find(w->roster, client);
    struct token_claims claims;
    int64_t now = (int64_t)time(NULL);
    if (!c) /* gone while it waited */
        return;
    enum token_status status = token_verify(g->verifier, token, now, &claims);
    bool unknown = status == TOKEN_KEY && g->config->jwks_url[0];
    if (unknown && g->watch && (!looked || *looked == LOOK_AGAIN)) {
        wait_for_key(g, w, token, client, tag);
        return;
    }
    if (status == TOKEN_OK && w->bridge->stand_in)
        stand_in_note_token(w->bridge->stand_in, slice_of(claims.user), token);
    bool later = unknown && (!looked || *looked != LOOK_DONE);
    give_verdict(g, c, tag, status, later, &claims, now, loop_now(w->loop));
    token_claims_finish(&claims);
}

void gate_judge(struct gate *g, struct worker *w, struct slice token, uint64_t client, uint64_t tag)
{
    judge(g, w, token, client, tag, NULL);
}
