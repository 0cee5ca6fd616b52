/* relay.jwt: what is no token, no key, or too much; the examples of the standards are in tests/spec/tokens_spec.lua. */
#include "stage.h"

#define OCT "{\"kty\":\"oct\",\"kid\":\"a\",\"k\":\"a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s\"}" /* 32 times k */

static void load_with(struct stage *stage, const char *keys, const char *script)
{
    stage_set(stage);
    stage_file(stage, "k", keys);
    stage_add(stage, "p.lua", script);
}

static void keys_refused(const char *keys, const char *reason)
{
    struct stage stage;
    load_with(&stage, keys, "relay.jwt.keys('k') return {}");
    CHECK(!stage_load(&stage));
    HAS(stage.error, reason);
    stage_clear(&stage);
}

TEST(files_without_a_good_key_are_refused)
{
    keys_refused("", "k: no key of HS256");
    keys_refused("{\"keys\":[]}", "k: no key of HS256");
    keys_refused("{\"keys\":[5,null,{\"kty\":\"RSA\",\"use\":\"enc\"},{\"kty\":\"EC\",\"crv\":\"P-521\"}]}", "k: no key of HS256");
    keys_refused("{\"keys\":{}}", "a JWK Set expected");
    keys_refused("{\"keys\":[", "k: line 1:");
    keys_refused("{\"keys\":[" OCT ",{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}]}", "key 2: an RSA key of 2048");
    keys_refused("{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AA\",\"y\":5}]}", "key 1: a point of P-256");
    keys_refused("{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AA\"}]}", "key 1: a key of Ed25519");
    keys_refused("{\"keys\":[{\"kty\":\"oct\",\"k\":\"AA\"}]}", "key 1: a secret of at least 32 bytes");
    keys_refused("-----BEGIN PUBLIC KEY-----\nMFkw\n-----END PUBLIC KEY-----\n", "PUBLIC KEYs of RSA");
    struct stage stage;
    stage_refused(&stage, "relay.jwt.keys('none') return {}");
    HAS(stage.error, "relay.jwt.keys: none: No such file");
}

TEST(sixty_four_keys_are_enough)
{
    static char set[70 * sizeof OCT];
    struct slab out = slab_over(set, sizeof set - 1);
    slab_put_text(&out, "{\"keys\":[" OCT);
    for (int i = 0; i < 64; i++)
        slab_put_text(&out, "," OCT);
    slab_put_text(&out, "]}");
    keys_refused(set, "key 65: more than 64 keys");
}

/* sign: a token of ours with this header and these claims, as an expression of Lua */
#define SIGN                                                                                                                               \
    "local B, K = relay.base64.encode, relay.jwt.keys('k')\n"                                                                              \
    "local function sign(header, claims) local s = B(header, 'url') .. '.' .. B(claims, 'url')\n"                                          \
    "  return s .. '.' .. B(relay.hmac('sha256', ('k'):rep(32), s), 'url') end\n"                                                         \
    "local H = '{\"alg\":\"HS256\"}' local function why(token, how) return select(2, relay.jwt.verify(token, K, how)) end\n"

TEST(claims_are_bounded_in_depth_and_numbers_stay_what_they_are)
{
    struct stage stage;
    load_with(&stage, "{\"keys\":[" OCT "]}",
              SIGN "local c = relay.jwt.verify(sign(H, '{\"exp\":1800000000.7,\"n\":2.5,\"i\":9007199254740993,\"b\":[true,null,{\"x\":\"y\"}]}'), K)\n"
                   "assert(c.exp == 1800000000 and math.type(c.exp) == 'integer' and c.n == 2.5 and c.i == 9007199254740993)\n"
                   "assert(c.b[1] == true and c.b[2] == nil and c.b[3].x == 'y')\n"
                   "local function deep(n) return '{\"exp\":1800000000,\"d\":' .. ('['):rep(n) .. (']'):rep(n) .. '}' end\n"
                   "assert(why(sign(H, deep(15))) == nil and why(sign(H, deep(16))) == 'malformed claims' and why(sign(H, deep(2000))) == "
                   "'malformed claims')\n"
                   "assert(why(sign(H, '{\"exp\":1800000000,\"exp\":1}')) == 'malformed claims')\n" /* RFC 7519 section 4 */
                   "assert(why(sign('{\"alg\":\"none\",\"alg\":\"HS256\"}', '{\"exp\":1800000000}')) == 'malformed token')\n"
                   "assert(why(sign(('['):rep(3000), '{}')) == 'malformed token' and why(sign(H, '')) == 'malformed claims')\n"
                   "assert(relay.jwt.verify(sign(H, '{\"exp\":1e300}'), K).exp == 1e300)\n"
                   "assert(tostring(K) == 'relay.jwt.keys(hidden)' and not pcall(function() return K.x end))\n"
                   "for _, f in ipairs{function() relay.jwt.verify(5, K) end, function() relay.jwt.verify('x', {}) end, function() why('x', {now = 'x'}) "
                   "end,\n function() why('x', {leeway = 3601}) end, function() why('x', {aud = 5}) end} do assert(not pcall(f)) end\n"
                   "return {}");
    if (!stage_load(&stage))
        test_failed("p.lua", 0, "%s", stage.error);
    stage_clear(&stage);
}

TEST(every_prefix_and_every_changed_letter_of_a_token_is_refused)
{
    struct stage stage;
    load_with(&stage, "{\"keys\":[" OCT "]}",
              SIGN "local token = sign(H, '{\"exp\":1800000000,\"sub\":\"ann\"}') assert(relay.jwt.verify(token, K).sub == 'ann')\n"
                   "for i = 0, #token - 1 do assert(why(token:sub(1, i)), i) end\n"
                   "for i = 1, #token do for _, c in ipairs{'A', '.', '\\0', '='} do\n"
                   "  local other = token:sub(1, i - 1) .. c .. token:sub(i + 1)\n"
                   "  assert(other == token or why(other), other) end end\n"
                   "return {}");
    if (!stage_load(&stage))
        test_failed("p.lua", 0, "%s", stage.error);
    stage_clear(&stage);
}

TEST(a_flood_of_keys_is_charged_and_killed)
{
    struct stage stage;
    static char set[40 * sizeof OCT];
    struct slab out = slab_over(set, sizeof set - 1);
    slab_put_text(&out, "{\"keys\":[" OCT);
    for (int i = 0; i < 30; i++)
        slab_put_text(&out, "," OCT);
    slab_put_text(&out, "]}");
    load_with(&stage, set, SIGN "local bad = sign(H, '{}'):sub(1, -5) .. 'AAAA'\n"
                                "return {authorize = function() relay.jwt.verify(bad, K) end}");
    CHECK(stage_load(&stage));
    CHECK_INT(stage_ask(&stage, HOOK_authorize), VERDICT_FAIL);
    CHECK_INT(policy_counts(stage.policy)->killed_instructions, 1);
    stage_clear(&stage);
}

TEST_LIST(RUN(files_without_a_good_key_are_refused) RUN(sixty_four_keys_are_enough)
              RUN(claims_are_bounded_in_depth_and_numbers_stay_what_they_are) RUN(every_prefix_and_every_changed_letter_of_a_token_is_refused)
                  RUN(a_flood_of_keys_is_charged_and_killed))
