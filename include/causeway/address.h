/* IP addresses: of sockets, in texts, in lists of networks. IPv4 ones are kept as IPv6 has them
   (::ffff:1.2.3.4), so that one and the same address is always the same bytes. */
#pragma once

#include "causeway/slice.h"

enum { ADDRESS_SIZE = 16 };

struct address {
    unsigned char bytes[ADDRESS_SIZE];
};

/* "1.2.3.4", "::1"; with a port as proxies write it: "1.2.3.4:80", "[::1]:80". false: it is none. */
bool address_parse(struct slice text, struct address *out);
/* Of the other end of a TCP connection. false: it has none any more. */
bool address_of_peer(int fd, struct address *out);
bool address_is_loopback(const struct address *a);

/* What counts as one place: the IPv4 address, or the first 64 bits of an IPv6 one, since whoever has one of
   these has them all. Empty for a loopback address: whatever comes from this machine, a proxy included. */
struct slice address_place(const struct address *a);

/* Is it in this comma list of addresses and networks ("10.0.0.0/8, ::1")? */
bool address_is_listed(const struct address *a, const char *list);
/* The first item that is neither address nor network, or an empty slice. */
struct slice address_list_fault(const char *list);

/* Follows one X-Forwarded-For value from its end, past addresses that are listed. *a: whose word it is, then
   the last one that can be believed. false: that is final, whatever earlier fields say. */
bool address_forwarded(struct slice value, const char *trusted, struct address *a);
