/* libFuzzer: whatever the body of a POST, its packets are views into it, and each Socket.IO packet is refused
   with a reason or is one whose head, written again, is read to the same. */
#include "causeway/base64.h"
#include "causeway/engineio.h"
#include "causeway/socketio.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_again(const struct socketio_packet *p)
{
    struct buffer again = {0};
    struct socketio_packet q;
    struct engineio_packet message;
    socketio_begin(&again, p->type, p->attachments, p->namespace, p->id);
    buffer_add_slice(&again, p->json);
    CHECK(engineio_parse(buffer_slice(&again), &message) && message.type == ENGINEIO_MESSAGE);
    CHECK(!socketio_parse(message.data, &q));
    CHECK(q.type == p->type && q.attachments == p->attachments && slice_equal(q.id, p->id));
    CHECK(slice_equal(q.namespace, p->namespace) && slice_equal(q.json, p->json));
    buffer_finish(&again);
}

static void check_packet(struct slice text)
{
    static struct json j;
    struct socketio_packet p;
    const char *fault = socketio_parse(text, &p);
    if (fault) {
        CHECK(fault[0]);
        return;
    }
    CHECK(p.attachments <= SOCKETIO_ATTACHMENTS_MAX && p.id.size <= SOCKETIO_ID_MAX);
    CHECK(p.namespace.size > 0 && p.namespace.data[0] == '/' && p.namespace.size <= SOCKETIO_NAMESPACE_MAX);
    if (p.json.size > 0 && !json_scan(&j, p.json.data, p.json.size))
        return;
    if (socketio_check(&p, &j))
        return;
    check_again(&p);
    if (p.attachments > 0)
        (void)socketio_placeholders_fit(&j, p.attachments);
    if (p.type == SOCKETIO_EVENT || p.type == SOCKETIO_BINARY_EVENT)
        CHECK(json_type(&j, 0) == JSON_ARRAY && json_first(&j, 0) != JSON_NONE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice body = {(const char *)data, size};
    struct engineio_packet p;
    struct buffer bytes = {0};
    bool more = true;
    while (more && engineio_next(&body, &p, &more)) {
        CHECK(p.data.size == 0 ||
              (p.data.data >= (const char *)data && p.data.data + p.data.size <= (const char *)data + size));
        if (p.type == ENGINEIO_MESSAGE)
            check_packet(p.data);
        else if (p.type == ENGINEIO_BINARY && base64_decode(&bytes, p.data))
            CHECK(bytes.size <= p.data.size);
        buffer_clear(&bytes);
    }
    buffer_finish(&bytes);
    if (engineio_parse((struct slice){(const char *)data, size}, &p) && p.type == ENGINEIO_MESSAGE)
        check_packet(p.data);
    return 0;
}
