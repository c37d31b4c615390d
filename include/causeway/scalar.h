/* What an unquoted YAML text means: the core schema of YAML 1.2 (so `yes`, `on` and `1_000` are strings).
 * Stateless. */
#pragma once

#include "causeway/buffer.h"
#include "causeway/document.h"

/* DOCUMENT_NULL, _BOOL, _NUMBER or _STRING. */
enum document_type scalar_type(struct slice text);

/* Writes a number of the core schema as a JSON number: as it stands where JSON agrees, else in JSON's
   spelling (0x1F, +1, .5, 007). Infinities and NaN, which JSON lacks, become null. */
void scalar_write_number(struct slice text, struct buffer *out);
