/* token.c: the tokens of RFC 7635 appendix A, every prefix and mutation of them, blocks whose lengths lie, and how long a token is good
 * for. */
#include "wire/token.h"

#include "base/err.h"
#include "test.h"

#include <stdlib.h>

#define NAME "blackdow.carleon.gov"
#define LTK "HGkj32KJGiuy098sdfaqbNjOiaz71923"
#define MAC_KEY "ZksjpweoixXmvn67534m"
#define TOKEN_LEN 64
#define BLOCK_LEN (2 + TOKEN_MAC_KEY_LEN + 8 + 4)
#define ISSUED_MS INT64_C(1410984813000) /* 92470300704768 / 65536 s */

static const struct {
    enum crypto_aead aead;
    const char *path;
} vectors[] = {
    {CRYPTO_A128GCM, "tests/vectors/rfc7635_token_a128gcm.hex"},
    {CRYPTO_A256GCM, "tests/vectors/rfc7635_token_a256gcm.hex"},
};

#define VECTORS (sizeof vectors / sizeof *vectors)

static void load(const char *path, uint8_t token[TOKEN_LEN])
{
    char *text = test_file(path);
    CHECK(text);
    CHECK_INT(test_hex(text, token, TOKEN_LEN), TOKEN_LEN);
    free(text);
}

static struct token_key key_of(enum crypto_aead aead)
{
    struct token_key key = {.aead = aead};
    memcpy(key.bytes, LTK, crypto_aead_key_len(aead));
    return key;
}

TEST(the_tokens_of_appendix_a_open)
{
    struct crypto *crypto = crypto_new();
    for (size_t i = 0; i < VECTORS; i++) {
        uint8_t bytes[TOKEN_LEN];
        struct token token;
        const struct token_key key = key_of(vectors[i].aead);
        load(vectors[i].path, bytes);
        uint8_t *guarded = test_guarded(bytes, TOKEN_LEN);
        CHECK_INT(token_open(crypto, &key, view_text(NAME), view_of(guarded, TOKEN_LEN), &token), 0);
        CHECK_INT(token.mac_key_len, strlen(MAC_KEY));
        CHECK_BYTES(token.mac_key, MAC_KEY, strlen(MAC_KEY));
        CHECK_INT(token.issued_unix_ms, ISSUED_MS);
        CHECK_INT(token.lifetime_s, 3600);
        test_unguard(guarded, TOKEN_LEN);
    }
    crypto_free(crypto);
}

TEST(a_token_opens_for_its_server_and_under_its_key_alone)
{
    struct crypto *crypto = crypto_new();
    for (size_t i = 0; i < VECTORS; i++) {
        static const char *const names[] = {"", "blackdow.carleon.go", NAME ".", "Blackdow.carleon.gov", "turn.example.org"};
        uint8_t bytes[TOKEN_LEN];
        struct token token;
        struct token_key key = key_of(vectors[i].aead);
        load(vectors[i].path, bytes);
        for (size_t n = 0; n < sizeof names / sizeof *names; n++)
            CHECK_INT(token_open(crypto, &key, view_text(names[n]), view_of(bytes, TOKEN_LEN), &token), ERR_DENIED);
        key.bytes[0] ^= 1;
        CHECK_INT(token_open(crypto, &key, view_text(NAME), view_of(bytes, TOKEN_LEN), &token), ERR_DENIED);
        key = key_of(vectors[!i].aead);
        CHECK_INT(token_open(crypto, &key, view_text(NAME), view_of(bytes, TOKEN_LEN), &token), ERR_DENIED);
    }
    crypto_free(crypto);
}

TEST(no_prefix_and_no_changed_bit_of_a_token_opens)
{
    struct crypto *crypto = crypto_new();
    const struct token_key key = key_of(CRYPTO_A256GCM);
    uint8_t bytes[TOKEN_LEN];
    struct token token;
    load(vectors[1].path, bytes);
    for (size_t len = 0; len < TOKEN_LEN; len++) {
        uint8_t *guarded = test_guarded(bytes, len);
        CHECK_INT(token_open(crypto, &key, view_text(NAME), view_of(guarded, len), &token), ERR_DENIED);
        test_unguard(guarded, len);
    }
    for (size_t bit = 0; bit < 8 * TOKEN_LEN; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        CHECK_INT(token_open(crypto, &key, view_text(NAME), view_of(bytes, TOKEN_LEN), &token), ERR_DENIED);
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    crypto_free(crypto);
}

/* CVE-2026-43994: in another server the length of the nonce, or of the token, moved the decrypted bytes over the end of a buffer. */
TEST(a_nonce_length_that_lies_and_a_token_as_long_as_an_attribute_are_refused)
{
    struct crypto *crypto = crypto_new();
    const struct token_key key = key_of(CRYPTO_A256GCM);
    static const uint16_t lies[] = {0, 1, 11, 13, 62, 63, 64, 255, 256, 735, 1000, UINT16_MAX};
    static const size_t lengths[] = {2, 14, 30, 31, 64, 77, 78, 256, 1024, 1100, UINT16_MAX};
    struct token token;
    uint8_t *bytes = calloc(1, UINT16_MAX);
    CHECK(bytes);
    for (size_t n = 0; n < sizeof lengths / sizeof *lengths; n++) {
        uint8_t *guarded = test_guarded(bytes, lengths[n]);
        for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
            put_u16(guarded, lies[i]);
            CHECK_INT(token_open(crypto, &key, view_text(NAME), view_of(guarded, lengths[n]), &token), ERR_DENIED);
        }
        put_u16(guarded, CRYPTO_AEAD_NONCE_LEN);
        CHECK_INT(token_open(crypto, &key, view_text(NAME), view_of(guarded, lengths[n]), &token), ERR_DENIED);
        test_unguard(guarded, lengths[n]);
    }
    free(bytes);
    crypto_free(crypto);
}

