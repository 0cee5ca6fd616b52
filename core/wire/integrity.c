/* integrity.c: keys, MESSAGE-INTEGRITY and MESSAGE-INTEGRITY-SHA256, FINGERPRINT's CRC. */
#include "wire/integrity.h"

#include "base/err.h"

static int key_of(struct crypto *crypto, enum crypto_hash hash, const struct view text[3], uint8_t *key)
{
    const struct view colon = view_text(":");
    const struct view parts[] = {text[0], colon, text[1], colon, text[2]};
    return crypto_digest(crypto, hash, parts, sizeof parts / sizeof *parts, key);
}

int integrity_key(struct crypto *crypto, struct view username, struct view realm, struct view password, uint8_t key[INTEGRITY_KEY_LEN])
{
    return key_of(crypto, CRYPTO_MD5, (const struct view[]){username, realm, password}, key);
}

int integrity_key_sha256(struct crypto *crypto, struct view username, struct view realm, struct view password,
                         uint8_t key[INTEGRITY_KEY_SHA256_LEN])
{
    return key_of(crypto, CRYPTO_SHA256, (const struct view[]){username, realm, password}, key);
}

int integrity_userhash(struct crypto *crypto, struct view username, struct view realm, uint8_t hash[INTEGRITY_USERHASH_LEN])
{
    const struct view parts[] = {username, view_text(":"), realm};
    return crypto_digest(crypto, CRYPTO_SHA256, parts, sizeof parts / sizeof *parts, hash);
}

bool integrity_is_userhash(struct crypto *crypto, struct view username, struct view realm, struct view hash)
{
    uint8_t own[INTEGRITY_USERHASH_LEN];
    return integrity_userhash(crypto, username, realm, own) == 0 && crypto_equal(view_of(own, sizeof own), hash);
}

/* mac_of: what the integrity attribute in `slot` must hold; its own length is signed with the header. */
static int mac_of(struct crypto *crypto, const struct message *message, enum attr_slot slot, struct view key, uint8_t mac[CRYPTO_HASH_MAX])
{
    const size_t before = message_before(message, slot);
    uint8_t length[2];
    put_u16(length, (uint16_t)(before - STUN_HEADER_LEN + STUN_ATTR_HEADER_LEN + message_attr(message, slot).len));
    const struct view parts[] = {view_cut(message->bytes, 2), view_of(length, 2), view_from(view_cut(message->bytes, before), 4)};
    return crypto_hmac(crypto, slot == SLOT_MESSAGE_INTEGRITY ? CRYPTO_SHA1 : CRYPTO_SHA256, key, parts, sizeof parts / sizeof *parts, mac);
}

int integrity_check(struct crypto *crypto, const struct message *message, struct view key)
{
    const struct view value = message_attr(message, SLOT_MESSAGE_INTEGRITY);
    uint8_t mac[CRYPTO_HASH_MAX];
    if (!value.at)
        return ERR_NOT_FOUND;
    if (value.len != INTEGRITY_SHA1_LEN || mac_of(crypto, message, SLOT_MESSAGE_INTEGRITY, key, mac))
        return ERR_DENIED;
    return crypto_equal(value, view_of(mac, INTEGRITY_SHA1_LEN)) ? 0 : ERR_DENIED;
}

int integrity_check_sha256(struct crypto *crypto, const struct message *message, struct view key)
{
    const struct view value = message_attr(message, SLOT_MESSAGE_INTEGRITY_SHA256);
    uint8_t mac[CRYPTO_HASH_MAX];
    if (!value.at)
        return ERR_NOT_FOUND;
    if (value.len < INTEGRITY_SHA256_LEAST || value.len > INTEGRITY_SHA256_LEN || value.len % 4)
        return ERR_DENIED;
    if (mac_of(crypto, message, SLOT_MESSAGE_INTEGRITY_SHA256, key, mac))
        return ERR_DENIED;
    return crypto_equal(value, view_of(mac, value.len)) ? 0 : ERR_DENIED;
}

