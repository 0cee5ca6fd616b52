/* Scripts that would take the worker with them: each is ended in its hook's budget, refuses, and the next call works. */
#include "stage.h"

#include <time.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define PATIENCE_MS 3000
#else
#define PATIENCE_MS 200 /* of processor time; alone they take 5 to 20 ms */
#endif

/* each body runs in a function of (req); what survives it is an error */
static const struct {
    const char *name, *body;
} bombs[] = {
    {"loop", "while true do end"},
    {"goto", "::again:: goto again"},
    {"loop in pcall", "while true do pcall(function() while true do end end) end"},
    {"pcall of error", "repeat pcall(error) until false"},
    {"pcall recursion", "local function f() pcall(f) pcall(f) end f()"},
    {"wrap nesting", "local function f() return coroutine.wrap(f)() end f()"},
    {"wrap around loops", "local function spin() while true do pcall(function() while true do end end) end end "
                          "while true do coroutine.wrap(function() coroutine.wrap(spin)() end)() end"},
    {"levels of coroutines",
     "local function spin() while true do end end "
     "local function level(n) while true do coroutine.resume(coroutine.create(n == 0 and spin or function() level(n - 1) end)) end end "
     "level(9)"},
    {"yield storm", "local co = coroutine.wrap(function() while true do coroutine.yield() end end) while true do co() end"},
    {"coroutines without end", "local t = {} while true do t[#t + 1] = coroutine.create(function() end) end"},
    {"doubling", "local s = 'x' while true do s = s .. s end"},
    {"doubling in pcall", "while true do pcall(function() local s = 'x' while true do s = s .. s end end) end"},
    {"big texts", "local s = ('x'):rep(1000000) local t = {} while true do t[#t % 3 + 1] = s .. #t end"},
    {"tables", "local t = {} while true do t[#t + 1] = {{}, {}, {}} end"},
    {"tables in pcall", "local t = {} while true do pcall(function() while true do t[#t + 1] = {{}, {}, {}} end end) end"},
    {"pattern", "('a'):rep(513):find('.-.-.-b')"},
    {"pattern in pcall", "while true do pcall(string.find, ('a'):rep(513), '.-.-.-b') end"},
    {"pattern, longest first", "('a'):rep(5000):match('.*.*.*.*b')"},
    {"pattern with captures", "('a'):rep(5000):gsub('(.-)(.-)(.-)%1b', '')"},
    {"pattern, balanced", "while true do pcall(string.find, ('('):rep(100000), '%b()') end"},
    {"gmatch", "for _ in ('a'):rep(50000):gmatch('.-.-b') do end"},
    {"plain find", "local s, w = ('a'):rep(1000000), ('a'):rep(500000) .. 'b' while true do s:find(w, 1, true) end"},
    {"rep", "('x'):rep(1000000000)"},
    {"rep of nothing", "(''):rep(1000000000)"},
    {"rep with a separator", "(''):rep(100000000, 'xxxxxxxxxxxxxxxx')"},
    {"rep in a loop", "while true do pcall(string.rep, 'x', 1 << 20) end"},
    {"table.move", "table.move({}, 1, 100000000, 2)"},
    {"table.move in a loop", "while true do pcall(table.move, {}, 1, 999999, 2) end"},
    {"insert under __len", "table.insert(setmetatable({}, {__len = function() return 100000000 end}), 1, 1)"},
    {"remove under __len", "while true do pcall(table.remove, setmetatable({}, {__len = function() return 999999 end}), 1) end"},
    {"unpack under __len", "while true do pcall(table.unpack, setmetatable({}, {__len = function() return 900000 end})) end"},
    {"concat", "local t = setmetatable({}, {__len = function() return 999999 end, __index = function() return 'x' end}) table.concat(t)"},
    {"concat of big texts", "local t = {} for i = 1, 60 do t[i] = ('x'):rep(900000) end while true do pcall(table.concat, t) end"},
    {"sort that lies", "local t = {} for i = 1, 5000 do t[i] = i end while true do pcall(table.sort, t, function() return true end) end"},
    {"sort that loops", "table.sort({3, 2, 1}, function() while true do end end)"},
    {"sort that loops in pcall", "pcall(table.sort, {3, 2, 1}, function() while true do pcall(function() while true do end end) end end)"},
    {"sort of many", "local t = {('x'):rep(900000):byte(1, -1)} while true do pcall(table.sort, t) end"},
    {"sort under __len",
     "local n = 0 table.sort(setmetatable({}, {__len = function() n = n + 1 return n > 1 and 1 << 30 or 0 end, __index = tostring}))"},
    {"gsub that loops", "('x'):gsub('.', function() while true do end end)"},
    {"gsub that loops in pcall", "while true do pcall(string.gsub, 'xxx', '.', function() while true do end end) end"},
    {"gsub that grows", "local big = ('y'):rep(1000000) while true do pcall(string.gsub, ('x'):rep(100), '.', big) end"},
    {"gsub inside gsub", "local function f() return (('x'):rep(10):gsub('.', f)) end f()"},
    {"busy __close", "local x <close> = setmetatable({}, {__close = function() while true do end end}) while true do end"},
    {"busy __close after an error", "local x <close> = setmetatable({}, {__close = function() while true do end end}) error('x')"},
    {"busy __close behind sort", "local x <close> = setmetatable({}, {__close = function() while true do end end}) "
                                 "table.sort({3, 2, 1}, function() while true do end end)"},
    {"busy __close in wrap", "coroutine.wrap(function() local x <close> = setmetatable({}, {__close = function() while true do end end}) "
                             "table.sort({3, 2, 1}, function() while true do end end) end)()"},
    {"busy __close in coroutine.close",
     "local co = coroutine.create(function() local x <close> = setmetatable({}, {__close = function() while true do end end}) "
     "coroutine.yield() end) coroutine.resume(co) while true do pcall(coroutine.close, co) end"},
    {"chain of __close",
     "local function f(n) local x <close> = setmetatable({}, {__close = function() while true do end end}) if n > 0 then f(n - 1) end "
     "while true do end end f(100)"},
    {"format", "while true do string.format('%99.99f%99.99f%99.99f%99.99f', 1e300, 1e300, 1e300, 1e300) end"},
    {"format of big texts", "local s = ('x'):rep(1000000) while true do pcall(string.format, '%s%s%s%s%q', s, s, s, s, s) end"},
    {"upper of big texts", "local s = ('x'):rep(1000000) while true do s:upper() s:reverse() end"},
    {"__tostring that loops", "tostring(setmetatable({}, {__tostring = function() while true do end end}))"},
    {"__tostring recursion", "local t t = setmetatable({}, {__tostring = function() return tostring(t) end}) tostring(t)"},
    {"error object that loops", "error(setmetatable({}, {__tostring = function() while true do end end}))"},
    {"print that loops", "print(setmetatable({}, {__tostring = function() while true do end end}))"},
    {"recursion", "local function f() return 1 + f() end f()"},
    {"recursion in pcall", "local function f() return 1 + f() end while true do pcall(f) end"},
    {"__index that loops", "local t = setmetatable({}, {__index = function() while true do end end}) local x = t.x"},
    {"__index recursion", "local t t = setmetatable({}, {__index = function(_, k) return t[k .. 'x'] end}) local x = t.x"},
    {"__eq, __lt, __concat that loop",
     "local m = {} m.__concat = function() while true do end end local t = setmetatable({}, m) local x = t .. 'x'"},
    {"error handler that loops", "xpcall(error, function() while true do end end)"},
    {"error handler that fails", "while true do xpcall(error, function() error('x') end) end"},
    {"error handler around a loop", "xpcall(function() while true do end end, function() while true do end end)"},
    {"many values", "while true do pcall(select, '#', table.unpack({}, 1, 900000)) end"},
    {"byte", "local s = ('x'):rep(900000) while true do pcall(string.byte, s, 1, -1) end"},
    {"date", "while true do os.date(('%c'):rep(100)) end"},
    {"for without end", "for i = 1, math.huge do end"},
    {"next over holes", "local t = {} for i = 1, 20000 do t[i] = i end for i = 1, 19999 do t[i] = nil end while true do next(t) end"},
    {"string keys", "local t, i = {}, 0 while true do i = i + 1 t['key' .. i] = i end"},
    {"utf8 of big texts", "local s = ('x'):rep(1000000) while true do utf8.len(s) end"},
    {"utf8.codepoint", "local s = ('x'):rep(900000) while true do pcall(utf8.codepoint, s, 1, -1) end"},
    {"utf8.offset", "local s = ('x'):rep(1000000) while true do utf8.offset(s, 1000000) end"},
    {"comparing big texts", "local s, t = ('x'):rep(1000000) .. 'a', ('x'):rep(1000000) .. 'b' while true do local x = s < t end"},
    {"equality of big texts", "local s, t = ('x'):rep(1000000) .. 'a', ('x'):rep(1000000) .. 'b' while true do local x = s == t end"},
    {"pack", "while true do pcall(string.pack, ('i4'):rep(100000)) end"},
    {"unpack", "local s = ('x'):rep(1000000) while true do pcall(string.unpack, ('b'):rep(100000), s) end"},
    {"hash", "local s = ('x'):rep(1000000) while true do relay.hash('sha256', s) end"},
    {"base64", "local s = ('x'):rep(700000) while true do relay.base64.encode(s) end"},
    {"hex", "local s = ('x'):rep(500000) while true do relay.hex(s) end"},
    {"json", "local s = '[' .. ('1,'):rep(400000) .. '1]' while true do relay.json.decode(s) end"},
    {"json in depth", "local s = ('['):rep(500000) while true do relay.json.decode(s) end"},
    {"split", "local s = ('a'):rep(1000000) while true do relay.split(s, 'aaaaaaaaaaaaaaaaaaaaaaaab') end"},
    {"prefix", "local s = ('a'):rep(1000000) while true do relay.prefix(s, s .. '') end"},
    {"logging", "while true do relay.log.info(('x'):rep(100000), {a = ('y'):rep(100000)}) end"},
    {"shared", "while true do req = nil S:set(('k'):rep(1000), ('v'):rep(4000), 1) end"},
    {"decisions", "while true do relay.key{user = ('u'):rep(100), password = ('p'):rep(700)} end"},
};

