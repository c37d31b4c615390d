/* Rooms that a user asked for: decided once, in the order in which they came, and then as long as a rule
 * holds. */
#include "grants_internal.h"

#include "causeway/memory.h"
#include "causeway/rooms.h"

#include <stdlib.h>

static void request_destroy(struct grants *g, struct request *request)
{
    inquiry_finish(&request->inquiry, g->lookups);
    free((char *)request->room.data);
    free(request);
}

void requests_forget(struct grants *g)
{
    while (g->requests) {
        struct request *next = g->requests->next;
        request_destroy(g, g->requests);
        g->requests = next;
    }
}

/* --- what they rest on --- */

/* Does a rule hold by what is known so far? */
static bool is_allowed(const struct grants *g, const struct request *request)
{
    struct rules_walk w = grants_walk(g, request->room);
    while (rules_next(&w)) {
        if (!rules_with_agrees(&w))
            continue;
        if (!w.rule->lookup || rules_row_agrees(&w, grants_answer(&request->inquiry, &w)))
            return true;
    }
    return false;
}

static void ask_for_room(struct grants *g, struct request *request)
{
    if (is_allowed(g, request)) /* by a rule that needs no lookup */
        return;
    struct rules_walk w = grants_walk(g, request->room);
    while (rules_next(&w)) {
        if (w.rule->lookup && rules_with_agrees(&w))
            grants_ask(g, &request->inquiry, &w, w.rule->lookup);
    }
}

void requests_ask_anew(struct grants *g)
{
    for (struct request *r = g->requests; r; r = r->next) {
        struct inquiry before = r->inquiry;
        r->inquiry = (struct inquiry){0};
        ask_for_room(g, r);
        inquiry_finish(&before, g->lookups);
    }
}

void requests_drop_answers(struct grants *g)
{
    for (struct request *r = g->requests; r; r = r->next)
        inquiry_finish(&r->inquiry, g->lookups);
}

/* One good answer that says yes is enough for a room that was asked for. */
bool requests_settled(const struct grants *g)
{
    bool settled = true;
    for (const struct request *r = g->requests; settled && r; r = r->next)
        settled = !r->granted || inquiry_settled(&r->inquiry) || is_allowed(g, r);
    return settled;
}

uint64_t requests_changed_since(const struct grants *g, uint64_t since_ms)
{
    uint64_t least = UINT64_MAX;
    for (const struct request *r = g->requests; r; r = r->next) {
        uint64_t of_room = inquiry_changed_since(&r->inquiry, g->lookups, since_ms);
        least = of_room < least ? of_room : least;
    }
    return least;
}

/* --- what was granted --- */

bool requests_have(const struct grants *g, struct slice room)
{
    for (const struct request *r = g->requests; r; r = r->next) {
        if (r->granted && slice_equal(r->room, room))
            return true;
    }
    return false;
}

void requests_withdraw(struct grants *g)
{
    for (struct request **at = &g->requests; *at;) {
        struct request *r = *at;
        if (!r->granted || is_allowed(g, r)) {
            at = &r->next;
            continue;
        }
        *at = r->next;
        if (!nameset_has(g->rooms, r->room) && !nameset_has(g->rooms_before, r->room))
            grants_withdraw(g, r->room, &r->inquiry);
        request_destroy(g, r);
    }
}

/* --- deciding --- */

/* Can it be decided? Then also how. */
static bool is_decidable(const struct grants *g, const struct request *request, enum grants_outcome *outcome)
{
    if (use_state(g->who.uses[0]) != USE_GOOD || use_rows(g->who.uses[0]) != g->principal)
        return false;
    const struct inquiry *q = &request->inquiry;
    bool allowed = is_allowed(g, request);
    *outcome = allowed                                                  ? GRANTS_ALLOWED
               : inquiry_any(q, USE_FAILED) || inquiry_any(q, USE_GONE) ? GRANTS_UNAVAILABLE
                                                                        : GRANTS_FORBIDDEN;
    return allowed || !inquiry_open(q);
}

/* At the end: they are decided in the order in which they came. */
static void add_request(struct grants *g, struct request *request)
{
    struct request **last = &g->requests;
    while (*last)
        last = &(*last)->next;
    request->next = NULL;
    *last = request;
}

static const char *const request_results[] = {
    [GRANTS_ALLOWED] = "allowed",
    [GRANTS_FORBIDDEN] = "forbidden",
    [GRANTS_UNAVAILABLE] = "unavailable",
};

/* `request` is in no list. Nothing of g may be touched afterwards: the owner may destroy it. */
static void decide(struct grants *g, struct request *request, enum grants_outcome outcome)
{
    uint64_t tag = request->tag;
    struct slice room = {xstrndup(request->room.data, request->room.size), request->room.size};
    if (outcome == GRANTS_ALLOWED && !requests_have(g, room)) {
        request->granted = true;
        add_request(g, request);
    } else {
        request_destroy(g, request);
    }
    grants_count_room(g, room, request_results[outcome]);
    g->hooks.decided(g->owner, room, outcome, tag);
    free((char *)room.data);
}

/* Decides one request, and has itself called again for further ones: the owner may destroy g meanwhile. */
void requests_decide_next(struct grants *g)
{
    for (struct request **at = &g->requests; *at; at = &(*at)->next) {
        struct request *request = *at;
        enum grants_outcome outcome;
        if (request->granted || !is_decidable(g, request, &outcome))
            continue;
        *at = request->next;
        lookups_user_queue(g->lookups, &g->in_lookups);
        decide(g, request, outcome);
        return;
    }
}

void grants_request(struct grants *g, struct slice room, uint64_t tag)
{
    if (!g->principal || room.size > ROOM_NAME_MAX) {
        g->hooks.decided(g->owner, room, g->principal ? GRANTS_FORBIDDEN : GRANTS_UNAVAILABLE, tag);
        return;
    }
    struct request *request = xcalloc(1, sizeof *request);
    request->tag = tag;
    request->room = (struct slice){xstrndup(room.data, room.size), room.size};
    ask_for_room(g, request);
    enum grants_outcome outcome;
    if (is_decidable(g, request, &outcome)) {
        decide(g, request, outcome);
        return;
    }
    add_request(g, request);
}

void grants_leave(struct grants *g, struct slice room)
{
    for (struct request **at = &g->requests; *at; at = &(*at)->next) {
        struct request *r = *at;
        if (!r->granted || !slice_equal(r->room, room))
            continue;
        *at = r->next;
        request_destroy(g, r);
        lookups_user_queue(g->lookups, &g->in_lookups); /* it may have been all that was in doubt */
        lookups_review(g->lookups);
        return;
    }
}
