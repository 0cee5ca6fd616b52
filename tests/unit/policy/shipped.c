/* The policies that ship with the relay load and decide; run from the top of the source. */
#include "stage.h"

#define POLICIES "policies"

/* ship: load policies/`name` with these secrets and params; skips where there is no such file. */
static void ship(struct stage *stage, const char *name)
{
    char path[64];
    snprintf(path, sizeof path, POLICIES "/%s", name);
    if (access(path, R_OK))
        test_skip("no such policy");
    stage->files[stage->config.file_count++] = view_copy(view_text(path), stage->paths[STAGE_FILES - 1], sizeof stage->paths[0]);
    if (!stage_load(stage))
        test_failed(name, 0, "%s", stage->error);
}

TEST(quota_limits_and_slows)
{
    struct stage stage;
    const struct policy_param params[] = {{"quota.user", "4", "command line"}, {"quota.rate", "2", "command line"}};
    stage_set(&stage);
    stage.config.params = params;
    stage.config.param_count = 2;
    ship(&stage, "quota.lua");
    CHECK_INT(stage_ask(&stage, HOOK_authorize), VERDICT_ALLOW);
    CHECK_INT(stage.verdict.limits.user_quota, 4);
    CHECK_INT(stage_ask(&stage, HOOK_authorize), VERDICT_ALLOW);
    CHECK_INT(stage_ask(&stage, HOOK_authorize), VERDICT_DENY);
    CHECK_INT(stage.verdict.code, 486);
    stage_clear(&stage);
}

TEST(rest_secret_takes_each_secret_until_the_username_expires)
{
    struct stage stage;
    stage_set(&stage);
    const struct policy_secret secrets[] = {{"rest", stage_file(&stage, "rest", "new\nold\n")}};
    stage.config.secrets = secrets;
    stage.config.secret_count = 1;
    ship(&stage, "rest_secret.lua");
    stage.request.username = view_text("1700000100:ann");
    CHECK_INT(stage_ask(&stage, HOOK_authenticate), VERDICT_KEY);
    CHECK_INT(stage.verdict.key_count, 2);
    CHECK_TEXT(stage.verdict.user, "ann");
    CHECK_INT(stage.verdict.expires_unix_s, 1700000100);
    stage.request.username = view_text("1700000059:ann");
    CHECK_INT(stage_ask(&stage, HOOK_authenticate), VERDICT_DENY);
    CHECK_INT(stage.verdict.code, 401);
    stage.request.username = view_text("ann");
    CHECK_INT(stage_ask(&stage, HOOK_authenticate), VERDICT_SILENT);
    stage_clear(&stage);
}

TEST(peers_and_audit_load_together)
{
    struct stage stage;
    stage_set(&stage);
    stage.files[stage.config.file_count++] = POLICIES "/audit.lua";
    ship(&stage, "peers.lua");
    CHECK(policy_hooks(stage.policy) & HOOK_BIT(HOOK_log));
    const struct event event = stage_event(&stage, EVENT_CLOSED);
    policy_tell(stage.policy, &event);
    CHECK_INT(policy_counts(stage.policy)->errors, 0);
    stage_clear(&stage);
}

TEST_LIST(RUN(quota_limits_and_slows) RUN(rest_secret_takes_each_secret_until_the_username_expires) RUN(peers_and_audit_load_together))
