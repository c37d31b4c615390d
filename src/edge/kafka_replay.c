/* A read of history, record by record. A part with an anchor is read from that on, and proven by the first
   record that comes; where parts stand is found in kafka_replay_place.c. */
#include "kafka_replay_internal.h"

#include "causeway/log.h"
#include "causeway/memory.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
    PATIENCE_MS = 10000, /* of a beginning */
    STASH_BYTES = 8 << 20,
    STASH_RECORDS = 16384,
    RENEW_AFTER_MS = 60000,
    SILENCE_MS = 1000, /* before brokers are asked whether they are there */
    NUDGE_MS = 200,
    NUDGE_BYTES = 2 << 20,
    NUDGE_RECORDS = 20000,
    STILL_MS =
        1000, /* without a step: what librdkafka has fetched by then it fetched long ago, and stopped */
};

/* --- the handle of librdkafka --- */

static void on_error(rd_kafka_t *client, int error, const char *reason, void *opaque)
{
    struct kafka_replay *r = opaque;
    (void)client;
    log_debug("kafka", "replay: %s", reason);
    r->fatal |= error == RD_KAFKA_RESP_ERR__FATAL;
    if (error == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
        replay_set_away(r, true);
}

static bool open_client(struct kafka_replay *r)
{
    char text[512];
    r->fatal = false;
    replay_set_away(r, false);
    r->client = kafka_client_create(RD_KAFKA_CONSUMER, r->conf, text, sizeof text);
    if (!r->client)
        log_error("kafka", "librdkafka does not start: %s", text);
    return r->client;
}

static void close_client(struct kafka_replay *r)
{
    if (r->client)
        rd_kafka_destroy(r->client);
    r->client = NULL;
}

/* --- what came while the anchors were compared --- */

static void drop_stash(struct kafka_replay *r)
{
    while (r->stash_next < r->stash_count)
        rd_kafka_message_destroy(r->stash[r->stash_next++]);
    r->stash_count = r->stash_next = r->stash_bytes = 0;
}

static void keep(struct kafka_replay *r, rd_kafka_message_t *m)
{
    if (!r->stash)
        r->stash = xcalloc(STASH_RECORDS, sizeof(rd_kafka_message_t *));
    r->stash_bytes += m->len + m->key_len;
    r->stash_spilt |= r->stash_count == STASH_RECORDS || r->stash_bytes > STASH_BYTES;
    if (r->stash_spilt) {
        drop_stash(r);
        rd_kafka_message_destroy(m);
    } else {
        r->stash[r->stash_count++] = m;
    }
}

static rd_kafka_message_t *next_message(struct kafka_replay *r, int wait_ms)
{
    if (r->stash_next < r->stash_count)
        return r->stash[r->stash_next++];
    return rd_kafka_consume_queue(r->queue, wait_ms);
}

/* --- messages --- */

static struct reel *reel_of(struct kafka_replay *r, const rd_kafka_message_t *m)
{
    for (size_t i = 0; i < r->history_count && m->rkt; i++) {
        const struct history *h = &r->histories[(r->recent + i) % r->history_count];
        if (h->handle != m->rkt)
            continue;
        r->recent = (size_t)(h - r->histories);
        struct reel *reel = m->partition >= 0 && m->partition < h->width ? h->reels[m->partition] : NULL;
        return reel && reel->reading ? reel : NULL;
    }
    return NULL;
}

/* The end of the log, or trouble with it. */
static void take_event(struct kafka_replay *r, struct reel *reel, const rd_kafka_message_t *m)
{
    if (m->err != RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        log_debug("kafka", "replay topic=%s partition=%d: %s", reel->history->name, (int)m->partition,
            rd_kafka_message_errstr(m));
        replay_lose(r, reel, LOCATE_MS);
    } else if (reel->proven && m->offset >= reel->end) {
        replay_complete(r, reel);
    } else if (!reel->proven && reel->nothing_behind) {
        replay_end_early(r, reel, &reel->part->replaced);
    } else {
        reel->nothing_behind = true;
        replay_lose(r, reel, DOUBT_MS);
    }
}

/* A record that took the anchor's place (it was compacted) must not be older. */
static void prove(struct kafka_replay *r, struct reel *reel, const rd_kafka_message_t *m)
{
    const struct anchor *known = &reel->part->anchor;
    struct anchor found = kafka_message_anchor(m);
    if (found.offset < known->offset)
        return; /* not what was asked for */
    if (found.offset == known->offset)
        reel->proven = found.time_ms == known->time_ms && found.hash == known->hash;
    else
        reel->proven = found.time_ms >= known->time_ms;
    if (!reel->proven)
        replay_end_early(r, reel, &reel->part->replaced);
    else if (reel->position >= reel->end)
        replay_complete(r, reel);
}

/* librdkafka before 2.2 stops fetching when its queue is full, and looks again after a second unless
   something wakes its thread: a question to the leaders does. Worth its round trip once per part of a queue.
 */
static void nudge_when_due(struct kafka_replay *r)
{
    if (r->bytes_taken < NUDGE_BYTES && r->records_taken < NUDGE_RECORDS)
        return;
    r->bytes_taken = r->records_taken = 0;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)r->open_count);
    for (size_t i = 0; i < r->reel_count; i++)
        if (r->reels[i].reading)
            rd_kafka_topic_partition_list_add(list, r->reels[i].history->name, r->reels[i].part->partition)
                ->offset = RD_KAFKA_OFFSET_END;
    if (list->cnt > 0)
        (void)rd_kafka_offsets_for_times(r->client, list, NUDGE_MS);
    rd_kafka_topic_partition_list_destroy(list);
}

