/* crypto.c: published vectors of the digests and MACs, base64 and hex. */
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
    CHECK_INT(crypto_hash_len(CRYPTO_SHA256), 32);
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
        {CRYPTO_SHA1, view_text("Jefe"), "what do ya want for nothing?", "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"},
        {CRYPTO_SHA256, view_text("Jefe"), "what do ya want for nothing?",
         "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
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

TEST_LIST(RUN(digests_are_those_of_the_standards) RUN(macs_are_those_of_the_standards_whatever_key_was_before)
              RUN(random_bytes_differ_and_stay_in_their_bounds) RUN(equality_is_of_length_and_contents) RUN(base64_goes_both_ways)
                  RUN(what_is_no_base64_is_refused) RUN(hex_goes_both_ways_and_refuses_the_rest) RUN(no_crypto_without_memory)
                      RUN(the_clocks_run))
