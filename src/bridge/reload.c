#include "reload.h"

#include "state.h"

#include "causeway/docs.h"
#include "causeway/examples.h"
#include "causeway/lock.h"
#include "causeway/log.h"
#include "causeway/memory.h"
#include "causeway/metrics.h"
#include "causeway/yaml.h"

#include <stdlib.h>
#include <unistd.h>

enum { WAIT_US = 100 };

struct reload {
    struct bridge *bridge;
    struct lock lock;
    _Atomic(struct edition *) current; /* held; changed with the lock */
    _Atomic(struct edition *) offered; /* likewise; NULL: none */
};

/* --- editions --- */

/* A letter about a letter would be bad, too, and so on. */
static bool check_own_topics(
    const struct config *config, const struct catalogue *catalogue, struct buffer *fault)
{
    const struct {
        const char *setting, *topic, *what;
    } own[] = {{"DEAD_LETTER_TOPIC", config->dead_letter_topic, "letters need"},
        {"GRANTS_TOPIC", config->grants_topic, "changed rights need"}};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
        if (!catalogue_find_topic(catalogue, slice_of(own[i].topic)))
            continue;
        buffer_print(fault, "%s: topic %s is one of the catalogue's; %s one of their own", own[i].setting,
            own[i].topic, own[i].what);
        return false;
    }
    return true;
}

static struct catalogue *compile(
    const struct config *config, const struct document *document, struct buffer *fault)
{
    struct catalogue_faults faults = {0};
    struct catalogue *catalogue = catalogue_compile(document, &faults);
    if (!catalogue)
        buffer_print(fault, "CATALOGUE: %zu faults\n%s", faults.count, buffer_text(&faults.text));
    catalogue_faults_finish(&faults);
    if (!catalogue || check_own_topics(config, catalogue, fault))
        return catalogue;
    catalogue_release(catalogue);
    return NULL;
}

struct edition *edition_load(const struct config *config, struct buffer *fault)
{
    struct buffer unread = {0};
    struct document *document = yaml_document_load(config->catalogue, &unread);
    if (!document)
        buffer_print(fault, "CATALOGUE: %s", buffer_text(&unread));
    struct catalogue *catalogue = document ? compile(config, document, fault) : NULL;
    struct edition *e = catalogue ? xcalloc(1, sizeof *e) : NULL;
    if (e) {
        atomic_store(&e->references, 1);
        e->catalogue = catalogue;
        for (int i = 0; i < document_files(document); i++)
            node_write_json_raw(document_root(document, i), &e->document);
        document_write_json(document, &e->json);
        docs_write_html(document, &e->html);
        e->examples = examples_collect(document, catalogue);
    }
    document_destroy(document);
    buffer_finish(&unread);
    return e;
}

struct edition *edition_hold(struct edition *e)
{
    atomic_fetch_add(&e->references, 1);
    return e;
}

void edition_release(struct edition *e)
{
    if (!e || atomic_fetch_sub(&e->references, 1) != 1)
        return;
    catalogue_release(e->catalogue);
    buffer_finish(&e->document);
    buffer_finish(&e->json);
    buffer_finish(&e->html);
    examples_destroy(e->examples);
    free(e);
}

size_t edition_topics(const struct edition *e, struct slice **names)
{
    const struct topic *topics;
    size_t count = catalogue_topics(e->catalogue, &topics), wanted = 0;
    *names = xcalloc(count + 1, sizeof **names);
    for (size_t i = 0; i < count; i++)
        if (topics[i].wanted)
            (*names)[wanted++] = topics[i].name;
    return wanted;
}

/* --- which one there is --- */

struct reload *reload_create(struct bridge *b, struct edition *first)
{
    struct reload *r = xcalloc(1, sizeof *r);
    r->bridge = b;
    lock_init(&r->lock);
    atomic_store(&r->current, first);
    return r;
}

void reload_destroy(struct reload *r)
{
    edition_release(atomic_load(&r->current));
    edition_release(atomic_load(&r->offered));
    lock_finish(&r->lock);
    free(r);
}

