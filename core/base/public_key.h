/* public_key.h: public keys, and whether a signature is theirs: RSA (PKCS #1 v1.5) and ECDSA (P-256) over SHA-256, and Ed25519.
 *
 * A key verifies one algorithm, which its kind decides: what a token says of itself has no part in it. Keys are constant: any thread.
 */
#ifndef RELAY_BASE_PUBLIC_KEY_H
#define RELAY_BASE_PUBLIC_KEY_H

#include "base/bytes.h"

enum public_key_kind { PUBLIC_KEY_RSA, PUBLIC_KEY_P256, PUBLIC_KEY_ED25519 };

#define PUBLIC_KEY_RSA_BITS_MIN 2048 /* RFC 7518 section 3.3 */
#define PUBLIC_KEY_RSA_BITS_MAX 8192 /* more cost too much to verify */

struct public_key;

/* public_key_rsa, public_key_p256, public_key_ed25519: from the numbers of RFC 7518 section 6 and RFC 8037 section 2, big-endian; of points
 * 32 bytes each. NULL: no such key, one that is too short or too long, or no memory. */
struct public_key *public_key_rsa(struct view n, struct view e);
struct public_key *public_key_p256(struct view x, struct view y);
struct public_key *public_key_ed25519(struct view x);

/* public_key_pem: the first "PUBLIC KEY" of a text, which becomes what is behind it. NULL: there is none, or none of these kinds. */
struct public_key *public_key_pem(struct view *text);

void public_key_free(struct public_key *); /* NULL is fine */
enum public_key_kind public_key_kind(const struct public_key *);

/* public_key_verify: whether `signature` of `text` is this key's, as RFC 7518 section 3 and RFC 8037 section 3.1 write it: of P-256 the two
 * numbers, 32 bytes each. */
bool public_key_verify(const struct public_key *, struct view text, struct view signature);

#endif
