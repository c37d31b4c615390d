/* One thread that looks at the files and at the URL. What it finds goes to the verifier as a whole; what it
   cannot read or fetch changes nothing there, and is told once per reason. */
#include "causeway/token_watch.h"

#include "token_fetch.h"
#include "token_internal.h"

#include "causeway/clock.h"
#include "causeway/log.h"
#include "causeway/memory.h"
#include "causeway/metrics.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

enum { FILES_SECONDS = 1, FETCH_MS = 5000 };

static const int64_t NEVER = INT64_MAX;

/* Where keys come from, and what was last said about it. */
struct source {
    size_t number; /* in the verifier */
    char *name;    /* of the file; of the URL, that of the setting */
    char *complaint;
    struct stat seen; /* of the file */
};

struct token_watch {
    struct token_verifier *verifier;
    const struct config *config;
    int64_t second_ms; /* of the settings' times */
    struct source *files;
    size_t file_count;
    struct source url;

    /* @thread its own */
    int64_t fetch_at, fetched_at; /* when next; when last with success, or the start */
    int64_t began_at;             /* the last fetch */
    unsigned failures;            /* in a row */

    pthread_t thread;
    atomic_bool stopping;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t changed;
    struct token_asker *askers;
    uint64_t fetches; /* begun */
    bool reload;
    bool has_keys; /* of the URL */
    char detail[200];
};

static bool has_url(const struct token_watch *w)
{
    return w->config->jwks_url[0] != '\0';
}

static void count(const char *result)
{
    metric_add(metric_label(METRIC_TOKEN_KEY_LOADS, result), 1);
}

/* --- what both kinds of sources have in common --- */

static void complain(struct source *s, struct buffer *why)
{
    if (s->complaint && strcmp(s->complaint, buffer_text(why)) == 0)
        return;
    free(s->complaint);
    s->complaint = xstrdup(buffer_text(why));
    log_error(
        "token", "keys cannot be loaded, the old ones stay source=%s fault=\"%s\"", s->name, s->complaint);
}

static void install(struct token_watch *w, struct source *s, struct token_keys *keys, struct buffer *notes)
{
    size_t number = keys->count;
    free(s->complaint);
    s->complaint = NULL;
    bool changed = token_verifier_install(w->verifier, s->number, keys);
    count(changed ? "changed" : "unchanged");
    if (changed)
        log_info("token", "keys changed source=%s keys=%zu%s%s", s->name, number,
            notes->size ? " left out: " : "", buffer_text(notes));
}

/* --- files --- */

static bool is_same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* A file that was written half is read again when the other half has come: its size or time changes then. */
static void look_at_file(struct token_watch *w, struct source *s, bool even_unchanged)
{
    struct stat now = {0};
    bool there = stat(s->name, &now) == 0;
    if (there && !even_unchanged && is_same_file(&now, &s->seen))
        return;
    s->seen = now;
    struct buffer notes = {0}, fault = {0};
    struct token_keys_rules rules = {.weak = w->config->dev};
    struct token_keys *keys = token_keys_of_file(s->name, &rules, &notes, &fault);
    if (keys) {
        install(w, s, keys, &notes);
    } else {
        count("failed");
        complain(s, &fault);
    }
    buffer_finish(&notes);
    buffer_finish(&fault);
}

/* --- the URL --- */

static void set_state(struct token_watch *w, bool has_keys, const char *detail)
{
    pthread_mutex_lock(&w->lock);
    w->has_keys = has_keys;
    snprintf(w->detail, sizeof w->detail, "%s", detail);
    pthread_mutex_unlock(&w->lock);
}

static bool fetch_keys(struct token_watch *w, struct buffer *notes, struct buffer *fault)
{
    struct buffer body = {0};
    struct token_fetch f = {
        w->config->jwks_url, w->config->jwks_ca_file, TOKEN_KEYS_MAX_BYTES, FETCH_MS, &w->stopping};
    struct token_keys *keys = NULL;
    if (token_fetch(&f, &body, fault))
        keys =
            token_keys_read(buffer_slice(&body), &(struct token_keys_rules){.fetched = true}, notes, fault);
    if (keys)
        install(w, &w->url, keys, notes);
    buffer_finish(&body);
    return keys != NULL;
}

