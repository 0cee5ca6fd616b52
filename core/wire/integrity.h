/* integrity.h: long-term keys and the check of MESSAGE-INTEGRITY, MESSAGE-INTEGRITY-SHA256 and FINGERPRINT.
 *
 * key = MD5 or SHA-256 of (username ":" OpaqueString(realm) ":" OpaqueString(password)), RFC 8489 section 9.2.2; either key may sign with
 * either HMAC. The HMAC covers the message up to the attribute, with the header's length set as if the message ended behind it (sections
 * 14.5, 14.6).
 */
#ifndef RELAY_WIRE_INTEGRITY_H
#define RELAY_WIRE_INTEGRITY_H

#include "base/crypto.h"
#include "wire/message.h"

#define INTEGRITY_KEY_LEN 16 /* MD5 */
#define INTEGRITY_KEY_SHA256_LEN 32
#define INTEGRITY_SHA1_LEN 20
#define INTEGRITY_SHA256_LEN 32
#define INTEGRITY_SHA256_LEAST 16 /* a client may cut it to a multiple of 4 of at least this, section 14.6 */
#define INTEGRITY_USERHASH_LEN 32

/* integrity_key: the long-term key into `key`.  integrity_userhash: SHA-256(username ":" realm), section 14.4. 0 or ERR_SYSTEM. */
int integrity_key(struct crypto *, struct view username, struct view realm, struct view password, uint8_t key[INTEGRITY_KEY_LEN]);
int integrity_key_sha256(struct crypto *, struct view username, struct view realm, struct view password,
                         uint8_t key[INTEGRITY_KEY_SHA256_LEN]);
int integrity_userhash(struct crypto *, struct view username, struct view realm, uint8_t hash[INTEGRITY_USERHASH_LEN]);

/* integrity_is_userhash: whether `hash` is that of the name in the realm. */
bool integrity_is_userhash(struct crypto *, struct view username, struct view realm, struct view hash);

/* integrity_check: 0 if MESSAGE-INTEGRITY is there and right under `key` (constant time), ERR_NOT_FOUND if absent, ERR_DENIED if wrong.
 * integrity_check_sha256: the same for MESSAGE-INTEGRITY-SHA256. */
int integrity_check(struct crypto *, const struct message *, struct view key);
int integrity_check_sha256(struct crypto *, const struct message *, struct view key);

uint32_t integrity_crc32(struct view bytes); /* FINGERPRINT's CRC-32 before the XOR, ITU V.42 */

#endif
