/* message.h: one pass over the bytes of a STUN message, then a view of it.
 *
 * message_open allocates nothing, copies nothing and accepts or refuses the whole message: header, length, every attribute's bounds. Of repeated
 * attributes the first counts (RFC 8489 section 14), XOR-PEER-ADDRESS may repeat and is walked with message_next. Behind
 * MESSAGE-INTEGRITY only MESSAGE-INTEGRITY-SHA256 and FINGERPRINT are seen, behind that only FINGERPRINT (sections 14.5, 14.6): what else
 * is there was not signed.
 * The view borrows the input. Padding bytes are not looked at.
 */
#ifndef RELAY_WIRE_MESSAGE_H
#define RELAY_WIRE_MESSAGE_H

#include "base/bytes.h"
#include "wire/stun.h"

#define MESSAGE_UNKNOWN_MAX 8

struct message {
    struct view bytes; /* exactly the message: header and attributes */
    uint16_t method;
    enum stun_class class;
    const uint8_t *tid;              /* STUN_TID_LEN bytes */
    bool is_classic;                 /* of RFC 3489: the four bytes before tid are no cookie but part of the transaction id */
    uint16_t attrs[SLOT_COUNT];      /* where the header of the first of each kind is, in words of 4 bytes; 0 if absent */
    uint16_t unknown[MESSAGE_UNKNOWN_MAX]; /* comprehension-required types without a row, for 420; each once */
    uint8_t unknown_count;
    size_t signed_len; /* bytes before the first integrity attribute's header; 0 if there is none */
};

/* message_open: 0; ERR_PARTIAL if `in` is shorter than its header says; ERR_BAD if it is no STUN message (first bits, cookie, length not a
 * multiple of 4), if an attribute leaves its bounds, if bytes follow the message, or if FINGERPRINT is not last or is wrong. */
int message_open(struct message *message, struct view in);

/* message_open_classic: the same for a message of RFC 3489, which has no cookie: ERR_BAD if there is one. */
int message_open_classic(struct message *message, struct view in);

static inline bool message_has(const struct message *message, enum attr_slot slot)
{
    return message->attrs[slot] != 0;
}

/* message_before: how many bytes are in front of its header, if it is there.  message_attr: the value without padding; {NULL, 0} if absent
 * (an empty value has a non-NULL `at`). */
size_t message_before(const struct message *, enum attr_slot slot);
struct view message_attr(const struct message *, enum attr_slot slot);

/* message_next: walk all attributes of one type in order: `cursor` starts at 0; false at the end. */
bool message_next(const struct message *, uint16_t type, size_t *cursor, struct view *value);

#endif
