#include "catalogue_internal.h"

#include <stdlib.h>

/* --- conditions: when --- */

static void compile_condition(
    struct compiler *k, struct room_condition *condition, const struct node *when, size_t index)
{
    const struct node *values = node_value(when, index);
    struct slice *texts = catalogue_allocate(k->c, compile_items(values), sizeof *texts);
    condition->column = catalogue_copy(k->c, node_key(when, index));
    condition->values = texts;
    for (size_t i = 0; i < compile_items(values); i++) {
        struct slice text = compile_text(k, compile_item(values, i), values, "a value of when");
        texts[condition->value_count++] = catalogue_copy(k->c, text);
    }
    if (condition->value_count == 0)
        compile_fault(k, values ? values : when,
            "when accepts no value of '%.*s'; name one value or a list of them",
            SLICE_ARGS(condition->column));
}

static void compile_when(struct compiler *k, struct room_rule *rule, const struct node *when)
{
    if (!when)
        return;
    if (node_type(when) != DOCUMENT_MAP) {
        compile_fault(
            k, when, "when is no map; it maps columns of the principal to values, such as {role: admin}");
        return;
    }
    struct room_condition *conditions = catalogue_allocate(k->c, node_count(when), sizeof *conditions);
    for (size_t i = 0; i < node_count(when); i++)
        compile_condition(k, &conditions[rule->condition_count++], when, i);
    rule->conditions = conditions;
}

/* --- fillings: with --- */

static size_t find_placeholder(const struct room_pattern *pattern, struct slice name)
{
    size_t i = 0;
    while (i < template_placeholders(pattern->name) &&
           !slice_equal(template_placeholder(pattern->name, i), name))
        i++;
    return i;
}

static void compile_filling(struct compiler *k, const struct room_pattern *pattern, struct room_rule *rule,
    struct room_filling *filling, const struct node *with, size_t index)
{
    struct slice key = node_key(with, index);
    const struct node *node = node_value(with, index);
    size_t placeholder = find_placeholder(pattern, key);
    if (placeholder == template_placeholders(pattern->name)) {
        compile_fault(k, node ? node : with,
            "room '%.*s' has no placeholder {%.*s}; with fills placeholders of the room",
            SLICE_ARGS(pattern->text), SLICE_ARGS(key));
        return;
    }
    struct template *value = compile_template(k, node, with, "a value of with");
    if (!value || !compile_param_fields(k, node, value))
        return;
    if (compile_has_root(value, "room"))
        compile_fault(k, node, "with cannot fill a room from {room.*}; use {user.<column>} or {token.user}");
    *filling = (struct room_filling){template_placeholder(pattern->name, placeholder), placeholder, value};
    rule->filling_count++;
}

static void compile_with(
    struct compiler *k, const struct room_pattern *pattern, struct room_rule *rule, const struct node *with)
{
    if (!with)
        return;
    if (node_type(with) != DOCUMENT_MAP) {
        compile_fault(
            k, with, "with is no map; it maps placeholders to texts, such as {user_id: '{user.id}'}");
        return;
    }
    struct room_filling *fillings = catalogue_allocate(k->c, node_count(with), sizeof *fillings);
    for (size_t i = 0; i < node_count(with); i++)
        compile_filling(k, pattern, rule, &fillings[rule->filling_count], with, i);
    rule->fillings = fillings;
}

/* --- what a rule must bring --- */

static bool fills(const struct room_rule *rule, size_t placeholder)
{
    for (size_t i = 0; i < rule->filling_count; i++) {
        if (rule->fillings[i].index == placeholder)
            return true;
    }
    return false;
}

static void check_filled(struct compiler *k, const struct room_pattern *pattern, const struct room_rule *rule,
    const struct node *node)
{
    for (size_t i = 0; i < template_placeholders(pattern->name); i++) {
        if (!fills(rule, i))
            compile_fault(k, node,
                "nothing fills {%.*s} of the automatic room '%.*s'; use with or a lookup with that column",
                SLICE_ARGS(template_placeholder(pattern->name, i)), SLICE_ARGS(pattern->text));
    }
}

