#include "causeway/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

static const unsigned char v4_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static bool is_v4(const struct address *a)
{
    return memcmp(a->bytes, v4_prefix, sizeof v4_prefix) == 0;
}

static void set_v4(struct address *a, const void *bytes)
{
    memcpy(a->bytes, v4_prefix, sizeof v4_prefix);
    memcpy(a->bytes + sizeof v4_prefix, bytes, 4);
}

static struct slice trim(struct slice s)
{
    for (; s.size > 0 && (s.data[0] == ' ' || s.data[0] == '\t'); s.data++)
        s.size--;
    while (s.size > 0 && (s.data[s.size - 1] == ' ' || s.data[s.size - 1] == '\t'))
        s.size--;
    return s;
}

static bool is_port(struct slice s)
{
    for (size_t i = 0; i < s.size; i++)
        if (s.data[i] < '0' || s.data[i] > '9')
            return false;
    return s.size > 0 && s.size <= 5;
}

/* Takes brackets and a port off. */
static bool take_host(struct slice *s)
{
    const char *close = s->size > 0 && s->data[0] == '[' ? memchr(s->data, ']', s->size) : NULL;
    struct slice behind = {NULL, 0};
    if (close) {
        behind = (struct slice){close + 1, (size_t)(s->data + s->size - close) - 1};
        *s = (struct slice){s->data + 1, (size_t)(close - s->data) - 1};
    } else {
        const char *colon = s->size ? memchr(s->data, ':', s->size) : NULL;
        size_t left = colon ? (size_t)(s->data + s->size - colon) : 0;
        if (colon && !memchr(colon + 1, ':', left - 1)) {
            behind = (struct slice){colon, left};
            s->size -= left;
        }
    }
    return behind.size == 0 ||
           (behind.data[0] == ':' && is_port((struct slice){behind.data + 1, behind.size - 1}));
}

bool address_parse(struct slice text, struct address *out)
{
    char host[INET6_ADDRSTRLEN];
    unsigned char v4[4];
    if (!take_host(&text) || text.size == 0 || text.size >= sizeof host || memchr(text.data, '\0', text.size))
        return false;
    memcpy(host, text.data, text.size);
    host[text.size] = '\0';
    if (inet_pton(AF_INET, host, v4) == 1)
        set_v4(out, v4);
    else if (inet_pton(AF_INET6, host, out->bytes) != 1)
        return false;
    return true;
}

bool address_of_peer(int fd, struct address *out)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } name = {.any = {0}};
    socklen_t size = sizeof name;
    if (getpeername(fd, &name.any, &size) != 0)
        return false;
    if (name.any.sa_family == AF_INET)
        set_v4(out, &name.v4.sin_addr);
    else if (name.any.sa_family == AF_INET6)
        memcpy(out->bytes, &name.v6.sin6_addr, sizeof out->bytes);
    else
        return false;
    return true;
}

bool address_is_loopback(const struct address *a)
{
    static const unsigned char v6_loopback[ADDRESS_SIZE] = {[15] = 1};
    return is_v4(a) ? a->bytes[12] == 127 : memcmp(a->bytes, v6_loopback, ADDRESS_SIZE) == 0;
}

struct slice address_place(const struct address *a)
{
    const char *bytes = (const char *)a->bytes;
    if (address_is_loopback(a))
        return (struct slice){NULL, 0};
    return (struct slice){bytes, is_v4(a) ? ADDRESS_SIZE : 8};
}

/* --- lists --- */

static struct slice next_item(const char **list)
{
    size_t size = strcspn(*list, ",");
    struct slice item = trim((struct slice){*list, size});
    *list += size + ((*list)[size] == ',');
    return item;
}

/* An address, or a network in CIDR notation; *bits is how many of the 128 count. */
static bool parse_network(struct slice text, struct address *a, unsigned *bits)
{
    const char *slash = text.size ? memchr(text.data, '/', text.size) : NULL;
    struct slice host = {text.data, slash ? (size_t)(slash - text.data) : text.size};
    if (memchr(host.data, '[', host.size) || !address_parse(host, a))
        return false;
    unsigned most = is_v4(a) ? 32 : 128, value = most;
    if (slash) {
        struct slice digits = {slash + 1, text.size - host.size - 1};
        if (!is_port(digits) || digits.size > 3)
            return false;
        value = 0;
        for (size_t i = 0; i < digits.size; i++)
            value = value * 10 + (unsigned)(digits.data[i] - '0');
    }
    *bits = 128 - most + value;
    return value <= most;
}

static bool share_bits(const struct address *a, const struct address *b, unsigned bits)
{
    unsigned bytes = bits / 8, rest = bits % 8;
    if (memcmp(a->bytes, b->bytes, bytes) != 0)
        return false;
    return rest == 0 || ((a->bytes[bytes] ^ b->bytes[bytes]) >> (8 - rest)) == 0;
}

bool address_is_listed(const struct address *a, const char *list)
{
    while (*list) {
        struct address network;
        unsigned bits;
        if (parse_network(next_item(&list), &network, &bits) && share_bits(a, &network, bits))
            return true;
    }
    return false;
}

struct slice address_list_fault(const char *list)
{
    while (*list) {
        struct address network;
        unsigned bits;
        struct slice item = next_item(&list);
        if (item.size > 0 && !parse_network(item, &network, &bits))
            return item;
    }
    return (struct slice){NULL, 0};
}

bool address_forwarded(struct slice value, const char *trusted, struct address *a)
{
    while (value.size > 0) {
        const char *comma = memrchr(value.data, ',', value.size);
        size_t before = comma ? (size_t)(comma - value.data) : 0, from = comma ? before + 1 : 0;
        struct address next;
        if (!address_is_listed(a, trusted) ||
            !address_parse(trim((struct slice){value.data + from, value.size - from}), &next))
            return false;
        *a = next;
        value.size = before;
    }
    return true;
}
