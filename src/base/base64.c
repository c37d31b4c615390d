#include "causeway/base64.h"

#include <stdint.h>

#define LETTERS_AND_DIGITS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

static const char plain[] = LETTERS_AND_DIGITS "+/";
static const char for_urls[] = LETTERS_AND_DIGITS "-_";

/* Without padding. */
static size_t encode(const char *alphabet, const void *data, size_t size, char *out)
{
    const unsigned char *in = data;
    uint32_t group = 0;
    unsigned bits = 0;
    size_t n = 0;
    for (size_t i = 0; i < size; i++) {
        group = group << 8 | in[i];
        for (bits += 8; bits >= 6; bits -= 6)
            out[n++] = alphabet[group >> (bits - 6) & 63];
    }
    if (bits > 0)
        out[n++] = alphabet[group << (6 - bits) & 63];
    return n;
}

static int value_of(char c, const char *alphabet)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == alphabet[62] ? 62 : c == alphabet[63] ? 63 : -1;
}

/* `rest`: the bits that are left over at the end. */
static bool decode(const char *alphabet, struct slice text, void *out, size_t *size, uint32_t *rest)
{
    unsigned char *bytes = out;
    uint32_t group = 0;
    unsigned bits = 0;
    size_t n = 0;
    for (size_t i = 0; i < text.size; i++) {
        int value = value_of(text.data[i], alphabet);
        if (value < 0)
            return false;
        group = group << 6 | (uint32_t)value;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            bytes[n++] = (unsigned char)(group >> bits);
        }
    }
    *size = n;
    *rest = group & ((1U << bits) - 1);
    return bits < 6;
}

void base64_encode(struct buffer *out, struct slice bytes)
{
    size_t whole = (bytes.size + 2) / 3 * 4;
    char *text = buffer_reserve(out, whole);
    size_t size = encode(plain, bytes.data, bytes.size, text);
    memset(text + size, '=', whole - size);
    out->size += whole;
}

bool base64_decode(struct buffer *out, struct slice text)
{
    size_t size;
    uint32_t rest;
    struct slice bare = text;
    for (int i = 0; i < 2 && bare.size > 0 && text.size % 4 == 0 && bare.data[bare.size - 1] == '='; i++)
        bare.size--;
    if (!decode(plain, bare, buffer_reserve(out, bare.size), &size, &rest))
        return false;
    out->size += size;
    return true;
}

size_t base64url_encode(const void *data, size_t size, char *out)
{
    size_t n = encode(for_urls, data, size, out);
    out[n] = '\0';
    return n;
}

bool base64url_decode(struct slice text, void *out, size_t *size)
{
    uint32_t rest;
    return decode(for_urls, text, out, size, &rest) && rest == 0;
}
