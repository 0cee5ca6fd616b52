/* nonce.c: stateless nonces. */
#include "turn/nonce.h"

#include <string.h>

#define NONCE_TIME_LEN 4
#define NONCE_RAW_LEN 18 /* a multiple of 3: base64 without padding */
#define NONCE_CORE_LEN 24

/* nonce_features: the cookie and the features "password algorithms" (bit 0) and "username anonymity" (bit 1). The RFC's section 9.2 counts
 * the 24 bits from the left; erratum 6290, its example in appendix B.1 and clients after them from the right: the bits at both ends are
 * set. */
static struct view nonce_features(const struct engine_config *config)
{
    static const char *const cookies[2][2] = {{"", "obMatJos2QAAC"}, {"obMatJos2gAAB", "obMatJos2wAAD"}}; /* 400002, 800001, C00003 */
    return view_text(cookies[config->offer_sha256][config->offer_userhash]);
}

static int nonce_of(struct crypto *crypto, const struct engine_config *config, const struct flow *flow, uint32_t issued, char *nonce)
{
    uint8_t raw[NONCE_TIME_LEN + CRYPTO_HASH_MAX];
    const struct view features = nonce_features(config);
    put_u32(raw, issued);
    const struct view parts[] = {view_of(raw, NONCE_TIME_LEN), view_of(&flow->client, ADDR_KEY_LEN), view_of(&flow->transport, 1)};
    const int err =
        crypto_hmac(crypto, CRYPTO_SHA256, view_of(config->nonce_key, sizeof config->nonce_key), parts, 3, raw + NONCE_TIME_LEN);
    memcpy(nonce, features.at, features.len);
    if (!err)
        crypto_base64(view_of(raw, NONCE_RAW_LEN), nonce + features.len);
    return err;
}

int nonce_make(struct crypto *crypto, const struct engine_config *config, const struct flow *flow, msec_t now,
               char nonce[NONCE_MAX_LEN + 1])
{
    return nonce_of(crypto, config, flow, (uint32_t)(now / 1000), nonce);
}

int64_t nonce_age_s(struct crypto *crypto, const struct engine_config *config, const struct flow *flow, msec_t now, struct view nonce)
{
    const size_t before = nonce_features(config).len;
    uint8_t head[6]; /* what the first 8 characters say: the rest is compared as text */
    size_t len;
    char expected[NONCE_MAX_LEN + 1];
    if (nonce.len != before + NONCE_CORE_LEN || crypto_base64_decode(view_of(nonce.at + before, 8), head, sizeof head, &len) != 0 ||
        len != sizeof head)
        return -1;
    const uint32_t issued = get_u32(head), age = (uint32_t)(now / 1000) - issued;
    if (nonce_of(crypto, config, flow, issued, expected) != 0 || !crypto_equal(nonce, view_of(expected, nonce.len)))
        return -1;
    return age;
}

bool nonce_is_good(struct crypto *crypto, const struct engine_config *config, const struct flow *flow, msec_t now, struct view nonce)
{
    const int64_t age_s = nonce_age_s(crypto, config, flow, now, nonce);
    return age_s >= 0 && (config->nonce_lifetime_s == 0 || age_s < config->nonce_lifetime_s);
}
