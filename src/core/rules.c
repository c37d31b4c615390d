#include "rules.h"

#include "causeway/lookups.h"
#include "causeway/rooms.h"

/* --- which rules --- */

static bool accepts(const struct room_condition *condition, struct slice value)
{
    for (size_t i = 0; value.data && i < condition->value_count; i++) {
        if (slice_equal(condition->values[i], value))
            return true;
    }
    return false;
}

static bool conditions_hold(const struct room_rule *rule, const struct rows *principal)
{
    for (size_t i = 0; i < rule->condition_count; i++) {
        if (!accepts(&rule->conditions[i], rows_cell(principal, 0, rule->conditions[i].column)))
            return false;
    }
    return true;
}

static bool next_pattern(struct rules_walk *w)
{
    const struct room_pattern *patterns;
    size_t count = catalogue_rooms(w->catalogue, &patterns);
    while (w->next_pattern < count) {
        w->pattern = &patterns[w->next_pattern++];
        w->next_rule = 0;
        if (room_pattern_on_lane(w->pattern, w->lane) &&
            (!w->room.data || template_match(w->pattern->name, w->room, w->captures)))
            return true;
    }
    w->pattern = NULL;
    return false;
}

bool rules_next(struct rules_walk *w)
{
    while (w->pattern || next_pattern(w)) {
        while (w->next_rule < w->pattern->rule_count) {
            w->rule = &w->pattern->rules[w->next_rule++];
            if ((w->room.data || w->rule->automatic) && conditions_hold(w->rule, w->principal))
                return true;
        }
        w->pattern = NULL;
    }
    return false;
}

struct slice rules_pattern_of(const struct rules_walk *w)
{
    struct rules_walk own = *w;
    own.next_pattern = 0;
    return next_pattern(&own) ? own.pattern->text : SLICE("none");
}

/* --- templates over {token.user}, {user.*}, {room.*} --- */

static struct slice room_capture(const struct rules_walk *w, struct slice name)
{
    for (size_t i = 0; w->room.data && i < template_placeholders(w->pattern->name); i++) {
        if (slice_equal(template_placeholder(w->pattern->name, i), name))
            return w->captures[i];
    }
    return (struct slice){NULL, 0};
}

static struct slice field_value(const struct rules_walk *w, const struct template_field *field)
{
    struct slice root = field->steps[0].name, name = field->steps[1].name;
    if (slice_is(root, "token"))
        return w->user;
    if (slice_is(root, "room"))
        return room_capture(w, name);
    return w->principal ? rows_cell(w->principal, 0, name) : (struct slice){NULL, 0};
}

bool rules_expand(const struct rules_walk *w, const struct template *t, struct buffer *out)
{
    struct slice values[TEMPLATE_PLACEHOLDERS_MAX];
    for (size_t i = 0; i < template_placeholders(t); i++) {
        values[i] = field_value(w, template_field(t, i));
        if (!values[i].data)
            return false;
    }
    template_write(t, values, out);
    return true;
}

void rules_key(const struct rules_walk *w, const struct lookup *lookup, struct buffer *key)
{
    struct buffer text = {0};
    for (size_t i = 0; i < lookup->param_count; i++) {
        buffer_clear(&text);
        bool known = rules_expand(w, lookup->params[i], &text);
        lookups_key(key, known ? (struct slice){buffer_text(&text), text.size} : (struct slice){NULL, 0});
    }
    buffer_finish(&text);
}

static const struct room_filling *find_filling(const struct room_rule *rule, size_t placeholder)
{
    for (size_t i = 0; i < rule->filling_count; i++) {
        if (rule->fillings[i].index == placeholder)
            return &rule->fillings[i];
    }
    return NULL;
}

/* --- automatic rooms --- */

/* The text of a placeholder, from `with` or from a row; false when there is none. */
static bool fill(const struct rules_walk *w, size_t placeholder, const struct rows *rows, size_t row,
    struct buffer *scratch, struct slice *out)
{
    const struct room_filling *filling = find_filling(w->rule, placeholder);
    buffer_clear(scratch);
    if (filling && !rules_expand(w, filling->value, scratch))
        return false;
    if (filling)
        *out = buffer_slice(scratch);
    else
        *out = rows ? rows_cell(rows, row, template_placeholder(w->pattern->name, placeholder))
                    : (struct slice){NULL, 0};
    return out->data != NULL;
}

/* A name that its pattern does not match, or not in one way only, is given to nobody, just as nobody can
   ask for it: a value is empty, or has characters that names cannot have. */
static void add_room(const struct rules_walk *w, const struct slice *values, struct nameset *rooms)
{
    struct slice captures[TEMPLATE_PLACEHOLDERS_MAX];
    size_t start = rooms->text.size;
    template_write(w->pattern->name, values, &rooms->text);
    struct slice name = {rooms->text.data + start, rooms->text.size - start};
    if (name.size <= ROOM_NAME_MAX && template_match(w->pattern->name, name, captures))
        nameset_add(rooms, start);
    else
        rooms->text.size = start;
}

static void add_room_of_row(
    const struct rules_walk *w, const struct rows *rows, size_t row, struct nameset *rooms)
{
    struct buffer scratch[TEMPLATE_PLACEHOLDERS_MAX] = {{0}};
    struct slice values[TEMPLATE_PLACEHOLDERS_MAX];
    size_t count = template_placeholders(w->pattern->name), filled = 0;
    while (filled < count && fill(w, filled, rows, row, &scratch[filled], &values[filled]))
        filled++;
    if (filled == count)
        add_room(w, values, rooms);
    for (size_t i = 0; i < count; i++)
        buffer_finish(&scratch[i]);
}

bool rules_add_rooms(const struct rules_walk *w, const struct rows *rows, struct nameset *rooms, size_t max)
{
    size_t count = w->rule->lookup ? (rows ? rows_count(rows) : 0) : 1;
    for (size_t row = 0; row < count; row++) {
        add_room_of_row(w, rows, row, rooms);
        if (rooms->count > max)
            return false;
    }
    return true;
}

/* --- one room --- */

static bool has_column(const struct rows *rows, struct slice name)
{
    for (size_t i = 0; i < rows_columns(rows); i++) {
        if (slice_equal(rows_column(rows, i), name))
            return true;
    }
    return false;
}

bool rules_with_agrees(const struct rules_walk *w)
{
    bool agree = true;
    struct buffer text = {0};
    for (size_t i = 0; agree && i < w->rule->filling_count; i++) {
        const struct room_filling *filling = &w->rule->fillings[i];
        buffer_clear(&text);
        agree = rules_expand(w, filling->value, &text) &&
                slice_equal(buffer_slice(&text), w->captures[filling->index]);
    }
    buffer_finish(&text);
    return agree;
}

static bool this_row_agrees(const struct rules_walk *w, const struct rows *rows, size_t row)
{
    for (size_t i = 0; i < template_placeholders(w->pattern->name); i++) {
        struct slice name = template_placeholder(w->pattern->name, i);
        if (find_filling(w->rule, i) || (!w->rule->automatic && !has_column(rows, name)))
            continue;
        struct slice cell = rows_cell(rows, row, name);
        if (!cell.data || !slice_equal(cell, w->captures[i]))
            return false;
    }
    return true;
}

bool rules_row_agrees(const struct rules_walk *w, const struct rows *rows)
{
    for (size_t row = 0; rows && row < rows_count(rows); row++) {
        if (this_row_agrees(w, rows, row))
            return true;
    }
    return false;
}
