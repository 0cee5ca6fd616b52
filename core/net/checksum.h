/* checksum.h: the Internet checksum, RFC 1071. Private to the room.
 *
 * Words are added in the order of this machine, which gives the checksum in that order too, and eight bytes at a time.
 */
#ifndef RELAY_NET_CHECKSUM_H
#define RELAY_NET_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* checksum_add: of `len` bytes, which begin at an even place of what is summed up. */
static inline uint64_t checksum_add(uint64_t sum, const void *bytes, size_t len)
{
    const uint8_t *at = bytes;
    uint64_t word, high = 0;
    for (; len >= sizeof word; at += sizeof word, len -= sizeof word) {
        memcpy(&word, at, sizeof word);
        sum += (uint32_t)word;
        high += word >> 32;
    }
    word = 0;
    if (len)
        memcpy(&word, at, len);
    return sum + high + (uint32_t)word + (word >> 32);
}

/* checksum_of: the complement; 0 over what has its checksum in it and is whole. */
static inline uint16_t checksum_of(uint64_t sum)
{
    while (sum >> 16)
        sum = (sum & 0xFFFF) + (sum >> 16);
    return (uint16_t)~sum;
}

#endif
