/* crypto.c: MACs, digests, AEAD and random bytes over libcrypto; base64 and hex.
 *
 * Digests go by their own functions, which OpenSSL 3 calls deprecated: behind EVP a MAC costs several times what its blocks do, with memory taken and given back. The
 * last key of each hash stays, as the states of HMAC (RFC 2104) behind the padded key, so that the next MAC under it begins there. Ciphers go through EVP: each is
 * fetched once, which costs microseconds.
 */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "base/crypto.h"

#include "base/err.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/md5.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define HASHES 4
#define BLOCK_MAX 128
#define KEY_KEPT_MAX 64

union state {
    MD5_CTX md5;
    SHA_CTX sha1;
    SHA256_CTX sha256;
    SHA512_CTX sha384;
};

#define HASH(name, prefix)                                                                                                                         \
    static bool name##_init(union state *state)                                                                                                    \
    {                                                                                                                                              \
        return prefix##_Init(&state->name);                                                                                                        \
    }                                                                                                                                              \
    static bool name##_put(union state *state, struct view bytes)                                                                                  \
    {                                                                                                                                              \
        return prefix##_Update(&state->name, bytes.at, bytes.len);                                                                                 \
    }                                                                                                                                              \
    static bool name##_end(union state *state, uint8_t *out)                                                                                       \
    {                                                                                                                                              \
        return prefix##_Final(out, &state->name);                                                                                                  \
    }
HASH(md5, MD5)
HASH(sha1, SHA1)
HASH(sha256, SHA256)
HASH(sha384, SHA384)

static const struct hash {
    size_t len, block;
    bool (*init)(union state *);
    bool (*put)(union state *, struct view bytes);
    bool (*end)(union state *, uint8_t *out);
} hashes[HASHES] = {
    [CRYPTO_MD5] = {16, 64, md5_init, md5_put, md5_end},
    [CRYPTO_SHA1] = {20, 64, sha1_init, sha1_put, sha1_end},
    [CRYPTO_SHA256] = {32, 64, sha256_init, sha256_put, sha256_end},
    [CRYPTO_SHA384] = {48, BLOCK_MAX, sha384_init, sha384_put, sha384_end},
};

/* struct keyed: HMAC under a key, where it has nothing yet of the text, and of the inner digest. */
struct keyed {
    union state inner, outer;
    uint8_t key[KEY_KEPT_MAX];
    size_t key_len; /* 0: none kept */
};

#define AEADS 3

static const struct {
    const char *name;
    size_t key_len;
} aeads[AEADS] = {
    [CRYPTO_A128GCM] = {"AES-128-GCM", 16},
    [CRYPTO_A256GCM] = {"AES-256-GCM", 32},
    [CRYPTO_CHACHA20] = {"ChaCha20-Poly1305", 32},
};

#define DRAWN_BYTES 256

struct crypto {
    struct keyed keyed[HASHES];
    uint8_t drawn[DRAWN_BYTES]; /* random; the first `drawn_left` were not given out */
    size_t drawn_left;
    EVP_CIPHER_CTX *opening[AEADS], *sealing[AEADS]; /* each keeps its cipher */
};

static bool aead_init(struct crypto *crypto, enum crypto_aead aead)
{
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, aeads[aead].name, NULL); /* the contexts keep it */
    EVP_CIPHER_CTX *opening = crypto->opening[aead] = EVP_CIPHER_CTX_new(), *sealing = crypto->sealing[aead] = EVP_CIPHER_CTX_new();
    const bool ok = cipher && opening && sealing && EVP_DecryptInit_ex2(opening, cipher, NULL, NULL, NULL) &&
                    EVP_EncryptInit_ex2(sealing, cipher, NULL, NULL, NULL);
    EVP_CIPHER_free(cipher);
    return ok;
}

