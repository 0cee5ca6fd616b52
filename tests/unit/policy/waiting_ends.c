/* Hooks that wait and never go on: too long, forgotten, killed, without memory; and how many may wait. */
#include "waiting.h"

TEST(who_waits_too_long_has_failed)
{
    struct waiting w;
    play(&w, "local closed = 0\n"
             "return {authorize = function(req)\n"
             "  local x <close> = setmetatable({}, {__close = function() closed = closed + 1 end})\n"
             "  pcall(relay.http.get, 'http://a/', {timeout = 9})\n"
             "end, channel = function() return relay.deny(403, tostring(closed)) end}");
    CHECK_INT(ask(&w, HOOK_authorize, 1), VERDICT_LATER);
    CHECK_INT(w.timeout_ms, POLICY_WAIT_MS); /* cut to what is left */
    turn(&w, POLICY_WAIT_MS - 1);
    CHECK_INT(w.answers, 0);
    turn(&w, POLICY_WAIT_MS);
    CHECK_INT(w.answer.kind, VERDICT_FAIL);
    CHECK_TEXT(w.answer.reason, "waited too long");
    CHECK_TEXT(w.answer.by, "p.lua:4");
    CHECK_INT(w.cancels, 1);
    CHECK_INT(policy_counts(w.stage.policy)->late, 1);
    CHECK_INT(ask(&w, HOOK_channel, 0), VERDICT_DENY);
    CHECK_TEXT(w.stage.verdict.reason, "1");
    clear(&w);
}

TEST(without_a_place_nothing_waits_and_nothing_is_fetched)
{
    struct waiting w;
    play(&w, "return {authenticate = function(req) pcall(relay.http.get, 'http://a/') return relay.deny(401) end}");
    CHECK_INT(ask(&w, HOOK_authenticate, 0), VERDICT_LATER);
    CHECK_INT(policy_waits(w.stage.policy), 0);
    CHECK_INT(w.fetches, 0);
    CHECK_INT(w.answers, 0);
    clear(&w);
}

TEST(a_policy_may_go_while_hooks_wait)
{
    struct waiting w;
    play(&w, "return {authorize = function(req) relay.all{function() relay.http.get('http://a/') end, function() relay.sleep(1) end} end}");
    for (uint32_t i = 1; i < 20; i++)
        CHECK_INT(ask(&w, HOOK_authorize, i), VERDICT_LATER);
    stage_clear(&w.stage);
    CHECK_INT(w.cancels, 19);
}

/* each runs after a wait; what survives it is an error */
static const char *const bombs[] = {
    "while true do end",
    "while true do pcall(function() while true do end end) end",
    "relay.all{function() while true do end end, function() relay.sleep(1) end}",
    "relay.all{function() relay.sleep(0) while true do pcall(error) end end, function() relay.http.get('http://a/') end}",
    "pcall(relay.all, {function() relay.sleep(0) while true do end end}) while true do end",
    "while true do relay.sleep(0) end",
    "while true do pcall(relay.sleep, 0) end",
    "local function f() relay.all{f, f} end f()",
    "local function f() pcall(relay.all, {f, f}) end while true do f() end",
    "local x <close> = setmetatable({}, {__close = function() while true do end end}) relay.sleep(9)",
    "local x <close> = setmetatable({}, {__close = function() relay.sleep(9) end}) relay.sleep(9)",
    "local x <close> = setmetatable({}, {__close = function() coroutine.yield() end}) relay.sleep(9)",
    "local t = {} while true do t[#t + 1] = ('x'):rep(100000) .. #t relay.sleep(0) end",
    "coroutine.yield()",
    "('x'):gsub('.', function() while true do end end)",
    "relay.all{function() coroutine.yield() end}",
    "error(setmetatable({}, {__tostring = function() while true do end end}))",
    "relay.all{function() error({}) end}",
    "relay.http.get('http://a/') error('late')",
};

TEST(bombs_are_contained_after_a_wait_too)
{
    for (size_t i = 0; i < sizeof bombs / sizeof *bombs; i++) {
        struct waiting w;
        char text[512];
        snprintf(text, sizeof text,
                 "return {authorize = function(req) relay.sleep(0.001) %s error('survived') end, channel = function() return "
                 "relay.deny(403) end}",
                 bombs[i]);
        play(&w, text);
        CHECK_INT(ask(&w, HOOK_authorize, 1), VERDICT_LATER);
        for (msec_t ms = 1; ms <= POLICY_WAIT_MS && !w.answers; ms++)
            turn(&w, ms);
        if (w.answers != 1 || w.answer.kind != VERDICT_FAIL || !strstr(w.answer.by, "p.lua"))
            test_failed("bomb", (int)i, "%s: %d answers, %s by %s", bombs[i], w.answers, w.answer.reason, w.answer.by);
        if (w.stage.policy->pending.live)
            test_failed("bomb", (int)i, "%s: %d names are left", bombs[i], (int)w.stage.policy->pending.live);
        CHECK_INT(ask(&w, HOOK_channel, 0), VERDICT_DENY);
        clear(&w);
    }
}

