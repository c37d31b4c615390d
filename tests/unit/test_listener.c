#include "unit.h"

#include "causeway/address.h"
#include "causeway/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool without_v6;

/* In place of libc's: a system may be built without IPv6. */
int socket(int family, int type, int protocol)
{
    if (without_v6 && family == AF_INET6) {
        errno = EAFNOSUPPORT;
        return -1;
    }
    return (int)syscall(SYS_socket, family, type, protocol);
}

static int accepted_fd, accepted_event;

static void on_accepted(void *owner, int fd)
{
    (void)owner;
    accepted_fd = fd;
    assert_int_equal(eventfd_write(accepted_event, 1), 0);
}

static struct listener *open_listener(const char *host, struct buffer *fault)
{
    return listener_create(&(struct listener_settings){.host = host, .ports = "0"}, on_accepted, NULL, fault);
}

static uint16_t port_of(const struct listener *l)
{
    struct buffer ports = {0};
    listener_ports(l, &ports);
    uint16_t port = (uint16_t)atoi(buffer_text(&ports));
    buffer_finish(&ports);
    return port;
}

/* Connects, and says whom the other side sees; "refused" when nobody listens. */
static const char *seen_by(const struct listener *l, const char *host)
{
    static char text[INET6_ADDRSTRLEN];
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port_of(l))};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port_of(l))};
    bool is_v4 = inet_pton(AF_INET, host, &v4.sin_addr) == 1;
    assert_true(is_v4 || inet_pton(AF_INET6, host, &v6.sin6_addr) == 1);
    int fd = (int)syscall(SYS_socket, is_v4 ? AF_INET : AF_INET6, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    if (connect(fd, is_v4 ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6, is_v4 ? sizeof v4 : sizeof v6) !=
        0) {
        close(fd);
        return "refused";
    }
    eventfd_t count;
    struct address a;
    assert_int_equal(eventfd_read(accepted_event, &count), 0);
    assert_true(address_of_peer(accepted_fd, &a));
    close(accepted_fd);
    close(fd);
    return inet_ntop(AF_INET6, a.bytes, text, sizeof text);
}

static int has_v6(void)
{
    struct sockaddr_in6 name = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
    int fd = (int)syscall(SYS_socket, AF_INET6, SOCK_STREAM, 0);
    bool fine = fd >= 0 && bind(fd, (struct sockaddr *)&name, sizeof name) == 0;
    if (fd >= 0)
        close(fd);
    return fine;
}

static void both_families_come_by_one_socket_and_an_address_is_one_in_both(void **state)
{
    (void)state;
    struct buffer fault = {0};
    struct listener *l = open_listener("::", &fault);
    assert_non_null(l);
    assert_string_equal(seen_by(l, "127.0.0.1"), "::ffff:127.0.0.1");
    if (has_v6())
        assert_string_equal(seen_by(l, "::1"), "::1");
    listener_destroy(l);
}

static void without_ipv6_all_of_ipv4_is_left(void **state)
{
    (void)state;
    struct buffer fault = {0};
    without_v6 = true;
    struct listener *l = open_listener("::", &fault);
    assert_non_null(l);
    assert_string_equal(seen_by(l, "127.0.0.1"), "::ffff:127.0.0.1");
    listener_destroy(l);
    assert_null(open_listener("::1", &fault)); /* what was asked for by name is not exchanged */
    assert_non_null(strstr(buffer_text(&fault), "cannot listen on ::1"));
    buffer_finish(&fault);
    without_v6 = false;
}

static void one_address_is_listened_on_alone(void **state)
{
    (void)state;
    struct buffer fault = {0};
    struct listener *l = open_listener("0.0.0.0", &fault);
    assert_non_null(l);
    assert_string_equal(seen_by(l, "127.0.0.1"), "::ffff:127.0.0.1");
    if (has_v6())
        assert_string_equal(seen_by(l, "::1"), "refused");
    listener_destroy(l);
    assert_null(open_listener("localhost", &fault));
    assert_string_equal(buffer_text(&fault), "HOST: \"localhost\" is no IP address");
    buffer_finish(&fault);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_families_come_by_one_socket_and_an_address_is_one_in_both),
        cmocka_unit_test(without_ipv6_all_of_ipv4_is_left),
        cmocka_unit_test(one_address_is_listened_on_alone),
    };
    accepted_event = eventfd(0, EFD_CLOEXEC);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
