/* A part that is not being read is lost: its place has to be found between the ends of its log. So begins
   every part, and so it goes on after trouble. */
#include "kafka_replay_internal.h"

#include "causeway/log.h"
#include "causeway/memory.h"

#include <inttypes.h>
#include <stdlib.h>

void replay_set_away(struct kafka_replay *r, bool away)
{
    if (away && !r->away)
        r->away_since = clock_monotonic_ms();
    r->away = away;
}

/* --- a part's way --- */

void replay_start(struct kafka_replay *r, struct reel *reel, int64_t offset)
{
    struct kafka_replay_part *p = reel->part;
    if (rd_kafka_consume_start_queue(reel->history->handle, p->partition, offset, r->queue) != 0) {
        reel->retry_at = clock_monotonic_ms() + DOUBT_MS;
        return;
    }
    reel->reading = true;
    r->anew = true;
    r->lost_count--;
}

void replay_lose(struct kafka_replay *r, struct reel *reel, uint64_t again_in_ms)
{
    if (!reel->reading)
        return;
    (void)rd_kafka_consume_stop(reel->history->handle, reel->part->partition);
    reel->reading = false;
    reel->retry_at = clock_monotonic_ms() + again_in_ms;
    r->lost_count++;
}

static void tell_lost(struct kafka_replay *r, const struct reel *reel, int64_t from, int64_t to)
{
    if (from < to && r->hooks.lost)
        r->hooks.lost(r->owner, (size_t)(reel - r->reels), from, to);
}

static void finish(struct kafka_replay *r, struct reel *reel)
{
    replay_lose(r, reel, 0);
    reel->done = true;
    r->lost_count--;
    r->open_count--;
}

void replay_complete(struct kafka_replay *r, struct reel *reel)
{
    finish(r, reel);
    tell_lost(r, reel, reel->end > reel->position ? reel->end : reel->position, reel->part->to);
}

void replay_end_early(struct kafka_replay *r, struct reel *reel, bool *why)
{
    struct kafka_replay_part *p = reel->part;
    log_warn("kafka", "history %s topic=%.*s partition=%d position=%" PRId64,
        why == &p->missing ? "missing" : "replaced", SLICE_ARGS(p->topic), (int)p->partition, reel->position);
    *why = true;
    finish(r, reel);
    if (r->begun)
        tell_lost(r, reel, reel->position, p->to);
    else
        p->low = p->to;
}

static void skip(struct kafka_replay *r, struct reel *reel, int64_t low)
{
    int64_t from = reel->position;
    reel->position = low < reel->end ? low : reel->end;
    if (r->begun)
        tell_lost(r, reel, from, reel->position);
    else
        reel->part->low = reel->position;
}

/* The second look at the same bad news, some time after the first? */
static bool sure(struct reel *reel)
{
    uint64_t now = clock_monotonic_ms();
    if (reel->doubted_at)
        return now - reel->doubted_at >= DOUBT_MS;
    reel->doubted_at = now;
    reel->retry_at = now + DOUBT_MS;
    return false;
}

/* --- finding lost parts --- */

static bool exists(const struct reel *reel)
{
    return !reel->history->missing && reel->part->partition < reel->history->partition_count;
}

static void place(struct kafka_replay *r, struct reel *reel, const struct kafka_ends *ends)
{
    const struct anchor *anchor = &reel->part->anchor;
    if (!reel->proven && anchor->offset < ends->low)
        reel->proven = true; /* as far as can be known */
    if (reel->position > ends->high || (!reel->proven && anchor->offset >= ends->high)) {
        if (sure(reel))
            replay_end_early(r, reel, &reel->part->replaced);
        return;
    }
    if (reel->end > ends->high) {
        if (!sure(reel))
            return;
        reel->end = ends->high;
    }
    reel->doubted_at = 0;
    if (reel->position < ends->low)
        skip(r, reel, ends->low);
    if (reel->proven && reel->position >= reel->end)
        replay_complete(r, reel);
    else
        replay_start(r, reel, reel->proven ? reel->position : anchor->offset);
}

static bool due(const struct reel *reel, uint64_t now)
{
    return !reel->done && !reel->reading && reel->retry_at <= now;
}

static void take_topic(struct kafka_replay *r, const struct rd_kafka_metadata_topic *m)
{
    for (size_t i = 0; i < r->history_count; i++) {
        struct history *h = &r->histories[i];
        if (strcmp(h->name, m->topic) != 0)
            continue;
        h->missing = m->err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
        h->answered = !m->err || h->missing;
        h->partition_count = m->partition_cnt;
    }
}

bool replay_ask_topics(struct kafka_replay *r)
{
    const struct rd_kafka_metadata *metadata = NULL;
    if (rd_kafka_metadata(r->client, 0, NULL, &metadata, ANSWER_MS))
        return false;
    for (size_t i = 0; i < r->history_count; i++)
        r->histories[i].answered = !r->histories[i].handle;
    for (int i = 0; i < metadata->topic_cnt; i++)
        take_topic(r, &metadata->topics[i]);
    rd_kafka_metadata_destroy(metadata);
    return true;
}

/* Asks for the ends of what is due and there. `out` tells which reel is at which place of the list. */
static rd_kafka_topic_partition_list_t *list_due(struct kafka_replay *r, struct reel **out)
{
    uint64_t now = clock_monotonic_ms();
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)r->lost_count);
    for (size_t i = 0; i < r->reel_count; i++) {
        struct reel *reel = &r->reels[i];
        if (!due(reel, now) || !reel->history->answered)
            continue;
        if (exists(reel)) {
            out[list->cnt] = reel;
            rd_kafka_topic_partition_list_add(list, reel->history->name, reel->part->partition);
        } else if (sure(reel)) {
            replay_end_early(r, reel, &reel->part->missing);
        }
    }
    return list;
}

void replay_locate(struct kafka_replay *r)
{
    uint64_t now = clock_monotonic_ms();
    if (r->lost_count == 0 || now < r->locate_at)
        return;
    size_t needed = 0;
    for (size_t i = 0; i < r->reel_count; i++)
        needed += due(&r->reels[i], now);
    r->locate_at = now + LOCATE_MS;
    if (needed == 0 || !replay_ask_topics(r))
        return;
    struct reel **reels = xcalloc(r->lost_count, sizeof *reels);
    rd_kafka_topic_partition_list_t *list = list_due(r, reels);
    struct kafka_ends *ends = xcalloc((size_t)list->cnt + 1, sizeof *ends);
    rd_kafka_resp_err_t error = kafka_ends_ask(r->client, list, ANSWER_MS, ends);
    for (int i = 0; i < list->cnt && !error; i++)
        if (ends[i].low >= 0 && ends[i].high >= 0)
            place(r, reels[i], &ends[i]);
    if (!error)
        replay_set_away(r, false);
    rd_kafka_topic_partition_list_destroy(list);
    free(ends);
    free(reels);
    r->locate_at = clock_monotonic_ms() + LOCATE_MS;
}
