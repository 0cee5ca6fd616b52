/* nonce.c: stateless nonces. */
#include "turn/nonce.h"

#include "base/crypto.h"

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

static void nonce_of(const struct engine_config *config, const struct flow *flow, uint32_t issued, char *nonce)
{
    struct hash_key keys[2];
    uint8_t said[NONCE_TIME_LEN + ADDR_KEY_LEN + 1], raw[NONCE_TIME_LEN + 2 * sizeof(uint64_t)];
    const struct view features = nonce_features(config);
    _Static_assert(sizeof keys == sizeof config->nonce_key, "two keys of SipHash");
    memcpy(keys, config->nonce_key, sizeof keys);
    put_u32(said, issued);
    memcpy(said + NONCE_TIME_LEN, &flow->client, ADDR_KEY_LEN);
    said[sizeof said - 1] = flow->transport;
    put_u32(raw, issued);
    for (size_t i = 0; i < 2; i++)
        put_u64(raw + NONCE_TIME_LEN + i * sizeof(uint64_t), table_digest(&keys[i], view_of(said, sizeof said)));
    memcpy(nonce, features.at, features.len);
    crypto_base64(view_of(raw, NONCE_RAW_LEN), nonce + features.len);
}

void nonce_make(const struct engine_config *config, const struct flow *flow, msec_t now, char nonce[NONCE_MAX_LEN + 1])
{
    nonce_of(config, flow, (uint32_t)(now / 1000), nonce);
}

int64_t nonce_age_s(const struct engine_config *config, const struct flow *flow, msec_t now, struct view nonce)
{
    const size_t before = nonce_features(config).len;
    uint8_t head[6]; /* what the first 8 characters say: the rest is compared as text */
    size_t len;
    char expected[NONCE_MAX_LEN + 1];
    if (nonce.len != before + NONCE_CORE_LEN || crypto_base64_decode(view_of(nonce.at + before, 8), head, sizeof head, &len) != 0 ||
        len != sizeof head)
        return -1;
    const uint32_t issued = get_u32(head), age = (uint32_t)(now / 1000) - issued;
    nonce_of(config, flow, issued, expected);
    return crypto_equal(nonce, view_of(expected, nonce.len)) ? (int64_t)age : -1;
}

bool nonce_is_good(const struct engine_config *config, const struct flow *flow, msec_t now, struct view nonce)
{
    const int64_t age_s = nonce_age_s(config, flow, now, nonce);
    return age_s >= 0 && (config->nonce_lifetime_s == 0 || age_s < config->nonce_lifetime_s);
}
