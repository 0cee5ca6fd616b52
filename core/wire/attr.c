/* attr.c: values of attributes. */
#include "wire/attr.h"

#include "base/err.h"

/* fixed: the value of `slot` if it has exactly `len` bytes. */
static int fixed(const struct message *message, enum attr_slot slot, size_t len, const uint8_t **at)
{
    const struct view value = message_attr(message, slot);
    if (!value.at)
        return ERR_NOT_FOUND;
    if (value.len != len)
        return ERR_BAD;
    *at = value.at;
    return 0;
}

int attr_u32(const struct message *message, enum attr_slot slot, uint32_t *out)
{
    const uint8_t *at;
    const int err = fixed(message, slot, 4, &at);
    if (!err)
        *out = get_u32(at);
    return err;
}

int attr_port(const struct message *message, enum attr_slot slot, uint16_t *out)
{
    const uint8_t *at;
    const bool short_form = message_attr(message, slot).len == 2; /* whoever reads the padding as that of the attribute */
    const int err = fixed(message, slot, short_form ? 2 : 4, &at);
    if (!err)
        *out = get_u16(at);
    return err;
}

int attr_u64(const struct message *message, enum attr_slot slot, uint64_t *out)
{
    const uint8_t *at;
    const int err = fixed(message, slot, 8, &at);
    if (!err)
        *out = get_u64(at);
    return err;
}

int attr_first_byte(const struct message *message, enum attr_slot slot, uint8_t *out)
{
    const uint8_t *at;
    const bool one = slot == SLOT_EVEN_PORT && message_attr(message, slot).len == 1;
    const int err = fixed(message, slot, one ? 1 : 4, &at);
    if (!err)
        *out = at[0];
    return err;
}

int attr_channel(const struct message *message, uint16_t *number)
{
    const uint8_t *at;
    const int err = fixed(message, SLOT_CHANNEL_NUMBER, 4, &at);
    if (!err)
        *number = get_u16(at);
    return err;
}

int attr_xor_addr_value(const struct message *message, struct view value, struct addr *out)
{
    const uint8_t *mask = message->bytes.at + 4; /* magic cookie and transaction id */
    uint8_t ip[16];
    if (value.len != 8 && value.len != 20)
        return ERR_BAD;
    const size_t len = value.len - 4;
    if (value.at[1] != (len == 4 ? 1 : 2))
        return ERR_BAD;
    for (size_t i = 0; i < len; i++)
        ip[i] = value.at[4 + i] ^ mask[i];
    const uint16_t port = get_u16(value.at + 2) ^ (uint16_t)(STUN_MAGIC >> 16);
    *out = len == 4 ? addr_v4(ip, port) : addr_v6(ip, port);
    return 0;
}

int attr_xor_addr(const struct message *message, enum attr_slot slot, struct addr *out)
{
    const struct view value = message_attr(message, slot);
    return value.at ? attr_xor_addr_value(message, value, out) : ERR_NOT_FOUND;
}

int attr_error(const struct message *message, int *code, struct view *reason)
{
    const struct view value = message_attr(message, SLOT_ERROR_CODE);
    if (!value.at)
        return ERR_NOT_FOUND;
    if (value.len < 4)
        return ERR_BAD;
    const int hundreds = value.at[2] & 7, number = value.at[3];
    if (hundreds < 3 || hundreds > 6 || number > 99)
        return ERR_BAD;
    *code = hundreds * 100 + number;
    *reason = view_from(value, 4);
    return 0;
}
