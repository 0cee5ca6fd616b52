/* channel.c: ChannelData. */
#include "wire/channel.h"

#include "base/err.h"

#include <assert.h>
#include <string.h>

int channel_open(struct view in, uint16_t *number, struct view *data)
{
    if (in.len < CHANNEL_HEADER_LEN || in.at[0] >> 6 != 1)
        return ERR_BAD;
    const size_t len = get_u16(in.at + 2);
    if (len > in.len - CHANNEL_HEADER_LEN)
        return ERR_BAD;
    *number = get_u16(in.at);
    *data = view_of(in.at + CHANNEL_HEADER_LEN, len);
    return 0;
}

struct view channel_around(uint8_t *payload_at, size_t payload, uint16_t number, bool pad)
{
    assert(payload <= UINT16_MAX);
    const size_t padding = pad ? -payload & 3 : 0;
    uint8_t *at = payload_at - CHANNEL_HEADER_LEN;
    put_u16(at, number);
    put_u16(at + 2, (uint16_t)payload);
    memset(payload_at + payload, 0, padding);
    return view_of(at, CHANNEL_HEADER_LEN + payload + padding);
}

bool channel_is_number(uint16_t number, bool strict)
{
    return number >= CHANNEL_FIRST && number <= (strict ? CHANNEL_LAST_STRICT : CHANNEL_LAST);
}
