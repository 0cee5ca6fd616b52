/* token.c: policies and access tokens. */
#include "stage.h"

TEST(a_policy_judges_tokens_of_its_own)
{
    struct stage stage;
    stage_play(&stage, "return {authenticate = function(req)\n"
                       "  if not req.access_token then return nil end\n"
                       "  return relay.key{user = 'u', mac_key = req.access_token, expires = 99}\n"
                       "end}");
    CHECK_INT(stage_ask(&stage, HOOK_authenticate), VERDICT_SILENT);
    stage.request.access_token = view_text("0102030405060708090a0b0c0d0e0f101112131F");
    CHECK_INT(stage_ask(&stage, HOOK_authenticate), VERDICT_KEY);
    CHECK_INT(stage.verdict.key_count, 2); /* whole, and shortened as coturn's clients do */
    CHECK_INT(stage.verdict.keys[1].len, 16);
    CHECK_INT(stage.verdict.keys[0].len, 20);
    CHECK(stage.verdict.keys[0].of_token);
    CHECK_INT(stage.verdict.keys[0].bytes[19], 0x1f);
    CHECK_INT(stage.verdict.expires_unix_s, 99);
    stage.request.access_token = view_text("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
    CHECK_INT(stage_ask(&stage, HOOK_authenticate), VERDICT_KEY);
    CHECK_INT(stage.verdict.keys[0].len, 32);
    CHECK_INT(stage.verdict.keys[0].bytes[31], 0x1f);
    stage_clear(&stage);
}

TEST_LIST(RUN(a_policy_judges_tokens_of_its_own))