/* true: a record was handed on. */
static bool take_record(struct kafka_replay *r, struct reel *reel, const rd_kafka_message_t *m)
{
    bool inside = m->offset >= reel->position && m->offset < reel->end;
    if (inside) {
        reel->position = m->offset + 1;
        reel->doubted_at = 0;
        r->bytes_taken += m->len + m->key_len;
        r->records_taken++;
        metric_add(r->replayed, 1);
        kafka_message_record(m, reel->part->topic, &r->record);
        r->hooks.record(r->owner, (size_t)(reel - r->reels), &r->record);
    }
    if (m->offset + 1 >= reel->end) {
        reel->position = reel->end;
        replay_complete(r, reel);
    }
    return inside;
}

static bool take(struct kafka_replay *r, const rd_kafka_message_t *m)
{
    struct reel *reel = reel_of(r, m);
    if (!reel)
        return false;
    if (m->err) {
        take_event(r, reel, m);
        return false;
    }
    replay_set_away(r, false);
    r->heard_at = clock_monotonic_ms();
    return take_record(r, reel, m);
}

/* While anchors are compared: nothing is handed on yet. */
static void sift(struct kafka_replay *r, rd_kafka_message_t *m)
{
    struct reel *reel = reel_of(r, m);
    if (reel && !reel->proven) {
        if (m->err)
            take_event(r, reel, m);
        else
            prove(r, reel, m);
    }
    if (reel && reel->proven && reel->reading)
        keep(r, m);
    else
        rd_kafka_message_destroy(m);
}

/* --- a read --- */

static void attach(struct kafka_replay *r)
{
    r->queue = rd_kafka_queue_new(r->client);
    for (size_t i = 0; i < r->history_count; i++) {
        struct history *h = &r->histories[i];
        h->handle = rd_kafka_topic_new(r->client, h->name, NULL);
        h->missing = h->answered = !h->handle; /* a name that no topic can have */
    }
}