/* crc_nibble[k][n]: what nibble `n` at bit 4k of the register becomes 32 bits later (polynomial 0xEDB88320, reflected). A word is
 * eight lookups that do not wait for each other, from 512 bytes of table. */
static const uint32_t crc_nibble[8][16] = {
    {0x00000000, 0xb8bc6765, 0xaa09c88b, 0x12b5afee, 0x8f629757, 0x37def032, 0x256b5fdc, 0x9dd738b9, 0xc5b428ef, 0x7d084f8a, 0x6fbde064,
     0xd7018701, 0x4ad6bfb8, 0xf26ad8dd, 0xe0df7733, 0x58631056},
    {0x00000000, 0x5019579f, 0xa032af3e, 0xf02bf8a1, 0x9b14583d, 0xcb0d0fa2, 0x3b26f703, 0x6b3fa09c, 0xed59b63b, 0xbd40e1a4, 0x4d6b1905,
     0x1d724e9a, 0x764dee06, 0x2654b999, 0xd67f4138, 0x866616a7},
    {0x00000000, 0x01c26a37, 0x0384d46e, 0x0246be59, 0x0709a8dc, 0x06cbc2eb, 0x048d7cb2, 0x054f1685, 0x0e1351b8, 0x0fd13b8f, 0x0d9785d6,
     0x0c55efe1, 0x091af964, 0x08d89353, 0x0a9e2d0a, 0x0b5c473d},
    {0x00000000, 0x1c26a370, 0x384d46e0, 0x246be590, 0x709a8dc0, 0x6cbc2eb0, 0x48d7cb20, 0x54f16850, 0xe1351b80, 0xfd13b8f0, 0xd9785d60,
     0xc55efe10, 0x91af9640, 0x8d893530, 0xa9e2d0a0, 0xb5c473d0},
    {0x00000000, 0x191b3141, 0x32366282, 0x2b2d53c3, 0x646cc504, 0x7d77f445, 0x565aa786, 0x4f4196c7, 0xc8d98a08, 0xd1c2bb49, 0xfaefe88a,
     0xe3f4d9cb, 0xacb54f0c, 0xb5ae7e4d, 0x9e832d8e, 0x87981ccf},
    {0x00000000, 0x4ac21251, 0x958424a2, 0xdf4636f3, 0xf0794f05, 0xbabb5d54, 0x65fd6ba7, 0x2f3f79f6, 0x3b83984b, 0x71418a1a, 0xae07bce9,
     0xe4c5aeb8, 0xcbfad74e, 0x8138c51f, 0x5e7ef3ec, 0x14bce1bd},
    {0x00000000, 0x77073096, 0xee0e612c, 0x990951ba, 0x076dc419, 0x706af48f, 0xe963a535, 0x9e6495a3, 0x0edb8832, 0x79dcb8a4, 0xe0d5e91e,
     0x97d2d988, 0x09b64c2b, 0x7eb17cbd, 0xe7b82d07, 0x90bf1d91},
    {0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8,
     0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c},
};

uint32_t integrity_crc32(struct view bytes)
{
    uint32_t crc = UINT32_MAX;
    size_t at = 0;
    for (; bytes.len - at >= 4; at += 4) {
        const uint8_t *word = bytes.at + at;
        crc ^= (uint32_t)word[0] | (uint32_t)word[1] << 8 | (uint32_t)word[2] << 16 | (uint32_t)word[3] << 24;
        crc = crc_nibble[0][crc & 15] ^ crc_nibble[1][crc >> 4 & 15] ^ crc_nibble[2][crc >> 8 & 15] ^ crc_nibble[3][crc >> 12 & 15] ^
              crc_nibble[4][crc >> 16 & 15] ^ crc_nibble[5][crc >> 20 & 15] ^ crc_nibble[6][crc >> 24 & 15] ^ crc_nibble[7][crc >> 28];
    }
    for (; at < bytes.len; at++) {
        crc ^= bytes.at[at];
        crc = crc >> 8 ^ crc_nibble[6][crc & 15] ^ crc_nibble[7][crc >> 4 & 15];
    }
    return ~crc;
}
