/* Base64 (RFC 4648), the alphabet with + and /. Pure. */
#pragma once

#include "causeway/buffer.h"

void base64_encode(struct buffer *out, struct slice bytes); /* appends, with padding */

/* Appends what the text stands for; padding may be missing. false: it is no base64 (appended is some of it).
 */
MUST_CHECK bool base64_decode(struct buffer *out, struct slice text);
