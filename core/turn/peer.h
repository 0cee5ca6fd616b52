/* peer.h: which peers may be relayed to and from, and by which address they are reached: the one filter for permissions, channels and data.
 *
 * Denied unless said otherwise: every address of the IANA special-purpose registries for IPv4 and IPv6, multicast, broadcast, all of IPv6
 * that is not global unicast, and every IPv6 form that embeds an IPv4 address (mapped, compatible, NAT64, 6to4, Teredo: RFC 8656
 * section 21.1, RFC 6156 section 9.1). A hole in that denial opens the address as it was named; an embedded IPv4 address must pass as well.
 * denied_peers wins over every hole.
 *
 * Hairpin: an address of our own relays, in its local or its shown form, is allowed, but data goes only to, and comes only from, a port
 * that some allocation holds at that moment; on loopback allow_loopback_peers must open it too. Permissions and channels know such a peer
 * by its shown form, sockets by its local form. Data never goes to an own listener.
 *
 * Groups (ledger/ports.h): data goes only to, and comes only from, ports that an allocation of the same group holds at that moment.
 * Everything else is outside, with the allocations that have no group: who has one is permitted the addresses of our own relays, loopback
 * too, and no hole opens more; only denied_peers closes them.
 */
#ifndef RELAY_TURN_PEER_H
#define RELAY_TURN_PEER_H

#include "base/cidr.h"
#include "ledger/ports.h"

struct engine_config;

struct peer_filter {
    const struct engine_config *config;
    const struct ports *ports;
    struct cidr_set special_v4, special_v6;
};

/* peer_filter_init: 0 or ERR_MEMORY. */
int peer_filter_init(struct peer_filter *, const struct engine_config *, const struct ports *);
void peer_filter_close(struct peer_filter *);

/* peer_name: the form of a peer's address that permissions and channels are kept under. */
struct addr peer_name(const struct peer_filter *, const struct addr *as_sent);

/* peer_is_allowed: whether an allocation of `group` may be given a permission for the address; the port does not matter. */
bool peer_is_allowed(const struct peer_filter *, const struct addr *peer, uint64_t group);

/* peer_is_tunnelled: an address of Teredo or 6to4, behind which nobody can be served without a loop being possible (RFC 8656 section 21.4).
 */
bool peer_is_tunnelled(const struct peer_filter *, const struct addr *addr);

/* peer_is_never: port 0 or an own listener: no channel is bound to it. */
bool peer_is_never(const struct peer_filter *, const struct addr *peer);

/* peer_kind: of one that is not allowed: "private", "in denied-peer-ip"; lives as long as the process. Slow. */
const char *peer_kind(const struct peer_filter *, const struct addr *peer);

/* struct destination: where a packet goes, family ADDR_NONE: nowhere; and who holds that address, if it is one of our own relays' (generation
 * 0: it is outside). */
struct destination {
    struct addr to;
    struct holder holder;
};

/* peer_destination: of what an allocation of `group` means for `peer` (a name). For every packet. */
struct destination peer_destination(const struct peer_filter *, const struct addr *peer, uint64_t group);

/* peer_source: the name of the peer that a packet from `from` to an allocation of `group` comes from, family ADDR_NONE: of nobody who may
 * be one. For every packet. */
struct addr peer_source(const struct peer_filter *, const struct addr *from, uint64_t group);

#endif
