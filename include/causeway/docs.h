/* The catalogue for people: one HTML page about the loaded document, without anything from elsewhere. */
#pragma once

#include "causeway/document.h"

void docs_write_html(const struct document *d, struct buffer *out);
