/* A policy takes another's place: what it is handed, what it shares, what is left behind. */
#include "stage.h"

/* A sanitizer keeps what was freed out of use for a while; its own check of leaks stands for this one. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define GROWN_MAX_KIB (1 << 20)
#else
#define GROWN_MAX_KIB 2048
#endif

static void rewrite(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    if (!file || fputs(text, file) < 0 || fclose(file))
        abort();
}

/* renew: as a worker does it: true if the stage's policy is now a new one; else why not is in stage->error. */
static bool renew(struct stage *stage)
{
    policy_shared_begin(stage->shared);
    struct policy_birth birth = {.config = &stage->config,
                                 .shared = stage->shared,
                                 .world = &stage->world,
                                 .old = stage->policy,
                                 .now = 70000,
                                 .unix_ms = 1700000070000};
    birth.edition = policy_edition_new(&stage->config, stage->error, sizeof stage->error);
    struct policy *policy = NULL;
    if (birth.edition && policy_try(&birth, stage->error, sizeof stage->error) == 0)
        policy = policy_make(&birth, stage->error, sizeof stage->error);
    policy_edition_free(birth.edition);
    if (policy) {
        policy_free(stage->policy);
        stage->policy = policy;
    }
    policy_shared_end(stage->shared, policy != NULL);
    policy_shared_sweep(stage->shared);
    return policy != NULL;
}

static bool renew_as(struct stage *stage, const char *text)
{
    rewrite(stage->files[0], text);
    return renew(stage);
}

static void must(struct stage *stage, bool renewed)
{
    if (!renewed)
        test_failed("p.lua", 0, "%s", stage->error);
}

TEST(what_save_returns_is_what_init_gets)
{
    struct stage stage;
    stage_play(&stage, "local n = 0\n"
                       "return {authorize = function() n = n + 1 end,\n"
                       "  save = function() return {n = n, list = {1, 2.5, 'x\\0\\255'}, [true] = false, deep = {{}}} end}");
    stage_ask(&stage, HOOK_authorize);
    stage_ask(&stage, HOOK_authorize);
    must(&stage, renew_as(&stage, "return {init = function(ctx) local s = ctx.saved\n"
                                  "  assert(ctx.reload and s.n == 2 and #s.list == 3 and math.type(s.list[1]) == 'integer')\n"
                                  "  assert(s.list[2] == 2.5 and s.list[3] == 'x\\0\\255' and s[true] == false and next(s.deep[1]) == nil)\n"
                                  "  relay.audit{n = s.n}\n"
                                  "end}"));
    CHECK_TEXT(stage.audited, "{\"n\":2}");
    must(&stage, renew_as(&stage, "return {init = function(ctx) relay.audit{none = ctx.saved == nil, reload = ctx.reload} end}"));
    CHECK_TEXT(stage.audited, "{\"none\":true,\"reload\":true}");
    stage_clear(&stage);
}

TEST(each_policy_of_a_chain_gets_its_own)
{
    struct stage stage;
    stage_set(&stage);
    stage_add(&stage, "a.lua", "return {save = function() return 'a' end, init = function(ctx) relay.audit{a = ctx.saved or 0} end}");
    stage_add(&stage, "b.lua", "return {save = function() return 'b' end, log = function() end}");
    stage_add(&stage, "c.lua", "return {init = function(ctx) assert(ctx.saved == nil) end}");
    CHECK(stage_load(&stage));
    CHECK_TEXT(stage.audited, "{\"a\":0}");
    must(&stage, renew(&stage));
    CHECK_TEXT(stage.audited, "{\"a\":\"a\"}");
    stage_clear(&stage);
}

