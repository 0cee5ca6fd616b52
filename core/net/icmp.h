/* icmp.h: what networks say of datagrams that were sent from ports without a socket: ICMP and ICMPv6, whole, by raw sockets.
 *
 *     +-----------------------+------+------+----------+------+-----------------------------------+
 *     | IPv4 (of IPv6 nothing)| type | code | checksum | data | the datagram: IP, UDP, maybe more |       RFC 792, RFC 4443
 *     +-----------------------+------+------+----------+------+-----------------------------------+
 *
 * Each such socket gets a copy of whatever comes to this machine, of the kinds that RFC 8656 section 11.5 names, about datagrams from some ports.
 */
#ifndef RELAY_NET_ICMP_H
#define RELAY_NET_ICMP_H

#include "turn/engine.h"

/* icmp_socket: about datagrams of UDP from the ports first..last; takes CAP_NET_RAW. The socket, or ERR_SYSTEM. */
int icmp_socket(uint8_t family, uint16_t first, uint16_t last);

/* struct icmp_error: which datagram, and what is said of it. */
struct icmp_error {
    struct addr from; /* of ours, maybe; error.peer is whom it was for */
    struct peer_error error;
};

/* icmp_receive: the next one: 0; ERR_NOT_FOUND: none waits; ERR_BAD: it was of no datagram of UDP, or broken. */
int icmp_receive(int fd, uint8_t family, struct icmp_error *);

#endif