static const enum hook asked[] = {HOOK_route, HOOK_authenticate, HOOK_authorize, HOOK_permission, HOOK_refresh, HOOK_usage};

/* busy_ms: processor time of this thread: the machine may have other things to do */
static int64_t busy_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void check_bomb(struct stage *stage, const char *name, enum hook hook)
{
    const int64_t start = busy_ms();
    const enum verdict_kind kind = stage_ask(stage, hook);
    const int64_t took = busy_ms() - start;
    if (kind != VERDICT_FAIL)
        test_failed("bomb", (int)hook, "%s: answers %d", name, kind);
    if (!strstr(stage->verdict.by, "p.lua:") && !strstr(stage->verdict.by, "p.lua"))
        test_failed("bomb", (int)hook, "%s: by is %s", name, stage->verdict.by);
    if (took > PATIENCE_MS)
        test_failed("bomb", (int)hook, "%s: took %d ms", name, (int)took);
    if (stage_ask(stage, HOOK_channel) != VERDICT_DENY)
        test_failed("bomb", (int)hook, "%s: the next call fails: %s", name, stage->verdict.reason);
    policy_idle(stage->policy, 61000, 1700000060000);
}

TEST(every_bomb_is_contained_in_every_hook)
{
    for (size_t i = 0; i < sizeof bombs / sizeof *bombs; i++) {
        char text[2048];
        struct stage stage;
        snprintf(
            text, sizeof text,
            "local S = relay.shared('s', {max_entries = 10})\n"
            "local function bomb(req) %s error('survived') end\n"
            "local ALIVE = relay.deny(403, 'alive')\n"
            "return {route = bomb, authenticate = bomb, authorize = bomb, permission = bomb, refresh = bomb, usage = bomb, log = bomb,\n"
            "  channel = function() return ALIVE end}",
            bombs[i].body);
        stage_play(&stage, text);
        for (size_t k = 0; k < sizeof asked / sizeof *asked; k++)
            check_bomb(&stage, bombs[i].name, asked[k]);
        const struct event event = stage_event(&stage, EVENT_CLOSED);
        const int64_t start = busy_ms();
        policy_tell(stage.policy, &event);
        if (busy_ms() - start > PATIENCE_MS)
            test_failed("bomb", HOOK_log, "%s: took too long", bombs[i].name);
        const struct policy_counts *counts = policy_counts(stage.policy);
        CHECK_INT(counts->errors + counts->killed_instructions + counts->killed_wall + counts->memory, 7);
        stage_clear(&stage);
    }
}

