/* A record that says which right has changed: what a NOTIFY says, as JSON, for those whose database can say
   nothing. {"lookup":"task-member","key":["7","3"]}, the key a text or number where the lookup has one
   parameter, left out for all keys; or a text, as the NOTIFY has it: "cities-of-manager:3". Pure. */
#pragma once

#include "causeway/json.h"

/* Appends "<lookup>:<key>" or "<lookup>", as lookups_changed takes it. false: the record says nothing;
 * `fault` (static text) says why, and `out` is as it was. */
bool invalidation_read(struct json *scratch, struct slice record, struct buffer *out, const char **fault);
