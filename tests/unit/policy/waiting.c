/* Hooks that wait: where they may, and what they find when they go on. */
#include "waiting.h"

TEST(a_hook_that_sleeps_answers_later)
{
    struct waiting w;
    play(&w, "return {authorize = function(req) relay.sleep(0.25) return relay.deny(403, req.user) end}");
    CHECK_INT(ask(&w, HOOK_authorize, 7), VERDICT_LATER);
    CHECK_INT(w.due, WHEN + 250);
    CHECK_INT(policy_waits(w.stage.policy), 1);
    turn(&w, 249);
    CHECK_INT(w.answers, 0);
    turn(&w, 250);
    CHECK_INT(w.answers, 1);
    CHECK_INT(w.answered, HOOK_authorize);
    CHECK_INT(w.ticket.parked.index, 7);
    CHECK_INT(w.answer.kind, VERDICT_DENY);
    CHECK_TEXT(w.answer.reason, "ann");
    turn(&w, 10000);
    CHECK_INT(w.answers, 1);
    clear(&w);
}

TEST(what_a_hook_was_shown_outlives_the_wait)
{
    struct waiting w;
    play(&w, "local function shown(req) return table.concat({req.username, req.realm, req.tenant, req.user, req.software, req.origin,\n"
             "  req.sni, tostring(req.src), req.listener, req.lifetime, req:attr(0x8022), req:count('user')}, ' ') end\n"
             "return {authorize = function(req)\n"
             "  local src, before = req.src, shown(req)\n"
             "  relay.sleep(0.1)\n"
             "  local again = shown(req)\n"
             "  relay.sleep(0.1)\n"
             "  assert(before == again and again == shown(req), again)\n"
             "  assert(src.ip == '198.51.100.7' and src == req.src and tostring(src) == '198.51.100.7:5000')\n"
             "  return relay.deny(403, 'same')\n"
             "end}");
    char user[] = "ann", tenant[] = "acme";
    w.stage.request.user = user;
    w.stage.request.tenant = tenant;
    CHECK_INT(ask(&w, HOOK_authorize, 1), VERDICT_LATER);
    w.stage.flow.client = stage_addr("203.0.113.1:1"); /* another's by now */
    memset(user, '#', 3);
    memset(tenant, '#', 4);
    memset(w.stage.bytes, 0, sizeof w.stage.bytes);
    stage_message(&w.stage);
    CHECK_INT(ask(&w, HOOK_authorize, 2), VERDICT_LATER);
    turn(&w, 100);
    turn(&w, 200);
    CHECK_INT(w.answers, 2);
    CHECK_TEXT(w.answer.reason, "p.lua:9: assertion failed!"); /* the second client is not the first */
    clear(&w);
}

TEST(the_rest_of_the_chain_is_asked_after_the_wait)
{
    struct waiting w;
    play(&w, "return {authorize = function(req) relay.sleep(0.1) return relay.allow{user_quota = 5} end}");
    policy_free(w.stage.policy);
    stage_add(&w.stage, "q.lua",
              "return {authorize = function(req) relay.sleep(0.1) return relay.allow{user_quota = 3, max_lifetime = 700} end}");
    stage_add(&w.stage, "r.lua", "return {authorize = function(req) return relay.allow{max_lifetime = 900} end}");
    if (!stage_load(&w.stage))
        test_failed("p.lua", 0, "%s", w.stage.error);
    CHECK_INT(ask(&w, HOOK_authorize, 1), VERDICT_LATER);
    turn(&w, 100);
    CHECK_INT(w.answers, 0);
    turn(&w, 200);
    CHECK_INT(w.answers, 1);
    CHECK_INT(w.answer.kind, VERDICT_ALLOW);
    CHECK_INT(w.answer.limits.user_quota, 3);
    CHECK_INT(w.answer.limits.max_lifetime_s, 700);
    clear(&w);
}