static void check_room_param(struct compiler *k, const struct room_pattern *pattern,
    const struct room_rule *rule, const struct template_field *field, const struct node *node)
{
    if (!slice_is(field->steps[0].name, "room"))
        return;
    if (rule->automatic)
        compile_fault(k, node,
            "lookup '%.*s' uses {%.*s}, but an automatic rule has no room yet; use join: request",
            SLICE_ARGS(rule->lookup->name), SLICE_ARGS(field->text));
    else if (find_placeholder(pattern, field->steps[1].name) == template_placeholders(pattern->name))
        compile_fault(k, node,
            "lookup '%.*s' uses {%.*s}, but room '%.*s' has no such placeholder; name one of its own",
            SLICE_ARGS(rule->lookup->name), SLICE_ARGS(field->text), SLICE_ARGS(pattern->text));
}

static void check_rule(struct compiler *k, const struct room_pattern *pattern, const struct room_rule *rule,
    const struct node *node)
{
    const struct lookup *lookup = rule->lookup;
    for (size_t i = 0; lookup && i < lookup->param_count; i++) {
        for (size_t j = 0; j < template_placeholders(lookup->params[i]); j++)
            check_room_param(k, pattern, rule, template_field(lookup->params[i], j), node);
    }
    if (rule->automatic && !lookup)
        check_filled(k, pattern, rule, node);
}

static bool compile_join(struct compiler *k, const struct node *rule, const struct node *room)
{
    const struct node *own = node_find(rule, "join"), *join = own ? own : node_find(room, "join");
    struct slice text = compile_text(k, join, rule, "join");
    bool automatic = slice_is(text, "automatic");
    if (text.size > 0 && !automatic && !slice_is(text, "request"))
        compile_fault(k, join, "join is '%.*s'; it must be automatic or request", SLICE_ARGS(text));
    return automatic;
}

static void compile_rule(struct compiler *k, const struct room_pattern *pattern, struct room_rule *rule,
    const struct node *node, const struct node *room)
{
    static const char *const known[] = {"when", "with", "lookup", "join", NULL};
    if (node_type(node) != DOCUMENT_MAP) {
        compile_fault(k, node ? node : room, "a rule of room '%.*s' is no map; {} allows everybody",
            SLICE_ARGS(pattern->text));
        return;
    }
    size_t before = k->faults->count;
    compile_keys(k, node, "a rule", known);
    rule->automatic = compile_join(k, node, room);
    compile_when(k, rule, node_find(node, "when"));
    compile_with(k, pattern, rule, node_find(node, "with"));
    const struct node *lookup = node_find(node, "lookup");
    if (lookup)
        rule->lookup = compile_lookup_name(k, lookup, node);
    if (k->faults->count == before) /* else the rest would only repeat it */
        check_rule(k, pattern, rule, node);
}

/* --- patterns --- */

static void compile_lanes(struct compiler *k, struct room_pattern *pattern, const struct node *channels)
{
    uint16_t *lanes = catalogue_allocate(k->c, 2 * compile_items(channels), sizeof *lanes);
    for (size_t i = 0; i < compile_items(channels); i++) {
        struct channel *ch = compile_match_channel(k, compile_item_raw(channels, i));
        if (ch && ch->kind == CHANNEL_WEBSOCKET && ch->lane)
            lanes[pattern->lane_count++] = ch->lane->index;
        if (ch && ch->twin)
            lanes[pattern->lane_count++] = ch->twin->index;
        if (!ch || ch->kind == CHANNEL_OTHER || ch->kind == CHANNEL_KAFKA)
            compile_fault(k, channels,
                "room '%.*s' is on a channel that is no WebSocket channel; channels names some or is left "
                "out",
                SLICE_ARGS(pattern->text));
    }
    if (channels && compile_items(channels) == 0)
        compile_fault(k, channels, "room '%.*s' is on no channel; leave channels out to have it on all",
            SLICE_ARGS(pattern->text));
    pattern->lanes = lanes;
}

