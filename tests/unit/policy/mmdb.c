/* relay.mmdb: files that are none, cut, or written over while they are in use; more is in tests/spec/tokens_spec.lua. */
#include "geo.h"
#include "stage.h"

static const char german[] = GEO(GEO_NOTHING, GEO_DATA, "DE"), french[] = GEO(GEO_DATA, GEO_NOTHING, "FR");
#define GEO_LEN (sizeof german - 1)

static const char *const script = "local G = relay.mmdb('g')\n"
                                  "return {authorize = function(req) relay.audit{v = tostring(G:country(req.src)) .. ' ' .. "
                                  "tostring(G:country('1.2.3.4')) .. ' ' .. tostring(G:get('::1', 'country', 'iso_code'))} end}";

static void play(struct stage *stage)
{
    stage_set(stage);
    stage_file(stage, "g", "");
    geo_write(stage->directory, "g", german, GEO_LEN);
    stage_add(stage, "p.lua", script);
    if (!stage_load(stage))
        test_failed("p.lua", 0, "%s", stage->error);
}

static const char *says(struct stage *stage)
{
    CHECK_INT(stage_ask(stage, HOOK_authorize), VERDICT_SILENT);
    return stage->audited;
}

static void look(struct stage *stage)
{
    policy_shared_look(stage->shared, NULL);
    policy_shared_look(stage->shared, NULL);
    policy_idle(stage->policy, 61000, 1700000060000);
}

TEST(a_country_is_found_and_a_new_file_followed)
{
    struct stage stage;
    play(&stage);
    CHECK_TEXT(says(&stage), "{\"v\":\"DE nil nil\"}");
    geo_write(stage.directory, "g", french, sizeof french - 1);
    look(&stage);
    CHECK_TEXT(says(&stage), "{\"v\":\"nil FR nil\"}");
    geo_write(stage.directory, "g", "no database", 11);
    look(&stage);
    CHECK_TEXT(says(&stage), "{\"v\":\"nil FR nil\"}");
    stage_clear(&stage);
}

TEST(a_file_that_is_cut_under_us_harms_nobody)
{
    struct stage stage;
    play(&stage);
    CHECK(truncate(stage.paths[0], 0) == 0);
    CHECK_TEXT(says(&stage), "{\"v\":\"DE nil nil\"}");
    look(&stage);
    CHECK_TEXT(says(&stage), "{\"v\":\"DE nil nil\"}");
    stage_clear(&stage);
}

/* Whatever a damaged file says, it is refused or answers. */
TEST(damaged_files_are_refused_or_know_nothing)
{
    char damaged[GEO_LEN];
    struct stage stage;
    play(&stage);
    for (size_t len = 0; len < GEO_LEN; len += 7) {
        geo_write(stage.directory, "g", german, len);
        look(&stage);
        says(&stage);
    }
    for (size_t at = 0; at < GEO_LEN; at++) {
        memcpy(damaged, german, GEO_LEN);
        damaged[at] = (char)~damaged[at];
        geo_write(stage.directory, "g", damaged, GEO_LEN);
        look(&stage);
        says(&stage);
    }
    stage_clear(&stage);
}

TEST(without_a_file_nothing_starts)
{
    struct stage stage;
    stage_refused(&stage, "relay.mmdb('none.mmdb') return {}");
    HAS(stage.error, "p.lua:1: relay.mmdb: none.mmdb: No such file or directory");
    stage_set(&stage);
    stage_file(&stage, "g", "no database");
    stage_add(&stage, "p.lua", script);
    CHECK(!stage_load(&stage));
    HAS(stage.error, "relay.mmdb: g: The MaxMind DB file contains invalid metadata");
    stage_clear(&stage);
}

TEST(wrong_arguments_raise)
{
    struct stage stage;
    stage_set(&stage);
    stage_file(&stage, "g", "");
    geo_write(stage.directory, "g", german, GEO_LEN);
    stage_add(&stage, "p.lua",
              "local G = relay.mmdb('g') local a = '200.1.1.1' assert(G:country(a) == 'DE' and G:get(a, 'country') == nil)\n"
              "for _, f in ipairs{function() G:get(a) end, function() G:get(a, 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i') end, function() "
              "G:get(a, {}) end,\n function() G:get(a, 0) end, function() G:country('x') end, function() G:country() end, function() G.contry(a) end} do "
              "assert(not pcall(f)) end return {}");
    if (!stage_load(&stage))
        test_failed("p.lua", 0, "%s", stage.error);
    stage_clear(&stage);
}

TEST_LIST(RUN(a_country_is_found_and_a_new_file_followed) RUN(a_file_that_is_cut_under_us_harms_nobody)
              RUN(damaged_files_are_refused_or_know_nothing) RUN(without_a_file_nothing_starts) RUN(wrong_arguments_raise))