TEST(a_hook_may_fetch)
{
    struct waiting w;
    play(&w, "return {authenticate = function(req)\n"
             "  local res, why = relay.http.post('https://example.org/a', {json = {user = req.username, n = {1, 2}}, timeout = 1.5})\n"
             "  if not res then return relay.fail(why) end\n"
             "  assert(res.status == 200 and res.headers['x-more'] == '1' and res.headers.nope == nil)\n"
             "  return relay.key{user = res:json().name, password = res:json().list[2]}\n"
             "end}");
    CHECK_INT(ask(&w, HOOK_authenticate, 1), VERDICT_LATER);
    CHECK_TEXT(w.url, "https://example.org/a");
    CHECK_TEXT(w.body, "{\"n\":[1,2],\"user\":\"ann\"}");
    CHECK_TEXT(w.header, "Content-Type: application/json");
    CHECK_INT(w.timeout_ms, 1500);
    land(&w, 0, "{\"name\": \"zoe\", \"list\": [\"a\", \"b\"]}");
    CHECK_INT(w.answer.kind, VERDICT_KEY);
    CHECK_TEXT(w.answer.user, "zoe");
    land(&w, 0, "{}"); /* twice */
    CHECK_INT(w.answers, 1);
    CHECK_INT(ask(&w, HOOK_authenticate, 2), VERDICT_LATER);
    fail(&w, 1, "timeout");
    CHECK_INT(w.answer.kind, VERDICT_FAIL);
    CHECK_TEXT(w.answer.reason, "timeout");
    CHECK_INT(ask(&w, HOOK_authenticate, 3), VERDICT_LATER);
    land(&w, 2, "nonsense");
    CHECK_INT(w.answer.kind, VERDICT_FAIL);
    clear(&w);
}