struct edition *reload_current(struct reload *r)
{
    lock_take(&r->lock);
    struct edition *e = edition_hold(atomic_load(&r->current));
    lock_give(&r->lock);
    return e;
}

bool reload_is_current(struct reload *r, const struct edition *e)
{
    return atomic_load(&r->current) == e;
}

/* --- @thread main --- */

/* A line of the log for each fault. */
static void tell_faults(const struct buffer *fault)
{
    struct slice rest = buffer_slice(fault);
    while (rest.size > 0) {
        const char *end = memchr(rest.data, '\n', rest.size);
        size_t size = end ? (size_t)(end - rest.data) : rest.size;
        log_error("reload", "%.*s", (int)size, rest.data);
        rest = (struct slice){rest.data + size + (end != NULL), rest.size - size - (end != NULL)};
    }
    log_error("reload", "the catalogue stays as it was");
}

/* Takes over the edition. false: it is the one that there is. */
static bool offer(struct reload *r, struct edition *e)
{
    lock_take(&r->lock);
    struct edition *waiting = atomic_load(&r->offered);
    const struct edition *newest = waiting ? waiting : atomic_load(&r->current);
    bool news = !slice_equal(buffer_slice(&newest->document), buffer_slice(&e->document));
    e->number = newest->number + 1;
    if (news)
        atomic_store(&r->offered, e);
    lock_give(&r->lock);
    edition_release(news ? waiting : e);
    return news;
}

void reload_begin(struct reload *r)
{
    struct buffer fault = {0};
    struct edition *e = edition_load(r->bridge->config, &fault);
    if (!e) {
        metric_add(metric_label(METRIC_RELOADS, "refused"), 1);
        tell_faults(&fault);
    } else if (!offer(r, e)) {
        metric_add(metric_label(METRIC_RELOADS, "unchanged"), 1);
        log_info("reload", "the catalogue has not changed");
    }
    buffer_finish(&fault);
}

/* --- @thread kafka --- */

struct order {
    struct loop_task task;
    struct worker *worker;
    struct edition *edition;
    void (*follow)(struct worker *w, struct edition *e);
    atomic_uint *left;
};

/* @thread loop */
static void follow(struct loop_task *task)
{
    struct order *o = (struct order *)task;
    o->follow(o->worker, o->edition);
    atomic_fetch_sub(o->left, 1);
}

/* Returns when every loop has done it. Nothing that a loop does waits for this thread. */
static void tell_loops(struct bridge *b, struct edition *e, void (*what)(struct worker *w, struct edition *e))
{
    struct order *orders = xcalloc(b->worker_count, sizeof *orders);
    atomic_uint left = b->worker_count;
    for (unsigned i = 0; i < b->worker_count; i++) {
        orders[i] = (struct order){{.run = follow}, &b->workers[i], e, what, &left};
        loop_post(b->workers[i].loop, &orders[i].task);
    }
    while (atomic_load(&left) > 0)
        usleep(WAIT_US);
    free(orders);
}

bool reload_waits(struct reload *r)
{
    return atomic_load(&r->offered) != NULL;
}

struct edition *reload_take(struct reload *r)
{
    lock_take(&r->lock);
    struct edition *e = edition_hold(atomic_exchange(&r->offered, NULL));
    struct edition *before = atomic_exchange(&r->current, e);
    lock_give(&r->lock);
    edition_release(before);
    tell_loops(r->bridge, e, worker_leave_past);
    return e;
}

void reload_adopt(struct reload *r, struct edition *e)
{
    const struct topic *topics;
    const struct operation *operations;
    const struct room_pattern *rooms;
    tell_loops(r->bridge, e, worker_change_edition);
    metric_add(metric_label(METRIC_RELOADS, "applied"), 1);
    log_info("reload", "a new catalogue is in effect topics=%zu routes=%zu rooms=%zu",
        catalogue_topics(e->catalogue, &topics), catalogue_operations(e->catalogue, &operations),
        catalogue_rooms(e->catalogue, &rooms));
}
