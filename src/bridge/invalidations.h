/* The topic of changed rights (GRANTS_TOPIC), for teams whose database sends no NOTIFY. Every instance reads
   all of it from now on. What it says is a change like another; while it cannot be read, changes may be
   missed, so rights age as when nobody listens at the database. */
#pragma once

#include "causeway/kafka.h"
#include "causeway/lookups.h"

struct bridge;
struct invalidations;

struct invalidations *invalidations_create(struct bridge *b, const struct kafka_settings *settings);
void invalidations_destroy(struct invalidations *v); /* NULL is fine, as below; before postgres is gone */
/* Any thread. Lowers the pulse of the listening connection to what holds for the topic, too. */
void invalidations_pulse(struct invalidations *v, struct lookups_pulse *pulse);
bool invalidations_ready(
    struct invalidations *v, char *detail, size_t size); /* any thread; true says nothing */