static size_t make_block(uint8_t *at, uint16_t said, size_t real)
{
    struct slab block = slab_over(at, 128);
    slab_put_u16(&block, said);
    memset(slab_room(&block, real), 'k', real);
    slab_put_u64(&block, UINT64_C(1410984813) << 16);
    slab_put_u32(&block, 600);
    return block.len;
}

TEST(a_block_is_as_long_as_its_key_says_and_the_key_of_a_length_that_signs)
{
    uint8_t bytes[128];
    struct token token;
    for (size_t real = 0; real <= 64; real++)
        for (uint16_t said = 0; said <= 66; said++) {
            const size_t len = make_block(bytes, said, real);
            const bool good = said == real && (real == TOKEN_MAC_KEY_LEN || real == TOKEN_MAC_KEY_SHA256_LEN);
            uint8_t *guarded = test_guarded(bytes, len);
            CHECK_INT(token_read(view_of(guarded, len), &token), good ? 0 : ERR_BAD);
            test_unguard(guarded, len);
        }
    make_block(bytes, UINT16_MAX, TOKEN_MAC_KEY_LEN);
    CHECK_INT(token_read(view_of(bytes, BLOCK_LEN), &token), ERR_BAD);
    make_block(bytes, TOKEN_MAC_KEY_LEN, TOKEN_MAC_KEY_LEN);
    for (size_t len = 0; len < BLOCK_LEN; len++) {
        uint8_t *guarded = test_guarded(bytes, len);
        CHECK_INT(token_read(view_of(guarded, len), &token), ERR_BAD);
        test_unguard(guarded, len);
    }
    CHECK_INT(token_read(view_of(bytes, BLOCK_LEN + 1), &token), ERR_BAD);
}

/* section 7: lifetime + Delta > abs(now - timestamp); section 9: and never longer than its lifetime */
TEST(a_token_is_good_from_its_timestamp_for_its_lifetime_and_five_seconds)
{
    const struct token token = {.issued_unix_ms = ISSUED_MS, .lifetime_s = 600};
    static const struct {
        int64_t age_ms, left_ms;
    } cases[] = {
        {0, 600000}, {1, 600000},  {5000, 600000},  {5001, 599999},  {300000, 305000}, {604999, 1},
        {605000, 0}, {605001, -1}, {-5000, 600000}, {-5001, 599999}, {-604999, 1},     {-605000, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        CHECK_INT(token_left_ms(&token, ISSUED_MS + cases[i].age_ms), cases[i].left_ms);
}

TEST(fractions_of_a_second_are_counted_in_64000ths)
{
    static const struct {
        uint8_t high, low;
        int64_t ms;
    } cases[] = {{0, 63, 0}, {0, 64, 1}, {0x7d, 0, 500}, {0xf9, 0xff, 999}};
    uint8_t bytes[128];
    struct token token;
    make_block(bytes, TOKEN_MAC_KEY_LEN, TOKEN_MAC_KEY_LEN);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bytes[2 + TOKEN_MAC_KEY_LEN + 6] = cases[i].high;
        bytes[2 + TOKEN_MAC_KEY_LEN + 7] = cases[i].low;
        CHECK_INT(token_read(view_of(bytes, BLOCK_LEN), &token), 0);
        CHECK_INT(token.issued_unix_ms, ISSUED_MS + cases[i].ms);
    }
}

TEST(no_number_in_a_token_overflows)
{
    uint8_t bytes[128];
    struct token token;
    make_block(bytes, TOKEN_MAC_KEY_LEN, TOKEN_MAC_KEY_LEN);
    memset(bytes + 2 + TOKEN_MAC_KEY_LEN, 0xff, 8 + 4);
    CHECK_INT(token_read(view_of(bytes, BLOCK_LEN), &token), 0);
    CHECK_INT(token.lifetime_s, UINT32_MAX);
    CHECK(token.issued_unix_ms > 0 && token_left_ms(&token, ISSUED_MS) < 0);
    token.issued_unix_ms = ISSUED_MS;
    CHECK_INT(token_left_ms(&token, ISSUED_MS), (int64_t)UINT32_MAX * 1000);
    memset(bytes + 2 + TOKEN_MAC_KEY_LEN, 0, 8 + 4);
    CHECK_INT(token_read(view_of(bytes, BLOCK_LEN), &token), 0);
    CHECK(token.issued_unix_ms == 0 && token_left_ms(&token, ISSUED_MS) < 0);
    CHECK_INT(token_left_ms(&token, 0), 0); /* a lifetime of nothing */
}

TEST_LIST(RUN(the_tokens_of_appendix_a_open) RUN(a_token_opens_for_its_server_and_under_its_key_alone)
              RUN(no_prefix_and_no_changed_bit_of_a_token_opens)
                  RUN(a_nonce_length_that_lies_and_a_token_as_long_as_an_attribute_are_refused)
                      RUN(a_block_is_as_long_as_its_key_says_and_the_key_of_a_length_that_signs)
                          RUN(a_token_is_good_from_its_timestamp_for_its_lifetime_and_five_seconds)
                              RUN(fractions_of_a_second_are_counted_in_64000ths) RUN(no_number_in_a_token_overflows))
