/* stun.h: the numbers of STUN and TURN, one row each: classes, methods, attributes, error codes.
 *
 * The rows feed the enums here and the names and rules in stun.c; a new method, attribute or code is one row.
 *
 *      0                   1                   2                   3
 *      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *     |0 0|     STUN Message Type     |         Message Length        |
 *     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+   RFC 8489 section 5
 *     |                         Magic Cookie                          |
 *     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *     |                     Transaction ID (96 bits)                  |
 *     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 */
#ifndef RELAY_WIRE_STUN_H
#define RELAY_WIRE_STUN_H

#include <stdbool.h>
#include <stdint.h>

#define STUN_MAGIC 0x2112A442u
#define STUN_HEADER_LEN 20
#define STUN_TID_LEN 12
#define STUN_ATTR_HEADER_LEN 4
#define STUN_FINGERPRINT_XOR 0x5354554Eu

enum stun_class { STUN_REQUEST = 0, STUN_INDICATION = 1, STUN_SUCCESS = 2, STUN_ERROR = 3 };

/* X(name, number) : RFC 8489 section 18.2, RFC 8656 section 18.1, RFC 6062 section 6.1 */
#define STUN_METHODS(X)                                                                                                                    \
    X(BINDING, 0x001)                                                                                                                      \
    X(ALLOCATE, 0x003)                                                                                                                     \
    X(REFRESH, 0x004)                                                                                                                      \
    X(SEND, 0x006)                                                                                                                         \
    X(DATA, 0x007)                                                                                                                         \
    X(CREATE_PERMISSION, 0x008)                                                                                                            \
    X(CHANNEL_BIND, 0x009)                                                                                                                 \
    X(CONNECT, 0x00A)                                                                                                                      \
    X(CONNECTION_BIND, 0x00B)                                                                                                              \
    X(CONNECTION_ATTEMPT, 0x00C)

enum stun_method {
#define X(name, number) METHOD_##name = number,
    STUN_METHODS(X)
#undef X
};

/* X(name, number, first) : RFC 8489 section 18.3, RFC 8656 section 18.2, RFC 6062 section 6.2,
 * RFC 7635 section 6, RFC 5780 section 7, RFC 8016 section 3.5; ORIGIN: draft-johnston-tram-stun-origin;
 * DRAFT_ADDITIONAL_FAMILY: the number of ADDITIONAL-ADDRESS-FAMILY in draft-ietf-tram-turnbis, which coturn's clients send */
#define STUN_ATTRS(X)                                                                                                                      \
    X(MAPPED_ADDRESS, 0x0001)                                                                                                              \
    X(CHANGE_REQUEST, 0x0003)                                                                                                              \
    X(USERNAME, 0x0006)                                                                                                                    \
    X(MESSAGE_INTEGRITY, 0x0008)                                                                                                           \
    X(ERROR_CODE, 0x0009)                                                                                                                  \
    X(UNKNOWN_ATTRIBUTES, 0x000A)                                                                                                          \
    X(CHANNEL_NUMBER, 0x000C)                                                                                                              \
    X(LIFETIME, 0x000D)                                                                                                                    \
    X(XOR_PEER_ADDRESS, 0x0012)                                                                                                            \
    X(DATA, 0x0013)                                                                                                                        \
    X(REALM, 0x0014)                                                                                                                       \
    X(NONCE, 0x0015)                                                                                                                       \
    X(XOR_RELAYED_ADDRESS, 0x0016)                                                                                                         \
    X(REQUESTED_ADDRESS_FAMILY, 0x0017)                                                                                                    \
    X(EVEN_PORT, 0x0018)                                                                                                                   \
    X(REQUESTED_TRANSPORT, 0x0019)                                                                                                         \
    X(DONT_FRAGMENT, 0x001A)                                                                                                               \
    X(ACCESS_TOKEN, 0x001B)                                                                                                                \
    X(MESSAGE_INTEGRITY_SHA256, 0x001C)                                                                                                    \
    X(PASSWORD_ALGORITHM, 0x001D)                                                                                                          \
    X(USERHASH, 0x001E)                                                                                                                    \
    X(XOR_MAPPED_ADDRESS, 0x0020)                                                                                                          \
    X(RESERVATION_TOKEN, 0x0022)                                                                                                           \
    X(PADDING, 0x0026)                                                                                                                     \
    X(RESPONSE_PORT, 0x0027)                                                                                                               \
    X(CONNECTION_ID, 0x002A)                                                                                                               \
    X(ADDITIONAL_ADDRESS_FAMILY, 0x8000)                                                                                                   \
    X(ADDRESS_ERROR_CODE, 0x8001)                                                                                                          \
    X(PASSWORD_ALGORITHMS, 0x8002)                                                                                                         \
    X(ALTERNATE_DOMAIN, 0x8003)                                                                                                            \
    X(ICMP, 0x8004)                                                                                                                        \
    X(SOFTWARE, 0x8022)                                                                                                                    \
    X(ALTERNATE_SERVER, 0x8023)                                                                                                            \
    X(FINGERPRINT, 0x8028)                                                                                                                 \
    X(RESPONSE_ORIGIN, 0x802B)                                                                                                             \
    X(OTHER_ADDRESS, 0x802C)                                                                                                               \
    X(THIRD_PARTY_AUTHORIZATION, 0x802E)                                                                                                   \
    X(ORIGIN, 0x802F)                                                                                                                      \
    X(MOBILITY_TICKET, 0x8030)                                                                                                             \
    X(DRAFT_ADDITIONAL_FAMILY, 0x8032)

