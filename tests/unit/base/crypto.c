/* crypto.c: published vectors of the digests, MACs and AEADs, base64 and hex. */
#include "base/crypto.h"
#include "base/clock.h"
#include "base/err.h"
#include "test.h"

#include <stdlib.h>

static struct crypto *opened(void)
{
    struct crypto *crypto = crypto_new();
    CHECK(crypto);
    return crypto;
}

static void check_hex(const uint8_t *got, const char *want)
{
    char hex[2 * CRYPTO_HASH_MAX + 1];
    crypto_hex(view_of(got, strlen(want) / 2), hex);
    CHECK_TEXT(hex, want);
}

TEST(digests_are_those_of_the_standards)
{
    struct crypto *crypto = opened();
    const struct view parts[] = {view_text("a"), view_text(""), view_of(NULL, 0), view_text("bc")};
    uint8_t out[CRYPTO_HASH_MAX];
    for (int again = 0; again < 2; again++) {
        CHECK_INT(crypto_digest(crypto, CRYPTO_MD5, parts, 4, out), 0); /* RFC 1321 */
        check_hex(out, "900150983cd24fb0d6963f7d28e17f72");
        CHECK_INT(crypto_digest(crypto, CRYPTO_SHA1, parts, 4, out), 0); /* FIPS 180 */
        check_hex(out, "a9993e364706816aba3e25717850c26c9cd0d89d");
        CHECK_INT(crypto_digest(crypto, CRYPTO_SHA256, parts, 4, out), 0);
        check_hex(out, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
    CHECK_INT(crypto_digest(crypto, CRYPTO_MD5, NULL, 0, out), 0);
    check_hex(out, "d41d8cd98f00b204e9800998ecf8427e");
    CHECK_INT(crypto_hash_len(CRYPTO_MD5), 16);
    CHECK_INT(crypto_hash_len(CRYPTO_SHA1), 20);
    CHECK_INT(crypto_digest(crypto, CRYPTO_SHA384, parts, 4, out), 0);
    check_hex(out, "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7");
    CHECK_INT(crypto_hash_len(CRYPTO_SHA256), 32);
    CHECK_INT(crypto_hash_len(CRYPTO_SHA384), 48);
    crypto_free(crypto);
}

/* RFC 2202 and RFC 4231; keys alternate, so that a kept key is met as well as a changed one. */
TEST(macs_are_those_of_the_standards_whatever_key_was_before)
{
    struct crypto *crypto = opened();
    uint8_t long_key[131], out[CRYPTO_HASH_MAX];
    memset(long_key, 0xaa, sizeof long_key);
    const struct {
        enum crypto_hash hash;
        struct view key;
        const char *text, *want;
    } cases[] = {
        {CRYPTO_MD5, view_text("Jefe"), "what do ya want for nothing?", "750c783e6ab0b503eaa86e310a5db738"},
        {CRYPTO_SHA1, view_text("Jefe"), "what do ya want for nothing?", "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"},
        {CRYPTO_SHA256, view_text("Jefe"), "what do ya want for nothing?",
         "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
        {CRYPTO_SHA384, view_text("Jefe"), "what do ya want for nothing?",
         "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649"},
        {CRYPTO_SHA1, view_of(long_key, 80), "Test Using Larger Than Block-Size Key - Hash Key First",
         "aa4ae5e15272d00e95705637ce8a3b55ed402112"},
        {CRYPTO_SHA256, view_of(long_key, 131), "Test Using Larger Than Block-Size Key - Hash Key First",
         "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
        {CRYPTO_SHA1, view_text(""), "", "fbdb1d1b18aa6c08324b7d64b71fb76370690e1d"},
        {CRYPTO_SHA1, view_of(NULL, 0), "", "fbdb1d1b18aa6c08324b7d64b71fb76370690e1d"},
    };
    const size_t count = sizeof cases / sizeof *cases;
    for (size_t i = 0; i < 2 * count * count; i++) { /* each after each, and after itself */
        const size_t n = i % 2 ? i / 2 / count : i / 2 % count;
        const struct view text = view_text(cases[n].text);
        const struct view parts[] = {view_cut(text, 5), view_from(text, 5)};
        CHECK_INT(crypto_hmac(crypto, cases[n].hash, cases[n].key, parts, 2, out), 0);
        check_hex(out, cases[n].want);
    }
    crypto_free(crypto);
}

/* struct seal: test cases of McGrew and Viega's specification of GCM, and RFC 8439 section 2.8.2; `bytes` end with the tag. */
static const struct seal {
    enum crypto_aead aead;
    const char *key, *nonce, *bound, *bytes, *text;
} seals[] = {
    {CRYPTO_A128GCM, "00000000000000000000000000000000", "000000000000000000000000", "", "58e2fccefa7e3061367f1d57a4e7455a", ""},
    {CRYPTO_A128GCM, "00000000000000000000000000000000", "000000000000000000000000", "",
     "0388dace60b6a392f328c2b971b2fe78ab6e47d42cec13bdf53a67b21257bddf", "00000000000000000000000000000000"},
    {CRYPTO_A128GCM, "feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888", "feedfacedeadbeeffeedfacedeadbeefabaddad2",
     "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091"
     "5bc94fbc3221a5db94fae95ae7121a47",
     "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"},
    {CRYPTO_A256GCM, "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888",
     "feedfacedeadbeeffeedfacedeadbeefabaddad2",
     "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
     "76fc6ece0f4e1768cddf8853bb2d551b",
     "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"},
    {CRYPTO_CHACHA20, "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f", "070000004041424344454647",
     "50515253c0c1c2c3c4c5c6c7",
     "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b6"
     "7ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc3ff4def08e4b7a9de576d26586cec64b61161ae10b594f09"
     "e26a7e902ecbd0600691",
     "4c616469657320616e642047656e746c656d656e206f662074686520636c617373206f66202739393a204966204920636f756c64206f6666657220796f"
     "75206f6e6c79206f6e652074697020666f7220746865206675747572652c2073756e73637265656e20776f756c642062652069742e"},
};

/* struct opened_seal: a seal as bytes; `sealed` looks into it. */
struct opened_seal {
    uint8_t key[CRYPTO_AEAD_KEY_MAX], nonce[CRYPTO_AEAD_NONCE_LEN], bound[32], bytes[144], text[144];
    struct crypto_sealed sealed;
    size_t text_len;
};

static struct view from_hex(const char *hex, uint8_t *out, size_t cap)
{
    CHECK_INT(crypto_hex_decode(view_text(hex), out, cap), 0);
    return view_of(out, strlen(hex) / 2);
}

static void seal_bytes(const struct seal *seal, struct opened_seal *out)
{
    from_hex(seal->key, out->key, sizeof out->key);
    CHECK_INT(strlen(seal->key) / 2, crypto_aead_key_len(seal->aead));
    out->sealed.nonce = from_hex(seal->nonce, out->nonce, sizeof out->nonce);
    out->sealed.bound = from_hex(seal->bound, out->bound, sizeof out->bound);
    out->sealed.bytes = from_hex(seal->bytes, out->bytes, sizeof out->bytes);
    out->text_len = from_hex(seal->text, out->text, sizeof out->text).len;
}

#define SEALS (sizeof seals / sizeof *seals)

TEST(what_is_sealed_opens_as_the_standard_says_whatever_was_opened_before)
{
    struct crypto *crypto = opened();
    for (size_t i = 0; i < 2 * SEALS; i++) {
        struct opened_seal seal;
        seal_bytes(&seals[i % SEALS], &seal);
        uint8_t *sealed = test_guarded(seal.bytes, seal.sealed.bytes.len);
        struct crypto_sealed flush = seal.sealed;
        flush.bytes.at = sealed;
        uint8_t plain[144];
        struct slab slab = slab_over(plain, seal.text_len);
        CHECK_INT(crypto_aead_open(crypto, seals[i % SEALS].aead, seal.key, &flush, &slab), 0);
        CHECK_INT(slab.len, seal.text_len);
        CHECK_BYTES(plain, seal.text, seal.text_len);
        test_unguard(sealed, seal.sealed.bytes.len);
    }
    crypto_free(crypto);
}

TEST(what_is_sealed_is_what_the_standard_says_where_it_lies_and_elsewhere)
{
    struct crypto *crypto = opened();
    for (size_t i = 0; i < 2 * SEALS; i++) {
        struct opened_seal seal;
        uint8_t in_place[144], elsewhere[144];
        seal_bytes(&seals[i % SEALS], &seal);
        memcpy(in_place, seal.text, seal.text_len);
        struct crypto_sealed plain = seal.sealed;
        plain.bytes = view_of(in_place, seal.text_len);
        CHECK_INT(crypto_aead_seal(crypto, seals[i % SEALS].aead, seal.key, &plain, elsewhere), 0);
        CHECK_BYTES(elsewhere, seal.bytes, seal.sealed.bytes.len);
        CHECK_INT(crypto_aead_seal(crypto, seals[i % SEALS].aead, seal.key, &plain, in_place), 0);
        CHECK_BYTES(in_place, seal.bytes, seal.sealed.bytes.len);
    }
    crypto_free(crypto);
}

TEST(a_seal_that_was_touched_anywhere_does_not_open_and_leaves_nothing)
{
    struct crypto *crypto = opened();
    for (size_t i = 0; i < SEALS; i++) {
        struct opened_seal seal;
        uint8_t plain[144], zero[144] = {0};
        seal_bytes(&seals[i], &seal);
        struct {
            uint8_t *at;
            size_t len;
        } parts[] = {{seal.key, crypto_aead_key_len(seals[i].aead)},
                     {seal.nonce, sizeof seal.nonce},
                     {seal.bound, seal.sealed.bound.len},
                     {seal.bytes, seal.sealed.bytes.len}};
        for (size_t part = 0; part < 4; part++)
            for (size_t bit = 0; bit < 8 * parts[part].len; bit++) {
                struct slab slab = slab_over(plain, sizeof plain);
                parts[part].at[bit / 8] ^= (uint8_t)(1 << bit % 8);
                memset(plain, 0xee, sizeof plain);
                CHECK_INT(crypto_aead_open(crypto, seals[i].aead, seal.key, &seal.sealed, &slab), ERR_DENIED);
                CHECK_INT(slab.len, 0);
                CHECK_BYTES(plain, zero, seal.text_len);
                parts[part].at[bit / 8] ^= (uint8_t)(1 << bit % 8);
            }
    }
    crypto_free(crypto);
}

TEST(lengths_that_cannot_be_are_denied_before_anything_is_opened)
{
    struct crypto *crypto = opened();
    struct opened_seal seal;
    seal_bytes(&seals[2], &seal);
    uint8_t plain[144];
    for (size_t len = 0; len < seal.sealed.bytes.len; len++) {
        struct crypto_sealed cut = seal.sealed;
        struct slab slab = slab_over(plain, sizeof plain);
        cut.bytes.len = len;
        CHECK_INT(crypto_aead_open(crypto, CRYPTO_A128GCM, seal.key, &cut, &slab), ERR_DENIED);
    }
    for (size_t len = 0; len < CRYPTO_AEAD_NONCE_LEN; len++) {
        struct crypto_sealed cut = seal.sealed;
        struct slab slab = slab_over(plain, sizeof plain);
        cut.nonce.len = len;
        CHECK_INT(crypto_aead_open(crypto, CRYPTO_A128GCM, seal.key, &cut, &slab), ERR_DENIED);
    }
    struct slab small = slab_over(plain, seal.text_len - 1);
    CHECK_INT(crypto_aead_open(crypto, CRYPTO_A128GCM, seal.key, &seal.sealed, &small), ERR_DENIED);
    CHECK(!small.overflow && small.len == 0);
    crypto_free(crypto);
}

TEST(random_bytes_differ_and_stay_in_their_bounds)
{
    uint8_t *a = test_guarded("", 0), b[64] = {0}, c[64] = {0};
    crypto_random(a, 0);
    test_unguard(a, 0);
    crypto_random(b + 1, 62);
    crypto_random(c + 1, 62);
    CHECK(memcmp(b, c, 64) != 0);
    CHECK(b[0] == 0 && b[63] == 0);
}

TEST(equality_is_of_length_and_contents)
{
    CHECK(crypto_equal(view_text("abc"), view_text("abc")));
    CHECK(!crypto_equal(view_text("abc"), view_text("abd")));
    CHECK(!crypto_equal(view_text("abc"), view_text("abcd")));
    CHECK(crypto_equal(view_of(NULL, 0), view_text("")));
    char secret[8] = "secret";
    crypto_wipe(secret, sizeof secret);
    CHECK_BYTES(secret, "\0\0\0\0\0\0\0\0", 8);
}

/* RFC 4648 section 10 */
TEST(base64_goes_both_ways)
{
    static const struct {
        const char *plain, *coded;
    } cases[] = {{"", ""},
                 {"f", "Zg=="},
                 {"fo", "Zm8="},
                 {"foo", "Zm9v"},
                 {"foob", "Zm9vYg=="},
                 {"fooba", "Zm9vYmE="},
                 {"foobar", "Zm9vYmFy"},
                 {"\xff\xef\xbe\xfb", "/+++"
                                      "+w=="}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char coded[16];
        uint8_t plain[8];
        size_t len;
        CHECK_INT(crypto_base64(view_text(cases[i].plain), coded), strlen(cases[i].coded));
        CHECK_TEXT(coded, cases[i].coded);
        CHECK_INT(crypto_base64_decode(view_text(coded), plain, sizeof plain, &len), 0);
        CHECK(view_equal(view_of(plain, len), view_text(cases[i].plain)));
    }
}

TEST(base64_of_tokens_has_no_padding_and_an_alphabet_of_its_own)
{
    static const char *const bad[] = {"Z", "Zg==", "Zm9vY", "+A", "/A", "Zh", "Zm9", "Z\n", "Zg "};
    static const struct {
        const char *plain, *coded;
    } cases[] = {{"", ""}, {"f", "Zg"}, {"fo", "Zm8"}, {"foo", "Zm9v"}, {"\xff\xef\xbe\xfb", "_--"
                                                                                          "--w"}};
    uint8_t plain[8];
    size_t len;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char coded[16];
        CHECK_INT(crypto_base64url(view_text(cases[i].plain), coded), strlen(cases[i].coded));
        CHECK_TEXT(coded, cases[i].coded);
        CHECK_INT(crypto_base64url_decode(view_text(coded), plain, sizeof plain, &len), 0);
        CHECK(view_equal(view_of(plain, len), view_text(cases[i].plain)));
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (crypto_base64url_decode(view_text(bad[i]), plain, sizeof plain, &len) != ERR_BAD)
            test_failed(__FILE__, __LINE__, "\"%s\" is accepted", bad[i]);
    CHECK_INT(crypto_base64url_decode(view_text("Zm9v"), plain, 2, &len), ERR_RANGE);
}

TEST(what_is_no_base64_is_refused)
{
    static const char *const cases[] = {"Z",      "Zg",   "Zg=",  "Zg===", "====", "Z===", "Zg==Zg==", "Zm8=Zm8=",
                                        "Zm9v\n", "Zm 9", "Zm9-", "Zm9_",  "Zh==", "Zm9=", "=Zm9",     "Z=m9"};
    uint8_t out[16];
    size_t len;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (crypto_base64_decode(view_text(cases[i]), out, sizeof out, &len) != ERR_BAD)
            test_failed(__FILE__, __LINE__, "\"%s\" is accepted", cases[i]);
    CHECK_INT(crypto_base64_decode(view_text("Zm9vYmFy"), out, 5, &len), ERR_RANGE);
    CHECK_INT(crypto_base64_decode(view_text("Zm9vYmFy"), out, 6, &len), 0);
    CHECK_INT(crypto_base64_decode(view_text("Zg=="), out, 1, &len), 0);
}

TEST(hex_goes_both_ways_and_refuses_the_rest)
{
    uint8_t out[4];
    char text[9];
    CHECK_INT(crypto_hex_decode(view_text("00fFAa19"), out, sizeof out), 0);
    CHECK_BYTES(out, "\x00\xff\xaa\x19", 4);
    crypto_hex(view_of(out, 4), text);
    CHECK_TEXT(text, "00ffaa19");
    crypto_hex(view_of(NULL, 0), text);
    CHECK_TEXT(text, "");
    CHECK_INT(crypto_hex_decode(view_text("0"), out, sizeof out), ERR_BAD);
    CHECK_INT(crypto_hex_decode(view_text("0g"), out, sizeof out), ERR_BAD);
    CHECK_INT(crypto_hex_decode(view_text("0x11"), out, sizeof out), ERR_BAD);
    CHECK_INT(crypto_hex_decode(view_text("\x10\x11"), out, sizeof out), ERR_BAD); /* 0x10 | 0x20 is '0' */
    CHECK_INT(crypto_hex_decode(view_text("0011223344"), out, sizeof out), ERR_RANGE);
}

TEST(no_crypto_without_memory)
{
    test_fail_malloc_after(0);
    struct crypto *crypto = crypto_new();
    test_fail_malloc_after(-1);
    CHECK(!crypto);
    crypto_free(NULL);
}

TEST(the_clocks_run)
{
    const msec_t first = clock_monotonic_ms();
    CHECK(first > 0);
    CHECK(clock_monotonic_ms() >= first);
    CHECK(clock_unix_ms() > INT64_C(1700000000000));
}

TEST(what_is_drawn_is_never_drawn_again)
{
    enum { DRAWS = 200 };
    static uint64_t seen[DRAWS];
    struct crypto *crypto = opened();
    uint8_t much[1000] = {0};
    for (size_t i = 0; i < DRAWS; i++) {
        crypto_draw(crypto, &seen[i], sizeof seen[i]);
        for (size_t k = 0; k < i; k++)
            CHECK(seen[k] != seen[i]);
    }
    crypto_draw(crypto, much, 0);
    CHECK(much[0] == 0);
    crypto_draw(crypto, much, sizeof much); /* more than the store holds */
    CHECK(memcmp(much, much + 500, 500) != 0);
    crypto_free(crypto);
}

TEST_LIST(RUN(what_is_drawn_is_never_drawn_again) RUN(digests_are_those_of_the_standards) RUN(macs_are_those_of_the_standards_whatever_key_was_before)
              RUN(what_is_sealed_opens_as_the_standard_says_whatever_was_opened_before)
                  RUN(what_is_sealed_is_what_the_standard_says_where_it_lies_and_elsewhere) RUN(a_seal_that_was_touched_anywhere_does_not_open_and_leaves_nothing)
                      RUN(lengths_that_cannot_be_are_denied_before_anything_is_opened) RUN(random_bytes_differ_and_stay_in_their_bounds)
                          RUN(equality_is_of_length_and_contents) RUN(base64_goes_both_ways) RUN(base64_of_tokens_has_no_padding_and_an_alphabet_of_its_own) RUN(what_is_no_base64_is_refused)
                              RUN(hex_goes_both_ways_and_refuses_the_rest) RUN(no_crypto_without_memory) RUN(the_clocks_run))
