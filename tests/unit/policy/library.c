/* What scripts may call, and what is refused at load. */
#include "stage.h"

/* runs: the script's init asserts; must load. */
static void runs(const char *text)
{
    struct stage stage;
    stage_play(&stage, text);
    stage_clear(&stage);
}

static void refused(const char *text, const char *reason)
{
    struct stage stage;
    stage_refused(&stage, text);
    if (!strstr(stage.error, reason))
        test_failed(text, 0, "%s", stage.error);
}

TEST(a_file_that_is_no_policy_is_refused_with_file_and_line)
{
    refused("return {\n athorize = function() end}", "p.lua:2: unknown hook 'athorize'; did you mean 'authorize'?");
    refused("return {authorize = 5}", "p.lua:1: authorize: a function expected, got number");
    refused("return {name = print}", "name: a string expected, got function");
    refused("return {function() end}", "unknown hook ''");
    refused("return 5", "p.lua:1: a policy returns a table of hooks, got number");
    refused("local x = 1", "a policy returns a table of hooks, got nil");
    refused("return {\n\n} x", "p.lua:3:");
    refused("\n\nerror('told')", "p.lua:3: told");
    refused("\033Lua", "attempt to load a binary chunk");
    refused("local x <const> = 1\nx = 2", "p.lua:2: attempt to assign to const variable 'x'");
    refused("relay.shared('x', {})", "p.lua:1: relay.shared: max_entries: an integer from 1");
    refused("relay.meter('x', {period = 'month', persist = 1})", "relay.meter: persist: true or false expected");
    refused("relay.meter('x', {period = 'day'}) relay.meter('x', {period = 'day', persist = true})", "'x' is there already, with other options");
    refused("relay.meter('x', {period = 'year'})", "relay.meter: period: 'month' or 'day' expected");
    refused("relay.ratelimit('x', {rate = 0, burst = 1})", "relay.ratelimit: rate: a number above 0");
    refused("relay.cidr{'10.0.0.0/8', 'nonsense'}", "'nonsense' is not an address range");
    refused("relay.data('none.json')", "none.json");
    refused("relay.data('../p.json')", "relay.data: the name of a file of the policy directory expected");
    refused("relay.secret('none')", "relay.secret: no secret 'none'");
    refused("relay.timer.every(0, print)", "relay.timer.every: seconds above 0 expected");
    refused("relay.timer.every(1, print, {on = 'some'})", "relay.timer.every: on: 'one' or 'all' expected");
    refused("relay.metric.counter('Bad Name')", "relay.metric.counter: a name of lower-case letters");
    refused("relay.shared('x', {max_entries = 1}) relay.shared('x', {max_entries = 2})", "'x' is there already, with other options");
    refused("require('none')", "require: no none.lua in the policy directory");
    refused("require('../x')", "require: no ../x.lua in the policy directory");
    struct stage stage;
    stage_set(&stage);
    stage.files[stage.config.file_count++] = "/nowhere/q.lua";
    CHECK(!stage_load(&stage));
    CHECK_TEXT(stage.error, "/nowhere/q.lua:1: No such file or directory");
    stage_clear(&stage);
}

TEST(the_sandbox_has_what_it_says_and_nothing_else)
{
    runs("local function gone(t, ...)\n"
         "  for _, name in ipairs{...} do assert(not pcall(function() return t[name] end), name) end\n"
         "end\n"
         "gone(_G, 'io', 'package', 'load', 'loadfile', 'dofile', 'loadstring', 'collectgarbage', 'jit')\n"
         "gone(os, 'execute', 'getenv', 'exit', 'remove') gone(debug, 'sethook', 'getregistry', 'getmetatable')\n"
         "gone(string, 'dump') gone('', 'dump') assert(debug.traceback())\n"
         "assert(os.time() == 1700000001 and os.date('!%Y', 0) == '1970' and os.date('!%Y') == '2023' and os.clock() and os.time{year = "
         "2000, month = 1, day = 1})\n"
         "assert(not getmetatable(''), 'string metatable') assert(getmetatable(relay) == 'relay')\n"
         "assert(rawget(_G, 'print') == nil) assert(not pcall(rawset, _G, 'x', 1))\n"
         "helper = function() return 1 end assert(helper() == 1 and _G.helper)\n"
         "assert(math.floor(1.5) == 1 and utf8.char(228) and table.pack(1).n == 1)\n"
         "assert(not pcall(string.rep, 'x', (1 << 20) + 1) and #string.rep('x', 1 << 20) == 1 << 20)\n"
         "return {init = function() assert(helper() == 1) end}");
}