struct crypto *crypto_new(void)
{
    struct crypto *crypto = calloc(1, sizeof *crypto);
    bool ok = crypto;
    for (int aead = 0; ok && aead < AEADS; aead++)
        ok = aead_init(crypto, (enum crypto_aead)aead);
    if (ok)
        return crypto;
    crypto_free(crypto);
    return NULL;
}

void crypto_free(struct crypto *crypto)
{
    if (!crypto)
        return;
    for (int aead = 0; aead < AEADS; aead++) {
        EVP_CIPHER_CTX_free(crypto->opening[aead]);
        EVP_CIPHER_CTX_free(crypto->sealing[aead]);
    }
    crypto_wipe(crypto, sizeof *crypto);
    free(crypto);
}

size_t crypto_hash_len(enum crypto_hash hash)
{
    return hashes[hash].len;
}

/* finish: the digest of what `state` has had and of the parts. */
static bool finish(const struct hash *hash, union state *state, const struct view *parts, size_t count, uint8_t *out)
{
    bool ok = true;
    for (size_t i = 0; ok && i < count; i++)
        ok = hash->put(state, parts[i]);
    return ok && hash->end(state, out);
}

int crypto_digest(struct crypto *crypto, enum crypto_hash which, const struct view *parts, size_t count, uint8_t *out)
{
    const struct hash *hash = &hashes[which];
    union state state;
    (void)crypto;
    return hash->init(&state) && finish(hash, &state, parts, count, out) ? 0 : ERR_SYSTEM;
}

/* pad: `state` has had the key, each byte of which was changed so. */
static bool pad(const struct hash *hash, union state *state, const uint8_t key[BLOCK_MAX], uint8_t change)
{
    uint8_t block[BLOCK_MAX];
    for (size_t i = 0; i < hash->block; i++)
        block[i] = key[i] ^ change;
    const bool ok = hash->init(state) && hash->put(state, view_of(block, hash->block));
    crypto_wipe(block, sizeof block);
    return ok;
}

static bool key_put(struct keyed *keyed, const struct hash *hash, struct view key)
{
    uint8_t block[BLOCK_MAX] = {0};
    bool ok = true;
    if (key.len > hash->block)
        ok = hash->init(&keyed->inner) && finish(hash, &keyed->inner, &key, 1, block);
    else if (key.len)
        memcpy(block, key.at, key.len);
    ok = ok && pad(hash, &keyed->inner, block, 0x36) && pad(hash, &keyed->outer, block, 0x5c);
    crypto_wipe(block, sizeof block);
    keyed->key_len = 0;
    if (!ok || key.len == 0 || key.len > KEY_KEPT_MAX)
        return ok;
    memcpy(keyed->key, key.at, key.len);
    keyed->key_len = key.len;
    return true;
}

int crypto_hmac(struct crypto *crypto, enum crypto_hash which, struct view key, const struct view *parts, size_t count, uint8_t *out)
{
    const struct hash *hash = &hashes[which];
    struct keyed *keyed = &crypto->keyed[which];
    const bool is_kept = keyed->key_len && crypto_equal(key, view_of(keyed->key, keyed->key_len));
    if (!is_kept && !key_put(keyed, hash, key))
        return ERR_SYSTEM;
    union state inner = keyed->inner, outer = keyed->outer;
    uint8_t digest[CRYPTO_HASH_MAX];
    const struct view text = view_of(digest, hash->len);
    return finish(hash, &inner, parts, count, digest) && finish(hash, &outer, &text, 1, out) ? 0 : ERR_SYSTEM;
}

size_t crypto_aead_key_len(enum crypto_aead aead)
{
    return aeads[aead].key_len;
}

