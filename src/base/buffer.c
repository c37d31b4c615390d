#include "causeway/buffer.h"

#include "causeway/memory.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { BUFFER_FIRST = 64 };

void buffer_finish(struct buffer *b)
{
    free(b->data);
    *b = (struct buffer){0};
}

void buffer_clear(struct buffer *b)
{
    b->size = 0;
}

/* Doubles, so that adding byte by byte stays linear; exact when one addition is larger than that. */
char *buffer_reserve(struct buffer *b, size_t extra)
{
    CHECK(extra <= SIZE_MAX / 2 - b->size);
    size_t needed = b->size + extra;
    if (needed > b->capacity || !b->data) {
        size_t capacity = b->capacity ? b->capacity * 2 : BUFFER_FIRST;
        if (capacity < needed)
            capacity = needed;
        b->data = xrealloc(b->data, capacity);
        b->capacity = capacity;
    }
    return b->data + b->size;
}

void buffer_add(struct buffer *b, const void *data, size_t size)
{
    if (!size)
        return;
    memcpy(buffer_reserve(b, size), data, size);
    b->size += size;
}

void buffer_add_slice(struct buffer *b, struct slice s)
{
    buffer_add(b, s.data, s.size);
}

void buffer_add_text(struct buffer *b, const char *text)
{
    buffer_add(b, text, strlen(text));
}

void buffer_add_byte(struct buffer *b, char byte)
{
    *buffer_reserve(b, 1) = byte;
    b->size++;
}

void buffer_print(struct buffer *b, const char *format, ...)
{
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    (void)buffer_reserve(b, 1);
    size_t room = b->capacity - b->size;
    int length = vsnprintf(b->data + b->size, room, format, arguments);
    CHECK(length >= 0);
    if ((size_t)length >= room)
        (void)vsnprintf(buffer_reserve(b, (size_t)length + 1), (size_t)length + 1, format, again);
    b->size += (size_t)length;
    va_end(again);
    va_end(arguments);
}

/* U+2028 and U+2029 are legal in JSON but end a line in older JavaScript; both are E2 80 A8/A9 in UTF-8. */
static bool is_line_separator(const unsigned char *at, size_t left)
{
    return left >= 3 && at[0] == 0xE2 && at[1] == 0x80 && (at[2] == 0xA8 || at[2] == 0xA9);
}

static void add_escaped(struct buffer *b, unsigned char byte)
{
    static const char letters[] = {
        ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r', ['"'] = '"', ['\\'] = '\\'};
    char letter = '\0';
    if (byte < sizeof letters)
        letter = letters[byte];
    if (letter)
        buffer_add(b, (const char[]){'\\', letter}, 2);
    else
        buffer_print(b, "\\u%04x", byte);
}

void buffer_add_json_text(struct buffer *b, struct slice text)
{
    const unsigned char *data = (const unsigned char *)text.data;
    size_t plain = 0; /* start of the run that needs no escapes */
    (void)buffer_reserve(b, text.size + 2);
    buffer_add_byte(b, '"');
    for (size_t i = 0; i < text.size; i++) {
        bool separator = is_line_separator(data + i, text.size - i);
        if (!separator && data[i] >= 0x20 && data[i] != '"' && data[i] != '\\' && data[i] != 0x7F)
            continue;
        buffer_add(b, data + plain, i - plain);
        if (separator) {
            buffer_add_text(b, data[i + 2] == 0xA8 ? "\\u2028" : "\\u2029");
            i += 2;
        } else {
            add_escaped(b, data[i]);
        }
        plain = i + 1;
    }
    if (plain < text.size)
        buffer_add(b, data + plain, text.size - plain);
    buffer_add_byte(b, '"');
}

void buffer_add_pointer_token(struct buffer *b, struct slice token)
{
    buffer_add_byte(b, '/');
    for (size_t i = 0; i < token.size; i++) {
        char c = token.data[i];
        if (c == '~' || c == '/')
            buffer_add_text(b, c == '~' ? "~0" : "~1");
        else
            buffer_add_byte(b, c);
    }
}

void buffer_drop(struct buffer *b, size_t count)
{
    CHECK(count <= b->size);
    b->size -= count;
    if (count && b->size)
        memmove(b->data, b->data + count, b->size);
}

struct slice buffer_slice(const struct buffer *b)
{
    return (struct slice){b->data, b->size};
}

const char *buffer_text(struct buffer *b)
{
    *buffer_reserve(b, 1) = '\0';
    return b->data;
}