TEST(what_may_not_be_fetched_raises_with_the_way_out)
{
    static const struct {
        int error;
        const char *says;
    } cases[] = {{ERR_DENIED, "policy-http=HOST"}, {ERR_BAD, "not an http"}, {ERR_MEMORY, "not enough memory"}, {ERR_BUSY, "busy"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct waiting w;
        play(&w, "return {authorize = function(req) local _, why = relay.http.get('http://a/', {single_flight = 'x'}) return "
                 "relay.deny(403, why) end}");
        w.fetch_error = cases[i].error;
        ask(&w, HOOK_authorize, 1);
        HAS(w.stage.verdict.reason, cases[i].says);
        clear(&w);
    }
}

TEST(a_single_flight_is_shared)
{
    struct waiting w;
    play(&w, "return {authorize = function(req)\n"
             "  local res, why = relay.http.get('http://a/' .. req.user, {single_flight = req.user})\n"
             "  return relay.deny(403, res and res.body or why)\n"
             "end}");
    for (uint32_t i = 1; i <= 5; i++)
        CHECK_INT(ask(&w, HOOK_authorize, i), VERDICT_LATER);
    w.stage.request.user = "bob";
    CHECK_INT(ask(&w, HOOK_authorize, 6), VERDICT_LATER);
    CHECK_INT(w.fetches, 2);
    policy_forget(w.stage.policy, (struct ticket){{3, 3}});
    CHECK_INT(w.cancels, 0);
    policy_forget(w.stage.policy, (struct ticket){{6, 6}});
    CHECK_INT(w.cancels, 1);
    land(&w, 0, "five");
    CHECK_INT(w.answers, 4);
    CHECK_TEXT(w.answer.reason, "five");
    clear(&w);
}

TEST(functions_run_side_by_side)
{
    struct waiting w;
    play(&w, "local function slow(s, v) return function() relay.sleep(s) return v end end\n"
             "return {authorize = function(req)\n"
             "  local a, b, c, d = relay.all{slow(0.2, 'a'), slow(0.1, 'b'), function() return 'c' end,\n"
             "    function() local x, y = relay.all{slow(0.3, 'x'), slow(0, 'y')} return x .. y end}\n"
             "  return relay.deny(403, a .. b .. c .. d .. select('#', relay.all{function() end, function() end}))\n"
             "end}");
    CHECK_INT(ask(&w, HOOK_authorize, 1), VERDICT_LATER);
    turn(&w, 100);
    turn(&w, 200);
    CHECK_INT(w.answers, 0);
    turn(&w, 300);
    CHECK_INT(w.answers, 1);
    CHECK_TEXT(w.answer.reason, "abcxy2");
    clear(&w);
}

TEST(what_one_of_them_raises_ends_the_others)
{
    struct waiting w;
    play(&w,
         "local closed = 0\n"
         "local function slow() local x <close> = setmetatable({}, {__close = function() closed = closed + 1 end})\n"
         "  relay.http.get('http://a/') end\n"
         "return {authorize = function(req)\n"
         "  local ok, why = pcall(relay.all, {slow, function() relay.sleep(0.1) error('boom') end, function() relay.all{slow, slow} end})\n"
         "  return relay.deny(403, tostring(ok) .. ' ' .. closed .. ' ' .. why)\n"
         "end}");
    CHECK_INT(ask(&w, HOOK_authorize, 1), VERDICT_LATER);
    turn(&w, 100);
    CHECK_INT(w.answers, 1);
    CHECK_TEXT(w.answer.reason, "false 3 p.lua:5: boom");
    CHECK_INT(w.cancels, 3);
    clear(&w);
}

/* what to say where: a wait in `hook` (and in the way of `body`), and a part of the reason */
static const struct {
    const char *body, *says;
} refused[] = {
    {"coroutine.wrap(function() relay.sleep(1) end)()", "not in a coroutine of the script"},
    {"table.sort({2, 1}, function() relay.sleep(1) end)", "table.sort, string.gsub or a metamethod"},
    {"('x'):gsub('x', function() relay.http.get('http://a/') end)", "table.sort, string.gsub or a metamethod"},
    {"tostring(setmetatable({}, {__tostring = function() relay.sleep(1) return '' end}))", "table.sort, string.gsub or a metamethod"},
    {"relay.all{1}", "a list of functions expected"},
    {"relay.sleep(-1)", "seconds from 0"},
    {"relay.sleep(0/0)", "seconds from 0"},
    {"relay.http.get('http://a/', {timeout = 0})", "seconds above 0"},
    {"relay.http.get('http://a/', {json = 1})", "unknown field 'json'"},
    {"relay.http.get('http://a/', {headers = {['a\\r\\nb'] = 'c'}})", "not a header"},
    {"relay.http.get('http://a/', {headers = {a = 'b\\nc: d'}})", "not a header"},
    {"relay.http.post('http://a/', {json = {}, body = ''})", "json or body"},
    {"relay.http.post('http://a/', {json = {print}})", "a function has no place"},
    {"relay.http.post('http://a/', {json = {n = 1/0}})", "no such number"},
    {"relay.http.post('http://a/', {body = ('x'):rep(20000)})", "longer than"},
    {"local t = {} t.t = t relay.http.post('http://a/', {json = t})", "nested more than"},
    {"local f = {} for i = 1, 17 do f[i] = print end relay.all(f)", "at most 16 functions"},
};

TEST(a_wait_where_none_may_be_raises_and_says_why)
{
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        struct waiting w;
        char text[512];
        snprintf(text, sizeof text,
                 "return {authorize = function(req) local _, why = pcall(function() %s end) return relay.deny(403, why:sub(1, 90)) end}",
                 refused[i].body);
        play(&w, text);
        if (ask(&w, HOOK_authorize, 1) != VERDICT_DENY)
            test_failed("wait", (int)i, "%s: %s", refused[i].body, w.stage.verdict.reason);
        HAS(w.stage.verdict.reason, refused[i].says);
        clear(&w);
    }
}