/* aead_decrypt: `text` into `out`; the tag decides last, when the text is already there. */
static bool aead_decrypt(EVP_CIPHER_CTX *opening, struct view bound, struct view text, struct view tag, uint8_t *out)
{
    uint8_t copy[CRYPTO_AEAD_TAG_LEN], none[1];
    int len;
    memcpy(copy, tag.at, sizeof copy);
    if (!EVP_CIPHER_CTX_ctrl(opening, EVP_CTRL_AEAD_SET_TAG, sizeof copy, copy))
        return false;
    if (bound.len && !EVP_DecryptUpdate(opening, NULL, &len, bound.at, (int)bound.len))
        return false;
    if (text.len && !EVP_DecryptUpdate(opening, out, &len, text.at, (int)text.len))
        return false;
    return EVP_DecryptFinal_ex(opening, none, &len) > 0;
}

int crypto_aead_open(struct crypto *crypto, enum crypto_aead aead, const uint8_t *key, const struct crypto_sealed *sealed, struct slab *out)
{
    EVP_CIPHER_CTX *opening = crypto->opening[aead];
    if (sealed->nonce.len != CRYPTO_AEAD_NONCE_LEN || sealed->bytes.len < CRYPTO_AEAD_TAG_LEN || sealed->bound.len > INT_MAX)
        return ERR_DENIED;
    const size_t len = sealed->bytes.len - CRYPTO_AEAD_TAG_LEN;
    if (out->overflow || len > out->cap - out->len || len > INT_MAX)
        return ERR_DENIED;
    if (!EVP_DecryptInit_ex2(opening, NULL, key, sealed->nonce.at, NULL))
        return ERR_SYSTEM;
    uint8_t *at = out->at + out->len; /* slab_room would clear it first */
    if (!aead_decrypt(opening, sealed->bound, view_cut(sealed->bytes, len), view_from(sealed->bytes, len), at)) {
        crypto_wipe(at, len);
        return ERR_DENIED;
    }
    out->len += len;
    return 0;
}

int crypto_aead_seal(struct crypto *crypto, enum crypto_aead aead, const uint8_t *key, const struct crypto_sealed *plain, uint8_t *out)
{
    EVP_CIPHER_CTX *sealing = crypto->sealing[aead];
    const struct view text = plain->bytes, bound = plain->bound;
    int len;
    assert(plain->nonce.len == CRYPTO_AEAD_NONCE_LEN && text.len <= INT_MAX && bound.len <= INT_MAX);
    if (!EVP_EncryptInit_ex2(sealing, NULL, key, plain->nonce.at, NULL) ||
        (bound.len && !EVP_EncryptUpdate(sealing, NULL, &len, bound.at, (int)bound.len)) ||
        (text.len && !EVP_EncryptUpdate(sealing, out, &len, text.at, (int)text.len)) ||
        !EVP_EncryptFinal_ex(sealing, out + text.len, &len) ||
        !EVP_CIPHER_CTX_ctrl(sealing, EVP_CTRL_AEAD_GET_TAG, CRYPTO_AEAD_TAG_LEN, out + text.len))
        return ERR_SYSTEM;
    return 0;
}

void crypto_random(void *out, size_t len)
{
    for (size_t done = 0; done < len;) {
        const ssize_t got = getrandom((uint8_t *)out + done, len - done, 0);
        if (got < 0 && errno != EINTR)
            abort();
        if (got > 0)
            done += (size_t)got;
    }
}

void crypto_draw(struct crypto *crypto, void *out, size_t len)
{
    if (len > DRAWN_BYTES) {
        crypto_random(out, len);
        return;
    }
    if (len > crypto->drawn_left) {
        crypto_random(crypto->drawn, DRAWN_BYTES);
        crypto->drawn_left = DRAWN_BYTES;
    }
    crypto->drawn_left -= len;
    memcpy(out, crypto->drawn + crypto->drawn_left, len);
    crypto_wipe(crypto->drawn + crypto->drawn_left, len); /* nothing is given out twice, or found here afterwards */
}

bool crypto_equal(struct view a, struct view b)
{
    return a.len == b.len && (a.len == 0 || CRYPTO_memcmp(a.at, b.at, a.len) == 0);
}

