/* Every hook, every decision it may return, and what one verdict comes of several policies. */
#include "stage.h"

TEST(a_policy_without_hooks_has_no_opinion_and_no_hooks)
{
    struct stage stage;
    stage_play(&stage, "return {name = 'empty'}");
    CHECK_INT(policy_hooks(stage.policy), 0);
    CHECK_INT(stage_ask(&stage, HOOK_authorize), VERDICT_SILENT);
    stage_clear(&stage);
}

TEST(deny_tells_code_reason_and_the_line_that_built_it)
{
    struct stage stage;
    stage_play(&stage, "local NO = relay.deny(403, 'not today')\n"
                       "return {authorize = function(req)\n"
                       "  if req.user == 'ann' then return NO end\n"
                       "  return relay.deny(486)\n"
                       "end}");
    CHECK_INT(policy_hooks(stage.policy), HOOK_BIT(HOOK_authorize));
    CHECK_INT(stage_ask(&stage, HOOK_authorize), VERDICT_DENY);
    CHECK_INT(stage.verdict.code, 403);
    CHECK_TEXT(stage.verdict.reason, "not today");
    CHECK_TEXT(stage.verdict.by, "p.lua:1");
    stage.request.user = "bob";
    CHECK_INT(stage_ask(&stage, HOOK_authorize), VERDICT_DENY);
    CHECK_INT(stage.verdict.code, 486);
    CHECK_TEXT(stage.verdict.reason, "policy");
    CHECK_TEXT(stage.verdict.by, "p.lua:4");
    stage_clear(&stage);
}

TEST_LIST(RUN(a_policy_without_hooks_has_no_opinion_and_no_hooks) RUN(deny_tells_code_reason_and_the_line_that_built_it))
