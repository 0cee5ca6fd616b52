/* relay.meter with persist: what changed is told once, what was kept comes back; and what C counts. */
#include "stage.h"

#define NOW_MS INT64_C(1700000001000) /* 2023-11-14, of stage_load; then, too, stage_ask is a minute later */
#define MONTH_ENDS INT64_C(1701388800000)
#define DAY_ENDS INT64_C(1700006400000)

static const char *const script = "local M = relay.meter('m', {period = 'month', persist = true}) local D = relay.meter('d', {period = 'day', "
                                  "persist = true})\n"
                                  "local N = relay.meter('n', {period = 'day'})\n"
                                  "return {authorize = function(req) M:add('acme', 5) D:add('ann', 2) N:add('x', 1) relay.audit{v = M:get('acme') "
                                  ".. ' ' .. D:get('ann')} end,\n"
                                  " refresh = function() M:add('a\\0b', 1) end}";

static void put_row(void *ctx, const char *meter, const char *key, int64_t ends_ms, int64_t sum)
{
    char row[128];
    snprintf(row, sizeof row, "%s/%s %jd %jd; ", meter, key, (intmax_t)ends_ms, (intmax_t)sum);
    strcat(ctx, row);
}

static const char *changed(struct stage *stage, char rows[512])
{
    rows[0] = 0;
    policy_meters_changed(stage->shared, 61000 + 700, NOW_MS + 59000, put_row, rows); /* clocks are never read at the same moment */
    return rows;
}

TEST(sums_that_changed_are_told_once_with_the_end_of_their_period)
{
    struct stage stage;
    char rows[512];
    stage_play(&stage, script);
    CHECK_TEXT(changed(&stage, rows), "");
    CHECK_INT(stage_ask(&stage, HOOK_authorize), VERDICT_SILENT);
    CHECK_TEXT(changed(&stage, rows), "d/ann 1700006400000 2; m/acme 1701388800000 5; ");
    CHECK_TEXT(changed(&stage, rows), "");
    stage_ask(&stage, HOOK_authorize);
    stage_ask(&stage, HOOK_authorize);
    CHECK_TEXT(changed(&stage, rows), "d/ann 1700006400000 6; m/acme 1701388800000 15; ");
    CHECK_INT(stage_ask(&stage, HOOK_refresh), VERDICT_FAIL);
    HAS(stage.verdict.reason, "key: a zero byte");
    stage_clear(&stage);
}

static int read_kept(void *ctx, const char *meter, int64_t unix_ms, policy_meter_restore_fn *each, void *each_ctx)
{
    CHECK_INT(unix_ms, NOW_MS);
    if (*(const bool *)ctx)
        return ERR_SYSTEM;
    if (strcmp(meter, "m") == 0) {
        each(each_ctx, "acme", MONTH_ENDS, 1000);
        each(each_ctx, "other", MONTH_ENDS, 7);
    }
    return 0;
}

TEST(what_was_kept_comes_back_and_is_not_written_again)
{
    struct stage stage;
    char rows[512];
    bool broken = false;
    stage_set(&stage);
    stage.config.meters = (struct policy_meters){read_kept, &broken};
    stage_add(&stage, "p.lua", script);
    CHECK(stage_load(&stage));
    CHECK_TEXT(changed(&stage, rows), "");
    stage_ask(&stage, HOOK_authorize);
    CHECK_TEXT(stage.audited, "{\"v\":\"1005 2\"}");
    CHECK_TEXT(changed(&stage, rows), "d/ann 1700006400000 2; m/acme 1701388800000 1005; ");
    stage_clear(&stage);
}

TEST(sums_that_cannot_be_read_end_the_start)
{
    struct stage stage;
    bool broken = true;
    stage_set(&stage);
    stage.config.meters = (struct policy_meters){read_kept, &broken};
    stage_add(&stage, "p.lua", script);
    CHECK(!stage_load(&stage));
    HAS(stage.error, "p.lua:1: relay.meter: what was kept cannot be read");
    stage_clear(&stage);
}

TEST(a_cap_is_reached_by_what_c_counts)
{
    struct stage stage;
    stage_play(&stage, "local M = relay.meter('m', {period = 'day'})\n"
                       "return {authorize = function(req) return relay.allow{meter = {M, 'k', cap = 100, on_cap = 'close'}} end,\n"
                       " channel = function() relay.audit{v = M:get('k')} end}");
    CHECK_INT(stage_ask(&stage, HOOK_authorize), VERDICT_ALLOW);
    const struct metering metering = stage.verdict.metering;
    CHECK_INT(metering.on_cap, ON_CAP_CLOSE);
    CHECK(!policy_meter_add(&metering, 99, 61000, NOW_MS));
    policy_meter_admit(&stage.verdict, 61000, NOW_MS);
    CHECK_INT(stage.verdict.kind, VERDICT_ALLOW);
    CHECK(policy_meter_add(&metering, 1, 61000, NOW_MS));
    policy_meter_admit(&stage.verdict, 61000, NOW_MS);
    CHECK_INT(stage.verdict.kind, VERDICT_DENY);
    CHECK_INT(stage.verdict.code, 486);
    CHECK_INT(stage_ask(&stage, HOOK_channel), VERDICT_SILENT);
    CHECK_TEXT(stage.audited, "{\"v\":100}");
    CHECK(!policy_meter_add(&metering, 99, 61000 + (DAY_ENDS - NOW_MS), DAY_ENDS)); /* the next day */
    CHECK(!policy_meter_add(&(struct metering){0}, 1 << 30, 61000, NOW_MS));
    stage_clear(&stage);
}

TEST(two_policies_cannot_both_name_a_meter)
{
    struct stage stage;
    stage_set(&stage);
    stage_add(&stage, "a.lua", "local M = relay.meter('m', {period = 'day'}) return {authorize = function() return relay.allow{meter = {M, 'k'}} end}");
    stage_add(&stage, "b.lua", "local M = relay.meter('m', {period = 'day'}) return {authorize = function() return relay.allow{meter = {M, 'l'}} end}");
    CHECK(stage_load(&stage));
    CHECK_INT(stage_ask(&stage, HOOK_authorize), VERDICT_FAIL);
    HAS(stage.verdict.reason, "do not fit together");
    stage_clear(&stage);
}

TEST_LIST(RUN(sums_that_changed_are_told_once_with_the_end_of_their_period) RUN(what_was_kept_comes_back_and_is_not_written_again)
              RUN(sums_that_cannot_be_read_end_the_start) RUN(a_cap_is_reached_by_what_c_counts) RUN(two_policies_cannot_both_name_a_meter))