TEST(require_loads_text_from_the_policy_directory)
{
    struct stage stage;
    stage_set(&stage);
    stage_file(&stage, "names.lua", "count = (rawget(_G, 'count') or 0) + 1 return {one = 1, from = ...}");
    stage_file(&stage, "loop.lua", "require 'loop'");
    stage_file(&stage, "wrong.lua", "return {\n = }");
    stage_add(&stage, "p.lua",
              "local a, b = require 'names', require('names') assert(a == b and a.one == 1 and a.from == 'names' and count == 1)\n"
              "local ok, why = pcall(require, 'loop') assert(why:find(\"'loop' requires itself\", 1, true), why)\n"
              "ok, why = pcall(require, 'wrong') assert(why:find('wrong.lua:2:', 1, true), why)\n"
              "return {authorize = function() assert(require 'names' == a) require 'other' end}");
    if (!stage_load(&stage))
        test_failed("p.lua", 0, "%s", stage.error);
    CHECK_INT(stage_ask(&stage, HOOK_authorize), VERDICT_FAIL);
    HAS(stage.verdict.reason, "require: only while the policy loads");
    stage_clear(&stage);
}

TEST(the_library_of_the_installation_is_found_first)
{
    struct stage stage;
    stage_set(&stage);
    char directory[100];
    snprintf(directory, sizeof directory, "%.60s/relay", stage.directory);
    mkdir(directory, 0700);
    stage.config.lua_dir = stage.directory;
    stage_file(&stage, "relay/thing.lua", "return 'installed'");
    stage_add(&stage, "p.lua", "assert(require 'relay.thing' == 'installed') return {}");
    if (!stage_load(&stage))
        test_failed("p.lua", 0, "%s", stage.error);
    unlink(stage.paths[0]);
    rmdir(directory);
    stage_clear(&stage);
}

TEST(policies_have_globals_of_their_own)
{
    struct stage stage;
    stage_set(&stage);
    stage_add(&stage, "a.lua", "mine = 1 return {}");
    stage_add(&stage, "b.lua", "assert(not pcall(function() return mine end)) return {}");
    if (!stage_load(&stage))
        test_failed("b.lua", 0, "%s", stage.error);
    stage_clear(&stage);
}

static const char *const params_script = "local P = relay.params('q', {user = {default = 8, min = 1, max = 10}, rate = {default = 1.5}, on "
                                         "= {default = true}, name = {default = 'x'},\n"
                                         "  list = {default = {'a'}}, url = {required = true}, free = {}, ttl = {min = 1}})\n"
                                         "return {init = function() relay.audit{v = table.concat({tostring(P.user), math.type(P.user), "
                                         "P.rate, tostring(P.on), P.name, table.concat(P.list, '+'), P.url,\n"
                                         "  tostring(P.free), tostring(P.ttl), tostring(pcall(function() return P.usr end)), "
                                         "tostring(pcall(function() P.user = 1 end))}, ' ')} end}";

/* params: loads with these; the error, or what init said */
static const char *with_params(struct stage *stage, const struct policy_param *params, size_t count)
{
    stage_set(stage);
    stage->config.params = params;
    stage->config.param_count = count;
    stage_add(stage, "p.lua", params_script);
    const char *said = stage_load(stage) ? stage->audited : stage->error;
    stage_clear(stage);
    return said;
}

