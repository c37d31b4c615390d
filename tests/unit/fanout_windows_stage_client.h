/* The client's side of that world: what it reads is held against what it has had. */
#pragma once

#include "fanout_windows_stage.h"

#include "causeway/fanout.h"

/* Who stands in these rooms gets the event. */
bool concerns(const struct event *e, uint32_t rooms);

/* The transport of both sessions of a player. */
extern const struct transport_hooks player_hooks;