TEST(a_loop_is_killed_by_its_instructions_and_says_where)
{
    struct stage stage;
    stage_play(&stage, "return {\n authorize = function()\n  while true do\n  end\n end}");
    for (int tries = 0; tries < 100 && policy_counts(stage.policy)->killed_instructions == 0;
         tries++) { /* a machine that holds it up lets the clock win */
        CHECK_INT(stage_ask(&stage, HOOK_authorize), VERDICT_FAIL);
        CHECK_INT(stage.verdict.code, 500);
        CHECK_TEXT(stage.verdict.by, "p.lua:3");
    }
    CHECK_TEXT(stage.verdict.reason, "killed: too many instructions");
    CHECK_INT(policy_counts(stage.policy)->killed_instructions, 1);
    stage_clear(&stage);
}

TEST(slow_instructions_are_killed_by_the_clock)
{
    struct stage stage;
    stage_play(&stage, "local s = ('x'):rep(30000)\nreturn {authorize = function() while true do local t = s .. 'y' end end}");
    CHECK_INT(stage_ask(&stage, HOOK_authorize), VERDICT_FAIL);
    CHECK_TEXT(stage.verdict.reason, "killed: out of time");
    CHECK_INT(policy_counts(stage.policy)->killed_wall, 1);
    stage_clear(&stage);
}

