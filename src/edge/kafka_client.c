#include "kafka_internal.h"

#include "causeway/check.h"
#include "causeway/memory.h"

#include <signal.h>

void kafka_thread_start(pthread_t *thread, void *(*run)(void *), void *argument, const char *name)
{
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    CHECK(pthread_create(thread, NULL, run, argument) == 0);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_setname_np(*thread, name);
}

void kafka_conf_force(rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char text[256];
    CHECK(rd_kafka_conf_set(conf, name, value, text, sizeof text) == RD_KAFKA_CONF_OK);
}

bool kafka_unanswered(rd_kafka_resp_err_t error)
{
    return error == RD_KAFKA_RESP_ERR__TIMED_OUT || error == RD_KAFKA_RESP_ERR__TRANSPORT;
}

static rd_kafka_resp_err_t ask_end(rd_kafka_t *client, const rd_kafka_topic_partition_list_t *parts,
    int64_t end, int wait_ms, struct kafka_ends *out)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_copy(parts);
    for (int i = 0; i < list->cnt; i++)
        list->elems[i].offset = end;
    rd_kafka_resp_err_t error = rd_kafka_offsets_for_times(client, list, wait_ms);
    for (int i = 0; i < list->cnt && !error; i++) {
        const rd_kafka_topic_partition_t *p = &list->elems[i];
        int64_t *offset = end == RD_KAFKA_OFFSET_BEGINNING ? &out[i].low : &out[i].high;
        *offset = p->err || p->offset < 0 ? -1 : p->offset;
    }
    rd_kafka_topic_partition_list_destroy(list);
    return error;
}

rd_kafka_resp_err_t kafka_ends_ask(
    rd_kafka_t *client, const rd_kafka_topic_partition_list_t *parts, int wait_ms, struct kafka_ends *out)
{
    for (int i = 0; i < parts->cnt; i++)
        out[i] = (struct kafka_ends){-1, -1};
    if (parts->cnt == 0)
        return RD_KAFKA_RESP_ERR_NO_ERROR;
    /* the upper end first: the lower one moves up only, so that what is found between them was there */
    rd_kafka_resp_err_t error = ask_end(client, parts, RD_KAFKA_OFFSET_END, wait_ms, out);
    return error ? error : ask_end(client, parts, RD_KAFKA_OFFSET_BEGINNING, wait_ms, out);
}

int64_t kafka_message_time(const rd_kafka_message_t *m)
{
    rd_kafka_timestamp_type_t kind;
    int64_t time_ms = rd_kafka_message_timestamp(m, &kind);
    return kind == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE || time_ms < 0 ? 0 : time_ms;
}

struct anchor kafka_message_anchor(const rd_kafka_message_t *m)
{
    uint32_t hash =
        anchor_hash((struct slice){m->key, m->key_len}, (struct slice){(const char *)m->payload, m->len});
    return (struct anchor){m->offset, kafka_message_time(m), hash};
}

static void fill_headers(struct record *r, const rd_kafka_message_t *m)
{
    rd_kafka_headers_t *headers;
    r->header_count = 0;
    if (rd_kafka_message_headers(m, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return;
    const char *name;
    const void *value;
    size_t size;
    while (r->header_count < RECORD_HEADERS_MAX && rd_kafka_header_get_all(headers, r->header_count, &name,
                                                       &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR)
        r->headers[r->header_count++] = (struct record_header){slice_of(name), {value, size}};
}

void kafka_message_record(const rd_kafka_message_t *m, struct slice topic, struct record *out)
{
    out->topic = topic;
    out->partition = m->partition;
    out->offset = m->offset;
    out->time_ms = kafka_message_time(m);
    out->key = (struct slice){m->key, m->key_len};
    out->value = (struct slice){m->payload, m->len};
    fill_headers(out, m);
}
