/* proxy.h: the header that a proxy puts in front of a connection to say whose it is: the PROXY protocol, versions 1 and 2.
 *
 * Version 1, a line of at most 107 bytes with its CR LF; what follows UNKNOWN does not count:
 *
 *     PROXY TCP4 192.0.2.1 198.51.100.7 56324 3478\r\n            PROXY TCP6 ...            PROXY UNKNOWN ...
 *
 * Version 2:
 *
 *      0                             12      13      14              16
 *     +-----------------------------+---+---+---+---+---------------+-----------------------------------------------+
 *     | 0d 0a 0d 0a 00 0d 0a 51 55  | 2 |cmd|fam|tra|  length of    | source, destination, their ports, as long as  |
 *     | 49 54 0a                    |   |   |   |   |  the rest     | the family says; then TLVs, which are skipped |
 *     +-----------------------------+---+---+---+---+---------------+-----------------------------------------------+
 *      cmd: 0 LOCAL (the proxy's own connection), 1 PROXY.  fam: 0 none, 1 IPv4, 2 IPv6, 3 UNIX.  tra: 0 none, 1 stream, 2 datagram.
 *
 * Pure and total: any bytes are a header, the beginning of one, or none. The specification is HAProxy's proxy-protocol.txt of 2020.
 */
#ifndef RELAY_WIRE_PROXY_H
#define RELAY_WIRE_PROXY_H

#include "base/addr.h"

#define PROXY_LINE_MAX 107    /* version 1 */
#define PROXY_HEADER_MAX 4096 /* version 2; a longer one is refused */

struct proxy_header {
    struct addr source,
        destination; /* of the client's connection to the proxy; family ADDR_NONE: not told, the connection is the proxy's own */
};

/* proxy_open: the header at the front of a stream's bytes: 0 with *header and *used; ERR_PARTIAL: read more; ERR_BAD, as soon as it can be
 * told: none. */
int proxy_open(struct proxy_header *header, struct view in, size_t *used);

#endif
