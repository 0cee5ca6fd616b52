/* crypto.h: the only door to libcrypto: keyed MACs, digests, AEAD, random bytes, constant-time compare, base64, hex.
 *
 * A `struct crypto` is one thread's: ciphers are fetched once in crypto_new, contexts are reused. All functions that may fail
 * for want of memory or entropy return 0 or ERR_SYSTEM.
 */
#ifndef RELAY_BASE_CRYPTO_H
#define RELAY_BASE_CRYPTO_H

#include "base/bytes.h"

enum crypto_hash { CRYPTO_MD5, CRYPTO_SHA1, CRYPTO_SHA256, CRYPTO_SHA384 };

#define CRYPTO_SHA256_LEN 32
#define CRYPTO_HASH_MAX 48

struct crypto; /* fetched ciphers, scratch contexts and the last keys of one thread */

struct crypto *crypto_new(void); /* NULL on failure */
void crypto_free(struct crypto *crypto);

size_t crypto_hash_len(enum crypto_hash hash); /* 16, 20, 32, 48 */

/* crypto_digest: of the concatenation of `parts` (count of them) into `out` of crypto_hash_len bytes. */
int crypto_digest(struct crypto *, enum crypto_hash, const struct view *parts, size_t count, uint8_t *out);

/* crypto_hmac: HMAC of the concatenation of `parts` under `key`, into `out` of crypto_hash_len bytes. */
int crypto_hmac(struct crypto *, enum crypto_hash, struct view key, const struct view *parts, size_t count, uint8_t *out);

/* AES-GCM as RFC 5116 section 5 has it, ChaCha20-Poly1305 as RFC 8439: a nonce of 12 bytes; the tag of 16 is the end of the sealed bytes. */
enum crypto_aead { CRYPTO_A128GCM, CRYPTO_A256GCM, CRYPTO_CHACHA20 };

#define CRYPTO_AEAD_KEY_MAX 32
#define CRYPTO_AEAD_NONCE_LEN 12
#define CRYPTO_AEAD_TAG_LEN 16

struct crypto_sealed {
    struct view nonce, bytes; /* of crypto_aead_seal: those that are to be sealed */
    struct view bound; /* associated data: not in the bytes, yet the tag covers it */
};

size_t crypto_aead_key_len(enum crypto_aead aead); /* 16, 32, 32 */

/* crypto_aead_open: appends to `out` what was sealed under `key` (crypto_aead_key_len bytes). ERR_DENIED, and nothing in `out`: a nonce of
 * another length, fewer bytes than a tag, more than there is room for, or a tag that is wrong. */
int crypto_aead_open(struct crypto *, enum crypto_aead, const uint8_t *key, const struct crypto_sealed *, struct slab *out);

/* crypto_aead_seal: bytes.len + CRYPTO_AEAD_TAG_LEN bytes at `out`, which may be where the bytes are. A key seals with no nonce twice. 0 or ERR_SYSTEM. */
int crypto_aead_seal(struct crypto *, enum crypto_aead, const uint8_t *key, const struct crypto_sealed *, uint8_t *out);

/* crypto_random: unpredictable bytes (getrandom(2)); does not return without them: a failure aborts the process. Any thread. */
void crypto_random(void *out, size_t len);

/* crypto_draw: the same, of a store that is filled by one call for many: for what is wanted at every turn. */
void crypto_draw(struct crypto *, void *out, size_t len);

bool crypto_equal(struct view a, struct view b); /* constant time in the contents */
void crypto_wipe(void *at, size_t len);          /* not optimised away */

/* crypto_base64: standard alphabet with padding, RFC 4648 section 4.  crypto_base64url: that of section 5, without: as tokens have it. `out` needs
 * 4 * ((len + 2) / 3) + 1 bytes; returns the length without NUL. Decoding: ERR_BAD for what encoding does not write, ERR_RANGE: more than `cap`.
 * crypto_hex_decode: `out` gets text.len / 2 bytes; ERR_BAD for odd length or a non-hex digit. */
size_t crypto_base64(struct view in, char *out);
size_t crypto_base64url(struct view in, char *out);
int crypto_base64_decode(struct view text, uint8_t *out, size_t cap, size_t *len);
int crypto_base64url_decode(struct view text, uint8_t *out, size_t cap, size_t *len);
int crypto_hex_decode(struct view text, uint8_t *out, size_t cap);
void crypto_hex(struct view in, char *out); /* lower case, NUL-terminated: 2 * len + 1 bytes */

#endif
