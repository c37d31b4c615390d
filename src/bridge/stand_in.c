#include "stand_in.h"

#include "judge.h"
#include "state.h"

#include "causeway/base64.h"
#include "causeway/clock.h"
#include "causeway/examples.h"
#include "causeway/lock.h"
#include "causeway/log.h"
#include "causeway/map.h"
#include "causeway/memory.h"
#include "causeway/template.h"

#include <stdlib.h>
#include <unistd.h>

enum { STEP_MS = 50, CLAIMS_MAX = 32 };

struct stand_in {
    struct bridge *bridge;
    struct judge *judge;
    pthread_t thread;
    atomic_bool stopping, started;
    int64_t offset;     /* of the next record, in every topic */
    struct lock lock;   /* what follows */
    struct map *rooms;  /* by name: those that examples go to */
    struct map *claims; /* by user: the token's, as a text */
};

/* --- the thread --- */

static void note_rooms(struct stand_in *r, const struct routed *routed)
{
    lock_take(&r->lock);
    for (size_t i = 0; i < routed->delivery_count; i++)
        for (size_t k = 0; k < routed->deliveries[i].room_count; k++)
            map_set(r->rooms, routed->deliveries[i].rooms[k], r);
    lock_give(&r->lock);
}

static const struct examples *examples_of(const struct stand_in *r)
{
    return judge_edition(r->judge)->examples;
}

/* Which rooms there are is known before anybody comes. */
static void look_at_examples(struct stand_in *r)
{
    struct routed routed;
    for (size_t i = 0; i < examples_count(examples_of(r)); i++)
        if (judge_look(r->judge, examples_at(examples_of(r), i), &routed) == REJECT_NONE)
            note_rooms(r, &routed);
}

/* What Kafka would say to a checkpoint, said at once: so that events carry cursors. */
static void begin_topics(struct stand_in *r)
{
    struct journal *j = r->bridge->journals[0];
    struct buffer bytes = {0};
    uint64_t tag;
    for (size_t i = 0; i < examples_count(examples_of(r)); i++) {
        struct slice topic = examples_at(examples_of(r), i)->topic;
        journal_advance(j, partitions_get(r->bridge->partitions, topic, 0, r->offset), r->offset, NULL);
    }
    if (journal_checkpoint(j, true, &bytes, &tag))
        journal_acknowledge(j, tag, r->offset);
    buffer_finish(&bytes);
}

static void show(struct stand_in *r)
{
    journal_publish(r->bridge->journals[0]);
    for (unsigned i = 0; i < r->bridge->worker_count; i++)
        loop_wake(r->bridge->workers[i].loop);
}

static void exchange_catalogue(struct stand_in *r)
{
    show(r);
    struct edition *e = reload_take(r->bridge->reload);
    hotlog_empty(journal_log(r->bridge->journals[0]));
    judge_adopt(r->judge, e);
    look_at_examples(r);
    begin_topics(r);
    reload_adopt(r->bridge->reload, e);
    edition_release(e);
}

static void publish_all(struct stand_in *r)
{
    struct journal *j = r->bridge->journals[0];
    int64_t now = clock_wall_ms();
    for (size_t i = 0; i < examples_count(examples_of(r)); i++) {
        struct record record = *examples_at(examples_of(r), i);
        record.offset = r->offset++;
        record.time_ms = now;
        uint32_t number = partitions_get(r->bridge->partitions, record.topic, 0, record.offset);
        judge_record(r->judge, j, number, &record, true);
        journal_advance(j, number, record.offset + 1, &record);
    }
    show(r);
}

static void *run(void *argument)
{
    struct stand_in *r = argument;
    int64_t pause_ms = r->bridge->config->replay_examples * 1000;
    look_at_examples(r);
    begin_topics(r);
    show(r);
    atomic_store(&r->started, true);
    for (int64_t left = 0; !atomic_load(&r->stopping); left -= STEP_MS) {
        if (reload_waits(r->bridge->reload))
            exchange_catalogue(r);
        if (left <= 0) {
            publish_all(r);
            left = pause_ms;
        }
        usleep(STEP_MS * 1000);
    }
    return NULL;
}

/* --- who somebody is --- */

/* The token has been verified when its user is asked about. */
void stand_in_note_token(struct stand_in *r, struct slice user, struct slice token)
{
    const char *dot = memchr(token.data, '.', token.size);
    const char *end = dot ? memchr(dot + 1, '.', (size_t)(token.data + token.size - dot - 1)) : NULL;
    if (!end)
        return;
    struct slice part = {dot + 1, (size_t)(end - dot - 1)};
    char *text = xcalloc(1, part.size + 4);
    size_t size = 0;
    lock_take(&r->lock);
    if (base64url_decode(part, text, &size)) {
        text[size] = '\0';
        free(map_set(r->claims, user, text));
        text = NULL;
    }
    lock_give(&r->lock);
    free(text);
}