TEST(each_hook_waits_or_raises)
{
    static const enum hook waiting[] = {HOOK_authenticate, HOOK_authorize, HOOK_usage},
                           others[] = {HOOK_route, HOOK_permission, HOOK_channel, HOOK_refresh};
    struct waiting w;
    play(&w,
         "local function wait() relay.sleep(0.1) end\n"
         "return {route = wait, authenticate = wait, authorize = wait, permission = wait, channel = wait, refresh = wait, usage = wait,\n"
         "  shutdown = wait}");
    for (size_t i = 0; i < sizeof waiting / sizeof *waiting; i++)
        CHECK_INT(ask(&w, waiting[i], 1), VERDICT_LATER);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        CHECK_INT(ask(&w, others[i], 1), VERDICT_FAIL);
        HAS(w.stage.verdict.reason, "relay.sleep: only in authenticate, authorize, usage, log, init and timers");
    }
    turn(&w, 100);
    CHECK_INT(w.answers, 3);
    policy_shutdown(w.stage.policy, WHEN, UNIX);
    CHECK_INT(policy_counts(w.stage.policy)->errors, 5);
    clear(&w);
}

TEST(a_wait_while_the_policy_loads_ends_the_start)
{
    struct stage stage;
    stage_refused(&stage, "relay.sleep(1) return {}");
    HAS(stage.error, "p.lua:1: relay.sleep: only in hooks, not while the policy loads");
}

TEST(log_and_usage_and_timers_wait_on_their_own)
{
    struct waiting w;
    play(&w,
         "local n = 0\n"
         "relay.timer.every(60, function() relay.sleep(1) n = n + 1 relay.audit{type = 'timer', n = n} end)\n"
         "return {log = function(ev) local src = ev.src relay.sleep(0.2) relay.audit{type = ev.type, who = ev.username, from = src.ip, "
         "t = ev.tags.room} end,\n"
         "  usage = function(alloc, u) relay.sleep(0.1) return relay.close(alloc.user .. u.bytes_in .. alloc.tags.cc .. alloc.group) end}");
    char tags[] = "cc=DE,room=7", group[] = "match-42";
    w.stage.allocation.tags = tags;
    w.stage.allocation.group_name = group;
    const struct event event = stage_event(&w.stage, EVENT_CLOSED);
    policy_tell(w.stage.policy, &event);
    w.stage.flow.client = stage_addr("203.0.113.1:1");
    CHECK_INT(ask(&w, HOOK_usage, 0), VERDICT_LATER);
    w.stage.delta.bytes_in = 7;
    memset(tags, 'x', sizeof tags - 1); /* it has ended meanwhile */
    memset(group, 'x', sizeof group - 1);
    turn(&w, 200);
    CHECK_TEXT(w.stage.audit_type, "closed");
    HAS(w.stage.audited, "\"from\":\"198.51.100.7\"");
    HAS(w.stage.audited, "1700:ann");
    HAS(w.stage.audited, "\"t\":\"7\"");
    CHECK_INT(w.answer.kind, VERDICT_CLOSE);
    CHECK_TEXT(w.answer.reason, "ann100DEmatch-42");
    for (msec_t s = 1; s < 4; s++)
        policy_idle(w.stage.policy, WHEN + 60000 * s, UNIX); /* one that waits is not begun again */
    CHECK_INT(policy_waits(w.stage.policy), 1);
    turn(&w, 300000);
    HAS(w.stage.audited, "\"n\":1");
    clear(&w);
}

TEST_LIST(RUN(a_hook_that_sleeps_answers_later) RUN(what_a_hook_was_shown_outlives_the_wait)
              RUN(the_rest_of_the_chain_is_asked_after_the_wait) RUN(a_hook_may_fetch) RUN(what_may_not_be_fetched_raises_with_the_way_out)
                  RUN(a_single_flight_is_shared) RUN(functions_run_side_by_side) RUN(what_one_of_them_raises_ends_the_others)
                      RUN(a_wait_where_none_may_be_raises_and_says_why) RUN(each_hook_waits_or_raises)
                          RUN(a_wait_while_the_policy_loads_ends_the_start) RUN(log_and_usage_and_timers_wait_on_their_own))
