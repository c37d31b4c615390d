/* WebSocket frames as a client sees them: walked by their headers, never parsed further. No state, any
 * thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>

#define FRAME_MAX (4u * 1024 * 1024)
#define FRAME_BROKEN SIZE_MAX

/* First bytes with FIN set. */
enum { FRAME_TEXT = 0x81, FRAME_BINARY = 0x82, FRAME_PING = 0x89, FRAME_PONG = 0x8A };

/* One whole frame; false stops the walk. */
typedef bool frame_handler(void *context, uint8_t first, const uint8_t *payload, size_t length);

/* Calls `handler` for each whole frame of `bytes`. Returns the bytes taken, or FRAME_BROKEN when the handler
   said so or the stream is not that of a server. */
static inline size_t frames_walk(const uint8_t *bytes, size_t n, frame_handler *handler, void *context)
{
    size_t at = 0;
    while (n - at >= 2) {
        const uint8_t *frame = bytes + at;
        size_t length = frame[1];
        size_t header = length == 126 ? 4 : length == 127 ? 10 : 2;
        if (length > 127) {
            return FRAME_BROKEN; /* servers do not mask */
        }
        if (n - at < header) {
            break;
        }
        for (size_t i = 2; i < header; i++) {
            length = i == 2 ? frame[2] : (length << 8 | frame[i]);
        }
        if (length > FRAME_MAX) {
            return FRAME_BROKEN;
        }
        if (n - at - header < length) {
            break;
        }
        if (!handler(context, frame[0], frame + header, length)) {
            return FRAME_BROKEN;
        }
        at += header + length;
    }
    return at;
}

/* Sends one frame of at most 1,024 bytes with a zero mask key, which leaves the payload as it is. */
static inline bool frame_send(int fd, uint8_t first, const void *payload, size_t length)
{
    uint8_t frame[8 + 1024] = {first};
    size_t header = length < 126 ? 2 : 4;
    if (length > 1024) {
        return false;
    }
    frame[1] = (uint8_t)(0x80u | (header == 2 ? length : 126));
    if (header == 4) {
        frame[2] = (uint8_t)(length >> 8);
        frame[3] = (uint8_t)length;
    }
    memset(frame + header, 0, 4);
    memcpy(frame + header + 4, payload, length);
    size_t total = header + 4 + length;
    return send(fd, frame, total, MSG_NOSIGNAL) == (ssize_t)total;
}
