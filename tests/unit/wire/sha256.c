/* sha256.c: MESSAGE-INTEGRITY-SHA256, SHA-256 keys and USERHASH: what RFC 8489 appendix B.1 prints (with its erratum), byte for byte, and
 * the rules of sections 14.5 and 14.6 about what is behind an integrity attribute and how far one may be cut. */
#include "base/err.h"
#include "test.h"
#include "wire/build.h"
#include "wire/integrity.h"

#include <stdlib.h>

#define VECTOR "tests/vectors/rfc8489_long_term_sha256.hex"
#define VECTOR_LEN 164
#define LONGEST 256
#define USER "\u30de\u30c8\u30ea\u30c3\u30af\u30b9"

static const uint8_t tid[STUN_TID_LEN] = {0x78, 0xad, 0x34, 0x33, 0xc6, 0xad, 0x72, 0xc0, 0x29, 0xda, 0x41, 0x2e};

static void load(uint8_t out[LONGEST])
{
    char *text = test_file(VECTOR);
    if (!text)
        test_failed(__FILE__, __LINE__, VECTOR " cannot be read (run from the root of the project)");
    CHECK_INT(test_hex(text, out, LONGEST), VECTOR_LEN);
    free(text);
}

static struct view right_key(struct crypto *crypto, uint8_t key[INTEGRITY_KEY_SHA256_LEN])
{
    CHECK_INT(integrity_key_sha256(crypto, view_text(USER), view_text("example.org"), view_text("TheMatrIX"), key), 0);
    return view_of(key, INTEGRITY_KEY_SHA256_LEN);
}

TEST(the_vector_opens_and_verifies)
{
    struct crypto *crypto = crypto_new();
    uint8_t bytes[LONGEST], key[INTEGRITY_KEY_SHA256_LEN], hash[INTEGRITY_USERHASH_LEN];
    struct message m;
    CHECK(crypto);
    load(bytes);
    CHECK_INT(message_open(&m, view_of(bytes, VECTOR_LEN)), 0);
    CHECK_INT(m.unknown_count, 0);
    CHECK_INT(integrity_check_sha256(crypto, &m, right_key(crypto, key)), 0);
    CHECK_INT(integrity_check(crypto, &m, view_of(key, sizeof key)), ERR_NOT_FOUND);
    CHECK_INT(integrity_userhash(crypto, view_text(USER), view_text("example.org"), hash), 0);
    CHECK(view_equal(message_attr(&m, SLOT_USERHASH), view_of(hash, sizeof hash)));
    CHECK_BYTES(message_attr(&m, SLOT_PASSWORD_ALGORITHM).at, ((const uint8_t[]){0, STUN_SHA256, 0, 0}), 4);
    CHECK(view_equal(message_attr(&m, SLOT_NONCE), view_text("obMatJos2AAACf//499k954d6OL34oL9FSTvy64sA")));
    for (unsigned at = 0; at < VECTOR_LEN; at++) {
        bytes[at] ^= 1;
        CHECK(message_open(&m, view_of(bytes, VECTOR_LEN)) != 0 || integrity_check_sha256(crypto, &m, view_of(key, sizeof key)) != 0);
        bytes[at] ^= 1;
    }
    crypto_free(crypto);
}

static void begin_vector(struct crypto *crypto, struct build *build, uint8_t room[LONGEST])
{
    uint8_t hash[INTEGRITY_USERHASH_LEN];
    CHECK_INT(integrity_userhash(crypto, view_text(USER), view_text("example.org"), hash), 0);
    build_begin(build, slab_over(room, LONGEST), METHOD_BINDING, STUN_REQUEST, tid);
    build_attr(build, ATTR_USERHASH, view_of(hash, sizeof hash));
    build_attr_text(build, ATTR_NONCE, "obMatJos2AAACf//499k954d6OL34oL9FSTvy64sA");
    build_attr_text(build, ATTR_REALM, "example.org");
    build_attr(build, ATTR_PASSWORD_ALGORITHM, view_of((const uint8_t[]){0, STUN_SHA256, 0, 0}, 4));
}

TEST(the_vector_is_built_byte_for_byte)
{
    struct crypto *crypto = crypto_new();
    uint8_t want[LONGEST], room[LONGEST], key[INTEGRITY_KEY_SHA256_LEN];
    struct build build;
    CHECK(crypto);
    load(want);
    begin_vector(crypto, &build, room);
    CHECK_INT(build_integrity_sha256(&build, crypto, right_key(crypto, key)), 0);
    const struct view whole = build_end(&build);
    CHECK_INT(whole.len, VECTOR_LEN);
    CHECK_BYTES(whole.at, want, VECTOR_LEN);
    crypto_free(crypto);
}

