#include "causeway/explain.h"

#include "causeway/lookups.h"
#include "causeway/memory.h"
#include "causeway/rooms.h"

#include "rules.h"

#include <stdlib.h>

struct explain {
    const struct catalogue *catalogue;
    struct slice user;
    const struct explain_hooks *hooks;
    void *owner;
    struct rows *principal;
    struct buffer *out;
};

/* --- lookups --- */

/* NULL: what went wrong was told. */
static struct rows *ask(struct explain *e, const struct rules_walk *w, const struct lookup *lookup)
{
    struct buffer key = {0}, fault = {0};
    struct slice *params = xcalloc(lookup->param_count + 1, sizeof *params);
    rules_key(w, lookup, &key);
    lookups_key_read(buffer_slice(&key), params, lookup->param_count);
    struct rows *rows = e->hooks->ask(e->owner, lookup, params, lookup->param_count, &fault);
    if (!rows)
        buffer_print(e->out, "lookup %.*s cannot be run: %s", SLICE_ARGS(lookup->name), buffer_text(&fault));
    free(params);
    buffer_finish(&key);
    buffer_finish(&fault);
    return rows;
}

/* --- one rule --- */

static bool accepts(const struct room_condition *condition, struct slice value)
{
    for (size_t i = 0; value.data && i < condition->value_count; i++)
        if (slice_equal(condition->values[i], value))
            return true;
    return false;
}

/* Tells what holds, or the first that does not. */
static bool tell_conditions(struct explain *e, const struct room_rule *rule)
{
    for (size_t i = 0; i < rule->condition_count; i++) {
        const struct room_condition *condition = &rule->conditions[i];
        struct slice value = rows_cell(e->principal, 0, condition->column);
        bool holds = accepts(condition, value);
        buffer_print(e->out, "%.*s is %.*s%s", SLICE_ARGS(condition->column), SLICE_ARGS(value),
            value.data ? "" : "NULL");
        for (size_t k = 0; !holds && k < condition->value_count; k++)
            buffer_print(e->out, "%s%.*s", k == 0 ? ", not " : " or ", SLICE_ARGS(condition->values[k]));
        if (!holds)
            return false;
        buffer_add_text(e->out, "; ");
    }
    return true;
}

static bool tell_fillings(struct explain *e, const struct rules_walk *w)
{
    for (size_t i = 0; i < w->rule->filling_count; i++) {
        const struct room_filling *filling = &w->rule->fillings[i];
        struct buffer text = {0};
        bool known = rules_expand(w, filling->value, &text);
        bool agrees = known && slice_equal(buffer_slice(&text), w->captures[filling->index]);
        buffer_print(e->out, "%.*s is %s for this user%s", SLICE_ARGS(filling->placeholder),
            known ? buffer_text(&text) : "NULL", agrees ? "; " : "");
        buffer_finish(&text);
        if (!agrees)
            return false;
    }
    return true;
}

static enum explain_verdict tell_lookup(struct explain *e, const struct rules_walk *w)
{
    const struct lookup *lookup = w->rule->lookup;
    struct rows *rows = ask(e, w, lookup);
    if (!rows)
        return EXPLAIN_UNKNOWN;
    bool agrees = rules_row_agrees(w, rows);
    size_t count = rows_count(rows);
    buffer_print(e->out, "lookup %.*s has %zu row%s%s; ", SLICE_ARGS(lookup->name), count,
        count == 1 ? "" : "s",
        agrees       ? ", one for this room"
        : count == 0 ? ""
                     : ", none for this room");
    rows_release(rows);
    return agrees ? EXPLAIN_YES : EXPLAIN_NO;
}

static enum explain_verdict judge_rule(struct explain *e, const struct rules_walk *w)
{
    enum explain_verdict verdict = EXPLAIN_YES;
    if (!tell_conditions(e, w->rule) || !tell_fillings(e, w))
        verdict = EXPLAIN_NO;
    else if (w->rule->lookup)
        verdict = tell_lookup(e, w);
    if (verdict == EXPLAIN_YES && !w->rule->automatic)
        verdict = EXPLAIN_ON_REQUEST;
    return verdict;
}

/* --- one room --- */

static const char *const verdict_words[] = {
    [EXPLAIN_NO] = "no",
    [EXPLAIN_UNKNOWN] = "not known",
    [EXPLAIN_ON_REQUEST] = "when he has joined it",
    [EXPLAIN_YES] = "yes",
};

/* "      rule 2 of city-{city_id}-orders: no (role is buyer, not manager)" */
static enum explain_verdict tell_rule(struct explain *e, const struct rules_walk *w, size_t number)
{
    struct buffer *out = e->out, reasons = {0};
    e->out = &reasons;
    enum explain_verdict verdict = judge_rule(e, w);
    e->out = out;
    while (reasons.size > 0 && strchr("; ", reasons.data[reasons.size - 1]))
        reasons.size--;
    buffer_print(
        out, "      rule %zu of %.*s: %s", number, SLICE_ARGS(w->pattern->text), verdict_words[verdict]);
    if (reasons.size > 0)
        buffer_print(out, " (%s)", buffer_text(&reasons));
    buffer_add_byte(out, '\n');
    buffer_finish(&reasons);
    return verdict;
}