static void detach(struct kafka_replay *r)
{
    drop_stash(r);
    for (size_t i = 0; i < r->reel_count; i++)
        replay_lose(r, &r->reels[i], 0);
    for (size_t i = 0; i < r->history_count; i++) {
        if (r->histories[i].handle)
            rd_kafka_topic_destroy(r->histories[i].handle);
        r->histories[i].handle = NULL;
    }
    if (r->queue)
        rd_kafka_queue_destroy(r->queue);
    r->queue = NULL;
}

/* Some broken states of a handle do not heal by themselves. */
static bool renew_client_when_due(struct kafka_replay *r)
{
    (void)rd_kafka_poll(r->client, 0);
    if (!r->fatal && (!r->away || clock_monotonic_ms() - r->away_since < RENEW_AFTER_MS))
        return true;
    detach(r);
    close_client(r);
    if (!open_client(r))
        return false;
    attach(r);
    return true;
}

static struct history *history_of(struct kafka_replay *r, struct slice topic)
{
    for (size_t i = 0; i < r->history_count; i++)
        if (slice_is(topic, r->histories[i].name))
            return &r->histories[i];
    struct history *h = &r->histories[r->history_count++];
    h->name = xstrndup(topic.data, topic.size);
    return h;
}

static void add_reel(struct kafka_replay *r, struct kafka_replay_part *part)
{
    struct reel *reel = &r->reels[r->reel_count++];
    struct history *h = history_of(r, part->topic);
    CHECK(part->partition >= 0 && part->from <= part->to && part->from >= 0);
    if (part->partition >= h->width) {
        h->reels = xrealloc(h->reels, (size_t)(part->partition + 1) * sizeof *h->reels);
        while (h->width <= part->partition)
            h->reels[h->width++] = NULL;
    }
    CHECK(!h->reels[part->partition]);
    h->reels[part->partition] = reel;
    part->low = part->from;
    part->replaced = part->missing = false;
    *reel = (struct reel){.part = part, .history = h, .position = part->from, .end = part->to};
    reel->proven = part->anchor.offset < 0;
}

static void set_up(struct kafka_replay *r, struct kafka_replay_part *parts, size_t count)
{
    r->reels = xcalloc(count + 1, sizeof *r->reels);
    r->histories = xcalloc(count + 1, sizeof *r->histories);
    for (size_t i = 0; i < count; i++)
        add_reel(r, &parts[i]);
    r->open_count = r->lost_count = count;
    r->locate_at = 0;
    r->begun = false;
    r->stash_spilt = false;
    attach(r);
}

void kafka_replay_end(struct kafka_replay *r)
{
    detach(r);
    for (size_t i = 0; i < r->history_count; i++) {
        free(r->histories[i].name);
        free(r->histories[i].reels);
    }
    free(r->histories);
    free(r->reels);
    r->histories = NULL;
    r->reels = NULL;
    r->history_count = r->reel_count = r->recent = 0;
}

static bool settled(const struct kafka_replay *r)
{
    for (size_t i = 0; i < r->reel_count; i++)
        if (!r->reels[i].done && !(r->reels[i].reading && r->reels[i].proven))
            return false;
    return true;
}

static void read_again(struct kafka_replay *r)
{
    drop_stash(r);
    for (size_t i = 0; i < r->reel_count; i++) {
        struct reel *reel = &r->reels[i];
        if (reel->done || !reel->reading)
            continue;
        replay_lose(r, reel, 0);
        replay_start(r, reel, reel->position);
    }
}

/* What is fetched from now on is fetched without a break since. */
static void hush(struct kafka_replay *r)
{
    struct kafka_call call;
    while (kafka_alarm_take(&r->alarm, &call))
        ;
    r->anew = false;
    r->stepped_at = 0;
}

/* Asked after a message was taken, since it may be of after the break. */
static bool broke(struct kafka_replay *r)
{
    if (!kafka_alarm_rung(&r->alarm))
        return false;
    hush(r);
    read_again(r);
    r->anew = true;
    return true;
}

