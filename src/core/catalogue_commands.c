/* Operations that receive from clients: their names for the program's commands. */
#include "catalogue_internal.h"

static const struct {
    const char *name;
    bool room; /* is about one */
} commands[] = {
    {"join-room", true},
    {"leave-room", true},
    {"refresh", false},
    {"ping", false},
};

static bool is_about_room(
    struct compiler *k, struct slice name, const struct node *at, const struct node *holder)
{
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (slice_is(name, commands[i].name))
            return commands[i].room;
    compile_fault(k, at ? at : holder, "command is '%.*s'; it must be join-room, leave-room, refresh or ping",
        SLICE_ARGS(name));
    return false;
}

/* {taskId}, {task.id}: scalars of the message's data. */
static void check_room(struct compiler *k, const struct template *t, const struct node *at)
{
    for (size_t i = 0; i < template_placeholders(t); i++) {
        const struct template_field *field = template_field(t, i);
        if (field->array || field->optional || field->steps[0].name.data[0] == '$')
            compile_fault(k, at, "{%.*s} names no one member of the data; use {member} or {member.member}",
                SLICE_ARGS(field->text));
    }
}

void compile_command(struct compiler *k, struct slice name, const struct node *node, struct channel *ch)
{
    static const char *const known[] = {"command", "room", NULL};
    const struct node *extension = node_find(node, "x-causeway"), *does = node_find(extension, "command"),
                      *room = node_find(extension, "room");
    if (!ch->lane || !compile_keys(k, extension, "x-causeway of an operation", known))
        return;
    const struct channel_message *message = compile_only_message(k, name, node, ch);
    struct command *command = &k->c->commands[k->c->command_count];
    command->name = catalogue_copy(k->c, compile_text(k, does, extension, "command"));
    bool about_room = is_about_room(k, command->name, does, extension);
    if (room && !about_room)
        compile_fault(k, room, "command '%.*s' is about no room; only join-room and leave-room are",
            SLICE_ARGS(command->name));
    command->room = room ? compile_template(k, room, extension, "room") : NULL;
    if (command->room)
        check_room(k, command->room, room);
    command->lane = ch->lane->index;
    command->type = catalogue_copy(k->c, message ? message->type : name);
    if (catalogue_find_command(k->c, command->lane, command->type))
        compile_fault(
            k, node, "two operations receive '%.*s' here; one of them must do", SLICE_ARGS(command->type));
    command->index = compile_index(k, node, k->c->command_count++);
    if (!ch->twin)
        return;
    struct command *twin = &k->c->commands[k->c->command_count];
    *twin = *command;
    twin->lane = ch->twin->index;
    twin->index = compile_index(k, node, k->c->command_count++);
}
