/* Our matcher against Lua's own, on thousands of random patterns; and the rest of the string and table libraries against theirs. */
#include "stage.h"

#include <lauxlib.h>
#include <lualib.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define ROUNDS 400 /* loading has 5 s */
#else
#define ROUNDS 6000
#endif

/* The program that both run: `report` collects what every call gave, as text. Random from a fixed seed, the same in both. */
static const char *const program =
    "local seed = 12345\n"
    "local function random(n) seed = (seed * 1103515245 + 12345) % 2147483648 return seed // 65536 % n + 1 end\n"
    "local items = {'a', 'b', 'x', '.', '%a', '%d', '%s', '%w', '%W', '%.', '%%', '[ab]', '[^a]', '[a-c]', '[%a_]', '[^%s%d]', '[]]', "
    "'[a-]', '%x', '%u',\n"
    "  '%p', '%l', '%c', '%g', '(a)', '(.)', '()', '(b*)', '((a)b)', '%b()', '%bxx', '%f[%w]', '%f[^a]', '%1', '%2', '$', '^', '(', ')', "
    "'[', '%', '-', '*',\n"
    "  ']', '[%]', '%f', '%b', '%bx', '\\0', '[\\0-\\3]', '%Z', '\\255'}\n"
    "local suffixes = {'', '', '', '*', '+', '-', '?'}\n"
    "local letters = {'a', 'b', 'x', 'c', '1', ' ', '(', ')', '.', '_', 'A', '\\0', '\\255', '%', '\\t'}\n"
    "local function pattern()\n"
    "  local t = {random(5) == 1 and '^' or ''}\n"
    "  for i = 1, random(6) do t[#t + 1] = items[random(#items)] .. suffixes[random(#suffixes)] end\n"
    "  if random(6) == 1 then t[#t + 1] = '$' end\n"
    "  return table.concat(t)\n"
    "end\n"
    "local function subject()\n"
    "  local t = {}\n"
    "  for i = 1, random(14) - 1 do t[i] = letters[random(#letters)] end\n"
    "  return table.concat(t)\n"
    "end\n"
    "local function show(ok, ...)\n"
    "  local t = table.pack(...)\n"
    "  if not ok then return 'error ' .. tostring(t[1]):gsub('^[^\\n]-:%d+: ', '') end\n"
    "  for i = 1, t.n do t[i] = math.type(t[i]) == 'integer' and t[i] .. '#' or tostring(t[i]) end\n"
    "  return table.concat(t, '|')\n"
    "end\n"
    "local function all(s, p, ...)\n"
    "  local t = {}\n"
    "  for a, b in string.gmatch(s, p, ...) do t[#t + 1] = tostring(a) .. '/' .. tostring(b) end\n"
    "  return table.concat(t, ',')\n"
    "end\n"
    "local count, replacements = 0, {'<%0>', '%1', '-', '%%%1', '%2', '%', '%x', 7}\n"
    "for i = 1, ROUNDS do\n"
    "  local s, p, at = subject(), pattern(), random(9) - 5\n"
    "  report(s .. ' ~ ' .. p,\n"
    "    show(pcall(string.find, s, p)), show(pcall(string.find, s, p, at)), show(pcall(string.match, s, p, at)), show(pcall(all, s, p)),\n"
    "    show(pcall(all, s, p, at)), show(pcall(string.gsub, s, p, replacements[random(#replacements)])),\n"
    "    show(pcall(string.gsub, s, p, function(a, b) if a == 'b' then return false end return b or '<' .. tostring(a) .. '>' end, "
    "random(4))),\n"
    "    show(pcall(string.gsub, s, p, {a = 'A', b = false, x = 1})), show(pcall(string.find, s, p, at, true)))\n"
    "end\n";

