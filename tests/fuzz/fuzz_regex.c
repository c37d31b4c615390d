/* libFuzzer: the first line is a pattern, the rest a text. Whatever they are, the compiler refuses the
   pattern with a reason, or the search decides: twice the same, and (?:pattern) as the pattern. */
#include "causeway/buffer.h"
#include "causeway/regex.h"
#include "causeway/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct regex_scratch scratch;
    const uint8_t *end = size > 0 ? memchr(data, '\n', size) : NULL;
    if (!end || !utf8_valid((const char *)data, size))
        return 0;
    struct slice pattern = {(const char *)data, (size_t)(end - data)},
                 text = {(const char *)end + 1, size - pattern.size - 1};
    enum regex_verdict verdict;
    const char *fault;
    struct regex *r = regex_compile(pattern, &verdict, &fault);
    CHECK((r != NULL) == (verdict == REGEX_GOOD) && (r != NULL) == (fault == NULL));
    if (!r)
        return 0;
    bool found = regex_search(r, text, &scratch);
    CHECK(regex_search(r, text, &scratch) == found);
    regex_destroy(r);
    struct buffer group = {0};
    buffer_add_text(&group, "(?:");
    buffer_add_slice(&group, pattern);
    buffer_add_text(&group, ")");
    r = regex_compile(buffer_slice(&group), &verdict, &fault);
    CHECK((r && regex_search(r, text, &scratch) == found) ||
          verdict == REGEX_UNSUPPORTED); /* one level too deep */
    regex_destroy(r);
    buffer_finish(&group);
    return 0;
}
