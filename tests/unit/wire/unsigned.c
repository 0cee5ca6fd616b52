/* unsigned.c: when the library of cryptography fails, nothing is sent and nothing verifies. */
#include "base/err.h"
#include "test.h"
#include "wire/build.h"
#include "wire/integrity.h"

/* these take the place of base/crypto.c when the test is linked */
int crypto_digest(struct crypto *crypto, enum crypto_hash hash, const struct view *parts, size_t count, uint8_t *out)
{
    (void)crypto, (void)hash, (void)parts, (void)count, (void)out;
    return ERR_SYSTEM;
}

int crypto_hmac(struct crypto *crypto, enum crypto_hash hash, struct view key, const struct view *parts, size_t count, uint8_t *out)
{
    (void)crypto, (void)hash, (void)key, (void)parts, (void)count;
    memset(out, 0, crypto_hash_len(hash));
    return ERR_SYSTEM;
}

size_t crypto_hash_len(enum crypto_hash hash)
{
    return hash == CRYPTO_SHA1 ? 20 : 32;
}

bool crypto_equal(struct view a, struct view b)
{
    return view_equal(a, b);
}

TEST(a_message_that_cannot_be_signed_is_not_sent)
{
    uint8_t room[256];
    struct build build;
    build_begin(&build, slab_over(room, sizeof room), METHOD_BINDING, STUN_SUCCESS, (const uint8_t[STUN_TID_LEN]){0});
    CHECK_INT(build_integrity(&build, NULL, view_text("key")), ERR_SYSTEM);
    build_fingerprint(&build);
    CHECK_INT(build_end(&build).len, 0);
    build_begin(&build, slab_over(room, sizeof room), METHOD_BINDING, STUN_SUCCESS, (const uint8_t[STUN_TID_LEN]){0});
    CHECK_INT(build_integrity_sha256(&build, NULL, view_text("key")), ERR_SYSTEM);
    CHECK_INT(build_end(&build).len, 0);
}

TEST(a_message_that_cannot_be_checked_does_not_verify)
{
    uint8_t bytes[44] = {0, 1, 0, 24, 0x21, 0x12, 0xa4, 0x42, [21] = 8, [23] = 20}; /* its MESSAGE-INTEGRITY is zero */
    uint8_t key[INTEGRITY_KEY_LEN];
    struct message m;
    CHECK_INT(message_open(&m, view_of(bytes, sizeof bytes)), 0);
    CHECK_INT(integrity_check(NULL, &m, view_text("key")), ERR_DENIED);
    CHECK_INT(integrity_key(NULL, view_text("a"), view_text("b"), view_text("c"), key), ERR_SYSTEM);
    uint8_t strong[56] = {0, 1, 0, 36, 0x21, 0x12, 0xa4, 0x42, [21] = 0x1c, [23] = 32}; /* and its MESSAGE-INTEGRITY-SHA256 too */
    CHECK_INT(message_open(&m, view_of(strong, sizeof strong)), 0);
    CHECK_INT(integrity_check_sha256(NULL, &m, view_text("key")), ERR_DENIED);
}

TEST_LIST(RUN(a_message_that_cannot_be_signed_is_not_sent) RUN(a_message_that_cannot_be_checked_does_not_verify))
