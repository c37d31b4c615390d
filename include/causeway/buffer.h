/* A growing run of bytes. The owner of the struct owns the memory: buffer_finish frees it.
   A zeroed struct is an empty buffer. Not thread-safe. */
#pragma once

#include "causeway/check.h"
#include "causeway/slice.h"

struct buffer {
    char *data;
    size_t size;
    size_t capacity;
};

void buffer_finish(struct buffer *b);
void buffer_clear(struct buffer *b);                  /* keeps the memory */
char *buffer_reserve(struct buffer *b, size_t extra); /* room for `extra` more bytes; returns the end */
void buffer_add(struct buffer *b, const void *data, size_t size);
void buffer_add_slice(struct buffer *b, struct slice s);
void buffer_add_text(struct buffer *b, const char *text);
void buffer_add_byte(struct buffer *b, char byte);
void buffer_print(struct buffer *b, const char *format, ...) PRINTF_LIKE(2, 3);
void buffer_add_json_text(struct buffer *b, struct slice text);      /* escaped and quoted; text is UTF-8 */
void buffer_add_pointer_token(struct buffer *b, struct slice token); /* one step of a JSON pointer: "/a~1b" */
void buffer_drop(struct buffer *b, size_t count);                    /* removes the first `count` bytes */
struct slice buffer_slice(const struct buffer *b);
const char *buffer_text(struct buffer *b); /* NUL-terminated view */
