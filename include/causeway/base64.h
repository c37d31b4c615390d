/* Base64 (RFC 4648): with + and / and padding, and base64url, with - and _ and without padding. Pure. */
#pragma once

#include "causeway/buffer.h"

void base64_encode(struct buffer *out, struct slice bytes); /* appends, with padding */

/* Appends what the text stands for; padding may be missing. false: it is no base64 (nothing is appended). */
MUST_CHECK bool base64_decode(struct buffer *out, struct slice text);

#define BASE64URL_SIZE(bytes) (((bytes)*4 + 2) / 3)

/* Writes BASE64URL_SIZE(size) characters and a NUL behind them; returns their number. */
size_t base64url_encode(const void *data, size_t size, char *out);

/* Strict: the same bytes have one spelling only. `out` has room for three bytes per four characters. false:
 * another character, or bits that stand for nothing. */
MUST_CHECK bool base64url_decode(struct slice text, void *out, size_t *size);
