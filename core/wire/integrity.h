/* integrity.h: long-term keys and the check of MESSAGE-INTEGRITY and FINGERPRINT.
 *
 * key = MD5(username ":" OpaqueString(realm) ":" OpaqueString(password)), RFC 8489 section 9.2.2. The HMAC covers the message up to the
 * attribute, with the header's length set as if the message ended behind it (section 14.5).
 */
#ifndef RELAY_WIRE_INTEGRITY_H
#define RELAY_WIRE_INTEGRITY_H

#include "base/crypto.h"
#include "wire/message.h"

#define INTEGRITY_KEY_LEN 16 /* MD5 */
#define INTEGRITY_SHA1_LEN 20

/* integrity_key: the long-term key into `key`. 0 or ERR_SYSTEM. */
int integrity_key(struct crypto *, struct view username, struct view realm, struct view password, uint8_t key[INTEGRITY_KEY_LEN]);

/* integrity_check: 0 if MESSAGE-INTEGRITY is there and right under `key` (constant time), ERR_NOT_FOUND if absent, ERR_DENIED if wrong. */
int integrity_check(struct crypto *, const struct message *, struct view key);

uint32_t integrity_crc32(struct view bytes); /* FINGERPRINT's CRC-32 before the XOR, ITU V.42 */

#endif
