/* URIs (RFC 3986) and IRIs (RFC 3987): is a text one, and what does a reference mean beside a base. Pure. */
#pragma once

#include "causeway/buffer.h"

/* With a scheme; with `international`, characters beyond ASCII may stand in it. */
bool uri_is_absolute(struct slice text, bool international);
/* With or without a scheme. */
bool uri_is_reference(struct slice text, bool international);

bool uri_is_ipv4(struct slice text);
bool uri_is_ipv6(struct slice text); /* without zone and brackets */

/* Appends what `reference` means where `base` is the document's own (RFC 3986, 5.2), without its fragment. */
void uri_resolve(struct slice base, struct slice reference, struct buffer *out);

/* `text` up to its '#', and what follows that: NULL data when there is none. */
struct slice uri_without_fragment(struct slice text, struct slice *fragment);
