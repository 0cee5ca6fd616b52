/* public_key.c: keys and signatures over libcrypto. What it leaves in its queue of errors is taken out again: TLS looks there too. */
#include "base/public_key.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>

#define COORDINATE_LEN 32
#define EXPONENT_MAX 8

struct public_key {
    enum public_key_kind kind;
    EVP_PKEY *key;
};

static bool is_allowed_rsa(const EVP_PKEY *key)
{
    const int bits = EVP_PKEY_get_bits(key);
    return bits >= PUBLIC_KEY_RSA_BITS_MIN && bits <= PUBLIC_KEY_RSA_BITS_MAX;
}

static bool is_p256(const EVP_PKEY *key)
{
    char group[32];
    size_t len;
    return EVP_PKEY_get_group_name(key, group, sizeof group, &len) && strcmp(group, SN_X9_62_prime256v1) == 0;
}

static bool is_any(const EVP_PKEY *key)
{
    return key != NULL;
}

static const struct {
    const char *name, *digest; /* digest NULL: the signature is over the text itself */
    bool (*is_allowed)(const EVP_PKEY *);
} kinds[] = {
    [PUBLIC_KEY_RSA] = {"RSA", "SHA256", is_allowed_rsa},
    [PUBLIC_KEY_P256] = {"EC", "SHA256", is_p256},
    [PUBLIC_KEY_ED25519] = {"ED25519", NULL, is_any},
};

/* adopt: takes `key` over (NULL is fine), if it is one of ours. Ends what ERR_set_mark began. */
static struct public_key *adopt(EVP_PKEY *key)
{
    struct public_key *out = key ? calloc(1, sizeof *out) : NULL;
    for (size_t kind = 0; out && kind < sizeof kinds / sizeof *kinds; kind++)
        if (EVP_PKEY_is_a(key, kinds[kind].name) && kinds[kind].is_allowed(key)) {
            *out = (struct public_key){(enum public_key_kind)kind, key};
            break;
        }
    ERR_pop_to_mark();
    if (out && out->key)
        return out;
    EVP_PKEY_free(key);
    free(out);
    return NULL;
}

/* from_params: a key of that name from what was pushed; NULL if it is none. */
static EVP_PKEY *from_params(const char *name, OSSL_PARAM_BLD *build)
{
    EVP_PKEY *key = NULL;
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, name, NULL);
    if (params && context && EVP_PKEY_fromdata_init(context) > 0 && EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, params) <= 0)
        key = NULL;
    EVP_PKEY_CTX_free(context);
    OSSL_PARAM_free(params);
    return key;
}

struct public_key *public_key_rsa(struct view n, struct view e)
{
    if (n.len == 0 || n.len > PUBLIC_KEY_RSA_BITS_MAX / 8 + 1 || e.len == 0 || e.len > EXPONENT_MAX)
        return NULL;
    ERR_set_mark();
    EVP_PKEY *key = NULL;
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    BIGNUM *modulus = BN_bin2bn(n.at, (int)n.len, NULL), *exponent = BN_bin2bn(e.at, (int)e.len, NULL);
    if (build && modulus && exponent && BN_is_odd(modulus) && BN_is_odd(exponent) && !BN_is_one(exponent) &&
        OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, modulus) && OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, exponent))
        key = from_params("RSA", build);
    OSSL_PARAM_BLD_free(build);
    BN_free(modulus);
    BN_free(exponent);
    return adopt(key);
}

struct public_key *public_key_p256(struct view x, struct view y)
{
    uint8_t point[1 + 2 * COORDINATE_LEN] = {POINT_CONVERSION_UNCOMPRESSED};
    if (x.len != COORDINATE_LEN || y.len != COORDINATE_LEN)
        return NULL;
    memcpy(point + 1, x.at, COORDINATE_LEN);
    memcpy(point + 1 + COORDINATE_LEN, y.at, COORDINATE_LEN);
    ERR_set_mark();
    EVP_PKEY *key = NULL;
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    if (build && OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, SN_X9_62_prime256v1, 0) &&
        OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point))
        key = from_params("EC", build);
    OSSL_PARAM_BLD_free(build);
    return adopt(key);
}

struct public_key *public_key_ed25519(struct view x)
{
    ERR_set_mark();
    return adopt(EVP_PKEY_new_raw_public_key_ex(NULL, "ED25519", NULL, x.at, x.len));
}

struct public_key *public_key_pem(struct view *text)
{
    ERR_set_mark();
    BIO *bio = BIO_new_mem_buf(text->at, (int)text->len);
    EVP_PKEY *key = bio ? PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL) : NULL;
    const size_t left = bio ? BIO_ctrl_pending(bio) : 0;
    *text = view_from(*text, text->len - left);
    BIO_free(bio);
    return adopt(key);
}

void public_key_free(struct public_key *key)
{
    if (key)
        EVP_PKEY_free(key->key);
    free(key);
}

enum public_key_kind public_key_kind(const struct public_key *key)
{
    return key->kind;
}

/* put_integer: a positive INTEGER of DER, in as few bytes as can be. */
static void put_integer(struct slab *out, struct view number)
{
    while (number.len > 1 && number.at[0] == 0)
        number = view_from(number, 1);
    const bool is_high = number.at[0] & 0x80; /* it would be negative */
    slab_put_u8(out, 0x02);
    slab_put_u8(out, (uint8_t)(number.len + is_high));
    if (is_high)
        slab_put_u8(out, 0);
    slab_put(out, number);
}

/* ecdsa_der: the two numbers as libcrypto wants them, RFC 3279 section 2.2.3. */
static struct view ecdsa_der(struct view signature, uint8_t der[8 + 2 * COORDINATE_LEN])
{
    struct slab out = slab_over(der + 2, 6 + 2 * COORDINATE_LEN);
    if (signature.len != 2 * COORDINATE_LEN)
        return view_of(NULL, 0);
    put_integer(&out, view_cut(signature, COORDINATE_LEN));
    put_integer(&out, view_from(signature, COORDINATE_LEN));
    der[0] = 0x30;
    der[1] = (uint8_t)out.len;
    return view_of(der, 2 + out.len);
}

bool public_key_verify(const struct public_key *key, struct view text, struct view signature)
{
    uint8_t der[8 + 2 * COORDINATE_LEN];
    if (key->kind == PUBLIC_KEY_P256)
        signature = ecdsa_der(signature, der);
    if (signature.len == 0)
        return false;
    ERR_set_mark();
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    const bool is_good = context && EVP_DigestVerifyInit_ex(context, NULL, kinds[key->kind].digest, NULL, NULL, key->key, NULL) > 0 &&
                         EVP_DigestVerify(context, signature.at, signature.len, text.at, text.len) == 1;
    EVP_MD_CTX_free(context);
    ERR_pop_to_mark();
    return is_good;
}
