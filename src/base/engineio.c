#include "causeway/engineio.h"

bool engineio_parse(struct slice text, struct engineio_packet *out)
{
    if (text.size == 0)
        return false;
    char type = text.data[0];
    if (type == 'b')
        out->type = ENGINEIO_BINARY;
    else if (type >= '0' && type <= '6')
        out->type = (enum engineio_type)(type - '0');
    else
        return false;
    out->data = (struct slice){text.data + 1, text.size - 1};
    return true;
}

bool engineio_next(struct slice *body, struct engineio_packet *out, bool *more)
{
    const char *end = body->size ? memchr(body->data, ENGINEIO_SEPARATOR, body->size) : NULL;
    struct slice text = {body->data, end ? (size_t)(end - body->data) : body->size};
    size_t used = text.size + (end ? 1 : 0);
    body->data += used;
    body->size -= used;
    *more = end != NULL;
    return engineio_parse(text, out);
}

void engineio_separate(struct buffer *body)
{
    if (body->size > 0)
        buffer_add_byte(body, ENGINEIO_SEPARATOR);
}
