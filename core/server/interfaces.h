/* interfaces.h: the addresses of this machine that can be relayed from when no option names one. */
#ifndef RELAY_SERVER_INTERFACES_H
#define RELAY_SERVER_INTERFACES_H

#include "base/addr.h"

#include <ifaddrs.h>

#define INTERFACES_MAX 64

/* interfaces_addr: the address of one entry of getifaddrs(3), port 0; family ADDR_NONE if it is neither IPv4 nor IPv6. */
struct addr interfaces_addr(const struct ifaddrs *interface);

/* interfaces_addresses: those of `family` of interfaces that are up, without loopback and link-local ones, the one that the default route uses first.
 * `loopback`: those of loopback instead. Ports are 0. Returns how many, at most INTERFACES_MAX. */
size_t interfaces_addresses(enum addr_family family, bool loopback, struct addr out[INTERFACES_MAX]);

#endif
