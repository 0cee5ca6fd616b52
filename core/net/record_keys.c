/* record_keys.c: from a handshake that is over to the keys of its records: RFC 8446 section 7, RFC 5246 section 6.3. */
#include "net/record.h"

#include <string.h>

#define RANDOM_LEN 32
#define LABEL_MAX 32
#define GCM_SALT_LEN 4
#define GCM_NONCE_LEN 8

/* expand_label: HKDF-Expand-Label without context; what is wanted is never longer than a hash, so that one block is enough. */
static bool expand_label(struct crypto *crypto, enum crypto_hash hash, const uint8_t *secret, const char *label, struct slab out)
{
    uint8_t info[LABEL_MAX], block[CRYPTO_HASH_MAX];
    struct slab to = slab_over(info, sizeof info);
    slab_put_u16(&to, (uint16_t)out.cap);
    slab_put_u8(&to, (uint8_t)(strlen("tls13 ") + strlen(label)));
    slab_put_text(&to, "tls13 ");
    slab_put_text(&to, label);
    slab_put_u8(&to, 0);
    slab_put_u8(&to, 1);
    const struct view part = slab_view(&to), key = view_of(secret, crypto_hash_len(hash));
    if (crypto_hmac(crypto, hash, key, &part, 1, block) != 0)
        return false;
    slab_put(&out, view_of(block, out.cap));
    crypto_wipe(block, sizeof block);
    return true;
}

static bool keys_from_secret(const struct records *records, struct crypto *crypto, struct record_keys *keys)
{
    const enum crypto_hash hash = records->hash;
    keys->sequence = 0;
    return expand_label(crypto, hash, keys->secret, "key", slab_over(keys->key, crypto_aead_key_len(records->aead))) &&
           expand_label(crypto, hash, keys->secret, "iv", slab_over(keys->iv, sizeof keys->iv));
}

bool record_keys_next(const struct records *records, struct crypto *crypto, struct record_keys *keys)
{
    uint8_t next[TLS_SECRET_MAX];
    if (!expand_label(crypto, records->hash, keys->secret, "traffic upd", slab_over(next, crypto_hash_len(records->hash))))
        return false;
    memcpy(keys->secret, next, sizeof next);
    crypto_wipe(next, sizeof next);
    return keys_from_secret(records, crypto, keys);
}

/* expand_master: P_hash of RFC 5246 section 5, with the label "key expansion". */
static bool expand_master(struct crypto *crypto, enum crypto_hash hash, const SSL *ssl, struct slab out)
{
    uint8_t server[RANDOM_LEN], client[RANDOM_LEN], master[SSL_MAX_MASTER_KEY_LENGTH], a[CRYPTO_HASH_MAX], block[CRYPTO_HASH_MAX];
    const struct view label = view_text("key expansion");
    const struct view key = view_of(master, SSL_SESSION_get_master_key(SSL_get_session(ssl), master, sizeof master));
    const size_t len = crypto_hash_len(hash);
    SSL_get_server_random(ssl, server, sizeof server);
    SSL_get_client_random(ssl, client, sizeof client);
    const struct view parts[] = {view_of(a, len), label, view_of(server, sizeof server), view_of(client, sizeof client)};
    bool good = crypto_hmac(crypto, hash, key, parts + 1, 3, a) == 0;
    while (good && out.len < out.cap) {
        good = crypto_hmac(crypto, hash, key, parts, 4, block) == 0 && crypto_hmac(crypto, hash, key, parts, 1, a) == 0;
        slab_put(&out, view_cut(view_of(block, len), out.cap - out.len));
    }
    crypto_wipe(master, sizeof master);
    crypto_wipe(block, sizeof block);
    return good;
}

static void take(struct view *from, uint8_t *to, size_t len)
{
    memcpy(to, from->at, len);
    *from = view_from(*from, len);
}

static bool keys_of_1_2(struct records *records, struct crypto *crypto, const SSL *ssl)
{
    uint8_t block[2 * (CRYPTO_AEAD_KEY_MAX + CRYPTO_AEAD_NONCE_LEN)];
    const size_t key_len = crypto_aead_key_len(records->aead);
    const size_t iv_len = records->nonce_len ? GCM_SALT_LEN : CRYPTO_AEAD_NONCE_LEN;
    struct view from = view_of(block, 2 * (key_len + iv_len));
    if (!expand_master(crypto, records->hash, ssl, slab_over(block, from.len)))
        return false;
    take(&from, records->in.key, key_len);
    take(&from, records->out.key, key_len);
    take(&from, records->in.iv, iv_len);
    take(&from, records->out.iv, iv_len);
    crypto_wipe(block, sizeof block);
    return true;
}

static bool keys_of_1_3(struct records *records, struct crypto *crypto, const struct tls_secrets *secrets)
{
    memcpy(records->in.secret, secrets->in, sizeof secrets->in);
    memcpy(records->out.secret, secrets->out, sizeof secrets->out);
    return keys_from_secret(records, crypto, &records->in) && keys_from_secret(records, crypto, &records->out);
}

/* suite: of those that tls.c allows. */
static bool suite(struct records *records, const SSL *ssl)
{
    static const struct {
        int nid;
        uint8_t aead;
    } ciphers[] = {{NID_aes_128_gcm, CRYPTO_A128GCM}, {NID_aes_256_gcm, CRYPTO_A256GCM}, {NID_chacha20_poly1305, CRYPTO_CHACHA20}};
    const SSL_CIPHER *cipher = SSL_get_current_cipher(ssl);
    const int nid = cipher ? SSL_CIPHER_get_cipher_nid(cipher) : NID_undef;
    for (size_t i = 0; i < sizeof ciphers / sizeof *ciphers; i++) {
        if (ciphers[i].nid != nid)
            continue;
        records->aead = ciphers[i].aead;
        records->hash = EVP_MD_get_type(SSL_CIPHER_get_handshake_digest(cipher)) == NID_sha384 ? CRYPTO_SHA384 : CRYPTO_SHA256;
        records->is_1_3 = SSL_version(ssl) == TLS1_3_VERSION;
        records->nonce_len = !records->is_1_3 && nid != NID_chacha20_poly1305 ? GCM_NONCE_LEN : 0;
        return true;
    }
    return false;
}

/* limit: what the client asked for by max_fragment_length. */
static uint16_t limit(const SSL *ssl)
{
    const unsigned code = SSL_SESSION_get_max_fragment_length(SSL_get_session(ssl));
    return (uint16_t)(code == TLSEXT_max_fragment_length_DISABLED ? RECORD_PLAIN_MAX : 256u << code);
}

bool records_begin(struct records *records, struct crypto *crypto, const struct handshake *handshake)
{
    const SSL *ssl = handshake->ssl;
    const struct tls_secrets *secrets = &handshake->secrets;
    if ((SSL_has_pending(ssl) && !handshake->pipe.datagrams) || !suite(records, ssl))
        return false;
    records->limit = limit(ssl);
    const bool good = records->is_1_3 ? keys_of_1_3(records, crypto, secrets) : keys_of_1_2(records, crypto, ssl);
    records->in.sequence = secrets->next_in;
    records->out.sequence = secrets->next_out;
    return good;
}