TEST(memory_is_capped_and_given_back)
{
    struct stage stage;
    stage_play(&stage,
               "local kept = {}\nreturn {\n authorize = function()\n  for i = 1, 100 do kept[i] = ('x'):rep(1000000 + i) end\n end,\n"
               " channel = function() kept = {} end}");
    enum verdict_kind kind = VERDICT_SILENT;
    for (int i = 0; i < 100 && kind != VERDICT_FAIL; i++)
        kind = stage_ask(&stage, HOOK_authorize);
    CHECK(policy_heap_bytes(stage.policy) <= 64u << 20);
    CHECK_INT(policy_counts(stage.policy)->memory + policy_counts(stage.policy)->killed_instructions +
                  policy_counts(stage.policy)->killed_wall,
              1);
    CHECK_INT(stage_ask(&stage, HOOK_channel), VERDICT_SILENT);
    for (msec_t now = 62000; now < 82000; now += 1000)
        policy_idle(stage.policy, now, 1700000060000);
    CHECK(policy_heap_bytes(stage.policy) < 4u << 20);
    stage_clear(&stage);
}

static int warnings(const char *path)
{
    char line[1024];
    int count = 0;
    FILE *file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file))
        count += strstr(line, "policy_heap") != NULL;
    if (file)
        fclose(file);
    return count;
}

TEST(the_log_warns_of_8_mib_and_of_half_of_the_memory_once)
{
    static const struct {
        size_t mib;
        int warnings;
    } rows[] = {{4, 0}, {14, 1}, {20, 1}, {31, 1}, {40, 2}, {44, 2}};
    struct stage stage;
    stage_set(&stage);
    const char *path = stage_file(&stage, "log", "");
    stage.world.log = log_new(path, LOG_WARNING);
    stage_add(&stage, "p.lua",
              "local kept, s = {}, ('x'):rep(1024)\nreturn {authorize = function() kept[#kept + 1] = s:rep(500 - #kept) end}");
    CHECK(stage_load(&stage));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        while (policy_heap_bytes(stage.policy) < rows[i].mib << 20)
            stage_ask(&stage, HOOK_authorize); /* on a busy machine one or another is killed, and leaves what is not kept */
        policy_idle(stage.policy, 62000 + (msec_t)i * 1000, 1700000060000);
        CHECK_INT(warnings(path), rows[i].warnings);
    }
    log_free(stage.world.log);
    stage.world.log = NULL;
    stage_clear(&stage);
}

TEST(a_script_that_keeps_everything_does_not_keep_the_worker)
{
    struct stage stage;
    stage_play(&stage, "local kept, n = {}, 0\nreturn {\n"
                       " authorize = function() for i = 1, 200 do n = n + 1 kept[n] = {n, 'x'} end end,\n"
                       " refresh = function() while true do pcall(function() n = n + 1 kept[n] = {n, 'x'} end) end end,\n"
                       " channel = function() kept = nil end}");
    for (int i = 0; i < 50000 && policy_counts(stage.policy)->memory == 0; i++)
        stage_ask(&stage, HOOK_authorize);
    CHECK_INT(policy_counts(stage.policy)->memory, 1);
    int64_t start = busy_ms();
    CHECK_INT(stage_ask(&stage, HOOK_refresh), VERDICT_FAIL); /* does not try again and again */
    CHECK(busy_ms() - start < 2 * PATIENCE_MS);
    start = busy_ms();
    for (int i = 0; i < 1000; i++)
        CHECK_INT(stage_ask(&stage, HOOK_authorize), VERDICT_FAIL);
    CHECK(busy_ms() - start < 3 * PATIENCE_MS);
    struct question later = stage_question(&stage, HOOK_channel);
    later.now += 1000;
    policy_ask(stage.policy, &later, &stage.verdict);
    CHECK_INT(stage.verdict.kind, VERDICT_SILENT); /* it may try again, and here it frees its memory */
    for (msec_t now = 63000; now < 163000; now += 1000)
        policy_idle(stage.policy, now, 1700000060000);
    CHECK(policy_heap_bytes(stage.policy) < 8u << 20);
    stage_clear(&stage);
}

