/* The log's side of that world: what comes into the hot log, and sweeps, which bring Kafka's past into
 * windows. */
#pragma once

#include "fanout_windows_stage.h"

/* A record: up to three events in a row. */
void produce(struct world *w);

/* One step of a window: begins, fills, ends, or waits until nobody walks it. */
void run_sweep(struct world *w, struct sweep *s);