static enum explain_verdict better(enum explain_verdict a, enum explain_verdict b)
{
    return a > b ? a : b;
}

static enum explain_verdict tell_rules(struct explain *e, uint16_t lane, struct slice room)
{
    const struct room_pattern *patterns;
    size_t count = catalogue_rooms(e->catalogue, &patterns), rules = 0;
    enum explain_verdict best = EXPLAIN_NO;
    struct rules_walk w = {.catalogue = e->catalogue, .lane = lane, .user = e->user, .room = room};
    w.principal = e->principal;
    for (size_t i = 0; i < count; i++) {
        w.pattern = &patterns[i];
        if (!room_pattern_on_lane(w.pattern, lane) || !template_match(w.pattern->name, room, w.captures))
            continue;
        for (size_t k = 0; k < w.pattern->rule_count; k++, rules++) {
            w.rule = &w.pattern->rules[k];
            best = better(best, tell_rule(e, &w, k + 1));
        }
    }
    if (rules == 0)
        buffer_add_text(e->out, "      no room of the catalogue has such a name, so nobody stands in it\n");
    return best;
}

static enum explain_verdict tell_room(struct explain *e, uint16_t lane, struct slice room, const char *what)
{
    if (slice_equal(room, ROOM_OF_ALL)) {
        buffer_print(e->out, "    %s everybody: yes\n", what);
        return EXPLAIN_YES;
    }
    struct buffer *out = e->out, rules = {0};
    e->out = &rules;
    enum explain_verdict verdict = tell_rules(e, lane, room);
    e->out = out;
    buffer_print(out, "    %s %.*s: %s\n", what, SLICE_ARGS(room), verdict_words[verdict]);
    buffer_add_slice(out, buffer_slice(&rules));
    buffer_finish(&rules);
    return verdict;
}

/* --- the event --- */

static enum explain_verdict tell_delivery(struct explain *e, const struct delivery *d)
{
    const struct lane *lanes;
    (void)catalogue_lanes(e->catalogue, &lanes);
    const struct operation *o = d->operation;
    const struct lane *lane = &lanes[o->lane];
    struct buffer *out = e->out, rooms = {0};
    e->out = &rooms;
    enum explain_verdict best = EXPLAIN_NO;
    for (size_t i = 0; i < d->room_count; i++)
        best = better(best, tell_room(e, o->lane, d->rooms[i], "to"));
    if (d->room_count == 0)
        buffer_add_text(&rooms, "    to no room: every field that names one is missing\n");
    for (size_t i = 0; best > EXPLAIN_NO && i < d->except_count; i++)
        if (tell_room(e, o->lane, d->except[i], "but not to") == EXPLAIN_YES)
            best = EXPLAIN_NO;
    e->out = out;
    buffer_print(out, "  %.*s on %s %.*s (%.*s)%s: %s\n", SLICE_ARGS(o->type_json),
        lane->dialect == DIALECT_WEBSOCKET ? "WebSocket" : "Socket.IO", SLICE_ARGS(lane->address),
        SLICE_ARGS(o->name),
        o->ephemeral ? ", only to those at the head"
        : o->ack     ? ", to be acknowledged"
                     : "",
        verdict_words[best]);
    buffer_add_slice(out, buffer_slice(&rooms));
    buffer_finish(&rooms);
    return best;
}

/* NULL: it was told why not. */
static struct rows *find_principal(struct explain *e, enum explain_verdict *verdict)
{
    struct rules_walk w = {.catalogue = e->catalogue, .user = e->user};
    struct rows *rows = ask(e, &w, catalogue_principal(e->catalogue));
    *verdict = rows ? EXPLAIN_NO : EXPLAIN_UNKNOWN;
    if (rows && rows_count(rows) == 1)
        return rows;
    if (rows)
        buffer_print(e->out, "user %.*s: %s, so he cannot connect", SLICE_ARGS(e->user),
            rows_count(rows) == 0 ? "not found" : "more than one row");
    buffer_add_byte(e->out, '\n');
    rows_release(rows);
    return NULL;
}

enum explain_verdict explain_event(const struct catalogue *c, const struct routed *routed, struct slice user,
    const struct explain_hooks *hooks, void *owner, struct buffer *out)
{
    struct explain e = {.catalogue = c, .user = user, .hooks = hooks, .owner = owner, .out = out};
    enum explain_verdict verdict;
    e.principal = find_principal(&e, &verdict);
    if (!e.principal)
        return verdict;
    buffer_print(out, "user %.*s:", SLICE_ARGS(user));
    for (size_t i = 0; i < rows_columns(e.principal); i++) {
        struct slice column = rows_column(e.principal, i), cell = rows_cell(e.principal, 0, column);
        buffer_print(out, " %.*s=%.*s", SLICE_ARGS(column), SLICE_ARGS(cell));
    }
    buffer_print(out, "\n%.*s leaves as\n", SLICE_ARGS(routed->type));
    for (size_t i = 0; i < routed->delivery_count; i++)
        verdict = better(verdict, tell_delivery(&e, &routed->deliveries[i]));
    rows_release(e.principal);
    return verdict;
}
