/* keys.c: JWK Sets and PEM. Keys that are for something else are passed over (RFC 7517 section 5); one that is ours and broken is an error.
 */
#include "policy/keys.h"

#include "policy/sandbox.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECRET_MIN 32      /* of HS256: RFC 7518 section 3.2 */
#define PARAMETER_MAX 1100 /* bytes of a number of a key */

static const char *const algorithms[] = {[PUBLIC_KEY_RSA] = "RS256", [PUBLIC_KEY_P256] = "ES256", [PUBLIC_KEY_ED25519] = "EdDSA"};

static void close_key(struct key *key)
{
    public_key_free(key->public);
    if (key->secret)
        crypto_wipe(key->secret, key->secret_len);
    free(key->secret);
    free(key->kid);
}

static void free_keys(void *content)
{
    struct keys *keys = content;
    for (size_t i = 0; keys && i < keys->count; i++)
        close_key(&keys->key[i]);
    free(keys);
}

static const char *text_of(const json_t *jwk, const char *name)
{
    const char *text = json_string_value(json_object_get(jwk, name));
    return text ? text : "";
}

/* parameter: the bytes of a member in base64url; empty if it is none. */
static struct view parameter(const json_t *jwk, const char *name, uint8_t out[PARAMETER_MAX])
{
    size_t len;
    if (crypto_base64url_decode(view_text(text_of(jwk, name)), out, PARAMETER_MAX, &len))
        len = 0;
    return view_of(out, len);
}

static const char *read_rsa(const json_t *jwk, struct key *key)
{
    uint8_t n[PARAMETER_MAX], e[PARAMETER_MAX];
    key->public = public_key_rsa(parameter(jwk, "n", n), parameter(jwk, "e", e));
    return key->public ? NULL : "an RSA key of 2048 to 8192 bits expected";
}

static const char *read_ec(const json_t *jwk, struct key *key)
{
    uint8_t x[PARAMETER_MAX], y[PARAMETER_MAX];
    key->public = public_key_p256(parameter(jwk, "x", x), parameter(jwk, "y", y));
    return key->public ? NULL : "a point of P-256 expected";
}

static const char *read_okp(const json_t *jwk, struct key *key)
{
    uint8_t x[PARAMETER_MAX];
    key->public = public_key_ed25519(parameter(jwk, "x", x));
    return key->public ? NULL : "a key of Ed25519 expected";
}

static const char *read_oct(const json_t *jwk, struct key *key)
{
    uint8_t k[PARAMETER_MAX];
    const struct view secret = parameter(jwk, "k", k);
    key->secret = secret.len >= SECRET_MIN ? malloc(secret.len) : NULL;
    if (key->secret)
        memcpy(key->secret, secret.at, secret.len);
    key->secret_len = secret.len;
    crypto_wipe(k, sizeof k);
    return key->secret ? NULL : "a secret of at least 32 bytes expected";
}

static const struct {
    const char *kty, *crv, *algorithm; /* crv "": has none */
    const char *(*read)(const json_t *, struct key *);
} types[] = {
    {"RSA", "", "RS256", read_rsa},
    {"EC", "P-256", "ES256", read_ec},
    {"OKP", "Ed25519", "EdDSA", read_okp},
    {"oct", "", "HS256", read_oct},
};
#define TYPES (sizeof types / sizeof *types)

/* type_of: the row of a JWK; TYPES if it is not for us. */
static size_t type_of(const json_t *jwk)
{
    const char *use = text_of(jwk, "use"), *algorithm = text_of(jwk, "alg");
    if (*use && strcmp(use, "sig") != 0)
        return TYPES;
    size_t type = 0;
    while (type < TYPES &&
           (strcmp(types[type].kty, text_of(jwk, "kty")) != 0 || (*types[type].crv && strcmp(types[type].crv, text_of(jwk, "crv")) != 0)))
        type++;
    return type < TYPES && (!*algorithm || strcmp(algorithm, types[type].algorithm) == 0) ? type : TYPES;
}

/* add_jwk: NULL, or what is wrong with it. */
static const char *add_jwk(struct keys *keys, const json_t *jwk)
{
    const size_t type = type_of(jwk);
    if (type == TYPES)
        return NULL;
    if (keys->count == KEYS_MAX)
        return "more than 64 keys";
    struct key *key = &keys->key[keys->count++];
    const char *kid = json_string_value(json_object_get(jwk, "kid"));
    key->algorithm = types[type].algorithm;
    key->kid = kid ? strdup(kid) : NULL;
    return kid && !key->kid ? "not enough memory" : types[type].read(jwk, key);
}

static int read_set(struct keys *keys, const char *text, size_t len, char *error, size_t error_cap)
{
    json_error_t why;
    json_t *set = json_loadb(text, len, JSON_REJECT_DUPLICATES, &why);
    const json_t *list = json_object_get(set, "keys");
    const char *wrong = NULL;
    size_t i = 0;
    if (!set)
        snprintf(error, error_cap, "line %d: %.120s", why.line, why.text);
    else if (!json_is_array(list))
        snprintf(error, error_cap, "a JWK Set expected: {\"keys\": [...]}");
    for (; i < json_array_size(list) && !wrong; i++)
        wrong = add_jwk(keys, json_array_get(list, i));
    if (wrong)
        snprintf(error, error_cap, "key %zu: %s", i, wrong);
    const bool is_good = json_is_array(list) && !wrong;
    json_decref(set);
    return is_good ? 0 : -1;
}

static int read_pem(struct keys *keys, struct view text, char *error, size_t error_cap)
{
    while (memmem(text.at, text.len, "-----BEGIN", 10)) {
        struct public_key *public = public_key_pem(&text);
        if (!public || keys->count == KEYS_MAX) {
            public_key_free(public);
            snprintf(error, error_cap, "PEM: up to 64 PUBLIC KEYs of RSA (2048 to 8192 bits), P-256 or Ed25519 expected");
            return -1;
        }
        keys->key[keys->count++] = (struct key){.algorithm = algorithms[public_key_kind(public)], .public = public};
    }
    return 0;
}

static void *read_keys(const char *path, char *error, size_t error_cap)
{
    char why[JSON_ERROR_TEXT_LENGTH + 32] = "not enough memory";
    size_t len;
    const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    char *text = sandbox_read(path, &len);
    if (!text) {
        snprintf(error, error_cap, "%s: %s", name, strerror(errno));
        return NULL;
    }
    struct keys *keys = calloc(1, sizeof *keys);
    const bool json = text[strspn(text, " \t\r\n")] == '{';
    int status = !keys ? -1 : json ? read_set(keys, text, len, why, sizeof why) : read_pem(keys, view_of(text, len), why, sizeof why);
    crypto_wipe(text, len);
    free(text);
    if (status == 0 && keys->count)
        return keys;
    snprintf(error, error_cap, "%s: %s", name, status ? why : "no key of HS256, RS256, ES256 or EdDSA");
    free_keys(keys);
    return NULL;
}

const struct source_kind keys_kind = {read_keys, free_keys};

bool key_verify(const struct key *key, struct crypto *crypto, struct view text, struct view signature)
{
    uint8_t mac[CRYPTO_HASH_MAX];
    if (key->public)
        return public_key_verify(key->public, text, signature);
    return crypto_hmac(crypto, CRYPTO_SHA256, view_of(key->secret, key->secret_len), &text, 1, mac) == 0 &&
           crypto_equal(view_of(mac, crypto_hash_len(CRYPTO_SHA256)), signature);
}
