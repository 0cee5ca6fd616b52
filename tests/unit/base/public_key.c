/* public_key.c: the signatures of RFC 7515 appendix A and RFC 8037 appendix A, touched and untouched. */
#include "base/public_key.h"
#include "base/crypto.h"
#include "test.h"

#include <stdlib.h>

#define CLAIMS "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"

static const char *const rsa_n =
    "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32"
    "690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7"
    "aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";

static const struct vector {
    enum public_key_kind kind;
    const char *a, *b; /* n and e, x and y, x */
    const char *text, *signature;
} vectors[] = {
    {PUBLIC_KEY_RSA, NULL, "AQAB", "eyJhbGciOiJSUzI1NiJ9." CLAIMS, /* RFC 7515 appendix A.2 */
     "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRF"
     "diuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6I"
     "eYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"},
    {PUBLIC_KEY_P256, "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
     "eyJhbGciOiJFUzI1NiJ9." CLAIMS, /* RFC 7515 appendix A.3 */
     "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"},
    {PUBLIC_KEY_ED25519, "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "", "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
     "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"}, /* RFC 8037 appendix A.4 */
};
#define VECTORS (sizeof vectors / sizeof *vectors)

static struct view decode(const char *text, uint8_t *out, size_t cap)
{
    size_t len;
    CHECK(crypto_base64url_decode(view_text(text), out, cap, &len) == 0);
    return view_of(out, len);
}

static struct public_key *key_of(const struct vector *vector)
{
    uint8_t a[512], b[64];
    const struct view first = decode(vector->a ? vector->a : rsa_n, a, sizeof a), second = decode(vector->b, b, sizeof b);
    struct public_key *key = vector->kind == PUBLIC_KEY_RSA    ? public_key_rsa(first, second)
                             : vector->kind == PUBLIC_KEY_P256 ? public_key_p256(first, second)
                                                               : public_key_ed25519(first);
    CHECK(key && public_key_kind(key) == vector->kind);
    return key;
}

TEST(signatures_are_those_of_the_standards)
{
    for (size_t i = 0; i < VECTORS; i++) {
        uint8_t signature[512];
        struct public_key *key = key_of(&vectors[i]);
        for (int again = 0; again < 2; again++)
            CHECK(public_key_verify(key, view_text(vectors[i].text), decode(vectors[i].signature, signature, sizeof signature)));
        public_key_free(key);
    }
}

TEST(what_was_touched_is_not_signed)
{
    for (size_t i = 0; i < VECTORS; i++) {
        uint8_t signature[512];
        char text[256];
        struct public_key *key = key_of(&vectors[i]);
        const struct view whole = decode(vectors[i].signature, signature, sizeof signature);
        for (size_t byte = 0; byte < whole.len; byte++) {
            signature[byte] ^= 1;
            CHECK(!public_key_verify(key, view_text(vectors[i].text), whole));
            signature[byte] ^= 1;
        }
        for (size_t len = 0; len < whole.len; len++) {
            uint8_t *prefix = test_guarded(signature, len);
            CHECK(!public_key_verify(key, view_text(vectors[i].text), view_of(prefix, len)));
            test_unguard(prefix, len);
        }
        CHECK(!public_key_verify(key, view_text(vectors[i].text), view_of(signature, sizeof signature)));
        view_copy(view_text(vectors[i].text), text, sizeof text);
        text[40] ^= 1;
        CHECK(!public_key_verify(key, view_text(text), whole));
        public_key_free(key);
    }
}

TEST(numbers_of_a_point_that_are_nought_or_huge_verify_nothing)
{
    static const uint8_t edges[] = {0, 1, 0x7f, 0x80, 0xff};
    struct public_key *key = key_of(&vectors[1]);
    for (size_t r = 0; r < sizeof edges; r++)
        for (size_t s = 0; s < sizeof edges; s++) {
            uint8_t signature[64];
            memset(signature, edges[r], 32);
            memset(signature + 32, edges[s], 32);
            CHECK(!public_key_verify(key, view_text(vectors[1].text), view_of(signature, sizeof signature)));
        }
    public_key_free(key);
}

TEST(keys_that_are_weak_huge_or_none_are_refused)
{
    uint8_t n[1200], e[64], x[32], y[32];
    const struct view modulus = decode(rsa_n, n, sizeof n), exponent = decode("AQAB", e, sizeof e);
    CHECK(!public_key_rsa(view_cut(modulus, 128), exponent)); /* 1024 bits */
    CHECK(!public_key_rsa(modulus, view_of(NULL, 0)));
    CHECK(!public_key_rsa(view_of(NULL, 0), exponent));
    CHECK(!public_key_rsa(modulus, view_of("\0\0\1", 3)));
    CHECK(!public_key_rsa(modulus, view_of("\0\0\4", 3)));
    CHECK(!public_key_rsa(modulus, modulus));
    memset(n, 0xff, sizeof n);
    CHECK(!public_key_rsa(view_of(n, 1025), exponent));
    memset(x, 1, sizeof x);
    memset(y, 1, sizeof y);
    CHECK(!public_key_p256(view_of(x, 32), view_of(y, 32))); /* not on the curve */
    CHECK(!public_key_p256(view_of(x, 31), view_of(y, 32)));
    CHECK(!public_key_ed25519(view_of(x, 31)));
}

TEST(pem_holds_keys_one_behind_the_other)
{
    /* the key of RFC 7515 appendix A.3 */
    static const char pem[] = "of the issuer\n-----BEGIN PUBLIC KEY-----\n"
                              "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEf83OJ3D2xF1Bg8vub9tLe1gHMzV7\n"
                              "6e8Tus9uPHvRVEXH8UTNG72bfocs3+257rn0s2ldbqkLJK2KRiMohYjlrQ==\n"
                              "-----END PUBLIC KEY-----\n";
    char both[2 * sizeof pem];
    uint8_t signature[64];
    snprintf(both, sizeof both, "%s%s", pem, pem);
    struct view text = view_text(both);
    for (int i = 0; i < 2; i++) {
        struct public_key *key = public_key_pem(&text);
        CHECK(key && public_key_kind(key) == PUBLIC_KEY_P256);
        CHECK(public_key_verify(key, view_text(vectors[1].text), decode(vectors[1].signature, signature, sizeof signature)));
        public_key_free(key);
    }
    CHECK_INT(text.len, 0);
    CHECK(!public_key_pem(&text));
    for (size_t len = 0; len < sizeof pem - 30; len++) {
        text = view_cut(view_text(pem), len);
        CHECK(!public_key_pem(&text));
    }
}

TEST_LIST(RUN(signatures_are_those_of_the_standards) RUN(what_was_touched_is_not_signed)
              RUN(numbers_of_a_point_that_are_nought_or_huge_verify_nothing) RUN(keys_that_are_weak_huge_or_none_are_refused)
                  RUN(pem_holds_keys_one_behind_the_other))
