/* Why a connection ends: one row is the enum, the WebSocket close code, the text, and what the client should
   do. docs/PROTOCOL.md has the same table for client authors. */
#pragma once

#include <stdint.h>

/* X(id, code, text, retry): retry "yes": come back at once; "later": the same, after a random
 * wait; "no": the same again would fail again */
#define CLOSE_TABLE(X)                                                                                       \
    X(NORMAL, 1000, "closed", "yes")                                                                         \
    X(PROTOCOL, 1002, "protocol violation", "no")                                                            \
    X(BINARY, 1003, "text messages only", "no")                                                              \
    X(NOT_UTF8, 1007, "text is not UTF-8", "no")                                                             \
    X(TOO_LARGE, 1009, "message too large", "no")                                                            \
    X(RESTART, 1012, "restart", "later")                                                                     \
    X(LATER, 1013, "try again later", "later")                                                               \
    X(UNAUTHORIZED, 4401, "unauthorized", "no")                                                              \
    X(ROOMS, 4403, "more automatic rooms than one session may have", "no")                                   \
    X(LIFELESS, 4408, "no sign of life", "yes")                                                              \
    X(RATE, 4429, "over a limit", "later")

enum close_reason {
#define X(id, code, text, retry) CLOSE_##id,
    CLOSE_TABLE(X)
#undef X
        CLOSE_COUNT
};

uint16_t close_code(enum close_reason reason);
const char *close_text(enum close_reason reason);
