/* relay.gate: places are bounded, and come back however the block ends that holds one. */
#include "waiting.h"

#define GATE "local G = relay.gate('g', {max = 2})\n"

/* free(): how many places of `k` are free: "2", "1", "0 busy"; FREE: a hook that says so. */
#define COUNT                                                                                                                              \
    "local function free()\n"                                                                                                              \
    "  local a <close>, why = G:hold('k')\n"                                                                                               \
    "  if not a then return '0 ' .. why end\n"                                                                                             \
    "  local b <close> = G:hold('k')\n"                                                                                                    \
    "  return b and '2' or '1'\n"                                                                                                          \
    "end\n"
#define FREE "channel = function() return relay.deny(403, (free())) end"

static void check_free(struct waiting *w, const char *expected)
{
    ask(w, HOOK_channel, 0);
    CHECK_TEXT(w->stage.verdict.reason, expected);
}

TEST(places_are_counted_by_key_and_free_at_the_end_of_the_block)
{
    struct waiting w;
    play(&w, GATE COUNT "return {authorize = function()\n"
                        "  do\n"
                        "    local a <close> = G:hold('k')\n"
                        "    assert(free() == '1')\n"
                        "    local c <close> = G:hold('k')\n"
                        "    assert(free() == '0 busy')\n"
                        "    local d <close> = assert(G:hold(7)) local e <close> = assert(G:hold('7'))\n"
                        "    assert(not G:hold(7))\n"
                        "  end\n"
                        "  assert(free() == '2')\n"
                        "  return relay.allow()\n"
                        "end, " FREE "}");
    CHECK_INT(ask(&w, HOOK_authorize, 0), VERDICT_ALLOW);
    check_free(&w, "2");
    clear(&w);
}

TEST(an_error_and_a_kill_give_places_back)
{
    struct waiting w;
    play(&w, GATE COUNT "return {authorize = function() local a <close> = G:hold('k') error('no') end,\n"
                        "authenticate = function() local a <close> = G:hold('k') while true do end end, " FREE "}");
    CHECK_INT(ask(&w, HOOK_authorize, 0), VERDICT_FAIL);
    check_free(&w, "2");
    CHECK_INT(ask(&w, HOOK_authenticate, 0), VERDICT_FAIL);
    check_free(&w, "2");
    clear(&w);
}

TEST(who_waits_holds_its_place_until_it_goes_on_or_is_forgotten)
{
    struct waiting w;
    play(&w, GATE COUNT "return {authorize = function() local a <close> = G:hold('k') relay.sleep(1) return relay.allow() end, " FREE "}");
    CHECK_INT(ask(&w, HOOK_authorize, 1), VERDICT_LATER);
    CHECK_INT(ask(&w, HOOK_authorize, 2), VERDICT_LATER);
    check_free(&w, "0 busy");
    policy_forget(w.stage.policy, (struct ticket){{2, 2}});
    check_free(&w, "1");
    turn(&w, 1000);
    CHECK_INT(w.answers, 1);
    check_free(&w, "2");
    clear(&w);
}

TEST(a_place_that_nobody_closes_comes_back_with_the_garbage)
{
    struct waiting w;
    play(&w, GATE COUNT "return {authorize = function() G:hold('k') G:hold('k') end, " FREE "}");
    ask(&w, HOOK_authorize, 0);
    check_free(&w, "0 busy");
    for (msec_t ms = 0; ms < 100; ms++)
        policy_idle(w.stage.policy, WHEN + ms * 1000, UNIX + ms * 1000);
    check_free(&w, "2");
    clear(&w);
}

TEST(workers_share_places_and_a_worker_that_ends_gives_its_own_back)
{
    struct waiting w;
    char error[256];
    play(&w, GATE COUNT "kept = {}\nreturn {authorize = function() kept[#kept + 1] = G:hold('k') end, " FREE "}");
    struct policy *first = w.stage.policy;
    struct policy *other = policy_new(&w.stage.config, w.stage.shared, &w.stage.world, 1, 2000, UNIX, error, sizeof error);
    CHECK(other);
    w.stage.policy = other;
    ask(&w, HOOK_authorize, 0);
    w.stage.policy = first;
    check_free(&w, "1");
    policy_free(other);
    check_free(&w, "2");
    clear(&w);
}

TEST(the_number_of_places_is_an_integer_and_the_same_for_all)
{
    static const struct {
        const char *text, *why;
    } rows[] = {
        {"relay.gate('g', {})", "max: an integer from 1"},
        {"relay.gate('g', {max = 0})", "max: an integer from 1"},
        {"relay.gate('g', {max = 1.5})", "max: an integer from 1"},
        {"relay.gate('g', {max = 1000001})", "max: an integer from 1"},
        {"relay.gate('g', {max = 1}) relay.gate('g', {max = 2})", "'g' is there already, with other options"},
        {"relay.gate('g', {max = 1}) relay.ratelimit('g', {rate = 1, burst = 1})", "'g' is there already, as a relay.gate"},
        {"relay.gate('g', {max = 1}):hold()", "key: a string or an integer expected"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct stage stage;
        stage_set(&stage);
        stage_add(&stage, "p.lua", rows[i].text);
        CHECK(!stage_load(&stage));
        if (!strstr(stage.error, rows[i].why))
            test_failed(rows[i].text, 0, "%s", stage.error);
        stage_clear(&stage);
    }
}

TEST_LIST(RUN(places_are_counted_by_key_and_free_at_the_end_of_the_block) RUN(an_error_and_a_kill_give_places_back)
              RUN(who_waits_holds_its_place_until_it_goes_on_or_is_forgotten) RUN(a_place_that_nobody_closes_comes_back_with_the_garbage)
                  RUN(workers_share_places_and_a_worker_that_ends_gives_its_own_back)
                      RUN(the_number_of_places_is_an_integer_and_the_same_for_all))
