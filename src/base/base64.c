#include "causeway/base64.h"

#include <stdint.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(struct buffer *out, struct slice bytes)
{
    const unsigned char *in = (const unsigned char *)bytes.data;
    buffer_reserve(out, (bytes.size + 2) / 3 * 4);
    for (size_t i = 0; i < bytes.size; i += 3) {
        size_t left = bytes.size - i;
        uint32_t group = (uint32_t)in[i] << 16 | (left > 1 ? (uint32_t)in[i + 1] << 8 : 0) |
                         (left > 2 ? (uint32_t)in[i + 2] : 0);
        char text[4] = {alphabet[group >> 18], alphabet[group >> 12 & 63],
            left > 1 ? alphabet[group >> 6 & 63] : '=', left > 2 ? alphabet[group & 63] : '='};
        buffer_add(out, text, sizeof text);
    }
}

static int value_of(char c)
{
    const char *found = c ? strchr(alphabet, c) : NULL;
    return found ? (int)(found - alphabet) : -1;
}

bool base64_decode(struct buffer *out, struct slice text)
{
    size_t size = text.size;
    for (int i = 0; i < 2 && size > 0 && text.size % 4 == 0 && text.data[size - 1] == '='; i++)
        size--;
    if (size % 4 == 1)
        return false;
    uint32_t group = 0;
    unsigned bits = 0;
    for (size_t i = 0; i < size; i++) {
        int value = value_of(text.data[i]);
        if (value < 0)
            return false;
        group = group << 6 | (uint32_t)value;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            buffer_add_byte(out, (char)(group >> bits));
        }
    }
    return true;
}
