/* UTF-8 as Unicode defines it: no surrogates, no overlong forms, at most U+10FFFF. Stateless. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool utf8_valid(const char *data, size_t size);

/* Writes the character `code` (no surrogate, at most U+10FFFF) and returns its length, 1 to 4. */
size_t utf8_encode(uint32_t code, char out[4]);

static inline bool utf8_is_tail(unsigned char byte)
{
    return (byte & 0xc0) == 0x80;
}

/* Length of the well-formed sequence at `data`, of which `left` >= 1 bytes are there; 0: it is not
   well-formed. Inline, because scanners ask once per character. */
static inline size_t utf8_sequence(const char *data, size_t left)
{
    const unsigned char *byte = (const unsigned char *)data;
    if (byte[0] < 0x80)
        return 1;
    if (byte[0] < 0xc2 || left < 2 || !utf8_is_tail(byte[1])) /* c0 and c1 could only begin overlong forms */
        return 0;
    if (byte[0] < 0xe0)
        return 2;
    if (left < 3 || !utf8_is_tail(byte[2]))
        return 0;
    if (byte[0] < 0xf0) {
        bool overlong = byte[0] == 0xe0 && byte[1] < 0xa0;
        bool surrogate = byte[0] == 0xed && byte[1] > 0x9f;
        return overlong || surrogate ? 0 : 3;
    }
    if (left < 4 || !utf8_is_tail(byte[3]))
        return 0;
    bool overlong = byte[0] == 0xf0 && byte[1] < 0x90;
    bool beyond = byte[0] > 0xf4 || (byte[0] == 0xf4 && byte[1] > 0x8f);
    return overlong || beyond ? 0 : 4;
}