static void on_fetched(struct token_watch *w, int64_t now)
{
    w->failures = 0;
    w->fetched_at = now;
    w->fetch_at = w->began_at + w->config->jwks_refresh * w->second_ms;
    metric_set(metric_get(METRIC_TOKEN_KEYS_FETCHED), (int64_t)time(NULL));
    set_state(w, true, "");
}

/* Tried again after the cooldown, twice that, and so on up to the refresh interval. */
static void on_fetch_failed(struct token_watch *w, int64_t now, struct buffer *fault)
{
    int64_t cooldown = w->config->jwks_cooldown * w->second_ms,
            refresh = w->config->jwks_refresh * w->second_ms;
    int64_t wait = cooldown << (w->failures < 16 ? w->failures : 16);
    char detail[160];
    w->failures++;
    w->fetch_at = now + (wait < refresh ? wait : refresh);
    bool over = now - w->fetched_at >= w->config->jwks_lease * w->second_ms;
    if (over && token_verifier_install(w->verifier, w->url.number, NULL))
        log_error("token", "keys of JWKS_URL are not trusted any more, JWKS_LEASE is over");
    count("failed");
    complain(&w->url, fault);
    snprintf(detail, sizeof detail, "JWKS_URL: %.100s", buffer_text(fault));
    pthread_mutex_lock(&w->lock);
    bool has_keys = w->has_keys && !over;
    pthread_mutex_unlock(&w->lock);
    set_state(w, has_keys, detail);
}

static void answer(struct token_asker *list, uint64_t fetch, bool fetched)
{
    while (list) {
        struct token_asker *a = list;
        list = a->next;
        a->on_looked(a, !fetched ? LOOK_FAILED : a->since < fetch ? LOOK_DONE : LOOK_AGAIN);
    }
}

static void fetch(struct token_watch *w)
{
    struct buffer notes = {0}, fault = {0};
    w->began_at = (int64_t)clock_monotonic_ms();
    pthread_mutex_lock(&w->lock);
    uint64_t number = ++w->fetches;
    pthread_mutex_unlock(&w->lock);
    bool fetched = fetch_keys(w, &notes, &fault);
    if (fetched)
        on_fetched(w, (int64_t)clock_monotonic_ms());
    else if (!atomic_load(&w->stopping))
        on_fetch_failed(w, (int64_t)clock_monotonic_ms(), &fault);
    pthread_mutex_lock(&w->lock);
    struct token_asker *askers = w->askers;
    w->askers = NULL;
    pthread_mutex_unlock(&w->lock);
    answer(askers, number, fetched);
    buffer_finish(&notes);
    buffer_finish(&fault);
}

/* When the URL is to be fetched: at its time, or earlier when somebody asks, but not without a pause. */
static int64_t due(const struct token_watch *w, bool asked)
{
    if (!has_url(w))
        return NEVER;
    int64_t soonest = w->began_at + w->config->jwks_cooldown * w->second_ms;
    return asked && soonest < w->fetch_at ? soonest : w->fetch_at;
}

/* --- the thread --- */

/* Until there is something to do; within the lock. */
static void wait_until(struct token_watch *w, int64_t at)
{
    struct timespec deadline = {at / 1000, at % 1000 * 1000000};
    if (at == NEVER)
        pthread_cond_wait(&w->changed, &w->lock);
    else
        pthread_cond_timedwait(&w->changed, &w->lock, &deadline);
}

