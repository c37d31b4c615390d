/* One client's conversation: who it is, which rooms it may stand in, and what its commands do. Knows neither
   sockets nor how messages are framed, so that every protocol has the same rules. Owns its session and its
   grants.
   @thread the loop of its session. */
#pragma once

#include "causeway/close.h"
#include "causeway/fanout.h"
#include "causeway/grants.h"
#include "causeway/json.h"

struct client;

struct client_hooks {
    /* A message of ours for this client: its type, and its data as JSON (NULL data: none). */
    void (*emit)(void *owner, const char *type, struct slice data_json);
    /* The first message brought a token: judge it, then client_attach or end the connection. */
    void (*authenticate)(void *owner, struct slice token);
    /* client_attach is decided. On GRANTS_ALLOWED `connected` is emitted right after; otherwise the
     * connection is to be ended. */
    void (*attached)(void *owner, enum grants_outcome outcome);
    /* Run a lookup and later call client_answer with the tag. */
    void (*lookup)(
        void *owner, const struct lookup *lookup, const struct slice *params, size_t count, uint64_t tag);
};

struct client_settings {
    struct fanout *fanout;
    struct catalogue *catalogue;
    const struct lane *lane;
    size_t rooms_max;
};

/* `transport` is what the fan-out's transport hooks get for this client's session. */
struct client *client_create(
    const struct client_settings *settings, const struct client_hooks *hooks, void *owner, void *transport);
void client_destroy(struct client *c); /* NULL is fine; not from within a hook */

/* The user is known: notes the position in the log, then looks up the rights. `user_json` is the id as the
 * token has it. */
void client_attach(struct client *c, const char *user, const char *user_json);
void client_answer(struct client *c, uint64_t tag, enum lookup_status status, struct rows *rows);

/* A message from the client: its type, and its data (JSON_NONE: none) in `j`. Answers through emit. */
void client_command(struct client *c, struct slice type, const struct json *j, uint32_t data);

/* An `error` message; `room` may be empty. */
void client_error(struct client *c, const char *code, const char *message, struct slice room);

void client_writable(struct client *c);
bool client_is_attached(const struct client *c);
bool client_is_waiting(const struct client *c); /* no credential yet */

/* A `gap` message's data, appended to `out`. */
void client_gap_json(
    struct buffer *out, struct slice topic, int32_t partition, int64_t from, int64_t to, const char *reason);
