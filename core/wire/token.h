/* token.h: the self-contained access token of ACCESS-TOKEN, RFC 7635 section 6.2, and how long it is good for, sections 7 and 9.
 *
 *      0                   1                   2                   3
 *      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *     |         nonce_length          |           nonce (12)         ...   in the open
 *     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *     |          key_length           |       mac_key (20 or 32)     ...   sealed with AES-GCM, bound to the server's name
 *     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *     |             timestamp: seconds since 1970 (48 bits)          ...
 *     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *     |                               |   and 1/64000 of a second     |
 *     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *     |                           lifetime_s                          |
 *     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *     |                            tag (128 bits)                    ...
 *
 * The authorization server makes it; the client cannot read it and got mac_key beside it, with which it signs: 20 bytes for
 * MESSAGE-INTEGRITY, 32 for MESSAGE-INTEGRITY-SHA256. All lengths are an attacker's until the tag is right, and are held against the bytes
 * after that too.
 */
#ifndef RELAY_WIRE_TOKEN_H
#define RELAY_WIRE_TOKEN_H

#include "base/crypto.h"

#define TOKEN_MAC_KEY_LEN 20
#define TOKEN_MAC_KEY_SHA256_LEN 32
#define TOKEN_LEEWAY_S 5 /* how far the clocks of the two servers may be apart */

/* struct token_key: shared by the authorization server and this one; the kid names it. */
struct token_key {
    enum crypto_aead aead;
    uint8_t bytes[CRYPTO_AEAD_KEY_MAX];
};

struct token {
    uint8_t mac_key[TOKEN_MAC_KEY_SHA256_LEN];
    uint8_t mac_key_len; /* 20 or 32 */
    int64_t issued_unix_ms;
    uint32_t lifetime_s;
};

/* token_open: the token in the value of ACCESS-TOKEN, for the server of this name. 0; ERR_DENIED: not sealed under this key for this name;
 * ERR_BAD: what was sealed is no token. */
int token_open(struct crypto *, const struct token_key *, struct view server_name, struct view value, struct token *out);

/* token_read: the encrypted block, decrypted. 0 or ERR_BAD. */
int token_read(struct view block, struct token *out);

/* token_left_ms: how long it is still good for: never more than its lifetime; 0 or less: it is not. A token from the future is good for as
 * much less. */
int64_t token_left_ms(const struct token *, int64_t unix_ms);

#endif