static void *run(void *argument)
{
    struct token_watch *w = argument;
    int64_t files_at = w->file_count ? (int64_t)clock_monotonic_ms() : NEVER;
    bool reload_url = false;
    pthread_mutex_lock(&w->lock);
    while (!atomic_load(&w->stopping)) {
        reload_url |= w->reload;
        int64_t now = (int64_t)clock_monotonic_ms(), fetch_at = due(w, w->askers || reload_url);
        bool reload = w->reload, files = reload || now >= files_at, url = now >= fetch_at;
        if (!files && !url) {
            wait_until(w, files_at < fetch_at ? files_at : fetch_at);
            continue;
        }
        w->reload = false;
        pthread_mutex_unlock(&w->lock);
        for (size_t i = 0; files && i < w->file_count; i++)
            look_at_file(w, &w->files[i], reload);
        if (files && w->file_count)
            files_at = (int64_t)clock_monotonic_ms() + FILES_SECONDS * w->second_ms;
        if (url) {
            reload_url = false;
            fetch(w);
        }
        pthread_mutex_lock(&w->lock);
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

/* --- life cycle --- */

static void add_files(struct token_watch *w)
{
    const char *names = w->config->jwt_keys;
    w->files = xcalloc(token_verifier_sources(w->verifier), sizeof *w->files);
    for (struct slice name = token_next_name(&names); name.size; name = token_next_name(&names)) {
        w->files[w->file_count] = (struct source){.number = 1 + w->file_count};
        w->files[w->file_count++].name = xstrndup(name.data, name.size);
    }
}

struct token_watch *token_watch_create(
    struct token_verifier *v, const struct config *config, unsigned second_ms)
{
    struct token_watch *w = xcalloc(1, sizeof *w);
    pthread_condattr_t monotonic;
    w->verifier = v;
    w->config = config;
    w->second_ms = second_ms;
    add_files(w);
    w->url = (struct source){.number = token_verifier_sources(v) - 1, .name = xstrdup("JWKS_URL")};
    w->fetched_at = (int64_t)clock_monotonic_ms();
    w->began_at = w->fetched_at - config->jwks_cooldown * second_ms;
    snprintf(w->detail, sizeof w->detail, "JWKS_URL was not fetched yet");
    CHECK(pthread_mutex_init(&w->lock, NULL) == 0 && pthread_condattr_init(&monotonic) == 0 &&
          pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC) == 0 &&
          pthread_cond_init(&w->changed, &monotonic) == 0);
    pthread_condattr_destroy(&monotonic);
    if (has_url(w))
        token_fetch_setup();
    CHECK(pthread_create(&w->thread, NULL, run, w) == 0);
    pthread_setname_np(w->thread, "token-keys");
    return w;
}

static void wake(struct token_watch *w)
{
    pthread_cond_signal(&w->changed);
}

void token_watch_destroy(struct token_watch *w)
{
    if (!w)
        return;
    pthread_mutex_lock(&w->lock);
    atomic_store(&w->stopping, true);
    wake(w);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
    answer(w->askers, 0, false);
    for (size_t i = 0; i < w->file_count; i++) {
        free(w->files[i].name);
        free(w->files[i].complaint);
    }
    free(w->files);
    free(w->url.name);
    free(w->url.complaint);
    pthread_cond_destroy(&w->changed);
    pthread_mutex_destroy(&w->lock);
    free(w);
}

void token_watch_reload(struct token_watch *w)
{
    pthread_mutex_lock(&w->lock);
    w->reload = true;
    wake(w);
    pthread_mutex_unlock(&w->lock);
}

void token_watch_ask(struct token_watch *w, struct token_asker *a)
{
    CHECK(has_url(w));
    pthread_mutex_lock(&w->lock);
    a->since = w->fetches;
    a->next = w->askers;
    w->askers = a;
    wake(w);
    pthread_mutex_unlock(&w->lock);
}

bool token_watch_ready(struct token_watch *w, char *detail, size_t size)
{
    pthread_mutex_lock(&w->lock);
    bool ready = !has_url(w) || w->has_keys;
    snprintf(detail, size, "%s", has_url(w) ? w->detail : "");
    pthread_mutex_unlock(&w->lock);
    return ready;
}
