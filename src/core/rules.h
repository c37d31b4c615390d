/* The room rules of a catalogue applied to one principal: which rules concern him, what their lookups ask,
   which rooms their rows name, and whether a room agrees with them. Pure arithmetic over texts; belongs to
   grants. */
#pragma once

#include "causeway/catalogue.h"
#include "causeway/rows.h"
#include "causeway/template.h"

#include "nameset.h"

/* A walk over the rules that concern the principal. Filled in by the caller: the first five; then rules_next.
 */
struct rules_walk {
    const struct catalogue *catalogue;
    uint16_t lane;
    struct slice user;            /* the token's */
    const struct rows *principal; /* NULL: not known yet; then only rules_key may be asked */
    struct slice room;            /* the rules of this room; NULL data: the automatic rules of all rooms */
    const struct room_pattern *pattern;
    const struct room_rule *rule; /* whose conditions hold */
    size_t next_pattern, next_rule;
    struct slice captures[TEMPLATE_PLACEHOLDERS_MAX]; /* of `room` */
};

bool rules_next(struct rules_walk *w);

/* The key of a lookup's question, as lookups_key writes it. */
void rules_key(const struct rules_walk *w, const struct lookup *lookup, struct buffer *key);

/* What the catalogue calls the rooms that w->room is one of: the first pattern that takes it, "none". */
struct slice rules_pattern_of(const struct rules_walk *w);

/* Appends the text of a template over {token.user}, {user.*}, {room.*}; false, and nothing appended, when one
 * of its values is NULL. */
bool rules_expand(const struct rules_walk *w, const struct template *t, struct buffer *out);

/* The rooms of an automatic rule: one without a lookup, or one for each of its rows. false: more than `max`
   rooms in all, not all of them added. */
bool rules_add_rooms(const struct rules_walk *w, const struct rows *rows, struct nameset *rooms, size_t max);

/* Does what `with` says agree with the room? */
bool rules_with_agrees(const struct rules_walk *w);
/* Does one row of the rule's lookup agree with the room? `rows` may be NULL. */
bool rules_row_agrees(const struct rules_walk *w, const struct rows *rows);
