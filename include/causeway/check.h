/* Programmer errors: CHECK is always on, in release builds too, and ends the process with a place. */
#pragma once

#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(string, first) __attribute__((__format__(__printf__, string, first)))

#define CHECK(condition)                                                                                     \
    do {                                                                                                     \
        if (!(condition))                                                                                    \
            check_failed(#condition, __FILE__, __LINE__);                                                    \
    } while (0)

_Noreturn void check_failed(const char *condition, const char *file, int line);
