/* libFuzzer: whatever the bytes, a request head is refused with a status, is not whole, or gives views into
   its own bytes that a query, a list and X-Forwarded-For can be read from; one more byte behind it changes
   nothing. */
#include "causeway/address.h"
#include "causeway/handshake.h"
#include "causeway/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_within(struct slice s, struct slice head)
{
    CHECK(s.size == 0 || (s.data >= head.data && s.data + s.size <= head.data + head.size));
}

static void check_query(const struct http_head *h)
{
    static const char *const names[] = {"", "token", "sid", "cursor", "EIO"};
    struct buffer value = {0};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (http_query_find(h->query, names[i], &value))
            CHECK(value.size <= h->query.size);
    buffer_finish(&value);
}

static void check_forwarded(struct slice value)
{
    struct address a;
    CHECK(address_parse(SLICE("10.0.0.1"), &a));
    struct address before = a;
    if (address_forwarded(value, "10.0.0.0/8", &a) && memchr(value.data, '.', value.size))
        CHECK(memcmp(&a, &before, sizeof a) != 0 || memmem(value.data, value.size, "10.", 3) ||
              memchr(value.data, ':', value.size));
    if (address_parse(value, &a))
        (void)address_place(&a);
}

static void check_fields(const struct http_head *h, struct slice head)
{
    CHECK(h->field_count <= HTTP_HEADERS_MAX);
    for (size_t i = 0; i < h->field_count; i++) {
        check_within(h->fields[i].name, head);
        check_within(h->fields[i].value, head);
        CHECK(h->fields[i].name.size > 0 && !memchr(h->fields[i].value.data, '\n', h->fields[i].value.size));
        if (h->fields[i].value.size > 0)
            check_forwarded(h->fields[i].value);
    }
    int64_t body = http_body_size(h);
    CHECK(body >= 0 || body == -400 || body == -411);
    (void)http_field_has(h, "Connection", "upgrade");
    (void)handshake_check(h);
    (void)handshake_origin_allowed("https://a.example, https://b.example/", http_field_find(h, "Origin"));
}

static void check_request(const char *data, size_t size)
{
    struct http_head h, again;
    int used = http_parse_request(data, size, &h);
    CHECK(used <= (int)size && used > -600);
    if (used <= 0)
        return;
    struct slice head = {data, (size_t)used};
    check_within(h.method, head);
    check_within(h.path, head);
    check_within(h.query, head);
    CHECK(h.path.size > 0 && h.path.data[0] == '/');
    check_query(&h);
    check_fields(&h, head);
    CHECK(http_parse_request(data, (size_t)used, &again) == used && again.field_count == h.field_count);
    CHECK(http_parse_request(data, (size_t)used - 1, &again) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http_head h;
    check_request((const char *)data, size);
    int used = http_parse_response((const char *)data, size, &h);
    CHECK(used <= (int)size);
    if (used > 0)
        check_fields(&h, (struct slice){(const char *)data, (size_t)used});
    return 0;
}
