/* Small allocations that cannot fail: out of memory ends the process, with a message.
   What the network decides the size of is limited before it comes here. Free with free(). */
#pragma once

#include <stddef.h>

void *xmalloc(size_t size);
void *xcalloc(size_t count, size_t size);
void *xrealloc(void *memory, size_t size);
char *xstrdup(const char *text);

/* A NUL-terminated copy of `size` bytes. */
char *xstrndup(const char *data, size_t size);
