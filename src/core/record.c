#include "causeway/record.h"

struct slice record_header_find(const struct record *r, struct slice name)
{
    for (size_t i = r->header_count; i-- > 0;) {
        if (slice_equal(r->headers[i].name, name))
            return r->headers[i].value;
    }
    return (struct slice){NULL, 0};
}