TEST(params_are_typed_and_ranged_and_unknown_names_are_refused)
{
    struct stage stage;
    const struct policy_param good[] = {{"q.url", "http://x", "command line"}, {"q.user", "4", "r.conf:3"},
                                        {"q.rate", "2", "r.conf:4"},           {"q.on", "no", "r.conf:5"},
                                        {"q.list", "b, c ,d", "r.conf:6"},     {"q.ttl", "9", "r.conf:7"}};
    CHECK_TEXT(with_params(&stage, good, 1), "{\"v\":\"8 integer 1.5 true x a http://x nil nil false false\"}");
    CHECK_TEXT(with_params(&stage, good, 6), "{\"v\":\"4 integer 2 false x b+c+d http://x nil 9 false false\"}");
    HAS(with_params(&stage, good, 0), "p.lua:1: q.url: a value is required");
    static const struct {
        struct policy_param param;
        const char *reason;
    } bad[] = {
        {{"q.usr", "4", "r.conf:9"}, "r.conf:9: --set q.usr: no policy has such a parameter; did you mean 'q.user'?"},
        {{"other.thing", "4", "r.conf:9"}, "r.conf:9: --set other.thing: no policy has such a parameter"},
        {{"q.user", "0", "r.conf:9"}, "r.conf:9: --set q.user=0: at least 1 expected"},
        {{"q.user", "11", "r.conf:9"}, "r.conf:9: --set q.user=11: at most 10 expected"},
        {{"q.user", "many", "r.conf:9"}, "an integer expected"},
        {{"q.user", "1.5", "r.conf:9"}, "an integer expected"},
        {{"q.user", "0x4", "r.conf:9"}, "an integer expected"},
        {{"q.user", "99999999999999999999", "r.conf:9"}, "an integer expected"},
        {{"q.user", "", "r.conf:9"}, "an integer expected"},
        {{"q.rate", "fast", "r.conf:9"}, "a number expected"},
        {{"q.on", "perhaps", "r.conf:9"}, "true or false expected"},
        {{"q.ttl", "0", "r.conf:9"}, "at least 1 expected"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const struct policy_param params[] = {{"q.url", "x", "r.conf:1"}, bad[i].param};
        HAS(with_params(&stage, params, 2), bad[i].reason);
    }
    refused("relay.params('q', {user = {defualt = 8}})", "q.user: unknown field 'defualt'; did you mean 'default'?");
}

TEST(shared_tables_keep_values_for_their_time)
{
    runs("local S = relay.shared('s', {max_entries = 3})\n"
         "assert(S:get('a') == nil and S:set('a', 'text', 10) and S:get('a') == 'text')\n"
         "assert(S:set('b', 1.5, false) and S:get('b') == 1.5 and S:set('b', true, false) and S:get('b') == true)\n"
         "local ok, why = S:add('a', 1, 1) assert(not ok and why == 'exists') assert(S:add(7, 1, 1) and S:get('7') == 1)\n"
         "ok, why = S:set('d', 1, 1) assert(not ok and why == 'full')\n"
         "assert(S:delete('7') and not S:delete('7') and S:incr('n', 5, {init = 10, ttl = 9}) == 15 and S:incr('n', -1, {ttl = 9}) == 14 "
         "and S:incr('n', nil, {ttl = 1}) == 15)\n"
         "ok, why = S:incr('a', 1, {ttl = 1}) assert(not ok and why == 'not an integer')\n"
         "assert(S:cas('n', 15, 16, 9) and not S:cas('n', 15, 17, 9) and S:get('n') == 16 and not S:cas('a', nil, 1, 1))\n"
         "for _, f in ipairs{function() S:set('a', 1) end, function() S:set('a', 1, 0) end, function() S:set('a', {}, 1) end, function() "
         "S:set('a', nil, 1) end,\n"
         "  function() S:set({}, 1, 1) end, function() S:incr('n') end, function() S:incr('n', 1, {}) end, function() S:sett('a', 1, 1) "
         "end, function() S.get(nil, 'a') end,\n"
         "  function() S:set(('k'):rep(1025), 1, 1) end, function() S:set('k', ('v'):rep(4097), 1) end} do assert(not pcall(f)) end\n"
         "assert(relay.shared('s', {max_entries = 3}):get('n') == 16)\n"
         "local L = relay.shared('lru', {max_entries = 2, evict = 'lru'})\n"
         "L:set('a', 1, 9) L:set('b', 2, 9) assert(L:get('a') == 1) L:set('c', 3, 9) assert(L:get('b') == nil and L:get('a') == 1 and "
         "L:get('c') == 3)\n"
         "return {}");
}

TEST(shared_entries_end_and_make_room)
{
    struct stage stage;
    stage_play(
        &stage,
        "local S = relay.shared('s', {max_entries = 2})\n"
        "S:set('a', 1, 1) S:set('b', 1, 100)\n"
        "return {init = function() end, authorize = function(req)\n"
        " relay.audit{v = tostring(S:get('a')) .. tostring(S:get('b')) .. tostring(S:set('c', 1, 1)) .. tostring(S:set('d', 1, 1))} end}");
    CHECK_INT(stage_ask(&stage, HOOK_authorize), VERDICT_SILENT); /* 59 s later */
    CHECK_TEXT(stage.audited, "{\"v\":\"nil1truenil\"}");
    stage_clear(&stage);
}

TEST(a_rate_limit_lets_a_burst_through_and_then_its_rate)
{
    struct stage stage;
    stage_play(&stage,
               "local R = relay.ratelimit('r', {rate = 2, burst = 3})\n"
               "return {authorize = function(req)\n"
               "  local t = {} for i = 1, 5 do local ok, wait = R:take(req.user) t[i] = ok and 'y' or ('%.1f'):format(wait) end\n"
               "  relay.audit{v = table.concat(t, ' ')} end,\n"
               " channel = function() assert(R:take('other', 3) and not R:take('other')) assert(not pcall(R.take, R, 'x', 0)) end}");
    struct question question = stage_question(&stage, HOOK_authorize);
    policy_ask(stage.policy, &question, &stage.verdict);
    CHECK_TEXT(stage.audited, "{\"v\":\"y y y 0.5 0.5\"}");
    CHECK_INT(stage_ask(&stage, HOOK_channel), VERDICT_SILENT);
    question.now += 499;
    policy_ask(stage.policy, &question, &stage.verdict);
    CHECK_TEXT(stage.audited, "{\"v\":\"0.0 0.0 0.0 0.0 0.0\"}");
    question.now += 1;
    policy_ask(stage.policy, &question, &stage.verdict);
    CHECK_TEXT(stage.audited, "{\"v\":\"y 0.5 0.5 0.5 0.5\"}");
    question.now += 10000;
    policy_ask(stage.policy, &question, &stage.verdict);
    CHECK_TEXT(stage.audited, "{\"v\":\"y y y 0.5 0.5\"}");
    stage_clear(&stage);
}

TEST(a_refusal_for_a_rate_limit_says_how_many_pass_at_once)
{
    struct stage stage;
    stage_play(&stage,
               "local R = relay.ratelimit('r', {rate = 2, burst = 3})\n"
               "return {authorize = function(req) if not R:take('k') then return relay.deny(486, 'slowly') end end,\n"
               " refresh = function() return relay.deny(486, 'never') end}");
    for (int i = 0; i < 3; i++)
        CHECK_INT(stage_ask(&stage, HOOK_authorize), VERDICT_SILENT);
    CHECK_INT(stage_ask(&stage, HOOK_authorize), VERDICT_DENY);
    CHECK_INT(stage.verdict.measure.held, 3);
    CHECK_INT(stage.verdict.measure.limit, 3);
    CHECK_INT(stage_ask(&stage, HOOK_refresh), VERDICT_DENY); /* another question */
    CHECK_INT(stage.verdict.measure.limit, 0);
    stage_clear(&stage);
}

TEST(a_meter_counts_within_its_period)
{
    struct stage stage;
    stage_play(
        &stage,
        "local M = relay.meter('m', {period = 'month'}) local D = relay.meter('d', {period = 'day'})\n"
        "return {authorize = function(req) M:add('k', 5) D:add('k', 5) assert(M:get('none') == 0) assert(not pcall(M.add, M, 'k', -1))\n"
        " relay.audit{v = M:get('k') .. ' ' .. D:get('k')} end}");
    struct question question = stage_question(&stage, HOOK_authorize); /* 2023-11-14 22:14 UTC */
    policy_ask(stage.policy, &question, &stage.verdict);
    policy_ask(stage.policy, &question, &stage.verdict);
    CHECK_TEXT(stage.audited, "{\"v\":\"10 10\"}");
    question.now += 2 * 3600 * 1000;
    question.unix_ms += 2 * 3600 * 1000;
    policy_ask(stage.policy, &question, &stage.verdict);
    CHECK_TEXT(stage.audited, "{\"v\":\"15 5\"}");
    question.now += INT64_C(20) * 86400 * 1000;
    question.unix_ms += INT64_C(20) * 86400 * 1000;
    policy_ask(stage.policy, &question, &stage.verdict);
    CHECK_TEXT(stage.audited, "{\"v\":\"5 5\"}");
    stage_clear(&stage);
}

TEST(data_is_a_read_only_tree)
{
    struct stage stage;
    stage_set(&stage);
    stage_file(&stage, "t.json",
               "{\"by\": {\"x.y\": \"acme\"}, \"list\": [1, 2.5, \"three\", null, true], \"n\": 9007199254740993, \"names\": [\"three\"], "
               "\"nets\": [\"10.0.0.0/8\"], \"deep\": {\"a\": {\"b\": [[]]}}}");
    stage_file(&stage, "bad.json", "{\n\"a\": 1,\n\"a\": 2}");
    stage_add(
        &stage, "p.lua",
        "local D = relay.data('t.json')\n"
        "assert(D.by['x.y'] == 'acme' and D.by[nil] == nil and D.none == nil and D.by.none == nil and D[1] == nil)\n"
        "assert(#D.list == 5 and D.list[1] == 1 and D.list[2] == 2.5 and D.list[3] == 'three' and D.list[4] == nil and D.list[5] == true "
        "and D.list[6] == nil and D.list[0] == nil)\n"
        "assert(D.n == 9007199254740993 and math.type(D.n) == 'integer' and #D.deep.a.b[1] == 0)\n"
        "assert(not pcall(function() D.x = 1 end) and not pcall(function() D.by.x = 1 end) and not pcall(function() return D.none.x end))\n"
        "local keys = {} for k, v in pairs(D) do keys[#keys + 1] = k end table.sort(keys) assert(table.concat(keys, ' ') == 'by deep list "
        "n names nets')\n"
        "local sum = 0 for i, v in ipairs(D.list) do sum = sum + i end assert(sum == 6)\n"
        "local all = 0 for i in pairs(D.list) do all = all + i end assert(all == 15, all)\n"
        "local ok, why = pcall(relay.data, 'bad.json') assert(why:find('bad.json:3: duplicate object key'), why)\n"
        "assert(relay.set(D.names).three and relay.cidr(D.nets):contains('10.1.1.1'))\n"
        "return {authorize = function() return relay.data('t.json') end}");
    if (!stage_load(&stage))
        test_failed("p.lua", 0, "%s", stage.error);
    CHECK_INT(stage_ask(&stage, HOOK_authorize), VERDICT_FAIL);
    HAS(stage.verdict.reason, "relay.data: only while the policy loads");
    stage_clear(&stage);
}

TEST(a_secret_signs_and_hides)
{
    struct stage stage;
    stage_set(&stage);
    const struct policy_secret secrets[] = {{"rest", stage_file(&stage, "rest", "new\r\n\nold\n")},
                                            {"empty", stage_file(&stage, "empty", "\n")}};
    stage.config.secrets = secrets;
    stage.config.secret_count = 2;
    stage_add(&stage, "p.lua",
              "local S = relay.secret('rest')\n"
              "assert(tostring(S) == 'relay.secret(hidden)') assert(not pcall(function() return S.lines end) and not pcall(function() S.x "
              "= 1 end))\n"
              "local ok, why = pcall(relay.secret, 'rets') assert(why:find(\"did you mean 'rest'\", 1, true), why)\n"
              "ok, why = pcall(relay.secret, 'empty') assert(why:find('one to 8 lines', 1, true), why)\n"
              "assert(not pcall(S.hmac_b64, S, 'md5', 'x') and not pcall(S.hmac_b64, nil, 'sha1', 'x'))\n"
              "return {authenticate = function(req) return relay.key{user = 'u', passwords = S:hmac_b64('sha1', '1:ann')} end,\n"
              " init = function() relay.audit{a = S:hmac_b64('sha1', '1:ann')[2], b = S:hmac_b64('sha256', 'x')[1]} end}");
    if (!stage_load(&stage))
        test_failed("p.lua", 0, "%s", stage.error);
    CHECK_TEXT(stage.audited, "{\"a\":\"B43llTXx+ZcmXxHrxmhxnOzBbdk=\",\"b\":\"+ZQRMP3l/hWVUarRcSoDww3ezEIDYYsm9uN1mJXwx5A=\"}");
    CHECK_INT(stage_ask(&stage, HOOK_authenticate), VERDICT_KEY);
    CHECK_INT(stage.verdict.key_count, 2);
    stage_clear(&stage);
}

TEST(small_functions)
{
    runs("local a, b = relay.split('1700:ann:x', ':') assert(a == '1700' and b == 'ann:x')\n"
         "a, b = relay.split('none', ':') assert(a == 'none' and b == nil) a, b = relay.split('x', '') assert(a == 'x' and b == nil)\n"
         "a, b = relay.split('a--b', '--') assert(a == 'a' and b == 'b') a, b = relay.split('%d', '%d') assert(a == '' and b == '')\n"
         "assert(relay.prefix('eyJabc', 'eyJ') and not relay.prefix('ey', 'eyJ') and relay.prefix('x', ''))\n"
         "local s = relay.set{'DE', 'FR'} assert(s.DE and not s.US and s[nil] == nil and not pcall(function() s.US = true end))\n"
         "relay.log.info('hello', {a = 1, b = 'two words'}) relay.log.debug('x') relay.log.warn('x') relay.log.error('x') print('a', 1, "
         "nil) warn('x')\n"
         "assert(tostring(relay.deny(403)) == 'relay.deny by p.lua:7')\n"
         "return {}");
}

TEST(audit_is_json_in_order_whatever_clients_sent)
{
    struct stage stage;
    stage_play(
        &stage,
        "return {authorize = function(req)\n"
        " relay.audit{type = 'denied', user = 'a\"b\\n\\xff', n = 3, f = 0.5, bad = 1/0, yes = true, src = req.src, none = nil} end,\n"
        " channel = function() relay.audit{x = ('y'):rep(5000)} end, permission = function() relay.audit{1, 2} end}");
    stage.flow.client = stage_addr("198.51.100.7:5000");
    CHECK_INT(stage_ask(&stage, HOOK_authorize), VERDICT_SILENT);
    CHECK_TEXT(stage.audit_type, "denied");
    CHECK_TEXT(stage.audited, "{\"bad\":\"inf\",\"f\":0.5,\"n\":3,\"src\":\"198.51.100.7:5000\",\"type\":\"denied\",\"user\":"
                              "\"a\\\"b\\n\xc3\xbf\",\"yes\":true}");
    CHECK_INT(stage_ask(&stage, HOOK_channel), VERDICT_FAIL);
    HAS(stage.verdict.reason, "relay.audit: longer than 4096 bytes");
    CHECK_INT(stage_ask(&stage, HOOK_permission), VERDICT_FAIL);
    CHECK_INT(stage.audits, 1);
    stage_clear(&stage);
}

static void keep_metric(void *ctx, const char *name, uint64_t value)
{
    char line[256];
    snprintf(line, sizeof line, "%s=%d ", name, (int)value);
    strcat(ctx, line);
}

TEST(counters_are_kept_for_c)
{
    struct stage stage;
    char all[1024] = "";
    stage_play(&stage, "local a = relay.metric.counter('logins', {result = 'o\"k', area = 1}) local b = relay.metric.counter('plain')\n"
                       "return {authorize = function() a:add(2) b:add() assert(not pcall(b.add, b, -1)) end}");
    stage_ask(&stage, HOOK_authorize);
    stage_ask(&stage, HOOK_authorize);
    policy_metrics(stage.shared, keep_metric, all);
    CHECK_TEXT(all, "plain=2 logins{area=\"1\",result=\"o\\\"k\"}=4 ");
    stage_clear(&stage);
}

TEST(a_metric_has_so_many_series_and_one_for_the_others)
{
    struct stage stage;
    static char all[300 * 64];
    *all = 0;
    stage_play(&stage, "local c = {} for i = 1, 300 do c[i] = relay.metric.counter('per_tenant', {tenant = i, kind = 'x'}) end\n"
                       "local plain = relay.metric.counter('per_tenant_else')\n"
                       "relay.metric.counter('per_tenant', {tenant = 7, kind = 'x'}):add()\n"
                       "for i = 1, 300 do c[i]:add() end plain:add() return {}");
    policy_metrics(stage.shared, keep_metric, all);
    HAS(all, "per_tenant{kind=\"x\",tenant=\"256\"}=1 ");
    HAS(all, "per_tenant{kind=\"x\",tenant=\"7\"}=2 ");
    HAS(all, "per_tenant{kind=\"other\",tenant=\"other\"}=44 ");
    HAS(all, "per_tenant_else=1 ");
    CHECK(!strstr(all, "\"257\""));
    stage_clear(&stage);
}

TEST(timers_run_when_due_on_one_worker_or_on_all)
{
    struct stage stage;
    stage_play(&stage, "local n, m = 0, 0\n"
                       "relay.timer.every(10, function() n = n + 1 error('counted') end)\n"
                       "relay.timer.every(5, function() m = m + 1 end, {on = 'all'})\n"
                       "return {authorize = function() relay.audit{v = n .. ' ' .. m} end}"); /* loaded at 2000 ms */
    policy_idle(stage.policy, 6999, 1700000000000);
    policy_idle(stage.policy, 7000, 1700000000000);
    policy_idle(stage.policy, 11999, 1700000000000);
    policy_idle(stage.policy, 12000, 1700000000000);
    policy_idle(stage.policy, 60000, 1700000000000); /* missed ones are not made up for */
    CHECK_INT(stage_ask(&stage, HOOK_authorize), VERDICT_SILENT);
    CHECK_TEXT(stage.audited, "{\"v\":\"2 3\"}");
    CHECK_INT(policy_counts(stage.policy)->errors, 2);
    policy_free(stage.policy);
    stage.policy = policy_new(&stage.config, stage.shared, &stage.world, 1, 2000, 0, stage.error, sizeof stage.error);
    policy_idle(stage.policy, 62000, 1700000000000);
    stage_ask(&stage, HOOK_authorize);
    CHECK_TEXT(stage.audited, "{\"v\":\"0 1\"}");
    stage_clear(&stage);
}

TEST(the_revision_follows_the_files)
{
    struct stage stage;
    char first[64];
    stage_play(&stage, "return {log = function(ev) relay.audit{v = ev.policy_rev} end}");
    const struct event event = stage_event(&stage, EVENT_CLOSED);
    policy_tell(stage.policy, &event);
    snprintf(first, sizeof first, "%.60s", stage.audited);
    stage_clear(&stage);
    stage_play(&stage, "return {log = function(ev) relay.audit{v = ev.policy_rev} end} ");
    policy_tell(stage.policy, &event);
    CHECK(strcmp(first, stage.audited) != 0);
    stage_clear(&stage);
}

TEST_LIST(RUN(a_file_that_is_no_policy_is_refused_with_file_and_line) RUN(the_sandbox_has_what_it_says_and_nothing_else)
              RUN(require_loads_text_from_the_policy_directory) RUN(the_library_of_the_installation_is_found_first)
                  RUN(policies_have_globals_of_their_own) RUN(params_are_typed_and_ranged_and_unknown_names_are_refused)
                      RUN(shared_tables_keep_values_for_their_time) RUN(shared_entries_end_and_make_room)
                          RUN(a_rate_limit_lets_a_burst_through_and_then_its_rate) RUN(a_refusal_for_a_rate_limit_says_how_many_pass_at_once) RUN(a_meter_counts_within_its_period)
                              RUN(data_is_a_read_only_tree) RUN(a_secret_signs_and_hides) RUN(small_functions)
                                  RUN(audit_is_json_in_order_whatever_clients_sent) RUN(counters_are_kept_for_c)
                                      RUN(a_metric_has_so_many_series_and_one_for_the_others) RUN(timers_run_when_due_on_one_worker_or_on_all) RUN(the_revision_follows_the_files))
