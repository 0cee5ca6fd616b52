/* channel.h: ChannelData, RFC 8656 section 12.4.
 *
 *     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *     |         Channel Number        |            Length             |
 *     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *     /                       Application Data                        /
 *
 * Over UDP and DTLS padding is optional on receipt and never sent; over streams it is required (to 4 bytes, zero when sent).
 */
#ifndef RELAY_WIRE_CHANNEL_H
#define RELAY_WIRE_CHANNEL_H

#include "base/bytes.h"

#define CHANNEL_HEADER_LEN 4
#define CHANNEL_FIRST 0x4000
#define CHANNEL_LAST 0x7FFF        /* what coturn's 4.6 client binds up to */
#define CHANNEL_LAST_STRICT 0x4FFF /* RFC 8656 */

/* channel_open: 0, or ERR_BAD if the first two bits are not 01 or the length field says more than there is. */
int channel_open(struct view in, uint16_t *number, struct view *data);

/* channel_around: write the header in front of `payload` bytes at `payload_at`; CHANNEL_HEADER_LEN bytes before and, if `pad`, 3 behind may be overwritten. */
struct view channel_around(uint8_t *payload_at, size_t payload, uint16_t number, bool pad);

bool channel_is_number(uint16_t number, bool strict);

#endif