/* what the libraries do with plain arguments and with wrong ones */
static const char *const library_program =
    "local function show(ok, ...)\n"
    "  local t = table.pack(...)\n"
    "  for i = 1, t.n do t[i] = tostring(t[i]):gsub('^[^\\n]-:%d+: ', ''):gsub('#%d to .-[(]', '(') end\n"
    "  return tostring(ok) .. ' ' .. table.concat(t, '|')\n"
    "end\n"
    "local function list(t) local s = {} for i = 1, 8 do s[i] = tostring(t[i]) end return table.concat(s, ',') end\n"
    "local function after(f, ...) local t = ... return show(pcall(f, ...)) .. ' ' .. list(t) end\n"
    "report('insert', after(table.insert, {1, 2}, 3), after(table.insert, {1, 2}, 1, 3), after(table.insert, {1, 2}, 3, 3),\n"
    "  after(table.insert, {1, 2}, 5, 3), after(table.insert, {}, 1, 1), after(table.insert, {1}), after(table.insert, {1}, 1, 2, 3))\n"
    "report('remove', after(table.remove, {1, 2, 3}), after(table.remove, {1, 2, 3}, 1), after(table.remove, {1, 2, 3}, 3), "
    "after(table.remove, {1, 2, 3}, 4),\n"
    "  after(table.remove, {1, 2, 3}, 5), after(table.remove, {}), after(table.remove, {}, 0), after(table.remove, {}, 1), "
    "after(table.remove, {}, 2))\n"
    "report('concat', after(table.concat, {1, 'b', 2.5}), after(table.concat, {1, 2, 3}, '-'), after(table.concat, {1, 2, 3}, '-', 2), "
    "after(table.concat, {1, 2, 3}, '-', 2, 2),\n"
    "  after(table.concat, {1, 2, 3}, '-', 3, 2), after(table.concat, {1, print and true, 3}, '-'), after(table.concat, {}, 'x'), "
    "after(table.concat, {1, 2}, ',', 1, 3))\n"
    "report('unpack', after(table.unpack, {1, 2, 3}), after(table.unpack, {1, 2, 3}, 2), after(table.unpack, {1, 2, 3}, 2, 4), "
    "after(table.unpack, {}, 1, 0))\n"
    "report('move', list(table.move({1, 2, 3}, 2, 3, 1)), list(table.move({1, 2, 3}, 1, 3, 3)), list(table.move({1, 2, 3}, 1, 3, 2, "
    "{9})))\n"
    "report('sort', after(table.sort, {3, 1, 2}), after(table.sort, {3, 1, 2}, function(a, b) return a > b end), after(table.sort, {1, "
    "'a'}))\n"
    "report('rep', show(pcall(string.rep, 'ab', 3)), show(pcall(string.rep, 'ab', 3, ',')), show(pcall(string.rep, 'ab', 0)), "
    "show(pcall(string.rep, 'ab', -1)), show(pcall(string.rep, '', 9)))\n"
    "report('methods', ('x'):rep(3), ('abc'):upper(), ('%d'):format(3), ('abc'):find('b'), #('abc'):sub(2))\n"
    "report('xpcall', show(xpcall(function(a, b) return b, a end, print, 1, 2)), show(xpcall(error, function(e) return 'h:' .. tostring(e) "
    "end, 'x', 0)),\n"
    "  show(pcall(xpcall, print)), show(xpcall(error, function() error('again') end)))\n"
    "report('setmetatable', show(pcall(setmetatable, {}, 1)), show(pcall(setmetatable, setmetatable({}, {__metatable = 1}), {})), "
    "tostring(getmetatable(setmetatable({}, nil))))\n"
    "report('rawset', show(pcall(rawset, 1, 2, 3)), rawget(rawset({}, 1, 2), 1), rawlen({1, 2}), tostring(rawequal('a', 'a')))\n"
    "report('utf8', utf8.char(228, 8364), utf8.len('\\xe4'), #utf8.charpattern)\n";

static char *collected;
static size_t collected_len;

static void collect(const char *text, size_t len)
{
    char *more = realloc(collected, collected_len + len + 2);
    if (!more)
        abort();
    collected = more;
    memcpy(collected + collected_len, text, len);
    collected_len += len;
    collected[collected_len++] = '\n';
    collected[collected_len] = 0;
}

static int report(lua_State *L)
{
    for (int i = 1; i <= lua_gettop(L); i++) {
        size_t len;
        const char *text = luaL_tolstring(L, i, &len);
        collect(text, len);
        lua_pop(L, 1);
    }
    return 0;
}

