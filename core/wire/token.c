/* token.c: access tokens. */
#include "wire/token.h"

#include "base/err.h"

#include <string.h>

#define NONCE_LENGTH_LEN 2
#define KEY_LENGTH_LEN 2
#define BEHIND_KEY_LEN (8 + 4) /* timestamp, lifetime */
#define BLOCK_MAX (KEY_LENGTH_LEN + TOKEN_MAC_KEY_SHA256_LEN + BEHIND_KEY_LEN)

int token_read(struct view block, struct token *out)
{
    if (block.len < KEY_LENGTH_LEN + BEHIND_KEY_LEN)
        return ERR_BAD;
    const size_t len = get_u16(block.at);
    if (len != block.len - KEY_LENGTH_LEN - BEHIND_KEY_LEN || (len != TOKEN_MAC_KEY_LEN && len != TOKEN_MAC_KEY_SHA256_LEN))
        return ERR_BAD;
    const uint8_t *behind = block.at + KEY_LENGTH_LEN + len;
    const uint64_t stamp = get_u64(behind);
    memcpy(out->mac_key, block.at + KEY_LENGTH_LEN, len);
    out->mac_key_len = (uint8_t)len;
    out->issued_unix_ms = (int64_t)((stamp >> 16) * 1000 + (stamp & 0xffff) / 64);
    out->lifetime_s = get_u32(behind + 8);
    return 0;
}

int token_open(struct crypto *crypto, const struct token_key *key, struct view server_name, struct view value, struct token *out)
{
    uint8_t plain[BLOCK_MAX];
    struct slab block = slab_over(plain, sizeof plain);
    if (value.len < NONCE_LENGTH_LEN || get_u16(value.at) != CRYPTO_AEAD_NONCE_LEN)
        return ERR_DENIED;
    const struct view behind = view_from(value, NONCE_LENGTH_LEN);
    const struct crypto_sealed sealed = {
        .nonce = view_cut(behind, CRYPTO_AEAD_NONCE_LEN),
        .bytes = view_from(behind, CRYPTO_AEAD_NONCE_LEN),
        .bound = server_name,
    };
    int err = crypto_aead_open(crypto, key->aead, key->bytes, &sealed, &block);
    if (!err)
        err = token_read(slab_view(&block), out);
    crypto_wipe(plain, sizeof plain);
    return err;
}

int64_t token_left_ms(const struct token *token, int64_t unix_ms)
{
    const int64_t lifetime_ms = (int64_t)token->lifetime_s * 1000;
    const int64_t age_ms = unix_ms - token->issued_unix_ms;
    const int64_t left_ms = lifetime_ms + TOKEN_LEEWAY_S * 1000 - (age_ms < 0 ? -age_ms : age_ms);
    return left_ms < lifetime_ms ? left_ms : lifetime_ms;
}
