#include "unit.h"

#include "causeway/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

static const char *shown(const struct address *a)
{
    static char text[INET6_ADDRSTRLEN];
    return inet_ntop(AF_INET6, a->bytes, text, sizeof text);
}

static void assert_parsed(const char *text, const char *expected)
{
    struct address a;
    bool fine = address_parse(slice_of(text), &a);
    assert_string_equal(fine ? shown(&a) : "none", expected);
}

static void addresses_are_read_with_and_without_ports(void **state)
{
    (void)state;
    assert_parsed("203.0.113.7", "::ffff:203.0.113.7");
    assert_parsed("203.0.113.7:4711", "::ffff:203.0.113.7");
    assert_parsed("::ffff:203.0.113.7", "::ffff:203.0.113.7");
    assert_parsed("2001:db8::1", "2001:db8::1");
    assert_parsed("[2001:db8::1]", "2001:db8::1");
    assert_parsed("[2001:db8::1]:443", "2001:db8::1");
    const char *none[] = {"", "unknown", "_hidden", "203.0.113", "203.0.113.7.", "203.0.113.256",
        "203.0.113.7:", "203.0.113.7:x", "203.0.113.7:123456", "[2001:db8::1", "[2001:db8::1]x", "[]", ":80",
        "2001:db8::1::", "fe80::1%eth0", "0x7f.0.0.1", " 203.0.113.7",
        "1111111111111111111111111111111111111111111111111111"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        assert_parsed(none[i], "none");
    struct address a;
    assert_false(address_parse(SLICE("203.0.113.7\0x"), &a));
}

static void a_place_is_an_address_or_a_network_of_64_bits(void **state)
{
    (void)state;
    struct address a, b;
    assert_true(address_parse(SLICE("2001:db8::1"), &a) && address_parse(SLICE("2001:db8::2:1"), &b));
    assert_true(slice_equal(address_place(&a), address_place(&b)));
    assert_true(address_parse(SLICE("2001:db8:0:1::1"), &b));
    assert_false(slice_equal(address_place(&a), address_place(&b)));
    assert_true(address_parse(SLICE("203.0.113.7"), &a) && address_parse(SLICE("203.0.113.8"), &b));
    assert_false(slice_equal(address_place(&a), address_place(&b)));
    const char *here[] = {"127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"};
    for (size_t i = 0; i < sizeof here / sizeof *here; i++) {
        assert_true(address_parse(slice_of(here[i]), &a) && address_is_loopback(&a));
        assert_int_equal(address_place(&a).size, 0);
    }
}

static bool listed(const char *text, const char *list)
{
    struct address a;
    assert_true(address_parse(slice_of(text), &a));
    return address_is_listed(&a, list);
}

static void lists_have_addresses_and_networks(void **state)
{
    (void)state;
    assert_false(listed("10.0.0.1", ""));
    assert_true(listed("10.0.0.1", "10.0.0.1"));
    assert_true(listed("10.200.3.1", "192.168.0.1, 10.0.0.0/8"));
    assert_false(listed("11.0.0.1", "192.168.0.1, 10.0.0.0/8"));
    assert_true(listed("172.31.255.255", "172.16.0.0/12"));
    assert_false(listed("172.32.0.0", "172.16.0.0/12"));
    assert_true(listed("203.0.113.7", "0.0.0.0/0"));
    assert_false(listed("2001:db8::1", "0.0.0.0/0"));
    assert_true(listed("2001:db8::1", "2001:db8::/32"));
    assert_false(listed("2001:db9::1", "2001:db8::/32"));
    assert_true(listed("::1", "::1"));
    assert_int_equal(address_list_fault("10.0.0.0/8,::1, 2001:db8::/33,").size, 0);
    const char *bad[] = {
        "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/x", "proxy.example", "2001:db8::/129", "[::1]"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_true(slice_is(address_list_fault(bad[i]), bad[i]));
    assert_true(slice_is(address_list_fault("::1, nonsense ,10.0.0.1"), "nonsense"));
}

static void assert_forwarded(const char *value, bool more, const char *expected)
{
    struct address a;
    assert_true(address_parse(SLICE("10.0.0.1"), &a));
    assert_int_equal(address_forwarded(slice_of(value), "10.0.0.0/8", &a), more);
    assert_string_equal(shown(&a), expected);
}

/* Only what a trusted proxy has added is believed: whatever stands before it, the client may have written. */
static void forwarded_addresses_are_believed_from_the_end(void **state)
{
    (void)state;
    assert_forwarded("203.0.113.7", true, "::ffff:203.0.113.7");
    assert_forwarded("1.1.1.1, 203.0.113.7", false, "::ffff:203.0.113.7");
    assert_forwarded("1.1.1.1,203.0.113.7 , 10.0.0.2", false, "::ffff:203.0.113.7");
    assert_forwarded("10.0.0.3", true, "::ffff:10.0.0.3");
    assert_forwarded("", true, "::ffff:10.0.0.1");
    assert_forwarded("unknown", false, "::ffff:10.0.0.1");
    assert_forwarded("203.0.113.7, ", false, "::ffff:10.0.0.1");
    assert_forwarded("203.0.113.7, <script>", false, "::ffff:10.0.0.1");
    assert_forwarded("[2001:db8::9]:5000", true, "2001:db8::9");
    struct address stranger;
    assert_true(address_parse(SLICE("198.51.100.1"), &stranger));
    assert_false(address_forwarded(SLICE("203.0.113.7"), "10.0.0.0/8", &stranger));
    assert_string_equal(shown(&stranger), "::ffff:198.51.100.1");
}

static void a_socket_says_who_is_at_the_other_end(void **state)
{
    (void)state;
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof name;
    int door = socket(AF_INET, SOCK_STREAM, 0), guest = socket(AF_INET, SOCK_STREAM, 0), pair[2];
    assert_int_equal(bind(door, (struct sockaddr *)&name, size), 0);
    assert_int_equal(listen(door, 1), 0);
    assert_int_equal(getsockname(door, (struct sockaddr *)&name, &size), 0);
    assert_int_equal(connect(guest, (struct sockaddr *)&name, size), 0);
    struct address a;
    assert_true(address_of_peer(guest, &a));
    assert_string_equal(shown(&a), "::ffff:127.0.0.1");
    assert_false(address_of_peer(door, &a));
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    assert_false(address_of_peer(pair[0], &a));
    for (size_t i = 0; i < 4; i++)
        close((int[]){door, guest, pair[0], pair[1]}[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_read_with_and_without_ports),
        cmocka_unit_test(a_place_is_an_address_or_a_network_of_64_bits),
        cmocka_unit_test(lists_have_addresses_and_networks),
        cmocka_unit_test(forwarded_addresses_are_believed_from_the_end),
        cmocka_unit_test(a_socket_says_who_is_at_the_other_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