/* run_stock: in a state with Lua's own libraries. The text is to be freed. */
static char *run_stock(const char *text, int rounds, size_t *len)
{
    lua_State *L = luaL_newstate();
    collected = NULL;
    collected_len = 0;
    luaL_openlibs(L);
    lua_register(L, "report", report);
    lua_pushinteger(L, rounds);
    lua_setglobal(L, "ROUNDS");
    if (luaL_dostring(L, text))
        test_failed("stock", 0, "%s", lua_tostring(L, -1));
    lua_close(L);
    *len = collected_len;
    return collected;
}

/* on_audit: the way out of the sandbox: {type = "report", text = ...} as a JSON string would escape, so the text comes as hexadecimal
 * digits */
static void on_audit(void *ctx, const char *type, const char *detail)
{
    const char *hex = strstr(detail, "\"text\":\"");
    uint8_t bytes[4096];
    (void)ctx;
    (void)type;
    const size_t digits = strspn(hex + 8, "0123456789abcdef");
    if (crypto_hex_decode(view_of(hex + 8, digits), bytes, sizeof bytes))
        abort();
    collect((const char *)bytes, digits / 2);
}

static char *run_ours(const char *text, int rounds, size_t *len)
{
    static const char *const prelude = "local ROUNDS = %d\n"
                                       "local function report(...)\n"
                                       "  for i = 1, select('#', ...) do\n"
                                       "    local text = tostring((select(i, ...)))\n"
                                       "    local hex = {}\n"
                                       "    for k = 1, #text do hex[k] = ('%%02x'):format(text:byte(k)) end\n"
                                       "    relay.audit{text = table.concat(hex)}\n"
                                       "  end\n"
                                       "end\n%s\nreturn {}";
    struct stage stage;
    char *file = malloc(strlen(prelude) + strlen(text) + 32);
    if (!file)
        abort();
    collected = NULL;
    collected_len = 0;
    sprintf(file, prelude, rounds, text);
    stage_set(&stage);
    stage.world.audit = on_audit;
    stage_add(&stage, "p.lua", file);
    free(file);
    if (!stage_load(&stage))
        test_failed("ours", 0, "%s", stage.error);
    stage_clear(&stage);
    *len = collected_len;
    return collected;
}

/* compare: line by line; `about` is the last line that says which case it was. */
static void compare(const char *text, int rounds, int lines_per_case)
{
    size_t stock_len, ours_len;
    char *stock = run_stock(text, rounds, &stock_len), *ours = run_ours(text, rounds, &ours_len);
    size_t a = 0, b = 0;
    const char *about = stock;
    for (int line = 0; a < stock_len && b < ours_len; line++) {
        const size_t n = strcspn(stock + a, "\n"), m = strcspn(ours + b, "\n");
        if (lines_per_case && line % lines_per_case == 0)
            about = stock + a;
        if (n != m || memcmp(stock + a, ours + b, n) != 0)
            test_failed("case", line, "%.*s: stock %.*s, ours %.*s", (int)strcspn(about, "\n"), about, (int)n, stock + a, (int)m, ours + b);
        const char *next = memchr(stock + a, '\n', stock_len - a);
        a = (size_t)(next - stock) + 1;
        next = memchr(ours + b, '\n', ours_len - b);
        b = (size_t)(next - ours) + 1;
    }
    CHECK_INT(ours_len, stock_len);
    CHECK(stock_len > 100);
    free(stock);
    free(ours);
}

TEST(patterns_match_as_luas_own)
{
    compare(program, ROUNDS, 10);
}

TEST(the_libraries_do_as_luas_own)
{
    compare(library_program, 0, 0);
}

TEST(a_pattern_that_backtracks_is_ended_and_says_so)
{
    struct stage stage;
    /* at load, where there is time enough for a hundred thousand steps on any machine */
    stage_play(&stage, "local ok, why = pcall(string.find, ('a'):rep(513), '.-.-.-b')\n"
                       "return {channel = function() return relay.deny(403, why) end}");
    CHECK_INT(stage_ask(&stage, HOOK_channel), VERDICT_DENY);
    CHECK_TEXT(stage.verdict.reason, "pattern takes too many steps");
    stage_clear(&stage);
}

TEST_LIST(RUN(patterns_match_as_luas_own) RUN(the_libraries_do_as_luas_own) RUN(a_pattern_that_backtracks_is_ended_and_says_so))