/* cut_to: the vector with the first `len` bytes of an HMAC made for that length. */
static int cut_to(struct crypto *crypto, struct view key, size_t len)
{
    uint8_t room[LONGEST], mac[CRYPTO_HASH_MAX + 8] = {0};
    struct build build;
    struct message m;
    begin_vector(crypto, &build, room);
    const struct view before = build_end(&build);
    uint8_t length[2];
    put_u16(length, (uint16_t)(before.len - STUN_HEADER_LEN + STUN_ATTR_HEADER_LEN + len));
    const struct view parts[] = {view_cut(before, 2), view_of(length, 2), view_from(before, 4)};
    CHECK_INT(crypto_hmac(crypto, CRYPTO_SHA256, key, parts, 3, mac), 0);
    build_attr(&build, ATTR_MESSAGE_INTEGRITY_SHA256, view_of(mac, len));
    CHECK_INT(message_open(&m, build_end(&build)), 0);
    return integrity_check_sha256(crypto, &m, key);
}

TEST(it_may_be_cut_to_sixteen_bytes_in_steps_of_four)
{
    struct crypto *crypto = crypto_new();
    uint8_t bytes[INTEGRITY_KEY_SHA256_LEN];
    CHECK(crypto);
    const struct view key = right_key(crypto, bytes);
    for (size_t len = 0; len <= 36; len++)
        CHECK_INT(cut_to(crypto, key, len), len >= 16 && len <= 32 && len % 4 == 0 ? 0 : ERR_DENIED);
    crypto_free(crypto);
}

TEST(behind_message_integrity_it_is_seen_and_signs_the_first_too)
{
    struct crypto *crypto = crypto_new();
    uint8_t room[LONGEST];
    struct build build;
    struct message m;
    CHECK(crypto);
    build_begin(&build, slab_over(room, sizeof room), METHOD_REFRESH, STUN_REQUEST, tid);
    build_attr_u32(&build, ATTR_LIFETIME, 1);
    CHECK_INT(build_integrity(&build, crypto, view_text("one")), 0);
    build_attr_text(&build, ATTR_USERNAME, "mallory");
    const size_t between = build.out.len;
    CHECK_INT(build_integrity_sha256(&build, crypto, view_text("two")), 0);
    build_attr_text(&build, ATTR_REALM, "elsewhere");
    build_fingerprint(&build);
    CHECK_INT(message_open(&m, build_end(&build)), 0);
    CHECK_INT(integrity_check(crypto, &m, view_text("one")), 0);
    CHECK_INT(integrity_check_sha256(crypto, &m, view_text("two")), 0);
    CHECK(message_before(&m, SLOT_MESSAGE_INTEGRITY_SHA256) == between);
    CHECK_INT(m.signed_len, STUN_HEADER_LEN + 8);
    CHECK(!message_has(&m, SLOT_USERNAME) && !message_has(&m, SLOT_REALM) && message_has(&m, SLOT_FINGERPRINT));
    crypto_free(crypto);
}

TEST(behind_it_only_the_fingerprint_is_seen)
{
    struct crypto *crypto = crypto_new();
    uint8_t room[LONGEST];
    struct build build;
    struct message m;
    struct view value;
    size_t cursor = 0;
    CHECK(crypto);
    build_begin(&build, slab_over(room, sizeof room), METHOD_REFRESH, STUN_REQUEST, tid);
    CHECK_INT(build_integrity_sha256(&build, crypto, view_text("two")), 0);
    CHECK_INT(build_integrity(&build, crypto, view_text("one")), 0);
    CHECK_INT(build_integrity_sha256(&build, crypto, view_text("three")), 0);
    build_attr_u32(&build, ATTR_LIFETIME, 1);
    build_attr_u32(&build, 0x7777, 1);
    build_fingerprint(&build);
    CHECK_INT(message_open(&m, build_end(&build)), 0);
    CHECK_INT(integrity_check(crypto, &m, view_text("one")), ERR_NOT_FOUND);
    CHECK_INT(integrity_check_sha256(crypto, &m, view_text("two")), 0);
    CHECK(!message_has(&m, SLOT_LIFETIME) && message_has(&m, SLOT_FINGERPRINT));
    CHECK(!message_next(&m, ATTR_LIFETIME, &cursor, &value));
    CHECK_INT(m.unknown_count, 0);
    crypto_free(crypto);
}

TEST_LIST(RUN(the_vector_opens_and_verifies) RUN(the_vector_is_built_byte_for_byte) RUN(it_may_be_cut_to_sixteen_bytes_in_steps_of_four)
              RUN(behind_message_integrity_it_is_seen_and_signs_the_first_too) RUN(behind_it_only_the_fingerprint_is_seen))