TEST(a_want_of_memory_is_an_error_of_the_hook_and_counted)
{
    struct stage stage;
    stage_play(&stage, "local s = ('x'):rep(1 << 20)\nreturn {\n authorize = function()\n  return s:rep(1) .. s .. s .. s\n end}");
    enum verdict_kind kind = stage_ask(&stage, HOOK_authorize);
    CHECK_INT(kind, VERDICT_FAIL); /* a string is no decision */
    test_fail_malloc_after(0);
    kind = stage_ask(&stage, HOOK_authorize);
    test_fail_malloc_after(-1);
    CHECK_INT(kind, VERDICT_FAIL);
    CHECK_TEXT(stage.verdict.reason, "not enough memory");
    CHECK_INT(policy_counts(stage.policy)->memory, 1);
    stage_clear(&stage);
}

TEST(every_allocation_may_fail_in_a_hook)
{
    struct stage stage;
    stage_play(&stage, "return {authenticate = function(req)\n"
                       "  local who, where = relay.split(req.username .. '@x', '@')\n"
                       "  local t = {} for i = 1, 20 do t[i] = {tostring(req.src), who} end\n"
                       "  return relay.key{user = coroutine.wrap(function() return t[1][2] end)(), password = 'p'}\n"
                       "end}");
    int failed = 0;
    for (long n = 0; n < 400; n++) {
        struct question question = stage_question(&stage, HOOK_authenticate);
        question.now += 1000 * n; /* two failures in a row are followed by a rest */
        test_fail_malloc_after(n);
        policy_ask(stage.policy, &question, &stage.verdict);
        test_fail_malloc_after(-1);
        const enum verdict_kind kind = stage.verdict.kind;
        CHECK(kind == VERDICT_FAIL || kind == VERDICT_KEY);
        failed += kind == VERDICT_FAIL;
        if (kind == VERDICT_KEY)
            break;
    }
    CHECK(failed > 20);
    CHECK_INT(stage.verdict.kind, VERDICT_KEY);
    stage_clear(&stage);
}

TEST(every_allocation_may_fail_while_a_policy_loads)
{
    struct stage stage;
    stage_set(&stage);
    stage_add(&stage, "p.lua",
              "local l = relay.ratelimit('r', {rate = 1, burst = 2}) local c = relay.cidr{'10.0.0.0/8'}\n"
              "relay.timer.every(1, function() end) relay.metric.counter('c')\n"
              "return {init = function() end, route = function() end}");
    bool loaded = false;
    long n = 0;
    for (; n < 20000 && !loaded; n += n < 100 ? 1 : 7) {
        stage.shared = policy_shared_new(&stage.config);
        test_fail_malloc_after(n);
        loaded = stage_load(&stage);
        test_fail_malloc_after(-1);
        CHECK(loaded || *stage.error);
        policy_free(stage.policy);
        policy_shared_free(stage.shared);
    }
    CHECK(loaded && n > 100);
    stage.shared = NULL;
    stage.policy = NULL;
    stage_clear(&stage);
}

TEST(a_bomb_at_load_is_refused)
{
    struct stage stage;
    stage_refused(&stage, "local x = 1\nwhile true do end");
    HAS(stage.error, "p.lua:2: killed");
    stage_refused(&stage, "return {init = function()\n pcall(function() while true do end end) end}");
    HAS(stage.error, "p.lua:2: killed");
    stage_refused(&stage, "local t = {} for i = 1, 1e7 do t[i] = {} end return {}");
    CHECK(strstr(stage.error, "not enough memory") || strstr(stage.error, "killed")); /* on a busy machine time ends first */
}

TEST(what_was_killed_is_never_resumed)
{
    struct stage stage;
    stage_play(&stage, "local co\nreturn {\n"
                       " authorize = function()\n"
                       "  co = coroutine.create(function() local n = 0 while true do n = n + 1 end end)\n"
                       "  coroutine.resume(co)\n end,\n"
                       " channel = function()\n"
                       "  local ok, why = coroutine.resume(co)\n"
                       "  return relay.deny(403, tostring(ok) .. ' ' .. why .. ' ' .. coroutine.status(co))\n end}");
    CHECK_INT(stage_ask(&stage, HOOK_authorize), VERDICT_FAIL);
    CHECK_INT(stage_ask(&stage, HOOK_channel), VERDICT_DENY);
    CHECK_TEXT(stage.verdict.reason, "false cannot resume a coroutine that is not suspended dead");
    stage_clear(&stage);
}

