/* token.c: fuzz target: any bytes as ACCESS-TOKEN, and as what was sealed in one. */
#include "wire/token.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct crypto *crypto = crypto_new();
    const struct token_key key = {.aead = size & 1 ? CRYPTO_A128GCM : CRYPTO_A256GCM};
    struct token token;
    if (!crypto || token_open(crypto, &key, view_text("turn.example.org"), view_of(data, size), &token) == 0)
        abort();
    if (token_read(view_of(data, size), &token) == 0 && token.mac_key_len != TOKEN_MAC_KEY_LEN &&
        token.mac_key_len != TOKEN_MAC_KEY_SHA256_LEN)
        abort();
    crypto_free(crypto);
    return 0;
}
