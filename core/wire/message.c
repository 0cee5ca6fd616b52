/* message.c: one pass over a STUN message. */
#include "wire/message.h"

#include "base/err.h"
#include "wire/integrity.h"

#include <string.h>

static int open_header(struct message *message, struct view in, bool is_classic)
{
    if (in.len && in.at[0] > 3) /* RFC 7983: the methods there are leave the first byte at 0..3 */
        return ERR_BAD;
    if (in.len < STUN_HEADER_LEN)
        return ERR_PARTIAL;
    const size_t length = get_u16(in.at + 2);
    if ((get_u32(in.at + 4) != STUN_MAGIC) != is_classic || length % 4)
        return ERR_BAD;
    if (length != in.len - STUN_HEADER_LEN)
        return length > in.len - STUN_HEADER_LEN ? ERR_PARTIAL : ERR_BAD;
    const uint16_t type = get_u16(in.at);
    *message = (struct message){
        .bytes = in, .method = stun_type_method(type), .class = stun_type_class(type), .tid = in.at + 8, .is_classic = is_classic};
    return 0;
}

/* value_at: the value of the attribute whose header is at `at`; its length was checked by message_open. */
static struct view value_at(const uint8_t *at)
{
    return view_of(at + STUN_ATTR_HEADER_LEN, get_u16(at + 2));
}

static size_t padded(size_t len)
{
    return (len + 3) & ~(size_t)3;
}

static bool fingerprint_ok(const struct message *message, size_t at)
{
    const struct view value = value_at(message->bytes.at + at);
    if (value.len != 4 || message->bytes.len - at != STUN_ATTR_HEADER_LEN + 4)
        return false;
    return get_u32(value.at) == (integrity_crc32(view_cut(message->bytes, at)) ^ STUN_FINGERPRINT_XOR);
}

static void note_unknown(struct message *message, uint16_t type)
{
    if (!stun_attr_must_understand(type) || message->unknown_count == MESSAGE_UNKNOWN_MAX)
        return;
    for (uint8_t i = 0; i < message->unknown_count; i++)
        if (message->unknown[i] == type)
            return;
    message->unknown[message->unknown_count++] = type;
}

/* is_hidden: behind an integrity attribute, and not signed by it (RFC 8489 sections 14.5, 14.6). */
static bool is_hidden(const struct message *message, enum attr_slot slot)
{
    if (!message->signed_len || slot == SLOT_FINGERPRINT)
        return false;
    return slot != SLOT_MESSAGE_INTEGRITY_SHA256 || message->attrs[SLOT_MESSAGE_INTEGRITY_SHA256];
}

static int note(struct message *message, size_t at)
{
    const uint8_t *header = message->bytes.at + at;
    const enum attr_slot slot = stun_attr_slot(get_u16(header));
    if (slot == SLOT_FINGERPRINT && !fingerprint_ok(message, at))
        return ERR_BAD;
    if (is_hidden(message, slot))
        return 0;
    if (slot == SLOT_COUNT)
        note_unknown(message, get_u16(header));
    else if (!message->attrs[slot])
        message->attrs[slot] = (uint16_t)(at / 4);
    if ((slot == SLOT_MESSAGE_INTEGRITY || slot == SLOT_MESSAGE_INTEGRITY_SHA256) && !message->signed_len)
        message->signed_len = at;
    return 0;
}

static int open_whole(struct message *message, struct view in, bool is_classic)
{
    const int err = open_header(message, in, is_classic);
    if (err)
        return err;
    for (size_t at = STUN_HEADER_LEN; at < in.len;) {
        const size_t left = in.len - at - STUN_ATTR_HEADER_LEN; /* both are multiples of 4, so the header fits */
        const size_t len = get_u16(in.at + at + 2);
        if (len > left || note(message, at))
            return ERR_BAD;
        at += STUN_ATTR_HEADER_LEN + padded(len);
    }
    return 0;
}

int message_open(struct message *message, struct view in)
{
    return open_whole(message, in, false);
}

int message_open_classic(struct message *message, struct view in)
{
    return open_whole(message, in, true);
}

size_t message_before(const struct message *message, enum attr_slot slot)
{
    return (size_t)message->attrs[slot] * 4;
}

struct view message_attr(const struct message *message, enum attr_slot slot)
{
    return message->attrs[slot] ? value_at(message->bytes.at + message_before(message, slot)) : view_of(NULL, 0);
}

bool message_next(const struct message *message, uint16_t type, size_t *cursor, struct view *value)
{
    const size_t end = message->signed_len ? message->signed_len : message->bytes.len;
    size_t at = *cursor ? *cursor : STUN_HEADER_LEN;
    while (at < end) {
        const uint8_t *header = message->bytes.at + at;
        *value = value_at(header);
        at += STUN_ATTR_HEADER_LEN + padded(value->len);
        *cursor = at;
        if (get_u16(header) == type)
            return true;
    }
    return false;
}
