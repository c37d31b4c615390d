#include "causeway/random.h"

#include "causeway/check.h"

#include <sys/random.h>
#include <sys/types.h>

void random_bytes(void *out, size_t size)
{
    CHECK(getrandom(out, size, 0) == (ssize_t)size);
}

uint64_t random_u64(void)
{
    uint64_t number;
    random_bytes(&number, sizeof number);
    return number;
}
