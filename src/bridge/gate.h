/* Tokens, and the keys that they are judged by. A token whose key is not known waits until the keys were
   fetched anew, so that nobody is turned away when an identity provider changes them. */
#pragma once

#include "causeway/config.h"
#include "causeway/slice.h"

struct gate;
struct worker;

struct gate *gate_create(const struct config *config, struct buffer *fault); /* NULL: a setting is at fault */
void gate_stop(struct gate *g); /* its thread; who still waits is answered */
void gate_destroy(struct gate *g);
void gate_reload(struct gate *g); /* any thread */
bool gate_ready(struct gate *g, char *detail, size_t size);
/* @thread loop. Answers through client_judged, possibly at once. */
void gate_judge(struct gate *g, struct worker *w, struct slice token, uint64_t client, uint64_t tag);
