#include "letters.h"

#include "judge.h"
#include "state.h"

#include "causeway/kafka_letters.h"
#include "causeway/memory.h"

#include <stdlib.h>

struct letters {
    struct bridge *bridge;
    struct judge *judge;
    struct kafka_letters *kafka;
    struct buffer detail;
};

static void on_judge(void *owner, const struct record *record, struct kafka_verdict *out)
{
    struct letters *t = owner;
    struct routed routed;
    if (!reload_is_current(t->bridge->reload, judge_edition(t->judge))) {
        struct edition *now = reload_current(t->bridge->reload);
        judge_adopt(t->judge, now);
        edition_release(now);
    }
    enum reject why = judge_look(t->judge, record, &routed);
    if (why == REJECT_NONE && !journal_can_carry(judge_edition(t->judge)->catalogue, record, &routed)) {
        why = REJECT_TOO_LARGE;
        routed.detail = SLICE("names too long");
        routed.pointer = (struct slice){NULL, 0};
    }
    if (why == REJECT_NONE || why == REJECT_IGNORED)
        return;
    buffer_clear(&t->detail);
    buffer_print(
        &t->detail, "%s%s%.*s", reject_text(why), routed.detail.size ? ": " : "", SLICE_ARGS(routed.detail));
    *out = (struct kafka_verdict){reject_label(why), buffer_slice(&t->detail), routed.pointer};
}

struct letters *letters_create(struct bridge *b, const struct kafka_settings *settings)
{
    if (!*b->config->dead_letter_topic)
        return NULL;
    struct letters *t = xcalloc(1, sizeof *t);
    t->bridge = b;
    t->judge = judge_create(b);
    struct slice *names;
    size_t count = edition_topics(judge_edition(t->judge), &names);
    const struct kafka_letters_settings how = {
        .topic = b->config->dead_letter_topic,
        .group = b->config->dead_letter_group,
        .topics = names,
        .topic_count = count,
        .lenient = b->config->dev,
    };
    const struct kafka_letters_hooks hooks = {on_judge};
    t->kafka = kafka_letters_create(settings, &how, &hooks, t);
    free(names);
    return t;
}

void letters_stop(struct letters *t)
{
    if (t)
        kafka_letters_stop(t->kafka);
}

void letters_destroy(struct letters *t)
{
    if (!t)
        return;
    kafka_letters_destroy(t->kafka);
    judge_destroy(t->judge);
    buffer_finish(&t->detail);
    free(t);
}

void letters_set_topics(struct letters *t, const struct slice *names, size_t count)
{
    if (t)
        kafka_letters_set_topics(t->kafka, names, count);
}

bool letters_ready(struct letters *t, char *detail, size_t size)
{
    return kafka_letters_ready(t->kafka, detail, size);
}