static void notice_standstill(struct kafka_replay *r)
{
    if (r->stepped_at == 0 || clock_monotonic_ms() - r->stepped_at < STILL_MS)
        return;
    read_again(r);
    r->anew = true;
}

/* librdkafka tells once that all brokers are down; what it had fetched before may still come after that. */
static void look_for_brokers(struct kafka_replay *r)
{
    if (clock_monotonic_ms() - r->heard_at < SILENCE_MS)
        return;
    replay_set_away(r, !replay_ask_topics(r));
    r->heard_at = clock_monotonic_ms();
}

bool kafka_replay_begin(struct kafka_replay *r, struct kafka_replay_part *parts, size_t count)
{
    CHECK(!r->reels);
    uint64_t deadline = clock_monotonic_ms() + PATIENCE_MS;
    if (!r->client && !open_client(r))
        return false;
    set_up(r, parts, count);
    while (!settled(r)) {
        if (clock_monotonic_ms() >= deadline || !renew_client_when_due(r)) {
            kafka_replay_end(r);
            return false;
        }
        replay_locate(r);
        rd_kafka_message_t *m = rd_kafka_consume_queue(r->queue, settled(r) ? 0 : LOCATE_MS);
        if (m)
            sift(r, m);
    }
    if (r->stash_spilt)
        read_again(r);
    hush(r);
    r->begun = true;
    r->heard_at = clock_monotonic_ms();
    return true;
}

enum kafka_replay_step kafka_replay_step(struct kafka_replay *r, size_t records_max, int wait_ms)
{
    CHECK(r->begun);
    uint64_t now = clock_monotonic_ms(), deadline = now + (uint64_t)wait_ms;
    size_t handed = 0;
    if (!r->client ? !open_client(r) : !renew_client_when_due(r))
        return REPLAY_AWAY;
    if (!r->queue)
        attach(r);
    notice_standstill(r);
    while (handed < records_max && r->open_count > 0) {
        replay_locate(r);
        if (r->anew) {
            hush(r);
            return REPLAY_BROKEN;
        }
        nudge_when_due(r);
        now = clock_monotonic_ms();
        int wait = handed > 0 || now >= deadline ? 0 : (int)(deadline - now);
        rd_kafka_message_t *m = next_message(r, wait < LOCATE_MS ? wait : LOCATE_MS);
        if (m) {
            handed += !broke(r) && take(r, m);
            rd_kafka_message_destroy(m);
        } else if (wait == 0) {
            break;
        }
    }
    r->stepped_at = clock_monotonic_ms();
    if (r->open_count == 0)
        return REPLAY_DONE;
    if (handed == 0)
        look_for_brokers(r);
    return handed == 0 && r->away ? REPLAY_AWAY : REPLAY_MORE;
}

/* --- life --- */

struct kafka_replay *kafka_replay_create(
    const struct kafka_settings *settings, const struct kafka_replay_hooks *hooks, void *owner)
{
    char fault[512];
    CHECK(hooks->record);
    struct kafka_replay *r = xcalloc(1, sizeof *r);
    r->conf = kafka_conf_create(RD_KAFKA_CONSUMER, settings, fault, sizeof fault);
    CHECK(r->conf);
    kafka_conf_force(r->conf, "enable.partition.eof", "true");
    kafka_conf_force(r->conf, "queued.max.messages.kbytes", "8192");
    kafka_alarm_init(&r->alarm, r->conf);
    rd_kafka_conf_set_error_cb(r->conf, on_error);
    r->hooks = *hooks;
    r->owner = owner;
    r->replayed = metric_get(METRIC_REPLAYED);
    return r;
}

void kafka_replay_destroy(struct kafka_replay *r)
{
    if (!r)
        return;
    if (r->reels)
        kafka_replay_end(r);
    close_client(r);
    rd_kafka_conf_destroy(r->conf);
    kafka_alarm_finish(&r->alarm);
    free(r->stash);
    free(r);
}
