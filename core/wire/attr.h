/* attr.h: the values of attributes as numbers and addresses: each getter returns 0, ERR_NOT_FOUND if the attribute is absent, ERR_BAD if its value is malformed.
 *
 *     XOR-MAPPED-ADDRESS and its kin, RFC 8489 section 14.2:
 *     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *     |0 0 0 0 0 0 0 0|    Family     |         X-Port                |
 *     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *     |                X-Address (32 or 128 bits)                     |
 */
#ifndef RELAY_WIRE_ATTR_H
#define RELAY_WIRE_ATTR_H

#include "base/addr.h"
#include "wire/message.h"

int attr_u32(const struct message *, enum attr_slot slot, uint32_t *out); /* LIFETIME, CONNECTION-ID: exactly 4 bytes */
int attr_u64(const struct message *, enum attr_slot slot, uint64_t *out); /* RESERVATION-TOKEN: exactly 8 bytes */

int attr_port(const struct message *, enum attr_slot slot, uint16_t *out); /* RESPONSE-PORT, RFC 5780 section 7.5: 16 bits, and as many of padding */

/* attr_first_byte: REQUESTED-TRANSPORT, REQUESTED-ADDRESS-FAMILY (4 bytes), EVEN-PORT (1 byte; 4 are accepted): the first byte. */
int attr_first_byte(const struct message *, enum attr_slot slot, uint8_t *out);

int attr_channel(const struct message *, uint16_t *number); /* CHANNEL-NUMBER, RFC 8656 section 18.1 */

/* attr_xor_addr: first of a kind.  attr_xor_addr_value: from a value found by message_next. */
int attr_xor_addr(const struct message *, enum attr_slot slot, struct addr *out);
int attr_xor_addr_value(const struct message *, struct view value, struct addr *out);

/* attr_error: code and reason phrase of ERROR-CODE (for clients and tests). */
int attr_error(const struct message *, int *code, struct view *reason);

#endif
