/* build.h: write a STUN message into a slab: begin, attributes, end.
 *
 * Padding is always zero (CVE-2020-4067). The length field is right after every put, as MESSAGE-INTEGRITY and FINGERPRINT need it.
 * An overflow sticks to the slab; build_end answers it once.
 */
#ifndef RELAY_WIRE_BUILD_H
#define RELAY_WIRE_BUILD_H

#include "base/addr.h"
#include "base/crypto.h"
#include "wire/stun.h"

struct build {
    struct slab out;
};

/* build_begin: a header at the start of `out` (out.len is 0). */
void build_begin(struct build *, struct slab out, uint16_t method, enum stun_class class, const uint8_t tid[STUN_TID_LEN]);

/* build_begin_classic: an answer to an RFC 3489 request: `id` is its whole transaction id of 16 bytes, where others have a cookie. */
void build_begin_classic(struct build *, struct slab out, uint16_t method, enum stun_class class, const uint8_t id[4 + STUN_TID_LEN]);

void build_attr(struct build *, uint16_t type, struct view value);
void build_attr_text(struct build *, uint16_t type, const char *text);
void build_attr_u32(struct build *, uint16_t type, uint32_t value);
void build_attr_u64(struct build *, uint16_t type, uint64_t value);
void build_xor_addr(struct build *, uint16_t type, const struct addr *addr);
void build_addr(struct build *, uint16_t type, const struct addr *addr); /* not XORed: MAPPED-ADDRESS, ALTERNATE-SERVER */
void build_error(struct build *, int code, const char *reason);          /* ERROR-CODE; `reason` may be "" */
void build_address_error(struct build *, uint8_t family, int code);     /* ADDRESS-ERROR-CODE of an enum addr_family, with the code's own phrase */
void build_unknown(struct build *, const uint16_t *types, size_t count); /* UNKNOWN-ATTRIBUTES */
void build_padding(struct build *, size_t len); /* PADDING, RFC 5780 section 7.6: zeroes */
void build_icmp(struct build *, uint8_t type, uint8_t code, uint32_t data); /* ICMP, RFC 8656 section 18.13 */

/* build_integrity: MESSAGE-INTEGRITY (HMAC-SHA1) under `key`, RFC 8489 section 14.5: 0, or ERR_SYSTEM, and then build_end is empty. build_fingerprint: must be last, section 14.7. */
int build_integrity(struct build *, struct crypto *, struct view key);
int build_integrity_sha256(struct build *, struct crypto *, struct view key); /* MESSAGE-INTEGRITY-SHA256, not cut, section 14.6 */
void build_fingerprint(struct build *);

/* build_end: the finished message, empty if it did not fit. */
struct view build_end(struct build *);

/* build_data_header: in front of a payload of `payload` bytes that lies at `payload_at` with BUILD_DATA_HEADROOM bytes before it and 3 behind it
 * that may be overwritten: a Data indication (RFC 8656 section 11.6) with XOR-PEER-ADDRESS and DATA, no copy. Returns the whole message;
 * empty if the payload is too long for one (a datagram of 65,505 bytes and more from an IPv6 peer). */
#define BUILD_DATA_HEADROOM 48
struct view build_data_around(uint8_t *payload_at, size_t payload, const struct addr *peer, const uint8_t tid[STUN_TID_LEN]);

#endif