TEST(what_cannot_be_saved_keeps_the_old_policy)
{
    static const struct {
        const char *body, *why;
    } rows[] = {
        {"return print", "p.lua: save: a function is no plain data"},
        {"return {x = relay.deny(403)}", "p.lua: save: a userdata is no plain data"},
        {"return setmetatable({}, {})", "p.lua: save: a table with a metatable is no plain data"},
        {"local t = {} t.t = t return t", "p.lua: save: nested more than 32 levels"},
        {"return ('x'):rep(65529)", "p.lua: save: more than 64 KiB"},
        {"local t = {} for i = 1, 5000 do t[i] = true end return t", "p.lua: save: more than 64 KiB"},
        {"error('no')", "p.lua:2: no"},
        {"while true do end", "p.lua:2: killed: too many instructions"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct stage stage;
        char text[256];
        snprintf(text, sizeof text, "return {authorize = function() return relay.deny(403) end, save = function()\n %s end}", rows[i].body);
        stage_play(&stage, text);
        CHECK(!renew_as(&stage, "return {}"));
        CHECK_TEXT(stage.error, rows[i].why);
        CHECK_INT(stage_ask(&stage, HOOK_authorize), VERDICT_DENY);
        stage_clear(&stage);
    }
}

TEST(a_string_of_64_kib_fits)
{
    struct stage stage;
    stage_play(&stage, "return {save = function() return ('x'):rep(65528) end}");
    must(&stage, renew_as(&stage, "return {init = function(ctx) assert(#ctx.saved == 65528) end}"));
    stage_clear(&stage);
}

TEST(a_broken_version_is_refused_with_file_and_line_and_leaves_no_trace)
{
    static const struct {
        const char *text, *why;
    } rows[] = {
        {"return {\n  authorize = function(\n}", "p.lua:3:"},
        {"return {authorise = function() end}", "did you mean 'authorize'?"},
        {"\nlocal t = relay.shared('new', {max_entries = 10}) error('late')", "p.lua:2: late"},
        {"local t = relay.shared('new', {max_entries = 11}) return {init = function()\n error('later') end}", "p.lua:2: later"},
        {"require 'absent' return {}", "p.lua:1: require: no absent.lua in the policy directory"},
        {"relay.shared('kept', {max_entries = 9}) return {}", "'kept' is there already, with other options"},
        {"relay.meter('kept', {period = 'day'}) return {}", "'kept' is there already, as a relay.shared"},
    };
    struct stage stage;
    stage_play(&stage, "local kept = relay.shared('kept', {max_entries = 8}) kept:set('k', 7, false)\n"
                       "return {authorize = function() relay.audit{k = kept:get('k')} return relay.deny(403, 'old') end}");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        CHECK(!renew_as(&stage, rows[i].text));
        HAS(stage.error, rows[i].why);
        CHECK_INT(stage_ask(&stage, HOOK_authorize), VERDICT_DENY);
        CHECK_TEXT(stage.verdict.reason, "old");
        CHECK_TEXT(stage.audited, "{\"k\":7}");
    }
    unlink(stage.files[0]);
    CHECK(!renew(&stage));
    HAS(stage.error, "/p.lua:1: No such file or directory");
    must(&stage, renew_as(&stage, "relay.shared('new', {max_entries = 12}) return {}")); /* what failed had claimed nothing */
    stage_clear(&stage);
}

TEST(shared_state_survives_by_name_and_goes_when_nobody_asks_for_it)
{
    struct stage stage;
    stage_play(&stage, "local t = relay.shared('t', {max_entries = 8}) local r = relay.ratelimit('r', {rate = 0.01, burst = 1})\n"
                       "local m = relay.meter('m', {period = 'day'}) t:set('k', 1, false) assert(r:take('k')) m:add('k', 3) return {}");
    must(&stage, renew_as(&stage, "local t = relay.shared('t', {max_entries = 8}) local r = relay.ratelimit('r', {rate = 0.01, burst = 1})\n"
                                  "assert(t:get('k') == 1 and not r:take('k')) return {}"));
    must(&stage, renew_as(&stage, "return {}"));
    must(&stage, renew_as(&stage, "local t = relay.shared('t', {max_entries = 9}) local r = relay.ratelimit('r', {rate = 1, burst = 9})\n"
                                  "local m = relay.meter('m', {period = 'day'})\n"
                                  "assert(t:get('k') == nil and r:take('k') and m:get('k') == 3) return {}"));
    stage_clear(&stage);
}

TEST(timers_and_answers_of_route_end_with_the_old_policy)
{
    struct stage stage;
    stage_play(&stage, "relay.timer.every(1, function() relay.audit{v = 'old'} end) return {route = function() return relay.deny(403, 'old') end}");
    stage_ask(&stage, HOOK_route);
    CHECK_TEXT(stage.verdict.reason, "old");
    must(&stage, renew_as(&stage, "relay.timer.every(1, function() relay.audit{v = 'new'} end)\n"
                                  "return {route = function() return relay.deny(403, 'new') end}"));
    stage_ask(&stage, HOOK_route);
    CHECK_TEXT(stage.verdict.reason, "new");
    policy_idle(stage.policy, 72000, 1700000072000);
    CHECK_TEXT(stage.audited, "{\"v\":\"new\"}");
    CHECK_INT(stage.audits, 1);
    stage_clear(&stage);
}