static void check_placeholders(
    struct compiler *k, const struct room_pattern *pattern, const struct node *node)
{
    for (size_t i = 0; i < template_placeholders(pattern->name); i++) {
        const struct template_field *field = template_field(pattern->name, i);
        if (field->step_count > 1 || field->array || field->optional || field->text.data[0] == '$')
            compile_fault(k, node,
                "{%.*s} in room '%.*s' is no plain name; a room's placeholder is like {city_id}",
                SLICE_ARGS(field->text), SLICE_ARGS(pattern->text));
        if (find_placeholder(pattern, field->text) < i)
            compile_fault(k, node, "room '%.*s' has {%.*s} twice; give each placeholder a name of its own",
                SLICE_ARGS(pattern->text), SLICE_ARGS(field->text));
    }
}

static bool share_lane(const struct room_pattern *a, const struct room_pattern *b)
{
    for (size_t i = 0; i < a->lane_count; i++) {
        if (room_pattern_on_lane(b, a->lanes[i]))
            return true;
    }
    return a->lane_count == 0 || b->lane_count == 0;
}

static void check_distinct(struct compiler *k, const struct room_pattern *pattern, const struct node *node)
{
    for (const struct room_pattern *other = k->c->rooms; other < pattern; other++) {
        if (!share_lane(other, pattern) || !template_overlap(other->name, pattern->name))
            continue;
        if (template_same_shape(other->name, pattern->name))
            compile_fault(k, node,
                "rooms '%.*s' and '%.*s' are the same rooms; put the rules of both under one",
                SLICE_ARGS(other->text), SLICE_ARGS(pattern->text));
        else
            compile_fault(k, node,
                "rooms '%.*s' and '%.*s' overlap: some name could be one of either, and who may enter it a "
                "guess; "
                "part them by a character that placeholders do not take, such as ':'",
                SLICE_ARGS(other->text), SLICE_ARGS(pattern->text));
    }
}

static void compile_rules(struct compiler *k, struct room_pattern *pattern, const struct node *node)
{
    const struct node *allow = node_find(node, "allow");
    size_t count = compile_items(allow);
    if (count == 0)
        compile_fault(k, allow ? allow : node, "room '%.*s' has no rule under allow; nobody could enter it",
            SLICE_ARGS(pattern->text));
    struct room_rule *rules = catalogue_allocate(k->c, count, sizeof *rules);
    for (size_t i = 0; i < count; i++)
        compile_rule(k, pattern, &rules[pattern->rule_count++], compile_item(allow, i), node);
    pattern->rules = rules;
}

static void compile_room(
    struct compiler *k, struct slice text, const struct node *node, const struct node *holder)
{
    static const char *const known[] = {"join", "allow", "channels", NULL};
    const char *fault;
    struct template *name = catalogue_keep_template(k->c, text, &fault);
    if (!name) {
        compile_fault(k, node ? node : holder,
            "room '%.*s' has %s; a room is text with {placeholders} such as 'city-{city_id}'",
            SLICE_ARGS(text), fault);
        return;
    }
    if (node_type(node) != DOCUMENT_MAP) {
        compile_fault(
            k, node ? node : holder, "room '%.*s' is no map; it has join and allow", SLICE_ARGS(text));
        return;
    }
    compile_keys(k, node, "a room", known);
    struct room_pattern *pattern = &k->c->rooms[k->c->room_count];
    pattern->index = compile_index(k, node, k->c->room_count++);
    pattern->text = template_text(name);
    pattern->name = name;
    check_placeholders(k, pattern, node);
    compile_lanes(k, pattern, node_find_raw(node, "channels"));
    check_distinct(k, pattern, node);
    compile_rules(k, pattern, node);
}

void compile_rooms(struct compiler *k, const struct node *extension)
{
    const struct node *rooms = node_find(extension, "rooms");
    if (rooms && node_type(rooms) != DOCUMENT_MAP) {
        compile_fault(k, rooms, "rooms is no map; it maps name patterns to rules");
        return;
    }
    k->c->rooms = catalogue_allocate(k->c, node_count(rooms), sizeof *k->c->rooms);
    for (size_t i = 0; i < node_count(rooms); i++)
        compile_room(k, node_key(rooms, i), node_value(rooms, i), rooms);
}