TEST(a_coroutine_that_waits_goes_on_in_the_next_hook)
{
    struct stage stage;
    stage_play(&stage, "local next_id = coroutine.wrap(function() local n = 0 while true do n = n + 1 coroutine.yield(n) end end)\n"
                       "return {channel = function() return relay.deny(403, 'n' .. next_id()) end}");
    CHECK_INT(stage_ask(&stage, HOOK_channel), VERDICT_DENY);
    CHECK_INT(stage_ask(&stage, HOOK_channel), VERDICT_DENY);
    CHECK_TEXT(stage.verdict.reason, "n2");
    stage_clear(&stage);
}

TEST(coroutines_work_as_luas_own)
{
    struct stage stage;
    stage_play(&stage,
               "local function check(ok, what) if not ok then error(what, 2) end end\n"
               "return {authorize = function()\n"
               "  local co = coroutine.create(function(a, b) local c = coroutine.yield(a + b) error('e' .. c, 0) end)\n"
               "  check(coroutine.status(co) == 'suspended', 'new')\n"
               "  local ok, sum = coroutine.resume(co, 1, 2) check(ok and sum == 3, 'yield')\n"
               "  local no, why = coroutine.resume(co, 'x') check(not no and why == 'ex', 'error')\n"
               "  check(coroutine.status(co) == 'dead', 'dead') check(not coroutine.resume(co), 'resume of dead')\n"
               "  check(select('#', coroutine.resume(coroutine.create(function() return 1, nil, 3 end))) == 4, 'values')\n"
               "  local gen = coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i) end end)\n"
               "  check(gen() == 1 and gen() == 2 and gen() == 3 and gen() == nil, 'wrap')\n"
               "  check(not pcall(gen), 'wrap of dead')\n"
               "  local closed = false\n"
               "  local waits = coroutine.create(function() local x <close> = setmetatable({}, {__close = function() closed = true end}) "
               "coroutine.yield() end)\n"
               "  coroutine.resume(waits) check(coroutine.close(waits) and closed, 'close')\n"
               "  check(coroutine.isyieldable() and coroutine.running(), 'running')\n"
               "  local inner = coroutine.wrap(function() local ok, v = pcall(function() return coroutine.yield(1) + 1 end) return v end)\n"
               "  check(inner() == 1 and inner(5) == 6, 'yield across pcall')\n"
               "  check(not coroutine.resume(coroutine.running()), 'resume of itself')\n"
               "end}");
    if (stage_ask(&stage, HOOK_authorize) != VERDICT_SILENT)
        test_failed("p.lua", 0, "%s", stage.verdict.reason);
    stage_clear(&stage);
}

TEST(a_hook_may_not_yield)
{
    struct stage stage;
    stage_play(&stage, "return {authorize = function() coroutine.yield() end, channel = function() return relay.deny(403) end}");
    CHECK_INT(stage_ask(&stage, HOOK_authorize), VERDICT_FAIL);
    CHECK_TEXT(stage.verdict.reason, "a hook may not yield");
    CHECK_TEXT(stage.verdict.by, "p.lua:1");
    CHECK_INT(stage_ask(&stage, HOOK_channel), VERDICT_DENY);
    stage_clear(&stage);
}

TEST_LIST(RUN(every_bomb_is_contained_in_every_hook) RUN(a_loop_is_killed_by_its_instructions_and_says_where)
              RUN(slow_instructions_are_killed_by_the_clock) RUN(memory_is_capped_and_given_back)
                  RUN(the_log_warns_of_8_mib_and_of_half_of_the_memory_once) RUN(a_script_that_keeps_everything_does_not_keep_the_worker)
                      RUN(a_want_of_memory_is_an_error_of_the_hook_and_counted) RUN(every_allocation_may_fail_in_a_hook)
                          RUN(every_allocation_may_fail_while_a_policy_loads) RUN(a_bomb_at_load_is_refused)
                              RUN(what_was_killed_is_never_resumed) RUN(a_coroutine_that_waits_goes_on_in_the_next_hook)
                                  RUN(coroutines_work_as_luas_own) RUN(a_hook_may_not_yield))