/* One row: the id, and every claim of the token that is a text or a number. */
static struct rows *answer_principal(struct stand_in *r, struct slice user)
{
    struct slice columns[CLAIMS_MAX] = {SLICE("id")}, cells[CLAIMS_MAX] = {user};
    struct buffer scratch[CLAIMS_MAX] = {0};
    struct json j = {0};
    size_t count = 1;
    lock_take(&r->lock);
    const char *text = map_find(r->claims, user);
    if (text && json_scan(&j, text, strlen(text)))
        for (uint32_t n = json_first(&j, 0); n != JSON_NONE && count < CLAIMS_MAX; n = json_after(&j, 0, n)) {
            struct slice name = json_raw(&j, n);
            enum json_type type = json_type(&j, n + 1);
            if (slice_is(name, "id") || (type != JSON_STRING && type != JSON_NUMBER))
                continue;
            columns[count] = name;
            cells[count] =
                type == JSON_STRING ? json_string(&j, n + 1, &scratch[count]) : json_raw(&j, n + 1);
            count++;
        }
    struct rows *rows = rows_create(columns, count);
    rows_add(rows, cells);
    lock_give(&r->lock);
    for (size_t i = 0; i < CLAIMS_MAX; i++)
        buffer_finish(&scratch[i]);
    json_finish(&j);
    return rows;
}

/* --- what somebody may see --- */

static const struct room_pattern *pattern_of(const struct catalogue *c, const struct lookup *lookup)
{
    const struct room_pattern *patterns;
    size_t count = catalogue_rooms(c, &patterns);
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < patterns[i].rule_count; k++)
            if (patterns[i].rules[k].lookup == lookup)
                return &patterns[i];
    return NULL;
}

/* Every room of the pattern that an example goes to, as a row that names it. */
static struct rows *answer_rooms(struct stand_in *r, const struct catalogue *c, const struct lookup *lookup)
{
    const struct room_pattern *pattern = pattern_of(c, lookup);
    struct slice columns[TEMPLATE_PLACEHOLDERS_MAX], cells[TEMPLATE_PLACEHOLDERS_MAX];
    size_t count = pattern ? template_placeholders(pattern->name) : 0, cursor = 0;
    for (size_t i = 0; i < count; i++)
        columns[i] = template_placeholder(pattern->name, i);
    struct rows *rows = rows_create(columns, count);
    struct slice room;
    void *value;
    lock_take(&r->lock);
    while (pattern && map_next(r->rooms, &cursor, &room, &value))
        if (template_match(pattern->name, room, cells))
            rows_add(rows, cells);
    lock_give(&r->lock);
    return rows;
}

struct rows *stand_in_answer(struct stand_in *r, const struct catalogue *c, const struct lookup *lookup,
    const struct slice *params, size_t count)
{
    if (lookup == catalogue_principal(c))
        return answer_principal(r, count > 0 ? params[0] : SLICE(""));
    return answer_rooms(r, c, lookup);
}

/* --- where a cursor stands: here, or nowhere --- */

void stand_in_locate(struct worker *w, const struct cursor *cursor, uint64_t client, uint64_t tag)
{
    struct journal *hot = w->bridge->journals[0];
    uint64_t position = journal_position(hot, cursor);
    bool known = position != UINT64_MAX && position >= hotlog_tail(journal_log(hot));
    struct client_location l = {
        .status = known ? LOCATED_POSITION : LOCATED_LOST, .position = known ? position : 0};
    client_located(roster_find(w->roster, client), tag, &l);
}

/* What it missed comes again in the next round. */
void stand_in_away(struct worker *w, uint64_t client, uint64_t session, struct origin *origin)
{
    uint64_t head = hotlog_head(journal_log(w->bridge->journals[0]));
    client_enter(roster_find(w->roster, client), session, 0, head, origin, NULL, 0);
    origin_release(origin);
}

bool stand_in_started(struct stand_in *r)
{
    return atomic_load(&r->started);
}

/* --- life --- */

struct stand_in *stand_in_create(struct bridge *b)
{
    struct stand_in *r = xcalloc(1, sizeof *r);
    r->bridge = b;
    r->judge = judge_create(b);
    r->rooms = map_create();
    r->claims = map_create();
    lock_init(&r->lock);
    log_info("replay",
        "examples=%zu every=%llds; a token: causeway token --dev --set JWT_SECRET=... --user 123 "
        "--claims '{\"role\":\"admin\"}'",
        examples_count(examples_of(r)), (long long)b->config->replay_examples);
    CHECK(pthread_create(&r->thread, NULL, run, r) == 0);
    pthread_setname_np(r->thread, "replay");
    return r;
}

void stand_in_stop(struct stand_in *r)
{
    if (!r)
        return;
    atomic_store(&r->stopping, true);
    pthread_join(r->thread, NULL);
}

void stand_in_destroy(struct stand_in *r)
{
    if (!r)
        return;
    size_t cursor = 0;
    struct slice user;
    void *claims;
    while (map_next(r->claims, &cursor, &user, &claims))
        free(claims);
    map_destroy(r->claims);
    map_destroy(r->rooms);
    judge_destroy(r->judge);
    lock_finish(&r->lock);
    free(r);
}
