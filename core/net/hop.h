/* hop.h: by which device, and to whom on its link, a datagram leaves that no part of the system looks at on its way: asked by rtnetlink, and good for a second.
 *
 * Only for what goes to a neighbour over Ethernet, itself or a router, whose address the system knows and has verified, and for what goes to this machine itself, if
 * it takes such things from a device (IPv6 does; IPv4 with accept_local, ip-sysctl.rst). All else, and what has not been asked yet,
 * is to be sent by the system; so is one datagram to each address in each second, which keeps the neighbour known. At most HOP_ASKS questions
 * a second: with more peers than that some are sent by the system always.
 */
#ifndef RELAY_NET_HOP_H
#define RELAY_NET_HOP_H

#include "base/addr.h"
#include "base/clock.h"
#include "base/table.h"

#define HOP_ASKS 1000

struct hop {
    uint32_t device; /* its index; 0: none */
    uint32_t mtu;
    uint8_t own[6], next[6];
    bool is_own; /* to this machine, by loopback, whose addresses are 0 */
};

struct hop_cache;

/* hop_cache_new: NULL without memory or a descriptor. */
struct hop_cache *hop_cache_new(const struct hash_key *);
void hop_cache_free(struct hop_cache *);

/* hop_find: to `to` from the address `from`; false: by the system. */
bool hop_find(struct hop_cache *, const struct addr *from, const struct addr *to, msec_t now, struct hop *);

#endif