void crypto_wipe(void *at, size_t len)
{
    OPENSSL_cleanse(at, len);
}

#define ALPHANUMERIC "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

/* RFC 4648 sections 4 and 5 */
static const char base64_standard[] = ALPHANUMERIC "+/", base64_url[] = ALPHANUMERIC "-_";

static size_t base64_put(struct view in, const char *digits, char *out)
{
    char *to = out;
    for (size_t at = 0; at < in.len; at += 3) {
        const size_t left = in.len - at;
        const uint32_t bits = (uint32_t)in.at[at] << 16 | (left > 1 ? (uint32_t)in.at[at + 1] << 8 : 0) | (left > 2 ? in.at[at + 2] : 0);
        *to++ = digits[bits >> 18];
        *to++ = digits[bits >> 12 & 63];
        *to++ = left > 1 ? digits[bits >> 6 & 63] : '=';
        *to++ = left > 2 ? digits[bits & 63] : '=';
    }
    *to = 0;
    return (size_t)(to - out);
}

size_t crypto_base64(struct view in, char *out)
{
    return base64_put(in, base64_standard, out);
}

size_t crypto_base64url(struct view in, char *out)
{
    size_t len = base64_put(in, base64_url, out);
    while (len && out[len - 1] == '=')
        out[--len] = 0;
    return len;
}

static int base64_digit(uint8_t c, const char *digits)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == (uint8_t)digits[62] ? 62 : c == (uint8_t)digits[63] ? 63 : -1;
}

/* base64_group: `count` characters, 2 to 4; the bits behind the last byte must be zero (RFC 4648 section 3.5). */
static bool base64_group(const uint8_t *at, size_t count, const char *digits, uint32_t *bits)
{
    *bits = 0;
    for (size_t i = 0; i < 4; i++) {
        const int digit = i < count ? base64_digit(at[i], digits) : 0;
        if (digit < 0)
            return false;
        *bits = *bits << 6 | (uint32_t)digit;
    }
    return count > 1 && (*bits & ((UINT32_C(1) << (8 * (4 - count))) - 1)) == 0;
}

/* base64_get: what stands before the padding. */
static int base64_get(struct view text, const char *digits, uint8_t *out, size_t cap, size_t *len)
{
    *len = 0;
    for (size_t at = 0; at < text.len; at += 4) {
        const size_t left = text.len - at, count = left < 4 ? left : 4;
        uint32_t bits;
        if (!base64_group(text.at + at, count, digits, &bits))
            return ERR_BAD;
        if (count - 1 > cap - *len)
            return ERR_RANGE;
        for (size_t i = 0; i < count - 1; i++)
            out[(*len)++] = (uint8_t)(bits >> (16 - 8 * i));
    }
    return 0;
}

int crypto_base64_decode(struct view text, uint8_t *out, size_t cap, size_t *len)
{
    *len = 0;
    if (text.len % 4)
        return ERR_BAD;
    for (int pad = 0; pad < 2 && text.len && text.at[text.len - 1] == '='; pad++)
        text.len--;
    return base64_get(text, base64_standard, out, cap, len);
}

int crypto_base64url_decode(struct view text, uint8_t *out, size_t cap, size_t *len)
{
    return base64_get(text, base64_url, out, cap, len);
}

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int crypto_hex_decode(struct view text, uint8_t *out, size_t cap)
{
    if (text.len % 2)
        return ERR_BAD;
    if (text.len / 2 > cap)
        return ERR_RANGE;
    for (size_t i = 0; i < text.len / 2; i++) {
        const int high = hex_digit(text.at[2 * i]), low = hex_digit(text.at[2 * i + 1]);
        if (high < 0 || low < 0)
            return ERR_BAD;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return 0;
}

void crypto_hex(struct view in, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < in.len; i++) {
        *out++ = digits[in.at[i] >> 4];
        *out++ = digits[in.at[i] & 15];
    }
    *out = 0;
}