enum stun_attr {
#define X(name, number) ATTR_##name = number,
    STUN_ATTRS(X)
#undef X
};

/* enum stun_classic_attr: of RFC 3489 section 11.2, in answers to its clients alone. They have no row: in a request they are unknown. */
enum stun_classic_attr { CLASSIC_SOURCE_ADDRESS = 0x0004, CLASSIC_CHANGED_ADDRESS = 0x0005 };

/* enum stun_change: the flags of CHANGE-REQUEST, RFC 5780 section 7.2 */
enum stun_change { STUN_CHANGE_PORT = 2, STUN_CHANGE_IP = 4 };

/* enum stun_algorithm: of PASSWORD-ALGORITHM, RFC 8489 section 18.5 */
enum stun_algorithm { STUN_MD5 = 1, STUN_SHA256 = 2 };

/* enum attr_slot: a dense number for each known attribute, to index the view of a message. */
enum attr_slot {
#define X(name, number) SLOT_##name,
    STUN_ATTRS(X)
#undef X
        SLOT_COUNT
};

/* X(name, code, reason phrase) : RFC 8489 section 14.8, RFC 8656 section 19, RFC 6062 section 6.3, RFC 8016 section 3.4 */
#define STUN_CODES(X)                                                                                                                      \
    X(TRY_ALTERNATE, 300, "Try Alternate")                                                                                                 \
    X(BAD_REQUEST, 400, "Bad Request")                                                                                                     \
    X(UNAUTHENTICATED, 401, "Unauthenticated")                                                                                             \
    X(FORBIDDEN, 403, "Forbidden")                                                                                                         \
    X(MOBILITY_FORBIDDEN, 405, "Mobility Forbidden")                                                                                       \
    X(UNKNOWN_ATTRIBUTE, 420, "Unknown Attribute")                                                                                         \
    X(MISMATCH, 437, "Allocation Mismatch")                                                                                                \
    X(STALE_NONCE, 438, "Stale Nonce")                                                                                                     \
    X(FAMILY_UNSUPPORTED, 440, "Address Family not Supported")                                                                             \
    X(WRONG_CREDENTIALS, 441, "Wrong Credentials")                                                                                         \
    X(TRANSPORT_UNSUPPORTED, 442, "Unsupported Transport Protocol")                                                                        \
    X(PEER_FAMILY_MISMATCH, 443, "Peer Address Family Mismatch")                                                                           \
    X(CONNECTION_EXISTS, 446, "Connection Already Exists")                                                                                 \
    X(CONNECTION_FAILED, 447, "Connection Timeout or Failure")                                                                             \
    X(QUOTA, 486, "Allocation Quota Reached")                                                                                              \
    X(SERVER_ERROR, 500, "Server Error")                                                                                                   \
    X(CAPACITY, 508, "Insufficient Capacity")

enum stun_code {
#define X(name, code, reason) STUN_##name = code,
    STUN_CODES(X)
#undef X
};

/* A code's place among the rows, to count by: 0: success, or a code without a row. */
enum stun_code_place {
    STUN_PLACE_SUCCESS,
#define X(name, code, reason) STUN_PLACE_##name,
    STUN_CODES(X)
#undef X
        STUN_PLACES
};

/* stun_code_place, and back: 0 for success. */
enum stun_code_place stun_code_place(int code);
int stun_code_at(enum stun_code_place);

/* stun_method_name, stun_code_reason: from the rows; "unknown" for what has no row. */
const char *stun_method_name(uint16_t method);
const char *stun_code_reason(int code);
bool stun_method_known(uint16_t method);

/* stun_attr_slot: SLOT_COUNT for an attribute without a row. */
enum attr_slot stun_attr_slot(uint16_t type);
const char *stun_attr_name(uint16_t type);

/* stun_attr_must_understand: types 0x0000-0x7FFF, RFC 8489 section 14. */
bool stun_attr_must_understand(uint16_t type);

/* stun_type: the 14 bits that interleave class and method, and back; RFC 8489 section 5. */
uint16_t stun_type(uint16_t method, enum stun_class class);
uint16_t stun_type_method(uint16_t type);
enum stun_class stun_type_class(uint16_t type);

#endif
