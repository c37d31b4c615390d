/* SHA-1 (FIPS 180-4): for the WebSocket handshake, which proves nothing by it. Not for secrets. Pure. */
#pragma once

#include "causeway/slice.h"

enum { SHA1_SIZE = 20 };

void sha1(struct slice bytes, unsigned char digest[SHA1_SIZE]);