TEST(a_killed_or_forgotten_hook_never_goes_on)
{
    struct waiting w;
    play(&w, "local S = relay.shared('s', {max_entries = 9})\n"
             "return {authorize = function(req)\n"
             "  local x <close> = setmetatable({}, {__close = function() S:incr('closed', 1, {ttl = false}) end})\n"
             "  relay.all{function() relay.sleep(0.1) end, function() relay.http.get('http://a/') end}\n"
             "  S:set('went on', true, false)\n"
             "end, channel = function() return relay.deny(403, tostring(S:get('went on')) .. tostring(S:get('closed'))) end}");
    CHECK_INT(ask(&w, HOOK_authorize, 1), VERDICT_LATER);
    policy_forget(w.stage.policy, (struct ticket){{2, 1}}); /* another */
    CHECK_INT(policy_waits(w.stage.policy), 1);
    policy_forget(w.stage.policy, (struct ticket){{1, 1}});
    CHECK_INT(policy_waits(w.stage.policy), 0);
    turn(&w, 5000);
    land(&w, 0, "late");
    CHECK_INT(w.answers, 0);
    ask(&w, HOOK_channel, 0);
    CHECK_TEXT(w.stage.verdict.reason, "nil1");
    clear(&w);
}

TEST(thousands_wait_side_by_side)
{
    struct waiting w;
    play(&w, "return {authorize = function(req) relay.sleep(req.lifetime / 1000) return relay.deny(403, tostring(req.lifetime)) end}");
    for (uint32_t i = 1; i <= 4000; i++) {
        w.stage.request.lifetime_s = 1 + i * 7919 % 2000;
        CHECK_INT(ask(&w, HOOK_authorize, i), VERDICT_LATER);
    }
    CHECK(policy_heap_bytes(w.stage.policy) < (size_t)16 << 20);
    for (msec_t ms = 1; ms <= 2000; ms++) {
        const int before = w.answers;
        turn(&w, ms);
        char text[16];
        snprintf(text, sizeof text, "%d", (int)ms);
        if (w.answers > before)
            CHECK_TEXT(w.answer.reason, text);
    }
    CHECK_INT(w.answers, 4000);
    clear(&w);
}

TEST(hooks_that_are_told_may_not_fill_the_room)
{
    struct waiting w;
    play(&w, "return {log = function(ev) relay.sleep(1) end, authorize = function() relay.sleep(1) end}");
    const struct event event = stage_event(&w.stage, EVENT_CLOSED);
    for (int i = 0; i < 600; i++)
        policy_tell(w.stage.policy, &event);
    CHECK_INT(policy_waits(w.stage.policy), 512);
    CHECK_INT(policy_counts(w.stage.policy)->errors, 88);
    CHECK_INT(ask(&w, HOOK_authorize, 1), VERDICT_LATER);
    turn(&w, 1000);
    clear(&w);
}

TEST(any_malloc_of_a_wait_may_fail)
{
    struct waiting w;
    play(&w, "return {authorize = function(req)\n"
             "  local a, b = relay.all{function() return relay.http.get('http://a/', {single_flight = 'k'}).body end, function() "
             "relay.sleep(0.1) return req.user end,\n"
             "    function() return relay.db:query('SELECT x', req.user) end, function() return relay.dns.lookup('a.example') end}\n"
             "  return relay.deny(403, a .. b)\n"
             "end}");
    int denied = 0, failed = 0;
    for (long n = 0; n < 200; n++) {
        w.answers = 0;
        w.http = (struct handle){0};
        test_fail_malloc_after(n);
        const enum verdict_kind kind = ask(&w, HOOK_authorize, 1);
        w.fetched[0] = w.http;
        land(&w, 0, "body ");
        turn(&w, 100);
        turn(&w, 2000); /* the database and the name server are mute */
        test_fail_malloc_after(-1);
        turn(&w, POLICY_WAIT_MS);
        CHECK(kind == VERDICT_LATER ? w.answers == 1 : kind == VERDICT_FAIL);
        denied += kind == VERDICT_LATER && w.answer.kind == VERDICT_DENY;
        failed += kind == VERDICT_FAIL || w.answer.kind == VERDICT_FAIL;
        CHECK_INT(policy_waits(w.stage.policy), 0);
        policy_idle(w.stage.policy, WHEN + POLICY_WAIT_MS, UNIX);
        w.stage.policy->rests_until = 0;
    }
    CHECK(denied > 0 && failed > 0);
    clear(&w);
}

TEST_LIST(RUN(who_waits_too_long_has_failed) RUN(without_a_place_nothing_waits_and_nothing_is_fetched) RUN(a_policy_may_go_while_hooks_wait)
              RUN(bombs_are_contained_after_a_wait_too) RUN(a_killed_or_forgotten_hook_never_goes_on) RUN(thousands_wait_side_by_side)
                  RUN(hooks_that_are_told_may_not_fill_the_room) RUN(any_malloc_of_a_wait_may_fail))
