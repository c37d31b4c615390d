/* The clients of one loop by number, so that an answer from another thread finds its client, or finds it
   gone: a number is never given twice.
   @thread its loop. */
#pragma once

#include <stdint.h>

struct client;
struct roster;

struct roster *roster_create(void);
void roster_destroy(struct roster *r); /* its clients have been removed */

uint64_t roster_add(struct roster *r, struct client *c);
void roster_remove(struct roster *r, uint64_t number);
struct client *roster_find(const struct roster *r, uint64_t number); /* NULL: it is gone */
