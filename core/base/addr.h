/* addr.h: an IP address with a port, and the one canonicaliser of addresses.
 *
 * `ip` holds 16 bytes in network order: IPv6 as it is, IPv4 as ::ffff:a.b.c.d. `family` says what it is on the wire. An addr
 * has no hidden padding and may be compared with addr_equal and hashed as bytes (ADDR_KEY_LEN bytes from `ip` on).
 */
#ifndef RELAY_BASE_ADDR_H
#define RELAY_BASE_ADDR_H

#include "base/bytes.h"

#include <sys/socket.h>

enum addr_family { ADDR_NONE = 0, ADDR_IPV4 = 4, ADDR_IPV6 = 6 };

struct addr {
    uint8_t ip[16];
    uint16_t port;   /* host order */
    uint8_t family;  /* enum addr_family */
    uint8_t zero;
};

#define ADDR_KEY_LEN sizeof(struct addr)
#define ADDR_TEXT_MAX 56 /* "[ffff:...:255.255.255.255]:65535" and its NUL fit */

/* addr_v4: from four bytes in network order.  addr_v6: from sixteen; `family` stays ADDR_IPV6 whatever they embed. */
struct addr addr_v4(const uint8_t ip[4], uint16_t port);
struct addr addr_v6(const uint8_t ip[16], uint16_t port);

/* addr_parse: numeric only, never resolves: "1.2.3.4", "1.2.3.4:5", "::1", "[::1]:5". 0 or ERR_BAD. */
int addr_parse(struct view text, struct addr *out);

/* addr_parse_ip: as addr_parse, the address alone: "1.2.3.4", "::1". The port is 0. */
int addr_parse_ip(struct view text, struct addr *out);

/* addr_is_domain: a DNS name of letters, digits and hyphens (A-labels included), RFC 1123; never resolved. */
bool addr_is_domain(struct view text);

/* addr_parse_port: decimal, 0 to 65535. 0 or ERR_BAD. */
int addr_parse_port(struct view text, uint16_t *out);

/* addr_format: "1.2.3.4:5" / "[::1]:5" into `out` of ADDR_TEXT_MAX; addr_format_ip: the address alone. Both return `out`. */
char *addr_format(const struct addr *addr, char *out);
char *addr_format_ip(const struct addr *addr, char *out);

/* addr_from_sockaddr: family ADDR_NONE if it is neither AF_INET nor AF_INET6. addr_to_sockaddr: returns the length to pass on. */
struct addr addr_from_sockaddr(const struct sockaddr_storage *in);
socklen_t addr_to_sockaddr(const struct addr *in, struct sockaddr_storage *out);

bool addr_equal(const struct addr *a, const struct addr *b);    /* family, address and port */
bool addr_equal_ip(const struct addr *a, const struct addr *b); /* family and address */
bool addr_is_any(const struct addr *addr);                      /* 0.0.0.0 or :: */

/* addr_source: whose address it is, for limits: an IPv4 address, or the /56 of an IPv6 address, which one customer gets; without a port. */
struct addr addr_source(const struct addr *addr);

/* addr_canonical: the address that a packet to `in` would reach: an IPv6 form that embeds an IPv4 address (mapped ::ffff:0:0/96,
 * compatible ::/96 except :: and ::1, NAT64 64:ff9b::/96 and 64:ff9b:1::/48 (RFC 6052, RFC 8215), 6to4 2002::/16, Teredo
 * 2001::/32 (client address, complemented)) becomes that IPv4 address, with the port kept. Everything else is returned as it is.
 * 64:ff9b:1::/48 is read as a prefix of 96 or of 48 bits; what could be both comes back as it is: a deny list names the /48 too. */
struct addr addr_canonical(const struct addr *in);

#endif
