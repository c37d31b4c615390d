/* Numbers that nobody can guess. Any thread; waits until the kernel's pool is ready. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* At most 256 bytes: so many are never cut short by a signal. */
void random_bytes(void *out, size_t size);
uint64_t random_u64(void);