TEST(all_who_load_from_an_edition_get_the_same_texts)
{
    struct stage stage;
    const char *script = "local m = require 'm' return {init = function() relay.audit{m = m.v, late = require('late').v} end}";
    stage_play(&stage, "return {}");
    const char *module = stage_file(&stage, "m.lua", "return {v = 1}"), *late = stage_file(&stage, "late.lua", "return {v = 1}");
    rewrite(stage.files[0], script);
    struct policy_birth birth = {.config = &stage.config, .shared = stage.shared, .world = &stage.world};
    birth.edition = policy_edition_new(&stage.config, stage.error, sizeof stage.error);
    CHECK(policy_edition_stale(birth.edition) == 0);
    struct policy *first = policy_make(&birth, stage.error, sizeof stage.error);
    rewrite(stage.files[0], "error('not this one')");
    rewrite(module, "return {v = 222}");
    rewrite(late, "return {v = 222}");
    CHECK(policy_edition_stale(birth.edition) != 0);
    struct policy *second = policy_make(&birth, stage.error, sizeof stage.error);
    CHECK(first && second);
    CHECK_TEXT(stage.audited, "{\"late\":1,\"m\":1}");
    CHECK_TEXT(policy_revision(first), policy_revision(second));
    policy_edition_free(birth.edition);
    policy_free(first);
    policy_free(second);
    stage_clear(&stage);
}

TEST(the_revision_follows_modules_too)
{
    struct stage stage;
    char before[POLICY_REVISION_LEN + 1];
    stage_play(&stage, "return {}");
    const char *module = stage_file(&stage, "m.lua", "return 1");
    must(&stage, renew_as(&stage, "require 'm' return {}"));
    snprintf(before, sizeof before, "%s", policy_revision(stage.policy));
    must(&stage, renew(&stage));
    CHECK_TEXT(policy_revision(stage.policy), before);
    rewrite(module, "return 2");
    must(&stage, renew(&stage));
    CHECK(strcmp(policy_revision(stage.policy), before) != 0);
    stage_clear(&stage);
}

static long resident_kib(void)
{
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file || fscanf(file, "%*s %ld", &pages) != 1)
        abort();
    fclose(file);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

TEST(two_hundred_reloads_leave_memory_as_it_was)
{
    struct stage stage;
    long settled = 0;
    stage_play(&stage, "return {}");
    for (int i = 0; i < 200; i++) {
        const bool broken = i % 3 == 2;
        must(&stage, renew_as(&stage, broken ? "relay.shared('broken', {max_entries = 1000}) error('broken')"
                                             : "local t = relay.shared('t', {max_entries = 100000}) local C = relay.cidr{'20.0.0.0/8'}\n"
                                               "return {save = function() return {('x'):rep(50000)} end, route = function() end}") ||
                          broken);
        if (i == 50)
            settled = resident_kib();
    }
    const long grown = resident_kib() - settled;
    if (grown > GROWN_MAX_KIB)
        test_failed(__FILE__, __LINE__, "%ld KiB more than after 50", grown);
    stage_clear(&stage);
}

TEST(a_want_of_memory_anywhere_leaves_the_old_policy)
{
    struct stage stage;
    bool renewed = false;
    stage_play(&stage, "return {authorize = function() return relay.deny(403, 'old') end, save = function() return {1} end}");
    rewrite(stage.files[0], "relay.shared('t', {max_entries = 8}) return {init = function(ctx) assert(ctx.saved[1] == 1) end}");
    for (long n = 0; n < 3000 && !renewed; n++) {
        test_fail_malloc_after(n);
        renewed = renew(&stage);
        test_fail_malloc_after(-1);
        if (!renewed) {
            CHECK_INT(stage_ask(&stage, HOOK_authorize), VERDICT_DENY);
            CHECK_TEXT(stage.verdict.reason, "old");
        }
    }
    CHECK(renewed);
    stage_clear(&stage);
}

TEST_LIST(RUN(what_save_returns_is_what_init_gets) RUN(each_policy_of_a_chain_gets_its_own) RUN(what_cannot_be_saved_keeps_the_old_policy)
              RUN(a_string_of_64_kib_fits) RUN(a_broken_version_is_refused_with_file_and_line_and_leaves_no_trace)
                  RUN(shared_state_survives_by_name_and_goes_when_nobody_asks_for_it)
                      RUN(timers_and_answers_of_route_end_with_the_old_policy) RUN(all_who_load_from_an_edition_get_the_same_texts)
                          RUN(the_revision_follows_modules_too) RUN(two_hundred_reloads_leave_memory_as_it_was)
                              RUN(a_want_of_memory_anywhere_leaves_the_old_policy))
