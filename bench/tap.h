/* Reads a Kafka topic from its end, on a thread of its own, and feeds each payload as a line to bench_bare:
   what a bare loop costs when its events come the way Causeway's do. */
#pragma once

#include <stdint.h>

/* Returns once the end is known, so that nothing published later is missed. `feed`: the loopback port. */
void tap_start(const char *brokers, const char *topic, uint16_t feed);
