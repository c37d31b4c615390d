/* The running service: everything that `causeway serve` starts, in the order it needs it, and stops in
 * reverse. */
#pragma once

#include "causeway/buffer.h"
#include "causeway/config.h"

struct bridge;

/* Loads the catalogue, starts all threads and listens. NULL: `fault` says what is wrong with which setting
   (exit 78). Kafka and PostgreSQL may be away: they are waited for. */
struct bridge *bridge_create(const struct config *config, struct buffer *fault);

/* Stops accepting, says goodbye to every client within DRAIN_TIMEOUT, stops all threads and frees everything.
 */
void bridge_destroy(struct bridge *b);

/* Takes in what can change without a restart: the keys of tokens, the catalogue. What cannot be read or is
 * wrong changes nothing, and is logged. The catalogue takes effect soon after, when Kafka is being read. */
void bridge_reload(struct bridge *b);

/* Did it find, after the start, that a setting must be refused? SIGTERM has then been sent to the process
 * itself. */
bool bridge_refused(const struct bridge *b);

void bridge_ports(const struct bridge *b, struct buffer *out);
