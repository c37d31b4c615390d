/* The backslash escapes of JSON strings: what json_scan accepts and json_string decodes. Stateless. */
#pragma once

#include <stddef.h>

/* Length of the escape that begins at the backslash `p`; both halves of a surrogate pair count as one.
   0: it is not accepted, and *fault says why (static text). */
size_t json_escape_check(const char *p, const char *end, const char **fault);

/* Writes what a checked escape stands for as UTF-8, *size bytes; returns the place behind it. */
const char *json_escape_decode(const char *p, char out[4], size_t *size);
