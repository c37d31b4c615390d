/* libFuzzer: whatever the text, cursor_decode refuses it or gives numbers in range; what the bytes say as
   numbers is read as it was written; and either makes a plan whose places are in order. */
#include "causeway/resume.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_plan(const struct cursor *c, bool settled)
{
    static struct partitions *partitions;
    if (!partitions) {
        partitions = partitions_create();
        partitions_get(partitions, SLICE("a"), 0, 0);
        partitions_get(partitions, SLICE("a"), 1, INT64_MAX - 3);
        partitions_renew(partitions, SLICE("a"), 0, 5, 2);
    }
    struct checkpoint_part parts[] = {{{SLICE("a"), 0, 0}, 10, {.offset = 9}},
        {{SLICE("b"), 0, 0}, 20, {.offset = -1}}, {{SLICE("a"), 1, 0}, INT64_MAX, {.offset = -1}}};
    struct checkpoint checkpoint = {1, 2, parts, sizeof parts / sizeof parts[0]};
    struct resume_plan plan;
    struct resume_question question = {.cursor = c,
        .checkpoint = &checkpoint,
        .settled = settled,
        .partitions = partitions,
        .heads = (int64_t[]){11, INT64_MAX},
        .head_count = 2};
    resume_plan_make(&plan, &question);
    for (uint32_t p = 0; p < partitions_count(partitions); p++)
        CHECK(origin_skip(plan.origin, p) >= 0 && origin_mark(plan.origin, p) >= origin_skip(plan.origin, p));
    struct buffer text = {0};
    for (size_t i = 0; i < plan.gap_count; i++)
        gap_write_json(&plan.gaps[i], &text);
    buffer_finish(&text);
    resume_plan_finish(&plan);
}

static void check_round_trip(const struct cursor *c)
{
    char text[CURSOR_TEXT_MAX + 1];
    struct cursor d;
    size_t size = cursor_encode(c, text);
    CHECK(size <= CURSOR_TEXT_MAX && text[size] == '\0');
    CHECK(cursor_decode((struct slice){text, size}, &d) == CURSOR_OK);
    CHECK(
        d.nonce == c->nonce && d.checkpoint == c->checkpoint && d.ahead == c->ahead && d.spread == c->spread);
    CHECK(d.whole == c->whole && d.placed == c->placed);
    CHECK(d.step_count <= c->step_count && d.complete == (c->complete && d.step_count == c->step_count));
    for (size_t i = 0; i < d.step_count; i++)
        CHECK(d.steps[i].part == c->steps[i].part && d.steps[i].moved == c->steps[i].moved);
}

/* Takes a number off the front, as many bytes as the first one says. */
static uint64_t take(const uint8_t **data, size_t *size)
{
    uint64_t value = 0;
    size_t bytes = *size > 0 ? **data % 9 : 0;
    *data += *size > 0;
    *size -= *size > 0;
    for (; bytes > 0 && *size > 0; bytes--, ++*data, --*size)
        value = value << 8 | **data;
    return value;
}

static struct cursor draw(const uint8_t *data, size_t size)
{
    struct cursor c = {
        .nonce = take(&data, &size) & ((UINT64_C(1) << NONCE_BITS) - 1),
        .checkpoint = (int64_t)(take(&data, &size) >> 1),
        .ahead = take(&data, &size),
        .spread = take(&data, &size) >> 3,
    };
    uint64_t flags = take(&data, &size);
    c.complete = flags & 1;
    c.whole = flags >> 1 & 1;
    c.placed = flags >> 2 & 1;
    while (size > 0 && c.step_count < CURSOR_STEPS_MAX) {
        uint32_t part = (uint32_t)take(&data, &size) % PARTITIONS_MAX;
        c.steps[c.step_count++] = (struct cursor_step){part, take(&data, &size) >> 1};
    }
    return c;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cursor c = draw(data, size);
    check_round_trip(&c);
    check_plan(&c, false);
    check_plan(&c, true);
    if (cursor_decode((struct slice){(const char *)data, size}, &c) != CURSOR_OK)
        return 0;
    CHECK(c.checkpoint >= 0 && c.step_count <= CURSOR_STEPS_MAX);
    check_round_trip(&c);
    check_plan(&c, false);
    check_plan(&c, true);
    return 0;
}
